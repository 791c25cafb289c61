"""The running installation: database, keys, engine, open Connections and pairs, and the jobs that keep them going."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import InterfaceError, OperationalError

from isthmus.detect.poll import poll
from isthmus.engine.budget import SharedBudget
from isthmus.engine.engine import Engine
from isthmus.engine.lease import Lease, LeaseLost, take
from isthmus.errors import Halt, IsthmusError, Misconfigured, Retry
from isthmus.mapping.lookups import LookupRow, Lookups, LookupTable
from isthmus.mapping.rates import Rates
from isthmus.model.clock import Clock, SystemClock, new_id
from isthmus.model.policy import Side
from isthmus.operate.assemble import Assembler, parse_pair
from isthmus.operate.filewatch import FileWatch
from isthmus.operate.fingerprint import check_fingerprint
from isthmus.operate.flowruntime import FlowRuntime
from isthmus.operate.secrets import SecretTokens, open_secrets
from isthmus.sdk.connector import Connector
from isthmus.sdk.network import NetworkPolicy
from isthmus.sdk.registry import find
from isthmus.sdk.services import Services
from isthmus.sdk.together import together
from isthmus.security.vault import KeyRing
from isthmus.store import auditlog, connections, pairs
from isthmus.store.database import Database
from isthmus.sync.lane import Lane
from isthmus.sync.pair import PairRuntime

LANE_JOB = "lane"
POLL_JOB = "poll"
LINGER_SECONDS = 0.15
"""How long a drained lane waits for the next Event of this process before its job ends: saves a job per Event."""

RETIRED_SECONDS = 600.0
"""How long a connector is kept open after another one took its place: longer than any request takes."""

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """A Connection as opened, with the state of its row it was opened from."""

    stamp: object
    connector: Connector


class Runtime:
    """Everything a process needs to work; the CLI makes one for a command, `serve` keeps one."""

    def __init__(
        self, database: Database, keys: KeyRing, *, clock: Clock | None = None, seed: int | None = None
    ) -> None:
        self.db = database
        self.keys = keys
        self.clock: Clock = clock or SystemClock()
        self.rng = random.Random(seed)
        self.engine = Engine(database)
        self.engine.job(LANE_JOB, self._drain)
        self.engine.job(POLL_JOB, self._poll)
        self.lane = Lane(database, self.clock, self.rng)
        self.flows = FlowRuntime(self)
        self.files = FileWatch(self)
        self._open: dict[int, _Open] = {}
        self._pairs: dict[int, tuple[object, PairRuntime]] = {}
        self._fresh: dict[tuple[int, str], asyncio.Event] = {}
        self._opening = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._retired: list[tuple[float, Connector]] = []
        self._installation: str | None = None
        self.stopping = False
        self.hook_targets: dict[str, tuple[Any, dict[str, Any]]] = {}

    # -- what is open ------------------------------------------------------------------------------------------

    async def installation(self) -> str:
        """The short name of this installation, part of every external key it mints."""
        if self._installation is None:
            self._installation = await self.db.run(installation_id)
        return self._installation

    async def connector(self, row: Any) -> Connector:
        """The Connector of a Connection row; opened once, and again when its settings or secrets changed."""
        stamp = row.updated_at
        async with self._connecting:
            held = self._open.get(row.id)
            if held is not None and held.stamp == stamp:
                return held.connector
            kind = find(row.kind)
            secrets = await self.db.run(open_secrets, self.keys, row.id)
            services = await self.services(row)
            known = {name: value for name, value in secrets.items() if name in kind.settings.model_fields}
            connector = kind.make(system_settings(row.settings), known, services)
            self._open[row.id] = _Open(stamp, connector)
            if held is not None:
                self._retired.append((self.clock.monotonic(), held.connector))
            await self._close_retired(RETIRED_SECONDS)
            return connector

    async def _close_retired(self, seconds: float) -> None:
        """Close connectors that were replaced this long ago: whoever was working with one has ended since."""
        before = self.clock.monotonic() - seconds
        due = [connector for at, connector in self._retired if at <= before]
        self._retired = [(at, connector) for at, connector in self._retired if at > before]
        for connector in due:
            await connector.close()

    async def services(self, row: Any) -> Services:
        """What the product lends the connector of a Connection row."""
        kind = find(row.kind)
        secrets = await self.db.run(open_secrets, self.keys, row.id)
        known = {name: value for name, value in secrets.items() if name in kind.settings.model_fields}
        return Services(
            budget=SharedBudget(self.db, f"connection:{row.id}", kind.rate(system_settings(row.settings), known)),
            network=network_policy(row.settings),
            tokens=SecretTokens(self.db, self.keys, row.id),
            clock=self.clock,
            installation=await self.installation(),
            connection=row.name,
        )

    async def pair(self, pair_id: int) -> tuple[Any, PairRuntime]:
        """A pair's row and its runtime, assembled again whenever its files or Connections changed."""
        row, left, right, files, tables, dated = await self.db.run(_pair_parts, pair_id)
        stamp = (row.version, left.updated_at, right.updated_at, tables, dated, row.listened)
        async with self._opening:
            held = self._pairs.get(pair_id)
            if held is not None and held[0] == stamp:
                return row, held[1]
            runtime = await self.assemble(row, left, right, files, tables, dated)
            self._pairs[pair_id] = (stamp, runtime)
            return row, runtime

    async def assemble(
        self, row: Any, left: Any, right: Any, files: Mapping[str, str], tables: Sequence[Any], dated: Sequence[Any]
    ) -> PairRuntime:
        """A pair from its row, Connections, files and tables, stored or not; raises what keeps it from running."""
        connectors: dict[Side, tuple[int, str, Connector]] = {
            "left": (left.id, left.name, await self.connector(left)),
            "right": (right.id, right.name, await self.connector(right)),
        }
        await together(
            check_fingerprint(self.db, left, connectors["left"][2]),
            check_fingerprint(self.db, right, connectors["right"][2]),
        )
        assembler = Assembler(
            installation=await self.installation(),
            lookups=_lookups(tables),
            rates=Rates(dated, on=self.clock.now().date()),
        )
        found = await assembler.assemble(row, parse_pair(files["pair.yaml"]), files, connectors)
        for name in getattr(row, "listened", None) or ():
            if name in found.entities:
                found.entities[name] = replace(found.entities[name], listened=True)
        return found

    async def close(self) -> None:
        """Close every Connection that was opened."""
        await self._close_retired(0)
        await self.flows.close()
        for held in self._open.values():
            await held.connector.close()
        self._open.clear()
        self._pairs.clear()

    # -- waking ------------------------------------------------------------------------------------------------

    def wake(self, conn: Connection, pair_id: int, entity: str) -> None:
        """Wake the lane of an Entity in the caller's transaction."""
        lane = {"pair": pair_id, "entity": entity}
        self.engine.wake(conn, LANE_JOB, f"{pair_id}:{entity}", lane)

    def nudge(self, pair_id: int, entity: str) -> None:
        """Tell a lingering lane of this process that something was committed for it."""
        event = self._fresh.get((pair_id, entity))
        if event is not None:
            event.set()

    def nudge_pair(self, pair_id: int) -> None:
        """Nudge every lingering lane of a pair."""
        for pair, entity in list(self._fresh):
            if pair == pair_id:
                self.nudge(pair, entity)

    # -- jobs --------------------------------------------------------------------------------------------------

    async def _drain(self, args: dict[str, Any]) -> None:
        """Drain one lane; re-arms itself for what is due later, halts the pair for what needs a person."""
        pair_id, entity = int(args["pair"]), str(args["entity"])
        lease = await self.db.run(take_lane, pair_id, entity)
        if lease is None:
            return
        fresh = self._fresh.setdefault((pair_id, entity), asyncio.Event())
        try:
            while True:
                fresh.clear()
                due = await self._drain_once(pair_id, entity, lease)
                if self.stopping or (due is not None and due < 0):
                    return
                try:
                    await asyncio.wait_for(fresh.wait(), LINGER_SECONDS if due is None else min(due, LINGER_SECONDS))
                except TimeoutError:
                    if due is None or due > LINGER_SECONDS:
                        if due is not None:
                            await self.db.run(self._wake_later, pair_id, entity, due)
                        return
        except LeaseLost:
            _LOG.info("the lane of %s %s was taken over", pair_id, entity)
        finally:
            self._fresh.pop((pair_id, entity), None)

    async def _drain_once(self, pair_id: int, entity: str, lease: Lease) -> float | None:
        """One drain; returns the seconds until the lane is due again, None for never, negative to stop."""
        try:
            row, runtime = await self.pair(pair_id)
            if row.state != "active" or entity not in runtime.entities:
                return -1.0
            drained = await self.lane.drain(
                runtime.entities[entity],
                epoch=lease.epoch,
                fence=lease.fence,
                change_set=lambda conn: pairs.live_change_set(conn, pair_id),
                stopping=lambda: self.stopping,
                guarded=not (row.state_reason or {}).get("allowed"),
            )
        except (Retry, OperationalError, InterfaceError) as error:
            # The database restarting is no different from a system that is away: what is pending stays pending.
            _LOG.info("%s", error)
            return 2.0
        except Halt as error:
            await self.halt(pair_id, error)
            return -1.0
        except LeaseLost:
            raise
        except IsthmusError as error:
            await self.halt(pair_id, error)
            return -1.0
        except Exception as error:
            # Unknown errors halt, they never loop: the Changes stay pending and nothing is lost.
            _LOG.exception("draining %s of pair %s", entity, pair_id)
            doing = f"draining {entity}"
            await self.halt(pair_id, IsthmusError(doing, answered=f"{type(error).__name__}: {error}"))
            return -1.0
        if drained.halt is not None:
            await self.halt(pair_id, drained.halt)
            return -1.0
        if drained.tally.flows:
            await self.db.run(self.flows.wake_all, sorted(drained.tally.flows))
        for name in drained.tally.wake - {entity}:
            await self.db.run(self.wake, pair_id, name)
        if entity in drained.tally.wake:
            return 0.0
        if (row.state_reason or {}).get("allowed") and drained.next_due is None:
            await self.db.run(pairs.guard_again, pair_id)
        return drained.next_due

    def _wake_later(self, conn: Connection, pair_id: int, entity: str, seconds: float) -> None:
        at = self.clock.now() + timedelta(seconds=seconds)
        self.engine.wake(conn, LANE_JOB, f"{pair_id}:{entity}", {"pair": pair_id, "entity": entity}, at=at)

    async def halt(self, pair_id: int, error: IsthmusError) -> None:
        """Stop a pair until a person acts; what is pending stays pending."""

        def work(conn: Connection) -> None:
            pairs.set_state(conn, pair_id, "halted", error.as_dict())
            entry = auditlog.Entry(action="halt pair", pair_id=pair_id, why=error.as_dict())
            auditlog.append(conn, [entry])

        await self.db.run(work)
        _LOG.error("pair %s is halted: %s", pair_id, error)

    async def _poll(self, args: dict[str, Any]) -> None:
        """Poll one Entity of one side once."""
        pair_id, entity = int(args["pair"]), str(args["entity"])
        side: Side = "left" if args["side"] == "left" else "right"
        try:
            row, runtime = await self.pair(pair_id)
            if row.state == "active" and runtime.fan_out(side, entity):
                await poll(self.db, runtime, side, entity, self.wake)
                self.nudge_pair(pair_id)
        except Retry as error:
            _LOG.info("%s; it is polled again at the next turn", error)
        except Halt as error:
            await self.halt(pair_id, error)


