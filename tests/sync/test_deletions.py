"""Deleted, hidden, restored and merged records: nothing comes back by itself, nothing restored is shut out."""

from __future__ import annotations

import pytest

from isthmus.model.policy import Deletes, EntityPolicy
from isthmus.store.database import Database
from sync_world import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def linked(world: World, **values: str) -> tuple[str, str]:
    left = world.put_left(name="Acme", **values)
    await world.settle()
    [right] = world.right.rows["account"]
    return left, right


async def test_a_record_restored_after_its_counterpart_was_deleted_is_made_anew(world: World) -> None:
    left, right = await linked(world)
    world.left.remove("partner", left)
    await world.settle()
    assert world.names("right") == []
    world.put_right(right, Active=True)
    await world.settle()
    assert world.names("left") == world.names("right") == ["Acme"]
    assert world.rows("select 1 from dead_letter where state = 'open'") == []
    assert (await world.compare()).figure == 1.0


async def test_a_deletion_that_is_to_be_ignored_is_not_made_good_either(database: Database) -> None:
    world = World(database, policy=EntityPolicy(fields={}, deletes=Deletes.IGNORE))
    left, right = await linked(world)
    world.right.remove("account", right)
    await world.settle()
    world.put_left(left, phone="2")
    await world.settle()
    await world.sweep()
    await world.settle()
    await world.load()
    assert world.names("left") == ["Acme"]
    assert world.names("right") == []


async def test_a_record_left_over_by_an_ignored_deletion_returns_when_it_was_archived_and_restored(
    database: Database,
) -> None:
    world = World(database, policy=EntityPolicy(fields={}, deletes=Deletes.IGNORE))
    left, right = await linked(world)
    world.right.remove("account", right)
    await world.settle()
    world.put_left(left, active=False)
    await world.settle()
    world.put_left(left, active=True)
    await world.settle()
    assert world.names("right") == ["Acme"]


async def test_deleting_on_the_other_side_too_is_final(database: Database) -> None:
    world = World(database, policy=EntityPolicy(fields={}, deletes=Deletes.DELETE))
    world.let_delete()
    left, _ = await linked(world)
    world.left.remove("partner", left)
    await world.settle()
    await world.sweep()
    await world.settle()
    assert world.left.rows["partner"] == {}
    assert world.right.rows["account"] == {}
    assert world.rows("select state from link") == [("tombstone",)]


async def test_a_reference_to_a_deleted_record_is_no_edit(world: World) -> None:
    parent = world.put_left(name="Parent")
    child = world.put_left(name="Child", parent_id=parent)
    await world.settle()
    world.left.remove("partner", parent)
    await world.settle()
    world.put_left(child, phone="2")
    await world.settle()
    made = {r.values["Name"]: r for r in world.right.rows["account"].values()}
    assert made["Child"].values["Phone"] == "2"
    assert world.rows("select 1 from dead_letter where state = 'open'") == []


async def test_an_undone_creation_stays_undone(world: World) -> None:
    world.put_left(name="Acme")
    await world.settle()
    await world.undo()
    await world.sweep()
    await world.settle()
    assert world.names("right") == []
    assert len(world.right.rows["account"]) == 1


async def test_a_copy_that_carries_our_external_key_is_held_by_a_load_as_by_the_lane(world: World) -> None:
    _, right = await linked(world)
    copy = world.put_right(Name="Acme (copy)")
    world.right.rows["account"][copy].external_key = world.right.rows["account"][right].external_key
    await world.load()
    assert world.names("left") == ["Acme"]
    assert world.rows("select key, kind from dead_letter where state = 'open'") == [(copy, "Ambiguous")]
    await world.settle()
    assert world.names("left") == ["Acme"]


async def test_every_record_that_was_merged_into_one_survivor_waits_for_a_person(world: World) -> None:
    for name in ("One", "Two", "Three"):
        world.put_right(Name=name, Active=True)
    await world.settle()
    one, two, three = list(world.left.rows["partner"])
    world.left.merge("partner", one, two)
    world.left.merge("partner", two, three)
    await world.settle()
    held = world.rows("select key, error ->> 'answered' from dead_letter where state = 'open' order by key")
    assert held == [(one, f"it was merged into {three}"), (two, f"it was merged into {three}")]
    assert [row.values["Active"] for row in world.right.rows["account"].values()] == [True, True, True]
