"""Records that Odoo keeps in parts: rows of a model summed by what they refer to, like stock by product and warehouse.

Such an Entity is called `model/field+field`: `stock.quant/product_id+warehouse_id`. Its key is the ids joined by a
hyphen; the numbers of its rows are added up, what the fields refer to is read behind them. A day may be among the
fields, as 20260504. Of documents (`account.move/date+journal_id`) the lines are added up where all but their numbers
agree and in which of them are zero.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.fields import ACTIVE, NUMBERS, Fields, OdooField, OdooModel
from isthmus.connectors.odoo.paths import parse
from isthmus.connectors.odoo.reading import PAGE, Reader
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import ByKeys, ByValues, EntitySchema, Field, FieldType, Record, SchemaDrift, Selection

READ_AT = "@read_at"
"""The path that holds the moment at which the rows were read."""

_FORM = re.compile(r"^(?P<model>[\w.]+)/(?P<by>\w+(?:\+\w+)*)$")
Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grouping:
    """The model whose rows are added up, and the references that tell the sums apart."""

    model: str
    by: tuple[str, ...]

    def ids(self, key: str) -> Ids | None:
        """The ids in a key, or None for what is no key of this grouping."""
        parts = key.split("-")
        return tuple(map(int, parts)) if len(parts) == len(self.by) and all(p.isdigit() for p in parts) else None


@lru_cache(maxsize=256)
def grouping(entity: str) -> Grouping | None:
    """The grouping an Entity's name stands for; None for a plain model."""
    found = _FORM.match(entity)
    return Grouping(found["model"], tuple(found["by"].split("+"))) if found else None


def model_of(entity: str) -> str:
    """The model behind an Entity's name."""
    found = grouping(entity)
    return found.model if found else entity


def key_of(row: Mapping[str, Any], by: Iterable[str]) -> str | None:
    """The key of the sum a raw row belongs to; None for a row that refers to nothing (a virtual place's stock)."""
    ids = [_part(value[0] if isinstance(value := row.get(name), list) and value else value) for name in by]
    return "-".join(str(one) for one in ids) if all(ids) else None


def _part(value: Any) -> int:
    """What of a key an id or a day is."""
    if isinstance(value, str | date):
        return int(str(value)[:10].replace("-", ""))
    return int(value or 0)


def _day(part: int) -> date | None:
    try:
        return datetime.strptime(str(part), "%Y%m%d").date()  # noqa: DTZ007  # a day has no zone
    except ValueError:
        return None


