"""The kinds of sales orders of a campaign: how each goes, and its expected end."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from tests.acceptance.trade.market import CUSTOMERS, GOODS, RARE, TIGHT, TIGHT_LIMIT
from tests.acceptance.trade.orders import (
    Act,
    End,
    Line,
    Order,
    World,
    asked,
    billed,
    capture,
    confirmed,
    decide,
    delivered,
    edit,
    held,
    invoiced,
    one_more,
    paid,
    pay,
    place,
    send_back,
    ship,
    start_payment,
)

Variant = Callable[[Order, random.Random], None]
PLACE = Act("place", place)
PAID = ("Completed", "Fulfilled", "Paid")


def invoice(order: Order, residual: Decimal | None = None) -> tuple[str, str, str, str]:
    """The one posted invoice of the whole order."""
    return ("out_invoice", "posted", f"{order.total:.2f}", f"{residual if residual is not None else 0:.2f}")


def settled(order: Order, *transfers: tuple[str, int], charges: tuple[str, ...] = ()) -> End:
    """Everything shipped, invoiced and paid by card."""
    took = charges or (f"{order.total:.2f}",)
    return End(
        PAID,
        "sale",
        transfers or (("done", order.quantity),),
        (invoice(order),),
        tuple(("pendingsettlement", amount) for amount in took),
    )


def confirmed_only(order: Order, dice: random.Random) -> None:
    """Confirmed and not yet shipped: goods are set aside."""
    order.acts = [PLACE]
    order.end = End(("Confirmed", "Unfulfilled", "Unpaid"), "sale", (("assigned", order.quantity),))


def on_hold(order: Order, dice: random.Random) -> None:
    """Waits at BNG: a quotation in Odoo."""
    order.status = "OnHold"
    order.acts = [PLACE]
    order.end = End(("OnHold", "Unfulfilled", "Unpaid"), "draft")


def released(order: Order, dice: random.Random) -> None:
    """Is on hold first, then confirmed."""
    order.status = "OnHold"
    order.acts = [PLACE, Act("release", edit(Status="Confirmed"), lambda seen: seen.get("state") == "draft")]
    order.end = End(("Confirmed", "Unfulfilled", "Unpaid"), "sale", (("assigned", order.quantity),))


def in_parts(order: Order, dice: random.Random) -> None:
    """One piece first, with tracking, then the rest; captured when all has left."""
    order.acts = [Act("authorise", pay("auth")), PLACE, Act("ship one", ship((1, 1)), confirmed),
                  Act("ship the rest", ship(tracking=f"1Z-{order.number}-2"), delivered(1))]  # fmt: skip
    order.end = settled(order, ("done", 1), ("done", order.quantity - 1))


def captured(order: Order, dice: random.Random) -> None:
    """Authorised before, captured when it has shipped."""
    order.acts = [Act("authorise", pay("auth")), PLACE, Act("ship", ship())]
    order.end = settled(order)


def taken(order: Order, dice: random.Random) -> None:
    """Paid by a sale before it was placed."""
    order.acts = [Act("sale", pay("sale")), PLACE, Act("ship", ship(), confirmed)]
    order.end = settled(order)


def at_once(order: Order, dice: random.Random) -> None:
    """Captured in the gateway's own terminal, shipped and paid in the same moment."""

    def do(world: World, order: Order) -> None:
        capture(world, order)
        ship()(world, order)
        edit(PaymentStatus="Paid")(world, order)

    order.acts = [Act("authorise", pay("auth")), PLACE, Act("all at once", do)]
    order.end = settled(order)


def on_account(order: Order, dice: random.Random) -> None:
    """Shipped and invoiced, not paid."""
    order.acts = [PLACE, Act("ship", ship())]
    order.end = End(("Completed", "Fulfilled", "Unpaid"), "sale", (("done", order.quantity),),
                    (invoice(order, order.total),))  # fmt: skip


