"""Quantities and prices convert by unit factor; units of different categories are refused, never guessed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped import EVERYTHING, compiled

from isthmus.mapping.problem import TransformProblem
from isthmus.mapping.transform import Build
from isthmus.mapping.transforms.records import build_step
from isthmus.mapping.units import STANDARD

PER_EACH = {**EVERYTHING, "unit_prices": True}
ODOO = compiled("odoo-product", settings=PER_EACH)
BNG = compiled("bng-product", settings=PER_EACH)
PRODUCT = {"sku": "S", "name": "N", "product_type": "stocked", "unit": "EA"}


def step(**options: Any) -> Any:
    return build_step({"unit": {"unit": "u", **options}}, Build())


def test_two_dozen_are_twenty_four_each_and_back() -> None:
    dozens = step(to="EA")
    assert dozens.read(Decimal(2), {"u": "DZ"}) == 24
    assert dozens.write(Decimal(24), {"u": "DZ"}) == 2


def test_a_price_per_dozen_and_a_price_each_are_one_price() -> None:
    read = BNG.read({"UnitOfMeasure": "DZ", "ListPrice": "30.00", "CurrencyCode": "USD"})
    assert read.values["list_price"] == {"amount": "2.5", "currency": "USD"}
    odoo = {"uom_id.key": "Units", "currency_id.key": "USD", "lst_price": Decimal(1), "product_variant_count": 1}
    written = ODOO.write({**PRODUCT, **read.values}, ["list_price"], odoo)
    assert (written.values, written.problems) == ({"lst_price": Decimal("2.5")}, [])


def test_a_new_record_is_priced_in_the_unit_it_is_written_with() -> None:
    values = {**PRODUCT, "unit": "DZ", "list_price": {"amount": "2.5", "currency": "USD"}}
    written = BNG.write(values, ["list_price", *values], None)
    assert written.values["UnitOfMeasure"] == "DZ"
    assert written.values["ListPrice"] == Decimal("30.0000")
    assert BNG.project(values, ["list_price", "unit"], None)["list_price"] == values["list_price"]


def test_a_unit_of_another_category_is_refused_by_name() -> None:
    read = BNG.read({"UnitOfMeasure": "KG", "ListPrice": "30.00", "CurrencyCode": "USD"})
    assert "list_price" not in read.values
    assert read.problems[0].message == "KG (weight) cannot be converted to EA (count)"
    assert read.problems[0].field == "list_price"


def test_a_unit_that_nobody_knows_is_held_with_the_way_to_add_it() -> None:
    read = compiled("bng-product").read({"UnitOfMeasure": "Oodles"})
    assert "unit" not in read.values
    assert "'Oodles' is not in the look-up table 'unit'" in read.problems[0].message
    assert "isthmus lookup import" in read.problems[0].message


def test_weights_meet_in_kilograms_whatever_unit_they_come_in() -> None:
    assert BNG.read({"Weight": "10", "WeightUnit": "LB"}).values["weight"] == Decimal("4.5359237")
    assert BNG.read({"Weight": "2.5", "WeightUnit": None}).values["weight"] == Decimal("2.5")
    assert ODOO.read({"weight": Decimal("1.5"), "weight_uom_name": "kg"}).values["weight"] == Decimal("1.5")
    back = BNG.write({"weight": Decimal("4.5359237")}, ["weight"], {"WeightUnit": "LB", "Weight": "1"})
    assert back.values["Weight"] == Decimal(10)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["EA", "PR", "PK6", "DZ", "GRO", "C", "M"]),
    st.decimals("0.01", "99999", places=2),
    st.sampled_from(["quantity", "price"]),
)
def test_there_and_back_gives_the_same_number_at_the_systems_own_digits(unit: str, number: Decimal, kind: str) -> None:
    there = step(to="EA", kind=kind, scale=2)
    assert there.write(there.read(number, {"u": unit}), {"u": unit}) == number


@given(st.sampled_from(sorted(STANDARD._by_code)), st.sampled_from(sorted(STANDARD._by_code)))
def test_exactly_the_units_of_one_category_convert(one: str, two: str) -> None:
    source, target = STANDARD.get(one), STANDARD.get(two)
    assert source is not None
    assert target is not None
    if source.category == target.category:
        assert step(to=target.code).read(Decimal(1), {"u": source.code}) > 0
    else:
        with pytest.raises(TransformProblem, match="cannot be converted"):
            step(to=target.code).read(Decimal(1), {"u": source.code})
