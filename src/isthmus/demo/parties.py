"""Made-up customers and vendors: mostly the same on both sides, some different, some that nobody can match."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from isthmus.demo.seed import Seed, Story, Values
from isthmus.demo.taxids import tax_id
from isthmus.demo.words import FIRST, LAST, PLACES, STREETS, TOWNS, TRADES, Town

CUSTOMERS = (
    Story("the same on both sides", 470),
    Story("different on both sides", 150),
    Story("only in Odoo", 150),
    Story("only in BNG", 140),
    Story("a bad e-mail, only in Odoo", 12, "held", "InvalidRecord"),
    Story("no e-mail, only in Odoo", 8, "held", "InvalidRecord"),
    Story("a bad e-mail in Odoo, a good one in BNG", 5, "held", "InvalidRecord"),
    Story("an address without a country, only in Odoo", 12, "held", "InvalidRecord"),
    Story("twice in Odoo, once in BNG", 8, "held", "Ambiguous"),
    Story("once in Odoo, twice in BNG", 5, "held", "Ambiguous"),
    Story("the same e-mail, no tax id", 12, "held", "Ambiguous"),
    Story("the same name, no tax id", 8, "held", "Ambiguous"),
    Story("archived, only in Odoo", 10, "left out"),
    Story("inactive, only in BNG", 10, "left out"),
)
VENDORS = (
    Story("the same on both sides", 50),
    Story("different on both sides", 18),
    Story("only in Odoo", 12),
    Story("only in BNG", 10),
    Story("a bad e-mail, only in Odoo", 2, "held", "InvalidRecord"),
    Story("an address without a country, only in Odoo", 2, "held", "InvalidRecord"),
    Story("twice in Odoo, once in BNG", 3, "held", "Ambiguous"),
    Story("archived, only in Odoo", 3, "left out"),
)
TERMS = (("Immediate Payment", "Due on Receipt"), ("15 Days", "Net 15"), ("30 Days", "Net 30"), ("45 Days", "Net 45"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A customer or vendor as a person would describe it."""

    entity: str
    name: str
    first: str = ""
    last: str = ""
    email: str
    phone: str
    town: Town
    street: str
    tax_id: str
    number: int
    terms: int = 0
    credit: int = 0
    dock: str = ""
    active: bool = True
    on_hold: bool = False

    @property
    def is_company(self) -> bool:
        """A company has no first name."""
        return not self.first


def customers(chance: random.Random) -> list[Seed]:
    """1,000 customers."""
    return list(_told("customer", "C", CUSTOMERS, chance, _names(chance, PLACES, TRADES)))


def vendors(chance: random.Random) -> list[Seed]:
    """100 vendors; their names are none of the customers'."""
    return list(_told("vendor", "V", VENDORS, chance, _names(chance, TRADES, PLACES, joined=" & ")))


def _names(chance: random.Random, one: Sequence[str], two: Sequence[str], joined: str = " ") -> Iterator[str]:
    pairs = [f"{a}{joined}{b}" for a in one for b in two]
    chance.shuffle(pairs)
    yield from pairs


def _told(
    entity: str, letter: str, stories: Sequence[Story], chance: random.Random, firms: Iterator[str]
) -> Iterator[Seed]:
    people = [(a, b) for a in FIRST for b in LAST]
    chance.shuffle(people)
    order = [story for story in stories for _ in range(story.count)]
    chance.shuffle(order)
    for number, story in enumerate(order, 1):
        needs_person = story.name == "the same e-mail, no tax id"
        person = needs_person or (entity == "customer" and story.name not in _FIRMS_ONLY and number % 4 == 0)
        party = _party(entity, number, chance, firms, people.pop() if person else None)
        yield _TELLERS.get(story.name, _same)(Seed(tag=f"{letter}{number:04}", entity=entity, story=story.name,
                                                   end=story.end, kind=story.kind), party, chance)  # fmt: skip


_FIRMS_ONLY = {"the same name, no tax id"}


