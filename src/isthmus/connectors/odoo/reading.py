"""Reading records by paths: pages by id, related and child records in bulk, never one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.fields import ACTIVE, Fields, OdooField, OdooModel
from isthmus.connectors.odoo.natural import NaturalKeys
from isthmus.connectors.odoo.paths import ID, KEY, Path, Step, by_step, parse, real
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import Record, SchemaDrift

PAGE = 1000
KEYS_PAGE = 20_000
_SYSTEM = ("create_date", "write_date")


@dataclass(slots=True)
class Row:
    """One record as read: raw values of its own fields, decoded values by path, the newest write below it."""

    id: int
    raw: Mapping[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    written: str = ""

    def touched(self, at: str) -> None:
        """Take the moment of a child's write into account."""
        self.written = max(self.written, at)


class Reader:
    """Reads any model. Archived records take part, as the wire's context says."""

    def __init__(self, wire: Wire, fields: Fields, natural: NaturalKeys) -> None:
        self._wire = wire
        self._fields = fields
        self._natural = natural

    async def pages(
        self, model: str, domain: Sequence[Any], paths: Sequence[str], *, after: int = 0
    ) -> AsyncIterator[list[Record]]:
        """Records of a domain in the order of their ids, with exactly `paths`."""
        wanted, size = real(paths), self._wire.settings.page_size
        while True:
            rows = await self.rows(model, [["id", ">", after], *domain], wanted, limit=size)
            if rows:
                yield [_record(row, wanted) for row in rows]
                after = rows[-1].id
            if len(rows) < size:
                return

    async def by_ids(self, model: str, ids: Iterable[int], paths: Sequence[str]) -> dict[int, Record]:
        """Records by id; absent are those deleted or hidden from this user."""
        wanted, out = real(paths), {}
        every = sorted(set(ids))
        for start in range(0, len(every), PAGE):
            for row in await self.rows(model, [["id", "in", every[start : start + PAGE]]], wanted):
                out[row.id] = _record(row, wanted)
        return out

    async def ids(self, model: str, domain: Sequence[Any]) -> list[int]:
        """The ids of a domain in ascending order."""
        found: list[int] = []
        while True:
            after = found[-1] if found else 0
            page = await self._wire.call(
                model,
                "search",
                doing=f"listing the ids of {model}",
                reads=True,
                domain=[["id", ">", after], *domain],
                order="id",
                limit=KEYS_PAGE,
            )
            found.extend(int(one) for one in page)
            if len(page) < KEYS_PAGE:
                return found

    async def rows(
        self, model: str, domain: Sequence[Any], paths: Sequence[str], limit: int | None = None
    ) -> list[Row]:
        """Rows of a domain by id, with decoded values for every path."""
        steps = by_step(paths)
        described = await self._fields.model(model, *(step.field for step in steps))
        asked = [n for n in (*_SYSTEM, *ACTIVE) if described.has(n)]
        asked += [step.field for step in steps if step.where is None and step.field != ID]
        for step in steps:
            if step.field != ID:
                described.get(step.field)
        arguments: dict[str, Any] = {"limit": limit} if limit else {}
        found = await self._wire.call(
            model,
            "search_read",
            doing=f"reading {model}",
            reads=True,
            domain=list(domain),
            fields=list(dict.fromkeys(asked)),
            order="id",
            **arguments,
        )
        rows = [Row(int(one["id"]), one, written=str(one.get("write_date") or "")) for one in found]
        for step, several in steps.items():
            await self._fill(described, rows, step, several)
        return rows

    async def _fill(self, model: OdooModel, rows: Sequence[Row], step: Step, paths: Sequence[Path]) -> None:
        """Decode everything that begins with one step, for all rows at once."""
        if step.field == ID:
            for row in rows:
                row.values.update({path.text: row.id for path in paths})
            return
        described = model.get(step.field)
        further = [path for path in paths if path.rest]
        rowed = [path for path in paths if path.rows]
        if rowed:
            await self._fill_rows(described, rows, rowed)
        for path in paths:
            if not path.rows and not path.rest and step.where is None:
                for row in rows:
                    row.values[path.text] = codec.decode(described, row.raw[step.field])
        if step.where is not None:
            await self._fill_chosen(model, described, rows, step, paths)
        elif further:
            _must_refer(model, described, further[0])
            if described.many:
                await self._fill_several(described, rows, further)
            else:
                await self._fill_one(described, rows, further)

    async def _fill_one(self, described: OdooField, rows: Sequence[Row], paths: Sequence[Path]) -> None:
        """What lies behind a many2one: natural keys from memory, everything else by one read of the records."""
        ids = {row.id: codec.decode(described, row.raw[described.name]) for row in rows}
        there = await self._behind(described, {one for one in ids.values() if one}, paths)
        for row in rows:
            found = there.get(ids[row.id] or 0, {})
            row.values.update({path.text: found.get(path.rest) for path in paths})

    async def _fill_several(self, described: OdooField, rows: Sequence[Row], paths: Sequence[Path]) -> None:
        """Lists of what lies behind an x2many, in the order Odoo gives."""
        ids = {row.id: codec.decode(described, row.raw[described.name]) for row in rows}
        written: dict[int, str] = {}
        own = written if described.type == "one2many" else None
        there = await self._behind(described, {one for several in ids.values() for one in several}, paths, own)
        for row in rows:
            row.values.update({p.text: [there[i].get(p.rest) for i in ids[row.id] if i in there] for p in paths})
            for one in ids[row.id]:
                row.touched(written.get(one, ""))

    async def _fill_rows(self, described: OdooField, rows: Sequence[Row], paths: Sequence[Path]) -> None:
        """Child records as small records by their own paths, in the order Odoo gives: one read for all of them."""
        ids = {row.id: codec.decode(described, row.raw[described.name]) for row in rows}
        written: dict[int, str] = {}
        inner = [parse(f"{described.name}.{one}") for one in dict.fromkeys(one for p in paths for one in p.rows)]
        own = written if described.type == "one2many" else None
        there = await self._behind(described, {one for several in ids.values() for one in several}, inner, own)
        for row in rows:
            found = [one for one in ids[row.id] if one in there and (own is None or one in written)]
            for path in paths:
                row.values[path.text] = [{name: there[one].get(name) for name in path.rows} for one in found]
            for one in ids[row.id]:
                row.touched(written.get(one, ""))

    async def behind(self, described: OdooField, ids: set[int], rests: Iterable[str]) -> dict[int, dict[str, Any]]:
        """Values of the records that a reference leads to, by the rest of each path; absent ones have no values."""
        paths = [parse(f"{described.name}.{rest}") for rest in dict.fromkeys((ID, *rests))]
        there = set(await self.ids(described.relation, [["id", "in", sorted(ids)]])) if ids else set()
        found = await self._behind(described, there, paths)
        return {one: found.get(one, {}) for one in ids}

    async def _behind(
        self, described: OdooField, ids: set[int], paths: Sequence[Path], written: dict[int, str] | None = None
    ) -> dict[int, dict[str, Any]]:
        """Values by path of the records that a field leads to."""
        model, wanted = described.relation, sorted(ids)
        rests = [path.rest for path in paths]
        out: dict[int, dict[str, Any]] = {one: {} for one in wanted}
        if KEY in rests:
            for one, key in (await self._natural.keys(model, wanted)).items():
                out[one][KEY] = key
        others = [rest for rest in rests if rest not in (KEY, ID)]
        if ID in rests:
            for one in wanted:
                out[one][ID] = one
        if not others and written is None:
            return out
        for start in range(0, len(wanted), PAGE):
            for row in await self.rows(model, [["id", "in", wanted[start : start + PAGE]]], others):
                out[row.id].update(row.values)
                if written is not None:
                    written[row.id] = row.written
        return out

    async def _fill_chosen(
        self, model: OdooModel, described: OdooField, rows: Sequence[Row], step: Step, paths: Sequence[Path]
    ) -> None:
        """What lies behind one child record of several: the oldest active one that the condition chooses."""
        children = await self.children(model.name, [row.id for row in rows], step, [path.rest for path in paths])
        for row in rows:
            child = children.get(row.id)
            for path in paths:
                row.values[path.text] = None if child is None else child.values[path.rest or ID]
            if child is not None:
                row.touched(child.written)

    async def children(
        self, model: str, parents: Sequence[int], step: Step, paths: Sequence[str] = ()
    ) -> dict[int, Row]:
        """The child record that a step like `child_ids[type=delivery]` chooses, by its parent's id."""
        described = (await self._fields.model(model, step.field)).get(step.field)
        if described.type != "one2many" or not described.inverse or step.where is None:
            raise SchemaDrift(
                f"reading {step} of {model}: only child records can be chosen by a condition",
                facts={"model": model, "field": step.field},
            )
        there = await self._fields.model(described.relation, step.where[0])
        there.get(step.where[0])
        domain: list[Any] = [[step.where[0], "=", step.where[1]]]
        if there.active is not None:
            domain.append([there.active, "=", True])
        wanted = list(dict.fromkeys([*(path or ID for path in paths), described.inverse]))
        out: dict[int, Row] = {}
        for start in range(0, len(parents), PAGE):
            of = [described.inverse, "in", list(parents[start : start + PAGE])]
            for row in await self.rows(described.relation, [of, *domain], wanted):
                out.setdefault(int(row.values[described.inverse]), row)
        return out


