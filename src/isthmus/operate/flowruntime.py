"""Flows in a running installation: their lanes as jobs, their world, and what wakes them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import InterfaceError, OperationalError

from isthmus.detect.poll import poll_connection
from isthmus.engine.lease import Lease, LeaseLost, take
from isthmus.errors import Ambiguous, IsthmusError, Misconfigured, Retry
from isthmus.flows.compiled import CompiledFlow, compile_flow
from isthmus.flows.item import OpenIntent
from isthmus.flows.lane import Drained, FlowLane, intent_of
from isthmus.flows.nodes.triggers import Schedule
from isthmus.flows.surroundings import Bound, NewIntent
from isthmus.mapping.lookups import LookupRow, Lookups, LookupTable
from isthmus.model.canonical import encode
from isthmus.model.clock import Clock
from isthmus.model.schema import EntitySchema
from isthmus.sdk.connector import Hint
from isthmus.sdk.http import HttpClient
from isthmus.sdk.limits import AdaptiveConcurrency, Rate, TokenBucket
from isthmus.sdk.network import NetworkPolicy
from isthmus.store import auditlog, changes, connections, expected, flows, flowsecrets, links, pairs, runs
from isthmus.store.database import Database
from isthmus.sync.pair import PairRuntime

if TYPE_CHECKING:
    from isthmus.operate.runtime import Runtime

FLOW_JOB = "flow"
FLOW_POLL_JOB = "flow poll"
SCHEDULE_JOB = "flow schedules"
FORGET_SECONDS = 3600.0
"""How often Runs that are too old are deleted."""
POLL_SECONDS = 5.0
STALE_SECONDS = 15.0
"""What is due this long without being looked at has lost its wake-up."""
SCHEMA_SECONDS = 300.0
"""How long what a system says of an Entity is believed."""
MOST_HELD = 3
"""Batches of one process that hold locks at the same time: each takes a database connection of its own."""
FLOW_NETWORK = ("allow_loopback", "allow_private_network")
"""Bindings that are no roles: which addresses the flow's own requests may reach."""

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Shared:
    """What all flows of a process share: HTTP clients, what systems said of Entities, locks."""

    clients: dict[tuple[str, bool, bool], HttpClient] = field(default_factory=dict)
    schemas: dict[tuple[int, str], tuple[float, EntitySchema | None]] = field(default_factory=dict)
    holding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_HELD))


