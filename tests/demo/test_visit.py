"""A visitor finds and edits records on both sides while a demo runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

import aiohttp
import pytest

from isthmus.demo import visit
from isthmus.demo.home import Home
from isthmus.demo.seed import everything
from isthmus.demo.stage import Stage, on_stage
from isthmus.errors import InvalidRecord, Misconfigured

SEED = next(s for s in everything().customers if s.story == "the same on both sides" and s.odoo[0]["is_company"])
NAME = SEED.odoo[0]["name"]


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[tuple[Path, Stage]]:
    """Both sandboxes with one customer, as a running demo leaves them to visitors."""
    home = Home(tmp_path / "demo")
    home.empty()
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(on_stage(home.path, "sandbox", fixed_ports=False))
        await stage.odoo.learn()
        await stage.odoo.make("customer", SEED.odoo)
        await stage.bng.make("customer", SEED.bng)
        home.keep({"service": "", "odoo": asdict(stage.odoo_door), "bng": asdict(stage.bng_door)})
        yield home.path, stage


async def test_a_customer_is_found_on_both_sides_by_a_part_of_its_name(demo: tuple[Path, Stage]) -> None:
    rows = await visit.find(demo[0], NAME.split()[0].lower())
    assert [(row["system"], row["name"]) for row in rows] == [("odoo", NAME), ("bng", NAME)]


async def test_an_edit_by_name_and_one_by_key_reach_their_system(demo: tuple[Path, Stage]) -> None:
    folder, stage = demo
    key = await visit.edit(folder, "odoo", "customer", NAME, {"phone": "+1 212-555-0000", "active": "false"})
    row = (await stage.odoo.read("customer", [key], ["phone", "active"]))[key]
    assert (row["phone"], row["active"]) == ("+1 212-555-0000", False)
    [bng] = [row["key"] for row in await visit.find(folder, NAME) if row["system"] == "bng"]
    await visit.edit(folder, "bng", "customer", bng, {"email": "new@visitor.example", "name": "Visited"})
    told = await stage.bng.read("customer", bng)
    assert (told["Email"], told["CompanyName"]) == ("new@visitor.example", "Visited")


@pytest.mark.parametrize(("system", "record"), [("odoo", "nobody at all"), ("bng", "nobody at all"), ("other", "1")])
async def test_what_is_not_there_is_told_in_words(demo: tuple[Path, Stage], system: str, record: str) -> None:
    with pytest.raises(InvalidRecord):
        await visit.edit(demo[0], system, "customer", record, {"phone": "1"})


async def test_without_a_demo_a_visitor_is_told_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as refusal:
        await visit.find(tmp_path, "anything")
    assert "isthmus demo" in refusal.value.hint


async def test_the_doors_are_not_shown(demo: tuple[Path, Stage]) -> None:
    assert demo[1].odoo_door.key not in repr(demo[1].odoo_door)
    assert demo[1].bng_door.admin_key not in repr(demo[1].bng_door)
    async with aiohttp.ClientSession() as session, session.get(f"{demo[1].bng_door.url}/health") as answer:
        assert answer.status == 200
