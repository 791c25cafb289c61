"""Vendor bills from purchase orders: the draft has the lines and prices of the vendor's own bill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date as day
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import Row, number
from isthmus.connectors.odoo.operations.forms import (
    INVOICE_FIELDS,
    Document,
    Form,
    Key,
    Quantity,
    invoice_called,
    invoice_stands,
)
from isthmus.connectors.odoo.operations.invoices import BILLING, INVOICE
from isthmus.connectors.odoo.operations.method import Method, Work
from isthmus.connectors.odoo.operations.purchases import PURCHASE, PURCHASING
from isthmus.sdk import Conflicted, InvalidRecord, Operation

_LINE = "purchase.order.line"
_CONFIRMED = ("purchase", "done")


class BillLine(Form):
    """What the vendor bills of one line of an order."""

    line: Key = Field(description="The key of the purchase order line.")
    quantity: Quantity = Field(description="How much, in the unit of the order line.")
    price: Annotated[Decimal, Field(ge=0)] | None = Field(
        default=None, description="The unit price on the bill, before discount; unset: the one of the order."
    )
    discount: Annotated[Decimal, Field(ge=0, le=100)] | None = Field(
        default=None, description="The discount on the bill, in per cent; unset: the one of the order."
    )


class Bill(Form):
    """A vendor's bill for a purchase order."""

    order: Key = Field(description="The key of the purchase order.")
    reference: str = Field(default="", max_length=100, description="The vendor's number of the bill.")
    date: day | None = Field(default=None, description="The date on the bill; unset: today in Odoo.")
    due: day | None = Field(default=None, description="When it is to be paid; unset: by the payment terms.")
    lines: tuple[BillLine, ...] = Field(
        default=(), description="What is billed; none: everything that was received and is not billed yet."
    )
    most_beyond: Annotated[Decimal, Field(ge=0)] | None = Field(
        default=None,
        description="How much more of a line may be billed than arrived and is not billed yet, in per cent; beyond it "
        "no bill is made, and `booked` is false: another bill came first. Unset: any quantity.",
    )


class BillStands(Form):
    """A vendor's bill after the operation, or that there is none."""

    booked: bool = Field(description="Whether there is a bill; not where `most_beyond` forbids it.")
    invoice: Document | None = Field(default=None, description="The bill.")
    total: Decimal | None = Field(default=None, description="Its total with taxes, in its own currency.")
    residual: Decimal | None = Field(default=None, description="What of it is still to be paid.")
    payment_state: str = Field(default="", description="Whether it is paid, in Odoo's own word.")


