"""Carrying plans out: Intents stored, calls in perfect batches, outcomes confirmed in one transaction each."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from isthmus.errors import Conflicted, Halt, IsthmusError, OutcomeUnknown, RateLimited, SafetyLimit
from isthmus.model.canonical import encode
from isthmus.model.clock import Clock
from isthmus.model.policy import Side, other
from isthmus.sdk.connector import Create, Delete, Failed, Outcome, Unsure, Update
from isthmus.store.database import Database
from isthmus.store.intents import Intent, store_sent
from isthmus.sync.confirm import Settled, confirm
from isthmus.sync.pair import EntityBinding, SideBinding
from isthmus.sync.plan import plan
from isthmus.sync.planned import Plan, Write
from isthmus.sync.work import Item

Fence = Callable[[Connection], None]
"""Raises when the lane's lease was taken over; called in every transaction that makes an effect possible."""


@dataclass(slots=True)
class Tally:
    """What came of a batch, by kind."""

    created: int = 0
    linked: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    held: int = 0
    conflicts: int = 0
    again: int = 0
    writes: int = 0
    halt: IsthmusError | None = None
    pause: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)
    wake: set[str] = field(default_factory=set)
    flows: set[int] = field(default_factory=set)

    def add(self, more: Tally) -> None:
        """Add another batch's counts to this one."""
        for name in ("created", "linked", "updated", "deleted", "unchanged", "held", "conflicts", "again", "writes"):
            setattr(self, name, getattr(self, name) + getattr(more, name))
        self.halt = self.halt or more.halt
        self.pause = max(self.pause, more.pause)
        self.wake |= more.wake
        self.flows |= more.flows
        for kind, count in more.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """For whom a batch is settled: lease, change set, and the reason that the audit log keeps.

    `written` counts the writes of this go so far: since the lane had last caught up with what came in.
    """

    fence: Fence
    epoch: int | None
    change_set_id: int | None
    why: Mapping[str, Any]
    guarded: bool = True
    written: int = 0


