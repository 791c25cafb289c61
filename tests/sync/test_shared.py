"""A customer that is a vendor too: one record on one side, two on the other, and two lanes that work at once."""

from __future__ import annotations

import pytest
from shared import SharedWorld

from isthmus.store.database import Database
from isthmus.testing.memory import Faults


@pytest.fixture
def world(database: Database) -> SharedWorld:
    return SharedWorld(database)


def both(world: SharedWorld, vat: str = "V1", **more: str) -> tuple[str, str]:
    values = {"Name": f"Acme {vat}", "VAT": vat, "Active": True, **more}
    return world.right.put("account", values), world.right.put("supplier", values)


async def test_made_twice_on_one_side_at_once_it_is_one_record_on_the_other(world: SharedWorld) -> None:
    for n in range(5):
        both(world, f"V{n}")
    await world.settle()
    assert len(world.left.rows["partner"]) == 5
    assert world.held() == []
    assert await world.found_by_sweep() == []


async def test_an_edit_of_the_one_record_reaches_both(world: SharedWorld) -> None:
    both(world)
    await world.settle()
    [partner] = world.left.rows["partner"]
    world.left.put("partner", {"phone": "2"}, key=partner)
    await world.settle()
    assert world.values("phone", "Phone") == {"partner": ["2"], "account": ["2"], "supplier": ["2"]}


async def test_an_edit_of_the_owner_reaches_the_other_through_the_one_record(world: SharedWorld) -> None:
    account, _ = both(world)
    await world.settle()
    world.right.put("account", {"Phone": "3"}, key=account)
    await world.settle()
    assert world.values("phone", "Phone") == {"partner": ["3"], "account": ["3"], "supplier": ["3"]}


async def test_an_edit_of_what_the_other_entity_owns_is_put_back(world: SharedWorld) -> None:
    _, supplier = both(world, Phone="1")
    await world.settle()
    world.right.put("supplier", {"Phone": "4"}, key=supplier)
    await world.settle()
    assert world.values("phone", "Phone") == {"partner": ["1"], "account": ["1"], "supplier": ["1"]}
    assert await world.found_by_sweep() == []


async def test_edits_everywhere_at_once_come_to_rest(world: SharedWorld) -> None:
    pairs = [both(world, f"V{n}") for n in range(4)]
    await world.settle()
    for system in (world.left, world.right):
        system.faults = Faults(lost_answer=0.2, unavailable=0.1)
    for turn in range(3):
        for n, (account, supplier) in enumerate(pairs):
            world.right.put("account", {"Phone": f"a{turn}{n}"}, key=account)
            world.right.put("supplier", {"Phone": f"s{turn}{n}"}, key=supplier)
            partner = sorted(world.left.rows["partner"])[n]
            world.left.put("partner", {"name": f"l{turn}{n}"}, key=partner)
        await world.settle()
    for system in (world.left, world.right):
        system.faults = Faults()
    await world.settle()
    assert world.held() == []
    for field, right in (("name", "Name"), ("phone", "Phone")):
        told = world.values(field, right)
        assert (
            sorted(map(str, told["partner"])) == sorted(map(str, told["account"])) == sorted(map(str, told["supplier"]))
        )
    assert sorted(map(str, world.values("phone", "Phone")["partner"])) == ["a20", "a21", "a22", "a23"]
    assert await world.found_by_sweep() == []


async def test_a_load_of_the_one_does_not_overwrite_what_the_other_owns(world: SharedWorld) -> None:
    both(world, Phone="1")
    await world.settle()
    [supplier] = world.right.rows["supplier"]
    world.right.put("supplier", {"Phone": "4"}, key=supplier)
    for key in world.cursors:
        world.cursors[key] = len(world.left.log if key[0] == "left" else world.right.log)
    await world.load("vendor")
    await world.settle()
    assert world.values("phone", "Phone") == {"partner": ["1"], "account": ["1"], "supplier": ["1"]}


async def test_a_deleted_record_archives_both_and_returns_as_neither(world: SharedWorld) -> None:
    both(world)
    await world.settle()
    [partner] = world.left.rows["partner"]
    world.left.remove("partner", partner)
    await world.settle()
    assert world.values("active", "Active") == {"partner": [], "account": [False], "supplier": [False]}
    assert await world.found_by_sweep() == []
