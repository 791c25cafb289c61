"""What goes wrong in the field, as a person sees it: a sentence that says what to do, never a traceback."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme
from sqlalchemy import text

from isthmus.cli.main import main
from isthmus.model.clock import SystemClock
from isthmus.store.database import Database
from real_odoo import OdooDatabases, RealOdoo

pytestmark = pytest.mark.odoo


class Isthmus:
    """The command line over a database of its own: what is typed, and what is answered."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str]:
        """Exit code and everything on the screen; a traceback fails the test."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(words)
        told = self._capsys.readouterr()
        screen = told.out + told.err
        assert "Traceback" not in screen, screen
        return int(ended.value.code or 0), screen

    def connect(self, odoo: RealOdoo, name: str = "erp", *, key: str = "", **changed: str) -> None:
        """Store a connection as a person would, without looking at it yet."""
        url = changed.pop("url", odoo.url)
        told = {"database": odoo.database, "login": odoo.login, "allow_loopback": "true", **changed}
        words = [word for pair in told.items() for word in ("--set", "=".join(pair))]
        secret = f"api_key={key or odoo.api_key}"
        code, screen = self(
            "connection", "add", name, "--kind", "odoo", "--url", url, *words, "--secret", secret, "--no-check"
        )
        assert code == 0, screen

    def problem(self, name: str = "erp") -> tuple[str, str]:
        """The one problem that the doctor finds: what is wrong, and the fix."""
        code, screen = self("connection", "doctor", name, "--json")
        assert code == 3, screen
        (found,) = [finding for finding in json.loads(screen) if finding["status"] == "problem"]
        assert found["fix"]
        code, screen = self("connection", "doctor", name)
        assert code == 3
        assert "problem" in screen
        assert "fix: " in screen
        return found["message"], found["fix"]


@pytest.fixture
def isthmus(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Isthmus:
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database.conninfo)
    return Isthmus(capsys)


@contextmanager
def answering(status: int, kind: str, body: str, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A small server that says the same to everything."""

    class Answer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that refuses our certificate is what these tests are about."""

    server = Quiet(("127.0.0.1", 0), Answer)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_wrong_url(isthmus: Isthmus, odoo_server: RealOdoo) -> None:
    isthmus.connect(odoo_server, url=f"{odoo_server.url}/odoo")
    message, fix = isthmus.problem()
    assert "for its version" in message
    assert "without /web or /odoo behind it" in fix
    with answering(404, "application/json", '{"error": "no such route"}') as url:
        isthmus.connect(odoo_server, url=url)
        message, fix = isthmus.problem()
        assert "no such route" in message
        assert "the address people open Odoo with" in fix


def test_html_instead_of_json(isthmus: Isthmus, odoo_server: RealOdoo) -> None:
    page = "<!doctype html><html><head><title>Sign in to the proxy</title></head><body>Sign in</body></html>"
    with answering(200, "text/html", page) as url:
        isthmus.connect(odoo_server, url=url)
        message, fix = isthmus.problem()
    assert "Sign in to the proxy" in message or "web page" in message
    assert "Check the URL" in fix


def test_a_host_that_cannot_be_reached(isthmus: Isthmus, odoo_server: RealOdoo) -> None:
    isthmus.connect(odoo_server, url="http://127.0.0.1:1")
    message, _ = isthmus.problem()
    assert "127.0.0.1 cannot be reached: connection refused" in message
    isthmus.connect(odoo_server, url="https://no-such-host.invalid")
    message, _ = isthmus.problem()
    assert "no-such-host.invalid cannot be reached" in message


def test_a_certificate_that_nobody_signed(isthmus: Isthmus, odoo_server: RealOdoo) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with answering(200, "application/json", "{}", context) as url:
        isthmus.connect(odoo_server, url=url)
        message, fix = isthmus.problem()
    assert "the certificate of 127.0.0.1 is not valid" in message
    assert "authority's certificate" in fix


def test_a_wrong_key(isthmus: Isthmus, odoo_server: RealOdoo) -> None:
    isthmus.connect(odoo_server, key="0123456789abcdef0123456789abcdef01234567")
    message, fix = isthmus.problem()
    assert "does not accept the API key: it is wrong, revoked or expired" in message
    assert "isthmus connection rotate erp" in fix
    code, screen = isthmus("connection", "rotate", "erp", "--secret", "api_key=also-wrong")
    assert code == 1
    assert "The old secrets stay in use" in screen
    code, screen = isthmus("connection", "rotate", "erp", "--secret", f"api_key={odoo_server.api_key}")
    assert (code, "The new secrets work and are in use" in screen) == (0, True)


def test_an_expired_key(isthmus: Isthmus, real_odoo: RealOdoo) -> None:
    isthmus.connect(real_odoo, key=real_odoo.low_key, login=real_odoo.low_login)
    sql = """update res_users_apikeys set expiration_date = %s
             where user_id = (select id from res_users where login = %s)"""
    yesterday = (SystemClock().now() - timedelta(days=1)).replace(tzinfo=None)
    with psycopg.connect(real_odoo.dsn, autocommit=True) as conn:
        conn.execute(sql, (yesterday, real_odoo.low_login))
        try:
            message, fix = isthmus.problem()
        finally:
            conn.execute(sql, (None, real_odoo.low_login))
    assert "expired" in message
    assert "My Preferences > Security > Add API Key" in fix


def test_an_administrator_s_key_is_never_stored(isthmus: Isthmus, odoo_server: RealOdoo) -> None:
    words = ["connection", "add", "erp", "--kind", "odoo", "--url", odoo_server.url]
    code, screen = isthmus(*words, "--secret", "api_key=x", "--secret", "admin_key=y")
    assert code == 1
    assert "never stored" in screen
    isthmus.connect(odoo_server)
    hooks = ["connection", "hooks", "erp", "--base-url", "http://127.0.0.1:1"]
    code, screen = isthmus(*hooks, "--admin", "api_key=y")
    assert code == 1
    assert "Those for one call are: admin_key, admin_login" in screen
    code, screen = isthmus(*hooks, "--admin", f"admin_key={odoo_server.low_key}")
    assert code == 1
    assert "no administrator" in screen


PAIR = """
pair: two
left: erp
right: other
settings: {region: US, country: US, currency: USD}
entities:
  customer:
    left: {mapping: odoo-customer, scope: [[name, like, "Pair "]]}
    right: {mapping: odoo-customer, scope: [[name, like, "Pair "]]}