def paid_by_several(order: Order, dice: random.Random) -> None:
    """Two cards pay one order."""
    order.acts = [Act("two sales", pay("sale", "0.4", "0.6")), PLACE, Act("ship", ship(), confirmed)]
    first = (order.total * Decimal("0.4")).quantize(Decimal("0.01"))
    order.end = settled(order, charges=(f"{first:.2f}", f"{order.total - first:.2f}"))


def cancelled(order: Order, dice: random.Random) -> None:
    """Cancelled before anything left: what was authorised is released."""
    order.acts = [Act("authorise", pay("auth")), PLACE, Act("cancel", edit(Status="Cancelled"), confirmed)]
    order.end = End(("Cancelled", "Unfulfilled", "Authorized"), "cancel", (("cancel", order.quantity),), (),
                    (("canceled", "0.00"),))  # fmt: skip


def in_euro(order: Order, dice: random.Random) -> None:
    """In another currency than the company's."""
    order.currency = "EUR"
    captured(order, dice)


def priced(order: Order, dice: random.Random) -> None:
    """Discounts on line and order, shipping, tax on top and tax inside of prices."""
    order.lines = [Line("CHAIR", 2, "40.00", percent="10", tax="7%"), Line("LAMP", dice.randint(1, 4), "60.50",
                   tax="V21"), Line("TABLE", 1, "99.50")]  # fmt: skip
    order.shipping, order.discount = Decimal("9.90"), Decimal("5.00")
    captured(order, dice)


def paid_from_bng(order: Order, dice: random.Random) -> None:
    """On account first; then people at BNG charge a card for its invoice."""
    order.acts = [PLACE, Act("ship", ship()), Act("start a payment", start_payment, billed)]
    order.end = settled(order)


def edited(order: Order, dice: random.Random) -> None:
    """One piece more after it was confirmed, then everything leaves."""
    order.acts = [PLACE, Act("one more", one_more, confirmed), Act("ship", ship())]
    order.lines[0].quantity += 1
    order.end = End(("Completed", "Fulfilled", "Unpaid"), "sale", (("done", order.quantity),),
                    (invoice(order, order.total),))  # fmt: skip
    order.lines[0].quantity -= 1


def cancelled_after_shipping(order: Order, dice: random.Random) -> None:
    """Shipped, paid, then cancelled: goods come back, the invoice is credited, the money is given back."""
    order.acts = [Act("authorise", pay("auth")), PLACE, Act("ship", ship()),
                  Act("cancel", edit(Status="Cancelled"), paid)]  # fmt: skip
    total = f"{order.total:.2f}"
    order.came_back = {line.sku: line.quantity for line in order.lines}
    order.end = End(
        ("Cancelled", "Fulfilled", "Refunded"),
        "cancel",
        (("done", order.quantity), ("done", order.quantity)),
        (invoice(order), ("out_refund", "posted", total, "0.00")),
        (("pendingsettlement", total), ("pendingsettlement", f"-{total}")),
    )


def returned(order: Order, dice: random.Random) -> None:
    """One piece comes back after it was paid: credit note and refund of its price."""
    order.acts = [Act("authorise", pay("auth")), PLACE, Act("ship", ship()), Act("send back", send_back(1, 1), paid)]
    total, back = f"{order.total:.2f}", order.lines[0].price
    order.came_back = {order.lines[0].sku: 1}
    order.end = End(
        PAID,
        "sale",
        (("done", order.quantity), ("done", 1)),
        (invoice(order), ("out_refund", "posted", back, "0.00")),
        (("pendingsettlement", total), ("pendingsettlement", f"-{back}")),
    )


def returned_on_account(order: Order, dice: random.Random) -> None:
    """One piece comes back before it was paid: less is owed."""
    order.acts = [PLACE, Act("ship", ship()), Act("send back", send_back(1, 1), invoiced)]
    back = order.lines[0].price
    order.came_back = {order.lines[0].sku: 1}
    order.end = End(
        ("Completed", "Fulfilled", "Partial"),
        "sale",
        (("done", order.quantity), ("done", 1)),
        (invoice(order, order.total - Decimal(back)), ("out_refund", "posted", back, "0.00")),
    )


