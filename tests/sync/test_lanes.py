"""Lanes beside one another, runners that were taken over, and records that are never still."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, text

from isthmus.store import changes, links
from isthmus.store.database import Database
from isthmus.sync.lane import Lane
from isthmus.sync.settle import Settler, Tally
from sync_world import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def event(entity: str, key: str) -> changes.NewEvent:
    return changes.NewEvent(pair_id=1, entity=entity, side="left", key=key, source="test")


async def test_two_lanes_that_wake_one_another_at_once_both_go_on(database: Database) -> None:
    await database.run(changes.accept, [event("customer", "1"), event("order", "1")])
    claimed = {n: (await database.run(changes.claim, 1, n, 0, 1, 10))[0].id for n in ("customer", "order")}
    barrier = [asyncio.Event(), asyncio.Event()]
    loop = asyncio.get_running_loop()

    def work(conn: Connection, mine: str, theirs: str, n: int) -> str:
        changes.close(conn, [changes.Close(change_id=claimed[mine], outcome="applied")])
        loop.call_soon_threadsafe(barrier[n].set)
        asyncio.run_coroutine_threadsafe(barrier[1 - n].wait(), loop).result(10)
        changes.accept(conn, [event(theirs, "1")])
        return mine

    done = await asyncio.gather(database.run(work, "customer", "order", 0), database.run(work, "order", "customer", 1))
    assert set(done) == {"customer", "order"}
    books = await database.run(changes.balance, 1)
    assert books["events"] == books["coalesced"] + books["changes"]


async def test_a_record_held_just_as_another_lane_links_what_it_needs_is_looked_at_again(world: World) -> None:
    parent = world.put_left(name="Parent")
    there = world.put_right(Name="Parent")
    world.lose_events()
    world.put_left(name="Child", parent_id=parent)
    await world.notice()
    with world.db.transaction() as conn:
        conn.execute(text("update change set attempts = 100"))
    made: list[object] = []

    class Beside(Settler):
        async def _confirm(self, *args: Any, **more: Any) -> Tally:
            if not made:
                new = links.NewLink(left_key=parent, right_key=there, left_base={}, right_base={})
                made.append(await self._db.run(links.insert, 1, "customer", [new]))
            return await super()._confirm(*args, **more)

    world.lane._settler = Beside(world.db, world.clock, world.rng)
    await world.settle()
    assert "Child" in world.names("right")
    assert world.rows("select 1 from dead_letter where state = 'open'") == []


async def test_a_record_that_is_never_as_it_was_read_is_held_in_the_end(world: World) -> None:
    left = world.put_left(name="Acme")
    await world.settle()
    world.connectors["right"].stale = 1.0
    world.put_left(left, phone="2")
    await world.notice()
    with world.db.transaction() as conn:
        conn.execute(text("update change set attempts = 22 where state <> 'closed'"))
    for _ in range(4):
        await world.hurry()
    assert world.rows("select kind, state from dead_letter") == [("Conflicted", "open")]
    world.connectors["right"].stale = 0.0
    world.touch("left", left)
    await world.settle()
    assert world.rows("select state from dead_letter") == [("closed",)]


async def test_a_runner_that_was_taken_over_does_not_touch_what_the_next_one_has_claimed(world: World) -> None:
    world.put_left(name="Acme")
    await world.notice()
    db = world.db
    [old] = await db.run(changes.claim, 1, "customer", 0, 1, 10)
    await db.run(changes.reclaim, 1, "customer", 0, 2)
    await db.run(changes.claim, 1, "customer", 0, 2, 10)
    await db.run(changes.close, [changes.Close(change_id=old.id, outcome=None, delay=60)], epoch=1)
    assert world.rows("select state, epoch from change") == [("claimed", 2)]


async def test_a_record_that_was_linked_otherwise_meanwhile_stays_open(world: World) -> None:
    left = world.put_left(name="Acme", vat="V1")
    world.put_right(Name="Acme", VAT="V1")
    other = world.put_right(Name="Bolt")
    world.lose_events()
    world.touch("left", left)
    await world.notice()

    class Beside(Settler):
        async def _confirm(self, *args: Any, **more: Any) -> Tally:
            new = links.NewLink(left_key=left, right_key=other, left_base={}, right_base={})
            await self._db.run(links.insert, 1, "customer", [new])
            return await super()._confirm(*args, **more)

    lane = Lane(world.db, world.clock, world.rng)
    lane._settler = Beside(world.db, world.clock, world.rng)
    stop = iter([False, True])
    await lane.drain(world.entity, epoch=1, fence=lambda _: None, change_set=lambda _: 1, stopping=lambda: next(stop))
    assert world.rows("select state from change") == [("pending",)]


async def test_records_that_need_one_another_are_held_and_pass_once_the_circle_is_broken(world: World) -> None:
    one = world.put_left(name="One")
    two = world.put_left(name="Two", parent_id=one)
    world.put_left(one, parent_id=two)
    world.put_left(name="Bolt")
    await world.notice()
    with world.db.transaction() as conn:
        conn.execute(text("update change set attempts = 100"))
    await world.settle()
    assert world.names("right") == ["Bolt"]
    assert {kind for (kind,) in world.rows("select kind from dead_letter")} == {"DependencyMissing"}
    world.put_left(one, parent_id=None)
    await world.settle()
    assert world.names("right") == ["Bolt", "One", "Two"]
    assert world.rows("select 1 from dead_letter where state = 'open'") == []
