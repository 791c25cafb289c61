"""The read-only fields that follow from a document itself, and what a write does to other documents."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from . import payments
from .schema import Doc
from .store import Store
from .values import fixed, number


class Rewriter(Protocol):
    """Writes a change that BNG makes by itself."""

    def rewrite(self, entity: str, old: Doc, new: Doc) -> None:
        """Store `new` as the next version of `old`, events included."""


def derive(store: Store, entity: str, doc: Doc) -> None:
    """Fill the read-only fields of a document that is about to be stored."""
    if entity == "sales_order":
        _order_progress(doc)
    elif entity == "invoice":
        payments.fill_balance(store, doc)
    elif entity == "payment":
        applied = sum((number(item["AmountApplied"]) for item in doc["Applications"] or ()), Decimal(0))
        doc["UnappliedAmount"] = fixed(number(doc["Amount"]) - applied, 2)
    elif entity == "inventory_item":
        doc["QuantityAvailable"] = fixed(number(doc["QuantityOnHand"]) - number(doc["QuantityReserved"]), 4)
    elif entity == "gl_entry":
        doc["Period"] = doc["Period"] or doc["PostingDate"][:7]
        for total, side in (("TotalDebit", "Debit"), ("TotalCredit", "Credit")):
            doc[total] = fixed(sum((number(line[side]) for line in doc["Lines"]), Decimal(0)), 2)


def _order_progress(doc: Doc) -> None:
    cancelled = doc["Status"] == "Cancelled"
    everything, anything = True, False
    for item in doc["LineItems"]:
        ordered, shipped = number(item["Quantity"]), number(item["QuantityShipped"])
        open_quantity = max(ordered - shipped, Decimal(0))
        item["QuantityCancelled"] = fixed(open_quantity if cancelled else Decimal(0), 4)
        if not open_quantity:
            item["Status"] = "Shipped"
        elif cancelled:
            item["Status"] = "Cancelled"
        else:
            item["Status"] = "Partial" if shipped else "Open"
        everything &= not open_quantity
        anything |= bool(shipped)
    doc["FulfillmentStatus"] = "Fulfilled" if everything else "Partial" if anything else "Unfulfilled"


def effects(store: Store, writer: Rewriter, entity: str, doc: Doc, old: Doc | None) -> None:
    """Carry a stored write over to the documents it concerns."""
    if entity == "payment":
        _after_payment(store, writer, doc, old)
    elif entity == "invoice":
        _after_invoice(store, writer, doc, old)
    elif entity == "gl_entry" and doc["ReversesEntryID"] and doc["Status"] == "Posted":
        was = store.get("gl_entry", doc["ReversesEntryID"])
        if was is not None and was["Status"] == "Posted":
            writer.rewrite("gl_entry", was, {**was, "Status": "Reversed"})


def _after_payment(store: Store, writer: Rewriter, doc: Doc, old: Doc | None) -> None:
    for key in sorted(payments.keep_applications(store, doc)):
        invoice = store.get("invoice", key)
        if invoice is not None:
            writer.rewrite("invoice", invoice, {**invoice, "Status": payments.status_after_payment(store, invoice)})
    if doc["PaymentType"] != "Refund" or doc["OriginalPaymentID"] is None:
        return
    original = store.get("payment", doc["OriginalPaymentID"])
    if original is not None:
        status = payments.status_after_refund(store, original)
        if status != original["Status"]:
            writer.rewrite("payment", original, {**original, "Status": status})


def _after_invoice(store: Store, writer: Rewriter, doc: Doc, old: Doc | None) -> None:
    for order, field in (("sales_order", "QuantityInvoiced"), ("purchase_order", "QuantityBilled")):
        before, after = _billed(old, order), _billed(doc, order)
        change = {line: after.get(line, Decimal(0)) - before.get(line, Decimal(0)) for line in before | after}
        _carry_quantities(store, writer, order, field, {line: more for line, more in change.items() if more}, doc)


_LINE_REFERENCE = {"sales_order": "SalesOrderLineItemID", "purchase_order": "PurchaseOrderLineItemID"}
_ORDER_REFERENCE = {"sales_order": "SalesOrderID", "purchase_order": "PurchaseOrderID"}


def _billed(doc: Doc | None, order: str) -> dict[str, Decimal]:
    """Order line -> quantity that this document bills; a credit takes back, a draft or void one bills nothing."""
    if doc is None or doc["Status"] in ("Draft", "Void"):
        return {}
    sign = -1 if doc["InvoiceType"] in ("CreditMemo", "VendorCredit") else 1
    out: dict[str, Decimal] = {}
    for item in doc["LineItems"]:
        line = item[_LINE_REFERENCE[order]]
        if line is not None:
            out[line] = out.get(line, Decimal(0)) + sign * number(item["Quantity"])
    return out


def _carry_quantities(
    store: Store, writer: Rewriter, entity: str, field: str, change: dict[str, Decimal], invoice: Doc
) -> None:
    waiting = set(change)
    while waiting:
        line = min(waiting)
        order = _order_of(store, entity, invoice[_ORDER_REFERENCE[entity]], line)
        waiting.discard(line)
        if order is None:
            continue  # the line was taken out of its order since
        items = []
        for item in order["LineItems"]:
            more = change.get(item["LineItemID"])
            items.append(item if more is None else {**item, field: fixed(number(item[field]) + more, 4)})
            waiting.discard(item["LineItemID"])
        writer.rewrite(entity, order, {**order, "LineItems": items})


def _order_of(store: Store, entity: str, named: str | None, line: str) -> Doc | None:
    for key in (named, store.parent_of(entity, line)):
        order = store.get(entity, key) if key else None
        if order is not None and any(item["LineItemID"] == line for item in order["LineItems"]):
            return order
    return None
