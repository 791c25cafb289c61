"""An Odoo connector on a real Odoo, and short ways to try its verbs."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from isthmus.connectors.odoo import OdooConnector, connector
from isthmus.sdk import ByKeys, Create, Hint, NetworkPolicy, Outcome, Record, Secret, Selection, Update, Written
from isthmus.sdk.services import local_services
from real_odoo import RealOdoo

PARTNER, VARIANT, TEMPLATE = "res.partner", "product.product", "product.template"
PROTOCOLS = ("json2", "jsonrpc", "xmlrpc")
_numbers = itertools.count(1)
_run = uuid.uuid4().hex[:8]


@asynccontextmanager
async def speaking(odoo: RealOdoo, *, key: str = "", **settings: Any) -> AsyncIterator[OdooConnector]:
    """The integration user's connector."""
    plain = {"url": odoo.url, "database": odoo.database, "login": odoo.login, **settings}
    network = NetworkPolicy(allow_loopback=True, allow_private=True)
    secrets = {"api_key": Secret(key or odoo.api_key)}
    services = local_services(connector.rate(plain, secrets), network=network, installation="test")
    made = connector.make(plain, secrets, services)
    assert isinstance(made, OdooConnector)
    try:
        yield made
    finally:
        await made.close()


def unique(word: str) -> str:
    """A text that no other test uses."""
    return f"{word} {_run} {next(_numbers)}"


def new(values: Mapping[str, Any], external_key: str = "") -> Create:
    """A record to be made."""
    key = external_key or unique("key").replace(" ", "-")
    return Create(external_key=key, values=dict(values), idempotency_key=key)


def change(key: str, values: Mapping[str, Any], expect: Mapping[str, Any]) -> Update:
    """Fields to be changed where they still are as expected."""
    return Update(key=key, values=dict(values), expect=dict(expect), version=None, idempotency_key=key)


async def made(side: OdooConnector, entity: str, *items: Mapping[str, Any]) -> list[str]:
    """Keys of new records; fails the test when one is refused."""
    outcomes = await side.create(entity, [new(values) for values in items])
    return [written(outcome).key for outcome in outcomes]


def written(outcome: Outcome) -> Written:
    """The outcome of a write that must have taken place."""
    assert isinstance(outcome, Written), getattr(outcome, "error", outcome)
    return outcome


async def found(
    side: OdooConnector, entity: str, selection: Selection, *paths: str, scope: Sequence[Any] | None = None
) -> list[Record]:
    """Every Record of a selection."""
    return [record async for page in side.read(entity, selection, paths, scope) for record in page]


async def one(side: OdooConnector, entity: str, key: str, *paths: str) -> Record:
    """One Record by its key."""
    [record] = await found(side, entity, ByKeys([key]), *paths)
    return record


async def follow(side: OdooConnector, entity: str, cursor: str | None) -> tuple[list[Hint], str]:
    """All hints since a cursor, and the cursor to go on with."""
    hints: list[Hint] = []
    async for page in side.changes(entity, cursor):
        hints.extend(page.hints)
        cursor = page.cursor
    assert cursor is not None
    return hints, cursor
