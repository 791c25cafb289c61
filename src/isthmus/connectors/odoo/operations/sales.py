"""Sales orders: confirmed, cancelled, closed, and their goods reserved."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import Row, number
from isthmus.connectors.odoo.operations.forms import Form, Key, OrderStands, document
from isthmus.connectors.odoo.operations.method import Method, Work
from isthmus.sdk import Conflicted, Operation

ORDER = "sale.order"
SALES = "Sales: User: All Documents"
_OPEN = ("draft", "waiting", "confirmed", "assigned")


class Confirm(Form):
    """A sales order to be confirmed."""

    order: Key = Field(description="The key of the sales order.")
    expected_total: Decimal | None = Field(
        default=None, description="The total with taxes that it must have; it is not confirmed when it differs."
    )


class Cancel(Form):
    """A sales order to be cancelled."""

    order: Key = Field(description="The key of the sales order.")
    after_shipping: Literal["refuse", "cancel"] = Field(
        default="refuse",
        description="What to do when goods were delivered: refuse, or cancel what is open all the same.",
    )


class Close(Form):
    """A sales order of which no more is delivered."""

    order: Key = Field(description="The key of the sales order.")


class SalesOrders(Method[Any]):
    """What the operations on a sales order share."""

    def name(self, form: Any) -> str:
        return f"sales order {form.order}"

    async def read(self, works: Sequence[Work[Any]]) -> None:
        """Every work's order as `facts["order"]`; those that are not there are told so."""
        wanted = ["name", "state", "amount_total", "locked"]
        wanted += await self.desk.known(ORDER, "picking_ids")
        ids = [int(work.form.order) for work in works]
        found = await self.desk.rows(ORDER, ids, wanted, doing=f"reading {len(ids)} sales orders")
        for work in works:
            row = found.get(int(work.form.order))
            work.facts["order"] = row
            if row is None:
                work.block(
                    "there is no such order in this company, or the login may not see it",
                    "Check the key; it is the id that Odoo shows in the address of the order.",
                    missing=True,
                )
            else:
                work.called = f"sales order {row['name']}"

    async def transfers(self, works: Sequence[Work[Any]]) -> dict[int, list[Row]]:
        """The deliveries and returns of every work's order, by the order's id."""
        if not await self.desk.known(ORDER, "picking_ids"):
            return {}
        ids = [one for work in works if work.facts["order"] for one in work.facts["order"].get("picking_ids") or ()]
        found = await self.desk.rows(
            "stock.picking",
            ids,
            ["name", "state", "picking_type_code", "sale_id", "return_id"],
            doing="reading the deliveries of sales orders",
        )
        out: dict[int, list[Row]] = {}
        for row in found.values():
            out.setdefault(int(row["sale_id"] or 0), []).append(row)
        return out


def stands(order: Row) -> dict[str, Any]:
    """An order as OrderStands."""
    return {
        "order": document(order),
        "total": order["amount_total"],
        "transfers": [str(one) for one in order.get("picking_ids") or ()],
    }