class FlowWorld:
    """The surroundings of one flow version, by the roles of its file. `lease` None: nothing may be sent."""

    def __init__(
        self, runtime: Runtime, shared: _Shared, flow_id: int, name: str, bindings: Mapping[str, str], installation: str
    ) -> None:
        self._runtime = runtime
        self._shared = shared
        self._flow_id = flow_id
        self._name = name
        self._bindings = bindings
        self.db: Database = runtime.db
        self.clock: Clock = runtime.clock
        self.rng: random.Random = runtime.rng
        self.installation = installation
        self.lease: Lease | None = None

    def _bound(self, role: str) -> str:
        found = self._bindings.get(role)
        if found is None:
            raise Misconfigured(
                f"running the flow {self._name}: its role {role} is bound to nothing",
                hint=f"Bind it: `isthmus flow bind {self._name} {role}=NAME`.",
            )
        return found

    async def connection(self, role: str) -> Bound:
        row = await self.db.run(connections.get, self._bound(role))
        return Bound(id=int(row.id), name=row.name, connector=await self._runtime.connector(row))

    async def pair(self, role: str) -> PairRuntime:
        row = await self.db.run(pairs.get, self._bound(role))
        _, found = await self._runtime.pair(int(row.id))
        return found

    async def lookups(self, role: str) -> Lookups:
        row = await self.db.run(pairs.get, self._bound(role))
        tables: dict[str, list[LookupRow]] = {}
        for name, system, value, canonical in await self.db.run(pairs.lookups, int(row.id)):
            tables.setdefault(name, []).append(LookupRow(canonical=canonical, values={system: value}))
        return Lookups(LookupTable(name=name, rows=tuple(found)) for name, found in tables.items())

    async def schema(self, role: str, entity: str) -> EntitySchema | None:
        bound = await self.connection(role)
        known = self._shared.schemas.get((bound.id, entity))
        if known is not None and self.clock.monotonic() - known[0] < SCHEMA_SECONDS:
            return known[1]
        found = {schema.name: schema for schema in await bound.connector.describe([entity])}.get(entity)
        self._shared.schemas[bound.id, entity] = (self.clock.monotonic(), found)
        return found

    async def http(self, url: str) -> HttpClient:
        loopback, private = (self._bindings.get(name) == "true" for name in FLOW_NETWORK)
        client = self._shared.clients.get((url, loopback, private))
        if client is None:
            client = HttpClient(
                url,
                network=NetworkPolicy(allow_loopback=loopback, allow_private=private),
                limits=TokenBucket(Rate()),
                concurrency=AdaptiveConcurrency(),
                clock=self.clock,
            )
            self._shared.clients[url, loopback, private] = client
        return client

    async def secret(self, name: str) -> str | None:
        found = await self.db.run(flowsecrets.get, self._runtime.keys, self._flow_id, name)
        return None if found is None else found.reveal()

    @asynccontextmanager
    async def held(self, keys: Sequence[str]) -> AsyncIterator[None]:
        if not keys:
            yield
            return
        async with self._shared.holding, self.db.exclusive_all(sorted(set(keys))):
            yield

    async def send(self, intents: Sequence[NewIntent]) -> Sequence[OpenIntent]:
        rows = [
            {
                "run_id": one.item.run.id,
                "item_id": one.item.id,
                "node": one.node,
                "visit": one.item.visit,
                "action": one.action,
                "payload": one.payload,
                "idempotency_key": one.idempotency_key,
                "external_key": one.external_key,
            }
            for one in intents
        ]
        lease = self.lease
        assert lease is not None, "effects need the flow's lease"

        def work(conn: Connection) -> dict[int, Any]:
            lease.fence(conn)
            return runs.send_intents(conn, rows, lease.epoch)

        found = await self.db.run(work)
        return [intent_of(found[one.item.id]) for one in intents]

    async def look_again(self, pair: PairRuntime, entity: str, side: str, keys: Sequence[str]) -> Sequence[int]:
        self._knows(pair, entity)
        if not keys:
            return []
        found = await self.db.run(_look_again, self._runtime, pair.id, entity, side, keys)
        self._runtime.nudge(pair.id, entity)
        return found

    def _knows(self, pair: PairRuntime, entity: str) -> None:
        if entity not in pair.entities:
            raise Misconfigured(
                f"syncing {entity} for the flow {self._name}: pair {pair.name} has no such Entity",
                hint=f"It has: {', '.join(pair.entities)}.",
            )

    async def linked(self, pair: PairRuntime, entity: str, side: str, keys: Sequence[str]) -> set[str]:
        self._knows(pair, entity)
        return await self.db.run(links.linked_keys, pair.id, [entity], side, list(keys))

    async def signal(self, event: str, keys: Sequence[str]) -> None:
        def work(conn: Connection) -> None:
            # In one order, so that two workers that tell several keys do not wait for each other.
            woken = [runs.signal(conn, flows.named_signal(event, key), {"key": key}) for key in sorted(keys)]
            self._runtime.flows.wake_all(conn, sorted({flow for one in woken for flow in one.flows}))

        await self.db.run(work)

    async def expect_link(self, pair: PairRuntime, entity: str, left: str, right: str, why: Mapping[str, Any]) -> str:
        self._knows(pair, entity)
        return await self.db.run(_expect_link, pair.id, entity, left, right, {**why, "flow": self._name})

    async def looked_at(
        self, pair: PairRuntime, entity: str, side: str, numbers: Sequence[int]
    ) -> Mapping[int, Mapping[str, Any]]:
        return await self.db.run(_looked_at, pair.id, entity, numbers) if numbers else {}


