"""A whole system in memory behind the seven verbs: for tests of flows and mappings without any network."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from isthmus.errors import InvalidRecord, OutcomeUnknown, Unavailable
from isthmus.model.schema import EntitySchema
from isthmus.sdk.connector import (
    ByExternalKeys,
    ByKeys,
    ByValues,
    ChangePage,
    Connector,
    Create,
    Delete,
    Failed,
    Finding,
    Gone,
    Hint,
    Outcome,
    Record,
    Scope,
    Selection,
    Stale,
    Traits,
    Unsure,
    Update,
    Written,
)

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Row:
    """One stored record."""

    key: str
    values: dict[str, Any]
    version: int
    changed_at: datetime
    created_at: datetime
    external_key: str | None = None
    inherited: list[str] = field(default_factory=list)

    def carries(self) -> list[str]:
        """The external keys it is found by: its own, and those of records that were merged into it."""
        return [*([self.external_key] if self.external_key else []), *self.inherited]


@dataclass(slots=True)
class Faults:
    """Shares of calls that go wrong, by kind; drawn from the system's own seeded generator."""

    lost_answer: float = 0.0
    unavailable: float = 0.0
    refused: set[str] = field(default_factory=set)


class MemorySystem:
    """The stored records of every Entity, edited by its 'users' and by the connector alike."""

    def __init__(self, *, prefix: str = "", seed: int = 0, active_path: str = "active") -> None:
        self.prefix = prefix
        self.active_path = active_path
        self.rows: dict[str, dict[str, Row]] = {}
        self.log: list[tuple[str, str]] = []
        self.writes = 0
        self.calls = 0
        self.faults = Faults()
        self.rng = random.Random(seed)
        self._numbers = itertools.count(1)
        self._ticks = itertools.count(1)

    def _now(self) -> datetime:
        return _EPOCH + timedelta(seconds=next(self._ticks))

    def put(
        self, entity: str, values: Mapping[str, Any], *, key: str | None = None, external_key: str | None = None
    ) -> str:
        """Create or edit a record as a user would; returns its key."""
        table = self.rows.setdefault(entity, {})
        now = self._now()
        if key is None or key not in table:
            key = key or f"{self.prefix}{next(self._numbers)}"
            table[key] = Row(key, dict(values), 1, now, now, external_key)
        else:
            row = table[key]
            row.values.update(values)
            row.version += 1
            row.changed_at = now
        self.log.append((entity, key))
        return key

    def remove(self, entity: str, key: str) -> None:
        """Delete a record as a user would."""
        del self.rows[entity][key]
        self.log.append((entity, key))

    def merge(self, entity: str, loser: str, survivor: str) -> None:
        """Merge two records as a user would: the survivor is found by the loser's external keys as well."""
        self.rows[entity][survivor].inherited.extend(self.rows[entity][loser].carries())
        self.remove(entity, loser)
        self.log.append((entity, survivor))