def _must_refer(model: OdooModel, described: OdooField, path: Path) -> None:
    if not described.refers:
        raise SchemaDrift(
            f"reading {path.text} of {model.name}: {described.name} refers to no other record",
            facts={"model": model.name, "field": described.name},
        )


def _record(row: Row, paths: Sequence[str]) -> Record:
    created = row.raw.get("create_date")
    return Record(
        key=str(row.id),
        values={path: row.values[path] for path in paths},
        version=row.written or None,
        changed_at=codec.moment(row.written) if row.written else None,
        created_at=codec.moment(created) if created else None,
        active=all(bool(row.raw.get(name, True)) for name in ACTIVE),
    )


def value_domain(model: OdooModel, path: str, values: Sequence[Any]) -> list[Any]:
    """The domain of records whose path has one of these values, however an e-mail address is written."""
    parsed = parse(path)
    name = parsed.step.field if parsed.step.where is None else ""
    if not name or parsed.rest:
        raise SchemaDrift(f"looking {model.name} up by {path}: only a field of its own can be looked up")
    described = model.get(name)
    wanted = [
        value if described.refers or isinstance(value, str) else codec.encode(described, value) for value in values
    ]
    plain: list[Any] = [[name, "in", wanted]]
    normalised = model.fields.get(f"{name}_normalized")
    if normalised is not None and normalised.stored:
        lowered = sorted({str(value).strip().lower() for value in values})
        return ["|", *plain, [normalised.name, "in", lowered]]
    return plain
