"""A running shop with its shoppers and its people, and connectors that speak to it as Isthmus does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from isthmus.connectors.shopify import ShopifyConnector, connector
from isthmus.sandbox.shop import Running, Settings, running
from isthmus.sdk import (
    Create,
    Hint,
    NetworkPolicy,
    Rate,
    Record,
    Scope,
    Secret,
    Selection,
    Services,
    TokenBucket,
    Update,
    Written,
    local_services,
)

HOOK_SECRET = "hooks-secret-of-the-app"


class Shopping:
    """The sandbox from outside: its admin door, its API by hand, and connectors bound to it."""

    def __init__(self, up: Running, session: aiohttp.ClientSession) -> None:
        self.up, self.session = up, session
        self.made: list[ShopifyConnector] = []

    async def door(self, method: str, name: str, body: Any = None, *, status: int = 200, **query: str) -> Any:
        """A call to the sandbox's own switches."""
        headers = {"Authorization": f"Bearer {self.up.settings.admin_key}"}
        url = f"{self.up.url}/sandbox/{name}"
        async with self.session.request(method, url, json=body, headers=headers, params=query) as answer:
            told = await answer.json()
            assert answer.status == status, told
            return told

    async def do(self, name: str, **body: Any) -> Any:
        """Something that shoppers or the shop's people do."""
        return await self.door("POST", name, body)

    async def fault(self, kind: str, **more: Any) -> None:
        """Let something go wrong once, or as told."""
        await self.do("faults", **{"kind": kind, "next": 1, **more})

    async def ask(self, query: str, *, token: str | None = None, version: str = "2026-07", **variables: Any) -> Any:
        """The whole body of an answer of the API."""
        status, body = await self.raw(query, token=token, version=version, **variables)
        assert status == 200, body
        return body

    async def raw(
        self, query: str, *, token: str | None = None, version: str = "2026-07", **variables: Any
    ) -> tuple[int, Any]:
        """Status and body of an answer of the API."""
        headers = {"X-Shopify-Access-Token": token or self.up.settings.access_token}
        url = f"{self.up.url}/admin/api/{version}/graphql.json"
        async with self.session.post(url, json={"query": query, "variables": variables}, headers=headers) as answer:
            return answer.status, await answer.json()

    async def count(self, kind: str) -> int:
        """How many records of a kind the shop has."""
        return int((await self.door("GET", "all", kind=kind, count="1"))["count"])

    async def calls(self) -> dict[str, int]:
        """How often each root field was called."""
        return dict((await self.door("GET", "calls"))["calls"])

    def connect(
        self, *, services: Services | None = None, token: str | None = None, **settings: Any
    ) -> ShopifyConnector:
        """A connector to this shop."""
        made = connector.make(
            {"url": self.up.url, "points_per_second": 0, "poll_overlap": 5, **settings},
            {"access_token": Secret(token or self.up.settings.access_token), "webhook_secret": Secret(HOOK_SECRET)},
            services or local_services(Rate(0), network=NetworkPolicy(allow_loopback=True)),
        )
        assert isinstance(made, ShopifyConnector)
        self.made.append(made)
        return made


def services_with(budget: Any) -> Services:
    """Services with a budget to look at."""
    return Services(budget=budget, network=NetworkPolicy(allow_loopback=True))


def bucket(per_second: float, burst: int) -> TokenBucket:
    """A call budget in points."""
    return TokenBucket(Rate(per_second, burst))


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Shopping]:
    """A fresh shop with two products on the shelf: ten mugs at 19.99 and two caps at 7.50."""
    told = Settings(webhook_secret=HOOK_SECRET, **settings)
    async with running(told) as up, aiohttp.ClientSession() as session:
        shopping = Shopping(up, session)
        yield shopping
        for made in shopping.made:
            await made.close()


async def stocked(shopping: Shopping) -> None:
    """Put the mugs and the caps on the shelf."""
    await shopping.do("product", title="Mug", sku="MUG", price="19.99", cost="4.25", available=10)
    await shopping.do("product", title="Cap", sku="CAP", price="7.50", available=2)


async def read(
    shop: ShopifyConnector, entity: str, selection: Selection, *paths: str, scope: Scope | None = None
) -> list[Record]:
    """Every Record of every page."""
    return [one async for page in shop.read(entity, selection, paths, scope) for one in page]


async def changed(shop: ShopifyConnector, entity: str, cursor: str | None) -> tuple[list[Hint], str]:
    """The hints since a cursor, and the last cursor."""
    hints: list[Hint] = []
    last = cursor or ""
    async for page in shop.changes(entity, cursor):
        hints.extend(page.hints)
        last = page.cursor
    return hints, last


async def made(shop: ShopifyConnector, entity: str, key: str, **values: Any) -> Written:
    """A record made under a key; fails the test otherwise."""
    [outcome] = await shop.create(entity, [new(key, **values)])
    assert isinstance(outcome, Written), outcome
    return outcome


def new(key: str, **values: Any) -> Create:
    """A record to be made."""
    return Create(external_key=key, values=values, idempotency_key=f"idem-{key}")


def change(key: str, values: dict[str, Any], expect: dict[str, Any] | None = None, *, idem: str = "u1") -> Update:
    """Fields to be changed."""
    return Update(key=key, values=values, expect=expect or {}, version=None, idempotency_key=f"{idem}-{key}")


def keys(records: Sequence[Record]) -> list[str]:
    """The keys of records, in order."""
    return [record.key for record in records]


def number(gid: str) -> str:
    """The key in a global id."""
    return gid.rpartition("/")[2]
