"""Goods of a sales order that come back: a receipt under an External ID of ours, so a repeat finds it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import Row, number
from isthmus.connectors.odoo.operations.forms import Document, Form, Key, LineQuantity, Moved, document
from isthmus.connectors.odoo.operations.method import Work
from isthmus.connectors.odoo.operations.sales import ORDER, SALES, SalesOrders
from isthmus.connectors.odoo.operations.transfers import MOVE, PICKING, STOCK
from isthmus.sdk import InvalidRecord, Operation


class Return(Form):
    """Goods of a sales order that came back."""

    order: Key = Field(description="The key of the sales order.")
    lines: tuple[LineQuantity, ...] = Field(
        default=(), description="What came back of which line; none: everything that was delivered."
    )
    reference: str = Field(default="", max_length=64, description="The return's own number, shown in Odoo.")
    to_refund: bool = Field(
        default=True, description="Whether the delivered quantity of the order goes down, so that it can be credited."
    )


class Returned(Form):
    """What came back."""

    order: Document = Field(description="The order.")
    transfer: Document = Field(description="The receipt of the returned goods.")
    lines: tuple[Moved, ...] = Field(description="What came back of which line.")


class ReturnDelivery(SalesOrders):
    """Delivered goods go back to stock."""

    GERUND = "taking back goods of"
    ABOUT: ClassVar[Operation] = Operation(
        name="return_delivery",
        label="Take back goods of a sales order",
        summary="Receives delivered goods back to stock and lowers the delivered quantities of the order.",
        input=Return,
        result=Returned,
        lease={"order": ORDER},
        batch=20,
        needs=(STOCK, SALES),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        ids = [int(work.form.order) for work in works if work.facts["order"]]
        pickings = await self.desk.search(
            PICKING,
            [["sale_id", "in", ids], ["state", "!=", "cancel"]],
            ["name", "state", "sale_id", "picking_type_id", "picking_type_code", "return_id", "location_id",
             "location_dest_id", "partner_id"],
            doing=f"reading the deliveries of {len(ids)} sales orders",
        )  # fmt: skip
        returns = [row for row in pickings if row["return_id"]]
        made = await self.desk.made_by(PICKING, self.ABOUT.name, [row["id"] for row in returns])
        moves = await self.desk.search(
            MOVE,
            [["picking_id", "in", [row["id"] for row in pickings]], ["state", "!=", "cancel"]],
            ["picking_id", "product_id", "product_uom", "quantity", "product_uom_qty", "state", "sale_line_id",
             "origin_returned_move_id"],
            doing="reading what was delivered",
        )  # fmt: skip
        for work in works:
            order = work.facts["order"]
            if order is None:
                continue
            mine = {row["id"]: row for row in pickings if row["sale_id"] == order["id"]}
            there = mine.get(made.get(work.act.key, 0))
            work.facts["return"] = there
            if there is not None and there["state"] == "done":
                work.result = _result(order, there, moves)
            elif there is None:
                self._allocate(work, mine, moves)

    def _allocate(self, work: Work[Any], pickings: dict[int, Row], moves: Sequence[Row]) -> None:
        """Which delivered moves the goods come back from, oldest first, and no more than was delivered."""
        back: dict[int, Decimal] = {}
        for move in moves:
            origin = move["origin_returned_move_id"]
            if origin:
                told = number(move["quantity"] if move["state"] == "done" else move["product_uom_qty"])
                back[origin] = back.get(origin, Decimal(0)) + told
        delivered = [
            (move, number(move["quantity"]) - back.get(move["id"], Decimal(0)))
            for move in moves
            if move["picking_id"] in pickings
            and pickings[move["picking_id"]]["picking_type_code"] == "outgoing"
            and move["state"] == "done"
            and move["sale_line_id"]
        ]
        takes: list[tuple[Row, Decimal]] = [(move, free) for move, free in delivered if free > 0]
        if work.form.lines:
            takes = []
            for line in work.form.lines:
                left = line.quantity
                for move, free in delivered:
                    if str(move["sale_line_id"]) == line.line and min(left, free) > 0:
                        takes.append((move, min(left, free)))
                        left -= min(left, free)
                if left > 0:
                    work.block(
                        f"of line {line.line} only {number(line.quantity - left)} can come back",
                        "Correct the quantities: no more can come back than was delivered and is not back yet.",
                        kind=InvalidRecord,
                        line=line.line,
                    )
                    return
        if not takes:
            work.block("nothing of it was delivered that is not back yet", "Look at the deliveries of the order.")
            return
        work.facts["takes"] = takes
        work.facts["from"] = pickings[takes[0][0]["picking_id"]]

    async def act(self, works: Sequence[Work[Any]]) -> None:
        fresh = [work for work in works if work.facts["return"] is None]
        types = await self._types(fresh)

        def sheet(work: Work[Any]) -> list[dict[str, Any]]:
            picking, xid = work.facts["from"], self.desk.xid(self.ABOUT.name, work.act.key)
            kind, to = types[picking["picking_type_id"]]
            origin, at = f"Return of {picking['name']}", picking["location_dest_id"]
            head = {
                "id": xid,
                "picking_type_id/.id": kind,
                "location_id/.id": at,
                "location_dest_id/.id": to or picking["location_id"],
                "origin": f"{origin}, {work.form.reference}" if work.form.reference else origin,
                "return_id/.id": picking["id"],
            }
            if picking["partner_id"]:
                head["partner_id/.id"] = picking["partner_id"]
            rows = [
                {
                    "move_ids/id": f"{xid}_move_{move['id']}",
                    "move_ids/product_id/.id": move["product_id"],
                    "move_ids/product_uom_qty": take,
                    "move_ids/product_uom/.id": move["product_uom"],
                    "move_ids/location_id/.id": at,
                    "move_ids/location_dest_id/.id": to or picking["location_id"],
                    "move_ids/origin_returned_move_id/.id": move["id"],
                    "move_ids/sale_line_id/.id": move["sale_line_id"],
                    "move_ids/to_refund": work.form.to_refund,
                }
                for move, take in work.facts["takes"]
            ]
            return [{**head, **rows[0]}, *rows[1:]]

        made = await self.desk.load(fresh, PICKING, sheet, doing=f"making {len(fresh)} returns")

        async def call(todo: list[Work[Any]]) -> None:
            ids = [made.get(id(work)) or work.facts["return"]["id"] for work in todo]
            context = {"skip_sms": True, "skip_backorder": True}
            await self.desk.call(
                PICKING, "button_validate", ids, context=context, doing=f"receiving {len(ids)} returns"
            )

        await self.desk.each(works, call)

    async def _types(self, works: Sequence[Work[Any]]) -> dict[int, tuple[int, int | None]]:
        """For the kind of each delivery: the kind of its return, and where the goods go."""
        used = [work.facts["from"]["picking_type_id"] for work in works]
        kinds = await self.desk.rows(
            "stock.picking.type", used, ["return_picking_type_id"], doing="reading the kinds of deliveries"
        )
        back = {one: row["return_picking_type_id"] or one for one, row in kinds.items()}
        to = await self.desk.rows(
            "stock.picking.type",
            list(back.values()),
            ["default_location_dest_id", "code"],
            doing="reading where returns go",
        )
        return {
            one: (kind, to[kind]["default_location_dest_id"] if to[kind]["code"] == "incoming" else None)
            for one, kind in back.items()
        }


def _result(order: Row, picking: Row, moves: Sequence[Row]) -> dict[str, Any]:
    told: dict[str, Decimal] = {}
    for move in moves:
        if move["picking_id"] == picking["id"] and move["sale_line_id"]:
            line = str(move["sale_line_id"])
            told[line] = told.get(line, Decimal(0)) + number(move["quantity"])
    return {
        "order": document(order),
        "transfer": document(picking),
        "lines": [{"line": line, "quantity": quantity} for line, quantity in sorted(told.items())],
    }
