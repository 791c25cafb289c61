"""A client of the canonical API as tests call it: its token, its requests, and what people see at both ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from joined import Service, Systems

ALL = [
    f"{name}:{right}"
    for name in ("customers", "products", "sales_orders")
    for right in ("read", "write")
] + ["invoices:read", "payments:read", "inventory:read"]  # fmt: skip


@dataclass
class Caller:
    """A client with a token."""

    url: str
    session: aiohttp.ClientSession
    token: str
    client_id: str = ""
    client_secret: str = ""

    async def call(self, verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
        """Status, JSON and headers of one call; header names with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Authorization", f"Bearer {self.token}")
        kind = "data" if isinstance(body, bytes) else "json"
        url = f"{self.url}/api/v1{path}"
        async with self.session.request(verb, url, headers=named, **{kind: body}) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers.copy()

    async def create(self, resource: str, reference: str, **values: Any) -> dict[str, Any]:
        """A record made, with success."""
        status, told, _ = await self.call("POST", f"/{resource}", {"reference": reference, "values": values})
        assert status == 201, told
        return dict(told)


async def token_for(url: str, session: aiohttp.ClientSession, client_id: str, secret: str, scope: str = "") -> Any:
    """The answer of the token endpoint."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    if scope:
        form["scope"] = scope
    async with session.post(f"{url}/oauth/token", data=form) as answer:
        return answer.status, await answer.json()


async def new_client(service: Service, name: str = "till", **more: Any) -> Caller:
    """A client made by the management API, with a token for all it may."""
    given = {"name": name, "pair": "main", "side": "left", "scopes": ALL, "per_minute": 10_000, **more}
    status, made = await service.call("POST", "/api/v1/clients", given)
    assert status == 201, made
    status, told = await token_for(service.url, service.session, made["client_id"], made["client_secret"])
    assert status == 200, told
    return Caller(service.url, service.session, told["access_token"], made["client_id"], made["client_secret"])


async def until(look: Callable[[], Awaitable[Any]], seconds: float = 20.0) -> Any:
    """What a look finds, as soon as it finds something."""
    for _ in range(int(seconds / 0.1)):
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {seconds:.0f} s")


async def at_bng(up: Systems, entity: str, **fields: Any) -> list[dict[str, Any]]:
    """Records of BNG with these values."""
    rows = (await up.in_bng("GET", "snapshot", entities=entity))[entity]
    return [row for row in rows if all(row.get(name) == value for name, value in fields.items())]


async def in_odoo(up: Systems, model: str, *fields: str, **where: Any) -> list[dict[str, Any]]:
    """Records of the Odoo stand-in with these values."""
    domain = [[name, "=", value] for name, value in where.items()]
    return list(await up.in_odoo(model, "search_read", domain=domain, fields=list(fields)))
