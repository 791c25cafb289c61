"""Lost replies never make a second document or a second line, and many orders take few calls."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from aiohttp import web
from trading import trading

from isthmus.testing.fault_proxy import Dice, FaultProxy, Plan
from joined import Systems
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


class Counting(FaultProxy):
    """Notes the path of every request."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.calls: list[str] = []

    async def _forward(self, request: web.Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.calls.append(request.path)
        return await super()._forward(request, body)


LOADS = Plan(rate=1.0, kinds=("drop_after_commit",), writes="/load", spare=r"^\S+ (?!\S*/sale.order/load\b)")
WRITES = Plan(
    rate=1.0, kinds=("drop_after_commit",), writes="/(write|run)", spare=r"^\S+ (?!\S*/(sale.order/write|run)\b)"
)


async def test_a_lost_reply_to_a_create_makes_no_second_order_and_no_second_line(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    odoo = odoo_db()
    proxy = FaultProxy(odoo.url)
    async with proxy.running(), trading(odoo, systems, url=proxy.url) as trade:
        for n in range(5):
            await trade.order_in_bng(OrderNumber=f"S-{n}")
        proxy.dice = Dice(1, LOADS)
        await trade.settle()
        assert proxy.counts["drop_after_commit"] >= 1
        proxy.dice = Dice(1, Plan())
        await trade.settle()
        assert await trade.letters() == []
        orders = trade.orders_in_odoo()
        assert [(order["amount_total"], len(order["order_line"])) for order in orders] == [(179.5, 2)] * 5


async def test_a_lost_reply_to_an_update_adds_no_line_twice(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    odoo = odoo_db()
    proxy = FaultProxy(odoo.url)
    async with proxy.running(), trading(odoo, systems, url=proxy.url) as trade:
        key = await trade.order_in_bng()
        await trade.settle()
        more = trade.order(
            trade.line(1, "CHAIR", "5", "40"), trade.line(2, "TABLE", "1", "99.5"), trade.line(3, "LAMP", "1", "3")
        )
        proxy.dice = Dice(1, WRITES)
        await trade.edit("sales_order", key, **{n: more[n] for n in ("LineItems", "Subtotal", "TotalAmount")})
        await trade.settle()
        assert proxy.counts["drop_after_commit"] >= 1
        proxy.dice = Dice(1, Plan())
        await trade.settle()
        assert await trade.letters() == []
        [order] = trade.orders_in_odoo()
        assert (order["amount_total"], len(order["order_line"])) == (302.5, 3)


async def test_a_lost_reply_of_bng_makes_no_second_invoice(home: Any, systems: Systems, odoo_db: OdooDatabases) -> None:
    async with trading(odoo_db(), systems) as trade:
        moves = []
        for _ in range(3):
            line = {"product_id": trade.variants["CHAIR"], "quantity": 1, "price_unit": 9, "tax_ids": [[6, 0, []]]}
            head = {"move_type": "out_invoice", "partner_id": trade.partner, "invoice_date": "2026-03-04"}
            moves.append(trade.new("account.move", **head, invoice_line_ids=[[0, 0, line]]))
        trade.odoo.call("account.move", "action_post", ids=moves)
        fault = {"kind": "drop_after_commit", "next": 1, "match": "/api/v1/invoices", "method": "POST"}
        await systems.in_bng("POST", "faults", **fault)
        await trade.settle()
        await trade.settle()
        assert await trade.letters() == []
        made = await trade.at_bng("invoice")
        assert len(made) == 3
        assert all(len(row["LineItems"]) == 1 for row in made)


async def test_a_hundred_orders_take_few_calls(home: Any, systems: Systems, odoo_db: OdooDatabases) -> None:
    odoo = odoo_db()
    proxy = Counting(odoo.url)
    async with proxy.running(), trading(odoo, systems, url=proxy.url) as trade:
        orders = [
            trade.order(
                trade.line(1, "CHAIR", "2", "40", Description="Red"), trade.line(2, "TABLE", "1", "99.5"),
                trade.line(3, "LAMP", str(n + 1), "5"), OrderNumber=f"S-{n}", ShippingTotal="4.00",
            )
            for n in range(100)
        ]  # fmt: skip
        await trade.seed("sales_order", *orders)
        proxy.calls.clear()
        await trade.settle()
        calls = Counter(path.removeprefix("/json/2/") for path in proxy.calls)
        assert await trade.letters() == []
        made = trade.orders_in_odoo()
        assert len(made) == 100
        assert sum(order["amount_total"] for order in made) == 100 * 183.5 + 5 * 5050
        assert all(len(order["order_line"]) == 4 for order in made)
        assert calls["sale.order/load"] == 1, calls
        assert calls["sale.order.line/write"] <= 1, calls
        assert sum(n for path, n in calls.items() if path.startswith("sale.order")) <= 45, calls
