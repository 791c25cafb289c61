"""A seeded driver: people edit both systems, systems and runners fail, and at rest the model has to agree."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from model import Field, State, agreed

from isthmus.engine.lease import Lease, LeaseLost, take
from isthmus.errors import IsthmusError
from isthmus.model.policy import EntityPolicy, FieldPolicy, Rule, Side, other
from isthmus.store.database import Database
from isthmus.sync.lane import Lane
from isthmus.sync.settle import Context
from isthmus.testing.memory import Faults, Row
from sync_world import ENTITY, World

PATHS = {
    "left": {"name": "name", "phone": "phone", "vat": "vat", "parent": "parent_id", "active": "active"},
    "right": {"name": "Name", "phone": "Phone", "vat": "VAT", "parent": "ParentID", "active": "Active"},
}
SIDES: tuple[Side, Side] = ("left", "right")


class Died(Exception):
    """The runner was killed at this step."""


@dataclass(slots=True)
class Thing:
    """What people know as one record, whatever it is called on each side."""

    number: int
    keys: dict[Side, str]
    fields: dict[str, Field]
    deleted: Side | None = None
    fresh: bool = True
    touched: set[str] = field(default_factory=set)


class Driver:
    """Plays one campaign over a World and checks it at every rest."""

    def __init__(self, db: Database, seed: int, phone: FieldPolicy, *, empties: bool = False) -> None:
        self.rng = random.Random(seed)
        self.policy = EntityPolicy(fields={"phone": phone})
        self.world = World(db, seed=seed, policy=self.policy)
        self.things: list[Thing] = []
        self.empties = empties
        self.numbers = 0
        self.lost = False
        self.told: list[str] = []
        self.deadly = 0.0
        for connector in self.world.connectors.values():
            connector.step = self._step
            connector.adopts = False
            connector.change_traits(ceiling_seconds=30.0)
        self._run = db.run
        db.run = self._mortal_run  # type: ignore[method-assign]

    # -- the ways to die --------------------------------------------------------------------------------------

    def _step(self, doing: str) -> None:
        if self.rng.random() < self.deadly:
            raise Died(doing)

    async def _mortal_run(self, fn: Any, *args: Any, **more: Any) -> Any:
        self._step(f"before {fn}")
        found = await self._run(fn, *args, **more)
        self._step(f"after {fn}")
        return found

    # -- what people do ---------------------------------------------------------------------------------------

    def value(self) -> str:
        self.numbers += 1
        if self.empties and self.rng.random() < 0.2:
            return ""
        return f"x{self.numbers}"

    def row(self, thing: Thing, side: Side) -> Row | None:
        system = self.world.left if side == "left" else self.world.right
        return system.rows.get(self.world.entity.side(side).entity, {}).get(thing.keys.get(side, ""))

    def put(self, side: Side, key: str | None, **values: Any) -> str:
        raw = {PATHS[side][name]: value for name, value in values.items()}
        return self.world.put_left(key, **raw) if side == "left" else self.world.put_right(key, **raw)

    def policy_of(self, name: str) -> FieldPolicy:
        return self.policy.fields.get(name) or ENTITY.fields[name].policy

    def create(self) -> None:
        side = self.rng.choice(SIDES)
        values = {"name": f"n{len(self.things)}", "phone": f"p{len(self.things)}", "parent": ""}
        values["vat"] = f"V{len(self.things)}"
        above = [t for t in self.things if t.deleted is None and side in t.keys]
        parent = self.rng.choice(above) if above and self.rng.random() < 0.4 else None
        key = self.put(side, None, **{**values, "parent": parent.keys[side] if parent else ""})
        keys: dict[Side, str] = {side: key}
        if parent is None and self.rng.random() < 0.2:
            keys[other(side)] = self.put(other(side), None, **values)
        states = {**values, "parent": parent.number if parent else "", "active": True}
        fields = {name: Field(value, self.policy_of(name)) for name, value in states.items()}
        self.things.append(Thing(len(self.things), keys, fields))
        self.told.append(f"create {len(self.things) - 1} {keys} under {parent.number if parent else '-'}")

    def live(self) -> list[Thing]:
        return [t for t in self.things if t.deleted is None]

    def change(self) -> None:
        thing = self.rng.choice(self.live())
        if thing.fresh and len(thing.keys) == 2:
            return  # where two records have yet to meet there is no ancestor, and so nothing to work out
        side = self.rng.choice(sorted(thing.keys))
        name = self.rng.choice(["name", "phone", "phone", "vat"])
        value = self.value()
        if name in ("name", "vat") and value == "":
            return
        self.edit(thing, side, name, value)

    def edit(self, thing: Thing, side: Side, name: str, value: Any, raw: Any = None) -> None:
        self.told.append(f"edit {thing.number} {side} {name}={value}")
        thing.fields[name].edit(side, value)
        if len(thing.keys) == 1:
            thing.fields[name].states.add(agreed(value, value))  # it may still be alone
        self.put(side, thing.keys[side], **{name: value if raw is None else raw})

    def move(self) -> None:
        side = self.rng.choice(SIDES)
        thing, above = self.rng.choice(self.live()), self.rng.choice(self.live())
        if thing.fresh or above.fresh or "parent" in thing.touched:
            return
        thing.touched.add("parent")
        self.edit(thing, side, "parent", above.number, above.keys[side])

    def archive(self) -> None:
        thing = self.rng.choice(self.live())
        if thing.fresh or "active" in thing.touched:
            return
        thing.touched.add("active")
        side = self.rng.choice(SIDES)
        row = self.row(thing, side)
        assert row is not None
        self.edit(thing, side, "active", not row.values[PATHS[side]["active"]])

    def delete(self) -> None:
        thing = self.rng.choice(self.live())
        used = {s.left for t in self.live() for s in t.fields["parent"].states}
        used |= {s.right for t in self.live() for s in t.fields["parent"].states}
        if thing.number in used or len(thing.keys) < 2 or thing.fresh:
            return
        side = self.rng.choice(SIDES)
        self.told.append(f"delete {thing.number} {side}")
        (self.world.left if side == "left" else self.world.right).remove(
            self.world.entity.side(side).entity, thing.keys[side]
        )
        thing.deleted = side

    def noise(self) -> None:
        """Events told twice, without a cause, or not at all; records hidden for a while."""
        side = self.rng.choice(SIDES)
        what = self.rng.random()
        if what < 0.6:
            for thing in self.rng.choices(self.things, k=3):
                if side in thing.keys:
                    self.world.touch(side, thing.keys[side])
        elif what < 0.8:
            self.world.lose_events()
            self.lost = True
            self.told.append("events lost")
        else:
            keys = [t.keys[side] for t in self.live() if not t.fresh]
            self.world.connectors[side].hidden = set(self.rng.sample(keys, k=min(2, len(keys))))

    # -- what the product does --------------------------------------------------------------------------------

    def weather(self, on: bool) -> None:
        for side in SIDES:
            connector = self.world.connectors[side]
            rough = on and self.rng.random() < 0.7
            connector.system.faults = Faults(lost_answer=0.2, unavailable=0.15) if rough else Faults()
            connector.half = 0.3 if rough else 0.0
            connector.late = 0.25 if rough else 0.0
            connector.stale = 0.1 if rough else 0.0
        self.deadly = 0.04 if on and self.rng.random() < 0.5 else 0.0

    async def lane(self, lease: Lease) -> None:
        lane = Lane(self.world.db, self.world.clock, self.rng)
        try:
            await lane.drain(self.world.entity, epoch=lease.epoch, fence=lease.fence, change_set=lambda conn: 1)
        except Died as death:
            self.told.append(f"died {death}")
            await asyncio.sleep(0.02)  # what was on its way still arrives
        except LeaseLost:
            self.told.append("taken over")

    async def load(self, lease: Lease) -> None:
        context = Context(fence=lease.fence, epoch=lease.epoch, change_set_id=1, why={"source": "load"})
        loader = self.world.loader
        self.clear()
        try:
            await loader.settle_unknown(self.world.entity, context)
            _, plans = await loader.look(self.world.entity, lambda *_: None)
            await loader.commit(self.world.entity, plans, context, lambda *_: None)
        except (Died, IsthmusError, LeaseLost) as trouble:
            self.told.append(f"load broken off: {trouble}")

    async def runner(self, work: Callable[[Lease], Any]) -> None:
        """A runner takes the lane over, sometimes while the one before is still at it."""
        first = asyncio.create_task(self.lane(await self._run(take, "lane:1:customer")))
        if work == self.lane and self.rng.random() < 0.6:
            await asyncio.sleep(self.rng.random() * 0.03)
        else:
            await first
        await work(await self._run(take, "lane:1:customer"))
        await first

    def clear(self) -> None:
        """Whatever was under way has arrived."""
        for connector in self.world.connectors.values():
            connector.land()
        self.hasten()

    def hasten(self) -> None:
        """Everything is due now; what was never answered and cannot land any more has had its time."""
        landing = sum(c.waiting for c in self.world.connectors.values())
        self.world.hasten(intents=not landing)

    async def work(self) -> None:
        await self._notice()
        for connector in self.world.connectors.values():
            if self.rng.random() < 0.5:
                connector.land()
        self.hasten()
        loading = self.rng.random() < 0.1 and not any(c.waiting for c in self.world.connectors.values())
        await self.runner(self.load if loading else self.lane)

    async def _notice(self) -> None:
        deadly, self.deadly = self.deadly, 0.0
        await self.world.notice_all()
        self.deadly = deadly

    async def rest(self) -> None:
        """The weather clears; everything is worked off."""
        self.weather(False)
        for side in SIDES:
            connector = self.world.connectors[side]
            connector.land()
            for key in connector.hidden:
                self.world.touch(side, key)
            connector.hidden = set()
        await self.calm()
        if self.lost:
            self.lost = False
            await self.world.sweep()
            await self.calm()

    async def calm(self) -> None:
        for _ in range(40):
            await self._notice()
            self.hasten()
            await self.lane(await self._run(take, "lane:1:customer"))
            if self.world.quiet():
                return
        raise AssertionError(f"never at rest: {self.world.rows('select * from change where state <> $$closed$$')}")

    async def round(self, actions: int) -> None:
        self.told.append("-- round")
        doing = [self.create, self.change, self.change, self.change, self.move, self.archive, self.delete, self.noise]
        for _ in range(actions):
            self.rng.choice(doing if self.live() else [self.create])()
            if self.rng.random() < 0.25:
                self.weather(True)
                await self.work()
        await self.rest()
        self.meet()
        await self.check()
        await self.decide()
        for thing in self.things:
            thing.fresh = False
            thing.touched.clear()

    async def decide(self) -> None:
        """People settle what waits for them, most of the time."""
        if not self.world.rows("select 1 from conflict where state = 'open'") or self.rng.random() < 0.3:
            return
        winner = self.rng.choice(SIDES)
        self.world.choose(winner)
        await self.rest()
        for held in (one for thing in self.live() for one in thing.fields.values()):
            held.states = {
                State(v, v, v, v) if s.disputed else s
                for s in held.states
                for v in [s.left if winner == "left" else s.right]
            }
        await self.check()

    # -- what must be true at rest ----------------------------------------------------------------------------

    def meet(self) -> None:
        """What a thing is called on the other side, as our Links say; each is checked to be the only one."""
        for left, right in self.world.rows("select left_key, right_key from link where state <> 'tombstone'"):
            for thing in self.things:
                if left == thing.keys.get("left") or right == thing.keys.get("right"):
                    for side, key in (("left", left), ("right", right)):
                        assert thing.keys.setdefault(side, str(key)) == key, (thing, left, right)  # type: ignore[arg-type]

    async def check(self) -> None:
        number = {(side, key): t.number for t in self.things for side, key in t.keys.items()}
        rows = {s: (self.world.left if s == "left" else self.world.right).rows for s in SIDES}
        for side in SIDES:
            there = set(rows[side].get(self.world.entity.side(side).entity, {}))
            ours = {t.keys[side] for t in self.things if side in t.keys and t.deleted != side}
            assert there == ours, f"{side}: more {there - ours}, fewer {ours - there}"
        held = self.world.rows("select side, key, kind, error from dead_letter where state = 'open'")
        assert held == []
        disputed = set()
        for thing in self.things:
            if thing.deleted is not None:
                kept = self.row(thing, other(thing.deleted))
                assert kept is not None
                assert kept.values[PATHS[other(thing.deleted)]["active"]] is False, f"{thing.number} is not archived"
                continue
            pair = [self.row(thing, side) for side in SIDES]
            assert all(pair), f"{thing.number} {thing.keys} has no counterpart"
            for name, held in thing.fields.items():
                told = []
                for side, row in zip(SIDES, pair, strict=True):
                    assert row is not None
                    raw = row.values.get(PATHS[side][name])
                    told.append(number.get((side, raw), "") if name == "parent" else "" if raw is None else raw)
                before = held.rest()
                state = held.found(*told)
                assert state is not None, f"{thing.number} {thing.keys} {name}: {told} but {before}"
                if state.disputed:
                    disputed.add((thing.keys["left"], name))
        self._check_books(disputed)
        await self._check_second_look()

    def _check_books(self, disputed: set[tuple[str, str]]) -> None:
        world = self.world
        sql = "select l.left_key, c.field from conflict c join link l on l.id = c.link_id where c.state <> 'closed'"
        assert set(world.rows(sql)) == disputed
        assert world.rows("select * from intent where state in ('planned', 'sent', 'unknown')") == []
        [live] = world.rows("select count(*) from link where state <> 'tombstone'")
        assert live == (len(self.live()),)

    async def _check_second_look(self) -> None:
        world = self.world
        writes = world.left.writes + world.right.writes
        for thing in self.things:
            for side, key in thing.keys.items():
                world.touch(side, key)
        await self.calm()
        assert world.left.writes + world.right.writes == writes, "a second look wrote"
        assert await world.sweep() == 0, "a sweep found something to do"
        books = await world.books()
        assert books["events"] == books["coalesced"] + books["changes"], books
        assert books["changes"] == books["applied"] + books["unchanged"] + books["held"], books


PHONES = {
    "newest": FieldPolicy(rule=Rule.NEWEST),
    "left": FieldPolicy(rule=Rule.LEFT),
    "right, strictly": FieldPolicy(rule=Rule.RIGHT, strict=True),
    "ask": FieldPolicy(rule=Rule.ASK),
    "to the right only": FieldPolicy(rule=Rule.LEFT, direction="to_right"),
}
