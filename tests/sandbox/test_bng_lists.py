"""Proves lists: filters, order, walking by cursor, page and offset, and that edits meanwhile lose nothing."""

from __future__ import annotations

from typing import Any

import pytest
from bng_records import ID_FIELDS, PATHS, World
from bng_visitor import Visitor, bng

from isthmus.sandbox.bng.listing import page
from isthmus.sandbox.bng.settings import Switches

__all__ = ["bng"]

ROOTS = sorted(PATHS)


@pytest.fixture
def world(bng: Visitor) -> World:
    return World(bng)


async def customers(bng: Visitor, world: World, count: int) -> list[str]:
    """That many new customers; their ids in the order they were made."""
    out: list[str] = []
    while len(out) < count:
        items = [await world.plain("customer") for _ in range(min(100, count - len(out)))]
        answer = await bng.send("POST", "/api/v1/customers/batch", {"Items": items})
        out += [one["Data"]["CustomerID"] for one in answer.json["Results"]]
    return out


def ids(found: dict[str, Any]) -> list[str]:
    return [record["CustomerID"] for record in found["Data"]]


async def test_a_walk_by_cursor_meets_every_record_once_in_order(bng: Visitor, world: World) -> None:
    made = await customers(bng, world, 250)
    assert [record["CustomerID"] for record in await bng.every("customers", limit=60)] == made
    assert len((await bng.get("customers"))["Data"]) == 100
    assert len((await bng.get("customers", limit=200))["Data"]) == 200
    last = await bng.get("customers", limit=200, cursor=(await bng.get("customers", limit=200))["Paging"]["NextCursor"])
    assert last["Paging"] == {"NextCursor": None, "HasMore": False}


async def test_records_changed_during_a_walk_are_met_again_and_none_is_missed(bng: Visitor, world: World) -> None:
    made = await customers(bng, world, 40)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for number in range(1000):
        found = await bng.get("customers", limit=7, **cursor)
        seen += ids(found)
        if number < 4:
            for key in (made[number], made[-1 - number]):
                await bng.put(f"customers/{key}", {"Phone": str(number)})
        if found["Paging"]["NextCursor"] is None:
            break
        cursor = {"cursor": found["Paging"]["NextCursor"]}
    assert set(seen) == set(made)
    assert seen[-8:] != made[-8:]


@pytest.mark.parametrize("entity", ROOTS)
async def test_updated_since_gives_what_changed_at_or_after_it(bng: Visitor, world: World, entity: str) -> None:
    first, second = [await bng.new(PATHS[entity], await world.plain(entity)) for _ in range(2)]
    key = ID_FIELDS[entity]
    since = second["UpdatedAt"]

    async def found(moment: str) -> list[str]:
        records = await bng.every(PATHS[entity], UpdatedSince=moment, limit=1)
        return [r[key] for r in records if r[key] in (first[key], second[key])]

    assert await found(since) == [second[key]]
    await bng.put(f"{PATHS[entity]}/{first[key]}", {"CustomFields": {"n": 1}})
    assert await found(since) == [second[key], first[key]]
    assert await found("2999-01-01T00:00:00Z") == []
    assert await found("2020-01-01T00:00:00+02:00") == [second[key], first[key]]


FILTERS = [
    ("customer", "Email"), ("customer", "Status"), ("customer", "TaxID"), ("product", "SKU"), ("product", "Status"),
    ("product", "Barcode"), ("sales_order", "CustomerID"), ("sales_order", "Status"), ("sales_order", "OrderNumber"),
    ("invoice", "CustomerID"), ("invoice", "VendorID"), ("invoice", "Status"), ("invoice", "InvoiceNumber"),
    ("payment", "CustomerID"), ("payment", "Status"), ("payment", "GatewayTransactionID"),
    ("inventory_item", "ProductID"), ("inventory_item", "SKU"), ("inventory_item", "WarehouseCode"),
    ("inventory_item", "Status"), ("vendor", "Email"), ("vendor", "Status"), ("purchase_order", "VendorID"),
    ("purchase_order", "Status"), ("purchase_order", "PONumber"), ("gl_entry", "Status"), ("gl_entry", "EntryNumber"),
    ("employee", "WorkEmail"), ("employee", "Status"),
]  # fmt: skip


@pytest.mark.parametrize(("entity", "field"), FILTERS)
async def test_a_list_can_be_filtered_by_a_field(bng: Visitor, world: World, entity: str, field: str) -> None:
    if entity == "payment" and field == "CustomerID":
        await world.known("payment")
    made = await bng.new(PATHS[entity], await world.full(entity))
    records = await bng.every(PATHS[entity])
    value = made[field]
    assert value is not None
    expected = [r for r in records if r[field] == value]
    assert made in expected
    assert await bng.every(PATHS[entity], **{field: value}) == expected
    assert await bng.every(PATHS[entity], **{field: [value, "else"]}, limit=1) == expected
    assert (await bng.get(PATHS[entity], **{field: "else"}))["Data"] == []


async def test_an_email_is_compared_in_lower_case(bng: Visitor, world: World) -> None:
    made = await bng.new("customers", await world.plain("customer") | {"Email": "Ada.Byron@Example.com"})
    assert made["Email"] == "Ada.Byron@Example.com"
    assert (await bng.get("customers", Email="ada.byron@EXAMPLE.com"))["Data"] == [made]


