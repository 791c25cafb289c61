"""A visitor's hands while a demo runs: find records on both sides, and edit one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from isthmus.demo.home import Home
from isthmus.demo.outcome import ENTITIES
from isthmus.demo.seed import Values
from isthmus.demo.systems import Bng, BngDoor, Odoo, OdooDoor
from isthmus.errors import InvalidRecord, Misconfigured

ALIASES: Mapping[str, Mapping[str, str]] = {
    "odoo": {"tax_id": "vat", "price": "list_price", "sku": "default_code"},
    "bng": {
        "email": "Email", "phone": "Phone", "website": "Website", "tax_id": "TaxID", "price": "ListPrice", "sku": "SKU",
        "status": "Status", "notes": "Notes",
    },
}  # fmt: skip
"""Names of fields that mean the same on both sides, and what each side calls them; its own names do as well."""


@asynccontextmanager
async def doors(path: Path) -> AsyncIterator[tuple[Odoo, Bng]]:
    """Both systems of the demo that runs in a folder; raises Misconfigured when none was started there."""
    told = Home(path).told()
    if not told:
        raise Misconfigured(
            f"looking for a demo in {path}", answered="there is none", hint="Start one with `isthmus demo`."
        )
    async with aiohttp.ClientSession() as session:
        yield Odoo(session, OdooDoor(**told["odoo"])), Bng(session, BngDoor(**told["bng"]))


async def find(path: Path, words: str) -> list[dict[str, str]]:
    """Records of both sides whose name, e-mail or SKU holds the words."""
    out: list[dict[str, str]] = []
    async with doors(path) as (odoo, bng):
        for entity in ENTITIES:
            for system, rows in (("odoo", await odoo.search(entity, words)), ("bng", await bng.search(entity, words))):
                out += [{"system": system, "entity": entity, "key": str(row["id"]), **_shown(row)} for row in rows]
    return out


async def edit(path: Path, system: str, entity: str, record: str, values: Mapping[str, str]) -> str:
    """Change fields of one record, told by its key or by words that only it holds; returns its key."""
    if system not in ALIASES or entity not in ENTITIES:
        raise InvalidRecord(
            f"editing {entity} in {system}",
            answered="there is no such system or entity",
            hint=f"Systems: {', '.join(ALIASES)}. Entities: {', '.join(ENTITIES)}.",
        )
    async with doors(path) as (odoo, bng):
        key = record
        if not _is_key(record):
            found = await (odoo if system == "odoo" else bng).search(entity, record)
            key = _only(found, f"{record!r} among the {entity}s of {system}")
        if system == "odoo":
            await odoo.learn()
            await odoo.edit(entity, key, _named(system, entity, values))
        else:
            await bng.edit(entity, key, _named(system, entity, values))
    return key


def _is_key(record: str) -> bool:
    """Odoo's keys are numbers, BNG's are UUIDs."""
    return record.isdigit() or (len(record) == 36 and record.count("-") == 4)


def _only(found: list[Values], what: str) -> str:
    if not found:
        hint = "`isthmus demo find WORDS` shows what both sides have."
        raise InvalidRecord(f"looking for {what}", answered="there is none", hint=hint)
    if len(found) > 1:
        shown = ", ".join(f"{row['id']} {_shown(row)['name']}" for row in found[:5])
        raise InvalidRecord(
            f"looking for {what}", answered=f"{len(found)} hold these words: {shown}", hint="Give the key."
        )
    return str(found[0]["id"])


def _named(system: str, entity: str, values: Mapping[str, str]) -> Values:
    out: Values = {}
    for name, text in values.items():
        own = ALIASES[system].get(name, name)
        if system == "bng" and name == "name":
            own = "Name" if entity == "product" else "CompanyName"
        value = yaml.safe_load(text) if text else None
        if system == "odoo":
            value = False if value is None else value if isinstance(value, bool | int | float) else text
        elif not isinstance(value, dict | list | type(None)):
            value = text
        out[own] = value
    return out


def _shown(row: Mapping[str, Any]) -> dict[str, str]:
    person = f"{row.get('FirstName', '')} {row.get('LastName', '')}".strip()
    name = row.get("name") or row.get("CompanyName") or row.get("Name") or person
    detail = next((row[field] for field in ("email", "Email", "default_code", "SKU") if row.get(field)), "")
    return {"name": str(name), "detail": str(detail)}