class Settler:
    """Plans Items and carries the plans out, chunk by chunk, both sides at once."""

    def __init__(self, db: Database, clock: Clock, rng: random.Random) -> None:
        self._db = db
        self._clock = clock
        self._rng = rng

    async def settle(self, entity: EntityBinding, items: Sequence[Item], context: Context) -> Tally:
        """Bring every Item as far as it can go now; nothing of a record's own trouble raises."""
        plans = [self._quarantine(entity, plan(entity, item)) for item in _fold(items)]
        return await self.carry_out(entity, plans, context)

    async def carry_out(self, entity: EntityBinding, plans: Sequence[Plan], context: Context) -> Tally:
        """Execute plans; those without writes are confirmed at once, in one transaction."""
        tally = Tally()
        if context.guarded:
            _check_guard(entity, plans, context.written)
        quiet = [p for p in plans if not p.writes]
        if quiet:
            tally.add(await self._confirm(entity, quiet, {}, {}, context))
        tally.add(await self.stream(entity, _each([p for p in plans if p.writes]), context, slowly=False))
        return tally

    async def stream(
        self,
        entity: EntityBinding,
        plans: AsyncIterable[Plan],
        context: Context,
        told: Callable[[int], None] = lambda done: None,
        *,
        slowly: bool = True,
    ) -> Tally:
        """Execute plans as they come: a batch is sent while the next one is planned and the last one confirmed.

        No guard is asked. `told` hears how many plans are through. Stops taking plans once a batch halts. `slowly`:
        the first batches are small, so that the system is at work while the others are made ready.
        """
        tally = Tally()
        parallel = max(1, min(entity.left.connector.traits.parallel, entity.right.connector.traits.parallel))
        sending = asyncio.Semaphore(parallel)
        running: dict[asyncio.Task[Tally], int] = {}
        try:
            async for chunk in _chunks(entity, plans, slowly):
                if chunk:
                    task = asyncio.create_task(self._send(entity, chunk, context, sending))
                    running[task] = len(chunk)
                await asyncio.sleep(0)
                while running and (len(running) > 2 * parallel or any(task.done() for task in running)):
                    await self._collect(running, tally, told)
                if tally.halt is not None:
                    break
            while running:
                await self._collect(running, tally, told)
        except asyncio.CancelledError:
            for task in running:
                task.cancel()
            raise
        finally:
            # What is on its way is confirmed also when another batch failed.
            await asyncio.gather(*running, return_exceptions=True)
        return tally

    async def _collect(
        self, running: dict[asyncio.Task[Tally], int], tally: Tally, told: Callable[[int], None]
    ) -> None:
        """Add what the next finished batches came to; raises what made one fail."""
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        told(sum(running.pop(task) for task in done))
        failed = None
        for task in done:
            if (error := task.exception()) is not None:
                failed = error
            else:
                tally.add(task.result())
        if failed is not None:
            raise failed

    def _quarantine(self, entity: EntityBinding, one: Plan) -> Plan:
        """A record both systems keep changing back is held instead of written for ever."""
        link, guard = one.item.link, entity.policy.guard
        if not one.writes or link is None or link.our_writes_since is None:
            return one
        minutes = (self._clock.now() - link.our_writes_since).total_seconds() / 60
        if minutes > guard.loop_minutes or link.our_writes < guard.loop_writes:
            return one
        return Plan(
            item=one.item,
            error=Conflicted(
                f"writing {entity.name} {one.item.name}",
                record=one.item.seen(one.item.origin).key,
                answered=f"it was written {link.our_writes} times in {guard.loop_minutes} minutes",
                hint="Find what keeps changing it back (`isthmus trace` shows both sides), stop that, then retry.",
            ),
        )

    async def _send(
        self, entity: EntityBinding, chunk: list[Plan], context: Context, sending: asyncio.Semaphore
    ) -> Tally:
        """Store the Intents of a batch, send it, confirm it; what has no writes is confirmed at once."""
        if not chunk[0].writes:
            return await self._confirm(entity, chunk, {}, {}, context)
        async with sending:
            intents, outcomes = await self._execute(entity, chunk, context)
        return await self._confirm(entity, chunk, intents, outcomes, context)

    async def _execute(
        self, entity: EntityBinding, chunk: list[Plan], context: Context
    ) -> tuple[dict[tuple[int, Side], Intent], dict[tuple[int, Side], Outcome]]:
        intents: dict[tuple[int, Side], Intent] = {}
        for n, one in enumerate(chunk):
            for write in one.writes:
                intents[n, write.side] = self._intent(entity, one, write, context)

        def store(conn: Connection) -> None:
            context.fence(conn)
            store_sent(conn, list(intents.values()))

        await self._db.run(store)
        sides: list[Side] = [s for s in ("left", "right") if any(side == s for _, side in intents)]
        answers = await asyncio.gather(*(self._call(entity, side, chunk, intents) for side in sides))
        return intents, {key: outcome for answer in answers for key, outcome in answer.items()}

    async def _call(
        self, entity: EntityBinding, side: Side, chunk: Sequence[Plan], intents: Mapping[tuple[int, Side], Intent]
    ) -> dict[tuple[int, Side], Outcome]:
        binding = entity.side(side)
        mine = [n for n in range(len(chunk)) if (n, side) in intents]
        action = intents[mine[0], side].action
        try:
            found = await _dispatch(binding, action, [(intents[n, side], _write(chunk[n], side)) for n in mine])
        except IsthmusError as error:
            # The verbs promise outcomes, not exceptions; if one breaks that promise we do not know what was written.
            doubt = OutcomeUnknown(error.doing, answered=error.answered, facts=error.facts)
            found = [Failed(error=error) if error.action == "halt" else Unsure(error=doubt) for _ in mine]
        return {(n, side): outcome for n, outcome in zip(mine, found, strict=True)}

    def _intent(self, entity: EntityBinding, one: Plan, write: Write, context: Context) -> Intent:
        item = one.item
        source, target = item.seen(other(write.side)), item.seen(write.side)
        create = write.action == "create"
        version = target.record.version if target.record else None
        payload = encode(write.payload)
        return Intent(
            pair_id=entity.pair_id,
            entity=entity.name,
            side=write.side,
            action=write.action,
            key=None if create else target.key,
            source_key=source.key,
            link_id=item.link.id if item.link else None,
            change_id=item.changes[0].id if item.changes else None,
            change_set_id=context.change_set_id,
            external_key=entity.mint(source.key or "", item.generation) if create else None,
            idempotency_key=_idempotency_key(entity, item, write, version, payload),
            payload=payload,
            expect=encode(write.expect) if not create else None,
            fields=encode(write.fields),
            before=encode(write.before),
            bases={
                "left": encode(write.left_base),
                "right": encode(write.right_base),
                "tombstone": write.tombstone,
                "alone": one.alone,
            },
            version=version,
            epoch=context.epoch,
        )

    async def _confirm(
        self,
        entity: EntityBinding,
        plans: Sequence[Plan],
        intents: Mapping[tuple[int, Side], Intent],
        outcomes: Mapping[tuple[int, Side], Outcome],
        context: Context,
    ) -> Tally:
        settled = [
            Settled(
                plan=one,
                intents={s: intents[n, s] for s in _SIDES if (n, s) in intents},
                outcomes={s: outcomes[n, s] for s in _SIDES if (n, s) in outcomes},
                delay=self._backoff(one, [outcomes[n, s] for s in _SIDES if (n, s) in outcomes]),
            )
            for n, one in enumerate(plans)
        ]

        def work(conn: Connection) -> dict[str, Any]:
            context.fence(conn)
            return confirm(conn, entity, settled, change_set_id=context.change_set_id, why=context.why)

        counts = await self._db.run(work)
        tally = Tally(**counts)
        errors = [o.error for o in outcomes.values() if isinstance(o, Failed | Unsure)]
        tally.halt = next((e for e in errors if isinstance(e, Halt)), None)
        if outcomes and len(errors) == len(outcomes) and all(e.action == "retry" for e in errors):
            tally.pause = max(s.delay for s in settled)
        return tally

    def _backoff(self, one: Plan, outcomes: Sequence[Outcome]) -> float:
        """Seconds until this record is looked at again, should it not be closed: exponential with full jitter."""
        errors = [o.error for o in outcomes if isinstance(o, Failed | Unsure)]
        attempts = max((c.attempts for c in one.item.changes), default=1)
        waits = [e.wait.total_seconds() for e in errors if isinstance(e, RateLimited) and e.wait is not None]
        if waits:
            return max(waits) + self._rng.uniform(0, 0.2)
        return backoff(attempts, self._rng, quick=bool(one.needs) or not errors)


