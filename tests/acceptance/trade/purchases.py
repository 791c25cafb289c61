"""Purchase orders with the end that each is to come to: placed in Odoo, received and billed at BNG, paid in Odoo."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.acceptance.trade.market import VENDORS, money
from tests.acceptance.trade.orders import Seen, World

PRICES = {"CHAIR": "20.50", "TABLE": "18.45", "LAMP": "7.25"}
PAST, FUTURE = "2026-03-12", "2099-12-31"
"""When bills are due."""


@dataclass(frozen=True)
class End:
    """What a purchase order comes to.

    `at_bng`: its Status. `in_odoo`: its state. `receipts`: state and quantity of each. `bills`: total and what is open
    of each posted bill. `held`: entity and kind of each dead letter.
    """

    at_bng: str
    in_odoo: str
    receipts: tuple[tuple[str, int], ...] = ()
    bills: tuple[tuple[str, str], ...] = ()
    held: tuple[tuple[str, str], ...] = ()


@dataclass
class Act:
    """Something people do with a purchase order, once it has come so far."""

    name: str
    do: Callable[[World, Purchase], None]
    when: Callable[[Seen], bool] = lambda seen: True


@dataclass
class Purchase:
    """One purchase order; `lines` are product and quantity, `took_in` what Odoo's warehouse gets of it."""

    number: str
    variant: str
    vendor: str
    lines: list[tuple[str, int]]
    acts: list[Act] = field(default_factory=list)
    end: End | None = None
    took_in: dict[str, int] = field(default_factory=dict)
    id: int = 0
    name: str = ""
    key: str = ""
    bills: list[str] = field(default_factory=list)

    @property
    def ref(self) -> str:
        """By what it is looked up."""
        return self.name

    @property
    def quantity(self) -> int:
        """Pieces in all."""
        return sum(quantity for _, quantity in self.lines)

    @property
    def total(self) -> Decimal:
        """At the agreed prices."""
        return sum((quantity * Decimal(PRICES[sku]) for sku, quantity in self.lines), Decimal(0))


Do = Callable[[World, Purchase], None]

# -- what people do ----------------------------------------------------------------------------------------------


def place(world: World, order: Purchase) -> None:
    """A buyer makes the order in Odoo and confirms it."""
    market = world.market
    lines = [
        [0, 0, {"product_id": market.variants[sku], "product_qty": quantity, "price_unit": float(PRICES[sku]),
                "tax_ids": [[6, 0, []]]}]
        for sku, quantity in order.lines
    ]  # fmt: skip
    told = {"partner_id": market.partners[order.vendor], "order_line": lines, "partner_ref": order.number}
    [order.id] = market.odoo.create("purchase.order", [told])
    market.odoo.call("purchase.order", "button_confirm", ids=[order.id])
    [row] = market.odoo.read("purchase.order", [order.id], ["name"])
    order.name = row["name"]


def receive(*quantities: int) -> Do:
    """BNG's warehouse takes in goods, by line; all that was ordered when none are named."""

    def do(world: World, order: Purchase) -> None:
        given = quantities or [quantity for _, quantity in order.lines]
        at_bng = world.market.bng.read("purchase_orders", order.key)["LineItems"]
        rows = zip(at_bng, given, strict=True)
        lines = [{"LineNumber": row["LineNumber"], "QuantityReceived": str(q)} for row, q in rows if q]
        world.market.bng.receive(order.key, {"WarehouseCode": "WH", "Lines": lines})

    return do


def claimed(world: World, order: Purchase, quantities: Sequence[int], prices: Mapping[str, str]) -> dict[str, Any]:
    """Lines and totals of a bill for these quantities."""
    rows = []
    at_bng = world.market.bng.read("purchase_orders", order.key)["LineItems"]
    for (sku, _), quantity, line in zip(order.lines, quantities, at_bng, strict=True):
        if quantity:
            price = prices.get(sku, PRICES[sku])
            rows.append(
                {"LineNumber": len(rows) + 1, "ProductID": line["ProductID"], "Quantity": str(quantity),
                 "UnitPrice": price, "LineTotal": str(money(quantity * Decimal(price))),
                 "PurchaseOrderLineItemID": line["LineItemID"]}
            )  # fmt: skip
    total = str(sum(Decimal(row["LineTotal"]) for row in rows))
    return {"Subtotal": total, "TaxTotal": "0.00", "TotalAmount": total, "LineItems": rows}


