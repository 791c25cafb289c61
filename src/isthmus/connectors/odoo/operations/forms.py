"""Parts that the forms of several operations share: keys, quantities, lines, and what is told of a document."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Form(BaseModel):
    """What an operation takes or gives; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Key = Annotated[str, BeforeValidator(_text), Field(pattern=r"^[1-9][0-9]*$")]
"""The key of a Record of Odoo: its database id, as Links hold it."""

Quantity = Annotated[Decimal, Field(gt=0)]
Amount = Annotated[Decimal, Field(gt=0)]


class LineQuantity(Form):
    """How much of one line of an order."""

    line: Key = Field(description="The key of the order line.")
    quantity: Quantity = Field(description="How much, in the unit of the order line.")


class Moved(Form):
    """What was moved for one line of an order."""

    line: str = Field(description="The key of the order line.")
    quantity: Decimal = Field(description="How much was moved.")


class Document(Form):
    """A document of Odoo, as it stands."""

    key: str = Field(description="Its key.")
    number: str = Field(description="The number that people know it by; empty for a draft that has none yet.")
    state: str = Field(description="Its state, in Odoo's own word.")


class OrderStands(Form):
    """An order after the operation."""

    order: Document = Field(description="The order.")
    total: Decimal = Field(description="Its total with taxes, in the currency of the order.")
    transfers: list[str] = Field(default_factory=list, description="Keys of its deliveries or receipts.")


class InvoiceStands(Form):
    """An invoice, bill or credit note after the operation."""

    invoice: Document = Field(description="The invoice, bill or credit note.")
    total: Decimal = Field(description="Its total with taxes, in its own currency.")
    residual: Decimal = Field(description="What of it is still to be paid or used.")
    payment_state: str = Field(
        description="Whether it is paid, in Odoo's own word: not_paid, partial, in_payment, paid."
    )


def document(row: dict[str, Any]) -> dict[str, Any]:
    """A row of Odoo as a Document."""
    return {"key": str(row["id"]), "number": row.get("name") or "", "state": row["state"]}


def invoice_stands(row: dict[str, Any]) -> dict[str, Any]:
    """A row of account.move as InvoiceStands."""
    return {
        "invoice": document(row),
        "total": row["amount_total"],
        "residual": row["amount_residual"],
        "payment_state": row["payment_state"] or "",
    }


INVOICE_FIELDS = (
    "name",
    "state",
    "move_type",
    "amount_total",
    "amount_residual",
    "payment_state",
    "invoice_date",
    "currency_id",
    "partner_id",
    "reversed_entry_id",
    "ref",
)
"""What is read of an invoice."""

INVOICE_NOUNS = {
    "out_invoice": "invoice",
    "in_invoice": "vendor bill",
    "out_refund": "credit note",
    "in_refund": "vendor credit note",
    "out_receipt": "receipt",
    "in_receipt": "purchase receipt",
    "entry": "journal entry",
}


def invoice_called(row: dict[str, Any]) -> str:
    """An invoice as a person calls it."""
    noun = INVOICE_NOUNS.get(str(row["move_type"]), "journal entry")
    return f"{noun} {row['name']}" if row.get("name") not in (None, False, "", "/") else f"draft {noun} {row['id']}"
