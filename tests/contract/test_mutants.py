"""The contract suite is tested itself: every kept broken connector must fail the very check that is about it."""

from __future__ import annotations

import pytest
from mutants import MUTANTS
from test_acme import HERE, running_acme

from isthmus.connectors.rest import RestConnector, rest_kind
from isthmus.testing.contract import broken_promises, load_scenario
from isthmus.testing.contract.checks import CHECKS

SCENARIO = load_scenario(HERE / "scenario.yaml")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
async def test_a_broken_connector_is_caught(mutant: type[RestConnector]) -> None:
    kind = rest_kind(HERE / "manifest.yaml", connector=mutant)
    broken = await broken_promises(kind, SCENARIO, running_acme, only=(MUTANTS[mutant],))
    assert MUTANTS[mutant] in broken, f"{mutant.__name__} passes {MUTANTS[mutant]}"


async def test_a_sound_connector_breaks_no_promise() -> None:
    assert await broken_promises(rest_kind(HERE / "manifest.yaml"), SCENARIO, running_acme) == {}


def test_there_are_mutants_for_most_promises() -> None:
    caught = set(MUTANTS.values())
    unwatched = {check.name for check in CHECKS} - caught
    assert len(MUTANTS) >= 10
    assert unwatched == {
        "what_is_promised_is_there",
        "an_unreachable_system_is_told_as_one",
        "an_edit_after_the_cursor_is_seen",
    }