def _expect_link(conn: Connection, pair_id: int, entity: str, left: str, right: str, why: Mapping[str, Any]) -> str:
    stands = expected.stands(conn, pair_id, entity, left, right)
    mine = [row for row in stands if (row.left_key, row.right_key) == (left, right)]
    if mine and len(mine) == len(stands):
        return "linked" if any(row.linked for row in mine) else "expected"
    if stands:
        row = next(row for row in stands if row not in mine)
        raise Ambiguous(
            f"naming left {left} and right {right} as one {entity}",
            record=left,
            answered=f"left {row.left_key} and right {row.right_key} {'are linked' if row.linked else 'were named'}",
            hint="Look which of the records is meant. Merge or cancel the other one, then retry.",
            facts={"left": row.left_key, "right": row.right_key, "linked": row.linked},
        )
    if expected.being_made(conn, pair_id, entity, left, right):
        return "busy"
    expected.add(conn, pair_id, entity, left, right, why)
    entry = auditlog.Entry(
        action="name", pair_id=pair_id, entity=entity, side="left", key=left, actor="flow", why={**why, "with": right}
    )
    auditlog.append(conn, [entry])
    return "expected"


def _look_again(
    conn: Connection, runtime: Runtime, pair_id: int, entity: str, side: str, keys: Sequence[str]
) -> list[int]:
    events = [changes.NewEvent(pair_id=pair_id, entity=entity, side=side, key=key, source="flow") for key in keys]
    changes.accept(conn, events)
    runtime.wake(conn, pair_id, entity)
    sql = """select id, key from change where pair_id = :pair_id and entity = :entity and side = :side
             and state <> 'closed' and key = any(cast(:keys as text[]))"""
    given = {"pair_id": pair_id, "entity": entity, "side": side, "keys": list(keys)}
    found = {str(r.key): int(r.id) for r in conn.execute(text(sql), given)}
    return [found[key] for key in keys]