class BillPurchaseOrder(Method[Any]):
    """A draft bill under an External ID of ours; a second bill of that vendor with the same number is refused."""

    GERUND = "billing"
    ABOUT: ClassVar[Operation] = Operation(
        name="bill_purchase_order",
        label="Bill a purchase order",
        summary="Makes the draft vendor bill of a purchase order; the same number of the vendor is never billed twice.",
        input=Bill,
        result=BillStands,
        lease={"order": PURCHASE},
        money=True,
        batch=20,
        needs=(PURCHASING, BILLING),
    )

    def name(self, form: Any) -> str:
        return f"purchase order {form.order}"

    async def look(self, works: Sequence[Work[Any]]) -> None:
        ids = [int(work.form.order) for work in works]
        orders = await self.desk.rows(
            PURCHASE,
            ids,
            ["name", "state", "partner_id", "currency_id", "invoice_ids", "payment_term_id", "fiscal_position_id"],
            doing=f"reading {len(ids)} purchase orders",
        )
        numbers = sorted({work.form.reference for work in works if work.form.reference})
        tied = [one for row in orders.values() for one in row["invoice_ids"]]
        partners = sorted({row["partner_id"] for row in orders.values()})
        bills = await self.desk.search(
            INVOICE,
            [["move_type", "=", "in_invoice"], "|", ["id", "in", tied], "&", ["ref", "in", numbers],
             ["commercial_partner_id", "parent_of", partners]],
            INVOICE_FIELDS,
            doing=f"reading the bills of {len(ids)} purchase orders",
        )  # fmt: skip
        made = await self.desk.made_by(INVOICE, self.ABOUT.name, [row["id"] for row in bills])
        rows = {row["id"]: row for row in bills}
        await self._what_is_open(works)
        for work in works:
            order = work.facts["order"] = orders.get(int(work.form.order))
            if order is None:
                work.block(
                    "there is no such order in this company, or the login may not see it",
                    "Check the key; it is the id that Odoo shows in the address of the order.",
                    missing=True,
                )
                continue
            work.called = f"purchase order {order['name']}"
            self._judge(work, order, rows.get(made.get(work.act.key, 0)), bills)

    async def _what_is_open(self, works: Sequence[Work[Any]]) -> None:
        """What arrived and what is billed of the lines of works that look at it, as `facts["open"]`."""
        wanted = sorted({int(line.line) for w in works if w.form.most_beyond is not None for line in w.form.lines})
        found = await self.desk.rows(
            _LINE, wanted, ["qty_received", "qty_invoiced"], doing=f"reading what arrived of {len(wanted)} lines"
        )
        for work in works:
            work.facts["open"] = {str(key): row for key, row in found.items()}

    def _judge(self, work: Work[Any], order: Row, bill: Row | None, bills: Sequence[Row]) -> None:
        wanted = work.form.reference
        twin = next(
            (row for row in bills if wanted and row["ref"] == wanted and row["state"] != "cancel" and row is not bill),
            None,
        )
        if bill is not None and bill["state"] != "cancel":
            work.result = {**invoice_stands(bill), "booked": True}
        elif bill is not None:
            work.block(f"its {invoice_called(bill)} was cancelled", "Bill it again under a new key.")
        elif order["state"] not in _CONFIRMED:
            work.block(f"its state is {order['state']}", "Confirm the order first (confirm_purchase_order).")
        elif twin is not None:
            work.block(
                f"the vendor's bill {wanted} is there before, as {invoice_called(twin)}",
                "If it is another bill, correct its number; else nothing is to be done.",
                kind=Conflicted,
                bill=twin["id"],
            )
        elif self._beyond(work):
            work.result = {"booked": False}

    @staticmethod
    def _beyond(work: Work[Any]) -> bool:
        """Whether more of a line is billed than may be, with what other bills have taken by now."""
        form = work.form
        if form.most_beyond is None:
            return False
        billed: dict[str, Decimal] = {}
        for line in form.lines:
            billed[line.line] = billed.get(line.line, Decimal(0)) + line.quantity
        rows = work.facts["open"]
        most = {line: (number(row["qty_received"]) - number(row["qty_invoiced"])) * (1 + form.most_beyond / 100)
                for line, row in rows.items()}  # fmt: skip
        return any(quantity > max(most.get(line, quantity), Decimal(0)) for line, quantity in billed.items())

    async def act(self, works: Sequence[Work[Any]]) -> None:
        await self._lines(works)

        def sheet(work: Work[Any]) -> list[dict[str, Any]]:
            order, form, xid = work.facts["order"], work.form, self.desk.xid(self.ABOUT.name, work.act.key)
            head: dict[str, Any] = {
                "id": xid,
                "move_type": "in_invoice",
                "partner_id/.id": order["partner_id"],
                "currency_id/.id": order["currency_id"],
                "invoice_origin": order["name"],
                "invoice_date": (form.date or self.desk.wire.clock.now().date()).isoformat(),
            }
            if form.reference:
                head["ref"] = form.reference
            if form.due is not None:
                head["invoice_date_due"] = form.due.isoformat()
            elif order["payment_term_id"]:
                head["invoice_payment_term_id/.id"] = order["payment_term_id"]
            if order["fiscal_position_id"]:
                head["fiscal_position_id/.id"] = order["fiscal_position_id"]
            seen: Counter[int] = Counter()
            rows = []
            for row in work.facts["rows"]:
                again = f"_{seen[row['id']]}" if seen[row["id"]] else ""  # one line of the order on several of the bill
                rows.append(_cells(row, f"{xid}_line_{row['id']}{again}"))
                seen[row["id"]] += 1
            return [{**head, **rows[0]}, *rows[1:]]

        await self.desk.load(works, INVOICE, sheet, doing=f"making {len(works)} vendor bills")

    async def _lines(self, works: Sequence[Work[Any]]) -> None:
        """What is billed of every order, as `facts["rows"]`."""
        ids = [work.facts["order"]["id"] for work in works]
        found = await self.desk.search(
            _LINE,
            [["order_id", "in", ids], ["display_type", "=", False]],
            ["order_id", "name", "product_id", "product_uom_id", "qty_to_invoice", "price_unit", "discount", "tax_ids"],
            doing=f"reading the lines of {len(ids)} purchase orders",
        )
        for work in works:
            mine = {str(row["id"]): row for row in found if row["order_id"] == work.facts["order"]["id"]}
            rows = [{**row, "quantity": row["qty_to_invoice"]} for row in mine.values()
                    if number(row["qty_to_invoice"]) > 0]  # fmt: skip
            if work.form.lines:
                unknown = [asked.line for asked in work.form.lines if asked.line not in mine]
                if unknown:
                    said = f"line {', '.join(unknown)} is no line of it"
                    work.block(said, f"Its lines are: {', '.join(mine)}.", kind=InvalidRecord)
                    continue
                rows = []
                for asked in work.form.lines:
                    row = mine[asked.line]
                    price = row["price_unit"] if asked.price is None else asked.price
                    off = row["discount"] if asked.discount is None else asked.discount
                    rows.append({**row, "quantity": asked.quantity, "price_unit": price, "discount": off})
            if not rows:
                work.block(
                    "nothing of it was received that is not billed yet",
                    "Receive the goods first (receive_purchase_order), or name the lines of the bill.",
                )
            work.facts["rows"] = rows


def _cells(row: Row, xid: str) -> dict[str, Any]:
    out = {
        "invoice_line_ids/id": xid,
        "invoice_line_ids/name": row["name"],
        "invoice_line_ids/quantity": row["quantity"],
        "invoice_line_ids/price_unit": row["price_unit"],
        "invoice_line_ids/discount": row["discount"],
        "invoice_line_ids/tax_ids/.id": row["tax_ids"] or "",
        "invoice_line_ids/purchase_line_id/.id": row["id"],
    }
    for name in ("product_id", "product_uom_id"):
        if row[name]:
            out[f"invoice_line_ids/{name}/.id"] = row[name]
    return out