class MemoryConnector(Connector):
    """Speaks to a MemorySystem; every call may be lost or refused as its Faults say."""

    key: ClassVar[str] = "memory"

    def __init__(self, system: MemorySystem, *, traits: Traits | None = None) -> None:
        self.system = system
        self._traits = traits or Traits(
            batch_create=50, batch_update=50, ceiling_seconds=0.5, idempotent_creates=False, exact_versions=True
        )

    @property
    def traits(self) -> Traits:
        return self._traits

    async def check(self) -> Sequence[Finding]:
        return [Finding(check="memory", status="ok", message="always there")]

    async def describe(self, entities: Sequence[str] | None = None) -> Sequence[EntitySchema]:
        return [EntitySchema(name=name, count=len(rows)) for name, rows in self.system.rows.items()]

    async def read(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        await self._reach(f"reading {entity}")
        rows = list(self.system.rows.get(entity, {}).values())
        if isinstance(selection, ByKeys):
            rows = [r for r in rows if r.key in set(selection.keys)]
        elif isinstance(selection, ByExternalKeys):
            wanted = set(selection.keys)
            yield [
                replace(self._record(row, paths), external_key=key)
                for row in rows
                for key in row.carries()
                if key in wanted
            ]
            return
        elif isinstance(selection, ByValues):
            rows = [r for r in rows if r.values.get(selection.path) in set(selection.values)]
        if scope:
            rows = [r for r in rows if all(r.values.get(name) == value for name, value in dict(scope).items())]
        yield [self._record(row, paths) for row in rows]

    def _record(self, row: Row, paths: Sequence[str]) -> Record:
        return Record(
            key=row.key,
            values={path: row.values.get(path) for path in paths if path in row.values or not path.startswith("@")},
            version=str(row.version),
            changed_at=row.changed_at,
            created_at=row.created_at,
            active=bool(row.values.get(self.system.active_path, True)),
            external_key=row.external_key,
        )

    async def changes(self, entity: str, cursor: str | None, scope: Scope | None = None) -> AsyncIterator[ChangePage]:
        start = len(self.system.log) if cursor is None else int(cursor)
        hints = [Hint(entity=e, key=k) for e, k in self.system.log[start:] if e == entity]
        yield ChangePage(hints=hints, cursor=str(len(self.system.log)))

    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        return await self._write(entity, items, self._create)

    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        return await self._write(entity, items, self._update)

    async def delete(self, entity: str, items: Sequence[Delete]) -> Sequence[Outcome]:
        return await self._write(entity, items, self._delete)

    async def exists(self, entity: str, keys: Sequence[str]) -> Mapping[str, bool]:
        return {key: key in self.system.rows.get(entity, {}) for key in keys}

    async def _write(self, entity: str, items: Sequence[Any], one: Any) -> Sequence[Outcome]:
        await asyncio.sleep(0)
        self.system.calls += 1
        if self.system.rng.random() < self.system.faults.unavailable:
            return [Failed(error=Unavailable(f"writing {entity}", answered="no connection")) for _ in items]
        outcomes: list[Outcome] = [one(entity, item) for item in items]
        if self.system.rng.random() < self.system.faults.lost_answer:
            return [Unsure(error=OutcomeUnknown(f"writing {entity}", answered="no answer in time")) for _ in items]
        return outcomes

    def _create(self, entity: str, item: Create) -> Outcome:
        if self._refuses(item.values):
            return Failed(error=InvalidRecord(f"creating {entity}", answered="refused value"))
        taken = next((r for r in self.system.rows.get(entity, {}).values() if item.external_key in r.carries()), None)
        if taken is not None:
            return Written(key=taken.key, version=str(taken.version), created=False)
        key = self.system.put(entity, item.values, external_key=item.external_key)
        self.system.writes += 1
        row = self.system.rows[entity][key]
        return Written(key=key, version=str(row.version), changed_at=row.changed_at, created_at=row.created_at)

    def _update(self, entity: str, item: Update) -> Outcome:
        row = self.system.rows.get(entity, {}).get(item.key)
        if row is None:
            return Gone(key=item.key)
        if self._refuses(item.values):
            return Failed(error=InvalidRecord(f"updating {entity} {item.key}", answered="refused value"))
        if any(row.values.get(path) != value for path, value in item.expect.items()):
            return Stale(key=item.key)
        self.system.put(entity, item.values, key=item.key)
        self.system.writes += 1
        return Written(key=item.key, version=str(row.version), changed_at=row.changed_at)

    def _delete(self, entity: str, item: Delete) -> Outcome:
        if item.key not in self.system.rows.get(entity, {}):
            return Gone(key=item.key)
        self.system.remove(entity, item.key)
        self.system.writes += 1
        return Written(key=item.key)

    def _refuses(self, values: Mapping[str, Any]) -> bool:
        return any(str(value) in self.system.faults.refused for value in values.values())

    async def _reach(self, doing: str) -> None:
        self.system.calls += 1
        if self.system.rng.random() < self.system.faults.unavailable:
            raise Unavailable(doing, answered="no connection")