"""


def apply(isthmus: Isthmus, folder: Path, pair: str = PAIR) -> tuple[int, str]:
    (folder / "pair").mkdir(exist_ok=True)
    (folder / "pair" / "pair.yaml").write_text(pair)
    return isthmus("pair", "apply", str(folder / "pair"))


def test_missing_rights_and_a_missing_app(isthmus: Isthmus, odoo_db: OdooDatabases, tmp_path: Path) -> None:
    real_odoo = odoo_db()  # whose rights no other test has widened
    isthmus.connect(real_odoo)
    isthmus.connect(real_odoo, "other")
    assert apply(isthmus, tmp_path)[0] == 0
    isthmus.connect(real_odoo, "weak", key=real_odoo.low_key, login=real_odoo.low_login)
    code, screen = isthmus("connection", "doctor", "weak")
    assert code == 0, "what can be read but not written is a warning"
    assert "may not create, write res.partner, only read it" in screen
    assert "Contact" in screen.partition("only read it")[2].partition("One of these groups")[2]
    mapping = "\n".join(
        ("mapping: machines", "system: odoo", "system_entity: mrp.workcenter", "canonical: customer",
         "fields:", "  name: {from: name, required: true}")
    )  # fmt: skip
    (tmp_path / "pair" / "mappings").mkdir()
    (tmp_path / "pair" / "mappings" / "machines.yaml").write_text(mapping)
    code, screen = apply(isthmus, tmp_path, PAIR.replace("right: {mapping: odoo-customer", "right: {mapping: machines"))
    assert code == 1
    assert "mrp.workcenter" in screen
    assert "Install the app that brings mrp.workcenter" in screen


def pending(database: Database) -> int:
    with database.transaction() as conn:
        return int(conn.execute(text("select count(*) from change where state <> 'closed'")).scalar_one())


def state(isthmus: Isthmus) -> dict[str, Any]:
    code, screen = isthmus("pair", "list", "--json")
    assert code == 0, screen
    (row,) = json.loads(screen)
    return dict(row)


def test_a_dropped_database_and_a_restored_copy(
    isthmus: Isthmus, real_odoo: RealOdoo, odoo_db: OdooDatabases, tmp_path: Path, database: Database
) -> None:
    linked = odoo_db()
    isthmus.connect(linked)
    isthmus.connect(real_odoo, "other")
    code, screen = apply(isthmus, tmp_path)
    assert code == 0, screen
    linked.call("res.partner", "create", vals_list=[{"name": "Pair one"}])
    code, screen = isthmus("sync", "two", "--all")
    assert code == 0, screen
    before = pending(database)
    assert before == 1

    older = odoo_db()  # every clean database is an older state of one that was worked with
    isthmus.connect(linked, database=older.database)
    message, fix = isthmus.problem()
    assert "a copy or an older restore of the system that was linked" in message
    assert "isthmus connection accept erp" in fix
    work_off(database)
    halted = state(isthmus)
    assert halted["state"] == "halted"
    assert "copy or an older restore" in json.dumps(halted)
    assert pending(database) == before, "nothing is lost meanwhile"

    drop(older)
    isthmus.connect(linked, database=older.database)
    message, fix = isthmus.problem()
    assert f"has no database '{older.database}': it was dropped or renamed, or never there" in message
    assert "Set `database` of the connection" in fix
    work_off(database)
    assert state(isthmus)["state"] == "halted"
    assert pending(database) == before

    isthmus.connect(linked)
    code, screen = isthmus("pair", "resume", "two")
    assert code == 0, screen
    work_off(database)
    assert state(isthmus)["state"] == "active"
    assert pending(database) == 0


def drop(odoo: RealOdoo) -> None:
    """Drop a database that Odoo has open, as an operator might by mistake."""
    with psycopg.connect(odoo.dsn.replace(f"/{odoo.database}?", "/postgres?"), autocommit=True) as conn:
        conn.execute(f'drop database "{odoo.database}" with (force)')


def work_off(database: Database) -> None:
    """What the service would do: drain the pair's lane once."""
    from isthmus.operate.opening import opened

    async def drain() -> None:
        async with opened() as runtime:
            await runtime._drain({"pair": 1, "entity": "customer"})

    asyncio.run(drain())
