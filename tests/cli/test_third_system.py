"""A third REST system joins by a manifest alone: described in a file, it is kept in agreement with BNG."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from isthmus.sandbox import bng
from joined import Service, isthmus

CONTRACT = Path(__file__).parents[1] / "contract"
sys.path.append(str(CONTRACT))
from acme import KEY, Acme  # noqa: E402

PAIR = """
pair: third
left: acme
right: bng
settings: {region: US, country: US, currency: USD}
entities:
  customer:
    left: {mapping: acme-person, poll_seconds: 0.3}
    right: {mapping: bng-customer, poll_seconds: 1}
"""
MAPPING = """
mapping: acme-person
version: 1
summary: People of Acme.
system: acme
system_entity: person
canonical: customer
fields:
  name: {from: name, required: true}
  is_company: {from: kind, steps: [{boolean: {"yes": Client, "no": Lead}}]}
  email: {from: mail, steps: [text, email], required: true}
  credit_limit: {from: balance, steps: [{decimal: 2}]}
"""


@pytest.fixture
async def acme() -> AsyncIterator[tuple[Acme, str]]:
    """Acme, and its address."""
    system = Acme()
    server = TestServer(system.app())
    await server.start_server()
    yield system, str(server.make_url("")).rstrip("/")
    await server.close()


@pytest.fixture
async def customers() -> AsyncIterator[bng.Running]:
    """BNG, empty."""
    async with bng.running(bng.Settings()) as up:
        yield up


async def done(*arguments: str) -> None:
    """A command that ends well."""
    said = await isthmus(*arguments)
    assert said.code == 0, f"{arguments}: {said}"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; what never comes ends by the test's own limit."""
    while not condition():
        await asyncio.sleep(0.05)


@pytest.mark.timeout(180)
async def test_a_described_system_and_bng_are_kept_in_agreement(
    home: Path, tmp_path: Path, service: Service, acme: tuple[Acme, str], customers: bng.Running
) -> None:
    system, url = acme
    (home / "connectors").mkdir()
    (home / "connectors" / "acme.yaml").write_text((CONTRACT / "acme_crm" / "manifest.yaml").read_text())
    pair = tmp_path / "pair"
    (pair / "mappings").mkdir(parents=True)
    (pair / "pair.yaml").write_text(PAIR)
    (pair / "mappings" / "acme-person.yaml").write_text(MAPPING)
    for n in range(7):
        system.put(ref=None, mail=f"p{n}@example.com", name=f"Company {n}", kind="C", balance="10.50")

    loopback = ("--set", "allow_loopback=true", "--no-check")
    await done("connection", "add", "acme", "--kind", "acme", "--url", url, "--secret", f"api_key={KEY}", *loopback)
    client = ("--set", f"client_id={customers.settings.client_id}")
    secret = ("--secret", f"client_secret={customers.settings.client_secret}")
    await done("connection", "add", "bng", "--kind", "bng", "--url", customers.url, *client, *secret, *loopback)
    await done("pair", "apply", str(pair))
    await done("load", "third", "--yes")

    def there() -> dict[str, dict[str, object]]:
        store = customers.sandbox.store
        return {doc["Email"]: doc for doc in store.docs_where("customer", "Status", "Active")}

    assert {mail: (doc["CompanyName"], doc["CreditLimit"]) for mail, doc in there().items()} == {
        f"p{n}@example.com": (f"Company {n}", "10.50") for n in range(7)
    }
    system.edit(3, name="Changed in Acme")
    await until(lambda: there()["p2@example.com"]["CompanyName"] == "Changed in Acme")
    entity = customers.sandbox.entity("customer")
    assert entity is not None
    key = str(there()["p5@example.com"]["CustomerID"])
    customers.sandbox.writer.update(entity, key, {"CreditLimit": "0.10"}, origin="people")
    await until(lambda: Decimal(str(system.rows[6]["balance"])) == Decimal("0.10"))
    customers.sandbox.writer.create(entity, {"CompanyName": "Born in BNG", "Email": "new@example.com"}, origin="people")
    await until(lambda: any(row.get("name") == "Born in BNG" for row in system.rows.values()))
    assert len(there()) == len(system.rows) == 8
