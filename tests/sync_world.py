"""A small world for tests of the sync core: two systems in memory, a pair between them, and its lane."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from isthmus.mapping.compiled import compile_mapping, load_mapping
from isthmus.model.canonical import CanonicalEntity, CanonicalField, MatchKey
from isthmus.model.clock import Clock, SystemClock
from isthmus.model.policy import EntityPolicy, FieldPolicy, Rule, Side
from isthmus.model.schema import FieldType
from isthmus.operate import conflicts
from isthmus.store import changes, letters
from isthmus.store.database import Database
from isthmus.sync import inbox
from isthmus.sync.lane import Lane
from isthmus.sync.load import Loader
from isthmus.sync.pair import EntityBinding, PairRuntime, SideBinding
from isthmus.sync.settle import Context, Settler, Tally
from isthmus.sync.sweep import Consistency, compare, repairs
from isthmus.sync.undo import Undoer
from isthmus.testing.memory import MemorySystem
from rough import RoughConnector

ENTITY = CanonicalEntity(
    name="customer",
    label="Customer",
    fields={
        "name": CanonicalField(name="name", type=FieldType.STRING, label="Name"),
        "phone": CanonicalField(name="phone", type=FieldType.STRING, label="Phone"),
        "vat": CanonicalField(name="vat", type=FieldType.STRING, label="VAT", policy=FieldPolicy(rule=Rule.ASK)),
        "parent": CanonicalField(name="parent", type=FieldType.REFERENCE, target="customer", label="Parent"),
        "active": CanonicalField(name="active", type=FieldType.BOOLEAN, label="Active"),
    },
    match=(MatchKey(field="vat", normalise="vat"),),
)

LEFT = """
mapping: memory-left
system: memory
system_entity: partner
canonical: customer
fields:
  name: {from: name}
  phone: {from: phone}
  vat: {from: vat}
  parent: {from: parent_id, steps: [{reference: customer}]}
  active: {from: active, default: true}
"""
RIGHT = """
mapping: memory-right
system: memory
system_entity: account
canonical: customer
fields:
  name: {from: Name}
  phone: {from: Phone}
  vat: {from: VAT}
  parent: {from: ParentID, steps: [{reference: customer}]}
  active: {from: Active, default: true}
