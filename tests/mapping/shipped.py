"""What ships, as tests need it: Mappings compiled against the real system's fields, tables, and a pair's settings."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from importlib import resources
from typing import Any

from isthmus.mapping.compiled import CompiledMapping, compile_mapping, load_mapping
from isthmus.mapping.lookups import LookupRow, Lookups, LookupTable
from isthmus.mapping.rates import Rates
from isthmus.model.entities import ENTITIES
from isthmus.model.schema import EntitySchema

TEMPLATES = resources.files("isthmus") / "templates"
EVERYTHING: Mapping[str, Any] = {
    "region": "US",
    "country": "US",
    "address_form": "object",
    "currency": "USD",
    "exempt_fiscal_position": "Tax Exempt",
    "visible_fields": True,
    "sync_price_levels": True,
    "sync_accounts": True,
    "sync_preferred_vendor": True,
    "sync_bank_tokens": True,
    "badge_is_number": True,
}
"""Settings with which a Mapping leaves nothing out."""
PAIRS = {
    "customer": ("odoo-customer", "bng-customer"),
    "vendor": ("odoo-vendor", "bng-vendor"),
    "product": ("odoo-product", "bng-product"),
    "product_template": ("odoo-product-template", "bng-product-template"),
    "employee": ("odoo-employee", "bng-employee"),
    "inventory_item": ("odoo-inventory-item", "bng-inventory-item"),
}


def text_of(kind: str, name: str, ending: str = "yaml") -> str:
    return (TEMPLATES / kind / f"{name}.{ending}").read_text()


def lookups() -> Lookups:
    """The tables that ship."""
    tables = []
    for file in sorted((TEMPLATES / "lookups").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".csv"):
            rows = [
                LookupRow(canonical=row.pop("canonical"), values={k: v for k, v in row.items() if v})
                for row in csv.DictReader(io.StringIO(file.read_text()))
            ]
            tables.append(LookupTable(name=file.name.removesuffix(".csv"), rows=tuple(rows)))
    return Lookups(tables)


def rates(*entries: tuple[str, str, str], on: date = date(2026, 6, 1)) -> Rates:
    """Rates of 2026: (base, quote, rate)."""
    return Rates([(date(2026, 1, 1), base, quote, Decimal(rate)) for base, quote, rate in entries], on=on)


def compiled(
    name: str,
    *,
    settings: Mapping[str, Any] = EVERYTHING,
    schema: EntitySchema | None = None,
    tables: Iterable[LookupTable] = (),
    dated: Rates | None = None,
) -> CompiledMapping:
    """A Mapping that ships, compiled."""
    mapping = load_mapping(text_of("mappings", name))
    known = lookups()
    for table in tables:
        known.add(table)
    return compile_mapping(
        mapping, entity=ENTITIES[mapping.canonical], schema=schema, lookups=known, rates=dated, settings=settings
    )
