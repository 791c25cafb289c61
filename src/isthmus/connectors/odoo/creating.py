"""Creating by `load()` under External IDs of ours: a repeated create finds its record and changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.addresses import Addresses
from isthmus.connectors.odoo.columns import Given, Late, Sheet, deferred, layout, often_meant, sheet
from isthmus.connectors.odoo.external import GivenIds, external_id
from isthmus.connectors.odoo.fields import Fields, OdooModel
from isthmus.connectors.odoo.paths import Step
from isthmus.connectors.odoo.reading import Reader
from isthmus.connectors.odoo.refusal import clean, is_contention
from isthmus.connectors.odoo.wire import Wire
from isthmus.connectors.odoo.writes import Target, Writes
from isthmus.connectors.odoo.writing import Parts, Resolver, encoded, must_not_spread
from isthmus.sdk import (
    Contended,
    Create,
    Failed,
    Halt,
    IsthmusError,
    Outcome,
    OutcomeUnknown,
    RefusedByTarget,
    Retry,
    Unsure,
    Written,
)

LOAD: Mapping[str, Any] = {"mode": "update", "noupdate": True, "import_file": True, "tz": "UTC"}
"""`update` with `noupdate`: a row whose External ID exists is answered with its record and left as it is."""

_TRIES = 4
_PAUSE = 0.15


@dataclass(frozen=True, slots=True)
class _Below:
    """The models of chosen child records by their step, and of rows by their field."""

    chosen: Mapping[Step, OdooModel]
    rows: Mapping[str, OdooModel]


@dataclass(frozen=True, slots=True)
class _Row:
    """One record on its way in: its place among the items, its External ID and parts.

    `after` holds, per field of rows and row, what is written once the record is there.
    """

    index: int
    xid: str
    parts: Parts
    after: dict[str, list[Late]] = field(default_factory=dict)


class Creator:
    """Creates records with their addresses, as many per call as share a layout."""

    def __init__(self, wire: Wire, fields: Fields, resolver: Resolver, reader: Reader) -> None:
        self._wire = wire
        self._fields = fields
        self._resolver = resolver
        self._given = GivenIds(wire)
        self._highest: dict[str, int] = {}
        self._writes = Writes(wire)
        self.addresses = Addresses(fields, reader, self.create)

    async def create(self, model: str, items: Sequence[Create]) -> list[Outcome]:
        """One outcome per item; a record that exists under its external key is adopted, not written."""
        outcomes: dict[int, Outcome] = {}
        try:
            rows = await self._rows(model, items, outcomes)
            described, below, groups = await self._groups(model, rows)
            if rows:
                mark = await self._mark(model)
        except IsthmusError as error:
            return [outcomes.get(n) or Failed(error=error) for n in range(len(items))]
        given = await self._given_ids(described, below.chosen, rows)
        for group in groups:
            await self._load(described, below, group, outcomes, given)
        await self._tell(model, items, outcomes, mark if rows else 0)
        await self._write_after(described, below, rows, outcomes)
        return [outcomes[n] for n in range(len(items))]

    async def _rows(self, model: str, items: Sequence[Create], outcomes: dict[int, Outcome]) -> list[_Row]:
        payloads = [{path: v for path, v in item.values.items() if not _nothing(v)} for item in items]
        settled = await self.addresses.settled(model, payloads, {})
        sent = [told if not isinstance(told, IsthmusError) else {} for told in settled]
        rows = []
        for n, parts in enumerate(await self._resolver.parts(model, sent)):
            wrong = settled[n]
            if isinstance(wrong, IsthmusError):
                outcomes[n] = Failed(error=wrong)
                continue
            if isinstance(parts, IsthmusError):
                outcomes[n] = Failed(error=parts)
                continue
            try:
                for step, values in parts.children.items():
                    must_not_spread(model, step, values)
            except IsthmusError as error:
                outcomes[n] = Failed(error=error)
            else:
                rows.append(_Row(n, external_id(items[n].external_key), parts))
        return rows

    async def _groups(self, model: str, rows: Sequence[_Row]) -> tuple[OdooModel, _Below, list[list[_Row]]]:
        """Rows that may share a call, by their layout."""
        described = await self._fields.model(model)
        filled = await self._fields.defaults(model) if rows else {}
        children: dict[Step, OdooModel] = {}
        child_filled: dict[Step, tuple[OdooModel, Collection[str]]] = {}
        for step in {step for row in rows for step in row.parts.children}:
            relation = described.get(step.field).relation
            children[step] = await self._fields.model(relation)
            child_filled[step] = (children[step], await self._fields.defaults(relation))
        by_field: dict[str, tuple[OdooModel, Collection[str]]] = {}
        for name in {name for row in rows for name in row.parts.rows}:
            relation = described.get(name).relation
            by_field[name] = (await self._fields.model(relation), await self._fields.defaults(relation))
        groups: dict[object, list[_Row]] = {}
        for row in rows:
            for name, told in row.parts.rows.items():
                row.after[name] = deferred(told.new, *by_field[name])
            groups.setdefault(layout(row.parts, described, filled, child_filled, by_field), []).append(row)
        below = _Below(children, {name: one for name, (one, _) in by_field.items()})
        return described, below, list(groups.values())

    async def _write_after(
        self, model: OdooModel, below: _Below, rows: Sequence[_Row], outcomes: dict[int, Outcome]
    ) -> None:
        """Write on rows just made what could not be loaded with them; what fails is found at the next look."""
        for name, child in below.rows.items():
            new = {
                int(outcome.key): row.after[name]
                for row in rows
                if any(late.wanted for late in row.after.get(name, ()))
                and isinstance(outcome := outcomes.get(row.index), Written)
                and outcome.created
            }
            if not new:
                continue
            inverse = model.get(name).inverse
            found = await self._wire.call(
                child.name,
                "search_read",
                doing=f"reading the rows just made of {len(new)} {model.name}",
                reads=True,
                domain=[[inverse, "in", sorted(new)]],
                fields=[inverse, *sorted({n for several in new.values() for late in several for n in late.wanted})],
                order="id",
            )
            there: dict[int, list[Mapping[str, Any]]] = {}
            for one in found:
                there.setdefault(int(one[inverse][0]), []).append(one)
            targets = [
                Target(0, int(one["id"]), encoded(child, late.written))
                for root, several in new.items()
                for one, late in zip(there.get(root, ()), several, strict=False)
                if any(
                    not codec.raw_equal(child.get(n), codec.decode(child.get(n), one[n]), value)
                    for n, value in late.wanted.items()
                )
            ]
            await self._writes.write(child.name, targets)

    async def _given_ids(self, model: OdooModel, children: Mapping[Step, OdooModel], rows: Sequence[_Row]) -> Given:
        """External IDs of what many of the rows refer to; none where Odoo does not tell."""
        found: dict[str, Mapping[int, str]] = {}
        for name, ids in often_meant([row.parts for row in rows], model, children).items():
            try:
                found[name] = await self._given.of(name, ids)
            except IsthmusError:
                continue  # ids serve as well, only slower
        return found

    async def _mark(self, model: str) -> int:
        """The highest id there is: what comes out of a load above it was made by it."""
        if model not in self._highest:
            newest = await self._wire.call(
                model,
                "search",
                doing=f"looking for the newest {model}",
                reads=True,
                domain=[],
                order="id desc",
                limit=1,
            )
            self._highest[model] = int(newest[0]) if newest else 0
        return self._highest[model]

    async def _load(
        self,
        model: OdooModel,
        below: _Below,
        rows: list[_Row],
        outcomes: dict[int, Outcome],
        given: Given,
    ) -> None:
        """Load rows; those that Odoo refuses are taken out until the rest passes."""
        tries = 0
        while rows:
            items = [(row.index, row.xid, row.parts) for row in rows]
            call = sheet(items, model, below.chosen, given, below.rows)
            doing = f"creating {len(rows)} {model.name}" if len(rows) > 1 else f"creating {model.name} {rows[0].xid}"
            try:
                told = await self._wire.call(
                    model.name, "load", doing=doing, context=LOAD, fields=call.columns, data=call.rows
                )
            except (OutcomeUnknown, Retry, Halt) as error:
                if isinstance(error, Contended) and tries < _TRIES:
                    tries += 1
                    await asyncio.sleep(_PAUSE * 2**tries)
                    continue
                unsure = isinstance(error, OutcomeUnknown)
                outcomes.update(
                    {row.index: Unsure(error=error) if unsure else Failed(error=error) for row in rows}
                )  # fmt: skip
                return
            except IsthmusError as error:
                await self._halve(model, below, rows, outcomes, given, error)
                return
            if told.get("ids"):
                for row, one in zip(rows, told["ids"], strict=True):
                    outcomes[row.index] = Written(key=str(one))
                return
            messages = [m for m in told.get("messages") or () if m.get("type") == "error"]
            if any(is_contention(str(m.get("message"))) for m in messages):
                self._wire.http.concurrency.pushed_back()
                tries += 1
                if tries > _TRIES:
                    busy = Contended(doing, answered=clean(str(messages[0].get("message"))))
                    outcomes.update({row.index: Failed(error=busy) for row in rows})
                    return
                await asyncio.sleep(_PAUSE * 2**tries)
                continue
            accused = _accused(call, rows, messages)
            if not accused:
                said = clean(str(messages[0].get("message"))) if messages else "nothing"
                await self._halve(model, below, rows, outcomes, given, RefusedByTarget(doing, answered=said))
                return
            for index, message in accused.items():
                outcomes[index] = Failed(error=_refused(model.name, rows, index, message))
            rows = [row for row in rows if row.index not in accused]

    async def _halve(
        self,
        model: OdooModel,
        below: _Below,
        rows: list[_Row],
        outcomes: dict[int, Outcome],
        given: Given,
        error: IsthmusError,
    ) -> None:
        """Find the bad rows where Odoo does not name them."""
        if len(rows) == 1:
            outcomes[rows[0].index] = Failed(error=error)
            return
        middle = len(rows) // 2
        await self._load(model, below, rows[:middle], outcomes, given)
        await self._load(model, below, rows[middle:], outcomes, given)

    async def _tell(self, model: str, items: Sequence[Create], outcomes: dict[int, Outcome], mark: int) -> None:
        """Add moments of creation to what was written, and whether it was there before."""
        made = {int(o.key): n for n, o in outcomes.items() if isinstance(o, Written)}
        if not made:
            return
        self._highest[model] = max(self._highest.get(model, 0), *made)
        try:
            told = await self._wire.call(
                model,
                "read",
                doing=f"reading what was created in {model}",
                ids=sorted(made),
                reads=True,
                fields=["create_date", "write_date"],
            )
        except IsthmusError:
            told = []  # they were created all the same; what is missing here is read at the next look
        dates = {int(row["id"]): row for row in told}
        for one, n in made.items():
            row = dates.get(one, {})
            written, created = row.get("write_date"), row.get("create_date")
            outcomes[n] = Written(
                key=str(one),
                version=written or None,
                changed_at=codec.moment(written) if written else None,
                created_at=codec.moment(created) if created else None,
                created=one > mark,
            )


def _nothing(value: Any) -> bool:
    return value is None or value == "" or value == []


def _accused(call: Sheet, rows: Sequence[_Row], messages: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Which items Odoo names, with its message for each.

    A refusal of the whole batch is told under the name of the first row, in front of the others; so the first row
    counts as named only when no other one is.
    """
    named: dict[int, Mapping[str, Any]] = {}
    for message in messages:
        at = (message.get("rows") or {}).get("from")
        if isinstance(at, int) and 0 <= at < len(call.owner):
            named.setdefault(call.owner[at], message)
    first = rows[0].index
    if len(named) > 1 and first in named and messages[0] is named[first]:
        del named[first]
    if list(named) == [first] and len(rows) > 1 and len(messages) == 1 and not messages[0].get("field"):
        return {}
    return named


def _refused(model: str, rows: Sequence[_Row], index: int, message: Mapping[str, Any]) -> RefusedByTarget:
    row = next(row for row in rows if row.index == index)
    facts = {"model": model, "external_id": row.xid}
    if message.get("field"):
        facts["field"] = str(message["field"])
    return RefusedByTarget(
        f"creating {model} {row.xid}", answered=clean(str(message.get("message") or "nothing")), facts=facts
    )
