"""Open deliveries of an order that was changed after it was confirmed: no more of them than is still ordered."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import Row, number
from isthmus.connectors.odoo.operations.forms import Form, Key, OrderStands
from isthmus.connectors.odoo.operations.method import Work
from isthmus.connectors.odoo.operations.sales import ORDER, SALES, SalesOrders, stands
from isthmus.sdk import Operation

LINE, MOVE, PICKING = "sale.order.line", "stock.move", "stock.picking"
_OPEN = ("draft", "waiting", "confirmed", "partially_available", "assigned")


class Amend(Form):
    """A sales order whose lines were changed."""

    order: Key = Field(description="The key of the confirmed sales order.")


class AmendSalesOrder(SalesOrders):
    """Odoo adds what is ordered more to the open deliveries by itself, and expects goods back for what is less.

    Where those goods never left, the expected return is called off and the open delivery is lowered.
    """

    GERUND = "fitting the deliveries of"
    ABOUT: ClassVar[Operation] = Operation(
        name="amend_sales_order",
        label="Fit the deliveries of a sales order",
        summary="Lowers open deliveries to what is still ordered after a confirmed order was changed.",
        input=Amend,
        result=OrderStands,
        lease={"order": ORDER},
        batch=20,
        needs=(SALES, "Inventory: User"),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        ids = [int(work.form.order) for work in works if work.facts["order"]]
        lines = await self.desk.search(
            LINE,
            [["order_id", "in", ids], ["display_type", "=", False], ["product_id.type", "=", "consu"]],
            ["order_id", "product_uom_qty"],
            doing=f"reading the lines of {len(ids)} sales orders",
        )
        moves = await self.desk.search(
            MOVE,
            [["sale_line_id", "in", [line["id"] for line in lines]], ["state", "!=", "cancel"]],
            ["sale_line_id", "picking_id", "picking_code", "product_uom_qty", "quantity", "state",
             "origin_returned_move_id"],
            doing=f"reading the deliveries of {len(ids)} sales orders",
        )  # fmt: skip
        for work in works:
            order = work.facts["order"]
            if order is None:
                continue
            if order["state"] != "sale":
                work.block(f"its state is {order['state']}", "Only a confirmed order has deliveries; confirm it first.")
                continue
            mine = [line for line in lines if line["order_id"] == order["id"]]
            self._compare(work, mine, moves)
            if not work.facts["lowered"] and not work.facts["unwanted"]:
                work.result = stands(order)
            elif order.get("locked"):
                work.block("it is locked", "Unlock it in Odoo, then try again.")

    def _compare(self, work: Work[Any], lines: Sequence[Row], moves: Sequence[Row]) -> None:
        """Demand to lower, as `lowered`, and what is set aside, as `aside`; transfers of goods not gone, `unwanted`."""
        lowered: dict[int, Decimal] = {}
        aside: dict[int, Decimal] = {}
        unwanted: set[int] = set()
        for line in lines:
            mine = [move for move in moves if move["sale_line_id"] == line["id"]]
            out = [move for move in mine if move["picking_code"] == "outgoing"]
            gone = sum((number(move["quantity"]) for move in out if move["state"] == "done"), Decimal(0))
            open_moves = [move for move in out if move["state"] in _OPEN]
            demand = sum((number(move["product_uom_qty"]) for move in open_moves), Decimal(0))
            over = demand - max(number(line["product_uom_qty"]) - gone, Decimal(0))
            for move in reversed(open_moves):
                take = min(over, number(move["product_uom_qty"]))
                if take > 0:
                    lowered[move["id"]] = left = number(move["product_uom_qty"]) - take
                    if number(move["quantity"]) > left:
                        aside[move["id"]] = left
                    over -= take
            awaited = [
                move
                for move in mine
                if move["picking_code"] == "incoming" and move["state"] in _OPEN and not move["origin_returned_move_id"]
            ]
            if number(line["product_uom_qty"]) >= gone:
                unwanted |= {move["picking_id"] for move in awaited if move["picking_id"]}
        work.facts.update(lowered=lowered, aside=aside, unwanted=sorted(unwanted))

    async def act(self, works: Sequence[Work[Any]]) -> None:
        async def call_off(todo: list[Work[Any]]) -> None:
            ids = [one for work in todo for one in work.facts["unwanted"]]
            await self.desk.call(PICKING, "action_cancel", ids, doing=f"calling off {len(ids)} returns")

        await self.desk.each([work for work in works if work.facts["unwanted"]], call_off)
        # Odoo sets nothing aside any more for a move whose demand falls below that: what is set aside is lowered first.
        for field, over in (("quantity", "aside"), ("product_uom_qty", "lowered")):
            wanted = {id(work): work.facts[over] for work in works}
            for quantity in sorted({one for lowered in wanted.values() for one in lowered.values()}):

                async def lower(
                    todo: list[Work[Any]], to: Decimal = quantity, field: str = field, wanted: Any = wanted
                ) -> None:
                    ids = [move for work in todo for move, lowered in wanted[id(work)].items() if lowered == to]
                    doing = f"lowering {len(ids)} open deliveries"
                    await self.desk.call(MOVE, "write", ids, vals={field: to}, doing=doing)

                await self.desk.each([work for work in works if quantity in wanted[id(work)].values()], lower)
