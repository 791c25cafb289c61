"""Proves the sandbox's own switches: the key, seeds, edits by people, merges, deletions, settings, counts."""

from __future__ import annotations

from typing import Any

import pytest
from bng_records import ID_FIELDS, PATHS, World
from bng_visitor import Visitor, bng

__all__ = ["bng"]


@pytest.fixture
def world(bng: Visitor) -> World:
    return World(bng)


async def asked(bng: Visitor, method: str, name: str, told: Any) -> Any:
    key = {"Authorization": f"Bearer {bng.up.settings.admin_key}"}
    return await bng.send(method, f"/sandbox/{name}", told, headers=key)


async def test_the_switches_open_with_the_admin_key_only(bng: Visitor) -> None:
    for method, name in (("POST", "reset"), ("GET", "snapshot"), ("PUT", "settings"), ("POST", "faults")):
        for proof in ({}, {"Authorization": "Bearer wrong"}):
            answer = await bng.send(method, f"/sandbox/{name}", {}, headers=proof)
            assert (answer.status, answer.error["Code"]) == (401, "Unauthorized")


async def test_seeds_are_stored_all_or_none_with_the_ids_they_bring(bng: Visitor, world: World) -> None:
    records = [await world.plain("customer") for _ in range(250)]
    records[0]["CustomerID"] = "the-first"
    del records[1]["ExternalID"]
    told = await bng.switch("POST", "seed", entity="customer", records=records)
    assert (len(told["ids"]), told["ids"][0]) == (250, "the-first")
    assert (await bng.get("customers/the-first"))["CompanyName"] == records[0]["CompanyName"]
    assert (await bng.get(f"customers/{told['ids'][1]}"))["ExternalID"] is None, "people at BNG know no other system"
    more = [await world.plain("customer"), {"CompanyName": "no address"}]
    answer = await asked(bng, "POST", "seed", {"entity": "customers", "records": more})
    assert ("Email", "Required") in answer.complaints
    again = await asked(bng, "POST", "seed", {"entity": "customer", "records": [more[0] | {"CustomerID": "the-first"}]})
    assert again.complaints == {("CustomerID", "Duplicate")}
    assert (await bng.switch("GET", "counts"))["customer"] == 250


@pytest.mark.parametrize("entity", sorted(PATHS))
async def test_people_create_and_change_records_of_every_entity(bng: Visitor, world: World, entity: str) -> None:
    values = await world.plain(entity)
    made = await bng.switch("POST", "edit", entity=entity, values=values)
    key = made[ID_FIELDS[entity]]
    changed = await bng.switch("POST", "edit", entity=entity, id=key, values={"CustomFields": {"by": "Ann"}})
    assert changed == await bng.get(f"{PATHS[entity]}/{key}")
    assert (changed["Version"], changed["CustomFields"]) == (2, {"by": "Ann"})


async def test_people_may_take_an_external_id_away(bng: Visitor, world: World) -> None:
    customer = await world.known("customer")
    key = customer["CustomerID"]
    assert (await bng.refused("PUT", f"customers/{key}", {"ExternalID": None})).status == 400
    changed = await bng.switch("POST", "edit", entity="customer", id=key, values={"ExternalID": None})
    assert changed["ExternalID"] is None
    again = await bng.put(f"customers/{key}", {"ExternalID": "given back"})
    assert again["ExternalID"] == "given back"


