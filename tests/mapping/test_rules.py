"""Validation rules: every one that ships fires where it should and nowhere else; expressions have exact functions."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped import TEMPLATES, compiled, text_of

from isthmus.errors import Misconfigured
from isthmus.mapping.cel import FUNCTIONS, expression
from isthmus.mapping.problem import TransformProblem
from isthmus.mapping.rules import check_rules, load_rules
from isthmus.model.canonical import Value
from isthmus.model.entities import ENTITIES
from isthmus.model.pairfile import EntityFile
from isthmus.model.policy import Side, other
from isthmus.operate.assemble import policy_of
from isthmus.sdk.connector import Record
from isthmus.sync.pair import EntityBinding, SideBinding
from isthmus.sync.plan import plan
from isthmus.sync.planned import Plan
from isthmus.sync.work import Item
from isthmus.testing.memory import MemoryConnector, MemorySystem

ADDRESS = {"line1": "1 Main St", "city": "Erie", "country": "US"}
LINE = {
    "number": 1, "product": 7, "description": "Red chair", "quantity": Decimal(2), "unit_price": Decimal("42.50"),
    "discount_percent": None, "discount_amount": None, "total": Decimal("85"),
}  # fmt: skip
GOOD: dict[str, dict[str, Value]] = {
    "customer": {
        "name": "Azure", "email": "a@example.com", "billing": ADDRESS, "shipping": ADDRESS, "phone": "+16502530000",
        "credit_limit": Decimal("10.00"), "currency": "USD", "tax_id": "BE0477472701",
    },
    "vendor": {
        "name": "Azure", "email": "a@example.com", "billing": ADDRESS, "remit_to": ADDRESS, "ship_from": ADDRESS,
        "phone": "+16502530000", "currency": "USD", "tax_id": "BE0477472701", "lead_time_days": 3,
    },
    "product": {
        "sku": "A-1", "name": "Table", "list_price": {"amount": "5", "currency": "USD"},
        "cost": {"amount": "3", "currency": "USD"}, "unit": "EA", "weight": Decimal(2), "barcode": "123",
        "reorder_point": Decimal(1),
    },
    "employee": {
        "name": "Mary Ann Smith", "work_email": "m@example.com", "work_phone": "+16502530000",
        "hire_date": date(2025, 3, 1), "termination_date": date(2026, 6, 30),
    },
    "gl_entry": {
        "number": "MISC/1", "journal": "MISC", "posted_on": date(2026, 5, 4), "total_debit": Decimal(5),
        "lines": [{"debit": Decimal(5), "credit": Decimal(0)}, {"debit": Decimal(0), "credit": Decimal(5)}],
    },
    "inventory_item": {"sku": "A-1", "warehouse": "WH", "on_hand": Decimal(5), "reserved": Decimal(2)},
    "product_template": {"name": "Table", "list_price": {"amount": "5", "currency": "USD"}, "unit": "EA"},
    "sales_order": {
        "customer": 1, "currency": "USD", "subtotal": Decimal("85"), "tax_total": Decimal("5.60"),
        "shipping": Decimal("4"), "discount": Decimal("2"), "total": Decimal("92.60"), "lines": [LINE],
    },
    "purchase_order": {
        "vendor": 1, "number": "P1", "currency": "USD", "subtotal": Decimal("85"), "tax_total": Decimal("5.60"),
        "total": Decimal("90.60"), "lines": [LINE],
    },
    "invoice": {
        "number": "INV/1", "kind": "invoice", "customer": 1, "dated": date(2026, 3, 4), "due": date(2026, 4, 4),
        "posted": date(2026, 3, 4), "currency": "USD", "subtotal": Decimal("85"), "tax_total": Decimal("5.60"),
        "total": Decimal("90.60"), "lines": [LINE],
    },
    "payment": {
        "kind": "sale", "customer": 1, "amount": Decimal("90.60"), "currency": "USD", "paid_on": date(2026, 3, 5),
        "method": "Wire", "applications": [{"invoice": 3, "amount": Decimal("90.60")}],
    },
}  # fmt: skip
NOWHERE = {"line1": "1 Main St", "city": "Erie"}
FIRES: dict[str, dict[str, tuple[dict[str, Any], str, str]]] = {
    "customer": {
        "name-present": ({"name": " "}, "block", "both"),
        "email-form": ({"email": "mary@"}, "block", "both"),
        "email-present": ({"email": None}, "block", "right"),
        "country-known": ({"billing": NOWHERE}, "block", "right"),
        "country-known-left": ({"billing": NOWHERE}, "warn", "left"),
        "shipping-country-known": ({"shipping": {**ADDRESS, "country": "XX"}}, "block", "right"),
        "credit-limit-not-negative": ({"credit_limit": Decimal("-0.01")}, "block", "both"),
        "currency-known": ({"currency": "XXQ"}, "warn", "both"),
        "phone-form": ({"phone": "ask reception"}, "warn", "both"),
        "tax-id-form": ({"tax_id": "BE0477472702"}, "warn", "both"),
    },
    "vendor": {
        "name-present": ({"name": None}, "block", "both"),
        "email-form": ({"email": "mary at example"}, "block", "both"),
        "country-known": ({"billing": NOWHERE}, "block", "right"),
        "country-known-left": ({"billing": NOWHERE}, "warn", "left"),
        "remit-to-country-known": ({"remit_to": NOWHERE}, "block", "right"),
        "ship-from-country-known": ({"ship_from": NOWHERE}, "block", "right"),
        "currency-known": ({"currency": "EURO"}, "warn", "both"),
        "phone-form": ({"phone": "12"}, "warn", "both"),
        "tax-id-form": ({"tax_id": "DE136695970"}, "warn", "both"),
        "lead-time-not-negative": ({"lead_time_days": -1}, "block", "both"),
    },
    "product": {
        "sku-present": ({"sku": ""}, "block", "both"),
        "name-present": ({"name": None}, "block", "both"),
        "price-not-negative": ({"list_price": {"amount": "-5", "currency": "USD"}}, "block", "both"),
        "price-present": ({"list_price": None}, "block", "right"),
        "price-currency-known": ({"list_price": {"amount": "5", "currency": "XXQ"}}, "block", "both"),
        "cost-not-negative": ({"cost": {"amount": "-0.001", "currency": "USD"}}, "block", "both"),
        "unit-present": ({"unit": None}, "block", "right"),
        "weight-not-negative": ({"weight": Decimal("-1")}, "block", "both"),
        "barcode-short": ({"barcode": "1" * 65}, "block", "both"),
        "reorder-not-negative": ({"reorder_point": Decimal("-1")}, "block", "both"),
    },
    "employee": {
        "name-present": ({"name": None}, "block", "both"),
        "name-of-two": ({"name": "Cher"}, "block", "right"),
        "email-form": ({"work_email": "mary@"}, "block", "both"),
        "phone-form": ({"work_phone": "ask reception"}, "warn", "both"),
        "left-after-hired": ({"termination_date": date(2024, 1, 1)}, "block", "both"),
    },
    "gl_entry": {
        "journal-present": ({"journal": None}, "block", "both"),
        "date-present": ({"posted_on": None}, "block", "both"),
        "two-lines": ({"lines": [{"debit": Decimal(0), "credit": Decimal(0)}]}, "block", "both"),
        "balanced": (
            {"lines": [{"debit": Decimal(5), "credit": Decimal(0)}, {"debit": Decimal(0), "credit": Decimal("4.99")}]},
            "block",
            "both",
        ),
        "period-open": ({"posted_on": date(2026, 1, 31)}, "block", "both"),
    },
    "inventory_item": {
        "sku-present": ({"sku": None}, "block", "both"),
        "warehouse-present": ({"warehouse": " "}, "block", "both"),
        "on-hand-not-negative": ({"on_hand": Decimal(-1), "reserved": None}, "warn", "both"),
        "reserved-not-more": ({"reserved": Decimal(6)}, "warn", "both"),
    },
    "product_template": {
        "name-present": ({"name": ""}, "block", "both"),
        "price-not-negative": ({"list_price": {"amount": "-1", "currency": "USD"}}, "block", "both"),
        "unit-present": ({"unit": None}, "block", "right"),
    },
    "sales_order": {
        "customer-present": ({"customer": None}, "block", "both"),
        "currency-known": ({"currency": "EURO"}, "block", "both"),
        "lines-present": ({"lines": []}, "block", "both"),
        "lines-have-products": ({"lines": [{**LINE, "product": None}]}, "block", "both"),
        "quantities-positive": ({"lines": [{**LINE, "quantity": Decimal(0)}]}, "block", "both"),
        "one-discount-per-line": (
            {"lines": [{**LINE, "discount_percent": Decimal(5), "discount_amount": Decimal(5)}]},
            "block",
            "both",
        ),
        "lines-add-up": ({"lines": [{**LINE, "total": Decimal("84.98")}]}, "block", "both"),
        "totals-add-up": ({"total": Decimal("92.62")}, "block", "left"),
    },
    "purchase_order": {
        "vendor-present": ({"vendor": None}, "block", "both"),
        "number-present": ({"number": " "}, "block", "both"),
        "currency-known": ({"currency": None}, "block", "both"),
        "lines-present": ({"lines": None}, "block", "both"),
        "lines-have-products": ({"lines": [{**LINE, "product": None}]}, "block", "both"),
        "quantities-positive": ({"lines": [{**LINE, "quantity": Decimal(-1)}]}, "block", "both"),
        "lines-add-up": ({"subtotal": Decimal("85.02")}, "block", "both"),
        "totals-add-up": ({"total": Decimal("90.58")}, "block", "both"),
    },
    "invoice": {
        "number-present": ({"number": "/"}, "block", "both"),
        "customer-present": ({"customer": None}, "block", "both"),
        "vendor-present": ({"kind": "vendor_bill", "vendor": None}, "block", "both"),
        "date-present": ({"dated": None}, "block", "both"),
        "due-not-before-date": ({"due": date(2026, 3, 3)}, "warn", "both"),
        "currency-known": ({"currency": "XXQ"}, "block", "both"),
        "lines-present": ({"lines": []}, "block", "both"),
        "lines-say-what": ({"lines": [{**LINE, "product": None, "description": ""}]}, "block", "both"),
        "lines-add-up": ({"lines": [LINE, LINE]}, "block", "both"),
        "totals-add-up": ({"tax_total": Decimal("5.58")}, "block", "both"),
        "period-open": ({"posted": date(2026, 1, 31)}, "block", "both"),
    },
    "payment": {
        "amount-positive": ({"amount": Decimal(0), "applications": []}, "block", "both"),
        "one-party": ({"vendor": 4}, "block", "both"),
        "currency-known": ({"currency": ""}, "block", "both"),
        "date-present": ({"paid_on": None}, "block", "both"),
        "method-present": ({"method": None}, "block", "both"),
        "applied-not-more": ({"amount": Decimal("90.59")}, "block", "both"),
        "refund-names-original": ({"kind": "refund"}, "block", "right"),
        "period-open": ({"paid_on": date(2026, 1, 30)}, "block", "both"),
    },
}
"""Entity → rule → what makes it fire, its severity and where it is checked."""
SIDES: tuple[Side, Side] = ("left", "right")


def shipped(entity: str) -> Any:
    return load_rules(
        text_of("rules", f"{entity.replace('_', '-')}-standard"), ENTITIES[entity], {"closed_through": "2026-01-31"}
    )


def test_every_file_of_rules_that_ships_is_tested_here_rule_by_rule() -> None:
    for file in TEMPLATES.joinpath("rules").iterdir():
        told = yaml.safe_load(file.read_text())
        assert {rule["name"] for rule in told["items"]} == FIRES[told["entity"]].keys(), file.name


@pytest.mark.parametrize("entity", FIRES)
def test_a_good_record_breaks_none(entity: str) -> None:
    rules = shipped(entity)
    nothing = {name: None for name in ENTITIES[entity].fields}
    for side in SIDES:
        assert check_rules(rules, {**nothing, **GOOD[entity]}, side) == []


@pytest.mark.parametrize(
    ("entity", "rule"), [pytest.param(e, r, id=f"{e}-{r}") for e, listed in FIRES.items() for r in listed]
)
def test_the_rule_fires_with_its_severity_at_its_place_only(entity: str, rule: str) -> None:
    wrong, severity, place = FIRES[entity][rule]
    (compiled,) = [one for one in shipped(entity) if one.name == rule]
    values = {**dict.fromkeys(ENTITIES[entity].fields), **GOOD[entity], **wrong}
    for side in SIDES:
        found = check_rules([compiled], values, side)
        assert [(p.field, p.severity) for p in found] == (
            [(compiled.field, severity)] if place in ("both", side) else []
        )
        assert all("{value}" not in p.message for p in found)


def planned(entity: str, side: Side, values: dict[str, Any]) -> Plan:
    """What would be done before `side` with a new record whose values these are, by all rules that ship."""
    told = EntityFile.model_validate(yaml.safe_load(text_of("pairs", "odoo-bng-all"))["entities"][entity])
    told = told.model_copy(update={"create_left": True, "create_right": True})
    canonical, sides = ENTITIES[entity], {}
    for which, part in (("left", told.left), ("right", told.right)):
        mapping = compiled(part.mapping)
        connector = MemoryConnector(MemorySystem(prefix=which[0]))
        sides[which] = SideBinding(side=which, connection_id=1, connection=which, connector=connector, mapping=mapping,
                                   entity=mapping.system_entity)  # fmt: skip
    binding = EntityBinding(
        pair_id=1, pair="main", installation="t", name=entity, canonical=canonical, left=sides["left"],
        right=sides["right"], policy=policy_of(canonical, told), rules=shipped(entity),
    )  # fmt: skip
    item = Item(origin=other(side), partners={n: (str(n), str(n)) for n in range(1, 10)})
    seen = item.seen(other(side))
    seen.key, seen.record = "1", Record(key="1", values={})
    seen.values = {**dict.fromkeys(canonical.fields), **values}
    return plan(binding, item)


@pytest.mark.parametrize("entity", FIRES)
def test_a_bad_record_is_held_by_its_rule_before_anything_is_written_and_a_good_one_is_not(entity: str) -> None:
    messages = {one.name: max(one.message.split("{value}"), key=len) for one in shipped(entity)}
    for side in SIDES:
        good = planned(entity, side, GOOD[entity])
        assert not any(told in str(good.error) for told in messages.values()), (side, good.error)
        for name, (wrong, severity, place) in FIRES[entity].items():
            if place not in ("both", side):
                continue
            bad = planned(entity, side, {**GOOD[entity], **wrong})
            if severity == "block":
                assert (bad.writes, messages[name] in str(bad.error)) == ([], True), (name, side, bad.error)
            else:
                assert any(messages[name] in warning for warning in bad.warnings), (name, side, bad.warnings)


def rule(check: str, field: str = "name") -> Any:
    text = f"rules: r\nentity: customer\nitems:\n  - {{name: n, field: {field}, check: '{check}', message: wrong}}\n"
    return load_rules(text, ENTITIES["customer"])


def test_a_rule_that_cannot_be_decided_blocks_and_says_why() -> None:
    (problem,) = check_rules(rule("at_least(credit_limit, 0)"), {"credit_limit": None, "name": "A"}, "left")
    assert problem.severity == "block"
    assert problem.message.startswith("the rule n cannot be decided")


@pytest.mark.parametrize(
    ("check", "why"),
    [("nmae != null", "undeclared reference to 'nmae'"), ("name ==", "not an expression"), ("a." * 1500, "at most")],
)
def test_a_wrong_expression_is_refused_when_it_is_read(check: str, why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        rule(check)


def test_a_rule_on_a_field_there_is_not_names_those_there_are() -> None:
    with pytest.raises(Misconfigured, match="customer has no field colour") as caught:
        rule("true", "colour")
    assert "credit_limit" in caught.value.hint


CALLS = {
    "add": ('add(value, "0.1")', "0.2", "0.3"),
    "subtract": ('subtract(value, "0.1")', "0.3", "0.2"),
    "multiply": ("multiply(value, 3)", "0.1", "0.3"),
    "divide": ("divide(value, 3, 4)", "1", "0.3333"),
    "round": ("round(value, 1)", "0.25", "0.3"),
    "compare": ("compare(value, 2)", "10", 1),
    "less": ("less(value, 2)", "10", False),
    "at_least": ("at_least(value, 10)", "10.00", True),
    "more": ("more(value, 2)", "2.00", False),
    "near": ('near(value, "1.00", "0.01")', "1.011", False),
    "sum": ('sum([value, "0.2", null])', "0.1", "0.3"),
    "days_between": ('days_between(value, "2026-03-01")', "2026-02-27", 2),
    "add_days": ("add_days(value, 2)", "2026-02-27", "2026-03-01"),
    "before": ('before(value, "2026-03-01")', "2026-02-28", True),
    "upper": ("upper(value)", "ä", "Ä"),
    "lower": ("lower(value)", "Ä", "ä"),
    "trim": ("trim(value)", "  a  b ", "a b"),
    "replace": ('replace(value, "-", "")', "a-b", "ab"),
    "split": ('split(value, "-")[1]', "a-b", "b"),
    "join": ('join(split(value, "-"), "+")', "a-b", "a+b"),
    "part": ("part(value, 1, 3)", "abcd", "bc"),
    "digits": ("digits(value)", "a1b2", "12"),
    "blank": ("blank(value)", " ", True),
    "either": ('either(value, "x")', "", "x"),
    "is_email": ("is_email(value)", "a@b.example", True),
    "is_phone": ("is_phone(value)", "+16502530000", True),
    "is_country": ("is_country(value)", "ZZ", False),
    "is_currency": ("is_currency(value)", "EUR", True),
    "is_tax_id": ('is_tax_id(value, "BE")', "0477472701", True),
}
"""Function → a call, a value and the result."""


def test_every_function_is_tested_here() -> None:
    assert CALLS.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_the_function_gives_what_it_says(name: str) -> None:
    source, value, expected = CALLS[name]
    assert expression(source)({"value": value}) == expected


_NUMBER = st.decimals(-(10**9), 10**9, places=4)


@settings(max_examples=60, deadline=None)
@given(_NUMBER, _NUMBER)
def test_numbers_in_expressions_are_exact(a: Decimal, b: Decimal) -> None:
    values = {"a": a, "b": b}
    for name, exact in (("add", a + b), ("subtract", a - b), ("multiply", a * b)):
        assert Decimal(expression(f"{name}(a, b)", ("a", "b"))(values)) == exact
    assert expression("less(a, b)", ("a", "b"))(values) is (a < b)


@pytest.mark.parametrize(
    "source",
    [
        "[1,2,3].map(a, [1,2,3].map(b, [1,2,3].map(c, [1,2,3].map(d, [1,2,3].map(e, e)))))",
        " + ".join(["value"] * 60),
        "value" * 1000,
        'raw[value] == "x"',
    ],
)
def test_what_could_grow_without_end_is_refused_before_it_runs(source: str) -> None:
    with pytest.raises(ValueError):
        expression(source)


def test_a_long_text_does_not_grow_beyond_the_bound() -> None:
    with pytest.raises(TransformProblem, match="longer than"):
        expression('replace(value, "a", "aaaaaaaaaa")')({"value": "a" * 10_000})
