"""Conditions decided without the engine come out as the engine decides them."""

from __future__ import annotations

from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.mapping.cel import Expression
from isthmus.mapping.problem import TransformProblem

FIELDS = ("name", "email", "billing", "limit")
TEXT = st.sampled_from(
    ["", " ", "a", "mary@example.com", "+16502530000", "US", "XX", "EUR", "12.5", "-1", "BE0400552491"]
)
SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), TEXT, st.decimals(-5, 5, places=2), st.text(max_size=5)
)
VALUE = st.one_of(
    SCALAR, st.dictionaries(st.sampled_from(["country", "city"]), SCALAR, max_size=2), st.lists(TEXT, max_size=2)
)
VALUES = st.dictionaries(st.sampled_from(FIELDS), VALUE)

CONDITIONS = [
    "!blank(name)",
    "blank(email) || is_email(email)",
    "billing == null || (has(billing.country) && is_country(billing.country))",
    "limit == null || at_least(limit, 0)",
    "less(limit, 3) && !(blank(name) || is_phone(name))",
    'is_tax_id(name, "BE") || is_currency(email)',
    "billing != null && blank(billing.city)",
    "before(name, email) || blank(billing)",
]


def shipped() -> list[tuple[str, str]]:
    """Every shipped condition and the Entity it is for."""
    folder = files("isthmus").joinpath("templates/rules")
    read = [yaml.safe_load(path.read_text()) for path in folder.iterdir() if path.name.endswith(".yaml")]
    return [(item["check"], file["entity"]) for file in read for item in file["items"]]


def by_the_engine(expression: Expression, values: dict[str, Any]) -> Any:
    try:
        return expression._calculated(values, None)
    except TransformProblem:
        return "undecided"


def decided(expression: Expression, values: dict[str, Any]) -> Any:
    try:
        return expression(values)
    except TransformProblem:
        return "undecided"


@settings(deadline=None)  # the first one loads the libraries behind the functions
@given(VALUES, st.sampled_from(CONDITIONS))
def test_a_plain_condition_is_decided_as_the_engine_decides_it(values: dict[str, Any], source: str) -> None:
    expression = Expression(source, FIELDS)
    assert expression._plainly is not None
    assert decided(expression, values) == by_the_engine(expression, values)


@pytest.mark.parametrize(
    "source",
    [
        "name + email",
        "size(name) > 3",
        "name == email",
        'lower(name) == "x"',
        "name.startsWith('a')",
        "blank(name) ? true : false",
    ],
)
def test_everything_else_is_left_to_the_engine(source: str) -> None:
    expression = Expression(source, FIELDS)
    assert expression._plainly is None


def test_most_shipped_rules_need_no_engine() -> None:
    from isthmus.model.entities import entity

    checks = shipped()
    compiled = [(check, Expression(check, (*entity(name).fields, "settings"))) for check, name in checks]
    plain = [check for check, expression in compiled if expression._plainly is not None]
    assert len(plain) >= len(checks) * 0.7, sorted({check for check, _ in checks} - set(plain))


def test_a_decimal_is_compared_exactly_without_the_engine() -> None:
    expression = Expression("at_least(limit, 0)", FIELDS)
    assert expression({"limit": Decimal("-0.001")}) is False
    assert expression({"limit": Decimal("1e-30")}) is True
