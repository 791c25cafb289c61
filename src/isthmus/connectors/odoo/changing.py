"""Polling: which records changed since the Cursor, by the server's clock, late commits and child records included.

Odoo tells `write_date` in whole seconds, as of the start of the transaction. So only seconds that are over are read
(a second one cannot be told from a first one within it), pages go by id alone, and every poll reads an overlap again
in which late transactions turn up; what was seen in it already is remembered in the Cursor by second and id.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.grouped import model_of
from isthmus.connectors.odoo.ranges import pack, unpack
from isthmus.connectors.odoo.sources import DeletedAddresses, Roots, Source
from isthmus.connectors.odoo.wire import Wire
from isthmus.connectors.odoo.writing import PARTNER
from isthmus.sdk import ChangePage, Halt, Hint, Misconfigured

MOST_REMEMBERED = 50_000
"""Records remembered within the overlap; beyond, the oldest are hinted at again, which costs looks and no writes."""

_BEGINNING = "1970-01-02 00:00:00"


@dataclass(slots=True)
class Position:
    """How far a source was read, as Odoo's naive UTC text, and the ids seen in each second of the overlap before."""

    at: str = _BEGINNING
    seen: dict[str, set[int]] = field(default_factory=dict)

    def since(self, overlap: float) -> str:
        """Where the next window begins."""
        return codec.told(codec.moment(self.at) - timedelta(seconds=overlap))


class Changer:
    """Pages of hints for one Entity and the models that its records show values of."""

    def __init__(
        self, wire: Wire, roots: Roots, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._wire = wire
        self._roots = roots
        self._sleep = sleep
        self._deleted = DeletedAddresses(wire)

    async def pages(self, entity: str, cursor: str | None, scope: Sequence[Any] = ()) -> AsyncIterator[ChangePage]:
        """Hints since the cursor; a cursor in the middle goes on behind its page."""
        positions = _read_cursor(entity, cursor)
        begins = cursor is None
        told: set[str] = set()
        for source in await self._roots.sources(entity):
            position = positions.get(source.name)
            if position is None:  # a source that joined later goes on where the Entity's own begins
                position = Position() if begins or entity not in positions else Position(at=positions[entity].at)
            domain = scope if source.model == model_of(entity) else ()
            try:
                async for rows, after in self._window(source, position, domain, begins):
                    positions[source.name] = after
                    hints = [] if begins else await self._hints(entity, source, rows, told)
                    if not begins:
                        yield ChangePage(hints=hints, cursor=_write_cursor(positions))
            except Halt:
                if source.model == model_of(entity):
                    raise
                # Another model that this user may not read, or that is not installed: its part is not shown either.
        lost = await self._deleted.companies() if entity == PARTNER else set()
        hints = [Hint(entity=entity, key=str(one)) for one in sorted(lost) if str(one) not in told]
        if begins or hints:
            yield ChangePage(hints=hints, cursor=_write_cursor(positions))

    async def _window(
        self, source: Source, position: Position, scope: Sequence[Any], begins: bool
    ) -> AsyncIterator[tuple[list[Mapping[str, Any]], Position]]:
        """The new rows of a source page by page, each with the position behind it."""
        overlap, size = self._wire.settings.poll_overlap, self._wire.settings.page_size
        start = await self._newest(source, overlap) if begins else position.since(overlap)
        seen: dict[str, set[int]] = {}
        top, last = position.at, 0
        waited = False
        while True:
            rows = await self._page(source, start, last, scope, size)
            if not waited and any(str(row["write_date"]) >= self._over() for row in rows):
                waited = True
                await self._sleep(1.0)  # until the second that goes on is over and can be read whole
                rows = await self._page(source, start, last, scope, size)
            over, fresh = self._over(), []
            for row in rows:
                second = str(row["write_date"])
                if second >= over:
                    continue  # written since: the next poll reads that second whole
                top = max(top, second)
                seen.setdefault(second, set()).add(int(row["id"]))
                if int(row["id"]) not in position.seen.get(second, ()):
                    fresh.append(row)
            if len(rows) < size:
                yield fresh, _bounded(Position(at=top, seen=seen), overlap)
                return
            yield fresh, _bounded(Position(at=position.at, seen=_joined(position.seen, seen)), overlap)
            last = int(rows[-1]["id"])

    async def _page(
        self, source: Source, start: str, last: int, scope: Sequence[Any], size: int
    ) -> list[Mapping[str, Any]]:
        rows = await self._wire.call(
            source.model,
            "search_read",
            doing=f"looking for changes of {source.model}",
            reads=True,
            domain=[["write_date", ">=", start], ["id", ">", last], *source.domain, *scope],
            fields=list(dict.fromkeys(["write_date", *source.fields])),
            order="id",
            limit=size,
        )
        return list(rows)

    async def _newest(self, source: Source, overlap: float) -> str:
        """Where the overlap before the newest change begins."""
        rows = await self._wire.call(
            source.model,
            "search_read",
            doing=f"looking for the newest change of {source.model}",
            reads=True,
            domain=list(source.domain),
            fields=["write_date"],
            order="write_date desc",
            limit=1,
        )
        newest = min(str(rows[0]["write_date"]), self._over()) if rows and rows[0]["write_date"] else _BEGINNING
        return Position(at=newest).since(overlap)

    def _over(self) -> str:
        """The second that goes on at the server just now: everything before it is complete."""
        now: datetime | None = None
        if self._wire.server_clock:
            try:
                now = parsedate_to_datetime(self._wire.server_clock)
            except ValueError:
                now = None
        return codec.told(now or self._wire.clock.now())

    async def _hints(
        self, entity: str, source: Source, rows: Sequence[Mapping[str, Any]], told: set[str]
    ) -> list[Hint]:
        hints = []
        for key, second in await self._roots.of(entity, source, rows):
            name = str(key)
            if name not in told:
                told.add(name)
                hints.append(Hint(entity=entity, key=name, occurred_at=codec.moment(second)))
        return hints


def _joined(before: Mapping[str, set[int]], more: Mapping[str, set[int]]) -> dict[str, set[int]]:
    return {second: before.get(second, set()) | more.get(second, set()) for second in {*before, *more}}


def _bounded(position: Position, overlap: float) -> Position:
    """Forget what the next window does not read, and the oldest beyond the limit."""
    start = position.since(overlap)
    kept: dict[str, set[int]] = {}
    room = MOST_REMEMBERED
    for second in sorted((s for s in position.seen if s >= start), reverse=True):
        room -= len(position.seen[second])
        if room < 0:
            break
        kept[second] = position.seen[second]
    return Position(position.at, kept)


def _read_cursor(entity: str, cursor: str | None) -> dict[str, Position]:
    if cursor is None:
        return {}
    try:
        told = json.loads(cursor)
        return {
            name: Position(
                at=one["at"], seen={_later(one["at"], back): unpack(ids) for back, ids in one["seen"].items()}
            )
            for name, one in told["sources"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(
            f"reading the cursor of {entity}: it is none of ours",
            hint="Reset the cursor and run a Sweep; nothing is lost.",
        ) from error


def _write_cursor(positions: Mapping[str, Position]) -> str:
    out = {
        name: {"at": one.at, "seen": {_earlier(one.at, second): pack(ids) for second, ids in one.seen.items()}}
        for name, one in positions.items()
    }
    return json.dumps({"sources": out}, separators=(",", ":"), sort_keys=True)


def _earlier(at: str, second: str) -> str:
    return str(int((codec.moment(at) - codec.moment(second)).total_seconds()))


def _later(at: str, seconds: str) -> str:
    return codec.told(codec.moment(at) - timedelta(seconds=int(seconds)))
