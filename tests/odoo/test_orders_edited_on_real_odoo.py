"""Edits of sales orders that change whom, what or in which money: BNG and a real Odoo, and the address book of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from trading import ADDRESS, Trade, trading

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
