"""Invoices: made from sales orders, posted, voided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as day
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import Row, number
from isthmus.connectors.odoo.operations.forms import (
    INVOICE_FIELDS,
    Document,
    Form,
    InvoiceStands,
    Key,
    document,
    invoice_called,
    invoice_stands,
)
from isthmus.connectors.odoo.operations.method import Method, Work
from isthmus.connectors.odoo.operations.sales import ORDER, SALES, SalesOrders
from isthmus.sdk import Conflicted, Operation, OutcomeUnknown

INVOICE = "account.move"
BILLING = "Accounting: Invoicing"
_WIZARD = "sale.advance.payment.inv"
_OPENINGS = 3


class InvoiceOrder(Form):
    """A sales order to be invoiced."""

    order: Key = Field(description="The key of the sales order.")
    after_credit: bool = Field(
        default=False,
        description="Whether to go on where the order has credit notes: what can be invoiced may be what was credited.",
    )


class InvoicedOrder(Form):
    """An order of which nothing is left to be invoiced."""

    order: Document = Field(description="The order.")
    invoice: Document = Field(description="Its newest invoice.")
    invoices: tuple[Document, ...] = Field(description="All its invoices that are not cancelled, oldest first.")
    total: Decimal = Field(description="What they sum up to with taxes.")


class Post(Form):
    """An invoice, bill or credit note to be posted."""

    invoice: Key = Field(description="The key of the draft.")
    date: day | None = Field(default=None, description="The date of the invoice; unset: as in the draft, or today.")
    expected_total: Decimal | None = Field(
        default=None, description="The total with taxes that it must have; it is not posted when it differs."
    )


class Void(Form):
    """An invoice, bill or credit note to be cancelled."""

    invoice: Key = Field(description="The key of the invoice.")


class InvoiceSalesOrder(SalesOrders):
    """Everything that can be invoiced becomes one draft invoice; asked by two at once, it is still one.

    The result is found through the order. Odoo itself lets only one of several transactions take a quantity that is
    to be invoiced: the others find nothing left.
    """

    GERUND = "invoicing"
    ABOUT: ClassVar[Operation] = Operation(
        name="invoice_sales_order",
        label="Invoice a sales order",
        summary="Makes one draft invoice of everything that can be invoiced; nothing left means it is done.",
        input=InvoiceOrder,
        result=InvoicedOrder,
        lease={"order": ORDER},
        money=True,
        batch=20,
        needs=(SALES, BILLING),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        ids = [int(work.form.order) for work in works if work.facts["order"]]
        lines = await self.desk.search(
            "sale.order.line",
            [["order_id", "in", ids], ["display_type", "=", False]],
            ["order_id", "qty_to_invoice", "invoice_lines"],
            doing=f"reading what can be invoiced of {len(ids)} sales orders",
        )
        orders = await self.desk.rows(ORDER, ids, ["invoice_ids"], doing="reading the invoices of sales orders")
        invoices = await self.desk.rows(
            INVOICE,
            [one for row in orders.values() for one in row["invoice_ids"]],
            INVOICE_FIELDS,
            doing="reading the invoices of sales orders",
        )
        for work in works:
            order = work.facts["order"]
            if order is None:
                continue
            mine = [invoices[one] for one in sorted(orders[order["id"]]["invoice_ids"]) if one in invoices]
            live = [row for row in mine if row["state"] != "cancel"]
            left = any(
                number(line["qty_to_invoice"]) > 0 for line in lines if line["order_id"] == order["id"]
            )  # fmt: skip
            self._judge(work, order, [row for row in live if row["move_type"] == "out_invoice"], live, left)

    def _judge(self, work: Work[Any], order: Row, invoices: list[Row], live: list[Row], left: bool) -> None:
        credits = [invoice_called(row) for row in live if row["move_type"] == "out_refund"]
        if invoices and not left:
            work.result = {
                "order": document(order),
                "invoice": document(invoices[-1]),
                "invoices": [document(row) for row in invoices],
                "total": sum((number(row["amount_total"]) for row in invoices), Decimal(0)),
            }
        elif not left:
            work.block(
                "nothing of it can be invoiced",
                "Confirm and deliver it first; products that are invoiced by delivered quantity wait for that.",
            )
        elif invoices and credits and not work.form.after_credit:
            work.block(
                f"it has {', '.join(credits)}: what can be invoiced may be what was credited",
                "Take back the goods (return_delivery), or set after_credit to invoice again.",
                kind=Conflicted,
            )

    async def act(self, works: Sequence[Work[Any]]) -> None:
        async def call(todo: list[Work[Any]]) -> None:
            ids = [int(work.form.order) for work in todo]
            doing = f"invoicing {len(ids)} sales orders"
            values: dict[str, Any] = {"advance_payment_method": "delivered", "sale_order_ids": [[6, 0, ids]]}
            if await self.desk.known(_WIZARD, "consolidated_billing"):
                values["consolidated_billing"] = False  # else orders of one customer would share an invoice
            wizard = await self._opened(values, doing)
            await self.desk.call(_WIZARD, "create_invoices", wizard, doing=doing)

        await self.desk.each(works, call)

    async def _opened(self, values: dict[str, Any], doing: str) -> list[int]:
        """The wizard, opened. It is no document: when the answer is lost, another one is opened."""
        for left in reversed(range(_OPENINGS)):
            try:
                made = await self.desk.call(_WIZARD, "create", None, vals_list=[values], doing=doing)
            except OutcomeUnknown:
                if not left:
                    raise
            else:
                break
        return made if isinstance(made, list) else [made]


class Invoices(Method[Any]):
    """What the operations on an invoice share."""

    def name(self, form: Any) -> str:
        return f"invoice {form.invoice}"

    async def read(self, works: Sequence[Work[Any]]) -> None:
        """Every work's invoice as `facts["invoice"]`; those that are not there are told so."""
        ids = [int(work.form.invoice) for work in works]
        found = await self.desk.rows(INVOICE, ids, INVOICE_FIELDS, doing=f"reading {len(ids)} invoices")
        for work in works:
            row = work.facts["invoice"] = found.get(int(work.form.invoice))
            if row is None:
                missing(work)
            else:
                work.called = invoice_called(row)


