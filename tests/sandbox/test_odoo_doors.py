"""Proves the sandbox's other doors: the REST routes and the page for people."""

from typing import Any

import pytest
from odoo_visitor import Visitor, visitor

__all__ = ["visitor"]


# --- REST routes -----------------------------------------------------------------------------------------------------


async def test_rest_customers_are_the_same_records(visitor: Visitor) -> None:
    body = {
        "name": "Rest Ltd",
        "is_company": True,
        "email": "r@rest.example",
        "country": "US",
        "state": "CA",
        "external_id": "R-1",
    }
    status, made = await visitor.ask("POST", "/api/v1/customers", body)
    assert status == 201
    assert (made["name"], made["country"], made["state"], made["external_id"], made["phone"]) == (
        "Rest Ltd", "US", "CA", "R-1", None,
    )  # fmt: skip
    row = await visitor.one(made["id"], "name", "country_id", load="")
    assert (row["name"], row["country_id"]) == ("Rest Ltd", 233)
    status, changed = await visitor.ask(
        "PUT", f"/api/v1/customers/{made['id']}", {"phone": "+1 202 555 0100", "state": None}
    )
    assert (status, changed["phone"], changed["state"]) == (200, "+1 202 555 0100", None)
    assert await visitor.ask("GET", f"/api/v1/customers/{made['id']}") == (200, changed)
    status, listed = await visitor.ask("GET", "/api/v1/customers?external_id=R-1")
    assert (listed["total"], listed["data"]) == (1, [changed])


async def test_rest_lists_page_and_tell_what_changed_since(visitor: Visitor) -> None:
    for n in range(3):
        await visitor.ask("POST", "/api/v1/customers", {"name": f"Page {n}"})
    _, page = await visitor.ask("GET", "/api/v1/customers?limit=2&offset=1")
    assert (len(page["data"]), page["limit"], page["offset"]) == (2, 2, 1)
    _, all_of_them = await visitor.ask("GET", "/api/v1/customers?updated_since=2000-01-01T00:00:00Z")
    _, none = await visitor.ask("GET", "/api/v1/customers?updated_since=2999-01-01T00:00:00Z")
    assert (all_of_them["total"] >= 3, none["total"]) == (True, 0)


async def test_rest_products_and_orders(visitor: Visitor) -> None:
    _, product = await visitor.ask(
        "POST", "/api/v1/products", {"name": "Nut", "sku": "NUT", "list_price": 2.5, "unit": "Units"}
    )
    assert (product["sku"], product["list_price"], product["unit"]) == ("NUT", 2.5, "Units")
    _, customer = await visitor.ask("POST", "/api/v1/customers", {"name": "Orderer"})
    lines = [{"product_id": product["id"], "quantity": 4}]
    status, order = await visitor.ask("POST", "/api/v1/sales_orders", {"partner_id": customer["id"], "lines": lines})
    assert (status, order["state"], order["amount_untaxed"]) == (201, "draft", 10.0)
    assert [(line["product_id"], line["quantity"], line["subtotal"]) for line in order["lines"]] == [
        (product["id"], 4.0, 10.0)
    ]


@pytest.mark.parametrize(
    ("verb", "path", "body", "expected"),
    [
        ("GET", "/api/v1/customers/999999", None, (404, "not_found")),
        ("PUT", "/api/v1/customers/999999", {"name": "x"}, (404, "not_found")),
        ("POST", "/api/v1/customers", {"nam": "x"}, (400, "bad_value")),
        ("POST", "/api/v1/customers", {"email": "x"}, (422, "ValidationError")),
        ("POST", "/api/v1/customers", {"name": "x", "country": "ZZ"}, (422, "ValidationError")),
        ("POST", "/api/v1/customers", [1], (400, "bad_json")),
        ("GET", "/api/v1/customers?limit=many", None, (400, "bad_value")),
    ],
)
async def test_rest_says_what_is_wrong(
    visitor: Visitor, verb: str, path: str, body: Any, expected: tuple[int, str]
) -> None:
    status, told = await visitor.ask(verb, path, body)
    assert (status, told["error"]["code"]) == expected


async def test_rest_refuses_a_taken_external_id_and_a_wrong_key(visitor: Visitor) -> None:
    await visitor.ask("POST", "/api/v1/customers", {"name": "First", "external_id": "T-1"})
    status, told = await visitor.ask("POST", "/api/v1/customers", {"name": "Second", "external_id": "T-1"})
    assert (status, told["error"]["code"]) == (409, "external_id_taken")
    status, _ = await visitor.ask("GET", "/api/v1/customers", key="wrong")
    assert status == 401


# --- the page --------------------------------------------------------------------------------------------------------


async def test_a_person_finds_a_customer_and_edits_it(visitor: Visitor) -> None:
    made = await visitor.partner(name="<b>Paged</b>", email="p@page.example", country_id=233)
    _, text = await visitor.ask("GET", "/web/customers?q=paged")
    assert "&lt;b&gt;Paged&lt;/b&gt;" in text
    assert f"/web/customers/{made}" in text
    _, form = await visitor.ask("GET", f"/web/customers/{made}")
    assert 'value="p@page.example"' in form
    told = {"name": "Edited by hand", "email": "p@page.example", "country_id": "233", "active": "1", "city": "Lyon"}
    async with visitor.session.post(f"{visitor.up.url}/web/customers/{made}", data=told) as answer:
        assert answer.status == 200
        assert "Edited by hand" in await answer.text()
    row = await visitor.one(made, "name", "city", "write_uid", "active", "country_id", load="")
    assert row == {
        "id": made,
        "name": "Edited by hand",
        "city": "Lyon",
        "write_uid": 2,
        "active": True,
        "country_id": 233,
    }


async def test_the_page_shows_why_it_cannot_save_and_makes_new_records(visitor: Visitor) -> None:
    made = await visitor.partner()
    async with visitor.session.post(
        f"{visitor.up.url}/web/customers/{made}", data={"name": "", "active": "1"}
    ) as answer:
        assert answer.status == 422
        assert "Contacts require a name" in await answer.text()
    data = {"name": "Gadget", "default_code": "GDG", "list_price": "3.5", "type": "consu", "uom_id": "1", "active": "1"}
    async with visitor.session.post(f"{visitor.up.url}/web/products/new", data=data) as answer:
        assert "[GDG] Gadget" in await answer.text()
    (product,) = await visitor.call(
        "product.product", "search_read", domain=[["default_code", "=", "GDG"]], fields=["list_price"]
    )
    assert product["list_price"] == 3.5


async def test_a_form_from_another_site_is_refused(visitor: Visitor) -> None:
    made = await visitor.partner()
    async with visitor.session.post(
        f"{visitor.up.url}/web/customers/{made}", data={"name": "Evil"}, headers={"Sec-Fetch-Site": "cross-site"}
    ) as answer:
        assert answer.status == 403
