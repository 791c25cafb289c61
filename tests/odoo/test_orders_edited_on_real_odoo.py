"""Edits of sales orders that change whom, what or in which money: BNG and a real Odoo, and the address book of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from trading import ADDRESS, PRODUCTS, Trade, trading

from joined import Systems
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo

BOOKS = {**ADDRESS, "Name": "Books", "Line1": "Kaai 1"}
LEDGER = {"Name": "Ledger", "Line1": "Kaai 2", "City": "Brugge", "PostalCode": "8000", "CountryCode": "BE"}
DOCK_3 = {**LEDGER, "Name": "Dock 3", "Line1": "Kaai 8"}


@pytest.fixture
async def trade(home: Any, systems: Systems, odoo_db: OdooDatabases) -> AsyncIterator[Trade]:
    async with trading(odoo_db(), systems) as made:
        yield made


def place(trade: Trade, order: dict[str, Any], field: str) -> tuple[Any, ...]:
    """A contact of an order: whose it is, and its address."""
    [at] = trade.read("res.partner", [["id", "=", order[field][0]]], "name", "street", "city", "zip", "country_id",
                      "commercial_partner_id")  # fmt: skip
    owner, country = at["commercial_partner_id"][1], at["country_id"] and at["country_id"][1]
    return owner, at["name"], at["street"], at["city"], at["zip"], country


async def test_a_changed_customer_and_changed_addresses_arrive_whole_and_no_address_is_made_half(trade: Trade) -> None:
    trade.new("res.partner", name="Blanc", is_company=True, customer_rank=1, email="b@blanc.example.com")
    await trade.settle()
    [blanc] = [row["CustomerID"] for row in await trade.at_bng("customer") if row["CompanyName"] == "Blanc"]
    key = await trade.order_in_bng(BillingAddress=BOOKS, ShippingAddress=ADDRESS)
    await trade.settle()
    contacts = trade.read("res.partner", [], "name", "street", "city", "zip", "country_id", "parent_id", "type")
    await trade.edit("sales_order", key, CustomerID=blanc, BillingAddress=LEDGER, ShippingAddress=DOCK_3)
    for _ in range(3):
        await trade.settle()
        assert await trade.letters() == []
        [order] = trade.orders_in_odoo("partner_id", "partner_invoice_id", "partner_shipping_id")
        assert order["partner_id"][1] == "Blanc"
        assert place(trade, order, "partner_invoice_id") == ("Blanc", "Ledger", "Kaai 2", "Brugge", "8000", "Belgium")
        assert place(trade, order, "partner_shipping_id") == ("Blanc", "Dock 3", "Kaai 8", "Brugge", "8000", "Belgium")
    now = trade.read("res.partner", [], "name", "street", "city", "zip", "country_id", "parent_id", "type")
    assert [row for row in now if row in contacts] == contacts
    assert sorted(row["name"] for row in now if row not in contacts) == ["Dock 3", "Ledger"]

    # Another name at the same place is another contact, whole as well; the first is found again, not made again.
    for name in ("Jane", "Ledger"):
        await trade.edit("sales_order", key, BillingAddress={**LEDGER, "Name": name})
        await trade.settle()
        assert await trade.letters() == []
        [order] = trade.orders_in_odoo("partner_invoice_id")
        assert place(trade, order, "partner_invoice_id") == ("Blanc", name, "Kaai 2", "Brugge", "8000", "Belgium")
    assert len(trade.read("res.partner", [], "name")) == len(now) + 1


async def test_an_order_that_changes_its_currency_changes_its_price_list_and_a_confirmed_one_is_held(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    tables = {"pricelist": [("EUR", "Euro", ""), ("USD", "Dollar", "")]}
    async with trading(odoo_db(), systems, tables=tables) as trade:
        find = {"domain": [["name", "=", "EUR"]], "context": {"active_test": False}}
        admin, euros = trade.odoo.admin_key, trade.odoo.call("res.currency", "search", **find)
        trade.odoo.call("res.currency", "write", admin, ids=euros, vals={"active": True})
        lists = [{"name": "Euro", "currency_id": euros[0]}, {"name": "Dollar"}]
        trade.odoo.call("product.pricelist", "create", admin, vals_list=lists)
        for currency in ("EUR", "USD"):
            await trade.order_in_bng(trade.line(1, "CHAIR", "2", "40"), CurrencyCode=currency)
        await trade.settle()
        keys = {row["CurrencyCode"]: row["SalesOrderID"] for row in await trade.at_bng("sales_order")}
        by_key = {row["origin"]: row["id"] for row in trade.orders_in_odoo("origin")}

        def money(currency: str) -> tuple[Any, ...]:
            [row] = trade.read("sale.order", [["id", "=", by_key[keys[currency]]]], "currency_id", "pricelist_id",
                               "amount_total")  # fmt: skip
            return row["currency_id"][1], row["pricelist_id"] and row["pricelist_id"][1], row["amount_total"]

        assert (money("EUR"), money("USD")) == (("EUR", "Euro (EUR)", 80.0), ("USD", "Dollar (USD)", 80.0))
        dearer = trade.order(trade.line(1, "CHAIR", "2", "43"))
        edit = {name: dearer[name] for name in ("LineItems", "Subtotal", "TotalAmount")}
        await trade.edit("sales_order", keys["EUR"], CurrencyCode="USD", **edit)
        await trade.edit("sales_order", keys["USD"], CurrencyCode="EUR")
        await trade.settle()
        assert await trade.letters() == []
        assert (money("EUR"), money("USD")) == (("USD", "Dollar (USD)", 86.0), ("EUR", "Euro (EUR)", 80.0))

        trade.odoo.call("sale.order", "action_confirm", ids=[by_key[keys["USD"]]])
        await trade.edit("sales_order", keys["USD"], CurrencyCode="USD")
        await trade.edit("sales_order", keys["EUR"], CurrencyCode="CAD")
        await trade.settle()
        held = {letter["key"]: letter["error"]["answered"] for letter in await trade.letters()}
        assert held == {
            keys["USD"]: "You cannot change the pricelist of a confirmed order !",
            keys["EUR"]: "currency: no price list in CAD is known: add it to the look-up table 'pricelist' with "
            "`isthmus lookup import`",
        }
        assert (money("EUR"), money("USD")) == (("USD", "Dollar (USD)", 86.0), ("EUR", "Euro (EUR)", 80.0))
        # Back at the money that Odoo kept, the confirmed order passes by itself; so does the other with a price list.
        await trade.edit("sales_order", keys["USD"], CurrencyCode="EUR")
        await trade.edit("sales_order", keys["EUR"], CurrencyCode="EUR")
        await trade.settle()
        assert await trade.letters() == []
        assert (money("EUR"), money("USD")) == (("EUR", "Euro (EUR)", 86.0), ("EUR", "Euro (EUR)", 80.0))


async def test_a_line_whose_product_changes_in_odoo_arrives_at_bng_with_the_sku_of_the_new_one(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    def both_ways(made: dict[str, Any]) -> None:
        made["entities"]["sales_order"]["create_right"] = True

    async with trading(odoo_db(), systems, change=both_ways) as trade:
        v = trade.variants
        sold = [
            {"product_id": v[sku], "product_uom_qty": n, "price_unit": 10} for n, sku in ((2, "CHAIR"), (3, "TABLE"))
        ]
        order = trade.new("sale.order", partner_id=trade.partner, order_line=[[0, 0, line] for line in sold])
        bought = [{"product_id": v[sku], "product_qty": 1, "price_unit": 5} for sku in ("CHAIR", "TABLE")]
        lines = [[0, 0, line] for line in bought]
        purchase = trade.new("purchase.order", partner_id=trade.supplier, order_line=lines)
        trade.odoo.call("purchase.order", "button_confirm", ids=[purchase])
        billed = [
            {"product_id": v[sku], "quantity": 1, "price_unit": 10, "tax_ids": [[6, 0, []]]} for sku in PRODUCTS[:2]
        ]
        move = trade.new(
            "account.move", move_type="out_invoice", partner_id=trade.partner, invoice_date="2026-03-04",
            invoice_line_ids=[[0, 0, line] for line in billed],
        )  # fmt: skip
        trade.odoo.call("account.move", "action_post", ids=[move])
        await trade.settle()
        assert await trade.letters() == []
        for model, key, field in (("sale.order", order, "order_line"), ("purchase.order", purchase, "order_line"),
                                  ("account.move", move, "invoice_line_ids")):  # fmt: skip
            [row] = trade.read(model, [["id", "=", key]], field)
            first = min(row[field])
            if model == "account.move":
                trade.odoo.call(model, "button_draft", ids=[key])
            trade.odoo.call(model, "write", ids=[key], vals={field: [[1, first, {"product_id": v["LAMP"]}]]})
            if model == "account.move":
                trade.odoo.call(model, "action_post", ids=[key])
        await trade.settle()
        assert await trade.letters() == []
        for entity in ("sales_order", "purchase_order", "invoice"):
            [made] = await trade.at_bng(entity)
            assert [(line["SKU"], line["ProductID"]) for line in made["LineItems"]] == [
                (sku, trade.products[sku]) for sku in ("LAMP", "TABLE")
            ]  # fmt: skip
