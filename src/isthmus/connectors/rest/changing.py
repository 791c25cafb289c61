"""What changed since a Cursor: walks the list of changed records so that none is missed and none is lost on the way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

from isthmus.connectors.rest.codec import EntityCodec, Row
from isthmus.connectors.rest.manifest import Manifest
from isthmus.connectors.rest.reading import Reader
from isthmus.connectors.rest.wire import Answer
from isthmus.sdk import ChangePage, Clock, Hint, Misconfigured, Response, Scope

REMEMBERED = 500
"""More records than this inside the overlap are hinted again instead of being remembered in the Cursor."""

QUIET_WALKS = 4
"""How often an unordered list is walked again because records changed meanwhile."""


class Cursor(msgspec.Struct, frozen=True):
    """How far changes were read, by the other system's clock; `seen` holds what lies inside the overlap."""

    since: datetime
    seen: dict[str, str] = {}

    def text(self) -> str:
        """As stored; only this module reads it."""
        return msgspec.json.encode(self).decode()


@dataclass(slots=True)
class _Walk:
    """One walk through the changed records."""

    start: Cursor
    high: datetime
    began_at: datetime | None = None
    answered_at: datetime | None = None
    rows: dict[str, str] = field(default_factory=dict)
    stirred: bool = False
    recent: dict[str, tuple[datetime, str]] = field(default_factory=dict)


