"""The lane on a real PostgreSQL between two systems in memory: agreement through edits, faults and deletions."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from isthmus.errors import SafetyLimit
from isthmus.model.policy import EntityPolicy, Guard, Rule
from isthmus.store.database import Database
from isthmus.testing.memory import Faults
from sync_world import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def rows(db: Database, sql: str) -> list[tuple[object, ...]]:
    with db.transaction() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


async def test_a_record_made_on_either_side_appears_on_the_other_once(world: World) -> None:
    world.put_left(name="Acme", phone="1")
    world.put_right(Name="Bolt", Phone="2")
    await world.settle()
    assert world.names("left") == world.names("right") == ["Acme", "Bolt"]
    assert (world.left.writes, world.right.writes) == (1, 1)


async def test_our_own_writes_do_not_come_back(world: World) -> None:
    key = world.put_left(name="Acme")
    await world.settle()
    written = world.right.writes
    for _ in range(3):
        world.left.log.append(("partner", key))
        world.right.log.append(("account", next(iter(world.right.rows["account"]))))
        await world.settle()
    assert (world.left.writes, world.right.writes) == (0, written)


async def test_one_changed_field_writes_one_field(world: World) -> None:
    key = world.put_left(name="Acme", phone="1")
    await world.settle()
    world.put_left(key, phone="2")
    await world.settle()
    [(payload,)] = rows(world.db, "select payload from intent where action = 'update'")
    assert payload == {"Phone": "2"}


async def test_edits_of_different_fields_on_both_sides_both_arrive(world: World) -> None:
    left = world.put_left(name="Acme", phone="1")
    await world.settle()
    [right] = world.right.rows["account"]
    world.put_left(left, phone="2")
    world.put_right(right, Name="Acme Ltd")
    await world.settle()
    assert world.left.rows["partner"][left].values["name"] == "Acme Ltd"
    assert world.right.rows["account"][right].values["Phone"] == "2"


async def test_a_conflict_holds_that_field_and_a_choice_settles_it(world: World) -> None:
    left = world.put_left(name="Acme", vat="A1", phone="1")
    await world.settle()
    [right] = world.right.rows["account"]
    world.put_left(left, vat="L1", phone="2")
    world.put_right(right, VAT="R1")
    await world.settle()
    assert world.right.rows["account"][right].values["Phone"] == "2"
    assert (world.left.rows["partner"][left].values["vat"], world.right.rows["account"][right].values["VAT"]) == (
        "L1",
        "R1",
    )
    assert rows(world.db, "select field, state from conflict") == [("vat", "open")]
    with world.db.transaction() as conn:
        conn.execute(text("update conflict set state = 'chosen', choice = 'right', settled_by = 'me'"))
    world.left.log.append(("partner", left))
    await world.settle()
    assert world.left.rows["partner"][left].values["vat"] == "R1"
    assert rows(world.db, "select state from conflict") == [("closed",)]


async def test_both_correcting_a_conflict_by_hand_closes_it(world: World) -> None:
    left = world.put_left(name="Acme", vat="A1")
    await world.settle()
    [right] = world.right.rows["account"]
    world.put_left(left, vat="L1")
    world.put_right(right, VAT="R1")
    await world.settle()
    world.put_right(right, VAT="L1")
    await world.settle()
    assert rows(world.db, "select state from conflict") == [("closed",)]


async def test_records_with_the_same_key_are_linked_not_copied(world: World) -> None:
    world.put_left(name="Acme", vat="DE 1", phone="")
    world.put_right(Name="ACME", VAT="DE1", Phone="5")
    await world.settle()
    assert len(world.left.rows["partner"]) == len(world.right.rows["account"]) == 1
    [partner] = world.left.rows["partner"].values()
    assert partner.values["phone"] == "5"


async def test_a_duplicate_key_is_held_with_its_rivals_and_closes_when_it_is_corrected(world: World) -> None:
    world.put_left(name="Acme", vat="X1")
    await world.settle()
    twin = world.put_left(name="Acme again", vat="X1")
    await world.settle()
    assert rows(world.db, "select kind, state from dead_letter") == [("Ambiguous", "open")]
    assert world.names("right") == ["Acme"]
    world.put_left(twin, vat="X2")
    await world.settle()
    assert rows(world.db, "select state, closed_by from dead_letter") == [("closed", "a later success")]
    assert world.names("right") == ["Acme", "Acme again"]


async def test_a_child_waits_for_its_parent_and_then_refers_to_it(world: World) -> None:
    parent = world.put_left(name="Parent")
    world.left.log.clear()
    world.put_left(name="Child", parent_id=parent)
    await world.settle()
    made = {r.values["Name"]: r for r in world.right.rows["account"].values()}
    assert made["Child"].values["ParentID"] == made["Parent"].key


async def test_a_deleted_record_archives_its_counterpart_and_only_once(world: World) -> None:
    key = world.put_left(name="Acme")
    await world.settle()
    world.left.remove("partner", key)
    await world.settle()
    [account] = world.right.rows["account"].values()
    assert account.values["Active"] is False
    writes = world.right.writes
    world.right.log.append(("account", account.key))
    await world.settle()
    assert world.right.writes == writes


async def test_lost_answers_and_outages_make_no_duplicates_and_lose_nothing(world: World) -> None:
    for n in range(12):
        world.put_left(name=f"l{n}")
        world.put_right(Name=f"r{n}")
    for system in (world.left, world.right):
        system.faults = Faults(lost_answer=0.3, unavailable=0.2)
    for _ in range(4):
        await world.settle()
        key = world.rng.choice(sorted(world.left.rows["partner"]))
        world.put_left(key, phone=str(world.rng.random()))
    await world.settle()
    for system in (world.left, world.right):
        system.faults = Faults()
    await world.settle()
    assert world.names("left") == world.names("right")
    assert len(set(world.names("left"))) == len(world.names("left")) == 24
    found = await world.compare()
    assert (found.figure, found.differences) == (1.0, [])
    assert rows(world.db, "select count(*) from intent where state in ('sent', 'unknown')") == [(0,)]


async def test_a_bad_record_is_held_and_the_others_go_on(world: World) -> None:
    world.right.faults.refused = {"bad"}
    keys = [world.put_left(name=f"n{n}", phone="bad" if n == 3 else "1") for n in range(6)]
    await world.settle()
    assert len(world.names("right")) == 5
    assert rows(world.db, "select key, kind from dead_letter") == [(keys[3], "InvalidRecord")]


async def test_the_books_balance(world: World) -> None:
    for n in range(5):
        world.put_left(name=f"n{n}", vat="same" if n < 2 else None)
    await world.settle()
    books = await world.books()
    assert books["events"] == books["coalesced"] + books["changes"]
    assert books["changes"] == books["applied"] + books["unchanged"] + books["held"]
    assert books["held"] == 2


async def test_too_many_writes_in_one_go_stop_before_the_first(database: Database) -> None:
    world = World(database, policy=EntityPolicy(fields={}, guard=Guard(writes=3)))
    for n in range(5):
        world.put_left(name=f"n{n}")
    await world.notice()
    with pytest.raises(SafetyLimit):
        await world.drain()
    assert world.right.writes == 0


async def test_an_initial_load_links_creates_and_fills_then_a_second_writes_nothing(world: World) -> None:
    for n in range(30):
        world.put_left(name=f"l{n}", vat=f"LV{n}")
        world.put_right(Name=f"r{n}", VAT=f"RV{n}")
        world.put_left(name=f"s{n}", vat=f"SV{n}", phone="1")
        world.put_right(Name=f"s{n}", VAT=f"sv {n}")
    done = await world.load()
    assert (done.created, done.linked) == (60, 30)
    assert world.names("left") == world.names("right")
    writes = world.left.writes + world.right.writes
    again = await world.load()
    assert again.writes == 0
    await world.settle()
    assert world.left.writes + world.right.writes == writes


async def test_a_field_owned_by_one_side_wins_a_conflict(database: Database) -> None:
    from isthmus.model.policy import FieldPolicy

    world = World(database, policy=EntityPolicy(fields={"phone": FieldPolicy(rule=Rule.RIGHT)}))
    left = world.put_left(name="Acme", phone="0")
    await world.settle()
    [right] = world.right.rows["account"]
    world.put_left(left, phone="L")
    world.put_right(right, Phone="R")
    await world.settle()
    assert world.left.rows["partner"][left].values["phone"] == "R"


async def test_a_flood_is_stopped_though_it_comes_in_many_batches_and_passes_when_allowed(database: Database) -> None:
    world = World(database, policy=EntityPolicy(fields={}, guard=Guard(writes=120)))
    for n in range(160):
        world.put_left(name=f"n{n}")
    await world.notice()
    with pytest.raises(SafetyLimit, match="keeping customer of main"):
        await world.drain()
    assert 0 < world.right.writes <= 120
    await world.drain(guarded=False)
    assert len(world.names("right")) == 160


async def test_many_small_goes_never_add_up_to_a_flood(database: Database) -> None:
    world = World(database, policy=EntityPolicy(fields={}, guard=Guard(writes=20)))
    for n in range(30):
        world.put_left(name=f"n{n}")
        await world.settle()
    assert len(world.names("right")) == 30


async def test_a_merge_on_one_side_asks_and_closes_when_the_counterpart_is_archived(world: World) -> None:
    keeper = world.put_left(name="Acme", vat="A1")
    world.put_right(Name="Acme", VAT="A1")
    world.put_right(Name="Acme Inc")
    await world.settle()
    loser = next(r.key for r in world.left.rows["partner"].values() if r.values["name"] == "Acme Inc")
    left_over = next(r.key for r in world.right.rows["account"].values() if r.values["Name"] == "Acme Inc")
    world.left.rows["partner"][keeper].external_key = world.left.rows["partner"][loser].external_key
    world.left.remove("partner", loser)
    await world.settle()
    assert rows(world.db, "select kind, state from dead_letter") == [("Ambiguous", "open")]
    assert world.right.rows["account"][left_over].values["Active"] is True
    world.put_right(left_over, Active=False)
    await world.settle()
    assert rows(world.db, "select state from dead_letter") == [("closed",)]
    assert rows(world.db, "select side, key from link_alias") == [("left", loser)]
    assert world.names("left") == world.names("right") == ["Acme"]
