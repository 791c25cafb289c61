"""Proves that the sandbox writes, shares and stamps as a real Odoo 19 does: every test here runs against both."""

from typing import Any

from odoo_sides import PARTNER, QUIET, VALIDATION, next_second, odoo, one, partner, refused

from real_odoo import RealOdoo

__all__ = ["odoo"]


MEMBERS = ("root", "contact", "delivery", "company")
STEPS: dict[str, tuple[str, dict[str, Any], dict[str, Any], set[str]]] = {
    "a new e-mail of the root": ("root", {}, {"email": "new@root.example"}, {"root", "contact", "delivery"}),
    "the same e-mail again": ("root", {"email": "old@root.example"}, {"email": "old@root.example"}, {"root"}),
    "nothing": ("root", {}, {}, {"root"}),
    "a contact's own e-mail": ("contact", {}, {"email": "new@contact.example"}, {"contact"}),
    "the root's street": ("root", {}, {"street": "Root Street"}, set(MEMBERS)),
    "a contact's street": ("contact", {"street": "Old"}, {"street": "Contact Street"}, set(MEMBERS)),
    "a delivery's street": ("delivery", {}, {"street": "Dock 2"}, {"delivery"}),
    "a delivery's tax id": ("delivery", {}, {"vat": "TAX-1"}, {"root", "contact", "delivery"}),
    "a contact's emptied tax id": ("contact", {"vat": "TAX-1"}, {"vat": False}, {"root", "contact"}),
}
"""What is written: to which member, what its root had before, the values, and whose write_date moves."""


def families(odoo: RealOdoo, roots: list[dict[str, Any]]) -> list[dict[str, int]]:
    """A company with a contact, a delivery address and a daughter for each of `roots`."""
    made = odoo.call(
        PARTNER, "create", vals_list=[{"name": "Root", "is_company": True, **values} for values in roots], context=QUIET
    )
    kinds: list[dict[str, Any]] = [
        {"name": "Contact"},
        {"name": "Delivery", "type": "delivery", "street": "Dock 1"},
        {"name": "Daughter", "is_company": True},
    ]
    below = [{"parent_id": root, **values} for root in made for values in kinds]
    children = odoo.call(PARTNER, "create", vals_list=below, context=QUIET)
    return [dict(zip(MEMBERS, (root, *children[3 * n : 3 * n + 3]), strict=True)) for n, root in enumerate(made)]


def test_who_moves_when_a_family_member_is_written(odoo: RealOdoo) -> None:
    made = families(odoo, [before for _, before, _, _ in STEPS.values()])

    def stamps() -> list[dict[str, str]]:
        ids = [i for family in made for i in family.values()]
        rows = odoo.call(PARTNER, "read", ids=ids, fields=["write_date"])
        told = {row["id"]: row["write_date"] for row in rows}
        return [{name: told[i] for name, i in family.items()} for family in made]

    before = stamps()
    next_second()
    for family, (member, _, values, _) in zip(made, STEPS.values(), strict=True):
        odoo.call(PARTNER, "write", ids=[family[member]], vals=values, context=QUIET)
    moved = [{name for name in MEMBERS if old[name] != new[name]} for old, new in zip(before, stamps(), strict=True)]
    assert dict(zip(STEPS, moved, strict=True)) == {step: expected for step, (_, _, _, expected) in STEPS.items()}


def test_what_a_family_shares_after_its_members_were_written(odoo: RealOdoo) -> None:
    (family,) = families(odoo, [{}])
    for member, values in (
        ("root", {"street": "Root Street"}),
        ("contact", {"street": "Contact Street"}),
        ("delivery", {"street": "Dock 2"}),
        ("delivery", {"vat": "TAX-1"}),
        ("contact", {"vat": False}),
    ):
        odoo.call(PARTNER, "write", ids=[family[member]], vals=values, context=QUIET)
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