def out_of_stock(order: Order, dice: random.Random) -> None:
    """There is nothing in the warehouse: the delivery waits."""
    order.lines = [Line("RARE", dice.randint(1, 3), RARE["RARE"])]
    order.acts = [PLACE]
    order.end = End(("Confirmed", "Unfulfilled", "Unpaid"), "sale", (("confirmed", order.quantity),))


def ghost(world: World, order: Order) -> None:
    """A product that BNG has given up and Odoo has never had, and an order of it."""
    [line] = order.lines
    told = {"SKU": line.sku, "Name": line.sku.title(), "ProductType": "Stocked", "UnitOfMeasure": "EA",
            "ListPrice": line.price, "CurrencyCode": "USD", "Status": "Inactive"}  # fmt: skip
    world.market.products[line.sku] = world.market.bng.create("product", told)
    place(world, order)


def unknown_product(order: Order, dice: random.Random) -> None:
    """A line names a product that Odoo does not have."""
    order.lines = [Line(f"GHOST-{order.number}", dice.randint(1, 3), "15.00")]
    order.acts = [Act("place", ghost)]
    order.end = End(("Confirmed", "Unfulfilled", "Unpaid"), "", held=(("sales_order", "DependencyMissing"),))


def product_revived(order: Order, dice: random.Random) -> None:
    """The same, and BNG takes the product up again: the order passes by itself, its delivery waits for goods."""

    def do(world: World, order: Order) -> None:
        world.market.bng.write("product", world.market.products[order.lines[0].sku], {"Status": "Active"})

    unknown_product(order, dice)
    order.acts.append(Act("revive", do, held))
    order.end = End(("Confirmed", "Unfulfilled", "Unpaid"), "sale", (("confirmed", order.quantity),))


def over_credit(order: Order) -> None:
    """More than its customer may owe, on account."""
    order.customer = TIGHT
    order.lines = [Line("CHAIR", TIGHT_LIMIT // 40 + 1, "40.00")]


def credit_approved(order: Order, dice: random.Random) -> None:
    """Over the credit limit; somebody approves, it is confirmed."""
    over_credit(order)
    order.acts = [PLACE, Act("approve", decide("approved"), asked)]
    order.end = End(("Confirmed", "Unfulfilled", "Unpaid"), "sale", (("assigned", order.quantity),))


def credit_refused(order: Order, dice: random.Random) -> None:
    """Over the credit limit; somebody rejects it, it stays a quotation."""
    over_credit(order)
    order.acts = [PLACE, Act("reject", decide("rejected"), asked)]
    order.end = End(("Confirmed", "Unfulfilled", "Unpaid"), "draft")


VARIANTS: dict[str, Variant] = {
    "in parts": in_parts,
    "captured": captured,
    "at once": at_once,
    "on account": on_account,
    "paid by several": paid_by_several,
    "cancelled": cancelled,
    "priced": priced,
    "foreign currency": in_euro,
    "paid from BNG": paid_from_bng,
    "returned": returned,
    "cancelled after shipping": cancelled_after_shipping,
    "edited": edited,
    "credit approved": credit_approved,
    "product revived": product_revived,
    "out of stock": out_of_stock,
    "unknown product": unknown_product,
    "confirmed only": confirmed_only,
    "on hold": on_hold,
    "released from hold": released,
    "taken already": taken,
    "returned on account": returned_on_account,
    "credit refused": credit_refused,
}
"""A short campaign takes them from the top."""


def orders(count: int, seed: int) -> list[Order]:
    """So many orders, every variant as often as another."""
    dice = random.Random(seed)
    names = list(VARIANTS)
    made = []
    for n in range(count):
        variant = names[n % len(names)]
        skus = dice.sample(sorted(GOODS), k=2)
        lines = [Line(skus[0], dice.randint(2, 4), GOODS[skus[0]]), Line(skus[1], dice.randint(1, 3), GOODS[skus[1]])]
        order = Order(f"S-{n + 1:04d}", variant, dice.choice(CUSTOMERS), lines)
        VARIANTS[variant](order, dice)
        made.append(order)
    dice.shuffle(made)
    return made
