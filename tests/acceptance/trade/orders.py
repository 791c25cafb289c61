"""Sales orders with the end that each is to come to: what people do with them, step by step, and what then stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.acceptance.trade.market import TAX_INCLUDED_RATE, TAX_RATE, Market, money
from tests.acceptance.trade.subject import Trading

PLACED = "2026-03-02T10:15:00Z"


@dataclass
class Line:
    """One line of an order: `percent` is its discount, `tax` its code, `included` whether the price holds it."""

    sku: str
    quantity: int
    price: str
    percent: str = "0"
    tax: str = ""

    @property
    def gross(self) -> Decimal:
        """Quantity times price, less discount."""
        return money(self.quantity * Decimal(self.price) * (100 - Decimal(self.percent)) / 100)

    @property
    def tax_amount(self) -> Decimal:
        """The tax of the line."""
        if self.tax == "V21":
            return self.gross - money(self.gross / (1 + TAX_INCLUDED_RATE))
        return money(self.gross * TAX_RATE) if self.tax else Decimal("0.00")

    @property
    def total(self) -> Decimal:
        """Without tax."""
        return self.gross - self.tax_amount if self.tax == "V21" else self.gross

    def told(self, number: int, products: Mapping[str, str]) -> dict[str, Any]:
        """The line as BNG keeps it."""
        made: dict[str, Any] = {
            "LineNumber": number, "SKU": self.sku, "Quantity": str(self.quantity), "UnitPrice": self.price,
            "LineTotal": str(self.total),
        }  # fmt: skip
        if self.sku in products:
            made["ProductID"] = products[self.sku]
        if Decimal(self.percent):
            made["DiscountPercent"] = self.percent
        if self.tax:
            made |= {"TaxCode": self.tax, "TaxAmount": str(self.tax_amount), "TaxIncluded": self.tax == "V21"}
        return made


@dataclass(frozen=True)
class End:
    """What an order comes to, amounts as text.

    `at_bng`: Status, FulfillmentStatus, PaymentStatus. `in_odoo`: the order's state, empty when there is none.
    `transfers`: state and quantity of each delivery or return. `invoices`: kind, state, total and what is open of it.
    `charges`: condition and money taken of each transaction. `held`: entity and kind of each dead letter.
    """

    at_bng: tuple[str, str, str]
    in_odoo: str
    transfers: tuple[tuple[str, int], ...] = ()
    invoices: tuple[tuple[str, str, str, str], ...] = ()
    charges: tuple[tuple[str, str], ...] = ()
    held: tuple[tuple[str, str], ...] = ()


Seen = Mapping[str, Any]
"""What is known of an order at a moment: `state` in Odoo, `delivered` (transfers done), `payment` (PaymentStatus at
BNG), `bill` (its invoice at BNG), `asked` (whether a question is open), `held` (whether a dead letter is)."""


@dataclass(frozen=True)
class World:
    """What people have to do with: the systems, and the product."""

    market: Market
    product: Trading


@dataclass
class Act:
    """Something people do with an order, once Odoo has come so far."""

    name: str
    do: Callable[[World, Order], None]
    when: Callable[[Seen], bool] = lambda seen: True


@dataclass
class Order:
    """One order of BNG."""

    number: str
    variant: str
    customer: str
    lines: list[Line]
    currency: str = "USD"
    shipping: Decimal = Decimal("0.00")
    discount: Decimal = Decimal("0.00")
    status: str = "Confirmed"
    payment: str = "Unpaid"
    acts: list[Act] = field(default_factory=list)
    end: End | None = None
    key: str = ""
    transactions: list[str] = field(default_factory=list)
    came_back: dict[str, int] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    """Payments that people at BNG started; the gateway knows each by its key."""

    @property
    def ref(self) -> str:
        """By what it is looked up."""
        return self.key

    @property
    def total(self) -> Decimal:
        """What is to be paid."""
        lines = sum((line.total + line.tax_amount for line in self.lines), Decimal(0))
        return lines + self.shipping - self.discount

    @property
    def quantity(self) -> int:
        """Pieces in all."""
        return sum(line.quantity for line in self.lines)

    def told(self, market: Market) -> dict[str, Any]:
        """The order as it is typed into BNG."""
        lines = self.lines
        return {
            "OrderNumber": self.number, "CustomerID": market.customers[self.customer], "OrderDate": PLACED,
            "Status": self.status, "PaymentStatus": self.payment, "CurrencyCode": self.currency,
            "Subtotal": str(sum(line.total for line in lines)),
            "TaxTotal": str(sum(line.tax_amount for line in lines)), "ShippingTotal": str(self.shipping),
            "DiscountTotal": str(self.discount), "TotalAmount": str(self.total),
            "LineItems": [line.told(n, market.products) for n, line in enumerate(lines, 1)],
        }  # fmt: skip


# -- what people do ----------------------------------------------------------------------------------------------


Do = Callable[[World, Order], None]


def place(world: World, order: Order) -> None:
    """The order is typed into BNG."""
    order.key = world.market.bng.create("sales_order", order.told(world.market))


def pay(kind: str, *shares: str) -> Do:
    """The shopper's card is charged (`sale`) or reserved (`auth`) before the order is placed, in these shares."""

    def do(world: World, order: Order) -> None:
        left = order.total
        for n, share in enumerate(shares or ("1",), 1):
            amount = left if n == len(shares or ("1",)) else money(order.total * Decimal(share))
            left -= amount
            order.transactions.append(world.market.gateway.pay(kind, order.number, amount, order.currency))
        order.payment = "Paid" if kind == "sale" else "Authorized"

    return do