def bill(*quantities: int, due: str = PAST, prices: Mapping[str, str] | None = None) -> Do:
    """The vendor's bill arrives at BNG; for all that was ordered when no quantities are named."""

    def do(world: World, order: Purchase) -> None:
        number = f"V-{order.number}-{len(order.bills) + 1}"
        given = {
            "InvoiceNumber": number, "ExternalID": f"vendor-{number}", "InvoiceType": "VendorBill",
            "InvoiceDate": "2026-03-02", "DueDate": due, "VendorID": world.market.vendors[order.vendor],
            "Status": "Open", "PurchaseOrderID": order.key, "CurrencyCode": "USD",
            **claimed(world, order, quantities or [quantity for _, quantity in order.lines], prices or {}),
        }  # fmt: skip
        order.bills.append(world.market.bng.create("invoice", given))

    return do


def correct(world: World, order: Purchase) -> None:
    """The vendor corrects the bill: the prices that were agreed."""
    told = claimed(world, order, [quantity for _, quantity in order.lines], {})
    world.market.bng.write("invoice", order.bills[0], told)


def decide(choice: str, *, of_bill: bool = False) -> Do:
    """A person answers the question about the order or its bill."""

    def do(world: World, order: Purchase) -> None:
        world.product.decide(order.bills[0] if of_bill else order.key, choice)

    return do


def cancel_at_bng(world: World, order: Purchase) -> None:
    """People at BNG cancel it."""
    world.market.bng.write("purchase_order", order.key, {"Status": "Cancelled"})


def cancel_in_odoo(world: World, order: Purchase) -> None:
    """The buyer cancels it."""
    world.market.odoo.call("purchase.order", "button_cancel", ids=[order.id])


def at_bng(seen: Seen) -> bool:
    """BNG has the order."""
    return bool(seen.get("key"))


def received(count: int) -> Callable[[Seen], bool]:
    """So many receipts are booked in Odoo."""
    return lambda seen: seen.get("received", 0) >= count


def asked(seen: Seen) -> bool:
    """Somebody is asked about it."""
    return bool(seen.get("asked"))


# -- the variants ------------------------------------------------------------------------------------------------

PLACE = Act("buy", place)


def billed(order: Purchase, *receipts: tuple[str, int], bills: Sequence[tuple[str, str]] = ()) -> End:
    """Received, billed and paid."""
    return End(
        "Billed", "purchase", receipts or (("done", order.quantity),), tuple(bills) or ((f"{order.total:.2f}", "0.00"),)
    )


def plain(order: Purchase, dice: random.Random) -> None:
    """Everything arrives, is billed and paid."""
    order.acts = [PLACE, Act("receive", receive(), at_bng), Act("bill", bill())]
    order.took_in = dict(order.lines)
    order.end = billed(order)


def approved_only(order: Purchase, dice: random.Random) -> None:
    """Placed, nothing has arrived."""
    order.acts = [PLACE]
    order.end = End("Approved", "purchase", (("assigned", order.quantity),))


def in_parts(order: Purchase, dice: random.Random) -> None:
    """One piece of the first line first, the rest later; one bill for each part."""
    rest = [quantity - (n == 0) for n, (_, quantity) in enumerate(order.lines)]
    first = [int(n == 0) for n in range(len(order.lines))]
    order.acts = [PLACE, Act("receive one", receive(*first), at_bng), Act("bill one", bill(*first)),
                  Act("receive the rest", receive(*rest), received(1)), Act("bill the rest", bill(*rest))]  # fmt: skip
    order.took_in = dict(order.lines)
    one = Decimal(PRICES[order.lines[0][0]])
    order.end = billed(
        order, ("done", 1), ("done", order.quantity - 1),
        bills=[(f"{one:.2f}", "0.00"), (f"{order.total - one:.2f}", "0.00")],
    )  # fmt: skip


def not_yet_due(order: Purchase, dice: random.Random) -> None:
    """Billed, and due only later: owed."""
    order.acts = [PLACE, Act("receive", receive(), at_bng), Act("bill", bill(due=FUTURE))]
    order.took_in = dict(order.lines)
    total = f"{order.total:.2f}"
    order.end = billed(order, bills=[(total, total)])


def bill_first(order: Purchase, dice: random.Random) -> None:
    """The bill comes before the goods."""
    order.acts = [PLACE, Act("bill", bill(), at_bng), Act("receive", receive())]
    order.took_in = dict(order.lines)
    order.end = billed(order)


