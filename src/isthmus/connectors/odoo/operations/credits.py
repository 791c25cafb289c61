"""Credit notes: an invoice taken back, whole or in part, under an External ID of ours, so a repeat finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date as day
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import Row, number
from isthmus.connectors.odoo.operations.forms import (
    INVOICE_FIELDS,
    Amount,
    Document,
    Form,
    Key,
    Quantity,
    document,
    invoice_called,
)
from isthmus.connectors.odoo.operations.invoices import BILLING, INVOICE, Invoices
from isthmus.connectors.odoo.operations.method import Work
from isthmus.sdk import Conflicted, InvalidRecord, Operation

LINE = "account.move.line"
_COPIED = ("name", "product_id", "product_uom_id", "price_unit", "discount", "tax_ids", "account_id")
_BACK = {"out_invoice": "out_refund", "in_invoice": "in_refund"}


class CreditLine(Form):
    """What is credited of one line of an invoice."""

    line: Key = Field(description="The key of the invoice line.")
    quantity: Quantity = Field(description="How much, in the unit of the line.")
    price: Annotated[Decimal, Field(ge=0)] | None = Field(
        default=None, description="The unit price that is credited; unset: the invoiced one."
    )


class Credit(Form):
    """An invoice or bill to be credited."""

    invoice: Key = Field(description="The key of the posted invoice or bill.")
    lines: tuple[CreditLine, ...] = Field(default=(), description="What is credited; none: the whole invoice.")
    date: day | None = Field(default=None, description="The date of the credit note; unset: today in Odoo.")
    reason: str = Field(default="", max_length=200, description="Why; shown on the credit note.")
    expected_total: Amount | None = Field(
        default=None, description="The total with taxes that the credit note must have; it stays a draft otherwise."
    )


class Credited(Form):
    """The credit note, and what is left of the invoice."""

    credit_note: Document = Field(description="The posted credit note.")
    total: Decimal = Field(description="Its total with taxes.")
    residual: Decimal = Field(description="What of the credit is not used up: the customer may have it back.")
    invoice: Document = Field(description="The invoice.")
    invoice_residual: Decimal = Field(description="What is still to be paid of the invoice.")


class CreditInvoice(Invoices):
    """Posts a credit note for an invoice; Odoo sets it off against what is still to be paid."""

    GERUND = "crediting"
    ABOUT: ClassVar[Operation] = Operation(
        name="credit_invoice",
        label="Credit an invoice",
        summary="Posts a credit note for a whole invoice or for some of it, set off against what is still to be paid.",
        input=Credit,
        result=Credited,
        lease={"invoice": INVOICE},
        money=True,
        batch=20,
        needs=(BILLING,),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        ids = [work.facts["invoice"]["id"] for work in works if work.facts["invoice"]]
        notes = await self.desk.search(
            INVOICE, [["reversed_entry_id", "in", ids]], INVOICE_FIELDS, doing=f"reading credits of {len(ids)} invoices"
        )
        made = await self.desk.made_by(INVOICE, self.ABOUT.name, [row["id"] for row in notes])
        for work in works:
            invoice = work.facts["invoice"]
            if invoice is None:
                continue
            mine = [row for row in notes if row["reversed_entry_id"] == invoice["id"]]
            note = work.facts["note"] = next((row for row in mine if row["id"] == made.get(work.act.key)), None)
            if note is not None and note["state"] == "posted":
                work.result = {
                    "credit_note": document(note),
                    "total": note["amount_total"],
                    "residual": note["amount_residual"],
                    "invoice": document(invoice),
                    "invoice_residual": invoice["amount_residual"],
                }
            elif note is not None and note["state"] == "cancel":
                work.block(f"its {invoice_called(note)} was cancelled", "Credit it again under a new key.")
            elif invoice["state"] != "posted" or invoice["move_type"] not in _BACK:
                work.block(
                    f"it is {invoice['state']}, of kind {invoice['move_type']}",
                    "Only posted invoices and bills are credited; a draft is changed or voided.",
                )
            elif note is None:
                self._leaves_something(work, invoice, mine)

    def _leaves_something(self, work: Work[Any], invoice: Row, notes: Sequence[Row]) -> None:
        """Refuse what would credit more than was invoiced, as far as totals tell before the credit note is made."""
        credited = sum((number(row["amount_total"]) for row in notes if row["state"] != "cancel"), Decimal(0))
        left = number(invoice["amount_total"]) - credited
        work.facts["left"] = left
        if left <= 0 or (credited and not work.form.lines):
            told = ", ".join(invoice_called(row) for row in notes if row["state"] != "cancel")
            work.block(
                f"{credited} of {number(invoice['amount_total'])} is credited before, by {told}",
                "Name the lines to credit, if some of it is still to be credited.",
                kind=Conflicted,
            )

    async def act(self, works: Sequence[Work[Any]]) -> None:
        fresh = [work for work in works if work.facts["note"] is None]
        await self._lines(fresh)

        def sheet(work: Work[Any]) -> list[dict[str, Any]]:
            invoice, xid = work.facts["invoice"], self.desk.xid(self.ABOUT.name, work.act.key)
            reason = f", {work.form.reason}" if work.form.reason else ""
            head = {
                "id": xid,
                "move_type": _BACK[invoice["move_type"]],
                "partner_id/.id": invoice["partner_id"],
                "currency_id/.id": invoice["currency_id"],
                "ref": f"Reversal of: {invoice['name']}{reason}",
                "reversed_entry_id/.id": invoice["id"],
                **work.facts["header"],
            }
            if work.form.date is not None:
                head["invoice_date"] = work.form.date.isoformat()
            rows = [
                {**_cells(row, "invoice_line_ids/"), "invoice_line_ids/id": f"{xid}_line_{row['id']}"}
                for row in work.facts["rows"]
            ]
            return [{**head, **rows[0]}, *rows[1:]]

        made = await self.desk.load(fresh, INVOICE, sheet, doing=f"making {len(fresh)} credit notes")
        ids = {id(work): int(made.get(id(work)) or (work.facts["note"] or {}).get("id") or 0) for work in works}
        drafts = await self.desk.rows(
            INVOICE, [one for one in ids.values() if one], INVOICE_FIELDS, doing="reading new credit notes"
        )
        for work in works:
            if work.open and ids[id(work)] in drafts:
                self._check(work, drafts[ids[id(work)]])

        async def call(todo: list[Work[Any]]) -> None:
            notes = [ids[id(work)] for work in todo]
            await self.desk.call(INVOICE, "action_post", notes, doing=f"posting {len(notes)} credit notes")

        await self.desk.each(works, call)

    def _check(self, work: Work[Any], note: Row) -> None:
        """The total is read back before anything is posted; a draft that is wrong is left for a person."""
        total = number(note["amount_total"])
        wanted = number(work.form.expected_total) if work.form.expected_total is not None else None
        if wanted is None and not work.form.lines:
            wanted = number(work.facts["invoice"]["amount_total"])
        over = total > work.facts.get("left", total)
        if over or (wanted is not None and total != wanted):
            limit = work.facts.get("left") if over else wanted
            work.block(
                f"the draft credit note {note['id']} comes to {total}, not to {'at most ' if over else ''}{limit}",
                "Open the draft in Odoo: correct and post it, or cancel it and credit other quantities.",
                kind=Conflicted,
                draft=note["id"],
            )

    async def _lines(self, works: Sequence[Work[Any]]) -> None:
        """The lines of every invoice with what is credited of them, as `facts["rows"]`; the header beside."""
        ids = [work.facts["invoice"]["id"] for work in works]
        tied = await self.desk.known(LINE, "sale_line_ids", "purchase_line_id")
        lines = await self.desk.search(
            LINE,
            [["move_id", "in", ids], ["display_type", "=", "product"]],
            ["move_id", "quantity", *_COPIED, *tied],
            doing=f"reading the lines of {len(ids)} invoices",
        )
        headers = await self.desk.rows(
            INVOICE, ids, ["journal_id", "fiscal_position_id", "invoice_origin"], doing="reading invoices to credit"
        )
        for work in works:
            invoice = work.facts["invoice"]
            mine = {str(row["id"]): row for row in lines if row["move_id"] == invoice["id"]}
            work.facts["header"] = _header(headers[invoice["id"]])
            rows = list(mine.values())
            if work.form.lines:
                rows = []
                for asked in work.form.lines:
                    row = mine.get(asked.line)
                    there = number(row["quantity"]) if row else Decimal(0)
                    if row is None or asked.quantity > there:
                        said = f"line {asked.line} has {there}, {number(asked.quantity)} were to be credited"
                        work.block(
                            said if row else f"line {asked.line} is no line of it",
                            f"Its lines are: {', '.join(mine)}.",
                            kind=InvalidRecord,
                            line=asked.line,
                        )
                        break
                    price = row["price_unit"] if asked.price is None else asked.price
                    rows.append({**row, "quantity": asked.quantity, "price_unit": price})
            work.facts["rows"] = rows
            if work.open and not rows:
                work.block("it has no line with a product or an amount", "Reverse it in Odoo.")


def _header(row: Mapping[str, Any]) -> dict[str, Any]:
    head = {"journal_id/.id": row["journal_id"]}
    if row["fiscal_position_id"]:
        head["fiscal_position_id/.id"] = row["fiscal_position_id"]
    if row["invoice_origin"]:
        head["invoice_origin"] = row["invoice_origin"]
    return head


def _cells(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """A line of an invoice as cells; references by database id."""
    out: dict[str, Any] = {}
    for name in (*_COPIED, "quantity", "sale_line_ids", "purchase_line_id"):
        value = row.get(name)
        if name in ("tax_ids", "sale_line_ids"):
            if name in row:
                out[f"{prefix}{name}/.id"] = value or ""
        elif name.endswith("_id"):
            if value:
                out[f"{prefix}{name}/.id"] = value
        elif value not in (None, False):
            out[f"{prefix}{name}"] = value
    return out
