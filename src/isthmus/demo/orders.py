"""Made-up sales orders of BNG and purchase orders of Odoo, and the end that each of them has to come to."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from isthmus.demo.seed import Values

CENT = Decimal("0.01")
SHIPPING, DISCOUNT = "SHIP", "DISC"
"""Internal references of the products that stand for charges of whole orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """How many orders go which way: where they end, and the class of what holds them."""

    name: str
    count: int
    end: str
    kind: str = ""


SALES = (
    Story(name="shipped at once", count=60, end="shipped"),
    Story(name="discounted lines", count=20, end="shipped"),
    Story(name="shipping charged", count=20, end="shipped"),
    Story(name="to another address", count=12, end="shipped"),
    Story(name="in two parcels", count=16, end="shipped"),
    Story(name="from a guest", count=12, end="shipped"),
    Story(name="paid at once", count=8, end="shipped"),
    Story(name="one parcel so far", count=14, end="shipped in part"),
    Story(name="authorised, not shipped yet", count=10, end="reserved"),
    Story(name="more than there is in stock", count=4, end="confirmed"),
    Story(name="on hold", count=6, end="draft"),
    Story(name="cancelled, what was authorised is released", count=6, end="cancelled"),
    Story(name="cancelled before it came", count=4, end="left out"),
    Story(name="a product that Odoo does not have", count=4, end="held", kind="DependencyMissing"),
    Story(name="a currency without a price list", count=4, end="held", kind="InvalidRecord"),
)
PURCHASES = (
    Story(name="ordered", count=12, end="ordered"),
    Story(name="received at once", count=10, end="received"),
    Story(name="received in two parts", count=5, end="received"),
    Story(name="a part received so far", count=7, end="received in part"),
    Story(name="cancelled", count=5, end="cancelled"),
    Story(name="only asked for", count=6, end="left out"),
    Story(name="a product without a SKU", count=5, end="held", kind="DependencyMissing"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ware:
    """A product as both systems know it: its keys there, and its price. `stored`: it is counted in stock."""

    left: int
    right: str
    price: Decimal
    stored: bool


@dataclass(slots=True, kw_only=True)
class Shelf:
    """What orders are made of: linked customers of BNG and vendors of Odoo, and products by what they are good for.

    `plain` are on both sides and in stock; `scarce` are not in stock; `unknown` are BNG's alone; `nameless` Odoo's.
    """

    customers: Sequence[str]
    vendors: Sequence[int]
    plain: Sequence[Ware]
    scarce: Sequence[Ware]
    unknown: Sequence[str]
    nameless: Sequence[int]


@dataclass(slots=True, kw_only=True)
class Order:
    """One order with its expected end; `key` is its own system's. `record` is in that system's words.

    `parcels` are what leaves BNG's warehouse or arrives there: quantities by line, empty for everything that is open.
    """

    tag: str
    story: Story
    record: Values
    parcels: Sequence[Mapping[int, str]] = ()
    charged: str = ""
    key: str = ""
    guest: Values = field(default_factory=dict)


def sales(shelf: Shelf, chance: random.Random) -> list[Order]:
    """200 sales orders, the same for the same dice."""
    stories = [story for story in SALES for _ in range(story.count)]
    chance.shuffle(stories)
    return [_sale(number, story, shelf, chance) for number, story in enumerate(stories, 1)]


def _sale(number: int, story: Story, shelf: Shelf, chance: random.Random) -> Order:
    several = story.name in ("in two parcels", "one parcel so far")
    wares = chance.sample(list(shelf.plain), chance.randint(2 if several else 1, 4))
    if story.end == "confirmed":
        wares[0] = chance.choice(list(shelf.scarce))
    lines = [_line(n, ware, chance) for n, ware in enumerate(wares, 1)]
    if story.name == "discounted lines":
        lines[0] = _discounted(lines[0], chance.choice((5, 10, 15)))
    record: Values = {
        "OrderNumber": f"S-{number:04}",
        "CustomerID": chance.choice(list(shelf.customers)),
        "OrderDate": f"2026-03-{1 + number % 28:02}T{8 + number % 10:02}:15:00Z",
        "Status": "OnHold" if story.name == "on hold" else "Cancelled" if story.end == "left out" else "Confirmed",
        "CurrencyCode": "EUR" if story.name == "a currency without a price list" else "USD",
        "ExchangeRate": "1",
        "CustomerPONumber": f"PO-{number * 7}",
    }
    if story.name == "to another address":
        street = f"{number} Harbour Street"
        place = {"Line1": street, "City": "Boston", "State": "MA", "PostalCode": "02110", "CountryCode": "US"}
        record["ShippingAddress"] = {"Name": f"Dock {number}", **place}
    if story.end == "held" and story.kind == "DependencyMissing":
        lines[-1]["ProductID"] = chance.choice(list(shelf.unknown))
    order = Order(tag=f"S-{number:04}", story=story, record=record)
    _totals(record, lines, shipping="12.50" if story.name == "shipping charged" else "0.00")
    if story.name in ("authorised, not shipped yet", "cancelled, what was authorised is released", "paid at once"):
        order.charged = "sale" if story.name == "paid at once" else "auth"
        record["PaymentStatus"] = "Paid" if order.charged == "sale" else "Authorized"
    if story.name == "from a guest":
        order.guest = _guest(number, chance)
    if story.end == "shipped":
        order.parcels = [{1: lines[0]["Quantity"]}, {}] if several else [{}]
    elif story.end == "shipped in part":
        order.parcels = [{1: lines[0]["Quantity"]}]
    return order


def _line(number: int, ware: Ware, chance: random.Random) -> Values:
    quantity = chance.randint(1, 6)
    return {
        "LineNumber": number,
        "ProductID": ware.right,
        "Quantity": str(quantity),
        "UnitPrice": f"{ware.price:.4f}",
        "LineTotal": f"{quantity * ware.price:.2f}",
    }


def _discounted(line: Values, percent: int) -> Values:
    total = Decimal(line["Quantity"]) * Decimal(line["UnitPrice"]) * (100 - percent) / 100
    return {
        **line,
        "DiscountPercent": str(percent),
        "LineTotal": f"{total.quantize(CENT, rounding=ROUND_HALF_UP):.2f}",
    }


def _totals(record: Values, lines: list[Values], *, shipping: str) -> None:
    """Put the lines and what they come to into the order."""
    subtotal = sum((Decimal(line["LineTotal"]) for line in lines), Decimal(0))
    total = subtotal + Decimal(shipping)
    record["LineItems"] = lines
    record |= {"Subtotal": f"{subtotal:.2f}", "TaxTotal": "0.00", "DiscountTotal": "0.00"}
    record |= {"ShippingTotal": shipping, "TotalAmount": f"{total:.2f}"}


def _guest(number: int, chance: random.Random) -> Values:
    """Somebody who orders without an account: BNG makes a customer of it. Names are unlike those of anybody else."""
    syllables = (
        "bra",
        "cho",
        "dwi",
        "fle",
        "gru",
        "jho",
        "kly",
        "mvo",
        "pra",
        "qui",
        "sno",
        "thu",
        "vre",
        "wru",
        "zhe",
    )
    return {
        "ExternalID": f"guest-{number}",
        "FirstName": "".join(chance.sample(syllables, 3)).title(),
        "LastName": "".join(chance.sample(syllables, 4)).title(),
        "Email": f"guest{number}@check-out.example",
        "Status": "Active",
        "CurrencyCode": "USD",
        "BillingAddress": {
            "Line1": f"{number} Guest Road", "City": "Denver", "State": "CO", "PostalCode": "80202",
            "CountryCode": "US",
        },
    }  # fmt: skip


def purchases(shelf: Shelf, chance: random.Random) -> list[Order]:
    """50 purchase orders, the same for the same dice; their records are Odoo's."""
    stories = [story for story in PURCHASES for _ in range(story.count)]
    chance.shuffle(stories)
    return [_purchase(number, story, shelf, chance) for number, story in enumerate(stories, 1)]


def _purchase(number: int, story: Story, shelf: Shelf, chance: random.Random) -> Order:
    counted = [ware for ware in shelf.plain if ware.stored]
    wares = [(ware.left, ware.price) for ware in chance.sample(counted, chance.randint(2, 4))]
    if story.end == "held":
        wares[0] = (chance.choice(list(shelf.nameless)), Decimal("4.00"))
    lines: list[Any] = [
        [0, 0, {
            "product_id": product, "product_qty": chance.randint(5, 40), "tax_ids": [[6, 0, []]], "sequence": n,
            "price_unit": float((price * 6 / 10).quantize(CENT)),
        }]
        for n, (product, price) in enumerate(wares, 1)
    ]  # fmt: skip
    record = {"partner_id": chance.choice(list(shelf.vendors)), "partner_ref": f"Q-{number:03}", "order_line": lines}
    order = Order(tag=f"P-{number:03}", story=story, record=record)
    arrives = {n: str(line[2]["product_qty"]) for n, line in enumerate(lines, 1)}
    first = {1: arrives.pop(1)}
    if story.name == "received at once":
        order.parcels = [first | arrives]
    elif story.end.startswith("received"):
        order.parcels = [first, arrives] if story.end == "received" else [first]
    return order
