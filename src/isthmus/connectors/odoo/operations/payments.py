"""Payments and refunds: made under an External ID, posted, reconciled; each step sees whether it is done.

The wizard on the screen is never used: two of it at once pay an invoice twice. `load()` under an External ID makes one
payment however often it is sent, posting a posted one changes nothing, and what is left open is reconciled last.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as day
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import Row, number
from isthmus.connectors.odoo.operations.forms import (
    INVOICE_FIELDS,
    Amount,
    Document,
    Form,
    Key,
    document,
    invoice_called,
)
from isthmus.connectors.odoo.operations.invoices import BILLING, INVOICE, missing
from isthmus.connectors.odoo.operations.journals import journals
from isthmus.connectors.odoo.operations.method import Method, Work
from isthmus.sdk import Conflicted, InvalidRecord, Operation

PAYMENT, LINE = "account.payment", "account.move.line"
_WAYS = {
    "out_invoice": ("inbound", "customer"),
    "in_invoice": ("outbound", "supplier"),
    "out_refund": ("outbound", "customer"),
    "in_refund": ("inbound", "supplier"),
}
LIVE = ("in_process", "paid")
"""The states of a posted payment."""


class Payment(Form):
    """Money for an invoice or a vendor bill."""

    invoice: Key = Field(description="The key of the posted invoice or vendor bill.")
    amount: Amount | None = Field(default=None, description="How much; unset: what is still to be paid.")
    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$", description="Its currency; unset: the invoice's.")
    date: day | None = Field(default=None, description="When the money moved; unset: today in Odoo.")
    journal: str = Field(default="", description="Code, name or key of a bank or cash journal; unset: the first one.")
    reference: str = Field(default="", max_length=128, description="The payment's own number, like the gateway's.")
    allow_more: bool = Field(default=False, description="Whether more than what is open may be paid.")


class Refund(Form):
    """Money that goes back for a credit note."""

    credit_note: Key = Field(description="The key of the posted credit note.")
    amount: Amount | None = Field(default=None, description="How much; unset: what of the credit is not used up.")
    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$", description="Its currency; unset: the credit note's.")
    date: day | None = Field(default=None, description="When the money moved; unset: today in Odoo.")
    journal: str = Field(default="", description="Code, name or key of a bank or cash journal; unset: the first one.")
    reference: str = Field(default="", max_length=128, description="The refund's own number, like the gateway's.")
    allow_more: bool = Field(default=False, description="Whether more than what is open may be refunded.")


class Paid(Form):
    """The payment, and what it left open."""

    payment: Document = Field(description="The payment.")
    amount: Decimal = Field(description="How much was paid, in the payment's currency.")
    entry: str = Field(description="The key of its journal entry.")
    unused: Decimal = Field(description="What of the payment is not used up by the invoice.")
    invoice: Document = Field(description="The invoice, bill or credit note.")
    residual: Decimal = Field(description="What is still open of it.")
    payment_state: str = Field(description="Whether it is paid, in Odoo's own word.")


class Payments(Method[Any]):
    """Money in either direction for one document."""

    FIELD: ClassVar[str]
    KINDS: ClassVar[tuple[str, ...]]

    def name(self, form: Any) -> str:
        return f"{self.FIELD.replace('_', ' ')} {getattr(form, self.FIELD)}"

    def _of(self, work: Work[Any]) -> int:
        return int(getattr(work.form, self.FIELD))

    async def look(self, works: Sequence[Work[Any]]) -> None:
        ids = [self._of(work) for work in works]
        invoices = await self.desk.rows(INVOICE, ids, INVOICE_FIELDS, doing=f"reading {len(ids)} invoices")
        payments = await self.desk.search(
            PAYMENT,
            [["invoice_ids", "in", list(invoices)]],
            ["name", "state", "amount", "move_id", "currency_id", "invoice_ids"],
            doing=f"reading the payments of {len(ids)} invoices",
        )
        made = await self.desk.made_by(PAYMENT, self.ABOUT.name, [row["id"] for row in payments])
        mine = {row["id"]: row for row in payments}
        await self._find_lines([row for row in payments if row["id"] in made.values()])
        for work in works:
            invoice = invoices.get(self._of(work))
            payment = mine.get(made.get(work.act.key, 0))
            work.facts.update(invoice=invoice, payment=payment)
            if invoice is None:
                missing(work)
                continue
            work.called = invoice_called(invoice)
            if payment is not None:
                self._stands(work, invoice, payment)
            else:
                self._may_be_paid(work, invoice)

    async def _find_lines(self, payments: Sequence[Row]) -> None:
        """The open end of each payment: its line on the receivable or payable account."""
        found = await self.desk.search(
            LINE,
            [
                ["move_id", "in", [row["move_id"] for row in payments if row["move_id"]]],
                ["account_type", "in", ["asset_receivable", "liability_payable"]],
            ],
            ["move_id", "amount_residual_currency", "reconciled"],
            doing=f"reading the entries of {len(payments)} payments",
        )
        lines = {row["move_id"]: row for row in found}
        for payment in payments:
            payment["line"] = lines.get(payment["move_id"])

    def _stands(self, work: Work[Any], invoice: Row, payment: Row) -> None:
        """Done is what is posted, has its entry, and is used up, or the invoice is."""
        if payment["state"] in ("canceled", "rejected"):
            work.block(
                f"its payment {payment['name'] or payment['id']} was {payment['state']} in Odoo",
                "If the money did move, register it again under a new key.",
            )
            return
        line = payment["line"]
        if payment["state"] not in LIVE:
            return
        if not payment["move_id"] or line is None:
            no_entry(work)
            return
        if not line["reconciled"] and number(invoice["amount_residual"]) != 0:
            return
        work.result = {
            "payment": document(payment),
            "amount": payment["amount"],
            "entry": str(payment["move_id"]),
            "unused": abs(number(line["amount_residual_currency"])),
            "invoice": document(invoice),
            "residual": invoice["amount_residual"],
            "payment_state": invoice["payment_state"] or "",
        }

    def _may_be_paid(self, work: Work[Any], invoice: Row) -> None:
        residual = number(invoice["amount_residual"])
        amount = residual if work.form.amount is None else number(work.form.amount)
        if invoice["move_type"] not in self.KINDS:
            other = "refund_payment" if self.FIELD == "invoice" else "register_payment"
            work.block(f"it is of kind {invoice['move_type']}", f"Use {other} for it.", kind=InvalidRecord)
        elif invoice["state"] != "posted":
            work.block(f"its state is {invoice['state']}", "Post it first (post_invoice), then try again.")
        elif residual == 0 and not work.form.allow_more:
            work.block(
                "nothing of it is open any more",
                "Look at its payments in Odoo: somebody may have registered this one by hand.",
                kind=Conflicted,
            )
        elif amount > residual and not work.form.currency and not work.form.allow_more:
            work.block(
                f"only {residual} of it is open, {amount} was to be paid",
                "Correct the amount, or set allow_more to leave the rest as a credit.",
                kind=Conflicted,
            )

    async def act(self, works: Sequence[Work[Any]]) -> None:
        fresh = [work for work in works if work.facts["payment"] is None]
        chosen = await journals(self.desk, fresh)
        currencies = await self._currencies(fresh)

        def sheet(work: Work[Any]) -> list[dict[str, Any]]:
            form, invoice = work.form, work.facts["invoice"]
            way, partner = _WAYS[invoice["move_type"]]
            row = {
                "id": self.desk.xid(self.ABOUT.name, work.act.key),
                "payment_type": way,
                "partner_type": partner,
                "partner_id/.id": invoice["partner_id"],
                "amount": number(invoice["amount_residual"]) if form.amount is None else form.amount,
                "currency_id/.id": currencies[form.currency] if form.currency else invoice["currency_id"],
                "journal_id/.id": chosen[form.journal],
                "memo": form.reference or invoice["name"],
                "invoice_ids/.id": [invoice["id"]],
            }
            if form.date is not None:
                row["date"] = form.date.isoformat()
            return [row]

        await self.desk.load(fresh, PAYMENT, sheet, doing=f"making {len(fresh)} payments")
        await self._look_at_the_open(works)

        async def post(todo: list[Work[Any]]) -> None:
            ids = [work.facts["payment"]["id"] for work in todo]
            await self.desk.call(PAYMENT, "action_post", ids, doing=f"posting {len(ids)} payments")

        drafts = [work for work in works if work.open and (work.facts["payment"] or {}).get("state") == "draft"]
        await self.desk.each(drafts, post)
        if drafts:
            await self._look_at_the_open(works)
        for work in works:
            payment, invoice = work.facts["payment"], work.facts["invoice"]
            if not work.open or payment is None or payment.get("line") is None:
                continue

            async def reconcile(todo: list[Work[Any]], line: int = payment["line"]["id"]) -> None:
                [one] = todo
                await self.desk.call(
                    INVOICE, "js_assign_outstanding_line", [one.facts["invoice"]["id"]], line_id=line, doing=one.doing
                )

            if not payment["line"]["reconciled"] and number(invoice["amount_residual"]) != 0:
                await self.desk.each([work], reconcile)

    async def _look_at_the_open(self, works: Sequence[Work[Any]]) -> None:
        """How far each one is; what blocks a payment that does not exist yet blocks none that was just made."""
        still = [work for work in works if work.open]
        if still:
            await self.look(still)

    async def _currencies(self, works: Sequence[Work[Any]]) -> dict[str, int]:
        wanted = sorted({work.form.currency for work in works if work.form.currency})
        if not wanted:
            return {}
        rows = await self.desk.search(
            "res.currency", [["name", "in", wanted], ["active", "=", True]], ["name"], doing="reading currencies"
        )
        found = {row["name"]: int(row["id"]) for row in rows}
        for work in works:
            if work.open and work.form.currency and work.form.currency not in found:
                work.block(
                    f"the currency {work.form.currency} is not active in Odoo",
                    "Switch it on in Invoicing > Configuration > Currencies.",
                    kind=InvalidRecord,
                )
        return found


def no_entry(work: Work[Any]) -> None:
    """Say that Odoo has posted a payment without booking it."""
    work.block(
        "the payment was posted, but has no journal entry",
        "Set an outstanding account for the payment method in its journal, reset the payment to draft, and try again.",
    )


class RegisterPayment(Payments):
    """Money that came in for an invoice, or went out for a bill."""

    GERUND = "registering a payment of"
    FIELD, KINDS = "invoice", ("out_invoice", "in_invoice")
    ABOUT: ClassVar[Operation] = Operation(
        name="register_payment",
        label="Register a payment",
        summary="Books money that was received for an invoice or paid for a bill, and reconciles it.",
        input=Payment,
        result=Paid,
        lease={"invoice": INVOICE},
        money=True,
        batch=20,
        needs=(BILLING,),
    )


class RefundPayment(Payments):
    """Money that goes back for a credit note, or comes back from a vendor."""

    GERUND = "refunding"
    FIELD, KINDS = "credit_note", ("out_refund", "in_refund")
    ABOUT: ClassVar[Operation] = Operation(
        name="refund_payment",
        label="Refund a payment",
        summary="Books money that was paid back for a credit note, and reconciles it.",
        input=Refund,
        result=Paid,
        lease={"credit_note": INVOICE},
        money=True,
        batch=20,
        needs=(BILLING,),
    )


class Draft(Form):
    """A payment that was made and not posted."""

    payment: Key = Field(description="The key of the payment.")
    expected_amount: Amount | None = Field(
        default=None, description="The amount that it must have; it is not posted when it differs."
    )


class Posted(Form):
    """The payment, and what is open of the documents that it is for."""

    payment: Document = Field(description="The payment.")
    amount: Decimal = Field(description="How much was paid, in the payment's currency.")
    entry: str = Field(description="The key of its journal entry.")
    unused: Decimal = Field(description="What of the payment is not used up.")
    invoices: tuple[str, ...] = Field(description="Keys of the invoices or bills that it is for.")
    residual: Decimal = Field(description="What is still open of them.")


class PostPayment(Method[Any]):
    """Draft → posted, with its entry, reconciled with the invoices that it names as far as it goes."""

    GERUND = "posting"
    ABOUT: ClassVar[Operation] = Operation(
        name="post_payment",
        label="Post a payment",
        summary="Posts a payment that is there already, and reconciles it with the invoices that it names.",
        input=Draft,
        result=Posted,
        lease={"payment": PAYMENT},
        money=True,
        batch=20,
        needs=(BILLING,),
    )

    def name(self, form: Any) -> str:
        return f"payment {form.payment}"

    async def look(self, works: Sequence[Work[Any]]) -> None:
        payments = await self.desk.rows(
            PAYMENT,
            [int(work.form.payment) for work in works],
            ["name", "state", "amount", "move_id", "invoice_ids"],
            doing=f"reading {len(works)} payments",
        )
        found = await self.desk.search(
            LINE,
            [
                ["move_id", "in", [row["move_id"] for row in payments.values() if row["move_id"]]],
                ["account_type", "in", ["asset_receivable", "liability_payable"]],
            ],
            ["move_id", "amount_residual_currency", "reconciled"],
            doing=f"reading the entries of {len(works)} payments",
        )
        lines = {row["move_id"]: row for row in found}
        named = [one for row in payments.values() for one in row["invoice_ids"]]
        invoices = await self.desk.rows(INVOICE, named, INVOICE_FIELDS, doing="reading the invoices of payments")
        for work in works:
            payment = payments.get(int(work.form.payment))
            work.facts["payment"] = payment
            if payment is None:
                work.block(
                    "there is no such payment in this company, or the login may not see it",
                    "Check the key; it is the id that Odoo shows in the address of the payment.",
                    missing=True,
                )
                continue
            work.called = f"payment {payment['name'] or payment['id']}"
            mine = [invoices[one] for one in sorted(payment["invoice_ids"]) if one in invoices]
            work.facts["line"] = lines.get(payment["move_id"])
            work.facts["open"] = [row for row in mine if number(row["amount_residual"]) != 0]
            self._judge(work, payment, mine)

    def _judge(self, work: Work[Any], payment: Row, invoices: Sequence[Row]) -> None:
        wanted, line = work.form.expected_amount, work.facts["line"]
        waiting = [invoice_called(row) for row in invoices if row["state"] != "posted"]
        if payment["state"] in ("canceled", "rejected"):
            work.block(f"it was {payment['state']} in Odoo", "If the money did move, make a payment of its own for it.")
        elif wanted is not None and number(wanted) != number(payment["amount"]):
            work.block(
                f"its amount is {number(payment['amount'])}, not {number(wanted)}",
                "Compare it with the payment in the other system.",
                kind=Conflicted,
                expected=str(number(wanted)),
                found=str(number(payment["amount"])),
            )
        elif waiting:
            work.block(
                f"it is for {', '.join(waiting)}, which is not posted", "Post it first (post_invoice), then try again."
            )
        elif payment["state"] in LIVE and (not payment["move_id"] or line is None):
            no_entry(work)
        elif payment["state"] in LIVE and (line["reconciled"] or not work.facts["open"]):
            work.result = {
                "payment": document(payment),
                "amount": payment["amount"],
                "entry": str(payment["move_id"]),
                "unused": abs(number(line["amount_residual_currency"])),
                "invoices": [str(row["id"]) for row in invoices],
                "residual": sum((number(row["amount_residual"]) for row in invoices), Decimal(0)),
            }

    async def act(self, works: Sequence[Work[Any]]) -> None:
        async def post(todo: list[Work[Any]]) -> None:
            ids = [work.facts["payment"]["id"] for work in todo]
            await self.desk.call(PAYMENT, "action_post", ids, doing=f"posting {len(ids)} payments")

        drafts = [work for work in works if work.open and work.facts["payment"]["state"] == "draft"]
        await self.desk.each(drafts, post)
        still = [work for work in works if work.open]
        if drafts and still:
            await self.look(still)
        for work in works:
            for invoice in work.facts["open"] if work.open else ():

                async def reconcile(todo: list[Work[Any]], number: int = invoice["id"]) -> None:
                    [one] = todo
                    line = one.facts["line"]["id"]
                    await self.desk.call(INVOICE, "js_assign_outstanding_line", [number], line_id=line, doing=one.doing)

                if work.facts["line"] is not None and not work.facts["line"]["reconciled"]:
                    await self.desk.each([work], reconcile)
