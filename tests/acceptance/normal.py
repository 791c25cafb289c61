"""What makes the two systems' values comparable, written by hand from the contracts: one pair of functions per kind."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass
class Places:
    """What ids in Odoo stand for: country and state codes, categories, the delivery address of a contact."""

    countries: dict[int, str] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    deliveries: dict[int, Mapping[str, Any]] = field(default_factory=dict)


def _text(value: Any) -> str:
    return "" if value in (None, False) else " ".join(str(value).split())


def _email(value: Any) -> str:
    return _text(value).lower()


def _phone(value: Any) -> str:
    text = _text(value)
    digits = re.sub(r"\D", "", text)
    if not digits:
        return text
    if text.startswith("+"):
        return "+" + digits
    return "+1" + digits if len(digits) == 10 else text


def _website(value: Any) -> str:
    text = _text(value)
    return text if not text or "://" in text else "http://" + text


def _tax_id(value: Any) -> str:
    return re.sub(r"[^0-9A-Z]", "", _text(value).upper())


def _notes(value: Any) -> str:
    if value in (None, False):
        return ""
    text = re.sub(r"<(br|/p|/div|/li)[^>]*>", "\n", str(value))
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


def _amount(value: Any) -> str:
    number = Decimal(str(value)) if value not in (None, False, "") else Decimal(0)
    return str(number.quantize(Decimal("0.0001")).normalize() + 0)


def _party_odoo(is_company: Any, name: Any) -> str:
    return f"{'company' if is_company else 'person'} {_text(name)}"


def _party_bng(company: Any, first: Any, last: Any) -> str:
    return f"company {_text(company)}" if _text(company) else f"person {_text(_text(first) + ' ' + _text(last))}"


def address(*parts: Any) -> str:
    """Line 1, line 2, city, state, postal code, country; nothing where all are empty."""
    told = [_text(part) for part in parts]
    return "|".join(told) if any(told) else ""


def _address_bng(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _text(value)
    return address(*(value.get(k) for k in ("Line1", "Line2", "City", "State", "PostalCode", "CountryCode")))


_UNITS = {
    "Units": "EA",
    "Unit": "EA",
    "Dozens": "DZ",
    "Dozen": "DZ",
    "kg": "KG",
    "g": "G",
    "Hours": "HR",
    "Days": "DAY",
}
_TYPES = {("consu", True): "Stocked", ("consu", False): "NonStocked", ("service", False): "Service"}


def _product_status(active: Any, sale_ok: Any) -> str:
    return "Inactive" if not active else "Active" if sale_ok else "Discontinued"


def _name_of(value: Any) -> str:
    return str(value[1]) if isinstance(value, list | tuple) else ""


PLAIN: dict[str, tuple[Callable[..., str], Callable[..., str]]] = {
    "text": (_text, _text),
    "email": (_email, _email),
    "phone": (_phone, _phone),
    "website": (_website, _website),
    "tax_id": (_tax_id, _tax_id),
    "notes": (_notes, _notes),
    "amount": (_amount, _amount),
    "price": (_amount, _amount),
    "party": (_party_odoo, _party_bng),
    "status": (lambda v: "active" if v else "inactive", lambda v: "inactive" if v == "Inactive" else "active"),
    "product_status": (_product_status, _text),
    "product_type": (lambda kind, stock: _TYPES.get((kind, bool(stock)), "?"), _text),
    "category": (_name_of, _text),
    "unit": (lambda v: _UNITS.get(_name_of(v), _name_of(v)), _text),
}
"""Kinds whose comparable form needs only the values themselves: Odoo's function, BNG's function."""


def from_odoo(kind: str, paths: Sequence[str], row: Mapping[str, Any], places: Places, marks: Mapping[Any, str]) -> str:
    """The comparable form of one field of an Odoo record."""
    if kind == "reference":
        value = row[paths[0]]
        return marks.get(value[0], "?") if value else ""
    if kind == "address":
        if paths[0] == "@delivery":
            found = places.deliveries.get(row["id"])
            if found is None:
                return ""
            row, paths = found, ("street", "street2", "city", "state_id", "zip", "country_id")
        street, street2, city, state, zip_code, country = (row[p] for p in paths)
        state_code = places.states.get(state[0], "?") if state else ""
        return address(street, street2, city, state_code, zip_code, places.countries.get(country[0]) if country else "")
    return PLAIN[kind][0](*(row.get(p) for p in paths))


def from_bng(kind: str, paths: Sequence[str], row: Mapping[str, Any], marks: Mapping[Any, str]) -> str:
    """The comparable form of one field of a BNG record."""
    if kind == "reference":
        value = row.get(paths[0])
        return marks.get(value, "?") if value else ""
    if kind == "address":
        return _address_bng(row.get(paths[0]))
    return PLAIN[kind][1](*(row.get(p) for p in paths))
