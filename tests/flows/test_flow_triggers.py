"""What begins a Run: records of a pair and of a system, schedules, webhooks; with the engine at work."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flow_world import FlowInstallation
from sqlalchemy import text

from isthmus.flows import lane
from isthmus.flows.nodes import waiting
from isthmus.flows.nodes.triggers import Schedule
from isthmus.operate import flowruntime
from isthmus.operate import flows as verbs
from isthmus.store import flows
from isthmus.store.database import Database
from sync_world import World

HEARS_PAIR = """
flow: hears
pairs: {main: {entities: [customer]}}
nodes:
  start: {type: record_changed, pair: main, entity: customer, side: right, to: end}
  end: {type: filter, when: "true"}
"""

HEARS_SYSTEM = """
flow: reads
connections: {shop: {}}
nodes:
  start: {type: record_changed, connection: shop, entity: order, to: read}
  read: {type: read, connection: shop, entity: order, key: item.key, paths: [number, state], to: paid}
  paid: {type: filter, when: item.record.state == 'paid', to: end}
  end: {type: set, fields: {number: item.record.number}}
"""

SYNCS = """
flow: syncs
pairs: {main: {entities: [customer]}}
nodes:
  start: {type: manual, to: sync}
  sync: {type: sync_record, pair: main, entity: customer, key: item.customer, to: end}
  end: {type: filter, when: "true"}
"""

TICKS = """
flow: ticks
nodes:
  start: {type: schedule, cron: "* * * * * *", to: end}
  end: {type: filter, when: "true"}
"""

HOOKED = """
flow: hooked
nodes:
  start: {type: webhook, key: item.order.id, when: item.order.total != '0.00', to: end}
  end: {type: set, fields: {total: item.order.total}}
