"""Fixtures: an installation with both stand-ins connected and a pair between them, by command line and by API."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from isthmus.sandbox import bng as bng_sandbox
from isthmus.sandbox import odoo as odoo_sandbox
from isthmus.store.database import Database

CUSTOMERS = 12

os.environ["COLUMNS"] = "200"
"""How wide the screen is, told before the command line is first imported: no sentence that a test reads is folded."""


@dataclass
class Said:
    """What one command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def command(*arguments: str) -> Said:
    """One `isthmus` command, in this process; whatever it says is caught."""
    from isthmus.cli.main import main

    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


async def isthmus(*arguments: str) -> Said:
    """The same beside a running loop, so that stand-ins in this process go on answering."""
    return await asyncio.to_thread(command, *arguments)


@pytest.fixture
def home(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh installation: its folder, and its database by DATABASE_URL."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ISTHMUS_HOME", str(folder))
    monkeypatch.setenv("DATABASE_URL", database.url.render_as_string(hide_password=False))
    for name in ("ISTHMUS_MASTER_KEY", "ISTHMUS_MASTER_KEY_OLD", "ISTHMUS_MASTER_KEY_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    return folder


@dataclass
class Systems:
    """Both stand-ins, and what people do in them."""

    odoo: odoo_sandbox.Running
    bng: bng_sandbox.Running
    session: aiohttp.ClientSession
    customers: list[int] = field(default_factory=list)

    @property
    def secrets(self) -> dict[str, str]:
        """What a Connection to each of them is given in confidence."""
        return {
            "api_key": self.odoo.settings.api_key,
            "client_secret": self.bng.settings.client_secret,
            "webhook_secret": self.bng.settings.webhook_secret,
        }

    async def in_odoo(self, model: str, method: str, /, **arguments: Any) -> Any:
        return await self._ask(self.odoo, "POST", f"/json/2/{model}/{method}", arguments, self.odoo.settings.api_key)

    async def in_bng(self, verb: str, name: str, /, **told: Any) -> Any:
        """One of the BNG sandbox's switches: what people at BNG do, behind the API."""
        return await self._ask(self.bng, verb, f"/sandbox/{name}", told, self.bng.settings.admin_key)

    async def bng_customers(self) -> list[dict[str, Any]]:
        return list((await self.in_bng("GET", "snapshot", entities="customer"))["customer"])

    async def _ask(self, up: Any, verb: str, path: str, body: Any, key: str) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        async with self.session.request(verb, up.url + path, json=body, headers=headers) as answer:
            told = await answer.json(content_type=None)
            assert answer.status < 400, told
            return told


@pytest.fixture
async def systems() -> AsyncIterator[Systems]:
    """Both stand-ins with a dozen customers in Odoo, half of them known at BNG already."""
    async with AsyncExitStack() as stack:
        odoo = await stack.enter_async_context(odoo_sandbox.running(odoo_sandbox.Settings(port=0)))
        bng = await stack.enter_async_context(bng_sandbox.running(bng_sandbox.Settings(port=0)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        up = Systems(odoo, bng, session)
        rows = [
            {
                "name": f"Customer {n}",
                "email": f"c{n}@example.com",
                "is_company": True,
                "customer_rank": 1,
                "vat": f"US{100_000_000 + n}",
            }
            for n in range(CUSTOMERS)
        ]
        up.customers = await up.in_odoo("res.partner", "create", vals_list=rows)
        known = [
            {"CompanyName": f"Customer {n}", "Email": f"c{n}@example.com", "TaxID": f"US{100_000_000 + n}"}
            for n in range(CUSTOMERS // 2)
        ]
        await up.in_bng("POST", "seed", entity="customer", records=known)
        yield up


def connect_odoo(up: Systems) -> list[str]:
    """The command that connects to the Odoo stand-in."""
    plain = {"database": up.odoo.settings.database, "login": up.odoo.settings.login, "allow_loopback": "true"}
    return _connect("odoo", up.odoo.url, plain, {"api_key": up.secrets["api_key"]})


def connect_bng(up: Systems) -> list[str]:
    """The command that connects to the BNG stand-in."""
    plain = {"client_id": up.bng.settings.client_id, "allow_loopback": "true"}
    return _connect("bng", up.bng.url, plain, {n: up.secrets[n] for n in ("client_secret", "webhook_secret")})


def _connect(kind: str, url: str, plain: dict[str, str], secret: dict[str, str]) -> list[str]:
    out = ["connection", "add", kind, "--kind", kind, "--url", url, "--no-check"]
    for option, values in (("--set", plain), ("--secret", secret)):
        for name, value in values.items():
            out += [option, f"{name}={value}"]
    return out


@pytest.fixture
async def joined(home: Path, systems: Systems) -> Systems:
    """An installation that has both stand-ins connected and the pair `main` between them, nothing loaded yet."""
    for made in (connect_odoo(systems), connect_bng(systems)):
        said = await isthmus(*made)
        assert said.code == 0, said
    said = await isthmus("pair", "add", "main", "--left", "odoo", "--right", "bng")
    assert said.code == 0, said
    return systems


@dataclass
class Service:
    """The running service and a caller with the administrator's token."""

    url: str
    token: str
    session: aiohttp.ClientSession

    async def call(self, verb: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, Any]:
        """Status and JSON of one call of the management API."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        async with self.session.request(verb, f"{self.url}{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def service(home: Path) -> AsyncIterator[Service]:
    """The service of this installation, on a free port of this machine."""
    from isthmus.api.app import create_app
    from isthmus.operate import service as services
    from isthmus.operate.opening import opened
    from isthmus.security.tokens import local_token

    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with opened() as runtime, aiohttp.ClientSession() as session:
        token = await runtime.db.run(local_token, home)
        serving = asyncio.create_task(
            services.serve(runtime, create_app, host="127.0.0.1", port=0, ready=url.set_result, stop=stop)
        )
        await asyncio.wait({serving, url}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        yield Service(await url, token.reveal(), session)
        stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