def take_lane(conn: Connection, pair_id: int, entity: str) -> Lease | None:
    """The lease of a lane, or None while its pair is not active: then it belongs to a load or an undo, or to nobody.

    The pair's row stays as it is until this is committed, so that nobody who has the pair to himself is fenced off.
    """
    state = conn.execute(text("select state from pair where id = :id for share"), {"id": pair_id}).scalar()
    return take(conn, f"lane:{pair_id}:{entity}") if state == "active" else None


def installation_id(conn: Connection) -> str:
    """This installation's id, made at first use: six characters, enough to tell a handful of installations apart."""
    sql = "select value ->> 'id' from setting where name = 'installation'"
    found = conn.execute(text(sql)).scalar()
    if found is None:
        made = new_id("ins").removeprefix("ins_")[:6]
        insert = """insert into setting (name, value)
                    values ('installation', jsonb_build_object('id', cast(:id as text)))
                    on conflict (name) do nothing"""
        conn.execute(text(insert), {"id": made})
        found = conn.execute(text(sql)).scalar_one()
    return str(found)


NETWORK_SETTINGS = ("allow_loopback", "allow_private_network")
"""Settings of every Connection that the product itself reads; the connector's own form does not have them."""


def system_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that belong to the connector's own form."""
    return {name: value for name, value in settings.items() if name not in NETWORK_SETTINGS}


