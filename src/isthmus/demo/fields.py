"""What a person would compare on both sides, by hand-written tables: the demo's own judge of agreement."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

ODOO_FIELDS: Mapping[str, tuple[str, ...]] = {
    "customer": ("name", "email", "phone", "vat", "street", "city", "zip", "country_id", "website", "active"),
    "vendor": ("name", "email", "phone", "vat", "street", "city", "zip", "country_id", "website", "active"),
    "product": ("default_code", "name", "list_price", "barcode", "active"),
}
"""What is read of Odoo's records for the comparison."""


def of_odoo(entity: str, row: Mapping[str, Any], countries: Mapping[int, str]) -> dict[str, Any]:
    """A record of Odoo in neutral words."""
    if entity == "product":
        return {
            "sku": _text(row["default_code"]),
            "name": _text(row["name"]),
            "price": _money(row["list_price"]),
            "barcode": _text(row["barcode"]),
            "active": bool(row["active"]),
        }
    return {
        "name": _text(row["name"]),
        "email": _text(row["email"]).lower(),
        "phone": _digits(row["phone"]),
        "tax_id": _plain(row["vat"]),
        "street": _text(row["street"]),
        "city": _text(row["city"]),
        "postal_code": _text(row["zip"]),
        "country": countries.get(row["country_id"] or 0, ""),
        "website": _text(row["website"]),
        "active": bool(row["active"]),
    }


def of_bng(entity: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A record of BNG in the same words."""
    if entity == "product":
        return {
            "sku": _text(row["SKU"]),
            "name": _text(row["Name"]),
            "price": _money(row["ListPrice"]),
            "barcode": _text(row["Barcode"]),
            "active": row["Status"] != "Inactive",
        }
    person = f"{row['FirstName'] or ''} {row['LastName'] or ''}".strip()
    address = row["BillingAddress"] or {}
    return {
        "name": _text(row["CompanyName"]) or person,
        "email": _text(row["Email"]).lower(),
        "phone": _digits(row["Phone"]),
        "tax_id": _plain(row["TaxID"]),
        "street": _text(address.get("Line1")),
        "city": _text(address.get("City")),
        "postal_code": _text(address.get("PostalCode")),
        # The pair's settings say which country is meant where none is named.
        "country": _text(address.get("CountryCode")) or ("US" if address else ""),
        "website": _text(row["Website"]),
        "active": row["Status"] != "Inactive",
    }


def neutral(name: str, value: Any) -> Any:
    """An expected value as the tables above would say it."""
    if name == "phone":
        return _digits(value)
    if name == "tax_id":
        return _plain(value)
    if name == "price":
        return _money(value)
    return value


def _text(value: Any) -> str:
    return str(value).strip() if value else ""


def _digits(value: Any) -> str:
    return "".join(ch for ch in _text(value) if ch.isdigit())


def _plain(value: Any) -> str:
    return "".join(ch for ch in _text(value) if ch.isalnum()).upper()


def _money(value: Any) -> Decimal:
    return Decimal(str(value or 0)).quantize(Decimal("0.01"))
