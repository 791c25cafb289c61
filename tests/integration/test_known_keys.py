"""A live look finds the counterparts that only the product's own books can tell: however a system writes their keys."""

from __future__ import annotations

import pytest
from sqlalchemy import text

import sync_world
from isthmus.store.database import Database
from sync_world import World


@pytest.fixture
def world(database: Database, monkeypatch: pytest.MonkeyPatch) -> World:
    """Both systems keep tax ids as people type them; the mappings read them without separators."""
    for name in ("LEFT", "RIGHT"):
        told = getattr(sync_world, name)
        for raw in ("vat", "VAT"):
            told = told.replace(f"vat: {{from: {raw}}}", f"vat: {{from: {raw}, steps: [text, tax_id]}}")
        monkeypatch.setattr(sync_world, name, told)
    return World(database)


def letters(db: Database) -> list[tuple[str, str]]:
    with db.transaction() as conn:
        sql = "select side, kind from dead_letter where state = 'open' order by side, key"
        return [(row.side, row.kind) for row in conn.execute(text(sql))]


async def test_a_new_twin_of_a_linked_record_is_held_though_its_tax_id_is_typed_otherwise(world: World) -> None:
    world.put_left(name="Acme", vat="20-1000001")
    await world.settle()
    world.put_right(Name="Acme again", VAT="201000001")
    await world.settle()
    assert letters(world.db) == [("right", "Ambiguous")]
    assert world.names("left") == ["Acme"]


async def test_a_new_twin_of_a_held_record_is_held_though_its_tax_id_is_typed_otherwise(world: World) -> None:
    world.put_left(name="Acme", vat="20-1000001")
    world.put_left(name="Acme (old)", vat="20-10-00001")
    await world.load()
    world.put_right(Name="Acme", VAT="201000001")
    await world.settle()
    assert letters(world.db) == [("left", "Ambiguous"), ("left", "Ambiguous"), ("right", "Ambiguous")]
    assert world.names("left") == ["Acme", "Acme (old)"]


async def test_a_possible_duplicate_by_name_stays_held_when_it_is_looked_at_again(world: World) -> None:
    left = world.put_left(name="Blue Harbor Foods", phone="1")
    world.put_right(Name="Blue Harbor Foods", Phone="2")
    await world.load()
    assert letters(world.db) == [("left", "Ambiguous"), ("right", "Ambiguous")]
    world.put_left(left, phone="3")
    await world.settle()
    assert letters(world.db) == [("left", "Ambiguous"), ("right", "Ambiguous")]
    assert (world.left.writes, world.right.writes) == (0, 0)


async def test_a_possible_duplicate_passes_once_its_name_says_that_it_is_another(world: World) -> None:
    left = world.put_left(name="Blue Harbor Foods")
    world.put_right(Name="Blue Harbor Foods")
    await world.load()
    world.put_left(left, name="Granite Optics")
    await world.settle()
    assert world.names("left") == world.names("right") == ["Blue Harbor Foods", "Granite Optics"]
    assert letters(world.db) == []
