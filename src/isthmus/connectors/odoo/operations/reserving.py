"""Reserving the goods of a sales order, as far as there are any."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import number
from isthmus.connectors.odoo.operations.forms import Document, Form, Key, document
from isthmus.connectors.odoo.operations.method import Work
from isthmus.connectors.odoo.operations.sales import ORDER, SALES, SalesOrders
from isthmus.sdk import Operation


class Reserve(Form):
    """A sales order whose goods are to be reserved."""

    order: Key = Field(description="The key of the sales order.")
    lacking: Literal["tell", "refuse"] = Field(
        default="tell", description="What to do when some of it is not there: tell it, or refuse after setting aside."
    )


class ReservedLine(Form):
    """How a line stands."""

    line: str = Field(description="The key of the order line.")
    product: str = Field(description="The key of the product variant.")
    open: Decimal = Field(description="What is still to be delivered.")
    reserved: Decimal = Field(description="What of it is set aside.")


class Reserved(Form):
    """What could be reserved."""

    order: Document = Field(description="The order.")
    complete: bool = Field(description="Whether everything that is still to be delivered is reserved.")
    lines: tuple[ReservedLine, ...] = Field(description="The lines that are still to be delivered.")


class ReserveSalesOrder(SalesOrders):
    """Checks availability and sets aside what is there; what is lacking is told, not refused."""

    GERUND = "reserving the goods of"
    ABOUT: ClassVar[Operation] = Operation(
        name="reserve_sales_order",
        label="Reserve the goods of a sales order",
        summary="Checks availability and sets aside what is there; tells line by line what is lacking.",
        input=Reserve,
        result=Reserved,
        lease={"order": ORDER},
        batch=50,
        needs=(SALES, "Inventory: User"),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        ids = [int(work.form.order) for work in works if work.facts["order"]]
        moves = await self.desk.search(
            "stock.move",
            [
                ["sale_line_id.order_id", "in", ids],
                ["picking_code", "=", "outgoing"],
                ["state", "not in", ["done", "cancel", "draft"]],
            ],
            ["sale_line_id", "product_id", "product_uom_qty", "quantity", "picking_id", "state"],
            doing=f"reading the open deliveries of {len(ids)} sales orders",
        )
        lines = await self.desk.rows(
            "sale.order.line",
            [move["sale_line_id"] for move in moves],
            ["order_id"],
            doing="reading the lines of open deliveries",
        )
        for work in works:
            order = work.facts["order"]
            if order is None:
                continue
            if order["state"] != "sale":
                work.block(f"its state is {order['state']}", "Confirm it first; only confirmed orders reserve goods.")
                continue
            mine = [move for move in moves if lines[move["sale_line_id"]]["order_id"] == order["id"]]
            told: dict[int, dict[str, Any]] = {}
            for move in mine:
                line = told.setdefault(
                    move["sale_line_id"],
                    {
                        "line": str(move["sale_line_id"]),
                        "product": str(move["product_id"]),
                        "open": Decimal(0),
                        "reserved": Decimal(0),
                    },
                )
                line["open"] += number(move["product_uom_qty"])
                line["reserved"] += number(move["quantity"])
            complete = all(line["reserved"] >= line["open"] for line in told.values())
            result = {"order": document(order), "complete": complete, "lines": [told[one] for one in sorted(told)]}
            work.facts["pickings"] = sorted({move["picking_id"] for move in mine})
            if complete:
                work.result = result
            elif work.form.lacking == "tell":
                work.reached = result
            else:
                work.facts["lacking"] = ", ".join(
                    f"{line['open'] - line['reserved']} of product {line['product']}"
                    for line in told.values()
                    if line["reserved"] < line["open"]
                )

    async def act(self, works: Sequence[Work[Any]]) -> None:
        async def call(todo: list[Work[Any]]) -> None:
            ids = [one for work in todo for one in work.facts["pickings"]]
            await self.desk.call("stock.picking", "action_assign", ids, doing=f"reserving for {len(todo)} sales orders")

        await self.desk.each(works, call)
        for work in works:
            if work.open and work.form.lacking == "refuse":
                work.block(
                    f"not everything of it is in stock: {work.facts['lacking']} was lacking",
                    "What is there is set aside. Try again when the goods are in stock.",
                )
