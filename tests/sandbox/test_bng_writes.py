"""Proves how BNG guards writes: unique keys, versions, idempotency, partial and full PUT, batches."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bng_records import ID_FIELDS, PATHS, World
from bng_visitor import Visitor, bng

__all__ = ["bng"]

ROOTS = sorted(PATHS)


@pytest.fixture
def world(bng: Visitor) -> World:
    return World(bng)


@pytest.mark.parametrize("entity", ROOTS)
async def test_an_external_id_is_given_once_and_the_refusal_names_its_owner(
    bng: Visitor, world: World, entity: str
) -> None:
    plain = await world.plain(entity)
    made = await bng.new(PATHS[entity], plain)
    other = await world.plain(entity)
    answer = await bng.refused("POST", PATHS[entity], other | {"ExternalID": plain["ExternalID"]})
    key = made[ID_FIELDS[entity]]
    assert (answer.status, answer.error["Code"]) == (409, "DuplicateExternalID")
    assert answer.error["ExistingID"] == key
    assert answer.complaints == {("ExternalID", "Duplicate")}
    second = await bng.new(PATHS[entity], other)
    answer = await bng.refused(
        "PUT", f"{PATHS[entity]}/{second[ID_FIELDS[entity]]}", {"ExternalID": plain["ExternalID"]}
    )
    assert answer.error["ExistingID"] == key
    assert (await bng.get(PATHS[entity], ExternalID=plain["ExternalID"]))["Data"] == [made]


async def test_a_sku_is_unique_among_products(bng: Visitor, world: World) -> None:
    product = await world.known("product")
    answer = await bng.refused("POST", "products", await world.plain("product") | {"SKU": product["SKU"]})
    assert (answer.status, answer.error["Code"]) == (409, "DuplicateSKU")
    assert answer.error["ExistingID"] == product["ProductID"]


@pytest.mark.parametrize("entity", ROOTS)
async def test_every_change_counts_the_version_and_moves_updated_at(bng: Visitor, world: World, entity: str) -> None:
    made = await bng.new(PATHS[entity], await world.plain(entity))
    path = f"{PATHS[entity]}/{made[ID_FIELDS[entity]]}"
    changed = await bng.put(path, {"CustomFields": {"n": 1}})
    assert changed["Version"] == made["Version"] + 1
    assert changed["UpdatedAt"] > made["UpdatedAt"]
    assert changed["CreatedAt"] == made["CreatedAt"]
    told = {"Version", "UpdatedAt", "CustomFields"}
    assert {name for name in made if changed[name] != made[name]} == told


@pytest.mark.parametrize("entity", ROOTS)
async def test_a_write_based_on_an_old_version_is_refused(bng: Visitor, world: World, entity: str) -> None:
    made = await bng.new(PATHS[entity], await world.plain(entity))
    path = f"{PATHS[entity]}/{made[ID_FIELDS[entity]]}"
    await bng.put(path, {"CustomFields": {"n": 1}}, If_Match='"1"')
    await bng.put(path, {"CustomFields": {"n": 2}, "Version": 2})
    await bng.put(path, {"CustomFields": {"n": 3}}, If_Match="*")
    for headers, body, status in (
        ({"If_Match": '"2"'}, {}, 412),
        ({"If_Match": "3"}, {}, 412),
        ({}, {"Version": 1}, 409),
    ):
        answer = await bng.refused("PUT", path, {"CustomFields": {}, **body}, **headers)
        assert (answer.status, answer.error["Code"]) == (status, "VersionConflict")
        assert answer.error["CurrentVersion"] == 4
    assert (await bng.get(path))["CustomFields"] == {"n": 3}
    assert (await bng.refused("PUT", path, {}, If_Match="yesterday")).status == 400
    assert ("Version", "WrongType") in (await bng.refused("PUT", path, {"Version": "4"})).complaints


async def test_the_etag_is_the_version(bng: Visitor, world: World) -> None:
    made = await bng.send("POST", "/api/v1/customers", await world.plain("customer"))
    assert made.headers["ETag"] == '"1"'
    assert made.headers["Location"] == f"/api/v1/customers/{made.json['CustomerID']}"
    read = await bng.send("GET", made.headers["Location"])
    changed = await bng.send(
        "PUT", made.headers["Location"], {"Phone": "1"}, headers={"If-Match": read.headers["ETag"]}
    )
    assert (changed.status, changed.headers["ETag"]) == (200, '"2"')


@pytest.mark.parametrize("entity", ROOTS)
async def test_a_write_repeated_with_its_key_is_answered_again_and_not_done_again(
    bng: Visitor, world: World, entity: str
) -> None:
    plain = await world.plain(entity)
    path = f"/api/v1/{PATHS[entity]}"
    key = {"Idempotency-Key": "0b5d0f4e"}
    first = await bng.send("POST", path, plain, headers=key)
    await bng.put(f"{PATHS[entity]}/{first.json[ID_FIELDS[entity]]}", {"CustomFields": {"n": 1}})
    again = await bng.send("POST", path, dict(reversed(plain.items())), headers=key)
    assert (again.status, again.json) == (201, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await bng.send("POST", path, plain | {"CustomFields": {"other": True}}, headers=key)
    assert (other.status, other.error["Code"]) == (422, "IdempotencyKeyReused")
    assert len((await bng.get(PATHS[entity], ExternalID=plain["ExternalID"]))["Data"]) == 1


async def test_a_change_repeated_with_its_key_is_done_once(bng: Visitor, world: World) -> None:
    path = f"customers/{await world.id('customer')}"
    first = await bng.put(path, {"Phone": "1"}, Idempotency_Key="k")
    again = await bng.put(path, {"Phone": "1"}, Idempotency_Key="k")
    assert first == again
    assert (await bng.get(path))["Version"] == 2
    assert (await bng.refused("PUT", path, {"Phone": "2"}, Idempotency_Key="k")).status == 422


async def test_a_refused_write_may_be_corrected_under_the_same_key(bng: Visitor, world: World) -> None:
    plain = await world.plain("customer")
    await bng.refused("POST", "customers", plain | {"Email": "no address"}, Idempotency_Key="k")
    made = await bng.new("customers", plain, Idempotency_Key="k")
    assert made["Version"] == 1
    assert (await bng.refused("POST", "customers", plain, Idempotency_Key="x" * 256)).status == 400


async def test_writes_that_come_at_once_make_one_record(bng: Visitor, world: World) -> None:
    plain = await world.plain("customer")
    calls = [bng.send("POST", "/api/v1/customers", plain, headers={"Idempotency-Key": "k"}) for _ in range(20)]
    calls += [bng.send("POST", "/api/v1/customers", plain) for _ in range(20)]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.status for answer in answers) == [201] * 20 + [409] * 20
    assert len({answer.raw for answer in answers if answer.status == 201}) == 1
    assert len((await bng.get("customers"))["Data"]) == 1


async def test_keys_of_two_clients_have_nothing_to_do_with_each_other(bng: Visitor, world: World) -> None:
    await bng.switch("POST", "clients", id="other", secret="s" * 20)
    mine = await bng.new("customers", await world.plain("customer"), Idempotency_Key="k")
    token = (await bng.ask_token({"grant_type": "client_credentials"}, ("other", "s" * 20))).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    theirs = await bng.new("customers", await world.plain("customer"), Idempotency_Key="k", **headers)
    assert theirs["CustomerID"] != mine["CustomerID"]


async def test_put_changes_the_named_fields_only(bng: Visitor, world: World) -> None:
    made = await bng.new("customers", await world.full("customer"))
    changed = await bng.put(f"customers/{made['CustomerID']}", {"Phone": "+390699"})
    assert changed == made | {"Phone": "+390699", "Version": 2, "UpdatedAt": changed["UpdatedAt"]}


async def test_put_replaces_the_whole_record_when_the_switch_says_so(bng: Visitor, world: World) -> None:
    await bng.switch("PUT", "settings", put="full")
    made = await bng.new("customers", await world.full("customer"))
    path = f"customers/{made['CustomerID']}"
    assert ("Email", "Required") in (await bng.refused("PUT", path, {"Phone": "1"})).complaints
    needed = {name: made[name] for name in ("ExternalID", "CompanyName", "Email")}
    changed = await bng.put(path, needed)
    assert changed["Status"] == "Active"
    empty = {name for name, value in changed.items() if value is None}
    assert {"Phone", "BillingAddress", "Notes", "CustomFields", "FirstName", "CreditLimit"} <= empty


@pytest.mark.parametrize("entity", ROOTS)
async def test_the_id_of_a_put_may_stand_in_the_body(bng: Visitor, world: World, entity: str) -> None:
    made = await bng.new(PATHS[entity], await world.plain(entity))
    id_field = ID_FIELDS[entity]
    changed = await bng.put(PATHS[entity], {id_field: made[id_field], "CustomFields": {"n": 1}})
    assert changed["CustomFields"] == {"n": 1}
    assert (id_field, "Required") in (await bng.refused("PUT", PATHS[entity], {"CustomFields": {}})).complaints
    mixed = await bng.refused("PUT", f"{PATHS[entity]}/{made[id_field]}", {id_field: "another"})
    assert (id_field, "Mismatch") in mixed.complaints


@pytest.mark.parametrize("entity", ROOTS)
async def test_what_is_not_there_is_a_404_and_deleting_is_not_offered(bng: Visitor, world: World, entity: str) -> None:
    for method, body in (("GET", None), ("PUT", {})):
        answer = await bng.refused(method, f"{PATHS[entity]}/none", body)
        assert (answer.status, answer.error["Code"]) == (404, "NotFound")
    made = await bng.new(PATHS[entity], await world.plain(entity))
    answer = await bng.refused("DELETE", f"{PATHS[entity]}/{made[ID_FIELDS[entity]]}")
    assert (answer.status, answer.error["Code"]) == (405, "MethodNotAllowed")
    assert answer.headers["Allow"] == "GET, HEAD, PUT"
    assert "Status" in answer.error["Message"]


@pytest.mark.parametrize("entity", ROOTS)
async def test_in_a_batch_every_item_stands_for_itself(bng: Visitor, world: World, entity: str) -> None:
    id_field = ID_FIELDS[entity]
    known = await bng.new(PATHS[entity], await world.plain(entity))
    good, bad, twin = [await world.plain(entity) for _ in range(3)]
    items: list[Any] = [
        good,
        bad | {"CustomFields": "no object"},
        twin | {"ExternalID": good["ExternalID"]},
        {id_field: known[id_field], "CustomFields": {"n": 1}},
        {"Data": {"CustomFields": {"n": 2}}, "ID": known[id_field], "IfMatch": 2},
        {"Data": {"CustomFields": {"n": 3}}, "ID": known[id_field], "IfMatch": '"2"'},
        {"ID": "none", "Data": {}},
        "no object",
    ]
    answer = await bng.send("POST", f"/api/v1/{PATHS[entity]}/batch", {"Items": items})
    results = answer.json["Results"]
    assert [one["Status"] for one in results] == [201, 400, 409, 200, 200, 412, 404, 400]
    assert results[2]["Error"]["ExistingID"] == results[0]["Data"][id_field]
    assert results[4]["Data"] == await bng.get(f"{PATHS[entity]}/{known[id_field]}")
    assert all(("Data" in one) is (one["Status"] < 300) for one in results)
    assert {one["Error"]["RequestID"] for one in results if "Error" in one} == {answer.headers["X-Request-ID"]}


async def test_a_batch_takes_a_hundred_items_and_no_more(bng: Visitor, world: World) -> None:
    items = [await world.plain("customer") for _ in range(101)]
    answer = await bng.refused("POST", "customers/batch", {"Items": items})
    assert answer.complaints == {("Items", "TooMany")}
    answer = await bng.send("POST", "/api/v1/customers/batch", {"Items": items[:100]})
    assert [one["Status"] for one in answer.json["Results"]] == [201] * 100
    for body in ({}, {"Items": []}, {"Items": {}}, []):
        assert (await bng.refused("POST", "customers/batch", body)).complaints == {("Items", "Required")}


async def test_a_batch_repeated_is_not_done_again_by_its_own_key_or_by_its_items(bng: Visitor, world: World) -> None:
    items = [await world.plain("customer") for _ in range(3)]
    wrapped = [{"Data": await world.plain("customer"), "IdempotencyKey": f"k{n}"} for n in range(3)]
    for given, headers in ((items, {"Idempotency-Key": "whole"}), (wrapped, {})):
        first = await bng.send("POST", "/api/v1/customers/batch", {"Items": given}, headers=headers)
        again = await bng.send("POST", "/api/v1/customers/batch", {"Items": given}, headers=headers)
        assert [one["Status"] for one in again.json["Results"]] == [201] * 3
        assert [one["Data"] for one in again.json["Results"]] == [one["Data"] for one in first.json["Results"]]
        assert all(one["Replayed"] for one in again.json["Results"])
    single = await bng.send("POST", "/api/v1/customers", wrapped[0]["Data"], headers={"Idempotency-Key": "k0"})
    assert single.headers["Idempotency-Replayed"] == "true"
    assert len(await bng.every("customers")) == 6


async def test_an_items_own_members_are_checked(bng: Visitor) -> None:
    for item, told in (
        ({"Data": {}, "Verb": "POST"}, ("Verb", "UnknownField")),
        ({"Data": {}, "ID": 5}, ("ID", "WrongType")),
        ({"CustomerID": 5}, ("CustomerID", "WrongType")),
        ({"Data": {}, "IdempotencyKey": 5}, ("IdempotencyKey", "WrongType")),
    ):
        (result,) = (await bng.send("POST", "/api/v1/customers/batch", {"Items": [item]})).json["Results"]
        assert (result["Error"]["Details"][0]["Field"], result["Error"]["Details"][0]["Code"]) == told


async def test_a_body_that_is_no_json_is_told_as_such(bng: Visitor) -> None:
    broken = await bng.refused("POST", "customers", b'{"Email": ')
    assert (broken.status, broken.error["Code"]) == (400, "InvalidJSON")
    form = await bng.send("POST", "/api/v1/customers", b"a=b", headers={"Content-Type": "text/plain"})
    assert (form.status, form.error["Code"]) == (415, "UnsupportedMediaType")
    listed = await bng.refused("POST", "customers", [])
    assert listed.complaints == {("body", "WrongType")}
    nowhere = await bng.refused("GET", "nothing")
    assert (nowhere.status, nowhere.error["Code"]) == (404, "NotFound")


async def test_every_problem_is_told_at_once_in_the_contracts_own_form(bng: Visitor) -> None:
    body = {"ExternalID": "x" * 65, "Email": "nobody", "Status": "Gone", "CreditLimit": -1, "Hue": 1}
    answer = await bng.refused("POST", "customers", body)
    assert set(answer.json) == {"Error"}
    assert set(answer.error) == {"Code", "Message", "RequestID", "Details"}
    assert answer.error["RequestID"] == answer.headers["X-Request-ID"]
    assert all(set(detail) == {"Field", "Code", "Message"} for detail in answer.error["Details"])
    assert answer.complaints == {
        ("ExternalID", "TooLong"),
        ("Email", "BadFormat"),
        ("Status", "NotInList"),
        ("CreditLimit", "OutOfRange"),
        ("Hue", "UnknownField"),
        ("CompanyName", "Required"),
    }


@pytest.mark.parametrize(
    ("entity", "field", "target"),
    [
        ("customer", "ParentCustomerID", "Customer"),
        ("product", "ParentProductID", "Product"),
        ("product", "PreferredVendorID", "Vendor"),
        ("sales_order", "CustomerID", "Customer"),
        ("sales_order", "SalespersonID", "Employee"),
        ("invoice", "CustomerID", "Customer"),
        ("invoice", "SalesOrderID", "Sales Order"),
        ("invoice", "PurchaseOrderID", "Purchase Order"),
        ("invoice", "OriginalInvoiceID", "Invoice"),
        ("payment", "CustomerID", "Customer"),
        ("payment", "OriginalPaymentID", "Payment"),
        ("purchase_order", "VendorID", "Vendor"),
        ("purchase_order", "BuyerID", "Employee"),
        ("inventory_item", "ProductID", "Product"),
        ("gl_entry", "ReversesEntryID", "General Ledger Entry"),
        ("employee", "ManagerID", "Employee"),
    ],
)
async def test_what_a_record_points_to_must_be_there(
    bng: Visitor, world: World, entity: str, field: str, target: str
) -> None:
    answer = await bng.refused("POST", PATHS[entity], await world.plain(entity) | {field: "nobody"})
    assert (field, "UnknownReference") in answer.complaints
    assert target in answer.error["Message"]


async def test_a_record_cannot_point_to_itself(bng: Visitor, world: World) -> None:
    key = await world.id("customer")
    answer = await bng.refused("PUT", f"customers/{key}", {"ParentCustomerID": key})
    assert answer.complaints == {("ParentCustomerID", "SelfReference")}
