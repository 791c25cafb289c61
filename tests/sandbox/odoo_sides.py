"""Starts an Odoo sandbox as its own process and lets tests treat it exactly like a real Odoo."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from real_odoo import OdooRefused, RealOdoo

PARTNER, TEMPLATE, VARIANT = "res.partner", "product.template", "product.product"
VALUE_ERROR, VALIDATION = "builtins.ValueError", "odoo.exceptions.ValidationError"
ACCESS, MISSING = "odoo.exceptions.AccessError", "odoo.exceptions.MissingError"
USER_ERROR = "odoo.exceptions.UserError"
HOPELESS = "werkzeug.exceptions.UnprocessableEntity"
QUIET = {"tracking_disable": True}


@contextmanager
def sandbox_process(*arguments: str) -> Iterator[tuple[RealOdoo, dict[str, Any]]]:
    """A sandbox on a free port until the block ends, and the facts of its ready line."""
    command = [sys.executable, "-m", "isthmus.sandbox.odoo", "--port", "0", "--print-ready", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            facts = json.loads(process.stdout.readline())
            yield as_odoo(facts), facts
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


def as_odoo(facts: dict[str, Any]) -> RealOdoo:
    return RealOdoo(
        url=facts["url"],
        database=facts["database"],
        login=facts["login"],
        password=facts["password"],
        api_key=facts["api_key"],
        low_login=facts["low_login"],
        low_key=facts["low_key"],
        admin_login=facts["odoo_admin_login"],
        admin_key=facts["odoo_admin_key"],
    )


@pytest.fixture(scope="module", params=["sandbox", pytest.param("real", marks=pytest.mark.odoo)])
def odoo(request: pytest.FixtureRequest) -> Iterator[RealOdoo]:
    """The sandbox, then the real Odoo 19 (one database for all these tests): the same test must hold on both."""
    if request.param == "real":
        yield request.getfixturevalue("real_odoo")
        return
    with sandbox_process() as (sandbox, _):
        yield sandbox


def refused(odoo: RealOdoo, model: str, method: str, /, **arguments: Any) -> tuple[int, str, str]:
    """The status, name and message of a call that must fail."""
    with pytest.raises(OdooRefused) as refusal:
        odoo.call(model, method, **arguments)
    message = str(refusal.value).split(": ", 1)[1]
    return refusal.value.status, refusal.value.name, message


def partner(odoo: RealOdoo, **values: Any) -> int:
    return int(odoo.call(PARTNER, "create", vals_list=[{"name": "Somebody", **values}], context=QUIET)[0])


def one(odoo: RealOdoo, model: str, record_id: int, *fields: str, **arguments: Any) -> dict[str, Any]:
    return dict(odoo.call(model, "read", ids=[record_id], fields=list(fields), **arguments)[0])


def load(odoo: RealOdoo, model: str, fields: list[str], *rows: list[Any], **context: Any) -> dict[str, Any]:
    return dict(odoo.call(model, "load", fields=fields, data=list(rows), context={**QUIET, **context}))


def raw_post(odoo: RealOdoo, path: str, body: bytes, **headers: str) -> tuple[int, str, str]:
    told = {"Authorization": f"bearer {odoo.api_key}", "Content-Type": "application/json"}
    told |= {"X-Odoo-Database": odoo.database} | {k.replace("_", "-"): v for k, v in headers.items()}
    request = urllib.request.Request(odoo.url + path, body, told)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers.get_content_type(), refusal.read().decode()


def next_second() -> None:
    """Waits until a change would show in a write_date, which tells whole seconds."""
    time.sleep(1.01 - time.time() % 1)


class Receiver(ThreadingHTTPServer):
    """Takes webhooks on a free port and keeps their bodies."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.taken: list[dict[str, Any]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def taken_since(self) -> list[dict[str, Any]]:
        bodies, self.taken = self.taken, []
        return bodies


class _Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append({"headers": dict(self.headers), **json.loads(body)})
        self.server.may_answer.wait(30)
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test output quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.may_answer.set()
        server.shutdown()
        thread.join()