"""


class World:
    """Two systems, one Entity, one lane."""

    def __init__(
        self, db: Database, *, seed: int = 1, policy: EntityPolicy | None = None, clock: Clock | None = None
    ) -> None:
        self.db = db
        self.rng = random.Random(seed)
        self.clock = clock or SystemClock()
        self.left = MemorySystem(prefix="L", seed=seed)
        self.right = MemorySystem(prefix="R", seed=seed + 1, active_path="Active")
        self.connectors = {"left": RoughConnector(self.left), "right": RoughConnector(self.right)}
        self.cursors: dict[str, int] = {"left": 0, "right": 0}
        self.epoch = 0
        sides = {
            side: SideBinding(
                side=side,  # type: ignore[arg-type]
                connection_id=n,
                connection=side,
                connector=self.connectors[side],
                mapping=compile_mapping(load_mapping(mapping), entity=ENTITY),
                entity="partner" if side == "left" else "account",
            )
            for n, (side, mapping) in enumerate((("left", LEFT), ("right", RIGHT)), 1)
        }
        self.entity = EntityBinding(
            pair_id=1,
            pair="main",
            installation="t",
            name="customer",
            canonical=ENTITY,
            left=sides["left"],
            right=sides["right"],
            policy=policy or EntityPolicy(fields={}),
        )
        self.pair = PairRuntime(id=1, name="main", environment="sandbox", version=1, entities={"customer": self.entity})
        self.lane = Lane(db, self.clock, self.rng)
        self.loader = Loader(db, self.clock, self.rng)

    # -- what users do ----------------------------------------------------------------------------------------

    def put_left(self, key: str | None = None, *, at: datetime | None = None, **values: Any) -> str:
        key = self.left.put("partner", values if key else {"active": True, **values}, key=key)
        if at is not None:
            self.left.rows["partner"][key].changed_at = at
        return key

    def put_right(self, key: str | None = None, *, at: datetime | None = None, **values: Any) -> str:
        key = self.right.put("account", values if key else {"Active": True, **values}, key=key)
        if at is not None:
            self.right.rows["account"][key].changed_at = at
        return key

    def names(self, side: Side) -> list[str]:
        if side == "left":
            return sorted(r.values["name"] for r in self.left.rows.get("partner", {}).values() if r.values["active"])
        return sorted(r.values["Name"] for r in self.right.rows.get("account", {}).values() if r.values["Active"])

    # -- what the product does --------------------------------------------------------------------------------

    async def notice(self) -> None:
        """Both sides say what changed since they were asked last."""
        for side in ("left", "right"):
            binding = self.entity.side(side)  # type: ignore[arg-type]
            async for page in self.connectors[side].changes(binding.entity, str(self.cursors[side])):
                await self.db.run(
                    inbox.accept,
                    self.pair,
                    side,
                    page.hints,
                    source="poll",
                    wake=lambda *_: None,  # type: ignore[arg-type]
                )
                self.cursors[side] = int(page.cursor)

    async def drain(self, *, guarded: bool = True) -> Tally:
        """Run the lane until nothing is pending, waiting out what is due later."""
        total = Tally()
        self.epoch += 1
        while True:
            done = await self.lane.drain(
                self.entity, epoch=self.epoch, fence=lambda conn: None, change_set=lambda conn: 1, guarded=guarded
            )
            total.add(done.tally)
            if done.halt is not None:
                raise done.halt
            if done.next_due is None:
                return total
            await asyncio.sleep(max(0.01, min(done.next_due, 0.3)))

    async def drain_once(self, *, die_before_confirm: bool = False, undo_writes: bool = False) -> None:
        """Run the lane until it has nothing due, without waiting; or let the runner die when it has written.

        With `undo_writes` the right side had never got them.
        """
        kept = copy.deepcopy(self.right.rows)
        lane = self.lane
        if die_before_confirm:

            class Dying(Settler):
                async def _confirm(self, *_: Any, **__: Any) -> Tally:
                    raise ZeroDivisionError

            lane = Lane(self.db, self.clock, self.rng)
            lane._settler = Dying(self.db, self.clock, self.rng)
        self.epoch += 1
        try:
            await lane.drain(self.entity, epoch=self.epoch, fence=lambda conn: None, change_set=lambda conn: 1)
        except ZeroDivisionError:
            assert die_before_confirm
        if undo_writes:
            self.right.rows = kept

    async def settle(self) -> Tally:
        """Notice and drain until both sides have nothing more to say."""
        total = Tally()
        while True:
            before = dict(self.cursors)
            await self.notice()
            total.add(await self.drain())
            if self.cursors == before:
                return total

    async def load(self) -> Tally:
        """The initial load."""
        context = Context(fence=lambda conn: None, epoch=1, change_set_id=1, why={"source": "test"})
        await self.loader.settle_unknown(self.entity, context)
        _, plans = await self.loader.look(self.entity, lambda *_: None)
        return await self.loader.commit(self.entity, plans, context, lambda *_: None)

    async def compare(self) -> Consistency:
        """What a Sweep would find."""
        _, plans = await self.loader.look(self.entity, lambda *_: None)
        return compare(self.entity, plans)

    async def books(self) -> dict[str, int]:
        """The books of the inbox."""
        return await self.db.run(changes.balance, 1)

    # -- what people and time do ------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self.clock.now()

    def touch(self, side: Side, key: str) -> None:
        """An Event without a cause: the record is as it was."""
        (self.left if side == "left" else self.right).log.append((self.entity.side(side).entity, key))

    def rewind(self, by: timedelta) -> None:
        """The last look at every Link was that long ago."""
        with self.db.transaction() as conn:
            conn.execute(
                text("update link set left_seen_at = left_seen_at - :by, right_seen_at = right_seen_at - :by"),
                {"by": by},
            )

    def choose(self, winner: Side) -> None:
        """A person settles every open Conflict; the lane has not looked yet."""
        with self.db.transaction() as conn:
            ids = list(conn.execute(text("select id from conflict where state = 'open'")).scalars())
            conflicts.settle(conn, ids, winner, lambda *_: None, "me")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What our own books say."""
        with self.db.transaction() as conn:
            return [tuple(row) for row in conn.execute(text(sql))]

    def lose_events(self) -> None:
        """What happened so far is never told."""
        self.cursors = {"left": len(self.left.log), "right": len(self.right.log)}

    def let_delete(self) -> None:
        """Both systems can delete."""
        for connector in self.connectors.values():
            connector.change_traits(can_delete=True)

    async def sweep(self) -> int:
        """Compare everything, have the lane look at what differs; returns how many records that were."""
        _, plans = await self.loader.look(self.entity, lambda *_: None)
        waiting = await self.db.run(letters.waiting, self.entity.pair_id)
        events = repairs(self.entity, plans, waiting)
        await self.db.run(changes.accept, events)
        await self.drain()
        return len(events)

    async def undo(self, change_set: int = 1) -> None:
        """Undo everything that was written so far."""
        undoer = Undoer(self.db, self.clock, self.rng)
        context = Context(fence=lambda conn: None, epoch=1, change_set_id=2, why={"source": "undo"})
        await undoer.carry_out(self.entity, await undoer.plan(self.entity, change_set), context)

    @contextmanager
    def reachable(self, side: Side) -> Iterator[None]:
        """Reading works although writing does not."""
        connector = self.connectors[side]
        connector.reads_always = True
        yield
        connector.reads_always = False

    def land_later(self, side: Side, seconds: float) -> None:
        """What was sent and not answered takes place in a while."""
        asyncio.get_running_loop().call_later(seconds, self.connectors[side].land)

    async def hurry(self) -> None:
        """One drain of what is pending, whenever it is due; what may still land has had its time."""
        self.hasten()
        await self.drain_once()

    def hasten(self, *, intents: bool = True) -> None:
        """Everything pending is due; every write without an answer has had its time."""
        with self.db.transaction() as conn:
            conn.execute(text("update change set not_before = now() where state <> 'closed'"))
            if intents:
                sql = "update intent set sent_at = sent_at - interval '1 minute' where ended_at is null"
                conn.execute(text(sql))

    async def notice_all(self) -> None:
        """Notice, whatever else is going wrong."""
        await self.notice()

    def quiet(self) -> bool:
        """Nothing is pending, no write is without an outcome, and both sides have been listened to."""
        open_ = "select 1 from change where state <> 'closed' union all select 1 from intent where ended_at is null"
        heard = self.cursors == {"left": len(self.left.log), "right": len(self.right.log)}
        return heard and not self.rows(open_)