def backoff(attempts: int, rng: random.Random, *, quick: bool = False) -> float:
    """Full-jitter exponential delay in seconds; `quick` for what will likely pass at once (a moved record)."""
    ceiling = min(60.0, (0.05 if quick else 0.15) * 2 ** min(attempts, 12))
    return rng.uniform(ceiling / 4, ceiling)


_SIDES: tuple[Side, Side] = ("left", "right")
_QUIET = 2000
_TURN = 20


async def _dispatch(binding: SideBinding, action: str, writes: Sequence[tuple[Intent, Write]]) -> Sequence[Outcome]:
    """Call the verb; connectors get typed values, the Intent keeps the same in plain JSON."""
    connector, entity = binding.connector, binding.entity
    if action == "create":
        creates = [
            Create(external_key=i.external_key or "", values=w.payload, idempotency_key=i.idempotency_key)
            for i, w in writes
        ]
        return await connector.create(entity, creates)
    if action == "delete":
        deletes = [Delete(key=i.key or "", version=i.version, idempotency_key=i.idempotency_key) for i, _ in writes]
        return await connector.delete(entity, deletes)
    updates = [
        Update(
            key=i.key or "",
            values=w.payload,
            expect=w.expect,
            version=i.version,
            idempotency_key=i.idempotency_key,
        )
        for i, w in writes
    ]
    return await connector.update(entity, updates)


def _write(one: Plan, side: Side) -> Write:
    return next(w for w in one.writes if w.side == side)


