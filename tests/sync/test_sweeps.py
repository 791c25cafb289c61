"""What no Event told: the Sweep finds it, and afterwards our books say what is true."""

from __future__ import annotations

import pytest

from isthmus.store.database import Database
from isthmus.testing.memory import Faults
from sync_world import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def linked(world: World, **values: str) -> tuple[str, str]:
    left = world.put_left(name="Acme", **values)
    await world.settle()
    [right] = world.right.rows["account"]
    return left, right


async def test_the_same_edit_on_both_sides_that_nobody_told_is_no_conflict_later(world: World) -> None:
    left, right = await linked(world, vat="V1")
    world.put_left(left, vat="V2")
    world.put_right(right, VAT="V2")
    world.lose_events()
    await world.sweep()
    world.put_left(left, vat="V3")
    await world.settle()
    assert world.right.rows["account"][right].values["VAT"] == "V3"
    assert world.rows("select 1 from conflict") == []


async def test_a_conflict_corrected_by_hand_is_closed_though_no_event_came(world: World) -> None:
    left, right = await linked(world, vat="V1")
    world.put_left(left, vat="L1")
    world.put_right(right, VAT="R1")
    await world.settle()
    world.put_left(left, vat="R1")
    world.lose_events()
    await world.sweep()
    assert world.rows("select state from conflict") == [("closed",)]


async def test_a_held_record_that_was_deleted_or_archived_is_held_no_more(world: World) -> None:
    await linked(world, vat="V1")
    deleted = world.put_left(name="Twin", vat="V1")
    archived = world.put_left(name="Other twin", vat="V1")
    await world.settle()
    assert len(world.rows("select 1 from dead_letter where state = 'open'")) == 2
    world.left.remove("partner", deleted)
    world.put_left(archived, active=False, vat="V3")
    world.lose_events()
    await world.sweep()
    assert world.rows("select 1 from dead_letter where state = 'open'") == []


async def test_a_held_record_passes_by_itself_once_its_rival_is_gone(world: World) -> None:
    left, right = await linked(world, vat="V1")
    twin = world.put_left(name="Twin", vat="V1")
    await world.settle()
    world.left.remove("partner", left)
    await world.settle()
    assert world.rows("select 1 from dead_letter where state = 'open'") == []
    assert world.rows("select left_key, right_key from link where state <> 'tombstone'") == [(twin, right)]
    assert world.right.rows["account"][right].values["Active"] is True


async def test_of_two_duplicates_both_pass_once_one_is_corrected(world: World) -> None:
    world.put_left(name="One", vat="V1")
    two = world.put_left(name="Two", vat="V1")
    await world.settle()
    assert world.names("right") == []
    world.put_left(two, vat="V2")
    await world.settle()
    assert world.names("right") == ["One", "Two"]
    assert world.rows("select 1 from dead_letter where state = 'open'") == []


async def test_a_sweep_of_what_agrees_asks_for_nothing(world: World) -> None:
    left, right = await linked(world, vat="V1")
    world.put_left(left, vat="L1")
    world.put_right(right, VAT="R1")
    world.put_left(name="Twin", vat="R1")
    await world.settle()
    assert await world.sweep() == 0


async def test_what_a_load_could_not_write_is_looked_at_again(world: World) -> None:
    for n in range(3):
        world.put_left(name=f"n{n}")
    world.lose_events()
    world.right.faults = Faults(unavailable=1.0)
    with world.reachable("right"):
        await world.load()
    world.right.faults = Faults()
    await world.settle()
    assert world.names("right") == ["n0", "n1", "n2"]


async def test_a_load_waits_for_what_may_still_land(world: World) -> None:
    world.put_left(name="Acme")
    world.connectors["right"].late = 1.0
    world.connectors["right"].adopts = False
    world.connectors["right"].change_traits(ceiling_seconds=5.0)
    await world.notice()
    await world.drain_once()
    world.connectors["right"].late = 0.0
    world.land_later("right", 0.5)
    await world.load()
    world.connectors["right"].land()
    await world.settle()
    assert world.names("left") == world.names("right") == ["Acme"]
    assert len(world.right.rows["account"]) == 1
    assert world.rows("select count(*) from intent where state in ('sent', 'unknown')") == [(0,)]