class Changer:
    """Finds what changed in the Entities of one manifest."""

    def __init__(self, manifest: Manifest, reader: Reader, clock: Clock) -> None:
        self._manifest = manifest
        self._reader = reader
        self._clock = clock
        self._overlap = timedelta(seconds=manifest.changes.overlap_seconds)

    async def pages(self, entity: str, cursor: str | None, scope: Scope | None) -> AsyncIterator[ChangePage]:
        """Hints since `cursor`; None begins now. A child's changes are those of its parent."""
        codec = self._reader.codec(entity)
        listed = self._reader.codec(codec.spec.parent.entity) if codec.spec.parent else codec
        doing = f"reading changed {entity} records from {self._manifest.name}"
        if not self._reader.filters(listed.spec).updated_since or not listed.spec.changed_at:
            raise Misconfigured(
                f"{doing}: the manifest names no filter for changed records",
                hint="Give filters.updated_since and the entity's changed_at; else rely on webhooks and sweeps.",
            )
        if cursor is None:
            yield ChangePage(hints=[], cursor=(await self._now(listed, doing)).text())
            return
        start = read_cursor(cursor, doing)
        walk = self._ordered if self._manifest.changes.ordered else self._unordered
        async for page in walk(codec, listed, start, scope, doing):
            yield page

    async def _now(self, listed: EntityCodec, doing: str) -> Cursor:
        """The present by the other system's clock, less the overlap: writes may be under way there."""
        async for answer, _ in self._reader.lists(listed.spec, [], doing, size=1):
            return Cursor(since=self._answered_at(answer.response) - self._overlap)
        raise AssertionError("unreachable: a list has at least one page")

    async def _ordered(
        self, codec: EntityCodec, listed: EntityCodec, start: Cursor, scope: Scope | None, doing: str
    ) -> AsyncIterator[ChangePage]:
        """The list comes in the order of the changes, so each page's last row is a safe place to go on from.

        A record that changes while we page moves to the end and is met again there. With page numbers or offsets
        that shifts the others, so each page is asked for from the last row on instead of by its number.
        """
        walk = _Walk(start=start, high=start.since)
        stable = self._manifest.paging.style in ("cursor", "link", "none")
        since, reached = start.since - self._overlap, None
        while True:
            moved_on = False
            async with aclosing(self._since(listed, since, doing)) as pages:
                async for answer, rows in pages:
                    self._note(walk, answer)
                    yield self._page(walk, codec, listed, rows, scope)
                    last = listed.changed_of(rows[-1]) if rows else None
                    if not stable and last is not None and (reached is None or last > reached):
                        # A hair before the last row: some systems answer only what changed after the instant given.
                        reached, since, moved_on = last, last - timedelta(microseconds=1), True
                        break
            if not moved_on:
                return

    async def _unordered(
        self, codec: EntityCodec, listed: EntityCodec, start: Cursor, scope: Scope | None, doing: str
    ) -> AsyncIterator[ChangePage]:
        """The list comes in any order: the Cursor moves only after a walk during which nothing changed."""
        held = start.text()
        told: dict[str, str] = {}
        for _ in range(QUIET_WALKS):
            walk = _Walk(start=start, high=start.since, rows=told)
            async for answer, rows in self._since(listed, start.since - self._overlap, doing):
                self._note(walk, answer)
                page = self._page(walk, codec, listed, rows, scope)
                yield ChangePage(hints=page.hints, cursor=held)
            if not walk.stirred:
                yield ChangePage(hints=[], cursor=self._cursor(walk).text())
                return
        # Too busy to be read in one quiet go: the Cursor stays, the next poll sees the same again and more.

    async def _since(
        self, listed: EntityCodec, since: datetime, doing: str
    ) -> AsyncGenerator[tuple[Answer, Sequence[Row]], None]:
        param = self._reader.filters(listed.spec).updated_since or ""
        written = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
        async for answer, rows in self._reader.lists(listed.spec, [(param, written)], doing):
            yield answer, rows

    def _note(self, walk: _Walk, answer: Answer) -> None:
        walk.answered_at = self._answered_at(answer.response)
        walk.began_at = walk.began_at or walk.answered_at

    def _page(
        self, walk: _Walk, codec: EntityCodec, listed: EntityCodec, rows: Sequence[Row], scope: Scope | None
    ) -> ChangePage:
        hints: list[Hint] = []
        for row in rows:
            key, version = listed.key_of(row), listed.version_of(row) or ""
            changed = listed.changed_of(row)
            if changed is None:
                raise Misconfigured(
                    f"reading changed {codec.name} records: {key} has no {listed.spec.changed_at}",
                    hint="Check the changed_at field of this entity in the manifest.",
                )
            walk.high = max(walk.high, min(changed, self._present(walk)))
            walk.stirred |= walk.began_at is not None and changed >= walk.began_at - timedelta(seconds=1)
            walk.recent[key] = (changed, version)
            mark = version or changed.isoformat()
            known = walk.rows.get(key) == mark or (version and walk.start.seen.get(key) == version)
            walk.rows[key] = mark
            if not known:
                hints.extend(self._hints(codec, listed, row, changed, scope))
        return ChangePage(hints=hints, cursor=self._cursor(walk).text())

    def _hints(
        self, codec: EntityCodec, listed: EntityCodec, row: Row, changed: datetime, scope: Scope | None
    ) -> list[Hint]:
        if codec is not listed and codec.spec.parent is not None:
            children = self._reader.children_of(codec, codec.spec.parent, listed, row)
            return [self._hint(codec, child, parent, changed, scope) for child, parent in children]
        return [self._hint(codec, row, None, changed, scope)]

    def _hint(self, codec: EntityCodec, row: Row, parent: str | None, changed: datetime, scope: Scope | None) -> Hint:
        """A record that left the scope is hinted at as well (without content): that is a change, too.

        `changed` is the moment in the list; a child's is its parent's, so that hints keep the list's order.
        """
        inside = self._reader.in_scope(codec.name, row, scope)
        record = codec.record(row, tuple(codec.fields), parent) if inside else None
        return Hint(
            entity=codec.name,
            key=codec.key_of(row, parent),
            occurred_at=changed,
            version=codec.version_of(row),
            record=record,
        )

    def _cursor(self, walk: _Walk) -> Cursor:
        edge = walk.high - self._overlap
        seen = {key: version for key, (changed, version) in walk.recent.items() if changed >= edge and version}
        kept = {**{k: v for k, v in walk.start.seen.items() if k not in walk.recent}, **seen}
        if walk.high > walk.start.since:  # what lay in the old overlap only is out of reach of the next poll
            kept = seen
        return Cursor(since=walk.high, seen=kept if len(kept) <= REMEMBERED else {})

    def _present(self, walk: _Walk) -> datetime:
        """No Cursor passes this: a record dated in the future must not hide those that change until then."""
        return (walk.answered_at or self._clock.now()) + timedelta(seconds=2)

    def _answered_at(self, response: Response) -> datetime:
        said = response.headers.get("date", "")
        try:
            when = parsedate_to_datetime(said)
        except ValueError:
            return self._clock.now()
        return when if when.tzinfo else when.replace(tzinfo=UTC)


def read_cursor(cursor: str, doing: str) -> Cursor:
    """The stored Cursor; an instant alone is accepted as well. Raises Misconfigured for anything else."""
    try:
        if not cursor.startswith("{"):
            return Cursor(since=_aware(datetime.fromisoformat(cursor)))
        found = msgspec.json.decode(cursor, type=Cursor)
        return Cursor(since=_aware(found.since), seen=found.seen)
    except (ValueError, msgspec.ValidationError) as error:
        raise Misconfigured(
            f"{doing}: the cursor {cursor[:80]!r} is not one of ours",
            hint="Set the cursor of this poll to an instant such as 2026-01-31T00:00:00Z, then run a sweep.",
        ) from error


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=UTC)