def _looked_at(conn: Connection, pair_id: int, entity: str, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    sql = "select id, side, key, state, outcome, reason from change where id = any(cast(:ids as bigint[]))"
    rows = conn.execute(text(sql), {"ids": list(numbers)}).all()
    out: dict[int, dict[str, Any]] = {}
    for side in ("left", "right"):
        mine = [r for r in rows if r.side == side]
        linked = links.by_keys(conn, pair_id, entity, side, [r.key for r in mine]) if mine else {}
        for row in mine:
            link = linked.get(row.key)
            both = {"left": link.left_key, "right": link.right_key} if link else {side: row.key}
            out[int(row.id)] = {"state": row.state, "outcome": row.outcome, "reason": row.reason, **both}
    return out


class FlowRuntime:
    """The flows of a process: compiled versions, their lanes, and the job that drains them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._shared = _Shared()
        self._lane = FlowLane(runtime.db, runtime.clock, runtime.rng)
        self._compiled: dict[tuple[int, int, str], CompiledFlow] = {}
        runtime.engine.job(FLOW_JOB, self._drain)
        runtime.engine.job(FLOW_POLL_JOB, self._poll)
        runtime.engine.job(SCHEDULE_JOB, self._fire)
        self._forgot = runtime.clock.monotonic()

    def wake(self, conn: Connection, flow_id: int) -> None:
        """Wake a flow's lane in the caller's transaction."""
        self._runtime.engine.wake(conn, FLOW_JOB, str(flow_id), {"flow": flow_id})

    def wake_all(self, conn: Connection, flow_ids: Sequence[int]) -> None:
        """Wake several lanes in the caller's transaction."""
        for flow_id in flow_ids:
            self.wake(conn, flow_id)

    async def close(self) -> None:
        """Free sockets."""
        for client in self._shared.clients.values():
            await client.close()
        self._shared.clients.clear()

    async def version(self, flow_id: int, number: int) -> tuple[CompiledFlow, FlowWorld]:
        """A version ready to run, with its world."""
        row = await self._runtime.db.run(flows.by_id, flow_id)
        assert row is not None, "its lane is held"
        stamp = f"{sorted(row.bindings.items())}"
        found = self._compiled.get((flow_id, number, stamp))
        if found is None:
            stored = await self._runtime.db.run(flows.version, flow_id, number)
            found = compile_flow(stored.file, flow_id=flow_id, version=number, bindings=row.bindings, where=row.name)
            self._compiled[flow_id, number, stamp] = found
        return found, await self.world(flow_id, row.name, row.bindings)

    async def world(self, flow_id: int, name: str, bindings: Mapping[str, str]) -> FlowWorld:
        """The surroundings of a flow; nothing can be sent in it before it is given a lease."""
        installation = await self._runtime.installation()
        return FlowWorld(self._runtime, self._shared, flow_id, name, bindings, installation)

    async def _drain(self, args: dict[str, Any]) -> None:
        """Drain one flow; re-arms itself for what is due later, halts the flow for what needs a person."""
        flow_id = int(args["flow"])
        lease = await self._runtime.db.run(_take_lane, flow_id)
        if lease is None:
            return
        try:
            due = await self.drain(flow_id, lease)
        except LeaseLost:
            _LOG.info("the lane of flow %s was taken over", flow_id)
            return
        if due is not None and not self._runtime.stopping:
            await self._runtime.db.run(self._wake_later, flow_id, due)

    async def drain(self, flow_id: int, lease: Lease) -> float | None:
        """One drain; returns the seconds until the flow is due again, None for never by itself."""
        worlds: dict[int, tuple[CompiledFlow, FlowWorld]] = {}

        async def version_of(number: int) -> tuple[CompiledFlow, FlowWorld]:
            if number not in worlds:
                flow, world = await self.version(flow_id, number)
                world.lease = lease
                worlds[number] = flow, world
            return worlds[number]

        try:
            drained: Drained = await self._lane.drain(
                flow_id, lease, version_of, stopping=lambda: self._runtime.stopping
            )
        except (Retry, OperationalError, InterfaceError) as error:
            # The database restarting is no different from a system that is away: items stay where they are.
            _LOG.info("%s", error)
            return 2.0
        except LeaseLost:
            raise
        except IsthmusError as error:
            await self.halt(flow_id, error)
            return None
        except Exception as error:
            _LOG.exception("draining flow %s", flow_id)
            await self.halt(flow_id, IsthmusError("draining the flow", answered=f"{type(error).__name__}: {error}"))
            return None
        if drained.wake:
            await self._runtime.db.run(self.wake_all, sorted(drained.wake))
        if drained.halt is not None:
            await self.halt(flow_id, drained.halt)
            return None
        return drained.next_due

    async def halt(self, flow_id: int, error: IsthmusError) -> None:
        """Stop a flow until a person acts; its items stay where they are."""

        def work(conn: Connection) -> None:
            row = flows.by_id(conn, flow_id)
            if row is not None and row.state == "active":
                flows.set_state(conn, flow_id, "halted", error.as_dict())
                why = {"flow": row.name, **error.as_dict()}
                auditlog.append(conn, [auditlog.Entry(action="halt flow", why=why)])

        await self._runtime.db.run(work)
        _LOG.error("flow %s is halted: %s", flow_id, error)

    def _wake_later(self, conn: Connection, flow_id: int, seconds: float) -> None:
        at = None if seconds <= 0 else self._runtime.clock.now() + timedelta(seconds=seconds)
        self._runtime.engine.wake(conn, FLOW_JOB, str(flow_id), {"flow": flow_id}, at=at)

    def hear(self, conn: Connection, connection_id: int, hints: Sequence[Hint]) -> None:
        """Tell the flows that listen to a Connection, in the caller's transaction."""
        by_entity: dict[str, list[str]] = {}
        for hint in hints:
            by_entity.setdefault(hint.entity, []).append(hint.key)
        told = {(hint.entity, hint.key): encode(hint.record.values) for hint in hints if hint.record is not None}
        self.wake_all(conn, flows.hear_connection(conn, connection_id, by_entity, told))

    async def _poll(self, args: dict[str, Any]) -> None:
        """Poll one Entity of one Connection that flows listen to without a pair."""
        row = await self._runtime.db.run(connections.by_id, int(args["connection"]))
        if row is None:
            return
        try:
            connector = await self._runtime.connector(row)

            def hear(conn: Connection, hints: Sequence[Hint]) -> None:
                self.hear(conn, int(row.id), hints)

            await poll_connection(self._runtime.db, int(row.id), connector, str(args["entity"]), hear)
        except IsthmusError as error:
            _LOG.warning("%s; it is polled again at the next turn", error)

    # -- chores --------------------------------------------------------------------------------------------------

    def register_chores(self) -> None:
        """What the service does for flows on a schedule; whichever worker comes first takes the turn."""
        db = self._runtime.db

        async def polls() -> None:
            await db.run(self._ask_for_polls)

        async def unattended() -> None:
            await db.run(self.wake_unattended, STALE_SECONDS)
            await db.run(self.fire_schedules)
            if self._runtime.clock.monotonic() - self._forgot > FORGET_SECONDS:
                self._forgot = self._runtime.clock.monotonic()
                await db.run(runs.forget_old)

        self._runtime.engine.every("flow polls", POLL_SECONDS, polls)
        self._runtime.engine.every("flows", STALE_SECONDS, unattended)

    def _ask_for_polls(self, conn: Connection) -> None:
        for connection_id, entity in flows.watched(conn):
            args = {"connection": connection_id, "entity": entity}
            self._runtime.engine.wake(conn, FLOW_POLL_JOB, f"{connection_id}:{entity}", args)

    def fire_schedules(self, conn: Connection) -> int:
        """Begin what is due by the clock, and set when each schedule is due next."""
        due = flows.due_schedules(conn)
        now = self._runtime.clock.now()
        for row in due:
            cron, zone = str(row.schedule).split("|", 1)
            following = Schedule.model_validate({"cron": cron, "zone": zone}).next_after(now)
            flows.set_due(conn, row.flow_id, row.node, following)
            moment = row.due_at.isoformat()
            trigger = flows.NewTrigger(flow_id=row.flow_id, node=row.node, key=moment, data={"at": moment})
            self.wake_all(conn, flows.accept(conn, [trigger]))
        self.arm(conn)
        return len(due)

    def arm(self, conn: Connection) -> None:
        """Have the next schedule fired when it is due; after anything about schedules has changed."""
        sql = """select min(l.due_at) from flow_listener l join flow f on f.id = l.flow_id
                 where l.kind = 'schedule' and f.state = any(:states)"""
        at = conn.execute(text(sql), {"states": list(flows.LISTENS)}).scalar()
        if at is not None:
            self._runtime.engine.wake(conn, SCHEDULE_JOB, "all", {}, at=at)

    async def _fire(self, _: dict[str, Any]) -> None:
        await self._runtime.db.run(self.fire_schedules)

    def wake_unattended(self, conn: Connection, seconds: float) -> int:
        """Wake flows whose wake-up was lost."""
        found = flows.unattended(conn, seconds)
        self.wake_all(conn, found)
        return len(found)


def _take_lane(conn: Connection, flow_id: int) -> Lease | None:
    """The lease of a flow's lane, or None while it is not active."""
    state = conn.execute(text("select state from flow where id = :id for share"), {"id": flow_id}).scalar()
    return take(conn, f"flow:{flow_id}") if state == "active" else None
