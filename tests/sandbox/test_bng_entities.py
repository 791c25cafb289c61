"""Proves that every entity has exactly the contract's fields, with their types, lengths and rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from bng_records import CONTRACT, ID_FIELDS, LINES, PATHS, ContractField, World, fields_of
from bng_visitor import Visitor, bng

__all__ = ["bng"]

ROOTS = sorted(PATHS)
NEEDED_ANYWAY = {"customer": {"ExternalID"}, "vendor": {"ExternalID"}, "product": {"ExternalID"}}


def same(sent: Any, stored: Any) -> bool:
    """Whether a stored value says what was sent: decimals by value, items by what they were sent with."""
    if isinstance(sent, dict):
        return isinstance(stored, dict) and all(same(value, stored.get(name)) for name, value in sent.items())
    if isinstance(sent, list):
        return len(sent) == len(stored) and all(same(a, b) for a, b in zip(sent, stored, strict=True))
    if isinstance(stored, str) and isinstance(sent, str | int | float) and not isinstance(sent, bool):
        try:
            return Decimal(str(sent)) == Decimal(stored)
        except ArithmeticError:
            return sent == stored
    return bool(sent == stored)


@pytest.mark.parametrize("entity", ROOTS)
async def test_a_record_with_every_field_is_stored_and_read_back(bng: Visitor, entity: str) -> None:
    sent = await World(bng).full(entity)
    made = await bng.new(PATHS[entity], sent)
    assert set(made) == set(fields_of(entity))
    assert same(sent, made), {n: (v, made.get(n)) for n, v in sent.items() if not same(v, made.get(n))}
    assert (made["Version"], made["CreatedAt"]) == (1, made["UpdatedAt"])
    assert await bng.get(f"{PATHS[entity]}/{made[ID_FIELDS[entity]]}") == made
    if entity in LINES:
        assert set(made["LineItems"][0]) == set(fields_of(LINES[entity]))
    for name in ("LineItems", "Lines"):
        if f"{entity}.{name}" in CONTRACT:
            assert set(made[name][0]) == set(fields_of(f"{entity}.{name}"))


@pytest.mark.parametrize("entity", ROOTS)
async def test_what_is_required_is_told_field_by_field(bng: Visitor, entity: str) -> None:
    plain = await World(bng).plain(entity)
    needed = {f.name for f in fields_of(entity).values() if f.need == "Y"} | NEEDED_ANYWAY.get(entity, set())
    for name in needed & set(plain):
        without = {key: value for key, value in plain.items() if key != name}
        answer = await bng.refused("POST", PATHS[entity], without)
        assert (answer.status, answer.error["Code"]) == (400, "ValidationFailed")
        assert (name, "Required") in answer.complaints
    answer = await bng.refused("POST", PATHS[entity], {})
    assert {(name, "Required") for name in needed} <= answer.complaints
    assert (await bng.send("POST", f"/api/v1/{PATHS[entity]}", plain)).status == 201


def wrong(field: ContractField) -> list[tuple[Any, str]]:
    """Values that a field must refuse, each with the complaint."""
    if field.longest is not None:
        return [("x" * (field.longest + 1), "TooLong"), (5, "WrongType"), (["x"], "WrongType")]
    if field.choices:
        return [("Nonsense", "NotInList"), (field.choices[0].lower(), "NotInList"), (1, "NotInList")]
    kinds: dict[str, list[tuple[Any, str]]] = {
        "integer": [("7", "WrongType"), (1.5, "WrongType"), (True, "WrongType")],
        "boolean": [("true", "WrongType"), (1, "WrongType")],
        "date": [("31.03.2026", "BadFormat"), ("2026-02-30", "BadFormat"), (20260331, "BadFormat")],
        "datetime": [("2026-03-31", "BadFormat"), ("2026-03-31T10:00:00", "BadFormat"), (5, "BadFormat")],
        "Address": [({"Line1": 5}, "WrongType"), ({"Street": "x"}, "UnknownField"), (5, "WrongType")],
        "object": [("x", "WrongType"), ([], "WrongType")],
        "array": [("x", "WrongType"), ({}, "WrongType")],
    }
    if field.type.startswith("decimal"):
        out: list[tuple[Any, str]] = [("1,5", "WrongType"), ("abc", "WrongType"), (True, "WrongType")]
        out += [("0.123456789", "TooPrecise"), ("10000000000000000", "OutOfRange")]
        return (
            out + {"decimal": [], "decimal>=0": [("-0.01", "OutOfRange")], "decimal>0": [(0, "OutOfRange")]}[field.type]
        )
    return kinds[field.type]


@pytest.mark.parametrize("entity", ROOTS)
async def test_every_field_refuses_what_is_not_of_its_type_or_too_long(bng: Visitor, entity: str) -> None:
    world = World(bng)
    plain = await world.plain(entity)
    items = [
        {"Data": {**plain, field.name: value}}
        for field in fields_of(entity).values()
        if field.need != "RO"
        for value, _ in wrong(field)
    ]
    expected = [
        (field.name, code) for field in fields_of(entity).values() if field.need != "RO" for _, code in wrong(field)
    ]
    found = []
    for start in range(0, len(items), 100):
        answer = await bng.send("POST", f"/api/v1/{PATHS[entity]}/batch", {"Items": items[start : start + 100]})
        found += answer.json["Results"]
    for (name, code), item, result in zip(expected, items, found, strict=True):
        assert result["Status"] == 400, (name, item["Data"][name])
        complaints = {(d["Field"].split(".")[0], d["Code"]) for d in result["Error"]["Details"]}
        assert (name, code) in complaints, (item["Data"][name], complaints)
    assert (await bng.get(PATHS[entity]))["Data"] == [
        record for record in [world._known.get(entity)] if record is not None
    ]


@pytest.mark.parametrize("entity", ROOTS)
async def test_read_only_fields_are_ignored_and_unknown_ones_refused(bng: Visitor, entity: str) -> None:
    plain = await World(bng).plain(entity)
    given = {f.name: "mine" for f in fields_of(entity).values() if f.need == "RO" and f.name != "Version"}
    made = await bng.new(PATHS[entity], {**plain, **given})
    assert "mine" not in {str(value) for value in made.values()}
    answer = await bng.refused("POST", PATHS[entity], {**plain, "ExternalID": "other", "Colour": "red"})
    assert answer.complaints == {("Colour", "UnknownField")}


@pytest.mark.parametrize("entity", ROOTS)
async def test_every_enum_value_of_the_contract_is_taken(bng: Visitor, entity: str) -> None:
    world = World(bng)
    for field in fields_of(entity).values():
        if not field.choices or field.need == "RO":
            continue
        for choice in field.choices:
            record = await world.plain(entity) | {field.name: choice}
            _fit(record, entity, field.name, choice)
            if record.get("PaymentType") == "Refund":
                record["OriginalPaymentID"] = await world.id("payment")
            if record.get("InvoiceType", "").startswith("Vendor"):
                record |= {"VendorID": await world.id("vendor")}
            answer = await bng.send("POST", f"/api/v1/{PATHS[entity]}", record)
            if (entity, choice) == ("gl_entry", "Reversed"):
                assert ("Status", "NotInList") in answer.complaints  # only reversing an entry makes it so
                continue
            assert answer.status == 201, (field.name, choice, answer.raw)
            assert answer.json[field.name] == choice


def _fit(record: dict[str, Any], entity: str, field: str, choice: str) -> None:
    if (entity, field) == ("inventory_item", "Status"):
        record["WarehouseCode"] += choice


@pytest.mark.parametrize("entity", ROOTS)
async def test_null_clears_what_may_be_empty_and_no_more(bng: Visitor, entity: str) -> None:
    world = World(bng)
    made = await bng.new(PATHS[entity], await world.full(entity))
    path = f"{PATHS[entity]}/{made[ID_FIELDS[entity]]}"
    kept = {"Status", "UnitOfMeasure", "ProductID", "SKU", "CustomerID", "OriginalPaymentID", "Lines", "Period"}
    free = [f.name for f in fields_of(entity).values() if f.need in ("N", "*") and f.name not in kept]
    if entity == "gl_entry" or "ExternalID" in NEEDED_ANYWAY.get(entity, set()):
        free = [name for name in free if name != "ExternalID"]
    free = [name for name in free if name not in {"CompanyName", "FirstName", "LastName"}]
    sums = {"DiscountTotal", "Subtotal", "TaxTotal", "ShippingTotal"}
    cleared = await bng.put(path, {name: None for name in free if name not in sums})
    assert {name for name in free if name not in sums and cleared[name] is not None} == set()
    needed = {f.name for f in fields_of(entity).values() if f.need == "Y"}
    answer = await bng.refused("PUT", path, dict.fromkeys(needed))
    assert {(name, "Required") for name in needed} <= answer.complaints


async def test_decimals_come_back_with_all_their_places_however_they_were_sent(bng: Visitor) -> None:
    world = World(bng)
    for sent in (12.5, "12.5", 12.50, "12.500"):
        made = await bng.new("products", await world.plain("product") | {"ListPrice": sent, "Weight": 3})
        assert (made["ListPrice"], made["Weight"]) == ("12.5000", "3.0000")
    made = await bng.new("customers", await world.plain("customer") | {"CreditLimit": 1000})
    assert made["CreditLimit"] == "1000.00"


async def test_an_address_is_an_object_or_one_text_and_comes_back_as_it_was_sent(bng: Visitor) -> None:
    world = World(bng)
    text = "12 Rue de la Paix\n75002 Paris\nFrance"
    made = await bng.new("customers", await world.plain("customer") | {"BillingAddress": text})
    assert made["BillingAddress"] == text
    there = {"Line1": "12 Rue de la Paix", "City": "Paris", "CountryCode": "FR"}
    changed = await bng.put(f"customers/{made['CustomerID']}", {"BillingAddress": there})
    assert changed["BillingAddress"] == there
    answer = await bng.refused("PUT", f"customers/{made['CustomerID']}", {"BillingAddress": {"CountryCode": "France"}})
    assert ("BillingAddress.CountryCode", "TooLong") in answer.complaints
    answer = await bng.refused("PUT", f"customers/{made['CustomerID']}", {"BillingAddress": "x" * 1001})
    assert ("BillingAddress", "TooLong") in answer.complaints


async def test_a_customer_and_a_vendor_need_a_name_of_some_kind(bng: Visitor) -> None:
    for path, more in (("customers", {"Email": "a@b.example"}), ("vendors", {})):
        answer = await bng.refused("POST", path, {"ExternalID": "1", **more})
        assert ("CompanyName", "Required") in answer.complaints
        for name in ("CompanyName", "FirstName", "LastName"):
            await bng.new(path, {"ExternalID": name, **more, name: "Somebody"})


async def test_defaults_are_filled_in(bng: Visitor) -> None:
    world = World(bng)
    assert (await world.known("customer"))["Status"] == "Active"
    product = await world.known("product")
    assert (product["Status"], product["UnitOfMeasure"]) == ("Active", "EA")
    assert (await world.known("employee"))["Status"] == "Active"
    assert (await world.known("inventory_item"))["Status"] == "Active"


CARDS = (
    "4111111111111111",
    "5555 5555 5555 4444",
    "3782-822463-10005",
    "paid with 6011000990139424.",
    "30569309025904",
)


@pytest.mark.parametrize("card", CARDS)
async def test_what_looks_like_a_card_number_is_refused_wherever_it_stands(bng: Visitor, card: str) -> None:
    world = World(bng)
    plain = await world.plain("customer")
    spots: list[tuple[str, Any, str]] = [
        ("Notes", card, "Notes"),
        ("VaultID", card, "VaultID"),
        ("BillingAddress", card, "BillingAddress"),
        ("BillingAddress", {"Line2": card}, "BillingAddress.Line2"),
        ("CustomFields", {"Card": {"number": [card]}}, "CustomFields"),
        ("CustomFields", {card: 1}, "CustomFields"),
        ("ExternalID", card, "ExternalID"),
    ]
    for field, value, told in spots:
        answer = await bng.refused("POST", "customers", plain | {field: value})
        assert (told, "CardNumber") in answer.complaints, field
        assert card not in answer.raw.decode()
    answer = await bng.refused("POST", "payments", await world.plain("payment") | {"PaymentToken": card})
    assert ("PaymentToken", "CardNumber") in answer.complaints


async def test_long_numbers_that_are_no_cards_pass(bng: Visitor) -> None:
    world = World(bng)
    harmless = "4111111111111112 / 4006381333931 / 0123456789012345678901 / 01a20e18-3664-4111-9c37-111111111111"
    made = await bng.new("customers", await world.plain("customer") | {"Notes": harmless, "Phone": "+39061234567890"})
    assert made["Notes"] == harmless
    made = await bng.new("products", await world.plain("product") | {"Barcode": "36123456789015"})
    assert made["Barcode"] == "36123456789015"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Email", "nobody"),
        ("Email", "a@b"),
        ("Email", "a b@c.example"),
        ("CurrencyCode", "eur"),
        ("CurrencyCode", "E1R"),
        ("BillingAddress", {"CountryCode": "it"}),
        ("Notes", "a null \x00 inside"),
    ],
)
async def test_texts_of_a_certain_form_must_have_it(bng: Visitor, field: str, value: Any) -> None:
    answer = await bng.refused("POST", "customers", await World(bng).plain("customer") | {field: value})
    assert [code for _, code in answer.complaints] == ["BadFormat"]
