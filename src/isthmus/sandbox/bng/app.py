"""Puts the API, OAuth, the screens and the switches of one sandbox together into a web application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from ..parts.serving import serving
from . import admin, hooks_api, lines_api, oauth_api, records_api, screens, shipping
from .gate import front
from .service import Sandbox
from .settings import Settings

MAX_BODY = 64 * 1024 * 1024

SANDBOX = web.AppKey("sandbox", Sandbox)


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that answers at `url`."""

    url: str
    settings: Settings
    sandbox: Sandbox


def create_app(settings: Settings) -> web.Application:
    """The application of a new sandbox; it opens the storage now and closes it when the application is cleaned up."""
    sandbox = Sandbox(settings)
    app = web.Application(middlewares=[front(sandbox)], client_max_size=MAX_BODY)
    app[SANDBOX] = sandbox
    for part in (records_api, lines_api, shipping, hooks_api, oauth_api, admin, screens):
        app.add_routes(part.routes(sandbox))

    async def living(_: web.Application) -> AsyncIterator[None]:
        await sandbox.dispatcher.start()
        yield
        await sandbox.close()

    app.cleanup_ctx.append(living)
    return app


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Serve a sandbox on the settings' host and port (0: a free one) for as long as the block runs."""
    app = create_app(settings)
    async with serving(app, settings.host, settings.port) as url:
        yield Running(url, settings, app[SANDBOX])
