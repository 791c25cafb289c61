"""BNG beyond the contract: its switches met by overrides, custom fields, adoption, exact numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from isthmus.sandbox import bng
from isthmus.sdk import (
    ByKeys,
    Connector,
    Create,
    Everything,
    Failed,
    NetworkPolicy,
    Rate,
    Record,
    RefusedByTarget,
    Secret,
    Selection,
    Stale,
    Update,
    Written,
    local_services,
)
from isthmus.sdk.registry import find


@pytest.fixture
async def system() -> AsyncIterator[bng.Running]:
    async with bng.running(bng.Settings()) as up:
        yield up


def connect(system: bng.Running, overrides: dict[str, Any] | None = None) -> Connector:
    settings = {"base_url": system.url, "client_id": system.settings.client_id, "overrides": overrides or {}}
    services = local_services(Rate(0), network=NetworkPolicy(allow_loopback=True))
    return find("bng").make(settings, {"client_secret": Secret(system.settings.client_secret)}, services)


def customer(name: str, **values: Any) -> Create:
    given = {"CompanyName": name, "Email": f"{name}@example.org", **values}
    return Create(external_key=f"x-{name}", values=given, idempotency_key=f"k-{name}")


async def made(ours: Connector, *items: Create) -> list[Written]:
    outcomes = await ours.create("customer", list(items))
    assert all(isinstance(outcome, Written) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Written)]


async def read(ours: Connector, selection: Selection, *paths: str) -> list[Record]:
    return [record async for page in ours.read("customer", selection, paths) for record in page]


@pytest.mark.parametrize("style", ["page", "offset"])
async def test_other_ways_of_paging_are_a_matter_of_overrides(system: bng.Running, style: str) -> None:
    system.sandbox.switch({"paging": style})
    ours = connect(system, {"paging": {"style": style, "size": 3, "total_path": "Paging.TotalCount"}})
    keys = {one.key for one in await made(ours, *(customer(f"c{n}") for n in range(10)))}
    assert {record.key for record in await read(ours, Everything())} == keys
    await ours.close()


async def test_a_put_that_replaces_the_record_loses_nothing(system: bng.Running) -> None:
    system.sandbox.switch({"put": "full"})
    ours = connect(system, {"updates": "full"})
    assert ours.traits.update_is_full
    [one] = await made(ours, customer("ada", Phone="+4973112345", CustomFields={"Region": "South"}))
    change = Update(
        key=one.key, values={"CompanyName": "Ada & Co"}, expect={"CompanyName": "ada"}, version=one.version,
        idempotency_key="u1",
    )  # fmt: skip
    assert isinstance((await ours.update("customer", [change]))[0], Written)
    [now] = await read(ours, ByKeys([one.key]), "CompanyName", "Phone", "CustomFields.Region", "@external_key")
    assert dict(now.values) == {"CompanyName": "Ada & Co", "Phone": "+4973112345", "CustomFields.Region": "South"}
    assert now.external_key == "x-ada"
    late = Update(
        key=one.key, values={"Phone": "1"}, expect={"CompanyName": "ada"}, version=one.version, idempotency_key="u2"
    )
    assert await ours.update("customer", [late]) == [Stale(key=one.key)]
    await ours.close()


async def test_one_custom_field_is_written_without_touching_the_others(system: bng.Running) -> None:
    ours = connect(system)
    [one] = await made(ours, customer("ada", CustomFields={"Region": "South", "Tier": 2}))
    change = Update(
        key=one.key, values={"CustomFields.Region": "North"}, expect={"CustomFields.Region": "South"},
        version=one.version, idempotency_key="u1",
    )  # fmt: skip
    assert isinstance((await ours.update("customer", [change]))[0], Written)
    [now] = await read(ours, ByKeys([one.key]), "CustomFields")
    assert now.values["CustomFields"] == {"Region": "North", "Tier": 2}
    await ours.close()


async def test_what_the_system_describes_beyond_the_manifest_can_be_used_at_once(system: bng.Running) -> None:
    """Without `Website` in the manifest, BNG's own document tells of it."""
    fields = find("bng").manifest.entities["customer"].fields
    less = {name: spec.model_dump(mode="json") for name, spec in fields.items() if name != "Website"}
    manifest = find("bng").manifest.model_dump(mode="json")
    manifest["entities"]["customer"]["fields"] = less
    services = local_services(Rate(0), network=NetworkPolicy(allow_loopback=True))
    settings = {"base_url": system.url, "client_id": system.settings.client_id, "manifest": manifest}
    ours = find("rest").make(settings, {"client_secret": Secret(system.settings.client_secret)}, services)
    [schema] = await ours.describe(["customer"])
    assert [name for name, field in schema.fields.items() if field.custom] == ["Website"]
    [one] = await made(ours, customer("ada", Website="https://ada.example"))
    assert (await read(ours, ByKeys([one.key]), "Website"))[0].values == {"Website": "https://ada.example"}
    await ours.close()


async def test_numbers_stay_exact_however_they_are_written(system: bng.Running) -> None:
    exact = Decimal("99999999999.99")
    for number, wording in enumerate(("string", "number")):
        ours = connect(system, {"wording": {"decimals": wording}})
        [one] = await made(ours, customer(f"c{number}", CreditLimit=exact))
        [now] = await read(ours, ByKeys([one.key]), "CreditLimit")
        assert now.values == {"CreditLimit": exact}
        assert type(now.values["CreditLimit"]) is Decimal
        await ours.close()


async def test_only_a_duplicate_of_our_own_key_is_adopted(system: bng.Running) -> None:
    ours = connect(system)
    [first] = await made(ours, customer("ada"))
    again = Create(external_key="x-ada", values={"CompanyName": "ada", "Email": "b@x.org"}, idempotency_key="other")
    [adopted] = await ours.create("customer", [again])
    assert isinstance(adopted, Written)
    assert (adopted.key, adopted.created) == (first.key, False)
    shared = {"Name": "Hammer", "ProductType": "Stocked", "UnitOfMeasure": "EA", "CurrencyCode": "USD"}
    goods = [
        Create(external_key=f"p{n}", values={"SKU": "H-1", "ListPrice": Decimal(1), **shared}, idempotency_key=f"p{n}")
        for n in range(2)
    ]
    outcomes = await ours.create("product", goods)
    assert [type(outcome) for outcome in outcomes] == [Written, Failed]
    assert isinstance(outcomes[1], Failed)
    assert isinstance(outcomes[1].error, RefusedByTarget)
    assert "SKU" in str(outcomes[1].error)
    await ours.close()
