"""Proves that sandbox and real Odoo end up equal after the same random edits on contacts and products."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from odoo_sides import PARTNER, QUIET, TEMPLATE, VARIANT, sandbox_process

from real_odoo import OdooDatabases, OdooRefused, RealOdoo

EDITS = 100
SEED = 1
CONTACT_FIELDS = (
    "name", "email", "street", "city", "zip", "vat", "website", "comment", "type", "is_company", "active", "parent_id",
    "child_ids", "country_id", "state_id", "property_payment_term_id", "credit_limit", "complete_name", "ref",
    "commercial_partner_id", "commercial_company_name", "lang", "color", "company_name", "function", "category_id",
    "company_registry",
)  # fmt: skip
TEMPLATE_FIELDS = (
    "name", "default_code", "barcode", "list_price", "standard_price", "weight", "volume", "type", "is_storable",
    "active", "sale_ok", "categ_id", "uom_id", "description_sale", "product_variant_ids", "product_variant_count",
)  # fmt: skip
VARIANT_FIELDS = (
    "name", "default_code", "barcode", "list_price", "lst_price", "standard_price", "weight", "volume", "active",
    "product_tmpl_id", "display_name", "description_sale",
)  # fmt: skip


class Side:
    """One of the two systems, with its own ids for the records that both made in the same order."""

    def __init__(self, odoo: RealOdoo) -> None:
        self.odoo = odoo
        self.ids: dict[str, list[int]] = {PARTNER: [], TEMPLATE: [], VARIANT: []}

    def outcome(self, model: str, method: str, **arguments: Any) -> Any:
        """What a caller learns: the answer, or how it was refused."""
        try:
            return self.odoo.call(model, method, context=QUIET, **arguments)
        except OdooRefused as refusal:
            return refusal.status, refusal.name

    def adopt(self, model: str, made: list[int]) -> None:
        self.ids[model] += made
        if model == TEMPLATE:
            for template in made:
                (row,) = self.odoo.call(TEMPLATE, "read", ids=[template], fields=["product_variant_ids"])
                self.ids[VARIANT] += row["product_variant_ids"]

    def rows(self, model: str, fields: tuple[str, ...]) -> list[dict[str, Any]]:
        """All records both sides made, ids replaced by positions."""
        told = self.odoo.call(model, "read", ids=self.ids[model], fields=list(fields), load="")
        described = self.odoo.call(model, "fields_get", allfields=list(fields), attributes=["relation"])
        return [{name: self._neutral(value, described.get(name, {}).get("relation", model if name == "id" else ""))
                 for name, value in row.items()} for row in told]  # fmt: skip

    def _neutral(self, value: Any, relation: str) -> Any:
        known = self.ids.get(relation)
        if known is None or isinstance(value, bool):
            return value
        if isinstance(value, list):
            return sorted(known.index(i) if i in known else -i for i in value)
        return known.index(value) if value in known else value


@pytest.fixture
def sides(odoo_db: OdooDatabases) -> Iterator[list[Side]]:
    with sandbox_process() as (sandbox, _):
        yield [Side(sandbox), Side(odoo_db())]


def contact_values(chance: random.Random, number: int) -> dict[str, Callable[[Side], Any]]:
    """A few random fields of a contact, as functions of the side so that references use its own ids."""
    word = chance.choice(["", "Ann", "Bo & Co", "Élan", "  spaced ", f"N{number}"])
    parent = chance.random()
    terms, country = chance.choice([False, 2, 3]), chance.choice([False, 233, 75])
    pool: dict[str, Callable[[Side], Any]] = {
        "name": lambda side: word or f"Name {number}",
        "email": lambda side: f"{word.strip().lower() or 'x'}@random.example",
        "street": lambda side: chance_free_text(number),
        "city": lambda side: word or False,
        "vat": lambda side: f"VAT{number}" if number % 3 else False,
        "website": lambda side: f"site{number}.example" if number % 2 else "https://s.example/a",
        "comment": lambda side: f"note {number}" if number % 2 else f"<p>note {number}</p>",
        "type": lambda side: ("contact", "invoice", "delivery", "other")[number % 4],
        "is_company": lambda side: number % 3 == 0,
        "active": lambda side: number % 7 != 0,
        "country_id": lambda side: country,
        "property_payment_term_id": lambda side: terms,
        "credit_limit": lambda side: number / 4,
        "color": lambda side: number % 5,
        "company_registry": lambda side: f"REG{number}",
        "parent_id": lambda side: (
            side.ids[PARTNER][int(parent * len(side.ids[PARTNER]))] if side.ids[PARTNER] else False
        ),
    }
    return {name: pool[name] for name in chance.sample(sorted(pool), chance.randint(1, 4))}


def chance_free_text(number: int) -> str | bool:
    return f"{number} Street" if number % 4 else False


def product_values(chance: random.Random, number: int) -> dict[str, Any]:
    pool: dict[str, Any] = {
        "name": f"Product {number}",
        "default_code": f"P{number}" if number % 5 else False,
        "barcode": f"B{number % 9}" if number % 2 else False,
        "list_price": number / 7,
        "standard_price": number / 3,
        "weight": number / 9,
        "volume": number / 11,
        "type": "service" if number % 4 == 0 else "consu",
        "active": number % 6 != 0,
        "description_sale": f"Text {number}",
        "categ_id": chance.choice([False, 1, 2]),
    }
    return {name: pool[name] for name in chance.sample(sorted(pool), chance.randint(1, 5))}


def test_the_same_random_edits_leave_both_sides_equal(sides: list[Side]) -> None:
    chance = random.Random(SEED)
    for number in range(EDITS):
        edit = random_edit(chance, number)
        outcomes = [edit(side) for side in sides]
        assert outcomes[0] == outcomes[1], f"edit {number}"
        if number % 20 == 19:
            same_rows(sides, number)
    same_rows(sides, EDITS)


def same_rows(sides: list[Side], number: int) -> None:
    for model, fields in ((PARTNER, CONTACT_FIELDS), (TEMPLATE, TEMPLATE_FIELDS), (VARIANT, VARIANT_FIELDS)):
        for ours, real in zip(*(side.rows(model, fields) for side in sides), strict=True):
            assert ours == real, f"{model} after edit {number}"


def random_edit(chance: random.Random, number: int) -> Callable[[Side], Any]:
    """One edit; run on a side it returns what a caller sees, without ids."""
    kind = chance.random()
    place = chance.random()
    model = chance.choice([PARTNER, PARTNER, TEMPLATE, VARIANT])

    def target(side: Side) -> int:
        known = side.ids[model]
        return known[int(place * len(known))] if known else 999999

    if kind < 0.3:
        if model == PARTNER:
            told = {"name": lambda side: f"Made {number}", **contact_values(chance, number)}
            return lambda side: created(side, PARTNER, {name: value(side) for name, value in told.items()})
        made = {"name": f"Made {number}", **product_values(chance, number)}
        return lambda side: created(side, TEMPLATE, made)
    if kind < 0.4:
        cells = {"name": f"Loaded {number}", "street": f"{number} Load", "vat": f"L{number}" if number % 2 else ""}
        return lambda side: loaded(side, number, cells, place)
    if kind < 0.47:
        method = "action_archive" if number % 2 else "action_unarchive"
        return lambda side: side.outcome(model, method, ids=[target(side)])
    if kind < 0.5 and model == PARTNER:
        return lambda side: side.outcome(PARTNER, "unlink", ids=[target(side)])
    if model == PARTNER:
        changes = contact_values(chance, number)
        return lambda side: side.outcome(
            PARTNER, "write", ids=[target(side)], vals={name: value(side) for name, value in changes.items()}
        )
    written = product_values(chance, number)
    return lambda side: side.outcome(model, "write", ids=[target(side)], vals=written)


def created(side: Side, model: str, values: dict[str, Any]) -> Any:
    answer = side.outcome(model, "create", vals_list=[values])
    if isinstance(answer, list):
        side.adopt(model, answer)
        return "created"
    return answer


def loaded(side: Side, number: int, cells: dict[str, str], place: float) -> Any:
    known = side.ids[PARTNER]
    parent = str(known[int(place * len(known))]) if known and number % 3 else ""
    row = [f"random_{number % 6}", *cells.values(), parent]
    answer = side.outcome(PARTNER, "load", fields=["id", *cells, "parent_id/.id"], data=[row])
    if isinstance(answer, dict) and answer["ids"]:
        side.adopt(PARTNER, [i for i in answer["ids"] if i not in known])
        return "loaded"
    return [message["type"] for message in answer["messages"]] if isinstance(answer, dict) else answer