async def test_several_ids_and_external_ids_are_read_in_one_call(bng: Visitor, world: World) -> None:
    made = await customers(bng, world, 120)
    records = await bng.every("customers", IDs=",".join([*made, "none"]))
    assert {record["CustomerID"] for record in records} == set(made)
    external = ",".join(record["ExternalID"] for record in records[:5])
    assert {r["CustomerID"] for r in (await bng.get("customers", ExternalIDs=external))["Data"]} == set(made[:5])
    refused = await bng.send("GET", "/api/v1/customers", IDs=",".join(["x"] * 201))
    assert (refused.status, refused.error["Code"]) == (400, "InvalidParameter")


async def test_filters_are_combined_and_walked_like_the_whole_list(bng: Visitor, world: World) -> None:
    made = await customers(bng, world, 30)
    for key in made[::2]:
        await bng.put(f"customers/{key}", {"Status": "OnHold"})
    for key in made[::3]:
        await bng.put(f"customers/{key}", {"Status": "Inactive"})
    since = (await bng.get(f"customers/{made[10]}"))["UpdatedAt"]
    expected = [
        record
        for record in await bng.every("customers")
        if record["Status"] in ("OnHold", "Inactive") and record["UpdatedAt"] >= since
    ]
    assert len(expected) > 10
    found = await bng.every("customers", Status=["OnHold", "Inactive"], UpdatedSince=since, limit=3)
    assert found == expected


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"limit": 0}, "InvalidParameter"),
        ({"limit": 201}, "InvalidParameter"),
        ({"limit": "ten"}, "InvalidParameter"),
        ({"cursor": "nonsense"}, "InvalidCursor"),
        ({"cursor": "WzFd"}, "InvalidCursor"),
        ({"UpdatedSince": "yesterday"}, "InvalidParameter"),
        ({"UpdatedSince": "2026-01-01"}, "InvalidParameter"),
        ({"Colour": "red"}, "UnknownParameter"),
        ({"page": 1}, "UnknownParameter"),
    ],
)
async def test_a_wrong_parameter_is_told(bng: Visitor, params: dict[str, Any], code: str) -> None:
    answer = await bng.send("GET", "/api/v1/customers", **params)
    assert (answer.status, answer.error["Code"]) == (400, code)
    assert next(iter(params)) in answer.error["Message"]


@pytest.mark.parametrize(("style", "step"), [("page", 1), ("offset", 20)])
async def test_lists_can_be_walked_by_number_when_the_switch_says_so(
    bng: Visitor, world: World, style: str, step: int
) -> None:
    made = await customers(bng, world, 50)
    await bng.switch("PUT", "settings", paging=style)
    seen: list[str] = []
    number = 1 if style == "page" else 0
    while True:
        found = await bng.get("customers", limit=20, **{style: number})
        assert found["Paging"]["TotalCount"] == 50
        seen += ids(found)
        number += step
        if not found["Paging"]["HasMore"]:
            break
    assert seen == made
    assert (await bng.send("GET", "/api/v1/customers", cursor="x")).status == 400


async def test_no_list_and_no_look_up_reads_the_whole_table(bng: Visitor, world: World) -> None:
    """Each query must be answered through an index, and only a bounded set of rows sorted."""
    from multidict import MultiDict

    store = bng.up.sandbox.store
    asked: list[str] = []
    store.db.set_trace_callback(asked.append)
    first = await customers(bng, world, 3)
    cursor = (await bng.get("customers", limit=1))["Paging"]["NextCursor"]
    for entity in bng.up.sandbox.catalogue.roots:
        queries = [{f.name: "x"} for f in entity.columns] + [
            {"IDs": "a,b"},
            {"ExternalIDs": "a,b"},
            {"ExternalID": "a"},
        ]
        queries += [{"UpdatedSince": "2026-01-01T00:00:00Z", "cursor": cursor}, {"Status": "x", "cursor": cursor}, {}]
        for query in queries:
            known = {f.name for f in entity.columns} | {"IDs", "ExternalIDs", "ExternalID", "UpdatedSince", "cursor"}
            if query.keys() <= known:
                page(store, entity, MultiDict(query), Switches())
    await bng.put(f"customers/{first[0]}", {"ParentCustomerID": first[1]})
    await bng.new("payments", await world.full("payment"))
    await bng.new("invoices", await world.full("invoice"))
    await bng.new("inventory_items", await world.full("inventory_item"))
    store.db.set_trace_callback(None)
    selects = {query for query in asked if query.startswith("SELECT")}
    assert len(selects) > 100
    for query in selects:
        plan = [row[3] for row in store.db.execute(f"EXPLAIN QUERY PLAN {query}")]
        walked = [
            step for step in plan if step.startswith("SCAN") and not (" USING INDEX " in step and "LIMIT" in query)
        ]
        assert not walked, (query, plan)
        sorted_rows = any("TEMP B-TREE" in step for step in plan)
        assert not sorted_rows or " IN (" in query or "= 'x'" in query, (query, plan)
