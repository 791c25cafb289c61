"""Natural keys of records that others refer to: a country by its code, a tax by its name; read in bulk and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.odoo.fields import Fields, OdooField
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import SchemaDrift

KEPT_SECONDS = 300.0
"""How long a key is believed: names of categories and taxes change seldom, but they do."""

STATE = "res.country.state"
_KEY_FIELDS: Mapping[str, str] = {
    "res.country": "code",
    "res.currency": "name",
    "res.lang": "code",
    "product.category": "complete_name",
    "stock.location": "complete_name",
    "account.account": "code",
    "account.journal": "code",
    "stock.warehouse": "code",
    "product.product": "default_code",
    "hr.department": "complete_name",
}


@dataclass(slots=True)
class _Known:
    read_at: float
    by_id: dict[int, str | None] = field(default_factory=dict)
    by_key: dict[str, list[int]] = field(default_factory=dict)
    searched: set[str] = field(default_factory=set)


class NaturalKeys:
    """Between database ids and natural keys; one call per model and batch of unknown ones."""

    def __init__(self, wire: Wire, fields: Fields) -> None:
        self._wire = wire
        self._fields = fields
        self._known: dict[str, _Known] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def keys(self, model: str, ids: Iterable[int]) -> Mapping[int, str | None]:
        """The natural key of each record; None for one without, or one this user may not see."""
        wanted = set(ids)
        async with self._lock(model):
            known = self._fresh(model)
            missing = sorted(wanted - known.by_id.keys())
            for start in range(0, len(missing), 1000):
                await self._read(model, known, [["id", "in", missing[start : start + 1000]]])
            for one in missing:
                known.by_id.setdefault(one, None)
            return {one: known.by_id[one] for one in wanted}

    async def ids(self, field: OdooField, keys: Iterable[str]) -> Mapping[str, int]:
        """The record that each key means for this field; a key of no record is left out. Several: see `_choose`."""
        model, wanted = field.relation, {str(key) for key in keys}
        async with self._lock(model):
            known = self._fresh(model)
            missing = sorted(wanted - known.searched)
            for start in range(0, len(missing), 500):
                await self._read(model, known, await self._domain(model, missing[start : start + 500]))
            found = {key: known.by_key[key] for key in wanted if known.by_key.get(key)}
            known.searched |= found.keys()
        return await self._choose(field, found)

    async def _choose(self, field: OdooField, found: Mapping[str, list[int]]) -> dict[str, int]:
        """Of several records with one key those the field admits, then the oldest: sale taxes for a sale's field."""
        doubtful = sorted({one for several in found.values() if len(several) > 1 for one in several})
        fitting = set(doubtful)
        if doubtful and field.domain:
            rows = await self._wire.call(
                field.relation,
                "search",
                doing=f"finding out which {field.relation} {field.name} admits",
                reads=True,
                domain=[["id", "in", doubtful], *field.domain],
            )
            fitting = {int(one) for one in rows} or fitting
        return {
            key: min([one for one in several if one in fitting] or several) if len(several) > 1 else several[0]
            for key, several in found.items()
        }

    def _lock(self, model: str) -> asyncio.Lock:
        return self._locks.setdefault(model, asyncio.Lock())

    def _fresh(self, model: str) -> _Known:
        now = self._wire.clock.monotonic()
        known = self._known.get(model)
        if known is None or now - known.read_at > KEPT_SECONDS:
            known = self._known[model] = _Known(now)
        return known

    async def _read(self, model: str, known: _Known, domain: list[Any]) -> None:
        name = await self.key_field(model)
        asked = [name, "country_id"] if model == STATE else [name]
        rows = await self._wire.call(
            model,
            "search_read",
            doing=f"reading the names of {model}",
            reads=True,
            domain=domain,
            fields=asked,
            order="id",
        )
        countries: Mapping[int, str | None] = {}
        if model == STATE:
            countries = await self.keys("res.country", {int(row["country_id"][0]) for row in rows if row["country_id"]})
        for row in rows:
            key = row[name] or None
            if model == STATE and key and row["country_id"]:
                key = f"{countries.get(int(row['country_id'][0]))}-{key}"
            known.by_id[int(row["id"])] = key
            if key and int(row["id"]) not in known.by_key.setdefault(str(key), []):
                known.by_key[str(key)].append(int(row["id"]))

    async def _domain(self, model: str, keys: list[str]) -> list[Any]:
        if model != STATE:
            return [[await self.key_field(model), "in", keys]]
        pairs = [key.partition("-") for key in keys if "-" in key]
        return [
            ["country_id.code", "in", sorted({country for country, _, _ in pairs})],
            ["code", "in", sorted({code for _, _, code in pairs})],
        ]

    async def key_field(self, model: str) -> str:
        """The field that holds the natural key of a model."""
        if model == STATE:
            return "code"
        described = await self._fields.model(model)
        for name in (_KEY_FIELDS.get(model), "name", "code"):
            if name and described.has(name):
                return name
        raise SchemaDrift(
            f"looking for the natural key of {model}: it has no name",
            hint=f"Map the id instead of `.key`, or a field of {model}.",
            facts={"model": model},
        )
