"""A system in memory at its worst: hidden records, batches answered in part, writes that land after the read-back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from isthmus.errors import OutcomeUnknown
from isthmus.sdk.connector import Outcome, Record, Scope, Selection, Stale, Traits, Unsure, Written
from isthmus.testing.memory import MemoryConnector, MemorySystem


class RoughConnector(MemoryConnector):
    """A MemoryConnector with more ways to go wrong.

    `hidden` keys are there but not shown to us; `half` is the share of batches of which only a part is answered,
    `late` the share of calls that are put off until `land` is called, `stale` the share of updates told to have come
    too late for no reason. Without `adopts` a create that comes twice makes two records. `step` is called at every
    turn.
    """

    def __init__(self, system: MemorySystem, *, traits: Traits | None = None) -> None:
        super().__init__(system, traits=traits)
        self.hidden: set[str] = set()
        self.half = 0.0
        self.late = 0.0
        self.stale = 0.0
        self.reads_always = False
        self.adopts = True
        self.step = lambda doing: None
        self._waiting: list[tuple[str, Any, Any]] = []

    async def read(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        self.step(f"read {entity}")
        async for page in super().read(entity, selection, paths, scope):
            yield [record for record in page if record.key not in self.hidden]

    async def exists(self, entity: str, keys: Sequence[str]) -> Mapping[str, bool]:
        self.step(f"exists {entity}")
        return await super().exists(entity, keys)

    async def _write(self, entity: str, items: Sequence[Any], one: Any) -> Sequence[Outcome]:
        self.step(f"before writing {entity}")
        doubt: Outcome = Unsure(error=OutcomeUnknown(f"writing {entity}", answered="no answer in time"))
        if self.system.rng.random() < self.late:
            self._waiting.extend((entity, item, one) for item in items)
            return [doubt for _ in items]
        if one == self._update and self.system.rng.random() < self.stale:
            return [Stale(key=item.key) for item in items]
        outcomes = list(await super()._write(entity, items, one))
        if self.system.rng.random() < self.half:
            outcomes = [doubt if self.system.rng.random() < 0.5 else outcome for outcome in outcomes]
        self.step(f"after writing {entity}")
        return outcomes

    def _create(self, entity: str, item: Any) -> Outcome:
        if self.adopts:
            return super()._create(entity, item)
        key = self.system.put(entity, item.values, external_key=item.external_key)
        self.system.writes += 1
        row = self.system.rows[entity][key]
        return Written(key=key, version=str(row.version), changed_at=row.changed_at, created_at=row.created_at)

    async def _reach(self, doing: str) -> None:
        if not self.reads_always:
            await super()._reach(doing)

    def change_traits(self, **traits: Any) -> None:
        """Be another kind of system from now on."""
        self._traits = replace(self._traits, **traits)

    @property
    def waiting(self) -> int:
        """How many writes may still land."""
        return len(self._waiting)

    def land(self) -> None:
        """What was sent and not answered takes place now, if the record is still as it was expected to be."""
        waiting, self._waiting = self._waiting, []
        for entity, item, one in waiting:
            one(entity, item)
