"""Puts the protocols, REST routes, page and switches of one sandbox together into a web application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from . import admin, json2, people, rest, rpc
from .faults import Handler
from .server import Sandbox
from .settings import Settings

MAX_BODY = 128 * 1024 * 1024
_SPOILED = ("/json/2", "/jsonrpc", "/xmlrpc", "/api/v1")
"""The paths fault switches act on."""

SANDBOX = web.AppKey("sandbox", Sandbox)


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that answers at `url`."""

    url: str
    settings: Settings
    sandbox: Sandbox


def create_app(settings: Settings) -> web.Application:
    """Return the application of a new sandbox; its rows live as long as it."""
    sandbox = Sandbox(settings)

    @web.middleware
    async def spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(_SPOILED):
            response = await sandbox.faults.around(request, handler)
            if not response.prepared:
                response.force_close()  # Odoo closes the connection after every call
            return response
        return await handler(request)

    app = web.Application(middlewares=[spoil], client_max_size=MAX_BODY)
    app[SANDBOX] = sandbox
    for part in (json2, rpc, rest, admin, people):
        app.add_routes(part.routes(sandbox))

    async def close(_: web.Application) -> None:
        await sandbox.close()

    app.on_cleanup.append(close)
    return app


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Serve a sandbox on the settings' host and port (0: a free one) for as long as the block runs."""
    app = create_app(settings)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        port = runner.addresses[0][1]
        yield Running(f"http://{settings.host}:{port}", settings, app[SANDBOX])
    finally:
        await runner.cleanup()