"""


@pytest.fixture
async def house(database: Database) -> AsyncIterator[FlowInstallation]:
    found = FlowInstallation(database)
    yield found
    await found.close()


@asynccontextmanager
async def working(house: FlowInstallation) -> AsyncIterator[None]:
    """The engine of this installation at work."""
    stop = asyncio.Event()
    work = asyncio.create_task(house.runtime.engine.run(stop))
    try:
        yield
    finally:
        house.runtime.stopping = True
        stop.set()
        await work


async def until(condition: Any, seconds: float = 20) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it did not happen in time"
        await asyncio.sleep(0.05)


def paired(house: FlowInstallation, world: World) -> None:
    """Pair number 1 of the installation is that of the sync world."""
    with house.db.transaction() as conn:
        conn.execute(text("insert into connection (name, kind) values ('l', 'memory'), ('r', 'memory')"))
        conn.execute(text("insert into pair (name, left_id, right_id) values ('main', 1, 2)"))

    async def pair(_: int) -> tuple[Any, Any]:
        return None, world.pair

    house.runtime.pair = pair  # type: ignore[method-assign]


async def test_a_record_of_a_pair_begins_a_run_once_its_change_is_applied(house: FlowInstallation) -> None:
    world = World(house.db)
    paired(house, world)
    world.put_left(name="Ada", vat="AT1")
    await world.notice()
    await world.drain()
    assert house.one("select count(*) from flow_event") == 0
    await house.publish(HEARS_PAIR, main="main")
    world.entity = dataclasses.replace(world.entity, listened=True)
    world.put_left(name="Bob", vat="AT2")
    await world.notice()
    await world.drain()
    [event] = house.rows("select key, data -> 'item' as item from flow_event")
    right = next(k for k, r in world.right.rows["account"].items() if r.values["Name"] == "Bob")
    assert event.key == right
    assert event.item == {"entity": "customer", "key": right, "left": "L2", "right": right, "side": "left"}
    await house.drain()
    assert house.states() == {"done": 1}


async def test_a_changed_record_of_a_system_without_a_pair_begins_a_run(
    house: FlowInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flowruntime, "POLL_SECONDS", 0.2)
    shop = house.system("shop")
    await house.publish(HEARS_SYSTEM)
    house.runtime.flows.register_chores()
    async with working(house):
        await until(lambda: house.one("select count(*) from cursor"))
        key = shop.put("order", {"number": "A-1", "state": "open"})
        await until(lambda: house.states().get("done") == 1)
        shop.put("order", {"state": "paid"}, key=key)
        await until(lambda: house.ended("end"))
    assert house.ended("end")[0]["number"] == "A-1"


async def test_a_schedule_fires_by_the_clock_and_catches_up_once(house: FlowInstallation) -> None:
    await house.publish(TICKS)
    house.one("update flow_listener set due_at = now() - interval '1 hour' returning 1")
    await house.db.run(house.runtime.flows.arm)
    async with working(house):
        await until(lambda: house.states().get("done", 0) >= 3)
    moments = [r.key for r in house.rows("select key from run order by id")]
    assert len(set(moments)) == len(moments)
    ages = [(datetime.fromisoformat(b) - datetime.fromisoformat(a)) for a, b in itertools.pairwise(moments)]
    assert ages[0] > timedelta(minutes=59)
    assert max(ages[1:]) < timedelta(seconds=10)


def test_a_schedule_keeps_to_the_clock_of_its_zone_when_the_clocks_change() -> None:
    node = Schedule.model_validate({"cron": "0 6 * * *", "zone": "Europe/Vienna"})
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert node.next_after(before) == datetime(2026, 3, 29, 4, tzinfo=UTC)
    assert node.next_after(datetime(2026, 3, 28, 4, tzinfo=UTC)) == datetime(2026, 3, 28, 5, tzinfo=UTC)


async def test_a_webhook_begins_a_run_by_its_key_and_only_with_its_secret(house: FlowInstallation) -> None:
    await house.publish(HOOKED)
    path = await house.db.run(verbs.new_hook, "hooked", "ada")
    _, _, name, secret = path.split("/")
    body = {"order": {"id": "A-1", "total": "12.50"}}
    take = lambda s, b: house.db.run(verbs.take_delivery, house.runtime, name, s, b)  # noqa: E731 - short for here
    assert await take("guessed", body) is None
    assert await take(secret, body) == "A-1"
    assert await take(secret, body) == "A-1"
    assert await take(secret, {"order": {"id": "A-2", "total": "0.00"}}) == "A-2"
    await house.drain()
    assert [d["total"] for d in house.ended("end")] == ["12.50"]
    assert [(r.key, r.events) for r in house.rows("select key, events from run order by key")] == [
        ("A-1", 2), ("A-2", 1),
    ]  # fmt: skip
    again = await house.db.run(verbs.new_hook, "hooked", "ada")
    assert await take(secret, body) is None
    assert again != path


async def test_a_paused_flow_accepts_triggers_and_begins_them_when_it_goes_on(house: FlowInstallation) -> None:
    shop = house.system("shop")
    flow = await house.publish(HEARS_SYSTEM)
    await house.db.run(verbs.set_state, house.runtime, "reads", "paused", "ada")
    key = shop.put("order", {"number": "A-1", "state": "paid"})
    found = await house.db.run(flows.hear_connection, 1, {"order": [key, key]})
    assert found == (flow,)
    await house.drain()
    assert house.states() == {}
    await house.db.run(verbs.set_state, house.runtime, "reads", "active", "ada")
    await house.drain()
    assert [d["number"] for d in house.ended("end")] == ["A-1"]


async def test_a_flow_has_the_lane_of_a_pair_bring_a_record_into_agreement(house: FlowInstallation) -> None:
    world = World(house.db)
    paired(house, world)
    key = world.put_left(name="Ada", vat="AT1")
    await house.publish(SYNCS, main="main")
    await house.trigger("syncs", {"customer": key})
    work = asyncio.create_task(house.drain())
    await until(lambda: house.one("select count(*) from change"))
    await world.drain()
    await work
    [done] = house.ended("end")
    assert done["record"]["left"] == key
    assert done["record"]["outcome"] == "applied"
    assert world.names("right") == ["Ada"]
    assert done["record"]["right"] in world.right.rows["account"]


async def test_the_lane_wakes_what_waits_for_it_and_nothing_asks_meanwhile(
    house: FlowInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONGEST_LOOK", 0.0)
    monkeypatch.setattr(waiting, "FIRST_LOOK", 3600.0)
    world = World(house.db)
    paired(house, world)
    keys = [world.put_left(name=f"N{n}", vat=f"AT{n}") for n in range(3)]
    flow = await house.publish(SYNCS, main="main")
    for n, key in enumerate(keys):
        await house.trigger("syncs", {"customer": key}, key=f"K{n}")
    await house.drain()
    assert house.rows("select distinct state, due_at > now() + interval '50 minutes' as later from run_item") == [
        ("waiting", True)
    ]
    tally = await world.drain()
    assert tally.flows == {flow}
    assert house.one("select count(*) from run_item where state = 'ready' and due_at <= now()") == 3
    await house.drain()
    assert [done["record"]["outcome"] for done in house.ended("end")] == ["applied"] * 3
    looks = house.rows("select item_id, count(*) as n from run_step where node = 'sync' group by 1")
    assert [row.n for row in looks] == [2, 2, 2]


async def test_a_change_that_is_settled_before_its_item_waits_is_not_missed(
    house: FlowInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONGEST_LOOK", 0.0)
    monkeypatch.setattr(waiting, "FIRST_LOOK", 3600.0)
    world = World(house.db)
    paired(house, world)
    key = world.put_left(name="Ada", vat="AT1")
    await house.publish(SYNCS, main="main")
    write = lane.write

    def late(conn: Any, flow: Any, segment: Any, fence: Any) -> Any:
        # The lane of the pair is quicker: it has settled the Change before the item is written down.
        if house.one("select count(*) from change where state <> 'closed'"):
            asyncio.run(world.drain())
        return write(conn, flow, segment, fence)

    monkeypatch.setattr(lane, "write", late)
    await house.trigger("syncs", {"customer": key})
    await house.drain()
    assert [done["record"]["outcome"] for done in house.ended("end")] == ["applied"]


async def test_a_record_without_a_counterpart_is_left_alone_where_only_linked_ones_are_meant(
    house: FlowInstallation,
) -> None:
    world = World(house.db)
    paired(house, world)
    known = world.put_left(name="Ada", vat="AT1")
    await world.notice()
    await world.drain()
    new = world.put_left(name="Bob", vat="AT2")
    told = SYNCS.replace("to: end}", "only_linked: true, to: {out: end, unlinked: none}}")
    await house.publish(told + '  none: {type: filter, when: "true"}\n', main="main")
    for n, key in enumerate((known, new)):
        await house.trigger("syncs", {"customer": key}, key=f"K{n}")
    work = asyncio.create_task(house.drain())
    await until(lambda: house.one("select count(*) from change where state <> 'closed'"))
    await world.drain()
    await work
    assert [done["customer"] for done in house.ended("end")] == [known]
    assert [done["customer"] for done in house.ended("none")] == [new]
    assert world.names("right") == ["Ada"]


async def test_new_records_that_have_to_be_asked_for_take_part_when_a_flow_asks(house: FlowInstallation) -> None:
    world = World(house.db)
    left = dataclasses.replace(world.entity.left, adopt="asked")
    world.entity = dataclasses.replace(world.entity, left=left)
    world.pair = dataclasses.replace(world.pair, entities={"customer": world.entity})
    paired(house, world)
    key = world.put_left(name="Ada", vat="AT1")
    await world.notice()
    await world.drain()
    assert world.names("right") == []
    await house.publish(SYNCS, main="main")
    await house.trigger("syncs", {"customer": key})
    work = asyncio.create_task(house.drain())
    await until(lambda: house.one("select count(*) from change"))
    await world.drain()
    await work
    assert world.names("right") == ["Ada"]
    world.put_left(key, name="Ada B")
    await world.notice()
    await world.drain()
    assert world.names("right") == ["Ada B"]
