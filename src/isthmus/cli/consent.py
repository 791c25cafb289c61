"""`isthmus connection authorize`: a person's consent, given in the browser and received on this machine."""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import typer

from isthmus.cli.session import JSON, actor, err, out, run, say_json

_BACK = "<!doctype html><title>Isthmus</title><p>{0} You can close this window."


def authorize(
    name: str = typer.Argument(help="The Connection, with grant=authorization_code among its settings."),
    port: int = typer.Option(0, "--port", min=0, max=65535, help="Where the browser comes back; 0 takes a free one."),
    redirect_uri: str = typer.Option(
        "", "--redirect-uri", help="Come back there instead; the address is then pasted here."
    ),
    browser: bool = typer.Option(True, "--browser/--no-browser", help="Open the browser, or only show the address."),
    minutes: float = typer.Option(10.0, "--minutes", min=0.001, help="How long to wait for the person."),
    as_json: bool = JSON,
) -> None:
    """Let a person log in to the other system and allow the access; needed once, tokens renew themselves afterwards."""
    from isthmus.operate import connections, consent

    async def work(runtime: Any) -> Any:
        if redirect_uri:
            login = await consent.begin(runtime, name, redirect_uri)
            _show(login.url, browser)
            returned: Mapping[str, str] = await asyncio.to_thread(_pasted)
        else:
            async with _door(port) as (address, arrival):
                login = await consent.begin(runtime, name, address)
                _show(login.url, browser)
                returned = await _awaited(arrival, minutes, name)
        await consent.end(runtime, name, returned, actor())
        return await connections.doctor(runtime, name)

    from isthmus.cli.connection import show, told

    findings = run(work, as_json=as_json)
    if as_json:
        say_json({"connection": name, "findings": [told(f) for f in findings]})
        return
    out.print(f"{name} may be used from now on.", highlight=False)
    show(findings)


@asynccontextmanager
async def _door(port: int) -> AsyncIterator[tuple[str, asyncio.Future[dict[str, str]]]]:
    """Listens on this machine only, until somebody comes back with a state."""
    from aiohttp import web

    arrival: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def back(request: web.Request) -> web.Response:
        if "state" in request.query and not arrival.done():
            arrival.set_result(dict(request.query))
        said = "The login is refused." if "error" in request.query else "The login is on its way."
        return web.Response(text=_BACK.format(said), content_type="text/html")

    app = web.Application()
    app.router.add_get("/", back)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", arrival
    finally:
        await runner.cleanup()


async def _awaited(arrival: asyncio.Future[dict[str, str]], minutes: float, name: str) -> Mapping[str, str]:
    from isthmus.errors import AuthFailed

    try:
        return await asyncio.wait_for(arrival, minutes * 60)
    except TimeoutError:
        raise AuthFailed(
            f"logging in to {name}: nobody came back within {minutes:g} minutes",
            hint="Start it again; on a machine without a browser use --redirect-uri and paste the address.",
        ) from None


def _show(url: str, browser: bool) -> None:
    err.print("Log in and allow the access at this address:", highlight=False)
    err.print(url, highlight=False, markup=False, soft_wrap=True)
    if browser and sys.stdout.isatty():
        webbrowser.open(url)


def _pasted() -> dict[str, str]:
    """The query of the address that the browser ended at."""
    address = str(typer.prompt("Paste the address you came back to", err=True)).strip()
    return dict(parse_qsl(urlsplit(address).query or address.lstrip("?")))
