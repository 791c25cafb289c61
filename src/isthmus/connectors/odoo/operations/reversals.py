"""Payments that are taken back by a bank or a gateway: chargebacks, bounced debits. Their invoice is open again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as day
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import Row, made_key, number
from isthmus.connectors.odoo.operations.forms import INVOICE_FIELDS, Amount, Document, Form, Key, document
from isthmus.connectors.odoo.operations.invoices import BILLING, INVOICE
from isthmus.connectors.odoo.operations.method import Method, Work
from isthmus.connectors.odoo.operations.payments import LINE, LIVE, PAYMENT, no_entry
from isthmus.connectors.odoo.operations.reconciling import PARTIAL
from isthmus.sdk import Conflicted, Operation, Reject

_OPPOSITE = {"inbound": "outbound", "outbound": "inbound"}
_ROUNDS = 6


class Reversal(Form):
    """A payment that was taken back."""

    payment: Key = Field(description="The key of the posted payment.")
    amount: Amount | None = Field(default=None, description="How much of it was taken back; unset: all of it.")
    date: day | None = Field(default=None, description="When the money went; unset: today in Odoo.")
    reference: str = Field(default="", max_length=128, description="The chargeback's own number.")


class Reversed(Form):
    """The payment in the other direction, and what is open again."""

    reversal: Document = Field(description="The payment that takes the money back.")
    amount: Decimal = Field(description="How much was taken back.")
    payment: Document = Field(description="The payment that was taken back.")
    invoices: tuple[str, ...] = Field(description="Keys of the invoices that the payment was for.")
    residual: Decimal = Field(description="What is open of these invoices now.")


class ReversePayment(Method[Any]):
    """A payment in the other direction, set off against the first one instead of the first one's invoice.

    Its steps are seen in the books, so that each client goes on where the last one stopped: the payment under its
    External ID, posted, the invoice freed, both payments set off, what is left of the first one back on the invoice.
    """

    GERUND = "taking back"
    ABOUT: ClassVar[Operation] = Operation(
        name="reverse_payment",
        label="Take a payment back",
        summary="Books a chargeback: a payment that was taken back, whole or in part; its invoice is open again.",
        input=Reversal,
        result=Reversed,
        lease={"payment": PAYMENT},
        money=True,
        batch=10,
        needs=(BILLING,),
    )

    def name(self, form: Any) -> str:
        return f"payment {form.payment}"

    async def look(self, works: Sequence[Work[Any]]) -> None:
        keys = {made_key(self.ABOUT.name, work.act.key): work for work in works}
        found = await self.desk.external.find(PAYMENT, list(keys))
        made = {keys[key].act.key: one for key, one in found.items()}
        ids = [int(work.form.payment) for work in works]
        payments = await self.desk.rows(
            PAYMENT,
            [*ids, *found.values()],
            ["name", "state", "amount", "move_id", "currency_id", "partner_id", "partner_type", "payment_type",
             "journal_id", "invoice_ids", "reconciled_invoice_ids", "reconciled_bill_ids"],
            doing=f"reading {len(ids)} payments",
        )  # fmt: skip
        lines = await self.desk.search(
            LINE,
            [
                ["move_id", "in", [row["move_id"] for row in payments.values() if row["move_id"]]],
                ["account_type", "in", ["asset_receivable", "liability_payable"]],
            ],
            ["move_id", "account_id", "reconciled", "matched_debit_ids", "matched_credit_ids"],
            doing=f"reading the entries of {len(ids)} payments",
        )
        ends = {row["move_id"]: row for row in lines}
        tied = {int(one) for one in ids if one in payments for one in _invoices(payments[one])}
        invoices = await self.desk.rows(INVOICE, tied, INVOICE_FIELDS, doing="reading the invoices of payments")
        for work in works:
            payment, counter = payments.get(int(work.form.payment)), payments.get(made.get(work.act.key, 0))
            work.facts.update(payment=payment, counter=counter)
            if payment is None:
                work.block(
                    "there is no such payment in this company, or the login may not see it",
                    "Check the key; it is the id that Odoo shows in the address of the payment.",
                    missing=True,
                )
                continue
            work.called = f"payment {payment['name'] or payment['id']}"
            work.facts.setdefault("invoices", _invoices(payment))
            work.facts["line"] = ends.get(payment["move_id"])
            work.facts["back"] = ends.get(counter["move_id"]) if counter else None
            mine = [invoices[one] for one in work.facts["invoices"] if one in invoices]
            work.facts["open"] = [row for row in mine if number(row["amount_residual"]) != 0]
            self._judge(work, mine)

    def _judge(self, work: Work[Any], invoices: Sequence[Row]) -> None:
        payment, counter, line, back = (work.facts[name] for name in ("payment", "counter", "line", "back"))
        if payment["state"] not in LIVE or line is None:
            work.block(
                f"its state is {payment['state']}, {'with' if line else 'without'} an entry",
                "Only a posted payment can be taken back; one that never came is cancelled in Odoo.",
            )
        elif counter is None:
            amount = work.form.amount
            if amount is not None and number(amount) > number(payment["amount"]):
                work.block(
                    f"it was {number(payment['amount'])}, {number(amount)} were to be taken back",
                    "Correct the amount.",
                    kind=Conflicted,
                )
        elif counter["state"] in ("canceled", "rejected"):
            work.block(f"its reversal was {counter['state']} in Odoo", "Take it back again under a new key.")
        elif counter["state"] in LIVE and not counter["move_id"]:
            no_entry(work)
        elif back is not None and back["reconciled"] and (line["reconciled"] or not work.facts["open"]):
            work.result = {
                "reversal": document(counter),
                "amount": counter["amount"],
                "payment": document(payment),
                "invoices": [str(row["id"]) for row in invoices],
                "residual": sum((number(row["amount_residual"]) for row in invoices), Decimal(0)),
            }

    async def act(self, works: Sequence[Work[Any]]) -> None:
        def sheet(work: Work[Any]) -> list[dict[str, Any]]:
            payment, form = work.facts["payment"], work.form
            row = {
                "id": self.desk.xid(self.ABOUT.name, work.act.key),
                "payment_type": _OPPOSITE[payment["payment_type"]],
                "partner_type": payment["partner_type"],
                "partner_id/.id": payment["partner_id"],
                "amount": payment["amount"] if form.amount is None else form.amount,
                "currency_id/.id": payment["currency_id"],
                "journal_id/.id": payment["journal_id"],
                "memo": form.reference or f"Taken back: {payment['name']}",
            }
            if form.date is not None:
                row["date"] = form.date.isoformat()
            return [row]

        fresh = [work for work in works if work.facts["counter"] is None]
        await self.desk.load(fresh, PAYMENT, sheet, doing=f"making {len(fresh)} payments back")
        for work in works:
            for _ in range(_ROUNDS):
                if not work.open:
                    break
                await self.look([work])
                if work.open:
                    await self.desk.each([work], self._step)
                if isinstance(work.error, Reject) and work.error.__cause__ is not None:
                    work.facts["refused"], work.error = work.error, None  # another client may have done this step
            if work.open and "refused" in work.facts:
                work.error = work.facts["refused"]

    async def _step(self, todo: list[Work[Any]]) -> None:
        """The next thing that is missing."""
        [work] = todo
        counter, line, back = (work.facts[name] for name in ("counter", "line", "back"))
        if counter["state"] == "draft":
            await self.desk.call(PAYMENT, "action_post", [counter["id"]], doing=work.doing)
        elif not back["reconciled"]:
            for partial in await self._partials(work):
                invoice = [work.facts["invoices"][0]]
                await self.desk.call(
                    INVOICE, "js_remove_outstanding_partial", invoice, partial_id=partial, doing=work.doing
                )
            await self.desk.call(LINE, "reconcile", [line["id"], back["id"]], doing=work.doing)
        else:
            for invoice in work.facts["open"]:
                await self.desk.call(
                    INVOICE, "js_assign_outstanding_line", [invoice["id"]], line_id=line["id"], doing=work.doing
                )

    async def _partials(self, work: Work[Any]) -> list[int]:
        """Where the first payment is set off against its invoices; what an earlier reversal took of it stays."""
        line = work.facts["line"]
        found = await self.desk.rows(
            PARTIAL,
            [*line["matched_debit_ids"], *line["matched_credit_ids"]],
            ["debit_move_id", "credit_move_id"],
            doing="reading what a payment is set off against",
        )
        others = {one: row["debit_move_id"] + row["credit_move_id"] - line["id"] for one, row in found.items()}
        ends = await self.desk.rows(
            LINE, others.values(), ["move_id"], doing="reading what a payment is set off against"
        )
        invoices = set(work.facts["invoices"])
        return sorted(one for one, other in others.items() if ends[other]["move_id"] in invoices)


def _invoices(payment: Row) -> list[int]:
    """The invoices and bills that a payment is for, or is set off against."""
    names = ("invoice_ids", "reconciled_invoice_ids", "reconciled_bill_ids")
    return sorted({one for name in names for one in payment[name]})
