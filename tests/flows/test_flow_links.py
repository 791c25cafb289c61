"""Nodes that tell others: counterparts named to a pair, Events told to Runs that wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from flow_world import FlowInstallation
from sqlalchemy import text

from isthmus.store.database import Database
from sync_world import World

TIES = """
flow: ties
pairs: {main: {entities: [customer]}}
nodes:
  start: {type: manual, to: tie}
  tie: {type: link, pair: main, entity: customer, left: item.left, right: item.right, to: end}
  end: {type: filter, when: "true"}
"""

WAITS = """
flow: waits
nodes:
  start: {type: manual, to: goods}
  goods: {type: wait, event: goods.received, key: item.order, timeout: 30d, to: {out: again}}
  again: {type: sub_flow, flow: waits, key: run.key + "+", data: {order: "'none'"}, wait: false}
"""

TELLS = """
flow: tells
nodes:
  start: {type: manual, to: tell}
  tell: {type: signal, event: goods.received, key: item.order}
"""


@pytest.fixture
async def house(database: Database) -> AsyncIterator[FlowInstallation]:
    found = FlowInstallation(database)
    yield found
    await found.close()


@pytest.fixture
async def world(house: FlowInstallation, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(house.db)
    with house.db.transaction() as conn:
        conn.execute(text("insert into connection (name, kind) values ('l', 'memory'), ('r', 'memory')"))
        conn.execute(text("insert into pair (name, left_id, right_id) values ('main', 1, 2)"))

    async def pair(_: int) -> tuple[Any, Any]:
        return None, made.pair

    monkeypatch.setattr(house.runtime, "pair", pair)
    await house.publish(TIES, main="main")
    return made


def links(house: FlowInstallation) -> list[tuple[Any, ...]]:
    return [tuple(r) for r in house.rows("select left_key, right_key from link order by id")]


async def test_counterparts_that_a_flow_named_are_linked_and_none_is_made_twice(
    house: FlowInstallation, world: World
) -> None:
    left, right = world.put_left(name="Bill 9", vat="A1"), world.put_right(Name="V-1", VAT="B2")
    await house.trigger("ties", {"left": left, "right": right})
    await house.trigger("ties", {"left": left, "right": right}, key="K2")
    await house.drain()
    assert [row["link"]["state"] for row in house.ended("end")] == ["expected", "expected"]
    [told] = house.rows("select key, why from audit where action = 'name'")
    assert (told.key, told.why["with"], told.why["flow"]) == (left, right, "ties")
    await world.load()  # what a load finds is left to the lane
    assert (world.names("left"), world.names("right")) == (["Bill 9"], ["V-1"])
    await world.settle()
    assert links(house) == [(left, right)]
    assert len(world.names("left")) == len(world.names("right")) == 1
    assert "ties" in house.one("select why ->> 'match' from audit where action = 'link'")
    assert house.one("select count(*) from expected_link") == 0
    await house.trigger("ties", {"left": left, "right": right}, key="K3")
    await house.drain()
    assert [row["link"]["state"] for row in house.ended("end")][-1] == "linked"


async def test_a_record_with_another_counterpart_is_a_matter_for_a_person(
    house: FlowInstallation, world: World
) -> None:
    left = world.put_left(name="Ada", vat="A1")
    await world.settle()
    [(_, right)] = links(house)
    await house.trigger("ties", {"left": left, "right": "R99"})
    await house.trigger("ties", {"left": "L98", "right": "R98"}, key="K2")
    await house.trigger("ties", {"left": "L98", "right": "R97"}, key="K3")
    await house.trigger("ties", {"left": "", "right": "R97"}, key="K4")
    await house.drain()
    said = {r.key.split(" ")[-1]: r.error for r in house.rows("select key, error from dead_letter order by id")}
    answers = [error["answered"] for error in said.values()]
    assert answers == [
        f"left {left} and right {right} are linked", "left L98 and right R98 were named", "the left key is empty",
    ]  # fmt: skip


async def test_an_event_that_a_flow_tells_wakes_who_waits_and_who_comes_later(house: FlowInstallation) -> None:
    await house.publish(WAITS)
    await house.publish(TELLS)
    await house.trigger("waits", {"order": "P1"}, key="B1")
    await house.trigger("waits", {"order": "P2"}, key="B2")
    await house.drain()
    await house.trigger("tells", {"order": "P1"}, key="T1")
    await house.drain()
    assert [row["order"] for row in house.ended("again")] == ["P1"]
    assert sorted(r.key for r in house.rows("select key from run where state = 'active'")) == ["B1+", "B2"]
