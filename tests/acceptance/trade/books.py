"""What stands in Odoo, at BNG and at the gateway, read directly, and whether it is what it should be.

Nothing here comes from the product: Odoo by JSON-2, BNG by its public API, the gateway by its own books.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.acceptance.trade.gateway import taken
from tests.acceptance.trade.market import GOODS, IN_STOCK, RARE, Market, money
from tests.acceptance.trade.orders import End, Order

Rows = list[dict[str, Any]]
NOTHING = Decimal("0.00")


def amounts(*given: Decimal | float | str) -> Decimal:
    """A sum in cents."""
    return sum((money(g) for g in given), NOTHING)


@dataclass
class Books:
    """One reading of all three systems."""

    orders: dict[str, Rows]
    purchases: dict[int, dict[str, Any]]
    transfers: dict[int, dict[str, Any]]
    moves: dict[int, dict[str, Any]]
    entries: Rows
    payments: Rows
    stock: dict[str, Decimal]
    at_bng: dict[str, dict[str, dict[str, Any]]]
    charges: dict[str, Rows]
    currencies: dict[str, str] = field(default_factory=dict)


def read(market: Market) -> Books:
    """Everything of trade."""
    odoo, bng = market.odoo, market.bng
    orders: dict[str, Rows] = defaultdict(list)
    for row in odoo.everything(
        "sale.order", [], ["origin", "state", "amount_total", "currency_id", "picking_ids", "invoice_ids", "name"]
    ):
        orders[row["origin"] or ""].append(row)
    buying = odoo.everything("purchase.order", [], ["name", "state", "picking_ids", "invoice_ids"])
    transfers: dict[int, dict[str, Any]] = {}
    quantities: Counter[int] = Counter()
    for move in odoo.everything("stock.move", [], ["picking_id", "quantity", "product_uom_qty", "state"]):
        if move["picking_id"]:
            done = move["state"] in ("done", "assigned", "partially_available")
            quantities[move["picking_id"][0]] += move["quantity"] if done else move["product_uom_qty"]
    for row in odoo.everything("stock.picking", [], ["state", "origin", "sale_id", "picking_type_code"]):
        transfers[row["id"]] = {**row, "quantity": quantities[row["id"]]}
    fields = ["move_type", "state", "amount_total", "amount_residual", "payment_state", "currency_id", "partner_id",
              "ref"]  # fmt: skip
    moves = {row["id"]: row for row in odoo.everything("account.move", [["move_type", "!=", "entry"]], fields)}
    entries = odoo.everything(
        "account.move.line",
        [["parent_state", "=", "posted"], ["account_type", "in", ["asset_receivable", "liability_payable"]]],
        ["account_type", "balance", "amount_currency", "amount_residual", "amount_residual_currency", "currency_id",
         "partner_id"],
    )  # fmt: skip
    payments = odoo.everything(
        "account.payment", [], ["state", "memo", "amount", "currency_id", "payment_type", "partner_type"]
    )
    stock: dict[str, Decimal] = defaultdict(Decimal)
    by_id = {key: sku for sku, key in market.variants.items()}
    for quant in odoo.everything("stock.quant", [["location_id.usage", "=", "internal"]], ["product_id", "quantity"]):
        stock[by_id.get(quant["product_id"][0], "")] += Decimal(str(quant["quantity"]))
    ids = {"sales_orders": "SalesOrderID", "invoices": "InvoiceID", "payments": "PaymentID",
           "purchase_orders": "PurchaseOrderID"}  # fmt: skip
    at_bng = {plural: {row[key]: row for row in bng.everything(plural)} for plural, key in ids.items()}
    purchases = {row["id"]: row for row in buying}
    return Books(orders, purchases, transfers, moves, entries, payments, stock, at_bng, market.gateway.transactions())


@dataclass
class Verdict:
    """What is wrong, in sentences; `figures` are the sums that were compared."""

    wrong: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    compared: int = 0

    @property
    def good(self) -> bool:
        """Whether everything is as it should be."""
        return not self.wrong

    def equal(self, what: str, *values: Any) -> None:
        """All of them have to be the same."""
        self.compared += 1
        if any(value != values[0] for value in values):
            self.wrong.append(f"{what}: " + " | ".join(str(value) for value in values))

    def tie(self, what: str, **sides: Decimal) -> None:
        """Money or goods of several books, whose differences have to be 0."""
        self.equal(what + " " + "/".join(sides), *sides.values())
        self.figures[what] = str(next(iter(sides.values())))


def came_to(order: Order, books: Books, held: Mapping[str, Sequence[tuple[str, str]]]) -> End:
    """The end that an order came to, as `End` says it."""
    there = books.at_bng["sales_orders"][order.key]
    found = books.orders.get(order.key, [])
    if len(found) > 1:
        return End(_three(there), f"{len(found)} orders")
    transfers = [books.transfers[key] for row in found for key in row["picking_ids"]]
    invoices = [books.moves[key] for row in found for key in row["invoice_ids"]]
    return End(
        _three(there),
        found[0]["state"] if found else "",
        tuple(sorted((row["state"], int(row["quantity"])) for row in transfers)),
        tuple(
            sorted(
                (row["move_type"], row["state"], f"{row['amount_total']:.2f}", f"{row['amount_residual']:.2f}")
                for row in invoices
            )
        ),
        tuple(sorted((doc["condition"], f"{taken(doc):.2f}") for doc in charges_of(order, books))),
        tuple(sorted(held.get(order.key, ()))),
    )


def charges_of(order: Order, books: Books) -> Rows:
    """What the gateway has of an order and of payments of it that BNG started."""
    return [doc for name in (order.number, *order.started) for doc in books.charges.get(name, [])]


def sorted_end(end: End) -> End:
    """The expected end in the order in which `came_to` tells it."""
    return End(end.at_bng, end.in_odoo, tuple(sorted(end.transfers)), tuple(sorted(end.invoices)),
               tuple(sorted(end.charges)), tuple(sorted(end.held)))  # fmt: skip


def _three(there: Mapping[str, Any]) -> tuple[str, str, str]:
    return there["Status"], there["FulfillmentStatus"], there["PaymentStatus"]


def judge(
    orders: Iterable[Order], books: Books, held: Mapping[str, Sequence[tuple[str, str]]], bought: Mapping[str, int]
) -> Verdict:
    """Each order by its expected end, then both sides' books against each other and against the gateway.

    `bought` is what the warehouse was to take in of purchases.
    """
    verdict = Verdict()
    placed = [order for order in orders if order.key]
    for order in placed:
        assert order.end is not None
        verdict.equal(f"{order.number} {order.variant}", sorted_end(order.end), came_to(order, books, held))
        _documents(order, books, verdict)
    verdict.equal("orders in Odoo that nobody placed", set(books.orders) - {order.key for order in placed}, set())
    _totals(placed, books, verdict, bought)
    return verdict


def _documents(order: Order, books: Books, verdict: Verdict) -> None:
    """One payment in Odoo for each taking of the gateway, and one at BNG; BNG's invoices are Odoo's."""
    charges = [doc for doc in charges_of(order, books) if taken(doc)]
    at_gateway = sorted((doc["transaction_id"], money(taken(doc)), doc["currency"]) for doc in charges)
    references = {doc["transaction_id"] for doc in charges_of(order, books)}
    in_odoo = sorted(
        (row["memo"], _signed(row), row["currency_id"][1])
        for row in books.payments
        if row["memo"] in references and row["state"] in ("in_process", "paid")
    )
    verdict.equal(f"{order.number} payments in Odoo", at_gateway, in_odoo)
    at_bng = sorted(
        (row["Reference"] or row["GatewayTransactionID"], _signed_at_bng(row), row["CurrencyCode"])
        for row in books.at_bng["payments"].values()
        if (row["Reference"] or row["GatewayTransactionID"]) in references
    )
    verdict.equal(f"{order.number} payments at BNG", at_gateway, at_bng)
    bills = sorted(
        (row["InvoiceType"], money(row["TotalAmount"]), money(row["BalanceDue"]))
        for row in books.at_bng["invoices"].values()
        if row["SalesOrderID"] == order.key
    )
    assert order.end is not None
    kinds = {"out_invoice": "Invoice", "out_refund": "CreditMemo"}
    expected = sorted((kinds[kind], money(total), money(left)) for kind, _, total, left in order.end.invoices)
    verdict.equal(f"{order.number} invoices at BNG", expected, bills)


def _signed(row: Mapping[str, Any]) -> Decimal:
    return money(row["amount"]) * (1 if row["payment_type"] == "inbound" else -1)


def _signed_at_bng(row: Mapping[str, Any]) -> Decimal:
    return money(row["Amount"]) * (1 if row["Direction"] == "Inbound" else -1)


def _by_currency(rows: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    out: dict[str, Decimal] = defaultdict(lambda: NOTHING)
    for currency, amount in rows:
        out[currency] += amount
    return out


def _totals(orders: Sequence[Order], books: Books, verdict: Verdict, bought: Mapping[str, int]) -> None:
    taken_in = _by_currency((doc["currency"], money(taken(doc))) for docs in books.charges.values() for doc in docs)
    booked = _by_currency(
        (row["currency_id"][1], _signed(row))
        for row in books.payments
        if row["state"] in ("in_process", "paid") and row["partner_type"] == "customer"
    )
    at_bng = _by_currency(
        (row["CurrencyCode"], _signed_at_bng(row)) for row in books.at_bng["payments"].values() if row["CustomerID"]
    )
    expected = _by_currency(
        (order.currency, money(amount)) for order in orders if order.end for _, amount in order.end.charges
    )
    for currency in sorted({*taken_in, *booked, *at_bng, *expected}):
        verdict.tie(
            f"captured {currency}", expected=expected[currency], gateway=taken_in[currency], odoo=booked[currency],
            bng=at_bng[currency],
        )  # fmt: skip
    owed = _by_currency(
        (order.currency, money(left) * (-1 if kind == "out_refund" else 1))
        for order in orders
        if order.end
        for kind, _, _, left in order.end.invoices
    )
    balances("receivables", "asset_receivable", ("Invoice", "CreditMemo"), owed, books, verdict)
    left: Counter[str] = Counter()
    for order in orders:
        assert order.end is not None
        for line, item in zip(order.lines, books.at_bng["sales_orders"][order.key]["LineItems"], strict=True):
            left[line.sku] += int(Decimal(item["QuantityShipped"]))
        left.subtract(order.came_back)
    for sku in GOODS | RARE:
        there = (IN_STOCK if sku in GOODS else 0) + bought.get(sku, 0)
        verdict.tie(f"stock {sku}", odoo=books.stock[sku], bng=Decimal(there - left[sku]))


def balances(
    what: str, account: str, kinds: tuple[str, str], owed: Mapping[str, Decimal], books: Books, verdict: Verdict
) -> None:
    """What is open on an account in Odoo, by currency, beside the open balances of BNG's documents."""
    sign = 1 if account == "asset_receivable" else -1
    in_odoo = _by_currency(
        (row["currency_id"][1], sign * money(row["amount_residual_currency"]))
        for row in books.entries
        if row["account_type"] == account
    )
    at_bng = _by_currency(
        (row["CurrencyCode"], money(row["BalanceDue"]) * (1 if row["InvoiceType"] == kinds[0] else -1))
        for row in books.at_bng["invoices"].values()
        if row["InvoiceType"] in kinds
    )
    for currency in sorted({*in_odoo, *at_bng, *owed}):
        verdict.tie(f"{what} {currency}", expected=owed.get(currency, NOTHING), odoo=in_odoo[currency],
                    bng=at_bng[currency])  # fmt: skip
