"""Made-up products: goods, services, dozens; most on both sides, some different, some that nobody can match."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from isthmus.demo.seed import Seed, Story, Values
from isthmus.demo.words import GOODS, LOOKS, SERVICES

PRODUCTS = (
    Story("the same on both sides", 240),
    Story("different on both sides", 70),
    Story("only in Odoo", 80),
    Story("only in BNG", 70),
    Story("one SKU twice in Odoo", 6, "held", "Ambiguous"),
    Story("the same SKU, another barcode", 6, "held", "Ambiguous"),
    Story("a negative price, only in Odoo", 6, "held", "InvalidRecord"),
    Story("no SKU, only in Odoo", 8, "left out"),
    Story("archived, only in Odoo", 8, "left out"),
    Story("inactive, only in BNG", 6, "left out"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ware:
    """A product as a person would describe it; the price is in cents."""

    sku: str
    name: str
    price: int
    barcode: str
    number: int
    service: bool = False
    dozens: bool = False
    active: bool = True


def products(chance: random.Random) -> list[Seed]:
    """500 products."""
    return list(_told(chance))


def _told(chance: random.Random) -> Iterator[Seed]:
    names = [f"{look} {thing}" for look in LOOKS for thing in GOODS]
    chance.shuffle(names)
    order = [story for story in PRODUCTS for _ in range(story.count)]
    chance.shuffle(order)
    for number, story in enumerate(order, 1):
        seed = Seed(tag=f"P{number:04}", entity="product", story=story.name, end=story.end, kind=story.kind)
        yield _TELLERS.get(story.name, _same)(seed, _ware(number, names))


def _ware(number: int, names: list[str]) -> Ware:
    service = number % 12 == 0
    name = f"{SERVICES[number // 12 % len(SERVICES)]} level {number // 12}" if service else names[number % len(names)]
    return Ware(
        sku=f"{'SRV' if service else 'SKU'}-{number:04}",
        name=name if number <= len(names) or service else f"{name} II",
        price=495 + number * 137 % 48_000,
        barcode=_ean13(number) if not service else "",
        number=number,
        service=service,
        dozens=number % 37 == 1 and not service,
        active=number % 29 != 0,
    )


def _ean13(number: int) -> str:
    body = f"20{number:010}"
    weighed = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return f"{body}{-weighed % 10}"


def in_odoo(ware: Ware) -> Values:
    """The product as Odoo keeps it."""
    out: Values = {
        "name": ware.name,
        "default_code": ware.sku,
        "list_price": ware.price / 100,
        "type": "service" if ware.service else "consu",
        "is_storable": not ware.service and ware.number % 2 == 0,
        "uom_id": "Dozens" if ware.dozens else "Units",
        "categ_id": "Services" if ware.service else "Goods",
        "active": ware.active,
        "taxes_id": False,
    }
    if ware.barcode:
        out["barcode"] = ware.barcode
    if ware.number % 3 == 0:
        out["description_sale"] = f"{ware.name}, as in the catalogue."
    return out


def in_bng(ware: Ware) -> Values:
    """The product as BNG keeps it."""
    out: Values = {
        "ExternalID": f"bng-product-{ware.number}",
        "SKU": ware.sku,
        "Name": ware.name,
        "ListPrice": f"{ware.price / 100:.4f}",
        "CurrencyCode": "USD",
        "ProductType": "Service" if ware.service else "Stocked" if ware.number % 2 == 0 else "NonStocked",
        "UnitOfMeasure": "DZ" if ware.dozens else "EA",
        "Category": "Services" if ware.service else "Goods",
        "Status": "Active" if ware.active else "Inactive",
    }
    if ware.barcode:
        out["Barcode"] = ware.barcode
    if ware.number % 3 == 0:
        out["Description"] = f"{ware.name}, as in the catalogue."
    return out


def _same(seed: Seed, ware: Ware) -> Seed:
    return replace(seed, odoo=[in_odoo(ware)], bng=[in_bng(ware)])


def _different(seed: Seed, ware: Ware) -> Seed:
    """Odoo's value stands where both differ; an empty field takes what the other side has."""
    ware = replace(ware, active=True)
    odoo, bng = in_odoo(ware), in_bng(ware)
    match ware.number % 4:
        case 0:
            bng["ListPrice"] = f"{ware.price / 80:.4f}"
            return replace(seed, odoo=[odoo], bng=[bng], settled={"price": f"{ware.price / 100:.2f}"})
        case 1:
            bng["Name"] = f"{ware.name} (BNG)"
            return replace(seed, odoo=[odoo], bng=[bng], settled={"name": ware.name})
        case 2:
            odoo.pop("barcode", None)
            return replace(seed, odoo=[odoo], bng=[bng], settled={"barcode": ware.barcode})
        case _:
            odoo["active"] = False
            return replace(seed, odoo=[odoo], bng=[bng], settled={"active": False})


def _only_odoo(seed: Seed, ware: Ware) -> Seed:
    return replace(seed, odoo=[in_odoo(replace(ware, active=True))])


def _only_bng(seed: Seed, ware: Ware) -> Seed:
    return replace(seed, bng=[in_bng(replace(ware, active=True))])


def _twice(seed: Seed, ware: Ware) -> Seed:
    ware = replace(ware, active=True)
    again = {**in_odoo(replace(ware, barcode="")), "name": f"{ware.name} (copy)"}
    return replace(seed, odoo=[in_odoo(ware), again], bng=[in_bng(ware)])


def _other_barcode(seed: Seed, ware: Ware) -> Seed:
    ware = replace(ware, active=True, barcode=_ean13(ware.number + 100_000))
    other = replace(ware, barcode=_ean13(ware.number + 200_000))
    return replace(seed, odoo=[in_odoo(ware)], bng=[in_bng(other)])


def _negative(seed: Seed, ware: Ware) -> Seed:
    return replace(seed, odoo=[in_odoo(replace(ware, active=True, price=-ware.price))])


def _no_sku(seed: Seed, ware: Ware) -> Seed:
    odoo = in_odoo(replace(ware, active=True, barcode=""))
    del odoo["default_code"]
    return replace(seed, odoo=[odoo])


def _archived_odoo(seed: Seed, ware: Ware) -> Seed:
    return replace(seed, odoo=[in_odoo(replace(ware, active=False))])


def _inactive_bng(seed: Seed, ware: Ware) -> Seed:
    return replace(seed, bng=[in_bng(replace(ware, active=False))])


_TELLERS = {
    "different on both sides": _different,
    "only in Odoo": _only_odoo,
    "only in BNG": _only_bng,
    "one SKU twice in Odoo": _twice,
    "the same SKU, another barcode": _other_barcode,
    "a negative price, only in Odoo": _negative,
    "no SKU, only in Odoo": _no_sku,
    "archived, only in Odoo": _archived_odoo,
    "inactive, only in BNG": _inactive_bng,
}
