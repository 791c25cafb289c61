"""Writes whose answer never came: what they did is found out before anything is sent again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from isthmus.errors import SafetyLimit
from isthmus.store.database import Database
from isthmus.testing.memory import Faults
from sync_world import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def rows(db: Database, sql: str) -> list[tuple[object, ...]]:
    with db.transaction() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


async def linked(world: World, **values: str) -> tuple[str, str]:
    left = world.put_left(name="Acme", **values)
    await world.settle()
    [right] = world.right.rows["account"]
    return left, right


async def lose_the_answer(world: World) -> None:
    """One drain in which every write to the right side takes place and none is answered."""
    world.right.faults = Faults(lost_answer=1.0)
    await world.notice()
    await world.drain_once()
    world.right.faults = Faults()


async def test_an_edit_made_after_a_write_without_answer_is_no_conflict(world: World) -> None:
    left, right = await linked(world, vat="V1")
    world.put_left(left, vat="V2")
    await lose_the_answer(world)
    assert world.right.rows["account"][right].values["VAT"] == "V2"
    world.put_left(left, vat="V3")
    await world.settle()
    assert world.right.rows["account"][right].values["VAT"] == "V3"
    assert rows(world.db, "select 1 from conflict") == []


async def test_a_write_without_answer_is_confirmed_and_audited_once_it_is_seen(world: World) -> None:
    left, _ = await linked(world, phone="1")
    world.put_left(left, phone="2")
    await lose_the_answer(world)
    writes = world.right.writes
    await world.settle()
    assert world.right.writes == writes
    assert rows(world.db, "select state from intent where action = 'update'") == [("confirmed",)]
    assert rows(world.db, "select after ->> 'phone' from audit where action = 'update'") == [("2",)]


async def test_an_edit_over_there_after_a_write_without_answer_is_kept(world: World) -> None:
    left, right = await linked(world, phone="1")
    world.put_left(left, phone="2", name="Acme Ltd")
    await lose_the_answer(world)
    world.put_right(right, Phone="3")
    await world.settle()
    assert world.left.rows["partner"][left].values["phone"] == "3"
    assert world.right.rows["account"][right].values["Name"] == "Acme Ltd"


async def test_a_write_that_never_arrived_is_sent_again(world: World) -> None:
    left, right = await linked(world, phone="1")
    world.put_left(left, phone="2")
    await world.notice()
    await world.drain_once(die_before_confirm=True, undo_writes=True)
    assert world.right.rows["account"][right].values["Phone"] == "1"
    await world.settle()
    assert world.right.rows["account"][right].values["Phone"] == "2"


async def test_a_runner_that_dies_after_writing_leaves_nothing_to_be_repeated(world: World) -> None:
    left, right = await linked(world, vat="V1")
    world.put_left(left, vat="V2")
    await world.notice()
    await world.drain_once(die_before_confirm=True)
    writes = world.right.writes
    world.put_left(left, vat="V3")
    await world.settle()
    assert world.right.rows["account"][right].values["VAT"] == "V3"
    assert world.right.writes == writes + 1
    assert rows(world.db, "select 1 from conflict") == []


async def test_when_one_of_two_writes_fails_the_other_counts(world: World) -> None:
    left, right = await linked(world, phone="1", vat="V1")
    world.put_left(left, vat="V2")
    world.put_right(right, Phone="bad")
    world.left.faults = Faults(refused={"bad"})
    await world.settle()
    assert world.right.rows["account"][right].values["VAT"] == "V2"
    world.put_left(left, vat="V3")
    await world.settle()
    assert rows(world.db, "select 1 from conflict") == []


async def test_an_id_that_belongs_to_another_record_now_stops_everything(world: World) -> None:
    left, right = await linked(world, phone="1")
    world.right.rows["account"][right].created_at += timedelta(days=3)
    writes = world.right.writes
    world.put_left(left, phone="2")
    await world.notice()
    with pytest.raises(SafetyLimit, match="another record"):
        await world.drain()
    assert world.right.writes == writes


async def test_a_field_that_a_broken_off_write_never_reached_is_written_again(world: World) -> None:
    left, right = await linked(world, phone="1")
    world.put_left(left, phone="2", name="Acme Ltd")
    await lose_the_answer(world)
    world.right.rows["account"][right].values["Phone"] = "1"  # the last of several calls was never made
    await world.settle()
    assert world.left.rows["partner"][left].values["phone"] == "2"
    assert world.right.rows["account"][right].values["Phone"] == "2"


async def test_a_field_that_a_broken_off_create_never_reached_is_not_emptied_at_its_source(world: World) -> None:
    left = world.put_left(name="Acme", phone="1")
    await lose_the_answer(world)
    [right] = world.right.rows["account"]
    world.right.rows["account"][right].values.pop("Phone")
    await world.settle()
    assert world.left.rows["partner"][left].values["phone"] == "1"
    assert world.right.rows["account"][right].values["Phone"] == "1"


async def test_a_record_in_trouble_is_held_once_whichever_side_was_edited(world: World) -> None:
    left, right = await linked(world, phone="1", vat="V1")
    world.left.faults = Faults(refused={"bad"})
    world.put_right(right, Phone="bad")
    await world.settle()
    world.put_left(left, name="Acme Ltd")
    await world.settle()
    assert len(rows(world.db, "select 1 from dead_letter where state = 'open'")) == 1
