"""The journey of an order between a real Odoo and BNG: its documents, its money, and what happened to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from trading import Trade, trading

from joined import Systems, isthmus
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


@pytest.fixture
async def trade(home: Any, systems: Systems, odoo_db: OdooDatabases) -> AsyncIterator[Trade]:
    async with trading(odoo_db(), systems) as made:
        yield made


async def billed(trade: Trade, order: int) -> int:
    """An invoice of the order's lines, posted in Odoo."""
    rows = [
        [0, 0, {"product_id": row["product_id"][0], "quantity": row["product_uom_qty"], "price_unit": row["price_unit"],
                "tax_ids": [[6, 0, []]], "sale_line_ids": [[6, 0, [row["id"]]]]}]
        for row in trade.lines_in_odoo(order)
    ]  # fmt: skip
    move = trade.new(
        "account.move", move_type="out_invoice", partner_id=trade.partner, invoice_date="2026-03-05",
        invoice_line_ids=rows,
    )  # fmt: skip
    trade.odoo.call("account.move", "action_post", ids=[move])
    return move


async def paid(trade: Trade, amount: str) -> None:
    """A payment of the one invoice, typed into BNG."""
    [bill] = await trade.at_bng("invoice")
    applied = [{"InvoiceID": bill["InvoiceID"], "AmountApplied": amount}]
    await trade.seed(
        "payment",
        {"Direction": "Inbound", "PaymentType": "Capture", "CustomerID": trade.customer, "Amount": amount,
         "CurrencyCode": "USD", "PaymentDate": "2026-03-05T09:00:00Z", "PaymentMethod": "Wire", "Status": "Captured",
         "Applications": applied},
    )  # fmt: skip


async def test_an_order_is_followed_from_bng_to_its_invoice_and_payment_by_any_of_its_names(trade: Trade) -> None:
    key = await trade.order_in_bng(OrderNumber="SO-4711")
    other = await trade.order_in_bng(OrderNumber="SO-4712")
    await trade.settle()
    [order] = trade.read("sale.order", [["client_order_ref", "=", "SO-4711"]], "name")
    trade.odoo.call("sale.order", "action_confirm", ids=[order["id"]])
    await billed(trade, order["id"])
    await trade.settle()
    await paid(trade, "100.00")
    await trade.settle()
    assert await trade.letters() == []
    [bill] = await trade.at_bng("invoice")
    for name in ("SO-4711", key, bill["InvoiceNumber"]):
        told = (await isthmus("journey", name, "--json")).json
        assert [(d["entity"], d["right"]) for d in told["documents"]][:2] == [
            ("sales_order", key), ("invoice", bill["InvoiceID"]),
        ]  # fmt: skip
        assert [d["entity"] for d in told["documents"]] == ["sales_order", "invoice", "payment"]
        assert told["money"] == {"USD": {"ordered": "179.5", "billed": "179.5", "paid": "100"}}
        assert other not in [d["right"] for d in told["documents"]]
        assert {"wrote create"} <= {p["what"] for p in told["passages"]}
        assert [p["at"] for p in told["passages"]] == sorted(p["at"] for p in told["passages"])
    shown = await isthmus("journey", "SO-4711")
    assert shown.code == 0
    assert "ordered 179.5 USD, billed 179.5 USD, paid 100 USD" in shown.out


async def test_what_nobody_knows_is_told_with_what_to_give_instead(trade: Trade) -> None:
    said = await isthmus("journey", "SO-nobody")
    assert said.code == 1
    assert "no document and no Run is known" in said.err
