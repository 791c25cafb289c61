"""A shop joins by configuration alone: its customers agree with those of BNG, also when a reply is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from shop_visitor import HOOK_SECRET, Shopping, opened

from isthmus.sandbox import bng
from joined import Service, isthmus

PAIR = """
pair: storefront
left: shop
right: bng
settings: {region: US, country: US, currency: USD}
entities:
  customer:
    left: {mapping: shop-customer, poll_seconds: 0.5}
    right: {mapping: bng-customer, poll_seconds: 1}
"""
MAPPING = """
mapping: shop-customer
version: 1
summary: Customers of a shop.
system: shopify
system_entity: customer
canonical: customer
fields:
  name: {from: lastName, required: true}
  email: {from: email, steps: [text, email], required: true}
"""


@pytest.fixture
async def shops() -> AsyncIterator[Shopping]:
    """An empty shop."""
    async with opened() as up:
        yield up


@pytest.fixture
async def customers() -> AsyncIterator[bng.Running]:
    """BNG, empty."""
    async with bng.running(bng.Settings()) as up:
        yield up


async def done(*arguments: str) -> None:
    """A command that ends well."""
    said = await isthmus(*arguments)
    assert said.code == 0, f"{arguments}: {said}"


def named(doc: dict[str, Any]) -> str:
    """The name of a person in BNG."""
    return f"{doc['FirstName']} {doc['LastName']}"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; what never comes ends by the test's own limit."""
    while not condition():
        await asyncio.sleep(0.05)


@pytest.mark.timeout(180)
async def test_customers_of_a_shop_and_of_bng_are_kept_in_agreement(
    tmp_path: Path, service: Service, shops: Shopping, customers: bng.Running
) -> None:
    pair = tmp_path / "pair"
    (pair / "mappings").mkdir(parents=True)
    (pair / "pair.yaml").write_text(PAIR)
    (pair / "mappings" / "shop-customer.yaml").write_text(MAPPING)
    for n in range(7):
        await shops.do("customer", lastName=f"Ada Byron{n}", email=f"p{n}@example.com")

    loopback = ("--set", "allow_loopback=true", "--no-check")
    told = shops.up.settings
    secrets = ("--secret", f"access_token={told.access_token}", "--secret", f"webhook_secret={HOOK_SECRET}")
    few = ("--set", "poll_overlap=10", "--set", "page_size=3", "--set", "request_ceiling=5")
    await done("connection", "add", "shop", "--kind", "shopify", "--url", shops.up.url, *secrets, *few, *loopback)
    await done("connection", "doctor", "shop")
    client = ("--set", f"client_id={customers.settings.client_id}")
    secret = ("--secret", f"client_secret={customers.settings.client_secret}")
    await done("connection", "add", "bng", "--kind", "bng", "--url", customers.url, *client, *secret, *loopback)
    await done("pair", "apply", str(pair))
    await done("load", "storefront", "--yes")

    def there() -> dict[str, dict[str, Any]]:
        store = customers.sandbox.store
        return {doc["Email"]: doc for doc in store.docs_where("customer", "Status", "Active")}

    def here() -> dict[str, dict[str, Any]]:
        return {str(doc["email"]): doc for doc in shops.up.shop.store.all("Customer")}

    assert {mail: named(doc) for mail, doc in there().items()} == {
        f"p{n}@example.com": f"Ada Byron{n}" for n in range(7)
    }
    await shops.do("customer", id=here()["p2@example.com"]["id"], lastName="Ada Changed")
    await until(lambda: named(there()["p2@example.com"]) == "Ada Changed")
    entity = customers.sandbox.entity("customer")
    assert entity is not None
    key = str(there()["p5@example.com"]["CustomerID"])
    customers.sandbox.writer.update(entity, key, {"LastName": "Elsewhere"}, origin="people")
    await until(lambda: here()["p5@example.com"]["lastName"] == "Ada Elsewhere")
    await shops.fault("drop_after_commit", match="customerCreate")
    born = {"FirstName": "Bea", "LastName": "Born", "Email": "new@example.com"}
    customers.sandbox.writer.create(entity, born, origin="people")
    await until(lambda: "new@example.com" in here())
    await until(lambda: customers.sandbox.store.count("customer") == 8)
    await shops.do("customer", id=here()["new@example.com"]["id"], lastName="Bea Grown")
    await until(lambda: named(there()["new@example.com"]) == "Bea Grown")
    assert len(there()) == len(here()) == 8
