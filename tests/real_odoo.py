"""Gives tests a real Odoo 19: the project's own rig, or the one ISTHMUS_TEST_ODOO_URL names."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

RIG = Path(__file__).parent.parent / "tools" / "odoo" / "rig.py"
_EXIT_UNAVAILABLE = 3
_GIVEN = "ISTHMUS_TEST_ODOO_"

_LEFT_OUT = "left out, no real Odoo on this machine: "


@dataclass(frozen=True)
class RealOdoo:
    """How to reach one database of a real Odoo 19. What the given server lacks is an empty string.

    `dsn` is a superuser's, over the rig's Unix socket; a given server has none.
    """

    url: str
    database: str
    login: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)
    low_login: str = ""
    low_password: str = field(default="", repr=False)
    low_key: str = field(default="", repr=False)
    admin_login: str = ""
    admin_password: str = field(default="", repr=False)
    admin_key: str = field(default="", repr=False)
    dsn: str = ""

    def call(self, model: str, method: str, /, with_key: str | None = None, **arguments: Any) -> Any:
        """One JSON-2 call, as the integration user unless `with_key`; `OdooRefused` on an HTTP error."""
        if with_key == "":
            pytest.skip("needs a key that was not given beside ISTHMUS_TEST_ODOO_URL")
        request = urllib.request.Request(
            f"{self.url}/json/2/{model}/{method}",
            data=json.dumps(arguments).encode(),
            headers={
                "Authorization": f"bearer {self.api_key if with_key is None else with_key}",
                "Content-Type": "application/json",
                "X-Odoo-Database": self.database,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise OdooRefused(refusal.code, refusal.read().decode(errors="replace")) from None

    def run_on_server(self, script: str) -> str:
        """Runs Python source in `odoo shell` (it has `env` and must commit); returns what it printed."""
        if not self.dsn:
            pytest.skip("needs server-side code, which a server given by ISTHMUS_TEST_ODOO_URL cannot run")
        return _rig("shell-exec", self.database, "-", script=script + _TELL_THE_OTHERS)


_TELL_THE_OTHERS = "\nenv.registry.signal_changes()\n"
"""The server's workers notice fields and caches that a script changed; a request of theirs does this by itself."""


class OdooRefused(Exception):
    """Odoo answered with an HTTP error; `name` is the exception's name when the body tells one."""

    def __init__(self, status: int, body: str) -> None:
        try:
            parsed = json.loads(body)
            self.name, message = str(parsed["name"]), str(parsed["message"])
        except (ValueError, KeyError, TypeError):
            self.name, message = "", body[:200]
        self.status = status
        super().__init__(f"{status} {self.name}: {message}")


class _RigFailed(Exception):
    def __init__(self, code: int, said: str) -> None:
        self.code = code
        super().__init__(said)


OdooDatabases = Callable[[], RealOdoo]


@pytest.fixture(scope="session")
def odoo_server() -> RealOdoo:
    """The running server with its default database, which tests leave alone; see `real_odoo`."""
    if os.environ.get(f"{_GIVEN}URL"):
        return _given_server()
    unavailable = ""
    try:
        return _access(_rig("up", "--json"))
    except _RigFailed as failure:
        if failure.code != _EXIT_UNAVAILABLE:
            raise
        unavailable = str(failure)
    if os.environ.get("CI") == "true":
        pytest.fail(f"bringing the real Odoo up: {unavailable}", pytrace=False)
    pytest.skip(f"{_LEFT_OUT}{unavailable}")


@pytest.fixture(scope="session")
def real_odoo(odoo_server: RealOdoo) -> Iterator[RealOdoo]:
    """One clean database for this whole test session; on a given server, the database that was given."""
    if not odoo_server.dsn:
        yield odoo_server
        return
    made = _fresh()
    yield made
    _rig("drop", made.database)


@pytest.fixture(scope="module")
def odoo_databases(odoo_server: RealOdoo) -> Iterator[OdooDatabases]:
    """Makes clean databases of a test module's own (a second each), dropped after the module."""
    yield from _factory(odoo_server)


@pytest.fixture
def odoo_db(odoo_server: RealOdoo) -> Iterator[OdooDatabases]:
    """Makes clean databases of one test's own (a second each), dropped after the test."""
    yield from _factory(odoo_server)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test that reaches for Odoo, so that `-m "not odoo"` leaves all of them out."""
    for item in items:
        if "odoo_server" in getattr(item, "fixturenames", ()):
            item.add_marker("odoo")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says in one line that the tests against a real Odoo did not run, and why."""
    for report in terminalreporter.stats.get("skipped", []):
        _, found, reason = str(report.longrepr).partition(_LEFT_OUT)
        if found:
            terminalreporter.write_line(f"LEFT OUT: every test against a real Odoo 19, because: {reason}", yellow=True)
            return


def _factory(server: RealOdoo) -> Iterator[OdooDatabases]:
    if not server.dsn:
        pytest.skip("needs clean databases, which a server given by ISTHMUS_TEST_ODOO_URL does not offer")
    made: list[str] = []

    def make() -> RealOdoo:
        database = _fresh()
        made.append(database.database)
        return database

    yield make
    if made:
        _rig("drop", *made)


def _fresh() -> RealOdoo:
    # the rig drops names of this form when they are a day old, should this run be killed
    return _access(_rig("fresh", "--json", f"test_{int(time.time()):08x}_{uuid.uuid4().hex[:8]}"))


def _given_server() -> RealOdoo:
    def given(name: str, otherwise: str | None = None) -> str:
        value = os.environ.get(f"{_GIVEN}{name}", otherwise)
        if value is None:
            pytest.fail(f"taking the Odoo of {_GIVEN}URL: {_GIVEN}{name} is not set as well", pytrace=False)
        return value

    return RealOdoo(
        url=given("URL").rstrip("/"),
        database=given("DB"),
        login=given("LOGIN", ""),
        password=given("PASSWORD", ""),
        api_key=given("KEY"),
        low_key=given("LOW_KEY", ""),
        admin_key=given("ADMIN_KEY", ""),
    )


def _access(printed: str) -> RealOdoo:
    facts = json.loads(printed)
    return RealOdoo(**{name: facts[name] for name in RealOdoo.__dataclass_fields__})


def _rig(*arguments: str, script: str = "") -> str:
    done = subprocess.run(
        [sys.executable, str(RIG), *arguments], input=script, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if not line.startswith("[odoo rig")]
        raise _RigFailed(done.returncode, "\n".join(said))
    return done.stdout
