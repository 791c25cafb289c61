"""The lane of a flow: begins Runs, works items batch by batch, and writes each segment down in one transaction."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Connection

from isthmus.engine.lease import Lease
from isthmus.errors import IsthmusError
from isthmus.flows.advance import Segment, carry
from isthmus.flows.compiled import CompiledFlow
from isthmus.flows.item import Item, OpenIntent, RunInfo
from isthmus.flows.node import Place
from isthmus.flows.surroundings import Surroundings
from isthmus.flows.writing import write
from isthmus.model.clock import Clock
from isthmus.store import flows, runs
from isthmus.store.database import Database

MOST_RUNS = 200
"""Runs begun at once; more begin when fewer items than this are due."""
MOST_LOOKED_AT = 500
PARALLEL = 4
"""Segments of one flow that work at the same time, each with items of its own."""

_LOG = logging.getLogger(__name__)

Compile = Callable[[int], Any]
"""Gives the (CompiledFlow, Surroundings) of a version of the flow, awaited."""


@dataclass(slots=True)
class Drained:
    """How a drain ended: what was done, when the flow is due again, who else is to be woken, what stopped it."""

    items: int = 0
    ended: int = 0
    held: int = 0
    next_due: float | None = None
    wake: set[int] = field(default_factory=set)
    halt: IsthmusError | None = None


@dataclass(slots=True)
class _Claim:
    flow: CompiledFlow
    world: Surroundings
    items: list[Item]


class FlowLane:
    """Drains one flow at a time; the caller holds the flow's lease, so that there is one runner on all machines."""

    def __init__(self, db: Database, clock: Clock, rng: random.Random) -> None:
        self._db = db
        self._clock = clock
        self._rng = rng

    async def drain(
        self, flow_id: int, lease: Lease, version_of: Compile, *, stopping: Callable[[], bool] = lambda: False
    ) -> Drained:
        """Work until nothing is due. LeaseLost goes up: then the other runner continues from the rows."""
        out = Drained()
        busy: set[int] = set()
        writing = asyncio.Lock()
        running: dict[asyncio.Task[None], set[int]] = {}
        try:
            while True:
                claim = None
                if not stopping() and out.halt is None and len(running) < PARALLEL:
                    claim = await self._claim(flow_id, lease, version_of, busy)
                if claim is not None:
                    ids = {item.id for item in claim.items}
                    busy |= ids
                    running[asyncio.create_task(self._work(claim, lease, writing, out))] = ids
                    if len(running) < PARALLEL:
                        await asyncio.sleep(0)
                        if not any(task.done() for task in running):
                            continue
                if not running:
                    break
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    busy -= running.pop(task)
                for task in done:
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        out.next_due = await self._db.run(runs.seconds_until_due, flow_id)
        return out

    async def _claim(self, flow_id: int, lease: Lease, version_of: Compile, busy: set[int]) -> _Claim | None:
        """The next batch: the items that are due at the earliest node, and Runs begun when there is room."""
        found = await self._db.run(self._look, flow_id, lease, busy)
        if not found:
            return None
        versions = {int(row.version): await version_of(int(row.version)) for row in found}

        def rank(row: Any) -> tuple[int, int]:
            flow, _ = versions[int(row.version)]
            return flow.place.get(str(row.node), 0), int(row.version)

        first = min(found, key=rank)
        flow, world = versions[int(first.version)]
        ids = [int(r.id) for r in found if r.version == first.version and r.node == first.node]
        ids = ids[: flow.nodes[first.node].batch()]
        items = await self._db.run(self._load, flow, str(first.node), ids)
        return _Claim(flow, world, items)

    def _look(self, conn: Connection, flow_id: int, lease: Lease, busy: set[int]) -> list[Any]:
        lease.fence(conn)
        row = flows.by_id(conn, flow_id)
        if row is None or row.state != "active":
            return []
        found = runs.due(conn, flow_id, list(busy), MOST_LOOKED_AT)
        if len(found) < MOST_RUNS and row.version is not None and runs.begin(conn, flow_id, row.version, MOST_RUNS):
            found = runs.due(conn, flow_id, list(busy), MOST_LOOKED_AT)
        return found

    def _load(self, conn: Connection, flow: CompiledFlow, node: str, ids: Sequence[int]) -> list[Item]:
        kind = flow.nodes[node]
        intents = runs.open_intents(conn, ids, node) if kind.EFFECT else {}
        children = runs.children(conn, ids, node) if kind.JOINS else {}
        infos: dict[int, RunInfo] = {}
        return [_item(row, flow, infos, intents, children) for row in runs.take(conn, ids)]

    async def _work(self, claim: _Claim, lease: Lease, writing: asyncio.Lock, out: Drained) -> None:
        """One segment: work, then write it down. Segments of one flow are written one after the other."""
        segment = Segment()

        def place(node: str) -> Place:
            return Place(
                node=node,
                flow=claim.flow.name,
                now=self._clock.now(),
                world=claim.world,
                ways=claim.flow.ports(node),
            )

        if not claim.items:
            return
        await carry(segment, claim.flow, claim.items, place, self._rng, self._clock.monotonic)
        async with writing:
            written = await self._db.run(write, claim.flow, segment, lease.fence)
        out.items += written.items
        out.ended += written.ended
        out.held += written.held
        out.wake |= written.wake
        out.halt = out.halt or segment.halt


def _item(
    row: Any,
    flow: CompiledFlow,
    infos: dict[int, RunInfo],
    intents: Mapping[int, Any],
    children: Mapping[int, list[Any]],
) -> Item:
    run = infos.get(int(row.run_id))
    if run is None:
        run = infos[int(row.run_id)] = RunInfo(
            id=int(row.run_id),
            flow_id=flow.id,
            flow=flow.name,
            version=flow.version,
            key=row.run_key,
            started_at=row.started_at,
        )
    found = intents.get(int(row.id))
    return Item(
        run=run,
        id=int(row.id),
        parent_id=row.parent_id,
        place=row.place,
        key=row.key,
        node=row.node,
        data=cast(dict[str, Any], row.data),
        memo=dict(row.memo),
        visit=row.visit,
        attempts=row.attempts,
        rev=row.rev,
        wakes=row.wakes,
        timed_out=row.state == "waiting",
        children=children.get(int(row.id), []),
        intent=None if found is None else intent_of(found),
    )


def intent_of(row: Any) -> OpenIntent:
    """An Intent of the database as nodes see it."""
    return OpenIntent(
        id=int(row.id),
        state=row.state,
        idempotency_key=row.idempotency_key,
        external_key=row.external_key,
        payload=row.payload,
        age=float(getattr(row, "age", 0.0) or 0.0),
    )
