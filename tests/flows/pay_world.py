"""From purchase to payment: a real Odoo, BNG's stand-in, the trade pair, and the shipped flow procure-to-pay."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any

from cash_world import IMPATIENT, CashWorld, publish
from sqlalchemy import text
from trading import SIDES, trading

from isthmus.detect.poll import poll, poll_connection
from isthmus.errors import Unavailable
from isthmus.operate import runs
from isthmus.store import connections, flows
from joined import Systems
from real_odoo import RealOdoo

_numbers = itertools.count(1)
PRICES = {"CHAIR": "20.50", "TABLE": "18.45"}


async def patiently(look: Any, *given: Any) -> None:
    """Poll; what gets no answer in time is polled again."""
    for _ in range(3):
        try:
            return await look(*given)
        except Unavailable:
            continue
    await look(*given)


def claimed(order: Mapping[str, Any], *lines: tuple[str, str]) -> dict[str, Any]:
    """Lines and totals of a bill: quantity and price of each line of the order."""
    rows = [
        {"LineNumber": n, "ProductID": line["ProductID"], "Quantity": quantity, "UnitPrice": price,
         "LineTotal": f"{Decimal(quantity) * Decimal(price):.2f}", "PurchaseOrderLineItemID": line["LineItemID"]}
        for n, (line, (quantity, price)) in enumerate(zip(order["LineItems"], lines, strict=False), 1)
    ]  # fmt: skip
    total = f"{sum(Decimal(row['LineTotal']) for row in rows):.2f}"
    return {"Subtotal": total, "TaxTotal": "0.00", "TotalAmount": total, "LineItems": rows}


class PayWorld(CashWorld):
    """What buyers, BNG's warehouse, vendors and those who approve do, and what stands in the books."""

    # -- what people do ----------------------------------------------------------------------------------------

    def buy(self, **quantities: float) -> int:
        """A purchase order confirmed in Odoo: so many of each product at its price; its id."""
        lines = [
            [0, 0, {"product_id": self.trade.variants[sku], "product_qty": quantity, "price_unit": float(PRICES[sku]),
                    "tax_ids": [[6, 0, []]]}]
            for sku, quantity in quantities.items()
        ]  # fmt: skip
        order = self.trade.new("purchase.order", partner_id=self.trade.supplier, order_line=lines)
        self.trade.odoo.call("purchase.order", "button_confirm", ids=[order])
        return order

    async def placed(self, order: int) -> dict[str, Any]:
        """The order as the pair has brought it to BNG."""
        [row] = self.trade.read("purchase.order", [["id", "=", order]], "name")
        [found] = await self.at_bng("purchase_order", PONumber=row["name"])
        return found

    async def receive(self, order: Mapping[str, Any], *quantities: str) -> None:
        """BNG's warehouse takes in goods, so much of each line of the order."""
        lines = [
            {"LineNumber": line["LineNumber"], "QuantityReceived": quantity}
            for line, quantity in zip(order["LineItems"], quantities, strict=False)
        ]
        notice = {"WarehouseCode": "WH", "Lines": lines}
        await self.systems.in_bng("POST", "receive", id=order["PurchaseOrderID"], receipt=notice)

    async def bill(self, order: Mapping[str, Any], *lines: tuple[str, str]) -> str:
        """A vendor's bill that arrives at BNG: quantity and price of each line of the order; its id."""
        number = f"V-{next(_numbers)}"
        given = {
            "InvoiceNumber": number, "ExternalID": f"vendor-{number}", "InvoiceType": "VendorBill",
            "InvoiceDate": "2026-03-02", "DueDate": "2026-03-12", "VendorID": order["VendorID"], "Status": "Open",
            "PurchaseOrderID": order["PurchaseOrderID"], "CurrencyCode": "USD", **claimed(order, *lines),
        }  # fmt: skip
        [key] = await self.trade.seed("invoice", given)
        return key

    async def poll(self) -> None:
        """Look once at the documents, as the service does: a server too busy to answer is asked again."""
        _, pair = await self.trade.runtime.pair(self.trade.pair_id)
        for name in ("purchase_order", "invoice", "payment"):  # nobody changes master data here
            binding = pair.entities[name]
            for side in SIDES:
                await patiently(poll, self.db, pair, side, binding.side(side).entity, self.trade.runtime.wake)
        for connection_id, entity in await self.db.run(flows.watched):
            row = await self.db.run(connections.by_id, connection_id)
            connector = await self.trade.runtime.connector(row)
            hear = partial(self._hear, connection_id)
            await patiently(poll_connection, self.db, connection_id, connector, entity, hear)

    def _hear(self, number: int, conn: Any, hints: Any) -> None:
        self.trade.runtime.flows.hear(conn, number, hints)

    async def quiet(self, seconds: float = 300.0) -> None:
        """Wait until nothing is under way: a lost answer is looked into, and a busy server takes its time."""
        await super().quiet(seconds)

    def questions(self) -> list[dict[str, Any]]:
        """What people are asked."""
        with self.db.transaction() as conn:
            return runs.approvals(conn)

    def answer(self, question: Mapping[str, Any], choice: str) -> None:
        """What a person decides."""
        with self.db.transaction() as conn:
            runs.decide(conn, self.trade.runtime.flows, int(question["id"]), choice, "ada", "as agreed")

    # -- in the books ------------------------------------------------------------------------------------------

    def receipts(self, order: int) -> list[tuple[Any, ...]]:
        """State and quantities of the receipts of an order, oldest first."""
        [row] = self.trade.read("purchase.order", [["id", "=", order]], "picking_ids")
        return [(state, quantities) for state, quantities, _ in self.transfers(row)]

    def bills(self, order: int) -> list[tuple[Any, ...]]:
        """Reference, state, total and what is open of the bills of an order."""
        names = ("ref", "state", "amount_total", "amount_residual")
        found = self.trade.read("account.move", [["invoice_line_ids.purchase_line_id.order_id", "=", order]], *names)
        return [tuple(row[name] for name in names) for row in found]

    def payable(self) -> float:
        """What all vendors are owed."""
        domain = [["account_type", "=", "liability_payable"], ["parent_state", "=", "posted"]]
        rows = self.trade.read("account.move.line", domain, "balance")
        return round(-sum(row["balance"] for row in rows), 2)


@asynccontextmanager
async def paying_vendors(odoo: RealOdoo, systems: Systems, *, url: str = "") -> AsyncIterator[PayWorld]:
    """Everything connected, master data loaded, and the flow published; `url` leads to Odoo too."""
    async with trading(odoo, systems, url=url) as trade:
        with trade.runtime.db.transaction() as conn:
            conn.execute(text(IMPATIENT))
        await publish(trade.runtime, "procure-to-pay", bng="bng", odoo="odoo", trade="main")
        no_gateway: Any = None
        world = PayWorld(trade, systems, no_gateway)
        await world.work(1)
        yield world