class ConfirmSalesOrder(SalesOrders):
    """Quotation → sales order; Odoo makes its deliveries and reserves what is there."""

    GERUND = "confirming"
    ABOUT: ClassVar[Operation] = Operation(
        name="confirm_sales_order",
        label="Confirm a sales order",
        summary="Turns a quotation into a sales order; Odoo makes its deliveries.",
        input=Confirm,
        result=OrderStands,
        lease={"order": ORDER},
        batch=50,
        needs=(SALES,),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        for work in works:
            order, wanted = work.facts["order"], work.form.expected_total
            if order is None:
                continue
            if order["state"] == "sale":
                work.result = stands(order)
            elif order["state"] == "cancel":
                work.block("it is cancelled", "Set it back to quotation in Odoo if it is to go on, then try again.")
            elif wanted is not None and number(wanted) != number(order["amount_total"]):
                work.block(
                    f"its total is {number(order['amount_total'])}, not {number(wanted)}",
                    "Compare prices, discounts and taxes of the lines with the order in the other system.",
                    kind=Conflicted,
                    expected=str(number(wanted)),
                    found=str(number(order["amount_total"])),
                )

    async def act(self, works: Sequence[Work[Any]]) -> None:
        async def call(todo: list[Work[Any]]) -> None:
            ids = [int(work.form.order) for work in todo]
            await self.desk.call(ORDER, "action_confirm", ids, doing=f"confirming {len(ids)} sales orders")

        await self.desk.each(works, call)


class CancelSalesOrder(SalesOrders):
    """Cancels an order with its open deliveries and draft invoices."""

    GERUND = "cancelling"
    ABOUT: ClassVar[Operation] = Operation(
        name="cancel_sales_order",
        label="Cancel a sales order",
        summary="Cancels an order with its open deliveries and draft invoices; shipped goods stop it unless told.",
        input=Cancel,
        result=OrderStands,
        lease={"order": ORDER},
        batch=50,
        needs=(SALES, "Inventory: User"),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        live = [work for work in works if work.facts["order"] and work.facts["order"]["state"] != "cancel"]
        transfers = await self.transfers(live) if live else {}
        for work in works:
            order = work.facts["order"]
            if order is None:
                continue
            if order["state"] == "cancel":
                work.result = stands(order)
                continue
            shipped = [
                row["name"]
                for row in transfers.get(order["id"], ())
                if row["state"] == "done" and row["picking_type_code"] == "outgoing"
            ]
            if shipped and work.form.after_shipping == "refuse":
                work.block(
                    f"goods were delivered: {', '.join(shipped)}",
                    "Return them (return_delivery), close the order (close_sales_order), or cancel it with "
                    "after_shipping: cancel.",
                    shipped=shipped,
                )
            elif order.get("locked"):
                work.block("it is locked", "Unlock it in Odoo, then try again.")

    async def act(self, works: Sequence[Work[Any]]) -> None:
        async def call(todo: list[Work[Any]]) -> None:
            ids = [int(work.form.order) for work in todo]
            context = {"disable_cancel_warning": True}
            await self.desk.call(
                ORDER, "action_cancel", ids, context=context, doing=f"cancelling {len(ids)} sales orders"
            )

        await self.desk.each(works, call)


class CloseSalesOrder(SalesOrders):
    """What was delivered stays, what is open is given up: ordered quantities become the delivered ones."""

    GERUND = "closing"
    ABOUT: ClassVar[Operation] = Operation(
        name="close_sales_order",
        label="Close a sales order",
        summary="Delivers no more of an order: ordered quantities of goods become what was delivered.",
        input=Close,
        result=OrderStands,
        lease={"order": ORDER},
        batch=20,
        needs=(SALES, "Inventory: User"),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        ids = [int(work.form.order) for work in works if work.facts["order"]]
        lines = await self.desk.search(
            "sale.order.line",
            [["order_id", "in", ids], ["display_type", "=", False], ["product_id.type", "=", "consu"]],
            ["order_id", "product_uom_qty", "qty_delivered"],
            doing="reading the lines of sales orders",
        )
        transfers = await self.transfers(works)
        for work in works:
            order = work.facts["order"]
            if order is None:
                continue
            mine = [line for line in lines if line["order_id"] == order["id"]]
            work.facts["over"] = [
                line for line in mine if number(line["product_uom_qty"]) > number(line["qty_delivered"])
            ]
            work.facts["left"] = [
                row["id"]
                for row in transfers.get(order["id"], ())
                if row["state"] in _OPEN and row["picking_type_code"] == "outgoing"
            ]
            if order["state"] != "sale":
                work.block(f"its state is {order['state']}", "Only a confirmed order can be closed; cancel it instead.")
            elif not any(number(line["qty_delivered"]) for line in mine):
                work.block("nothing of it was delivered", "Cancel the order instead (cancel_sales_order).")
            elif not work.facts["over"] and not work.facts["left"]:
                work.result = stands(order)
            elif order.get("locked"):
                work.block("it is locked", "Unlock it in Odoo, then try again.")

    async def act(self, works: Sequence[Work[Any]]) -> None:
        for work in works:

            async def lower(todo: list[Work[Any]]) -> None:
                [one] = todo
                changes = [[1, line["id"], {"product_uom_qty": line["qty_delivered"]}] for line in one.facts["over"]]
                await self.desk.call(
                    ORDER, "write", [int(one.form.order)], vals={"order_line": changes}, doing=one.doing
                )  # fmt: skip

            if work.facts["over"]:
                await self.desk.each([work], lower)
        await self.look([work for work in works if work.open])

        async def cancel(todo: list[Work[Any]]) -> None:
            ids = [one for work in todo for one in work.facts["left"]]
            if ids:
                await self.desk.call("stock.picking", "action_cancel", ids, doing="cancelling open deliveries")

        await self.desk.each(works, cancel)