def _party(
    entity: str, number: int, chance: random.Random, firms: Iterator[str], person: tuple[str, str] | None
) -> Party:
    town = TOWNS[number // 3 % len(TOWNS)] if number % 3 == 0 else TOWNS[number % 8]
    first, last = person or ("", "")
    name = f"{first} {last}" if person else f"{next(firms)} {town.legal_form}"
    host = "".join(ch for ch in name.split(" & ")[0].lower() if ch.isalnum())
    return Party(
        entity=entity,
        name=name,
        first=first,
        last=last,
        email=f"{'me' if person else 'office'}@{host}{number}.example",
        phone=f"{town.dial}{number * 7 % 10**town.spare:0{town.spare}}",
        town=town,
        street=f"{1 + number * 13 % 290} {STREETS[number % len(STREETS)]}",
        tax_id=tax_id(town.country, number + (500_000 if entity == "vendor" else 0)),
        number=number,
        terms=number % len(TERMS),
        credit=500 * (number % 9),
        dock=f"{1 + number % 40} Dock Road" if number % 16 == 1 and not person else "",
        active=number % 31 != 0,
        on_hold=number % 47 == 1,
    )


def in_odoo(party: Party) -> Values:
    """The party as people keep it in Odoo: phone and tax id as they type them."""
    town = party.town
    out: Values = {
        "name": party.name,
        "is_company": party.is_company,
        "email": party.email,
        "phone": _typed_phone(party.phone),
        "street": party.street,
        "city": town.city,
        "zip": town.postal_code,
        "country_id": town.country,
        "vat": _typed_tax_id(party.tax_id),
        "active": party.active,
        "website": f"https://{party.email.partition('@')[2]}",
    }
    if town.state:
        out["state_id"] = town.state
    terms = TERMS[party.terms][0]
    if party.entity == "vendor":
        return {**out, "supplier_rank": 1, "property_supplier_payment_term_id": terms}
    out |= {"customer_rank": 1, "property_payment_term_id": terms, "credit_limit": float(party.credit)}
    if party.dock:
        out["delivery"] = {"name": "Warehouse", "street": party.dock, "city": town.city, "zip": town.postal_code,
                           "country_id": town.country, **({"state_id": town.state} if town.state else {})}  # fmt: skip
    return out


def in_bng(party: Party) -> Values:
    """The party as BNG keeps it: E.164, a tax id without separators, addresses as objects."""
    town = party.town
    address = {"Line1": party.street, "City": town.city, "PostalCode": town.postal_code, "CountryCode": town.country}
    if town.state:
        address["State"] = town.state
    out: Values = {
        "ExternalID": f"bng-{party.entity}-{party.number}",
        "Email": party.email,
        "Phone": party.phone,
        "TaxID": party.tax_id,
        "BillingAddress": address,
        "PaymentTerms": TERMS[party.terms][1],
        "Website": f"https://{party.email.partition('@')[2]}",
        "Status": "Inactive" if not party.active else "OnHold" if party.on_hold else "Active",
    }
    out |= {"CompanyName": party.name} if party.is_company else {"FirstName": party.first, "LastName": party.last}
    if party.entity == "customer":
        out |= {"CreditLimit": f"{party.credit}.00", "CurrencyCode": "USD", "TaxExemptStatus": "Taxable"}
        if party.dock:
            out["ShippingAddress"] = {**address, "Line1": party.dock, "Name": "Warehouse"}
    return out


def _typed_phone(phone: str) -> str:
    """As people write it: US numbers with dashes, others with a space behind the country code."""
    if phone.startswith("+1"):
        return f"+1 {phone[2:5]}-{phone[5:8]}-{phone[8:]}"
    return f"{phone[:3]} {phone[3:]}"


def _typed_tax_id(text: str) -> str:
    return f"{text[:2]}-{text[2:]}" if text.isdigit() else text


def _same(seed: Seed, party: Party, chance: random.Random) -> Seed:
    return replace(seed, odoo=[in_odoo(party)], bng=[in_bng(party)])


def _different(seed: Seed, party: Party, chance: random.Random) -> Seed:
    """Odoo's value stands where both differ; an empty field takes what the other side has."""
    party = replace(party, on_hold=False)
    odoo, bng, town = in_odoo(party), in_bng(party), party.town
    match party.number % 7:
        case 0:
            bng["Phone"] = f"{town.dial}{'9' * town.spare}"
            return replace(seed, odoo=[odoo], bng=[bng], settled={"phone": party.phone})
        case 1:
            bng["BillingAddress"] = {**bng["BillingAddress"], "Line1": f"Old {party.street}"}
            return replace(seed, odoo=[odoo], bng=[bng], settled={"street": party.street})
        case 2:
            bng["Email"] = f"old.{party.email}"
            return replace(seed, odoo=[odoo], bng=[bng], settled={"email": party.email})
        case 3:
            del odoo["phone"]
            return replace(seed, odoo=[odoo], bng=[bng], settled={"phone": party.phone})
        case 4:
            bng["Website"] = f"https://old.{party.email.partition('@')[2]}"
            return replace(seed, odoo=[odoo], bng=[bng], settled={"website": odoo["website"]})
        case 5:
            # Both still hold the customer; only Odoo has archived it.
            odoo["active"], bng["Status"] = False, "Active"
            return replace(seed, odoo=[odoo], bng=[bng], settled={"active": False})
        case _:
            del bng["Website"]
            return replace(seed, odoo=[odoo], bng=[bng], settled={"website": odoo["website"]})


def _only_odoo(seed: Seed, party: Party, chance: random.Random) -> Seed:
    return replace(seed, odoo=[in_odoo(replace(party, active=True))])


def _only_bng(seed: Seed, party: Party, chance: random.Random) -> Seed:
    """Every seventh one names no country; the pair's settings say which one is meant then."""
    bng = in_bng(replace(party, active=True))
    if party.town.country == "US" and party.number % 7 == 0:
        del bng["BillingAddress"]["CountryCode"]
    return replace(seed, bng=[bng])


def _archived_odoo(seed: Seed, party: Party, chance: random.Random) -> Seed:
    return replace(seed, odoo=[in_odoo(replace(party, active=False))])


def _inactive_bng(seed: Seed, party: Party, chance: random.Random) -> Seed:
    return replace(seed, bng=[in_bng(replace(party, active=False))])


def _bad_email(seed: Seed, party: Party, chance: random.Random) -> Seed:
    odoo = {**in_odoo(replace(party, active=True)), "email": f"office at {party.number}"}
    return replace(seed, odoo=[odoo])


def _no_email(seed: Seed, party: Party, chance: random.Random) -> Seed:
    odoo = in_odoo(replace(party, active=True))
    del odoo["email"]
    return replace(seed, odoo=[odoo])


def _bad_email_both(seed: Seed, party: Party, chance: random.Random) -> Seed:
    party = replace(party, active=True)
    return replace(seed, odoo=[{**in_odoo(party), "email": f"office at {party.number}"}], bng=[in_bng(party)])


def _no_country(seed: Seed, party: Party, chance: random.Random) -> Seed:
    odoo = in_odoo(replace(party, active=True, dock=""))
    odoo.pop("state_id", None)
    del odoo["country_id"]
    return replace(seed, odoo=[odoo])


def _twice_odoo(seed: Seed, party: Party, chance: random.Random) -> Seed:
    party = replace(party, active=True, dock="")
    again = {**in_odoo(party), "name": f"{party.name} (old)", "email": f"old.{party.email}"}
    return replace(seed, odoo=[in_odoo(party), again], bng=[in_bng(party)])


def _twice_bng(seed: Seed, party: Party, chance: random.Random) -> Seed:
    party = replace(party, active=True, dock="")
    again = {**in_bng(party), "ExternalID": f"bng-{party.entity}-{party.number}-old", "Email": f"old.{party.email}"}
    return replace(seed, odoo=[in_odoo(party)], bng=[in_bng(party), again])


def _same_email(seed: Seed, party: Party, chance: random.Random) -> Seed:
    party = replace(party, active=True, dock="", tax_id="")
    return replace(seed, odoo=[_without_tax_id(in_odoo(party))], bng=[_without_tax_id(in_bng(party))])


def _same_name(seed: Seed, party: Party, chance: random.Random) -> Seed:
    party = replace(party, active=True, dock="", tax_id="")
    bng = {**in_bng(party), "Email": f"accounts@{party.email.partition('@')[2]}"}
    return replace(seed, odoo=[_without_tax_id(in_odoo(party))], bng=[_without_tax_id(bng)])


def _without_tax_id(values: Values) -> Values:
    return {name: value for name, value in values.items() if name not in ("vat", "TaxID")}


_TELLERS = {
    "different on both sides": _different,
    "only in Odoo": _only_odoo,
    "only in BNG": _only_bng,
    "a bad e-mail, only in Odoo": _bad_email,
    "no e-mail, only in Odoo": _no_email,
    "a bad e-mail in Odoo, a good one in BNG": _bad_email_both,
    "an address without a country, only in Odoo": _no_country,
    "twice in Odoo, once in BNG": _twice_odoo,
    "once in Odoo, twice in BNG": _twice_bng,
    "the same e-mail, no tax id": _same_email,
    "the same name, no tax id": _same_name,
    "archived, only in Odoo": _archived_odoo,
    "inactive, only in BNG": _inactive_bng,
}
