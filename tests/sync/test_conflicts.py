"""Conflicts between one look and the next: what waits for a person is decided by nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import text

from isthmus.model.policy import EntityPolicy, FieldPolicy, Rule
from isthmus.sdk import Outcome, Update
from isthmus.store.database import Database
from sync_world import World

NEWEST_OR_ASK = EntityPolicy(fields={"phone": FieldPolicy(rule=Rule.NEWEST, otherwise=Rule.ASK)})


@pytest.fixture
def world(database: Database) -> World:
    return World(database, policy=NEWEST_OR_ASK)


async def linked(world: World, **values: str) -> tuple[str, str]:
    left = world.put_left(name="Acme", **values)
    await world.settle()
    [right] = world.right.rows["account"]
    return left, right


def left_values(world: World, key: str) -> dict[str, object]:
    return world.left.rows["partner"][key].values


def right_values(world: World, key: str) -> dict[str, object]:
    return world.right.rows["account"][key].values


async def test_looking_again_does_not_settle_what_only_a_person_may(world: World) -> None:
    left, right = await linked(world, phone="1")
    seen = world.now() - timedelta(minutes=5)
    world.put_left(left, phone="2", at=seen)
    world.put_right(right, Phone="3", at=seen)
    world.rewind(timedelta(hours=1))
    await world.settle()
    assert world.rows("select field, state from conflict") == [("phone", "open")]
    world.touch("left", left)
    await world.settle()
    assert (left_values(world, left)["phone"], right_values(world, right)["Phone"]) == ("2", "3")
    assert world.rows("select state from conflict") == [("open",)]


async def test_a_choice_does_not_overwrite_an_edit_that_the_person_has_not_seen(world: World) -> None:
    left, right = await linked(world, vat="V1")
    world.put_left(left, vat="L1")
    world.put_right(right, VAT="R1")
    await world.settle()
    world.choose("left")
    world.put_right(right, VAT="R2")
    await world.settle()
    assert right_values(world, right)["VAT"] == "R2"
    assert world.rows("select state, right_value #>> '{}' from conflict") == [("open", "R2")]


async def test_a_choice_carries_the_latest_value_of_the_chosen_side(world: World) -> None:
    left, right = await linked(world, vat="V1")
    world.put_left(left, vat="L1")
    world.put_right(right, VAT="R1")
    await world.settle()
    world.choose("left")
    world.put_left(left, vat="L2")
    await world.settle()
    assert right_values(world, right)["VAT"] == "L2"
    assert world.rows("select state from conflict") == [("closed",)]


async def test_a_hidden_record_leaves_its_conflict_and_its_history_alone(world: World) -> None:
    left, right = await linked(world, vat="V1")
    world.put_left(left, vat="L1")
    world.put_right(right, VAT="R1")
    await world.settle()
    before = world.rows("select left_seen_at, right_seen_at from link")
    world.connectors["right"].hidden = {right}
    world.touch("left", left)
    await world.settle()
    assert world.rows("select state from conflict") == [("open",)]
    assert world.rows("select left_seen_at, right_seen_at from link") == before


async def test_an_override_counts_for_the_other_side_and_does_not_come_back(world: World) -> None:
    left, right = await linked(world, phone="1")
    world.right.faults.refused = {"bad"}
    world.put_left(left, phone="bad")
    await world.settle()
    assert world.rows("select state from dead_letter") == [("open",)]
    with world.db.transaction() as conn:
        conn.execute(text("""update dead_letter set override = '{"phone": "good"}'"""))
    world.touch("left", left)
    await world.settle()
    assert right_values(world, right)["Phone"] == "good"
    assert world.rows("select state from dead_letter") == [("closed",)]
    for _ in range(2):
        world.touch("left", left)
        world.touch("right", right)
        await world.settle()
    assert (left_values(world, left)["phone"], right_values(world, right)["Phone"]) == ("bad", "good")
    world.put_left(left, name="Acme Ltd")
    await world.settle()
    assert right_values(world, right)["Name"] == "Acme Ltd"
    assert world.rows("select state from dead_letter") == [("closed",)]
    world.put_left(left, phone="better")
    await world.settle()
    assert right_values(world, right)["Phone"] == "better"


async def test_an_override_of_a_new_record_is_not_taken_for_an_edit_later(world: World) -> None:
    world.right.faults.refused = {"bad"}
    left = world.put_left(name="Acme", phone="bad")
    await world.settle()
    with world.db.transaction() as conn:
        conn.execute(text("""update dead_letter set override = '{"phone": "good"}'"""))
    for _ in range(3):
        world.touch("left", left)
        await world.settle()
    [right] = world.right.rows["account"]
    assert right_values(world, right)["Phone"] == "good"
    assert world.rows("select state from dead_letter") == [("closed",)]


async def test_an_edit_between_our_look_and_our_write_survives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = await linked(world, phone="1", vat="V1")
    connector = world.connectors["right"]
    write = connector.update
    edits = iter(["V9"])

    async def late(entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        for value in edits:
            world.put_right(right, VAT=value)
        return await write(entity, items)

    monkeypatch.setattr(connector, "update", late)
    world.put_left(left, vat="V2")
    await world.settle()
    assert right_values(world, right)["VAT"] == "V9", "it was not overwritten unseen"
    assert world.rows("select field, left_value #>> '{}', right_value #>> '{}' from conflict") == [("vat", "V2", "V9")]
    world.put_left(left, phone="2")
    await world.settle()
    assert right_values(world, right)["Phone"] == "2"