def network_policy(settings: Mapping[str, Any]) -> NetworkPolicy:
    """What addresses a Connection may reach: public ones; this machine and private ones where its settings allow it."""
    return NetworkPolicy(
        allow_loopback=bool(settings.get("allow_loopback", False)),
        allow_private=bool(settings.get("allow_private_network", False)),
    )


def _pair_parts(conn: Connection, pair_id: int) -> tuple[Any, Any, Any, dict[str, str], Any, Any]:
    row = pairs.by_id(conn, pair_id)
    if row is None:
        raise Misconfigured(
            f"looking for pair number {pair_id}", answered="there is none", hint="It may have been removed."
        )
    left, right = connections.by_id(conn, row.left_id), connections.by_id(conn, row.right_id)
    files = pairs.files(conn, pair_id, row.version)
    return row, left, right, files, pairs.lookups(conn, pair_id), pairs.rates(conn, pair_id)


def _lookups(rows: Sequence[tuple[str, str, str, str]]) -> Lookups:
    tables: dict[str, list[LookupRow]] = {}
    for name, system, value, canonical in rows:
        tables.setdefault(name, []).append(LookupRow(canonical=canonical, values={system: value}))
    return Lookups(LookupTable(name=name, rows=tuple(found)) for name, found in tables.items())


Progress = Callable[[str, str, int, int | None], None]
