"""A person's consent by authorization code with PKCE, by command line and API; and what becomes of old secrets."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest

from isthmus.sandbox import bng
from joined import Service, isthmus

CLIENT = "consent-client"
SECRET = "consent-secret-123"


@pytest.fixture
async def system() -> AsyncIterator[bng.Running]:
    """BNG, where everybody who asks is allowed at once."""
    settings = bng.Settings(
        client_id=CLIENT,
        client_secret=SECRET,
        redirect_uris=("https://isthmus.example/back",),
        switches=bng.Switches(auto_approve=True),
    )
    async with bng.running(settings) as up:
        yield up


async def connect(system: bng.Running, grant: str = "authorization_code") -> None:
    """A Connection that needs a person's consent."""
    said = await isthmus(
        "connection", "add", "bng", "--kind", "bng", "--url", system.url, "--set", f"client_id={CLIENT}",
        "--set", f"grant={grant}", "--set", "allow_loopback=true", "--set", "calls_per_second=0",
        "--secret", f"client_secret={SECRET}", "--no-check",
    )  # fmt: skip
    assert said.code == 0, said


async def status_of_login() -> str:
    """What the doctor finds about the login."""
    findings = (await isthmus("connection", "doctor", "bng", "--json")).json
    return str(next(one["status"] for one in findings if one["check"] == "login"))


@asynccontextmanager
async def authorizing(*options: str) -> AsyncIterator[tuple[str, asyncio.Task[int]]]:
    """The command under way: the address it shows, and its exit code to come."""
    from isthmus.cli.main import main

    def run() -> int:
        try:
            main(["connection", "authorize", "bng", "--no-browser", "--json", "--minutes", "0.5", *options])
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    told = io.StringIO()
    with redirect_stderr(told), redirect_stdout(io.StringIO()):
        ending = asyncio.create_task(asyncio.to_thread(run))
        while not (found := re.search(r"^http\S+$", told.getvalue(), re.MULTILINE)) and not ending.done():
            await asyncio.sleep(0.01)
        assert found, told.getvalue()
        yield found.group(0), ending
        await ending


async def follow(url: str, **more: Any) -> tuple[int, str]:
    """Visit an address as a browser does."""
    async with aiohttp.ClientSession() as session, session.get(url, **more) as answer:
        return answer.status, await answer.text()


async def test_a_person_allows_the_access_in_the_browser(home: Path, system: bng.Running) -> None:
    await connect(system)
    assert await status_of_login() == "problem"
    async with authorizing() as (url, ending):
        assert "code_challenge_method=S256" in url
        assert (await follow(url))[1].startswith("<!doctype html><title>Isthmus</title><p>The login is on its way.")
        assert await ending == 0
    assert await status_of_login() == "ok"
    system.sandbox.tokens.revoke_all("access")
    assert await status_of_login() == "ok", "the refresh token brings a new one"
    system.sandbox.tokens.revoke_all("access")
    system.sandbox.tokens.revoke_all("refresh")
    findings = (await isthmus("connection", "doctor", "bng", "--json")).json
    problems = [one["fix"] for one in findings if one["status"] == "problem"]
    assert problems
    assert all("log in again" in fix for fix in problems)


async def test_a_refusal_is_told_as_one(home: Path, system: bng.Running) -> None:
    await connect(system)
    async with authorizing() as (url, ending):
        back, state = (re.search(rf"{name}=([^&]+)", url).group(1) for name in ("redirect_uri", "state"))  # type: ignore[union-attr]
        await follow(f"{unquote(back)}?error=access_denied&state={state}")
        assert await ending == 1
    assert await status_of_login() == "problem"


async def test_nobody_coming_back_ends_the_wait(home: Path, system: bng.Running) -> None:
    await connect(system)
    async with authorizing("--minutes", "0.005") as (_, ending):
        assert await ending == 1


async def test_a_connection_with_its_own_secrets_needs_nobody(home: Path, system: bng.Running) -> None:
    await connect(system, grant="client_credentials")
    said = await isthmus("connection", "authorize", "bng", "--json")
    assert said.code == 1
    assert "needs nobody's consent" in said.json["error"]["doing"]


async def test_the_api_sends_a_person_off_and_takes_them_back(service: Service, system: bng.Running) -> None:
    made = {
        "name": "person",
        "kind": "bng",
        "settings": {"url": system.url, "client_id": CLIENT, "grant": "authorization_code", "allow_loopback": True},
        "secrets": {"client_secret": SECRET},
    }
    assert (await service.call("POST", "/api/v1/connections", made))[0] == 201
    _, begun = await service.call("POST", "/api/v1/connections/person/authorize", {"base_url": service.url})
    assert begun["redirect_uri"] == f"{service.url}/consent/person"
    status, said = await follow(begun["url"])
    assert (status, "may be used" in said) == (200, True)
    findings = (await service.call("GET", "/api/v1/connections/person/doctor"))[1]
    assert {one["check"]: one["status"] for one in findings}["login"] == "ok"
    status, said = await follow(begun["url"])
    assert (status, "no login was begun" in said) == (400, True), "it works once"


async def test_the_webhook_secret_that_makes_way_is_still_accepted(
    home: Path, service: Service, system: bng.Running
) -> None:
    await connect(system, grant="client_credentials")
    assert (await service.call("POST", "/api/v1/connections/bng/hooks", {"base_url": service.url}))[0] == 200
    said = await isthmus("connection", "rotate", "bng", "--secret", "webhook_secret=quite-another-secret", "--json")
    assert said.code == 0, said
    listed = (await isthmus("connection", "list", "--json")).out
    assert "quite-another-secret" not in listed
    from isthmus.operate.opening import opened
    from isthmus.operate.secrets import open_secrets
    from isthmus.store import connections

    async with opened() as runtime:
        row = await runtime.db.run(connections.get, "bng")
        kept = await runtime.db.run(open_secrets, runtime.keys, row.id)
    assert kept["webhook_secret"].reveal() == "quite-another-secret"
    assert kept["webhook_secret_previous"].reveal() not in ("", "quite-another-secret")
