"""What the driver knows of one record, and how it writes each field on each side."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.normal import address

WORDS = tuple(
    [
        "Alder",
        "Birch",
        "Cedar",
        "Dune",
        "Ember",
        "Fjord",
        "Grove",
        "Harbor",
        "Isle",
        "Juniper",
        "Knoll",
        "Larch",
        "Meadow",
        "Nimbus",
        "Orchard",
        "Pine",
    ]
)
CITIES = (("Portland", "OR", "97201"), ("Austin", "TX", "78701"), ("Boston", "MA", "02108"), ("Denver", "CO", "80202"))
EMPTY = ""


@dataclass
class Subject:
    """One record the driver made: where it is, what must stand in it, and what may not be touched any more."""

    entity: str
    mark: str
    company: bool = True
    born: str = "left"
    left: int | None = None
    right: str | None = None
    parent: str = ""
    where: str = "both"
    values: dict[str, str] = field(default_factory=dict)
    sides: dict[str, dict[str, str]] = field(default_factory=dict)
    loose: set[str] = field(default_factory=set)
    frozen: set[str] = field(default_factory=set)
    seen_on_both: bool = False

    @property
    def linked(self) -> bool:
        """Whether both sides were seen to have it, at a moment when nothing was pending."""
        return self.where == "both" and self.seen_on_both

    @property
    def archived(self) -> bool:
        return self.values.get("active") in ("inactive", "Inactive")


@dataclass(frozen=True)
class Written:
    """One value as it is written left and right, and what both must then compare as."""

    left: Mapping[str, Any]
    right: Mapping[str, Any]
    value: str


@dataclass(frozen=True)
class Ids:
    """Ids in Odoo that values need."""

    countries: Mapping[str, int]
    states: Mapping[str, int]
    categories: Mapping[str, int]


Maker = Callable[[Subject, int, random.Random, Ids], Written]


def belgian_vat(n: int) -> str:
    """A well-formed VAT number that no other `n` has."""
    body = 4_000_000 + n
    return f"BE0{body:07d}{97 - (body % 97):02d}"


def _name(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    word = dice.choice(WORDS)
    if s.company:
        name = f"{s.mark} {word} {n}"
        return Written({"name": name}, {"CompanyName": name}, f"company {name}")
    last = f"{word}{n}"
    name = f"{s.mark} {last}"
    return Written({"name": name}, {"FirstName": s.mark, "LastName": last}, f"person {name}")


def _email(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    value = f"{s.mark.lower()}.{n}@example.com"
    return Written({"email": value.title() if dice.random() < 0.3 else value}, {"Email": value}, value)


def _phone(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    if dice.random() < 0.1:
        return Written({"phone": False}, {"Phone": None}, EMPTY)
    digits = f"{2_000_000 + n:07d}"
    value = f"+1650{digits}"
    typed = f"(650) {digits[:3]}-{digits[3:]}"
    return Written({"phone": dice.choice((value, typed))}, {"Phone": dice.choice((value, typed))}, value)


def _website(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    if dice.random() < 0.1:
        return Written({"website": False}, {"Website": None}, EMPTY)
    if dice.random() < 0.3:
        return Written({"website": f"w{n}.example.com"}, {"Website": f"w{n}.example.com"}, f"http://w{n}.example.com")
    value = f"https://w{n}.example.com"
    return Written({"website": value}, {"Website": value}, value)


def _notes(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    if dice.random() < 0.1:
        return Written({"comment": False}, {"Notes": None}, EMPTY)
    return Written(
        {"comment": f"<p>Call {n} &amp; write</p><p>then wait</p>"},
        {"Notes": f"Call {n} & write\nthen wait"},
        f"Call {n} & write then wait",
    )


def _billing(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    left, right, value = place(n, dice, ids)
    return Written(left, {"BillingAddress": right}, value)


def place(n: int, dice: random.Random, ids: Ids) -> tuple[dict[str, Any], dict[str, Any], str]:
    """An address as Odoo's fields, as BNG's object, and as what both compare as."""
    city, state, zip_code = dice.choice(CITIES)
    line1, line2 = f"{n} Token Street", dice.choice(("", f"Floor {n % 40 + 1}"))
    left = {
        "street": line1,
        "street2": line2 or False,
        "city": city,
        "zip": zip_code,
        "state_id": ids.states[f"US-{state}"],
        "country_id": ids.countries["US"],
    }
    right: dict[str, Any] = {
        "Line1": line1,
        "City": city,
        "State": state,
        "PostalCode": zip_code,
        "CountryCode": "US",
    }
    right["Line2"] = line2 or None
    return left, right, address(line1, line2, city, state, zip_code, "US")


def _credit(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    cents = n % 90 + 10
    return Written({"credit_limit": float(f"{n}.{cents}")}, {"CreditLimit": f"{n}.{cents}"}, _plain(f"{n}.{cents}"))


def _tax_id(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    value = belgian_vat(n)
    return Written({"vat": value}, {"TaxID": value}, value)


def _number(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    return Written({"ref": f"V-{n}"}, {"VendorNumber": f"V-{n}"}, f"V-{n}")


def _product_name(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    value = f"{dice.choice(WORDS)} item {n}"
    return Written({"name": value}, {"Name": value}, value)


def _description(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    if dice.random() < 0.1:
        return Written({"description_sale": False}, {"Description": None}, EMPTY)
    value = f"Made of {dice.choice(WORDS)} no. {n}"
    return Written({"description_sale": value}, {"Description": value}, value)


def _price(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    text = f"{n}.{n % 90 + 10}"
    return Written({"list_price": float(text)}, {"ListPrice": text}, _plain(text))


def _cost(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    text = f"{n}.{n % 90 + 10}"
    return Written({"standard_price": float(text)}, {"CostPrice": text}, _plain(text))


def _barcode(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    return Written({"barcode": f"B{n:09d}"}, {"Barcode": f"B{n:09d}"}, f"B{n:09d}")


def _weight(s: Subject, n: int, dice: random.Random, ids: Ids) -> Written:
    text = f"{n % 500 + 1}.{n % 90 + 10}"
    return Written({"weight": float(text)}, {"Weight": text}, _plain(text))


def _plain(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


MAKERS: dict[str, dict[str, Maker]] = {
    "customer": {
        "name": _name, "email": _email, "phone": _phone, "website": _website, "notes": _notes, "billing": _billing,
        "credit_limit": _credit, "tax_id": _tax_id,
    },
    "vendor": {
        "name": _name, "email": _email, "phone": _phone, "website": _website, "notes": _notes, "billing": _billing,
        "number": _number, "tax_id": _tax_id,
    },
    "product": {
        "name": _product_name, "description": _description, "list_price": _price, "cost": _cost, "barcode": _barcode,
        "weight": _weight,
    },
}  # fmt: skip
"""How each field of each entity is edited."""

CHILD_FIELDS = ("name", "email", "phone", "notes")
"""Fields of a contact in a company that Odoo keeps to the contact itself; the others belong to the company."""

ASK = frozenset({("customer", "tax_id"), ("vendor", "tax_id"), ("product", "barcode")})
"""Fields whose conflicts a person decides."""

RIGHT = frozenset({("customer", "website"), ("vendor", "phone")})
"""Fields that the campaign's pair file gives to the right side; every other conflict falls to the left side, because
both edits were made while nobody looked and `newest` cannot tell them apart."""


LEFT_ONLY = frozenset({("product", "list_price"), ("product", "cost")})
"""Fields that the right side only shows: an edit made there alone is put back."""


def model_of(entity: str) -> str:
    """Where Odoo keeps an entity."""
    return "product.product" if entity == "product" else "res.partner"
