"""Puts the API and the switches of one shop together into a web application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from ..parts.serving import serving
from . import admin, api
from .service import Shop
from .settings import Settings

SHOP = web.AppKey("shop", Shop)


@dataclass(frozen=True, slots=True)
class Running:
    """A shop that answers at `url`."""

    url: str
    settings: Settings
    shop: Shop


def create_app(settings: Settings) -> web.Application:
    """The application of a new shop; it opens the storage now and closes it when the application is cleaned up."""
    shop = Shop(settings)
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app[SHOP] = shop
    for part in (api, admin):
        app.add_routes(part.routes(shop))

    async def living(_: web.Application) -> AsyncIterator[None]:
        await shop.dispatcher.start()
        yield
        await shop.close()

    app.cleanup_ctx.append(living)
    return app


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Serve a shop on the settings' host and port (0: a free one) for as long as the block runs."""
    app = create_app(settings)
    async with serving(app, settings.host, settings.port) as url:
        yield Running(url, settings, app[SHOP])
