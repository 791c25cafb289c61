"""Proves that the sandbox writes, shares and stamps as a real Odoo 19 does: every test here runs against both."""

from typing import Any

import pytest
from odoo_sides import PARTNER, QUIET, VALIDATION, next_second, odoo, one, partner, refused

from real_odoo import RealOdoo

__all__ = ["odoo"]


class Stamps:
    """Which of some contacts a step moved the write_date of."""

    def __init__(self, odoo: RealOdoo, **named: int) -> None:
        self._odoo, self._named = odoo, named

    def moved_by(self, ids: list[int], **values: Any) -> set[str]:
        before = self._read()
        next_second()
        self._odoo.call(PARTNER, "write", ids=ids, vals=values, context=QUIET)
        after = self._read()
        return {name for name in self._named if before[name] != after[name]}

    def _read(self) -> dict[str, str]:
        rows = self._odoo.call(PARTNER, "read", ids=list(self._named.values()), fields=["write_date"])
        return dict(zip(self._named, (row["write_date"] for row in rows), strict=True))


@pytest.fixture(scope="module")
def family(odoo: RealOdoo) -> dict[str, int]:
    root = partner(odoo, name="Root", is_company=True)
    kinds: dict[str, dict[str, Any]] = {
        "contact": {"name": "Contact"},
        "delivery": {"name": "Delivery", "type": "delivery", "street": "Dock 1"},
        "company": {"name": "Daughter", "is_company": True},
    }
    return {"root": root} | {kind: partner(odoo, parent_id=root, **values) for kind, values in kinds.items()}


def test_who_moves_when_a_family_member_is_written(odoo: RealOdoo, family: dict[str, int]) -> None:
    stamps = Stamps(odoo, **family)
    root, contact, delivery = [family["root"]], [family["contact"]], [family["delivery"]]
    assert stamps.moved_by(root, email="new@root.example") == {"root", "contact", "delivery"}
    assert stamps.moved_by(root, email="new@root.example") == {"root"}
    assert stamps.moved_by(root) == {"root"}
    assert stamps.moved_by(contact, email="new@contact.example") == {"contact"}
    assert stamps.moved_by(root, street="Root Street") == {"root", "contact", "delivery", "company"}
    assert stamps.moved_by(contact, street="Contact Street") == {"root", "contact", "delivery", "company"}
    assert stamps.moved_by(delivery, street="Dock 2") == {"delivery"}
    assert stamps.moved_by(delivery, vat="TAX-1") == {"root", "contact", "delivery"}
    assert stamps.moved_by(contact, vat=False) == {"root", "contact"}
    rows = odoo.call(PARTNER, "read", ids=list(family.values()), fields=["street", "vat"])
    told = {name: (row["street"], row["vat"]) for name, row in zip(family, rows, strict=True)}
    assert told == {
        "root": ("Contact Street", "TAX-1"),
        "contact": ("Contact Street", False),
        "delivery": ("Dock 2", "TAX-1"),
        "company": ("Contact Street", False),
    }


def test_adding_a_child_does_not_move_the_parent_and_gives_it_the_family_values(odoo: RealOdoo) -> None:
    root = partner(odoo, name="Giver", is_company=True, street="Given 1", vat="GIVEN", property_payment_term_id=2)
    before = one(odoo, PARTNER, root, "write_date")
    next_second()
    child = partner(odoo, parent_id=root)
    assert one(odoo, PARTNER, root, "write_date") == before
    told = one(
        odoo,
        PARTNER,
        child,
        "street",
        "vat",
        "property_payment_term_id",
        "commercial_partner_id",
        "display_name",
        load="",
    )
    assert told == {
        "id": child, "street": "Given 1", "vat": "GIVEN", "property_payment_term_id": 2,
        "commercial_partner_id": root, "display_name": "Giver, Somebody",
    }  # fmt: skip


def test_the_address_of_a_first_child_becomes_the_empty_parents(odoo: RealOdoo) -> None:
    root = partner(odoo, name="Empty", is_company=True)
    partner(odoo, parent_id=root, street="From Below", vat="BELOW")
    told = one(odoo, PARTNER, root, "street", "vat")
    assert (told["street"], told["vat"]) == ("From Below", "BELOW")


def test_write_date_cannot_be_set(odoo: RealOdoo) -> None:
    made = partner(odoo)
    assert odoo.call(PARTNER, "write", ids=[made], vals={"write_date": "2001-01-01 00:00:00"}) is True
    assert one(odoo, PARTNER, made, "write_date")["write_date"] > "2020"


def test_a_circle_of_parents_is_refused(odoo: RealOdoo) -> None:
    top = partner(odoo)
    below = partner(odoo, parent_id=top)
    expected = (422, VALIDATION, "You cannot create recursive Partner hierarchies.")
    assert refused(odoo, PARTNER, "write", ids=[top], vals={"parent_id": below}) == expected


def test_x2many_commands_change_the_relation(odoo: RealOdoo) -> None:
    tags = odoo.call("res.partner.category", "create", vals_list=[{"name": "T1"}, {"name": "T2"}, {"name": "T3"}])
    made = partner(odoo, category_id=[[6, 0, tags[:2]]], child_ids=[[0, 0, {"name": "Kid"}]])
    (kid,) = one(odoo, PARTNER, made, "child_ids")["child_ids"]

    def after(**values: Any) -> tuple[list[int], list[int]]:
        odoo.call(PARTNER, "write", ids=[made], vals=values)
        told = one(odoo, PARTNER, made, "category_id", "child_ids")
        return sorted(told["category_id"]), told["child_ids"]

    assert after(category_id=[[4, tags[2], 0]]) == (tags, [kid])
    assert after(category_id=[[3, tags[0], 0]]) == (tags[1:], [kid])
    assert after(category_id=[tags[0]]) == ([tags[0]], [kid])
    assert after(category_id=[[5, 0, 0]]) == ([], [kid])
    assert after(child_ids=[[1, kid, {"function": "boss"}]]) == ([], [kid])
    assert one(odoo, PARTNER, kid, "function")["function"] == "boss"
    assert after(child_ids=[[3, kid, 0]]) == ([], [])
    assert after(child_ids=[[4, kid, 0]]) == ([], [kid])
    assert after(child_ids=[[2, kid, 0]]) == ([], [])
    assert odoo.call(PARTNER, "read", ids=[kid], fields=["name"]) == []


def test_archived_records_hide_from_search_but_can_be_read(odoo: RealOdoo) -> None:
    made = partner(odoo, name="To Archive")
    assert odoo.call(PARTNER, "action_archive", ids=[made]) is None
    domain = [["name", "=", "To Archive"]]
    assert odoo.call(PARTNER, "search", domain=domain) == []
    assert odoo.call(PARTNER, "search", domain=domain, context={"active_test": False}) == [made]
    assert one(odoo, PARTNER, made, "active")["active"] is False
    odoo.call(PARTNER, "action_unarchive", ids=[made])
    assert odoo.call(PARTNER, "search", domain=domain) == [made]