def over_in_tolerance(order: Purchase, dice: random.Random) -> None:
    """A little more arrives than was ordered, and is billed."""
    order.lines = [("CHAIR", 100)]
    order.acts = [PLACE, Act("receive 103", receive(103), at_bng), Act("bill 103", bill(103))]
    order.took_in = {"CHAIR": 103}
    order.end = billed(order, ("done", 103), bills=[(f"{103 * Decimal(PRICES['CHAIR']):.2f}", "0.00")])


def over_accepted(order: Purchase, dice: random.Random) -> None:
    """Far more arrives; somebody takes it."""
    order.lines = [("TABLE", 10)]
    order.acts = [PLACE, Act("receive 12", receive(12), at_bng), Act("accept", decide("accepted"), asked),
                  Act("bill 12", bill(12), received(1))]  # fmt: skip
    order.took_in = {"TABLE": 12}
    order.end = billed(order, ("done", 12), bills=[(f"{12 * Decimal(PRICES['TABLE']):.2f}", "0.00")])


def over_refused(order: Purchase, dice: random.Random) -> None:
    """Far more arrives; somebody sends back what is too much."""
    order.lines = [("LAMP", 10)]
    order.acts = [PLACE, Act("receive 12", receive(12), at_bng), Act("refuse", decide("refused"), asked),
                  Act("bill 10", bill(10), received(1))]  # fmt: skip
    order.took_in = {"LAMP": 10}
    order.end = billed(order, ("done", 10))


def dearer_approved(order: Purchase, dice: random.Random) -> None:
    """The price of the bill differs; somebody approves."""
    order.lines = [("CHAIR", dice.randint(2, 5))]
    order.acts = [PLACE, Act("receive", receive(), at_bng), Act("bill dearer", bill(prices={"CHAIR": "22.00"})),
                  Act("approve", decide("approved", of_bill=True), asked)]  # fmt: skip
    order.took_in = dict(order.lines)
    order.end = billed(order, bills=[(f"{22 * order.quantity:.2f}", "0.00")])


def dearer_corrected(order: Purchase, dice: random.Random) -> None:
    """The price of the bill differs; somebody refuses, the vendor corrects it."""
    order.lines = [("TABLE", dice.randint(2, 5))]
    order.acts = [PLACE, Act("receive", receive(), at_bng), Act("bill dearer", bill(prices={"TABLE": "25.00"})),
                  Act("refuse", decide("refused", of_bill=True), asked), Act("correct", correct)]  # fmt: skip
    order.took_in = dict(order.lines)
    order.end = billed(order)


def cancelled_at_bng(order: Purchase, dice: random.Random) -> None:
    """BNG cancels it before anything arrived."""
    order.acts = [PLACE, Act("cancel at BNG", cancel_at_bng, at_bng)]
    order.end = End("Cancelled", "cancel", (("cancel", order.quantity),))


def cancelled_in_odoo(order: Purchase, dice: random.Random) -> None:
    """The buyer cancels it before anything arrived."""
    order.acts = [PLACE, Act("cancel in Odoo", cancel_in_odoo, at_bng)]
    order.end = End("Cancelled", "cancel", (("cancel", order.quantity),))


VARIANTS: dict[str, Callable[[Purchase, random.Random], None]] = {
    "plain": plain,
    "in parts": in_parts,
    "over accepted": over_accepted,
    "dearer approved": dearer_approved,
    "approved only": approved_only,
    "not yet due": not_yet_due,
    "bill first": bill_first,
    "over in tolerance": over_in_tolerance,
    "over refused": over_refused,
    "dearer corrected": dearer_corrected,
    "cancelled at BNG": cancelled_at_bng,
    "cancelled in Odoo": cancelled_in_odoo,
}


def purchases(count: int, seed: int) -> list[Purchase]:
    """So many purchase orders, every variant as often as another."""
    dice = random.Random(seed + 1)
    names = list(VARIANTS)
    made = []
    for n in range(count):
        variant = names[n % len(names)]
        skus = dice.sample(sorted(PRICES), k=2)
        order = Purchase(
            f"P-{n + 1:03d}",
            variant,
            dice.choice(VENDORS),
            [(skus[0], dice.randint(2, 6)), (skus[1], dice.randint(1, 4))],
        )
        VARIANTS[variant](order, dice)
        made.append(order)
    return made
