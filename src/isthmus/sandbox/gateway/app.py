"""Puts the payment API, the query API and the switches of one gateway together into a web application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from ..parts.serving import serving
from . import admin, api
from .service import Gateway
from .settings import Settings

GATEWAY = web.AppKey("gateway", Gateway)


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that answers at `url`."""

    url: str
    settings: Settings
    gateway: Gateway


def create_app(settings: Settings) -> web.Application:
    """The application of a new gateway; it opens the storage now and closes it when the application is cleaned up."""
    gateway = Gateway(settings)
    app = web.Application(client_max_size=2 * 1024 * 1024)
    app[GATEWAY] = gateway
    for part in (api, admin):
        app.add_routes(part.routes(gateway))

    async def living(_: web.Application) -> AsyncIterator[None]:
        await gateway.dispatcher.start()
        yield
        await gateway.close()

    app.cleanup_ctx.append(living)
    return app


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Serve a gateway on the settings' host and port (0: a free one) for as long as the block runs."""
    app = create_app(settings)
    async with serving(app, settings.host, settings.port) as url:
        yield Running(url, settings, app[GATEWAY])