@dataclass(slots=True)
class _Sum:
    ids: Ids
    numbers: dict[str, Decimal] = field(default_factory=dict)
    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    written: str = ""

    def add(self, path: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add lines to those that say the same but for what their numbers are."""
        known = self.rows.setdefault(path, {})
        for row in rows:
            # Which numbers are zero counts as well: what stands on one side of an account stays there.
            same = repr(sorted((n, bool(v) if isinstance(v, Decimal) else v) for n, v in row.items()))
            there = known.get(same)
            if there is None:
                known[same] = dict(row)
                continue
            for name, value in row.items():
                if isinstance(value, Decimal):
                    there[name] += value

    def lines(self, path: str) -> list[dict[str, Any]]:
        """The lines added up, in an order that does not change while they are the same."""
        return [row for _, row in sorted(self.rows.get(path, {}).items())]


class Groups:
    """Reads sums; writing them is a matter of each model (see `counting`)."""

    def __init__(self, wire: Wire, fields: Fields, reader: Reader) -> None:
        self._wire = wire
        self._fields = fields
        self._reader = reader

    async def schema(self, entity: str, found: Grouping, writable: Iterable[str]) -> EntitySchema:
        """The references and the numbers of the rows; only `writable` ones can be written."""
        model = await self._fields.model(found.model)
        by = self._references(model, found)
        plain = await self._fields.schema(found.model)
        told = [n for n, one in model.fields.items() if one.stored and (one.type in NUMBERS or one.type == "one2many")]
        fields = {n: replace(plain.fields[n], readonly=n not in set(writable)) for n in (*by, *told)}
        fields[READ_AT] = Field(name=READ_AT, type=FieldType.DATETIME, label="Read at", readonly=True)
        may = bool(set(writable))
        return replace(plain, name=entity, fields=fields, can_create=may, can_update=may, can_delete=False)

    async def read(
        self, found: Grouping, selection: Selection, paths: Sequence[str], domain: Sequence[Any]
    ) -> AsyncIterator[list[Record]]:
        """Pages of sums. A key whose rows are all gone reads as zero while what it refers to is there."""
        read_at = self._wire.clock.now()
        wanted: list[Ids] | None = None
        if isinstance(selection, ByKeys):
            wanted = [ids for key in selection.keys if (ids := found.ids(key)) is not None]
            model = await self._fields.model(found.model)
            chosen = [
                [name, "in", _native(model.get(name), {ids[n] for ids in wanted})] for n, name in enumerate(found.by)
            ]
        elif isinstance(selection, ByValues):
            chosen = [[selection.path.removesuffix(".id"), "in", list(selection.values)]]
        else:
            chosen = []
        sums = await self._sums(found, [*chosen, *domain], paths)
        if wanted is not None:
            sums = {ids: one for ids, one in sums.items() if ids in set(wanted)}
            if not domain:
                for ids in wanted:
                    sums.setdefault(ids, _Sum(ids))
        ordered = [sums[ids] for ids in sorted(sums)]
        for start in range(0, len(ordered), PAGE):
            page = await self._records(found, ordered[start : start + PAGE], paths, read_at)
            if page:
                yield page

    async def _sums(self, found: Grouping, domain: Sequence[Any], paths: Sequence[str]) -> dict[Ids, _Sum]:
        model = await self._fields.model(found.model)
        by = self._references(model, found)
        lists = [path for path in paths if not path.startswith("@") and parse(path).rows]
        names = {parse(path).step.field for path in paths if not path.startswith("@") and path not in lists} - set(by)
        numbers = sorted(name for name in names if model.get(name).type in NUMBERS)
        strange = sorted(names - set(numbers))
        if strange:
            raise SchemaDrift(
                f"adding up {', '.join(strange)} of {found.model}: it is no number",
                hint=f"Map numbers of {found.model}, or what lies behind {', '.join(by)}.",
            )
        out: dict[Ids, _Sum] = {}
        after = 0
        while True:
            rows = await self._reader.rows(
                found.model, [["id", ">", after], *domain], [*by, *numbers, *lists], limit=self._wire.settings.page_size
            )
            for row in rows:
                ids = tuple(_part(row.values[name]) for name in by)
                if not all(ids):
                    continue
                one = out.setdefault(ids, _Sum(ids))
                one.written = max(one.written, row.written)
                for name in numbers:
                    one.numbers[name] = one.numbers.get(name, Decimal(0)) + (row.values[name] or Decimal(0))
                for path in lists:
                    one.add(path, row.values[path] or ())
            if len(rows) < self._wire.settings.page_size:
                return out
            after = rows[-1].id

    async def _records(
        self, found: Grouping, sums: Sequence[_Sum], paths: Sequence[str], read_at: datetime
    ) -> list[Record]:
        model = await self._fields.model(found.model)
        behind: list[dict[int, dict[str, Any]]] = []
        for n, name in enumerate(found.by):
            if model.get(name).type == "date":
                behind.append({one.ids[n]: {"": day} for one in sums if (day := _day(one.ids[n])) is not None})
                continue
            related = await self._fields.model(model.get(name).relation)
            rests = [parsed.rest for path in paths if (parsed := parse_or_none(path)) and parsed.step.field == name]
            alive = [one for one in ACTIVE if related.has(one)]
            ids = {one.ids[n] for one in sums}
            behind.append(await self._reader.behind(model.get(name), ids, [*filter(None, rests), *alive]))
        out = []
        for one in sums:
            if any(not behind[n].get(key) for n, key in enumerate(one.ids)):
                continue  # what it refers to is not there (any more)
            values = {path: self._value(found, one, behind, path, read_at) for path in paths}
            active = all(behind[n][key].get(mark, True) for n, key in enumerate(one.ids) for mark in ACTIVE)
            out.append(
                Record(
                    key="-".join(map(str, one.ids)),
                    values=values,
                    version=one.written or None,
                    changed_at=codec.moment(one.written) if one.written else None,
                    active=active,
                )
            )
        return out

    @staticmethod
    def _value(
        found: Grouping, one: _Sum, behind: Sequence[Mapping[int, Mapping[str, Any]]], path: str, read_at: datetime
    ) -> Any:
        if path.startswith("@"):
            return read_at if path == READ_AT else None
        parsed = parse(path)
        if parsed.rows:
            return one.lines(path)
        if parsed.step.field not in found.by:
            return one.numbers.get(parsed.step.field, Decimal(0))
        n = found.by.index(parsed.step.field)
        values = behind[n][one.ids[n]]
        return values.get(parsed.rest, one.ids[n]) if "" in values or parsed.rest else one.ids[n]

    @staticmethod
    def _references(model: OdooModel, found: Grouping) -> tuple[str, ...]:
        strange = [name for name in found.by if model.get(name).type not in ("many2one", "date")]
        if strange:
            raise SchemaDrift(
                f"grouping {found.model} by {', '.join(strange)}: it is neither a day nor refers to one record",
                hint="Group by days, and by references to one record each.",
            )
        return found.by

    async def exists(self, found: Grouping, keys: Sequence[str]) -> dict[str, bool]:
        """A sum is there while everything its key refers to is there, archived or not."""
        model = await self._fields.model(found.model)
        ids = {key: found.ids(key) for key in keys}
        known: list[set[int]] = []
        for n, name in enumerate(found.by):
            wanted = sorted({one[n] for one in ids.values() if one is not None})
            if model.get(name).type == "date":
                known.append({one for one in wanted if _day(one) is not None})
                continue
            known.append(set(await self._reader.ids(model.get(name).relation, [["id", "in", wanted]])))
        return {
            key: one is not None and all(part in known[n] for n, part in enumerate(one)) for key, one in ids.items()
        }


def _native(described: OdooField, parts: set[int]) -> list[Any]:
    """Parts of keys as Odoo's domains take them."""
    if described.type != "date":
        return sorted(parts)
    return [day.isoformat() for part in sorted(parts) if (day := _day(part)) is not None]


def parse_or_none(path: str) -> Any:
    """The parsed path; None for one that asks about the record itself."""
    return None if path.startswith("@") else parse(path)
