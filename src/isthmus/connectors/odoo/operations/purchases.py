"""Purchase orders: confirmed, cancelled, closed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import number
from isthmus.connectors.odoo.operations.forms import Form, Key, OrderStands
from isthmus.connectors.odoo.operations.method import Method, Work
from isthmus.connectors.odoo.operations.sales import stands
from isthmus.sdk import Conflicted, Operation

PURCHASE = "purchase.order"
PURCHASING = "Purchase: User"
_CONFIRMED = ("purchase", "done")


class ConfirmPurchase(Form):
    """A request for quotation to be confirmed."""

    order: Key = Field(description="The key of the purchase order.")
    expected_total: Decimal | None = Field(
        default=None, description="The total with taxes that it must have; it is not confirmed when it differs."
    )


class ClosePurchase(Form):
    """A purchase order that is to be cancelled or closed."""

    order: Key = Field(description="The key of the purchase order.")


class PurchaseOrders(Method[Any]):
    """What the operations on a purchase order share."""

    def name(self, form: Any) -> str:
        return f"purchase order {form.order}"

    async def read(self, works: Sequence[Work[Any]]) -> None:
        """Every work's order as `facts["order"]`, with its receipts; those that are not there are told so."""
        ids = [int(work.form.order) for work in works]
        wanted = ["name", "state", "amount_total", *await self.desk.known(PURCHASE, "picking_ids", "locked")]
        found = await self.desk.rows(PURCHASE, ids, wanted, doing=f"reading {len(ids)} purchase orders")
        receipts = await self.desk.rows(
            "stock.picking",
            [one for row in found.values() for one in row.get("picking_ids") or ()],
            ["name", "state"],
            doing=f"reading the receipts of {len(ids)} purchase orders",
        )
        for work in works:
            row = work.facts["order"] = found.get(int(work.form.order))
            if row is None:
                work.block(
                    "there is no such order in this company, or the login may not see it",
                    "Check the key; it is the id that Odoo shows in the address of the order.",
                    missing=True,
                )
                continue
            work.called = f"purchase order {row['name']}"
            work.facts["receipts"] = [receipts[one] for one in row.get("picking_ids") or () if one in receipts]


class ConfirmPurchaseOrder(PurchaseOrders):
    """Request for quotation → purchase order; Odoo makes its receipts."""

    GERUND = "confirming"
    ABOUT: ClassVar[Operation] = Operation(
        name="confirm_purchase_order",
        label="Confirm a purchase order",
        summary="Turns a request for quotation into a purchase order; Odoo makes its receipts.",
        input=ConfirmPurchase,
        result=OrderStands,
        lease={"order": PURCHASE},
        batch=50,
        needs=(PURCHASING,),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        for work in works:
            order, wanted = work.facts["order"], work.form.expected_total
            if order is None:
                continue
            if order["state"] in _CONFIRMED:
                work.result = stands(order)
            elif order["state"] == "cancel":
                work.block("it is cancelled", "Set it back to draft in Odoo if it is to go on, then try again.")
            elif order["state"] == "to approve":
                work.block("it waits for approval", "A purchase manager approves it in Odoo; then it goes on.")
            elif wanted is not None and number(wanted) != number(order["amount_total"]):
                work.block(
                    f"its total is {number(order['amount_total'])}, not {number(wanted)}",
                    "Compare prices, discounts and taxes of the lines with the order in the other system.",
                    kind=Conflicted,
                )

    async def act(self, works: Sequence[Work[Any]]) -> None:
        async def call(todo: list[Work[Any]]) -> None:
            ids = [int(work.form.order) for work in todo]
            await self.desk.call(PURCHASE, "button_confirm", ids, doing=f"confirming {len(ids)} purchase orders")

        await self.desk.each(works, call)


class CancelPurchaseOrder(PurchaseOrders):
    """Cancels an order of which nothing arrived and nothing is billed."""

    GERUND = "cancelling"
    ABOUT: ClassVar[Operation] = Operation(
        name="cancel_purchase_order",
        label="Cancel a purchase order",
        summary="Cancels an order with its open receipts, as long as nothing arrived and nothing is billed.",
        input=ClosePurchase,
        result=OrderStands,
        lease={"order": PURCHASE},
        batch=50,
        needs=(PURCHASING,),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        for work in works:
            order = work.facts["order"]
            if order is None:
                continue
            arrived = [row["name"] for row in work.facts["receipts"] if row["state"] == "done"]
            if order["state"] == "cancel":
                work.result = stands(order)
            elif arrived:
                work.block(
                    f"goods arrived: {', '.join(arrived)}",
                    "Close it instead (close_purchase_order): what arrived stays, the rest is given up.",
                    arrived=arrived,
                )
            elif order.get("locked"):
                work.block("it is locked", "Unlock it in Odoo, then try again.")

    async def act(self, works: Sequence[Work[Any]]) -> None:
        async def call(todo: list[Work[Any]]) -> None:
            ids = [int(work.form.order) for work in todo]
            await self.desk.call(PURCHASE, "button_cancel", ids, doing=f"cancelling {len(ids)} purchase orders")

        await self.desk.each(works, call)


class ClosePurchaseOrder(PurchaseOrders):
    """No more of it is received: open receipts are cancelled, what arrived stays and can be billed."""

    GERUND = "closing"
    ABOUT: ClassVar[Operation] = Operation(
        name="close_purchase_order",
        label="Close a purchase order",
        summary="Receives no more of an order: open receipts are cancelled, what arrived stays.",
        input=ClosePurchase,
        result=OrderStands,
        lease={"order": PURCHASE},
        batch=50,
        needs=(PURCHASING, "Inventory: User"),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        for work in works:
            order = work.facts["order"]
            if order is None:
                continue
            left = [row["id"] for row in work.facts["receipts"] if row["state"] not in ("done", "cancel")]
            work.facts["left"] = left
            if order["state"] not in _CONFIRMED:
                work.block(f"its state is {order['state']}", "Only a confirmed order can be closed; cancel it instead.")
            elif not any(row["state"] == "done" for row in work.facts["receipts"]):
                work.block("nothing of it arrived", "Cancel it instead (cancel_purchase_order).")
            elif not left:
                work.result = stands(order)

    async def act(self, works: Sequence[Work[Any]]) -> None:
        async def call(todo: list[Work[Any]]) -> None:
            ids = [one for work in todo for one in work.facts["left"]]
            await self.desk.call("stock.picking", "action_cancel", ids, doing=f"cancelling {len(ids)} receipts")

        await self.desk.each(works, call)
