"""Reconciling an invoice with a payment or a credit note that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field, model_validator

from isthmus.connectors.odoo.operations.desk import Row, number
from isthmus.connectors.odoo.operations.forms import Document, Form, Key, document
from isthmus.connectors.odoo.operations.invoices import BILLING, INVOICE, Invoices
from isthmus.connectors.odoo.operations.method import Work
from isthmus.sdk import Operation

LINE, PARTIAL = "account.move.line", "account.partial.reconcile"


class Match(Form):
    """An invoice, and what it is to be reconciled with."""

    invoice: Key = Field(description="The key of the invoice or bill.")
    payment: Key | None = Field(default=None, description="The key of a posted payment.")
    credit_note: Key | None = Field(default=None, description="The key of a posted credit note, or of another entry.")

    @model_validator(mode="after")
    def _one(self) -> Match:
        if (self.payment is None) == (self.credit_note is None):
            raise ValueError("name either payment or credit_note")
        return self


class Matched(Form):
    """How both stand."""

    invoice: Document = Field(description="The invoice.")
    residual: Decimal = Field(description="What is still open of it.")
    payment_state: str = Field(description="Whether it is paid, in Odoo's own word.")
    amount: Decimal = Field(description="How much of it the two have settled between them, in the company's currency.")


class Reconcile(Invoices):
    """Sets off what both have open on the same account."""

    GERUND = "reconciling"
    ABOUT: ClassVar[Operation] = Operation(
        name="reconcile",
        label="Reconcile an invoice",
        summary="Sets an invoice off against a payment or a credit note that is there already.",
        input=Match,
        result=Matched,
        lease={"invoice": INVOICE, "credit_note": INVOICE, "payment": "account.payment"},
        money=True,
        batch=20,
        needs=(BILLING,),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        payments = await self.desk.rows(
            "account.payment",
            [int(work.form.payment) for work in works if work.form.payment],
            ["name", "state", "move_id"],
            doing="reading payments",
        )
        entries = {id(work): _entry(work, payments) for work in works}
        ids = {work.facts["invoice"]["id"] for work in works if work.facts["invoice"]}
        lines = await self.desk.search(
            LINE,
            [
                ["move_id", "in", sorted(ids | {one for one in entries.values() if one})],
                ["account_type", "in", ["asset_receivable", "liability_payable"]],
            ],
            ["move_id", "account_id", "reconciled", "amount_residual"],
            doing=f"reading the entries of {len(works)} invoices",
        )
        numbers = [row["id"] for row in lines]
        partials = await self.desk.search(
            PARTIAL,
            [["debit_move_id", "in", numbers], ["credit_move_id", "in", numbers]],
            ["debit_move_id", "credit_move_id", "amount"],
            doing="reading what is reconciled",
        )
        for work in works:
            if work.facts["invoice"] is not None:
                self._judge(work, entries[id(work)], lines, partials)

    def _judge(self, work: Work[Any], entry: int | None, lines: Sequence[Row], partials: Sequence[Row]) -> None:
        invoice = work.facts["invoice"]
        ours = [row for row in lines if row["move_id"] == invoice["id"]]
        theirs = [row for row in lines if row["move_id"] == entry] if entry else []
        left, right = {row["id"] for row in ours}, {row["id"] for row in theirs}
        done = [
            row
            for row in partials
            if (row["debit_move_id"] in left and row["credit_move_id"] in right)
            or (row["debit_move_id"] in right and row["credit_move_id"] in left)
        ]
        if done:
            work.result = {
                "invoice": document(invoice),
                "residual": invoice["amount_residual"],
                "payment_state": invoice["payment_state"] or "",
                "amount": sum((number(row["amount"]) for row in done), Decimal(0)),
            }
            return
        accounts = {row["account_id"] for row in ours if not row["reconciled"]}
        fits = [row for row in theirs if not row["reconciled"] and row["account_id"] in accounts]
        if invoice["state"] != "posted":
            work.block(f"its state is {invoice['state']}", "Post it first (post_invoice), then try again.")
        elif not theirs:
            work.block(
                "the other document is not there, or has no posted entry on a receivable or payable account",
                "Check its key, and post it first.",
            )
        elif not fits:
            work.block(
                "the two have nothing open on the same account",
                "One of them is settled, or they belong to different partners' accounts: look at both in Odoo.",
            )
        else:
            work.facts["line"] = fits[0]["id"]

    async def act(self, works: Sequence[Work[Any]]) -> None:
        for work in works:

            async def call(todo: list[Work[Any]]) -> None:
                [one] = todo
                await self.desk.call(
                    INVOICE,
                    "js_assign_outstanding_line",
                    [one.facts["invoice"]["id"]],
                    line_id=one.facts["line"],
                    doing=one.doing,
                )

            await self.desk.each([work], call)


def _entry(work: Work[Any], payments: dict[int, Row]) -> int | None:
    """The journal entry of the other document."""
    if work.form.credit_note:
        return int(work.form.credit_note)
    found = payments.get(int(work.form.payment))
    return int(found["move_id"]) if found and found["move_id"] else None