async def test_merged_records_are_gone_and_what_pointed_to_them_points_to_the_survivor(
    bng: Visitor, world: World
) -> None:
    loser = await world.known("customer")
    survivor = await bng.new("customers", await world.plain("customer") | {"ParentCustomerID": loser["CustomerID"]})
    order, entry = [await bng.new(PATHS[e], await world.full(e)) for e in ("sales_order", "gl_entry")]
    keep, gone = survivor["CustomerID"], loser["CustomerID"]
    await bng.switch("POST", "merge", entity="customer", survivor=keep, losers=[gone])
    answer = await bng.refused("GET", f"customers/{gone}")
    assert (answer.status, answer.error["Merged"], answer.error["MergedInto"]) == (404, True, keep)
    assert (await bng.refused("PUT", f"customers/{gone}", {"Phone": "1"})).error["MergedInto"] == keep
    assert (await bng.get(f"customers/{keep}"))["ParentCustomerID"] is None
    assert (await bng.get(f"customers/{keep}"))["Version"] == 2
    assert (await bng.get(f"sales_orders/{order['SalesOrderID']}"))["CustomerID"] == keep
    lines = (await bng.get(f"gl_entries/{entry['GLEntryID']}"))["Lines"]
    assert {line["CustomerID"] for line in lines} == {keep}
    await bng.switch("PUT", "settings", merged="redirect")
    assert (await bng.get(f"customers/{gone}"))["CustomerID"] == keep
    assert [r["CustomerID"] for r in (await bng.get("customers", IDs=gone))["Data"]] == [keep]
    third = (await bng.new("customers", await world.plain("customer")))["CustomerID"]
    await bng.switch("POST", "merge", entity="customer", survivor=third, losers=[keep])
    assert (await bng.get(f"customers/{gone}"))["CustomerID"] == third
    oneself = await asked(bng, "POST", "merge", {"entity": "customer", "survivor": third, "losers": [third]})
    assert oneself.complaints == {("losers", "SelfReference")}


async def test_deleted_records_are_gone_for_good(bng: Visitor, world: World) -> None:
    made = await bng.new("customers", await world.plain("customer"))
    await bng.switch("POST", "delete", entity="customer", ids=[made["CustomerID"]])
    answer = await bng.refused("GET", f"customers/{made['CustomerID']}")
    assert (answer.status, "MergedInto" in answer.error) == (404, False)
    assert (await asked(bng, "POST", "delete", {"entity": "customer", "ids": ["none"]})).status == 404


async def test_a_snapshot_shows_everything_and_a_reset_empties_it(bng: Visitor, world: World) -> None:
    for entity in PATHS:
        await world.known(entity)
    whole = await bng.switch("GET", "snapshot")
    assert {entity: len(records) for entity, records in whole.items()} == dict.fromkeys(PATHS, 1)
    some = await bng.switch("GET", "snapshot", entities="customer,vendor")
    assert some == {"customer": whole["customer"], "vendor": whole["vendor"]}
    system = await bng.get("system")
    await bng.switch("PUT", "settings", put="full")
    await bng.switch("POST", "reset")
    assert set((await bng.switch("GET", "counts")).values()) == {0}
    assert (await bng.switch("GET", "settings"))["put"] == "partial"
    assert await bng.get("system") == system, "the token and the system stay"
    await bng.switch("POST", "reset", new_system=True)
    assert (await bng.get("system"))["SystemID"] != system["SystemID"]


async def test_calls_writes_and_webhooks_are_counted(bng: Visitor, world: World) -> None:
    made = await world.known("customer")
    await bng.get(f"customers/{made['CustomerID']}")
    told = await bng.switch("GET", "calls")
    assert told["calls"]["POST /api/v1/customers"] == 1
    assert told["calls"]["GET /api/v1/customers/{key}"] == 1
    assert told["writes"] == {"customer.created": 1}
    assert told["webhooks"] == {"waiting": 0, "failed": 0}


async def test_a_wrong_switch_is_told_and_turns_nothing(bng: Visitor) -> None:
    for told in ({"put": "sometimes"}, {"gravity": 1}, {"rate_per_second": "fast", "put": "full"}):
        assert (await asked(bng, "PUT", "settings", told)).status == 400
    assert (await bng.switch("GET", "settings"))["put"] == "partial"
    for name, told in (("seed", {"entity": "moon"}), ("seed", {"entity": "customer"}), ("merge", {}), ("edit", [])):
        answer = await asked(bng, "POST", name, told)
        assert (answer.status, answer.error["Code"]) == (400, "ValidationFailed"), (name, told)
    unknown = await asked(bng, "POST", "clients", {"id": "x", "scopes": ["moon:read"]})
    assert unknown.complaints == {("scopes", "NotInList")}