def missing(work: Work[Any]) -> None:
    """Say that the invoice is not there."""
    work.block(
        "there is no such invoice in this company, or the login may not see it",
        "Check the key; it is the id that Odoo shows in the address of the invoice.",
        missing=True,
    )


class PostInvoice(Invoices):
    """Draft → posted: it gets its number and is open for payment."""

    GERUND = "posting"
    ABOUT: ClassVar[Operation] = Operation(
        name="post_invoice",
        label="Post an invoice",
        summary="Posts a draft invoice, bill or credit note, once its total is as expected.",
        input=Post,
        result=InvoiceStands,
        lease={"invoice": INVOICE},
        money=True,
        batch=50,
        needs=(BILLING,),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        for work in works:
            row, wanted = work.facts["invoice"], work.form.expected_total
            if row is None:
                continue
            if row["state"] == "posted":
                work.result = invoice_stands(row)
            elif row["state"] == "cancel":
                work.block("it is cancelled", "Make a new one, or set it back to draft in Odoo.")
            elif wanted is not None and number(wanted) != number(row["amount_total"]):
                work.block(
                    f"its total is {number(row['amount_total'])}, not {number(wanted)}",
                    "Compare prices, discounts and taxes of its lines with the document in the other system.",
                    kind=Conflicted,
                    expected=str(number(wanted)),
                    found=str(number(row["amount_total"])),
                )

    async def act(self, works: Sequence[Work[Any]]) -> None:
        for at in sorted({work.form.date for work in works if work.form.date is not None}):

            async def dated(todo: list[Work[Any]], at: day = at) -> None:
                ids = [int(work.form.invoice) for work in todo]
                await self.desk.call(INVOICE, "write", ids, vals={"invoice_date": at}, doing="dating invoices")

            await self.desk.each(
                [w for w in works if w.form.date == at and w.facts["invoice"]["invoice_date"] != at.isoformat()], dated
            )

        async def call(todo: list[Work[Any]]) -> None:
            ids = [int(work.form.invoice) for work in todo]
            await self.desk.call(INVOICE, "action_post", ids, doing=f"posting {len(ids)} invoices")

        await self.desk.each(works, call)


class VoidInvoice(Invoices):
    """Cancels an invoice that nobody has paid; a paid one is credited instead."""

    GERUND = "voiding"
    ABOUT: ClassVar[Operation] = Operation(
        name="void_invoice",
        label="Void an invoice",
        summary="Cancels an invoice, bill or credit note that has no payment; with payments it has to be credited.",
        input=Void,
        result=InvoiceStands,
        lease={"invoice": INVOICE},
        money=True,
        batch=50,
        needs=(BILLING,),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        for work in works:
            row = work.facts["invoice"]
            if row is None:
                continue
            if row["state"] == "cancel":
                work.result = invoice_stands(row)
            elif row["state"] == "posted" and number(row["amount_residual"]) != number(row["amount_total"]):
                work.block(
                    f"{number(row['amount_total'] - row['amount_residual'])} of it is paid or credited",
                    "Credit it (credit_invoice) instead, and refund what was paid.",
                )

    async def act(self, works: Sequence[Work[Any]]) -> None:
        async def call(todo: list[Work[Any]]) -> None:
            ids = [int(work.form.invoice) for work in todo]
            await self.desk.call(INVOICE, "button_cancel", ids, doing=f"voiding {len(ids)} invoices")

        await self.desk.each(works, call)
