"""A pair with two currencies: prices convert on dated rates, from the owner only, and a rate that moved is no edit."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from mapped_world import MappedWorld
from shipped import EVERYTHING, compiled, rates

from isthmus.mapping.rates import Rates
from isthmus.store.database import Database

TWO_CURRENCIES = {**EVERYTHING, "currency": "USD", "bng_currency": "EUR"}
SPRING, SUMMER = rates(("USD", "EUR", "0.90")), rates(("USD", "EUR", "0.80"))
TABLE: dict[str, Any] = {
    "name": "Table",
    "default_code": "T-1",
    "type": "consu",
    "is_storable": True,
    "uom_id.key": "Units",
    "lst_price": Decimal("100.00"),
    "currency_id.key": "USD",
    "cost_currency_id.key": "USD",
    "active": True,
    "sale_ok": True,
    "product_variant_count": 1,
}


def world(database: Database) -> MappedWorld:
    return MappedWorld(database, "product", settings=TWO_CURRENCIES, rates=SPRING)


async def test_a_price_is_written_in_the_other_sides_currency_at_the_days_rate(database: Database) -> None:
    pair = world(database)
    pair.left.put("product.product", TABLE)
    await pair.settle()
    (made,) = pair.right.rows["product"].values()
    assert (made.values["ListPrice"], made.values["CurrencyCode"]) == (Decimal("90.0000"), "EUR")


async def test_a_rate_that_moved_is_not_an_edit(database: Database) -> None:
    pair = world(database)
    key = pair.left.put("product.product", TABLE)
    await pair.settle()
    (twin,) = pair.right.rows["product"]
    pair.use_rates(SUMMER)
    before = pair.left.writes, pair.right.writes
    await pair.look_again("product", "left", key)
    await pair.look_again("product", "right", twin)
    assert (pair.left.writes, pair.right.writes) == before
    assert pair.right.rows["product"][twin].values["ListPrice"] == Decimal("90.0000")


async def test_an_edit_by_the_owner_converts_at_the_rate_of_its_day_and_makes_no_echo(database: Database) -> None:
    pair = world(database)
    key = pair.left.put("product.product", TABLE)
    await pair.settle()
    (twin,) = pair.right.rows["product"]
    pair.use_rates(SUMMER)
    pair.left.put("product.product", {"lst_price": Decimal("33.33")}, key=key)
    before = pair.left.writes, pair.right.writes
    await pair.settle()
    assert (pair.left.writes, pair.right.writes) == (before[0], before[1] + 1)
    assert pair.right.rows["product"][twin].values["ListPrice"] == Decimal("26.6640")
    assert pair.left.rows["product.product"][key].values["lst_price"] == Decimal("33.33")


async def test_another_edit_beside_a_moved_rate_leaves_the_price_alone(database: Database) -> None:
    pair = world(database)
    key = pair.left.put("product.product", TABLE)
    await pair.settle()
    (twin,) = pair.right.rows["product"]
    pair.use_rates(SUMMER)
    pair.right.put("product", {"Name": "Desk"}, key=twin)
    await pair.settle()
    assert pair.left.rows["product.product"][key].values["name"] == "Desk"
    assert pair.left.rows["product.product"][key].values["lst_price"] == Decimal("100.00")
    assert pair.right.rows["product"][twin].values["ListPrice"] == Decimal("90.0000")


async def test_an_edit_by_the_one_who_does_not_own_prices_is_put_back_and_never_converted_back(
    database: Database,
) -> None:
    pair = world(database)
    key = pair.left.put("product.product", TABLE)
    await pair.settle()
    (twin,) = pair.right.rows["product"]
    pair.right.put("product", {"ListPrice": Decimal("95.00")}, key=twin)
    await pair.settle()
    assert pair.left.rows["product.product"][key].values["lst_price"] == Decimal("100.00")
    assert pair.right.rows["product"][twin].values["ListPrice"] == Decimal("90.0000")


async def test_without_a_rate_the_record_is_held_with_the_currencies_named(database: Database) -> None:
    pair = MappedWorld(database, "product", settings=TWO_CURRENCIES, rates=rates())
    pair.left.put("product.product", TABLE)
    tally = await pair.settle()
    assert tally.held == 1
    assert "product" not in pair.right.rows
    written = pair.pair.entities["product"].right.mapping.write(
        {"list_price": {"amount": "5", "currency": "USD"}}, ["list_price"], {"CurrencyCode": "EUR"}
    )
    assert written.problems[0].message == "no rate of 2026-06-01 from USD to EUR is known"


@pytest.mark.parametrize(
    ("base", "quote", "on", "expected"),
    [
        ("EUR", "USD", date(2026, 1, 31), Decimal("1.10")),
        ("EUR", "USD", date(2026, 2, 1), Decimal("1.20")),
        ("USD", "EUR", date(2026, 2, 1), 1 / Decimal("1.20")),
        ("GBP", "USD", date(2026, 2, 1), Decimal("1.25") * Decimal("1.20")),
        ("USD", "USD", date(2020, 1, 1), Decimal(1)),
        ("EUR", "USD", date(2025, 12, 31), None),
        ("EUR", "JPY", date(2026, 2, 1), None),
    ],
)
def test_the_rate_of_a_day_is_the_latest_one_until_then(base: str, quote: str, on: date, expected: Any) -> None:
    table = Rates(
        [
            (date(2026, 1, 1), "EUR", "USD", Decimal("1.10")),
            (date(2026, 2, 1), "EUR", "USD", Decimal("1.20")),
            (date(2026, 1, 1), "GBP", "EUR", Decimal("1.25")),
        ],
        on=on,
    )
    assert table.rate(base, quote) == expected


def test_what_is_read_depends_on_no_rate() -> None:
    raw = {"ListPrice": "90", "CurrencyCode": "EUR"}
    read = [compiled("bng-product", settings=TWO_CURRENCIES, dated=dated).read(raw).values for dated in (None, SPRING)]
    assert read[0]["list_price"] == read[1]["list_price"] == {"amount": "90", "currency": "EUR"}
