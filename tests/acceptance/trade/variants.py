"""The kinds of sales orders of a campaign: how each goes, and its expected end."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from tests.acceptance.trade.market import CUSTOMERS, GOODS
from tests.acceptance.trade.orders import (
    Act,
    End,
    Line,
    Order,
    capture,
    confirmed,
    delivered,
    edit,
    pay,
    place,
    ship,
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

    def do(market, order):  # type: ignore[no-untyped-def]
        capture(market, order)
        ship()(market, order)
        edit(PaymentStatus="Paid")(market, order)

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


VARIANTS: dict[str, Variant] = {
    "confirmed only": confirmed_only,
    "on hold": on_hold,
    "released from hold": released,
    "in parts": in_parts,
    "captured": captured,
    "taken already": taken,
    "at once": at_once,
    "on account": on_account,
    "paid by several": paid_by_several,
    "cancelled": cancelled,
    "foreign currency": in_euro,
    "priced": priced,
}


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
