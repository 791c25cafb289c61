"""Customers and products by the canonical API: they stand in Odoo at once and reach BNG by the lane."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from calling import Caller, at_bng, in_odoo, new_client, until
from isthmus.store.database import Database
from joined import Service, Systems

ADDRESS = {"line1": "Kaai 7", "city": "Gent", "postal_code": "9000", "country": "BE"}
ACME = {"name": "Acme", "is_company": True, "email": "acme@example.com", "tax_id": "BE0477472701", "billing": ADDRESS}


@pytest.fixture
async def till(joined: Systems, service: Service) -> Caller:
    """A running pair with nothing left to load, and a client that writes to Odoo."""
    status, loaded = await service.call("POST", "/api/v1/pairs/main/load", {})
    assert status == 200, loaded
    return await new_client(service)


def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    from sqlalchemy import text

    with database.transaction() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


async def test_a_customer_stands_in_odoo_at_once_and_reaches_bng(
    till: Caller, joined: Systems, database: Database
) -> None:
    status, told, headers = await till.call("POST", "/customers", {"reference": "W-1", "values": ACME})
    assert status == 201, told
    assert headers["Location"] == f"/api/v1/customers/{told['key']}"
    assert (told["reference"], told["active"], told["warnings"]) == ("W-1", True, [])
    assert {**told["values"], **ACME} == told["values"]
    [there] = await in_odoo(joined, "res.partner", "name", "email", "vat", "city", "customer_rank", id=int(told["key"]))
    assert (there["name"], there["email"], there["city"]) == ("Acme", "acme@example.com", "Gent")
    assert there["customer_rank"] == 1
    [at_other] = await until(lambda: at_bng(joined, "customer", CompanyName="Acme"))
    assert (at_other["Email"], at_other["TaxID"]) == ("acme@example.com", "BE0477472701")
    [entry] = rows(
        database, "select action, entity, side, key, why ->> 'reference' from audit where actor = 'client till'"
    )
    assert entry == ("create", "customer", "left", told["key"], "W-1")
    assert rows(database, "select state, key from client_intent") == [("confirmed", told["key"])]


async def test_a_change_is_carried_on_and_what_is_left_out_stays(till: Caller, joined: Systems) -> None:
    made = await till.create("customers", "W-1", **ACME)
    await until(lambda: at_bng(joined, "customer", CompanyName="Acme"))
    path = f"/customers/{made['key']}"
    status, told, _ = await till.call("PUT", path, {"values": {"name": "Acme Two", "notes": "called"}})
    assert status == 200, told
    assert (told["values"]["name"], told["values"]["email"]) == ("Acme Two", "acme@example.com")
    await until(lambda: at_bng(joined, "customer", CompanyName="Acme Two"))
    assert (await till.call("PUT", path, {"values": {"notes": None}}))[1]["values"]["notes"] is None
    status, told, headers = await till.call("GET", path)
    assert (status, told["values"]["name"], told["reference"]) == (200, "Acme Two", "W-1")
    assert headers["ETag"] == f'"{told["version"]}"'


async def test_what_is_read_may_be_sent_back_whole_and_changes_nothing(till: Caller, database: Database) -> None:
    made = await till.create("customers", "W-1", **ACME)
    _, read, _ = await till.call("GET", f"/customers/{made['key']}")
    status, told, _ = await till.call("PUT", f"/customers/{made['key']}", {"values": read["values"]})
    assert status == 200, told
    assert rows(database, "select count(*) from client_intent where action = 'update'") == [(0,)]


async def test_a_version_that_has_passed_is_refused(till: Caller) -> None:
    made = await till.create("customers", "W-1", **ACME)
    path, body = f"/customers/{made['key']}", {"values": {"name": "New"}}
    status, told, _ = await till.call("PUT", path, body, If_Match='"2001-01-01 00:00:00"')
    assert (status, told["code"]) == (412, "moved")
    status, told, _ = await till.call("PUT", path, body, If_Match=f'"{made["version"]}"')
    assert status == 200, told


async def test_a_product_stands_in_odoo_and_reaches_bng(till: Caller, joined: Systems) -> None:
    given = {
        "sku": "LAMP", "name": "Lamp", "product_type": "non_stocked", "unit": "EA",
        "list_price": {"amount": "12.50", "currency": "USD"},
    }  # fmt: skip
    made = await till.create("products", "P-1", **given)
    [there] = await in_odoo(joined, "product.product", "default_code", "name", "lst_price", id=int(made["key"]))
    assert (there["default_code"], there["name"], there["lst_price"]) == ("LAMP", "Lamp", 12.5)
    [at_other] = await until(lambda: at_bng(joined, "product", SKU="LAMP"))
    assert at_other["Name"] == "Lamp"
    status, told, _ = await till.call("PUT", f"/products/{made['key']}", {"values": {"name": "Desk lamp"}})
    assert status == 200, told
    await until(lambda: at_bng(joined, "product", SKU="LAMP", Name="Desk lamp"))


async def test_every_problem_of_a_record_is_told_at_once_and_nothing_is_written(
    till: Caller, joined: Systems, database: Database
) -> None:
    given = {
        "name": "", "email": "no address", "credit_limit": "-1", "is_company": "yes", "parent": "999999",
        "billing": {"street": "x"}, "colour": "red", "phone": 7,
    }  # fmt: skip
    status, told, headers = await till.call("POST", "/customers", {"reference": "W-1", "values": given})
    assert (status, told["code"], headers["Content-Type"]) == (422, "data_mismatch", "application/problem+json")
    wrong = {error["field"] for error in told["errors"]}
    assert {"name", "email", "credit_limit", "is_company", "parent", "billing", "colour", "phone"} <= wrong
    assert told["next"]
    assert rows(database, "select count(*) from client_intent") == [(0,)]
    assert len(await in_odoo(joined, "res.partner", "name", is_company=True)) >= 12


async def test_what_the_other_side_would_refuse_is_told_before_anything_is_written(till: Caller) -> None:
    status, told, _ = await till.call("POST", "/customers", {"reference": "W-1", "values": {"name": "No mail"}})
    assert status == 422
    assert [error["field"] for error in told["errors"]] == ["email"]


async def test_a_tax_id_that_a_record_has_already_makes_no_second_one(till: Caller, joined: Systems) -> None:
    given = {"name": "Again", "email": "again@example.com", "tax_id": "US 100000003"}
    status, told, _ = await till.call("POST", "/customers", {"reference": "W-9", "values": given})
    assert (status, told["code"], told["record"]) == (409, "duplicate", str(joined.customers[3]))
    assert f"PUT /api/v1/customers/{joined.customers[3]}" in told["next"]


async def test_two_at_once_with_one_tax_id_make_one_record(till: Caller, joined: Systems) -> None:
    answers = await asyncio.gather(
        *(till.call("POST", "/customers", {"reference": f"W-{n}", "values": ACME}) for n in range(4))
    )
    assert sorted(status for status, _, _ in answers) == [201, 409, 409, 409]
    assert len(await in_odoo(joined, "res.partner", "name", name="Acme")) == 1


async def test_a_reference_to_another_record_is_its_key(till: Caller, joined: Systems) -> None:
    company = await till.create("customers", "W-1", **ACME)
    contact = await till.create("customers", "W-2", name="Ann", email="ann@example.com", parent=company["key"])
    assert contact["values"]["parent"] == company["key"]
    [there] = await in_odoo(joined, "res.partner", "parent_id", id=int(contact["key"]))
    assert there["parent_id"][0] == int(company["key"])


async def test_lists_are_paged_and_filtered(till: Caller, joined: Systems) -> None:
    keys, cursor = [], ""
    for _ in range(10):
        status, told, _ = await till.call("GET", f"/customers?limit=5{cursor}")
        assert status == 200, told
        keys += [item["key"] for item in told["items"]]
        if told["next"] is None:
            break
        cursor = f"&cursor={told['next']}"
    assert sorted(map(int, keys)) == sorted(joined.customers)
    _, told, _ = await till.call("GET", "/customers?tax_id=us100000003")
    assert [item["key"] for item in told["items"]] == [str(joined.customers[3])]
    _, told, _ = await till.call("GET", "/customers?updated_since=2999-01-01T00:00:00Z")
    assert told == {"items": [], "next": None}
    assert len((await till.call("GET", "/customers?updated_since=2001-01-01T00:00:00%2B02:00"))[1]["items"]) == 12
    assert (await till.call("GET", "/customers?active=false"))[1]["items"] == []
    for query in ("updated_since=yesterday", "cursor=abc", "limit=0", "limit=100000", "name=x", "cursor=é"):
        status, told, _ = await till.call("GET", f"/customers?{query}")
        assert status == 422, query
        assert told["errors"], query


async def test_a_client_of_the_right_side_reads_and_writes_bng(till: Caller, joined: Systems, service: Service) -> None:
    shop = await new_client(service, "shop", side="right")
    made = await shop.create("customers", "B-1", **ACME)
    [there] = await at_bng(joined, "customer", CompanyName="Acme")
    assert there["CustomerID"] == made["key"]
    await until(lambda: in_odoo(joined, "res.partner", "email", name="Acme"))
    keys: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        _, told, _ = await shop.call("GET", f"/customers?limit=4{cursor}")
        keys += [item["key"] for item in told["items"]]
        cursor = f"&cursor={told['next']}" if told["next"] else None
    assert len(keys) == len(set(keys)) == 13


async def test_a_long_list_of_bng_is_read_once_however_small_the_pages_of_the_client_are(
    till: Caller, joined: Systems, service: Service
) -> None:
    shop = await new_client(service, "shop", side="right")
    assert (await service.call("POST", "/api/v1/pairs/main/pause", {}))[0] == 200
    rows = [{"CompanyName": f"Long {n}", "Email": f"long{n}@example.com"} for n in range(1200)]
    await joined.in_bng("POST", "seed", entity="customer", records=rows)
    before = await listings(joined)
    keys, cursor, pages = [], "", 0
    while True:
        status, told, _ = await shop.call("GET", f"/customers?limit=100{cursor}")
        assert status == 200, told
        keys += [item["key"] for item in told["items"]]
        pages += 1
        if told["next"] is None:
            break
        cursor = f"&cursor={told['next']}"
        if pages == 3:  # what comes behind is seen, what was passed over is not shown again
            await joined.in_bng("POST", "seed", entity="customer", records=[
                {"CompanyName": "Late", "Email": "late@example.com"}])  # fmt: skip
    assert len(keys) == len(set(keys)) == 1213
    assert (await at_bng(joined, "customer", CompanyName="Late"))[0]["CustomerID"] in keys
    # A page of BNG holds more than one of ours, the next one is fetched ahead: never from the beginning again.
    assert pages <= await listings(joined) - before <= 2 * pages


async def listings(joined: Systems) -> int:
    """How often BNG was asked for a page of customers."""
    calls = (await joined.in_bng("GET", "calls"))["calls"]
    return sum(count for name, count in calls.items() if name == "GET /api/v1/customers")


async def test_what_is_not_there_is_said_plainly(till: Caller) -> None:
    for verb, path in (("GET", "/customers/999999"), ("GET", "/customers/abc"), ("GET", "/sales_orders"),
                       ("PUT", "/customers/999999"), ("GET", "/customers/a%2Fb"), ("PUT", "/customers/a%2Fb%20c"),
                       ("GET", "/invoices/INV%2F2026%2F1")):  # fmt: skip
        status, told, _ = await till.call(verb, path, {"values": {"name": "x"}} if verb == "PUT" else None)
        assert (status, told["code"]) == (404, "not_found"), path
        assert told["next"]
