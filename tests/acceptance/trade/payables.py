"""The oracle of purchases: each by its expected end, its documents once on either side, and what vendors are owed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.acceptance.trade.books import NOTHING, Books, Verdict, balances
from tests.acceptance.trade.market import money
from tests.acceptance.trade.purchases import End, Purchase


def judge(
    orders: Sequence[Purchase], books: Books, held: Mapping[str, Sequence[tuple[str, str]]], told: Verdict
) -> None:
    """Each purchase order, then payables and payments."""
    placed = [order for order in orders if order.name]
    for order in placed:
        assert order.end is not None
        told.equal(f"{order.number} {order.variant}", order.end, came_to(order, books, held))
        _documents(order, books, told)
    told.equal("purchase orders in Odoo", len(books.purchases), len(placed))
    told.equal("purchase orders at BNG", len(books.at_bng["purchase_orders"]), len(placed))
    owed = {"USD": sum((money(left) for order in placed if order.end for _, left in order.end.bills), NOTHING)}
    balances("payables", "liability_payable", ("VendorBill", "VendorCredit"), owed, books, told)
    paid = sum((money(total) - money(left) for o in placed if o.end for total, left in o.end.bills), NOTHING)
    told.tie("paid to vendors", expected=paid, odoo=_paid_in_odoo(books), bng=_paid_at_bng(books))


def came_to(order: Purchase, books: Books, held: Mapping[str, Sequence[tuple[str, str]]]) -> End:
    """The end that an order came to, as `End` says it."""
    there = [row for row in books.at_bng["purchase_orders"].values() if row["PONumber"] == order.name]
    if len(there) != 1:
        return End(f"{len(there)} at BNG", "")
    row = books.purchases[order.id]
    receipts = [books.transfers[key] for key in row["picking_ids"]]
    bills = [books.moves[key] for key in row["invoice_ids"]]
    mine = {order.key, str(order.id), *order.bills}
    return End(
        there[0]["Status"],
        row["state"],
        tuple(sorted((r["state"], int(r["quantity"])) for r in receipts)),
        tuple(_bill(b) for b in sorted(bills, key=lambda b: Decimal(str(b["amount_total"])))),
        tuple(sorted(one for key in mine for one in held.get(key, ()))),
    )


def _bill(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["state"] != "posted" or row["move_type"] != "in_invoice":
        return f"{row['move_type']} {row['state']}", f"{row['amount_residual']:.2f}"
    return f"{row['amount_total']:.2f}", f"{row['amount_residual']:.2f}"


def _documents(order: Purchase, books: Books, told: Verdict) -> None:
    """Each bill of BNG is one in Odoo under the vendor's number, and paid by one payment on either side."""
    assert order.end is not None
    paid = sorted(money(total) - money(left) for total, left in order.end.bills if money(total) != money(left))
    there = [books.at_bng["invoices"][key] for key in order.bills]
    numbers = {row["InvoiceNumber"] for row in there}
    in_odoo = sorted(row["ref"] for row in books.moves.values() if row["ref"] in numbers)
    told.equal(f"{order.number} bills by number", sorted(numbers), in_odoo)
    at_bng = sorted((money(row["TotalAmount"]), money(row["BalanceDue"])) for row in there)
    told.equal(f"{order.number} bills at BNG", sorted((money(t), money(left)) for t, left in order.end.bills), at_bng)
    booked = sorted(
        money(row["amount"])
        for row in books.payments
        if row["memo"] in numbers and row["state"] in ("in_process", "paid")
    )
    known = sorted(money(r["Amount"]) for r in books.at_bng["payments"].values() if r["Reference"] in numbers)
    told.equal(f"{order.number} payments in Odoo and at BNG", paid, booked, known)


def _paid_in_odoo(books: Books) -> Decimal:
    return sum(
        (
            money(row["amount"]) * (1 if row["payment_type"] == "outbound" else -1)
            for row in books.payments
            if row["partner_type"] == "supplier" and row["state"] in ("in_process", "paid")
        ),
        NOTHING,
    )


def _paid_at_bng(books: Books) -> Decimal:
    return sum(
        (
            money(row["Amount"]) * (1 if row["Direction"] == "Outbound" else -1)
            for row in books.at_bng["payments"].values()
            if row["VendorID"]
        ),
        NOTHING,
    )
