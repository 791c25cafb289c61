"""Proves that the sandbox finds and sorts as a real Odoo 19 does: every test here runs against both."""

from typing import Any

import pytest
from odoo_sides import PARTNER, QUIET, odoo, one, partner

from real_odoo import RealOdoo

__all__ = ["odoo"]


@pytest.fixture(scope="module")
def crowd(odoo: RealOdoo) -> dict[str, int]:
    """A few contacts, all with function 'crowd'."""
    us, fr = (odoo.call("res.country", "search", domain=[["code", "=", code]])[0] for code in ("US", "FR"))
    rows: list[dict[str, Any]] = [
        {"name": "Alpha 100%", "email": "a@crowd.example", "country_id": us, "color": 1, "is_company": True},
        {"name": "beta_x", "email": "B@crowd.example", "country_id": fr, "color": 2},
        {"name": "Gamma", "ref": "G-1", "color": 3, "credit_limit": 10},
        {"name": "delta", "ref": "", "color": 0, "active": False},
    ]
    ids = odoo.call(PARTNER, "create", vals_list=[{"function": "crowd", **row} for row in rows], context=QUIET)
    child = {"name": "Alpha's child", "parent_id": ids[0], "function": "crowd", "type": "invoice", "street": "Inv 1"}
    return dict(zip("abgdc", [*ids, odoo.call(PARTNER, "create", vals_list=[child])[0]], strict=True))


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ([], "abgc"),
        ([["active", "=", False]], "d"),
        ([["active", "in", [True, False]]], "abgdc"),
        ([["name", "=", "Gamma"]], "g"),
        ([["name", "!=", "Gamma"]], "abc"),
        ([["email", "=", False]], "gc"),
        ([["email", "!=", False]], "ab"),
        ([["email", "!=", "a@crowd.example"]], "bgc"),
        ([["email", "ilike", "B@CROWD"]], "b"),
        ([["email", "like", "B@"]], "b"),
        ([["email", "like", "b@"]], ""),
        ([["email", "not ilike", "crowd"]], "gc"),
        ([["email", "=ilike", "%@CROWD.example"]], "ab"),
        ([["email", "=like", "a@crowd.example"]], "a"),
        ([["name", "ilike", "100%"]], "a"),
        ([["name", "ilike", "beta_x"]], "b"),
        ([["name", "ilike", "al%100"]], "a"),
        ([["name", "in", ["Gamma", "beta_x"]]], "bg"),
        ([["name", "not in", ["Gamma", "beta_x"]]], "ac"),
        ([["ref", "in", ["G-1", False]]], "abgc"),
        ([["color", ">", 1]], "bg"),
        ([["color", ">=", 1], ["color", "<", 3]], "ab"),
        ([["color", "in", [1, 3]]], "ag"),
        ([["color", "=", 0]], "c"),
        ([["color", "=", False]], "c"),
        ([["color", "!=", 0]], "abg"),
        ([["color", "<=", 0]], "c"),
        ([["is_company", "=", True]], "a"),
        ([["is_company", "!=", True]], "bgc"),
        ([["is_company", "=", False]], "bgc"),
        ([["country_id", "=", False]], "gc"),
        ([["country_id.code", "=", "FR"]], "b"),
        ([["country_id.code", "!=", "FR"]], "a"),
        ([["country_id", "=", "France"]], "b"),
        ([["country_id", "ilike", "united st"]], "a"),
        ([["country_id.code", "in", ["FR", "US"]]], "ab"),
        ([["parent_id", "!=", False]], "c"),
        ([["parent_id.name", "ilike", "alpha"]], "c"),
        ([["child_ids", "!=", False]], "a"),
        ([["child_ids.street", "=", "Inv 1"]], "a"),
        ([["child_ids.name", "ilike", "nobody"]], ""),
        ([["commercial_partner_id.name", "=", "Alpha 100%"]], "ac"),
        (["|", ["name", "=", "Gamma"], ["color", "=", 2]], "bg"),
        (["!", ["name", "=", "Gamma"]], "abc"),
        (["!", "|", ["name", "=", "Gamma"], ["color", "=", 2]], "ac"),
        (["&", "|", ["color", "=", 1], ["color", "=", 2], ["is_company", "=", False]], "b"),
        (["|", "&", ["color", "=", 1], ["is_company", "=", True], ["ref", "=", "G-1"]], "ag"),
        ([["id", "child_of", "Alpha 100%"]], "ac"),
        ([["create_uid", "=", 5]], "abgc"),
        ([["create_uid.login", "=", "admin"]], ""),
        ([["display_name", "ilike", "alpha 100%, alpha"]], "c"),
        ([["credit_limit", ">", 9.5]], "g"),
        ([["color", "=?", False]], "abgc"),
        ([["child_ids", "any", [["type", "=", "invoice"]]]], "a"),
        ([["country_id", "not any", [["code", "=", "FR"]]]], "agc"),
        ([["name", "=", True]], ""),
    ],
    ids=str,
)  # fmt: skip
def test_a_domain_finds_the_same_contacts(
    odoo: RealOdoo, crowd: dict[str, int], domain: list[Any], expected: str
) -> None:
    found = odoo.call(PARTNER, "search", domain=[["function", "=", "crowd"], *domain])
    names = {number: letter for letter, number in crowd.items()}
    assert "".join(sorted((names[i] for i in found), key="abgdc".index)) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (None, "acgb"),
        ("id desc", "cgba"),
        ("color desc, id", "gbac"),
        ("email, id", "bagc"),
        ("email desc, id", "gcab"),
        ("country_id, id", "bagc"),
        ("country_id desc, id", "gcab"),
        ("is_company, id", "bgca"),
        ("ref nulls first, id", "abcg"),
        ("name desc", "bgca"),
    ],
)
def test_an_order_sorts_the_same_way(odoo: RealOdoo, crowd: dict[str, int], order: str | None, expected: str) -> None:
    found = odoo.call(PARTNER, "search", domain=[["function", "=", "crowd"]], **({"order": order} if order else {}))
    names = {number: letter for letter, number in crowd.items()}
    assert "".join(names[i] for i in found) == expected