def ship(*lines: tuple[int, int], tracking: str = "") -> Do:
    """A ship notice of BNG's warehouse; without lines everything that is open leaves."""

    def do(world: World, order: Order) -> None:
        notice: dict[str, Any] = {"Carrier": "UPS", "TrackingNumbers": [tracking or f"1Z-{order.number}"]}
        if lines:
            notice["Lines"] = [{"LineNumber": number, "Quantity": str(quantity)} for number, quantity in lines]
        world.market.bng.ship(order.key, notice)

    return do


def edit(**fields: Any) -> Do:
    """People at BNG change the order."""

    def do(world: World, order: Order) -> None:
        world.market.bng.write("sales_order", order.key, fields)

    return do


def capture(world: World, order: Order) -> None:
    """Somebody captures the whole authorisation in the gateway's own terminal."""
    world.market.gateway.send(type="capture", transactionid=order.transactions[0])


def change(world: World, order: Order) -> None:
    """People at BNG change lines, and with them the totals; the lines are those that the order has now."""
    kept = {
        row["LineNumber"]: row["LineItemID"] for row in world.market.bng.read("sales_orders", order.key)["LineItems"]
    }
    told = order.told(world.market)
    for row in told["LineItems"]:
        if row["LineNumber"] in kept:
            row["LineItemID"] = kept[row["LineNumber"]]
    names = ("LineItems", "Subtotal", "TaxTotal", "TotalAmount")
    world.market.bng.write("sales_order", order.key, {name: told[name] for name in names})


def one_more(world: World, order: Order) -> None:
    """One piece more of the first line."""
    order.lines[0].quantity += 1
    change(world, order)


def send_back(line: int, quantity: int) -> Do:
    """Goods come back to the warehouse, and somebody begins a Run with them."""

    def do(world: World, order: Order) -> None:
        lines = [{"line": line, "quantity": str(quantity)}]
        item = {"came_back": {"number": f"RMA-{order.number}", "lines": lines}}
        world.product.command(
            "flow", "run", "order-to-cash", "--key", order.key, "--at", "returned", "--item", json.dumps(item)
        )

    return do


def start_payment(world: World, order: Order) -> None:
    """People at BNG start a payment of the order's invoice with a card that the shopper has just given."""
    [bill] = [row for row in world.market.bng.everything("invoices") if row["SalesOrderID"] == order.key]
    amount = str(order.total)
    told = {
        "Direction": "Inbound", "PaymentType": "Sale", "CustomerID": bill["CustomerID"], "Amount": amount,
        "CurrencyCode": order.currency, "PaymentDate": "2026-03-03T09:00:00Z", "PaymentMethod": "Card",
        "Status": "Pending", "PaymentToken": world.market.gateway.token(),
        "Applications": [{"InvoiceID": bill["InvoiceID"], "AmountApplied": amount}],
    }  # fmt: skip
    order.started.append(world.market.bng.create("payment", told))


def decide(choice: str) -> Do:
    """A person answers the question about the order."""

    def do(world: World, order: Order) -> None:
        world.product.decide(order.key, choice)

    return do


def confirmed(seen: Seen) -> bool:
    """Odoo has confirmed the order."""
    return seen.get("state") == "sale"


def delivered(count: int) -> Callable[[Seen], bool]:
    """So many transfers are done."""
    return lambda seen: seen.get("delivered", 0) >= count


def paid(seen: Seen) -> bool:
    """BNG has heard that the order is paid."""
    return seen.get("payment") == "Paid"


def invoiced(seen: Seen) -> bool:
    """Odoo has invoiced the order."""
    return bool(seen.get("invoices"))


def billed(seen: Seen) -> bool:
    """BNG has the order's invoice."""
    return bool(seen.get("bill"))


def asked(seen: Seen) -> bool:
    """Somebody is asked about the order."""
    return bool(seen.get("asked"))


def held(seen: Seen) -> bool:
    """The order waits for a person."""
    return bool(seen.get("held"))
