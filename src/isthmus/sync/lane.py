"""The lane: one runner per pair and Entity that drains the inbox in adaptive batches until nothing is due."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from isthmus.errors import Halt, IsthmusError, Retry
from isthmus.model.clock import Clock
from isthmus.store import changes, intents
from isthmus.store.database import Database
from isthmus.sync.gather import Gatherer
from isthmus.sync.pair import EntityBinding
from isthmus.sync.recover import Recovery, recover
from isthmus.sync.settle import Context, Fence, Settler, Tally, backoff
from isthmus.sync.work import Change, Item

LANE = 0
"""There is one lane per pair and Entity; the column leaves room for shards."""


@dataclass(frozen=True, slots=True)
class Drained:
    """How a drain ended: what was done, when the lane wants to be woken again, and whether the pair must halt."""

    tally: Tally
    next_due: float | None
    halt: IsthmusError | None = None


class Lane:
    """Drains lanes: claims what is due, reads both sides, settles, until the lane is empty."""

    def __init__(self, db: Database, clock: Clock, rng: random.Random) -> None:
        self._db = db
        self._clock = clock
        self._rng = rng
        self._gatherer = Gatherer(db, clock)
        self._settler = Settler(db, clock, rng)

    async def drain(
        self,
        entity: EntityBinding,
        *,
        epoch: int,
        fence: Fence,
        change_set: Callable[[Connection], int],
        stopping: Callable[[], bool] = lambda: False,
        guarded: bool = True,
    ) -> Drained:
        """Work the lane until nothing is due. Retry errors put the batch back; a Halt error is handed up.

        `guarded` False lets more through than the guard allows: a person has said so.

        `fence` raises when the lane's lease was taken over: then the other runner goes on and this one ends.
        """
        total = Tally()
        written = 0
        await self._db.run(changes.reclaim, entity.pair_id, entity.name, LANE, epoch)
        while not stopping():
            batch, open_intents, set_id = await self._db.run(self._begin, entity, epoch, fence, change_set)
            waits: float | None = None
            if open_intents:
                try:
                    recovery = await recover(self._db, self._clock, entity, open_intents, fence)
                except IsthmusError as error:
                    delay = await self._put_back(batch, error, epoch)
                    return Drained(total, delay, error if isinstance(error, Halt) else None)
                batch = await self._set_aside(batch, recovery, epoch)
                waits = min(recovery.waiting.values(), default=None)
                if not batch and recovery.confirmed + recovery.freed:
                    continue
            if not batch:
                due = await self._db.run(changes.seconds_until_due, entity.pair_id, entity.name, LANE)
                return Drained(total, min((d for d in (due, waits) if d is not None), default=None))
            context = Context(
                fence=fence,
                epoch=epoch,
                change_set_id=set_id,
                why={"source": "live"},
                guarded=guarded,
                written=written,
            )
            tally = await self._look(entity, batch, context)
            total.add(tally)
            # A batch that is not full means the lane has caught up: what comes next is another go.
            written = written + tally.writes if len(batch) >= _most(entity) else 0
            if tally.halt is not None:
                return Drained(total, None, tally.halt)
            if tally.pause:
                # The other side is away: everything else in the lane would only fail as well.
                return Drained(total, tally.pause)
        due = await self._db.run(changes.seconds_until_due, entity.pair_id, entity.name, LANE)
        return Drained(total, due)

    def _begin(
        self, conn: Connection, entity: EntityBinding, epoch: int, fence: Fence, change_set: Callable[[Connection], int]
    ) -> tuple[list[Change], list[Any], int | None]:
        """One transaction: claim a batch, and see which writes are without a known outcome."""
        fence(conn)
        rows = changes.claim(conn, entity.pair_id, entity.name, LANE, epoch, _most(entity))
        batch = [
            Change(
                id=int(r.id),
                side=r.side,
                key=r.key,
                claimed_seq=int(r.claimed_seq),
                attempts=int(r.attempts),
                first_at=r.first_at,
            )
            for r in rows
        ]
        unresolved = intents.unresolved(conn, entity.pair_id, entity.name)
        return batch, unresolved, change_set(conn) if batch else None

    async def _set_aside(self, batch: Sequence[Change], recovery: Recovery, epoch: int) -> list[Change]:
        """Records with a write that is without an answer go back to wait for it; the others go on."""
        closes = [
            changes.Close(
                change_id=c.id,
                outcome=None,
                delay=min(1.0, recovery.waiting[c.side, c.key]),
                reason={"note": "a write is without an answer; it is read back before anything is sent again"},
            )
            for c in batch
            if (c.side, c.key) in recovery.waiting
        ]
        if closes:
            await self._db.run(changes.close, closes, epoch=epoch)
        return [c for c in batch if (c.side, c.key) not in recovery.waiting]

    async def _look(self, entity: EntityBinding, batch: Sequence[Change], context: Context) -> Tally:
        try:
            items: list[Item] = await self._gatherer.begin(entity, batch)
            async with self._alone(entity, items):
                await self._gatherer.read(entity, items)
                return await self._settler.settle(entity, items, context)
        except Retry as error:
            delay = await self._put_back(batch, error, context.epoch)
            return Tally(again=len(batch), pause=delay)
        except Halt as error:
            await self._put_back(batch, error, context.epoch)
            return Tally(again=len(batch), halt=error)

    @asynccontextmanager
    async def _alone(self, entity: EntityBinding, items: Sequence[Item]) -> AsyncIterator[None]:
        """Where records of several Entities are one kind of record over there, only one lane at a time looks for
        counterparts and creates: else a customer that is a vendor too would be made twice.
        """
        if not entity.crowded or all(item.link is not None for item in items):
            yield
            return
        async with self._db.exclusive(f"create:{entity.pair_id}"):
            yield

    async def _put_back(self, batch: Sequence[Change], error: IsthmusError, epoch: int | None) -> float:
        """Put a whole batch back that could not even be read; returns the seconds to wait."""
        attempts = max((c.attempts for c in batch), default=1)
        wait = getattr(error, "wait", None)
        delay = wait.total_seconds() if wait is not None else backoff(attempts, self._rng)
        reason = error.as_dict()
        closes = [changes.Close(change_id=c.id, outcome=None, delay=delay, reason=reason) for c in batch]
        await self._db.run(changes.close, closes, epoch=epoch)
        return delay


def _most(entity: EntityBinding) -> int:
    """The largest batch either side likes."""
    return max(entity.left.connector.traits.batch_update, entity.right.connector.traits.batch_update)