def test_limit_and_offset_cut_the_ordered_list(odoo: RealOdoo, crowd: dict[str, int]) -> None:
    asked = {"domain": [["function", "=", "crowd"]], "order": "id"}
    assert odoo.call(PARTNER, "search", offset=1, limit=2, **asked) == [crowd["b"], crowd["g"]]
    assert odoo.call(PARTNER, "search_count", domain=asked["domain"], limit=3) == 3
    rows = odoo.call(PARTNER, "search_read", fields=["name"], limit=1, offset=2, **asked)
    assert rows == [{"id": crowd["g"], "name": "Gamma"}]


def test_write_date_compares_at_whole_seconds(odoo: RealOdoo) -> None:
    made = partner(odoo)
    stamp = one(odoo, PARTNER, made, "write_date")["write_date"]

    def found(operator: str, value: str) -> bool:
        domain = [["id", "=", made], ["write_date", operator, value]]
        return bool(odoo.call(PARTNER, "search", domain=domain))

    assert [found(op, stamp) for op in ("=", ">=", "<=", ">", "<", "!=")] == [True, True, True, False, False, False]
    assert found("=", stamp + ".999999")
    assert not found(">", stamp + ".000001")
    assert found(">=", stamp[:10])
    assert found("<=", stamp[:10])
    assert not found(">", stamp[:10])


def test_name_search_finds_by_name_email_and_reference(odoo: RealOdoo, crowd: dict[str, int]) -> None:
    assert odoo.call(PARTNER, "name_search", name="gamm") == [[crowd["g"], "Gamma"]]
    assert odoo.call(PARTNER, "name_search", name="G-1") == [[crowd["g"], "Gamma"]]
    assert odoo.call(PARTNER, "name_search", name="Gamma", operator="=") == [[crowd["g"], "Gamma"]]
