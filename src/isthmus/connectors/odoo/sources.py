"""Which models' writes change what an Entity's records show, and which records those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.grouped import Grouping, grouping, key_of
from isthmus.connectors.odoo.paths import parse, plain
from isthmus.connectors.odoo.wire import Wire
from isthmus.connectors.odoo.writing import PARTNER
from isthmus.sdk import Halt

ADDRESSES = ("invoice", "delivery")
MOST_ADDRESSES = 50_000
"""Addresses kept in memory, the newest; deletions of older ones are left to the Sweep."""

TEMPLATE, VARIANT, SELLER = "product.template", "product.product", "product.supplierinfo"


@dataclass(frozen=True, slots=True)
class Source:
    """A model to look at for changes of an Entity.

    `via` is the field that leads to the Entity's record (empty: it is the record). `through` is a field of the
    Entity that holds what `via` leads to, when that is not the record yet (seller line > template > variants).
    """

    model: str
    via: str = ""
    through: str = ""
    domain: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """What the cursor calls it."""
        return f"{self.model}:{self.via}" if self.via else self.model

    @property
    def fields(self) -> tuple[str, ...]:
        """What is read of a changed record besides its moment."""
        if self.model == PARTNER and not self.via:
            return ("parent_id", "type")
        return tuple(self.via.split("+")) if self.via else ()


_KNOWN: Mapping[str, tuple[Source, ...]] = {
    VARIANT: (Source(TEMPLATE, "product_variant_ids"), Source(SELLER, "product_tmpl_id", "product_tmpl_id")),
    TEMPLATE: (Source(VARIANT, "product_tmpl_id"), Source(SELLER, "product_tmpl_id")),
}


class Roots:
    """Finds the sources of an Entity and the records behind changed rows."""

    def __init__(self, wire: Wire, fields: Fields) -> None:
        self._wire = wire
        self._fields = fields
        self._learned: dict[str, dict[str, Source]] = {}

    async def sources(self, entity: str) -> list[Source]:
        """The Entity itself first, then the models whose records it shows."""
        sums = grouping(entity)
        if sums is not None:
            return await self._of_sums(sums)
        found = [Source(entity), *_KNOWN.get(entity, ()), *self._learned.get(entity, {}).values()]
        own = await self._fields.model(entity)
        if own.has("write_date") and own.get("write_date").computed:
            # A variant's moment follows its template's by itself (since version 15).
            found = [source for source in found if (entity, source.model) != (VARIANT, TEMPLATE)]
        out = []
        for source in dict.fromkeys(found):
            try:
                described = await self._fields.model(source.model)
            except Halt:
                if source.model == entity:
                    raise
                continue  # its app is not installed, or this user may not see it
            if described.has("write_date") and all(described.has(name) for name in source.fields):
                out.append(source)
        return out

    async def _of_sums(self, sums: Grouping) -> list[Source]:
        """The rows that are added up, and what tells the sums apart, as far as this user may look at it."""
        rows = Source(sums.model, "+".join(sums.by))
        out = [rows]
        model = await self._fields.model(sums.model)
        for name in (one for one in sums.by if model.get(one).type == "many2one"):
            try:
                related = await self._fields.model(model.get(name).relation)
            except Halt:
                continue
            if related.has("write_date"):
                out.append(Source(related.name, "", name))
        return out

    async def learn(self, entity: str, paths: Sequence[str]) -> None:
        """Take note of child records that are read with an Entity: their changes are its changes."""
        if grouping(entity) is not None:
            return
        described = await self._fields.model(entity)
        for path in plain(paths):
            parsed = parse(path)
            spec = described.fields.get(parsed.step.field)
            if spec is None or spec.type != "one2many" or not spec.inverse or not parsed.rest:
                continue
            known = any(source.model == spec.relation for source in _KNOWN.get(entity, ()))
            if spec.relation != entity and not known:
                source = Source(spec.relation, spec.inverse)
                self._learned.setdefault(entity, {}).setdefault(source.name, source)

    async def of(self, entity: str, source: Source, rows: Sequence[Mapping[str, Any]]) -> list[tuple[int | str, str]]:
        """The keys of the Entity's records behind changed rows of a source, with the moment of the change."""
        if not rows:
            return []
        sums = grouping(entity)
        if sums is not None:
            return await self._sums_behind(sums, source, rows)
        if not source.via:
            return [(_root(entity, row), str(row["write_date"])) for row in rows]
        found: list[tuple[int | str, str]] = [
            (one, str(row["write_date"])) for row in rows for one in _ids(row[source.via])
        ]
        if not source.through or not found:
            return found
        moments = dict(found)
        behind = await self._wire.call(
            entity,
            "search_read",
            doing=f"looking for the {entity} behind {source.model}",
            reads=True,
            domain=[[source.through, "in", sorted(moments)]],
            fields=[source.through],
        )
        return [(int(row["id"]), moments[_ids(row[source.through])[0]]) for row in behind]

    async def _sums_behind(
        self, sums: Grouping, source: Source, rows: Sequence[Mapping[str, Any]]
    ) -> list[tuple[int | str, str]]:
        if source.via:
            return [(key, str(row["write_date"])) for row in rows if (key := key_of(row, sums.by)) is not None]
        moments = {int(row["id"]): str(row["write_date"]) for row in rows}
        behind = await self._wire.call(
            sums.model, "search_read", doing=f"looking for the {sums.model} of {source.model}", reads=True,
            domain=[[source.through, "in", sorted(moments)]], fields=list(sums.by),
        )  # fmt: skip
        found = {key: moments[_ids(row[source.through])[0]] for row in behind if (key := key_of(row, sums.by))}
        return list(found.items())


class DeletedAddresses:
    """Notices addresses that were deleted, which no moment tells of, by keeping their companies in memory.

    After a restart the first look only learns; what was deleted meanwhile is found by the Sweep.
    """

    def __init__(self, wire: Wire, *, every: float = 60.0) -> None:
        self.every = every
        self._wire = wire
        self._known: dict[int, int] | None = None
        self._looked_at = 0.0

    async def companies(self) -> set[int]:
        """Companies that lost an invoice or delivery address since the last look; at most one call per `every` s."""
        now = self._wire.clock.monotonic()
        if self._known is not None and now - self._looked_at < self.every:
            return set()
        rows = await self._wire.call(
            PARTNER,
            "search_read",
            doing="looking for deleted addresses",
            reads=True,
            domain=[["type", "in", list(ADDRESSES)], ["parent_id", "!=", False]],
            fields=["parent_id"],
            order="id desc",
            limit=MOST_ADDRESSES,
        )
        before, self._looked_at = self._known or {}, now
        self._known = {int(row["id"]): _ids(row["parent_id"])[0] for row in rows}
        oldest = min(self._known, default=0) if len(rows) == MOST_ADDRESSES else 0
        return {parent for child, parent in before.items() if child >= oldest and self._known.get(child) != parent}


def _root(entity: str, row: Mapping[str, Any]) -> int:
    """An invoice or delivery address belongs to its company; a person below a company is a record of their own."""
    if entity == PARTNER and row.get("type") in ADDRESSES:
        parents = _ids(row.get("parent_id"))
        if parents:
            return parents[0]
    return int(row["id"])


def _ids(raw: Any) -> list[int]:
    """Ids out of a many2one or x2many as read."""
    if not raw:
        return []
    if isinstance(raw, list) and len(raw) == 2 and isinstance(raw[1], str):
        return [int(raw[0])]
    return [int(one) for one in raw] if isinstance(raw, list) else [int(raw)]
