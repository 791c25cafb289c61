"""A connection to a real Odoo for tests of what is installed there, and the administrator's view of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from isthmus.connectors.odoo.settings import OdooSettings
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import NetworkPolicy, Secret, local_services
from real_odoo import RealOdoo


def settings(odoo: RealOdoo, **more: Any) -> OdooSettings:
    """The integration user's login, as a person would fill it in."""
    plain: dict[str, Any] = {
        "url": odoo.url,
        "database": odoo.database,
        "login": odoo.login,
        "api_key": Secret(odoo.api_key),
        **more,
    }
    return OdooSettings(**plain)


@asynccontextmanager
async def connected(odoo: RealOdoo, **more: Any) -> AsyncIterator[Wire]:
    """The integration user's Wire."""
    told = settings(odoo, **more)
    services = local_services(told.rate(), network=NetworkPolicy(allow_loopback=True, allow_private=True))
    http = services.http(told.url)
    try:
        yield Wire(told, http, services.clock)
    finally:
        await http.close()


def administrator(wire: Wire, odoo: RealOdoo) -> Wire:
    """The same server with the administrator's key."""
    return wire.with_key(odoo.admin_key, odoo.admin_login)


def partners(odoo: RealOdoo, *names: str, **values: Any) -> list[int]:
    """New contacts, made by the integration user."""
    made = odoo.call("res.partner", "create", vals_list=[{"name": name, **values} for name in names])
    return [int(one) for one in made]


def one(odoo: RealOdoo, partner: int, *fields: str) -> dict[str, Any]:
    """Fields of one contact as they are now."""
    (row,) = odoo.call("res.partner", "read", ids=[partner], fields=list(fields), load="")
    return dict(row)
