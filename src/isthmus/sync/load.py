"""The initial load: read both sides whole, predict what would happen to each record, then commit it."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from isthmus.model.clock import Clock
from isthmus.model.policy import other
from isthmus.store import intents
from isthmus.store.database import Database
from isthmus.sync.gather import Gatherer, display_name
from isthmus.sync.pair import EntityBinding
from isthmus.sync.plan import Plan, plan
from isthmus.sync.recover import recover
from isthmus.sync.settle import Context, Settler, Tally
from isthmus.sync.survey import Progress, Survey, begin, survey
from isthmus.sync.work import Item

PASSES = 6
"""How often records that refer to each other are tried again: the depth of a hierarchy that loads in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What would happen to one record: create, link, update, conflict, hold, wait or nothing, and why."""

    entity: str
    side: str
    key: str
    partner: str | None
    name: str
    kind: str
    why: str
    writes: Mapping[str, Any] = field(default_factory=dict)


def predict(entity: EntityBinding, plans: Sequence[Plan]) -> list[Prediction]:
    """Say for each plan what it would do."""
    return [_prediction(entity, one) for one in plans]


def _prediction(entity: EntityBinding, one: Plan) -> Prediction:
    item = one.item
    me = item.seen(item.origin)
    why = str(one.error) if one.error else one.reason or (item.match.why if item.match else "")
    return Prediction(
        entity=entity.name,
        side=item.origin,
        key=me.key or "",
        partner=item.seen(other(item.origin)).key,
        name=display_name(me.values),
        kind=_kind(one),
        why=why,
        writes={w.side: dict(w.fields) for w in one.writes},
    )


def _kind(one: Plan) -> str:
    if one.needs:
        return "wait"
    if one.error is not None:
        return "hold"
    if one.conflicts:
        return "conflict"
    if any(w.action == "create" for w in one.writes):
        return "create"
    if one.links:
        return "link and update" if one.writes else "link"
    if one.tombstone or any(w.tombstone for w in one.writes):
        return "release"
    return "update" if one.writes else "nothing"


_USUAL = gc.get_threshold()


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """A load makes millions of values that stay: looking through them for cycles took an eighth of its time."""
    gc.set_threshold(20_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*_USUAL)


class Loader:
    """Stages and commits initial loads; also the machinery of the Sweep and of re-sync by filter."""

    def __init__(self, db: Database, clock: Clock, rng: random.Random) -> None:
        self._db = db
        self._clock = clock
        self._gatherer = Gatherer(db, clock)
        self._settler = Settler(db, clock, rng)

    async def look(
        self, entity: EntityBinding, progress: Progress, keep: Callable[[Item], bool] | None = None
    ) -> tuple[Survey, list[Plan]]:
        """Survey one Entity and plan every Item (or those that `keep` accepts); nothing is written anywhere."""
        found = await survey(self._db, self._clock, entity, progress)
        if keep is not None:
            found.items = [item for item in found.items if keep(item)]
        return found, [plan(entity, item) for item in found.items]

    async def load(self, entity: EntityBinding, context: Context, progress: Progress) -> tuple[list[Prediction], Tally]:
        """Survey one Entity, then plan and carry out as it goes: the systems are busy while the rest is planned.

        The caller holds the lane's lease, as for `commit`; no guard is asked.
        """
        with _collecting_seldom():
            return await self._load(entity, context, progress)

    async def _load(
        self, entity: EntityBinding, context: Context, progress: Progress
    ) -> tuple[list[Prediction], Tally]:
        found = await begin(self._db, self._clock, entity, progress)
        predictions: list[Prediction] = []
        waiting: list[Item] = []
        through = 0

        async def planned() -> AsyncIterator[Plan]:
            part = found.items or await found.more()
            while part:
                for item in part:
                    one = plan(entity, item)
                    predictions.append(_prediction(entity, one))
                    if not one.needs and not one.later:
                        yield one
                    else:
                        waiting.append(item)
                part = await found.more()

        def told(done: int) -> None:
            nonlocal through
            through += done
            progress(entity.name, "writing", through, max(through, found.most))

        total = await self._settler.stream(entity, planned(), context, told)
        if total.halt is not None:
            raise total.halt
        if waiting:
            await self._gatherer.resolve(entity, waiting)
            total.add(await self.commit(entity, [plan(entity, item) for item in waiting], context, progress))
        return predictions, total

    async def commit(self, entity: EntityBinding, plans: Sequence[Plan], context: Context, progress: Progress) -> Tally:
        """Carry plans out; records that wait for one another follow in further passes.

        The caller holds the lane's lease, so that live changes of the same Entity wait until this is through.
        """
        total = Tally()
        todo = list(plans)
        size = sum(1 for p in plans if p.writes)
        done = 0
        for turn in range(PASSES):
            waiting = [p for p in todo if p.needs or p.later]
            ready = [p for p in todo if not p.needs and not p.later]
            for slice_ in _slices(ready, 2000):
                total.add(await self._settler.carry_out(entity, slice_, context))
                done += sum(1 for p in slice_ if p.writes)
                progress(entity.name, "writing", done, max(size, done))
                if total.halt is not None:
                    raise total.halt
            if not waiting:
                return total
            items = [p.item for p in waiting]
            await self._gatherer.resolve(entity, items)
            todo = [plan(entity, item) for item in items]
            if turn == PASSES - 1 or len([p for p in todo if p.needs or p.later]) == len(waiting):
                total.add(await self._settler.carry_out(entity, todo, context))
                return total
        return total

    async def settle_unknown(self, entity: EntityBinding, context: Context) -> None:
        """Resolve what an interrupted load or lane left without an answer, before anything is planned.

        Waits, up to the other side's request ceiling, for what may still take place: it would be made twice.
        """
        while rows := await self._db.run(intents.unresolved, entity.pair_id, entity.name):
            found = await recover(self._db, self._clock, entity, rows, context.fence)
            if not found.waiting:
                return
            await asyncio.sleep(min(1.0, *found.waiting.values()))


def figures(predictions: Sequence[Prediction]) -> dict[str, dict[str, int]]:
    """How many records of each Entity would be created, linked, updated, held and so on, per side of origin."""
    out: dict[str, Counter[str]] = {}
    for one in predictions:
        out.setdefault(one.entity, Counter())[one.kind] += 1
    return {entity: dict(counter) for entity, counter in out.items()}


def _slices(plans: Sequence[Plan], size: int) -> list[Sequence[Plan]]:
    return [plans[n : n + size] for n in range(0, len(plans), size)]
