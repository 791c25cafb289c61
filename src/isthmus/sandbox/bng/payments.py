"""What payments do to invoices: which applications count, what an invoice has been paid, what was refunded."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from .errors import Problem
from .schema import Doc
from .store import Store
from .values import fixed, number

_COUNTED = {"Captured", "PendingSettlement", "Settled", "Refunded", "PartiallyRefunded"}
_MONEY_BACK = {"Refund", "Credit", "Chargeback"}
_CREDITS = {"CreditMemo", "VendorCredit"}


def applied_by(store: Store, payment: Doc) -> Mapping[str, Decimal]:
    """How much this payment settles of which invoice; a refund takes back from an invoice by its own Applications."""
    if payment["Status"] not in _COUNTED or payment["PaymentType"] in ("Authorization", "Void"):
        return {}
    out: dict[str, Decimal] = {}
    for item in payment["Applications"] or ():
        invoice = store.get("invoice", item["InvoiceID"])
        if invoice is None:
            continue
        back = payment["PaymentType"] in _MONEY_BACK and invoice["InvoiceType"] not in _CREDITS
        amount = number(item["AmountApplied"])
        out[invoice["InvoiceID"]] = out.get(invoice["InvoiceID"], Decimal(0)) + (-amount if back else amount)
    return out


def paid_on(store: Store, invoice: str, *, without: str | None = None) -> Decimal:
    """What all payments (but one) settle of an invoice."""
    rows = store.db.execute("SELECT amount FROM application WHERE invoice = ? AND payment IS NOT ?", (invoice, without))
    return sum((Decimal(amount) for (amount,) in rows), Decimal(0))


def check_not_overpaid(store: Store, payment: Doc, problems: list[Problem]) -> None:
    """An invoice cannot be settled by more than its total."""
    for invoice_id, amount in applied_by(store, payment).items():
        invoice = store.get("invoice", invoice_id)
        total = number(invoice["TotalAmount"]) if invoice else Decimal(0)
        other = paid_on(store, invoice_id, without=payment["PaymentID"])
        if amount > 0 and other + amount > total:
            message = f"{amount} on invoice {invoice_id} is more than is left of it, {total - other}"
            problems.append(Problem("Applications", "OverApplied", message))


def keep_applications(store: Store, payment: Doc) -> set[str]:
    """Keep what the payment settles now; return the invoices for which that changed."""
    key = payment["PaymentID"]
    rows = store.db.execute("SELECT invoice, amount FROM application WHERE payment = ?", (key,))
    before = {invoice: Decimal(amount) for invoice, amount in rows}
    after = applied_by(store, payment)
    if before == after:
        return set()
    store.db.execute("DELETE FROM application WHERE payment = ?", (key,))
    store.db.executemany("INSERT INTO application VALUES (?, ?, ?)", [(key, i, str(a)) for i, a in after.items()])
    return {i for i in before.keys() | after.keys() if before.get(i) != after.get(i)}


def fill_balance(store: Store, invoice: Doc) -> None:
    """Fill AmountPaid and BalanceDue. An invoice told to be Paid is paid in full, whoever took the money."""
    total = number(invoice["TotalAmount"])
    paid = paid_on(store, invoice["InvoiceID"])
    if invoice["Status"] == "Paid":
        paid = max(paid, total)
    due = Decimal(0) if invoice["Status"] == "Void" else total - paid
    invoice["AmountPaid"], invoice["BalanceDue"] = fixed(paid, 2), fixed(due, 2)


def status_after_payment(store: Store, invoice: Doc) -> str:
    """The Status an invoice takes when a payment on it changed."""
    status = str(invoice["Status"])
    if status in ("Draft", "Void"):
        return status
    paid = paid_on(store, invoice["InvoiceID"])
    if paid <= 0:
        return "Open"
    return "Paid" if paid >= number(invoice["TotalAmount"]) else "PartiallyPaid"


def status_after_refund(store: Store, payment: Doc) -> str:
    """The Status of a payment given all refunds that name it."""
    refunds = [
        number(refund["Amount"])
        for refund in store.docs_where("payment", "OriginalPaymentID", payment["PaymentID"])
        if refund["PaymentType"] == "Refund" and refund["Status"] in _COUNTED
    ]
    if not refunds:
        return str(payment["Status"])
    return "Refunded" if sum(refunds) >= number(payment["Amount"]) else "PartiallyRefunded"