def _fold(items: Sequence[Item]) -> list[Item]:
    """Items that turn out to be the same two records become one: each side's new record may have found the other,
    or only one of them the other, when they write the key differently.
    """
    found: dict[tuple[Side, str], Item] = {}
    for item in items:
        partner = item.seen(other(item.origin)).key
        if item.link is None and item.match is not None and item.match.verdict == "certain" and partner:
            found.setdefault((other(item.origin), partner), item)
    kept: list[Item] = []
    gone: set[int] = set()
    for item in items:
        me = item.seen(item.origin).key or ""
        host = found.get((item.origin, me)) if item.link is None else None
        if host is None or host is item or id(host) in gone:
            kept.append(item)
            continue
        host.changes.extend(item.changes)
        gone.add(id(item))
    return kept


def _idempotency_key(
    entity: EntityBinding, item: Item, write: Write, version: str | None, payload: Mapping[str, Any]
) -> str:
    """The same for the same write of the same Intent, however often it is sent; another for any other write."""
    target = item.seen(write.side).key or entity.mint(item.seen(other(write.side)).key or "", item.generation)
    body = json.dumps(payload, sort_keys=True, default=str)
    text = f"{entity.installation}|{entity.pair_id}|{entity.name}|{write.side}|{write.action}|{target}|{version}|{body}"
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _batch(entity: EntityBinding, shape: Sequence[tuple[Side, str]]) -> int:
    sizes = []
    for side, action in shape:
        traits = entity.side(side).connector.traits
        sizes.append(traits.batch_create if action == "create" else traits.batch_update)
    return max(1, min(sizes))


async def _each(plans: Iterable[Plan]) -> AsyncIterator[Plan]:
    for one in plans:
        yield one


async def _chunks(entity: EntityBinding, plans: AsyncIterable[Plan], slowly: bool) -> AsyncIterator[list[Plan]]:
    """Batches of plans with the same shape of writes, each as soon as it is full; empty ones while none is.

    Plans may be made as they are asked for: the empty ones let the caller look after what runs meanwhile.
    """
    groups: dict[tuple[tuple[Side, str], ...], list[Plan]] = {}
    best: dict[tuple[tuple[Side, str], ...], int] = {(): _QUIET}
    sizes = dict(best)
    n = 0
    async for one in plans:
        n += 1
        shape = tuple((w.side, w.action) for w in one.writes)
        group = groups.setdefault(shape, [])
        group.append(one)
        if shape not in sizes:
            best[shape] = _batch(entity, shape)
            sizes[shape] = max(1, best[shape] // 4) if slowly else best[shape]
        if len(group) >= sizes[shape]:
            yield groups.pop(shape)
            sizes[shape] = min(2 * sizes[shape], best[shape])
        elif n % _TURN == 0:
            yield []
    for group in groups.values():
        yield group


def _check_guard(entity: EntityBinding, plans: Sequence[Plan], written: int) -> None:
    """Stop before writing when one go would write or release suspiciously much."""
    guard = entity.policy.guard
    writes = written + sum(len(p.writes) for p in plans)
    if writes > guard.writes:
        raise SafetyLimit(
            f"keeping {entity.name} of {entity.pair} in agreement",
            answered=f"{writes} writes are planned in one go, the guard allows {guard.writes}",
            hint=_allow(entity),
            facts={"writes": writes, "limit": guard.writes},
        )
    releases = sum(1 for p in plans if any(w.tombstone for w in p.writes))
    if releases > guard.deletes_floor and releases > len(plans) * guard.deletes_percent / 100:
        raise SafetyLimit(
            f"keeping {entity.name} of {entity.pair} in agreement",
            answered=f"{releases} of {len(plans)} records looked at were deleted on one side",
            hint=_allow(entity),
            facts={"deletes": releases, "limit_percent": guard.deletes_percent},
        )


def _allow(entity: EntityBinding) -> str:
    return (
        f"See what is planned with `isthmus sync {entity.pair} --dry-run`. Let it through once with "
        f"`isthmus pair resume {entity.pair} --allow`, or raise the guard of {entity.name} in the pair file and resume."
    )
