"""Every flow that ships: nothing is wrong with it, its tests pass, and it comes out byte by byte as it went in."""

from __future__ import annotations

import pytest
from flow_world import FlowInstallation

from isthmus.flows.compiled import compile_flow
from isthmus.flows.definition import dump, parse
from isthmus.flows.lint import lint
from isthmus.flows.trial import run_test
from isthmus.model.clock import SystemClock
from isthmus.operate import flows as verbs
from isthmus.operate import flowtemplates
from isthmus.store.database import Database
from joined import command

NAMES = [row["name"] for row in flowtemplates.listing()]
every_template = pytest.mark.parametrize("name", NAMES)


def test_they_are_listed_and_printed_by_name() -> None:
    said = command("flow", "templates", "--json")
    assert [row["name"] for row in said.json] == NAMES
    assert "order-to-cash" in NAMES
    assert all(row["tests"] and row["roles"] and row["title"] and row["summary"] for row in said.json)
    assert command("flow", "templates", "order-to-cash").out == flowtemplates.file("order-to-cash")
    missing = command("flow", "templates", "order-to-cake")
    assert missing.code != 0
    assert "order-to-cash" in missing.out + missing.err


@every_template
def test_nothing_is_wrong_with_it_not_even_a_warning(name: str) -> None:
    assert lint(flowtemplates.file(name), name) == []


@every_template
async def test_its_own_tests_pass(name: str) -> None:
    flow = compile_flow(flowtemplates.file(name), where=name)
    verdicts = [await run_test(flow, case, SystemClock()) for case in flow.file.tests]
    assert [(v.name, v.why) for v in verdicts if not v.passed] == []


@every_template
async def test_export_import_export_changes_no_byte(name: str, database: Database) -> None:
    text = flowtemplates.file(name)
    assert dump(parse(text)) == text, "it is not in the canonical form"
    house = FlowInstallation(database)
    await verbs.bring_in(house.runtime, text, actor="test")
    first = await house.db.run(verbs.export, name)
    await verbs.bring_in(house.runtime, first[f"{name}.yaml"], actor="test")
    second = await house.db.run(verbs.export, name)
    await house.close()
    assert first == second == {f"{name}.yaml": text}
