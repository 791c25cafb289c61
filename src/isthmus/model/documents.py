"""The canonical trade documents: sales order, purchase order, invoice and payment, with their lines, described once."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from isthmus.model.canonical import CanonicalField, MatchKey, Totals
from isthmus.model.describing import NEWEST, RIGHT_ONLY, described, entity_of
from isthmus.model.policy import Empties, FieldPolicy, Rule
from isthmus.model.schema import FieldType

ORIGIN = FieldPolicy(rule=Rule.ORIGIN, strict=True, empties=Empties.KEEP)
"""The side on which the document was made owns it: an edit made only on the other side is put back. What it leaves
empty the other side may fill."""
LEFT_KEPT = FieldPolicy(rule=Rule.LEFT, strict=True, empties=Empties.KEEP, direction="to_right")
"""The books are kept on the left; the right side shows it and never sends it back."""
RIGHT_KEPT = FieldPolicy(rule=Rule.RIGHT, strict=True, empties=Empties.KEEP, direction="to_left")
"""Only the right side works with it; the left side shows it and never sends it back."""
STATUS = FieldPolicy(rule=Rule.LEFT, empties=Empties.KEEP, direction="to_right")
"""The left side tells how far it is; what the right side says of itself stands until the left goes on."""
SHOWN = FieldPolicy(rule=Rule.LEFT, direction="none")
"""Each side tells its own: it is compared and shown, never written."""

S, T, N, D, DATE, AT, B, E, R, A, L = (
    FieldType.STRING, FieldType.TEXT, FieldType.INTEGER, FieldType.DECIMAL, FieldType.DATE, FieldType.DATETIME,
    FieldType.BOOLEAN, FieldType.ENUM, FieldType.REFERENCE, FieldType.ADDRESS, FieldType.LIST,
)  # fmt: skip


def _part(name: str, kind: FieldType, label: str, help: str = "", **more: Any) -> CanonicalField:
    """A part of a line; the Policy is that of the whole list."""
    return described(name, kind, label, help, NEWEST, **more)


def _rows(
    name: str, label: str, help: str, policy: FieldPolicy, parts: Iterable[CanonicalField], **more: Any
) -> CanonicalField:
    return described(name, L, label, help, policy, items=MappingProxyType({p.name: p for p in parts}), **more)


def _line(label: str = "Quantity") -> list[CanonicalField]:
    """What lines of all documents have in common."""
    return [
        _part("number", N, "Line", "Stable inside the document."),
        _part("product", R, "Product", target="product"),
        _part("description", T, "Description", max_length=1000),
        _part("quantity", D, label, scale=4),
        _part("unit", S, "Unit", "By the look-up table `unit`.", max_length=16),
        _part("unit_price", D, "Unit price", "Before discount; without tax unless tax is included.", scale=4),
        _part("tax_code", S, "Tax code", "By the look-up table `tax`; several are joined by a plus sign.",
              max_length=64),
        _part("tax", D, "Tax", "As worked out on each side.", scale=2),
        _part("total", D, "Total", "After discount, without tax.", scale=2),
    ]  # fmt: skip


def _discounts() -> list[CanonicalField]:
    return [
        _part("tax_included", B, "Tax included", "The price holds the tax; by the look-up table `tax_included`."),
        _part("discount_percent", D, "Discount %", "0 to 100, of the line.",
              scale=6),
        _part("discount_amount", D, "Discount", "Of the whole line; never together with a discount in per cent.",
              scale=2),
    ]  # fmt: skip


def _totals(policy: FieldPolicy) -> list[CanonicalField]:
    return [
        described("subtotal", D, "Subtotal", "Of the lines, without tax. Each side works it out.", policy, scale=2),
        described("tax_total", D, "Tax", "Each side works it out.", policy, scale=2),
        described("total", D, "Total", "Each side works it out; the two are compared after every create.", policy,
                  scale=2),
    ]  # fmt: skip


def _terms(policy: FieldPolicy) -> list[CanonicalField]:
    return [
        described("currency", S, "Currency", "ISO 4217. It belongs to the document's origin.", policy, max_length=3),
        described("payment_terms", S, "Payment terms", "By the look-up table `payment_terms`.", policy, max_length=64),
        described("exchange_rate", D, "Exchange rate", "Units of the document's currency for one of the company's, as "
                  "dated in the books. Left: rates are kept there.", LEFT_KEPT, scale=8),
    ]  # fmt: skip


SALES_ORDER = entity_of(
    "sales_order",
    "Sales order",
    [
        described("customer", R, "Customer", "Origin: an order never changes hands on the other side.", ORIGIN,
                  target="customer", required=True),
        described("number", S, "Number", "The order's number where it was made. Origin.", ORIGIN, max_length=32),
        described("customer_reference", S, "Customer's reference", "The customer's own number, else the order's. "
                  "Origin: it belongs to the document where it was made.", ORIGIN, max_length=64),
        described("channel", S, "Sales channel", "Right: only the right side keeps it.", RIGHT_KEPT, max_length=40),
        described("source", S, "Order source", "Right: only the right side keeps it.", RIGHT_KEPT, max_length=40),
        described("ordered_at", AT, "Ordered at", "Origin: it belongs to the document where it was made.", ORIGIN),
        described("status", E, "Status", "Left: confirmed, shipped and cancelled in the books; the right side's finer "
                  "words stay as long as they are not behind.", STATUS,
                  choices=(("draft", "Draft or open"), ("confirmed", "Confirmed"), ("shipped", "Shipped"),
                           ("completed", "Completed"), ("cancelled", "Cancelled"))),
        described("fulfilment", E, "Fulfilment", "Each side works it out from what was shipped.", SHOWN,
                  choices=(("unfulfilled", "Unfulfilled"), ("partial", "Partial"), ("fulfilled", "Fulfilled"))),
        described("payment_status", E, "Payment status", "Left: invoices are paid in the books.", STATUS,
                  choices=(("unpaid", "Unpaid"), ("authorized", "Authorised"), ("partial", "Partly paid"),
                           ("paid", "Paid"), ("refunded", "Refunded"), ("failed", "Failed"))),
        described("billing", A, "Billing address", "Of this order. Origin.", ORIGIN),
        described("shipping_to", A, "Shipping address", "Of this order. Origin.", ORIGIN),
        described("shipping_method", S, "Shipping method", "Right: goods leave there.", RIGHT_KEPT, max_length=64),
        described("carrier", S, "Carrier", "Right: goods leave there.", RIGHT_KEPT, max_length=64),
        described("tracking", L, "Tracking numbers", "Right: goods leave there.", RIGHT_KEPT),
        described("ship_on", DATE, "Requested ship date",
                  "Origin: it belongs to the document where it was made.", ORIGIN),
        described("promised_on", DATE, "Promised date", "Right: only the right side keeps it.", RIGHT_KEPT),
        described("shipped_on", DATE, "Shipped on", "Right: goods leave there.", RIGHT_KEPT),
        *_terms(ORIGIN),
        *_totals(ORIGIN),
        described("discount", D, "Discount on the whole order", "Beyond those of the lines; a line of its own where "
                  "the system knows no other. Origin.", ORIGIN, scale=2),
        described("shipping", D, "Shipping charge", "A line of its own where the system knows no other. Origin.",
                  ORIGIN, scale=2),
        described("rounding", D, "Rounding", "A line that settles cents, where the pair says so. Only written.",
                  SHOWN, scale=2),
        described("warehouse", S, "Warehouse", "By the look-up table `warehouse`. Origin.", ORIGIN, max_length=32),
        described("salesperson", R, "Salesperson",
                  "Origin: it belongs to the document where it was made.", ORIGIN, target="employee"),
        described("notes", T, "Notes",
                  "Origin: it belongs to the document where it was made.", ORIGIN, max_length=2000),
        _rows("lines", "Lines", "Origin: what was ordered is decided where it was ordered.", ORIGIN,
              [*_line(), *_discounts(),
               _part("warehouse", S, "Warehouse", "By the look-up table `warehouse`.", max_length=32),
               _part("requested_on", DATE, "Requested on")], required=True),
        _rows("progress", "Progress of the lines", "What was shipped, invoiced and cancelled; each side works its own "
              "out.", SHOWN,
              [_part("number", N, "Line"), _part("shipped", D, "Shipped", scale=4),
               _part("invoiced", D, "Invoiced", scale=4), _part("cancelled", D, "Cancelled", scale=4),
               _part("status", S, "Status")]),
        described("right_id", S, "Id on the right side", "Shown to people on the left. Right only: that side gives it.",
                  RIGHT_ONLY, max_length=64),
        described("on_hold", B, "On hold", "Blocked on the right side, which alone knows holds.", RIGHT_KEPT),
    ],
    depends_on=("customer", "product"),
    status_field=None,
    totals=Totals(compared=("subtotal", "tax_total", "total"), rounding="rounding", lines="lines"),
)  # fmt: skip
"""What a customer orders, with its lines."""

INVOICE = entity_of(
    "invoice",
    "Invoice",
    [
        described("number", S, "Number", "Given in the books when posted. Left.", LEFT_KEPT, required=True,
                  max_length=32),
        described("kind", E, "Kind", "Left: it is kept in the books.", LEFT_KEPT,
                  choices=(("invoice", "Invoice"), ("credit_memo", "Credit memo"), ("vendor_bill", "Vendor bill"),
                           ("vendor_credit", "Vendor credit"))),
        described("dated", DATE, "Date", "Left: it is kept in the books.", LEFT_KEPT),
        described("due", DATE, "Due date", "Left: it is kept in the books.", LEFT_KEPT),
        described("posted", DATE, "Posting date", "Left: it is kept in the books.", LEFT_KEPT),
        described("customer", R, "Customer", "Of documents to customers. Left.", LEFT_KEPT, target="customer"),
        described("vendor", R, "Vendor", "Of documents from vendors. Left.", LEFT_KEPT, target="vendor"),
        described("sales_order", R, "Sales order", "What it bills, where that order is in both systems. Left.",
                  LEFT_KEPT, target="sales_order", soft=True),
        described("purchase_order", R, "Purchase order", "What it bills, where that order is in both systems. Left.",
                  LEFT_KEPT, target="purchase_order", soft=True),
        described("original", R, "Original invoice", "What a credit takes back, where it is in both systems. Left.",
                  LEFT_KEPT, target="invoice", soft=True),
        described("status", E, "Status", "Left: posting and payments are kept in the books.", STATUS,
                  choices=(("draft", "Draft"), ("open", "Open"), ("partial", "Partly paid"), ("paid", "Paid"),
                           ("void", "Void"))),
        *_terms(LEFT_KEPT),
        *_totals(LEFT_KEPT),
        described("discount", D, "Discount on the whole document", "Beyond those of the lines. Left.", LEFT_KEPT,
                  scale=2),
        described("paid", D, "Paid", "Each side works it out.", SHOWN, scale=2),
        described("balance", D, "Balance due", "Each side works it out.", SHOWN, scale=2),
        described("billing", A, "Billing address", "Left: it is kept in the books.", LEFT_KEPT),
        described("customer_reference", S, "Customer's reference",
                  "Left: it is kept in the books.", LEFT_KEPT, max_length=64),
        described("memo", T, "Memo", "Left: it is kept in the books.", LEFT_KEPT, max_length=2000),
        _rows("lines", "Lines", "Left: a posted document does not change.", LEFT_KEPT,
              [*_line(), *_discounts(),
               _part("account", S, "Account", "By the look-up table `account`.", max_length=32),
               _part("cost_center", S, "Cost centre", "The analytic account that bears it, by the look-up table "
                     "`cost_center`; none where several do.", max_length=32),
               _part("dimensions", FieldType.OBJECT, "Dimensions", "Analytic accounts and the per cent each bears.")],
              required=True),
        described("right_id", S, "Id on the right side", "Shown to people on the left. Right only: that side gives it.",
                  RIGHT_ONLY, max_length=64),
    ],
    match=(MatchKey(field="number", strong=False),),
    depends_on=("customer", "vendor", "product", "sales_order", "purchase_order"),
    status_field=None,
    totals=Totals(compared=("subtotal", "tax_total", "total"), lines="lines"),
)  # fmt: skip
"""What was billed: to a customer or by a vendor, and the credits of both."""

PAYMENT = entity_of(
    "payment",
    "Payment",
    [
        described("number", S, "Number", "Given where it was made. Origin.", ORIGIN, max_length=32),
        described("direction", E, "Direction", "Origin: it belongs to the document where it was made.", ORIGIN,
                  choices=(("inbound", "Money in"), ("outbound", "Money out"))),
        described("kind", E, "Kind", "Origin: it belongs to the document where it was made.", ORIGIN,
                  choices=(("sale", "Sale"), ("authorization", "Authorisation"), ("capture", "Capture"),
                           ("refund", "Refund"), ("void", "Void"), ("credit", "Credit"),
                           ("chargeback", "Chargeback"))),
        described("customer", R, "Customer",
                  "Origin: it belongs to the document where it was made.", ORIGIN, target="customer"),
        described("vendor", R, "Vendor",
                  "Origin: it belongs to the document where it was made.", ORIGIN, target="vendor"),
        described("amount", D, "Amount", "In the payment's currency. Origin: money is never changed by the other side.",
                  ORIGIN, scale=2, required=True),
        described("currency", S, "Currency", "ISO 4217. Origin.", ORIGIN, max_length=3),
        described("fee", D, "Fee", "Right: kept by who processes payments.", RIGHT_KEPT, scale=2),
        described("surcharge", D, "Surcharge", "Right: kept by who processes payments.", RIGHT_KEPT, scale=2),
        described("net", D, "Net amount", "Right: kept by who processes payments.", RIGHT_KEPT, scale=2),
        described("paid_on", DATE, "Paid on", "Origin: it belongs to the document where it was made.", ORIGIN),
        described("settled_on", DATE, "Settled on", "Right: kept by who processes payments.", RIGHT_KEPT),
        described("method", S, "Payment method", "By the look-up table `payment_method`: in the books a journal. "
                  "Origin: it belongs to the document where it was made.", ORIGIN, max_length=32),
        described("status", E, "Status", "Left: posted and reconciled in the books; finer words of the right side "
                  "stay as long as they are not behind.", STATUS,
                  choices=(("pending", "Pending"), ("authorized", "Authorised"), ("captured", "Captured"),
                           ("settled", "Settled"), ("declined", "Declined"), ("failed", "Failed"), ("voided", "Voided"),
                           ("refunded", "Refunded"), ("charged_back", "Charged back"), ("unknown", "Unknown"))),
        _rows("applications", "Invoices paid", "Origin: it belongs to the document where it was made.", ORIGIN,
              [_part("invoice", R, "Invoice", target="invoice"), _part("amount", D, "Amount", scale=2)]),
        described("unapplied", D, "Not applied", "Each side works it out.", SHOWN, scale=2),
        described("sales_order", R, "Sales order", "Of a prepayment. Right: kept there.", RIGHT_KEPT,
                  target="sales_order", soft=True),
        described("original", R, "Original payment", "What a refund gives back. Right: kept there.", RIGHT_KEPT,
                  target="payment", soft=True),
        *(described(name, S, label, "Right: kept by who processes payments; never card data.", RIGHT_KEPT,
                    max_length=size)
          for name, label, size in (("gateway", "Gateway", 64), ("transaction", "Gateway transaction", 64),
                                    ("auth_code", "Authorisation code", 32), ("response_code", "Response code", 32),
                                    ("response", "Response", 500), ("batch", "Settlement batch", 64),
                                    ("vault_id", "Vault id", 64), ("token", "Payment token", 64),
                                    ("card_brand", "Card brand", 32), ("last4", "Last four digits", 4))),
        described("reference", S, "Reference",
                  "Origin: it belongs to the document where it was made.", ORIGIN, max_length=64),
        described("memo", T, "Memo", "Right: the books keep a reference only.", RIGHT_KEPT, max_length=2000),
        described("right_id", S, "Id on the right side", "Shown to people on the left. Right only: that side gives it.",
                  RIGHT_ONLY, max_length=64),
    ],
    depends_on=("customer", "vendor", "invoice", "sales_order", "payment"),
    status_field=None,
)  # fmt: skip
"""Money that came in or went out, and the invoices it settles."""

PURCHASE_ORDER = entity_of(
    "purchase_order",
    "Purchase order",
    [
        described("number", S, "Number", "Left: given in the books.", LEFT_KEPT, required=True, max_length=32),
        described("ordered_at", AT, "Ordered at", "Left: it is kept in the books.", LEFT_KEPT),
        described("vendor", R, "Vendor", "Left: it is kept in the books.", LEFT_KEPT, target="vendor", required=True),
        described("vendor_reference", S, "Vendor's reference",
                  "Left: it is kept in the books.", LEFT_KEPT, max_length=64),
        described("status", E, "Status", "Left: approved and cancelled in the books; what the right side has received "
                  "stays.", STATUS,
                  choices=(("draft", "Draft"), ("submitted", "Submitted"), ("approved", "Approved"),
                           ("partial", "Partly received"), ("received", "Received"), ("billed", "Billed"),
                           ("closed", "Closed"), ("cancelled", "Cancelled"))),
        described("approval", E, "Approval", "Left: it is decided in the books.", STATUS,
                  choices=(("pending", "Pending"), ("approved", "Approved"), ("rejected", "Rejected"))),
        described("buyer", R, "Buyer", "Left: it is kept in the books.", LEFT_KEPT, target="employee"),
        described("expected_on", DATE, "Expected on", "Left: it is kept in the books.", LEFT_KEPT),
        described("ship_to", A, "Ship-to address", "Left: it is kept in the books.", LEFT_KEPT),
        described("warehouse", S, "Warehouse", "By the look-up table `warehouse`. Left.", LEFT_KEPT, max_length=32),
        *_terms(LEFT_KEPT),
        *_totals(LEFT_KEPT),
        described("shipping", D, "Shipping charge", "A line of its own where the system knows no other. Left.",
                  LEFT_KEPT, scale=2),
        described("notes", T, "Notes", "Left: it is kept in the books.", LEFT_KEPT, max_length=2000),
        _rows("lines", "Lines", "Left: what is ordered is decided in the books.", LEFT_KEPT,
              [*_line("Ordered"), _part("expected_on", DATE, "Expected on"),
               _part("account", S, "Account", "Right: only the right side keeps it.", max_length=32)],
              required=True),
        _rows("progress", "Progress of the lines", "What was received and billed; each side works its own out.", SHOWN,
              [_part("number", N, "Line"), _part("received", D, "Received", scale=4),
               _part("billed", D, "Billed", scale=4)]),
        _rows("receipts", "Receipts", "Right: goods arrive there; booked on the left by its own methods.", SHOWN,
              [_part("receipt", S, "Receipt"), _part("received_at", AT, "Received at"),
               _part("warehouse", S, "Warehouse"), _part("lines", L, "Lines")]),
        described("right_id", S, "Id on the right side", "Shown to people on the left. Right only: that side gives it.",
                  RIGHT_ONLY, max_length=64),
    ],
    match=(MatchKey(field="number", strong=False),),
    depends_on=("vendor", "product"),
    status_field=None,
    totals=Totals(compared=("subtotal", "tax_total", "total"), lines="lines"),
)  # fmt: skip
"""What is ordered from a vendor, with its lines and what of them arrived."""

DOCUMENTS = (SALES_ORDER, PURCHASE_ORDER, INVOICE, PAYMENT)
"""The documents, each after those it refers to."""
