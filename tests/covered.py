"""Fixture: a passed test leaves a record of which fields it showed at both ends, for docs/reference/coverage.md."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "tools"))
from coverage_page import FOLDER, Cell

Covers = Callable[..., None]
_told = pytest.StashKey[list[Cell]]()
_passed = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Remember whether the test itself passed, for when its fixtures are taken down."""
    outcome = yield
    if call.when == "call":
        item.stash[_passed] = bool(outcome.get_result().passed)


@pytest.fixture
def covers(request: pytest.FixtureRequest) -> Iterator[Covers]:
    """Say `covers(entity, direction, kind, *fields)` right after a value was found at both ends.

    Directions and kinds are those of tools/coverage_page.py. Nothing is kept of a test that fails, nor where the
    variable ISTHMUS_COVERAGE names no folder.
    """
    told: set[Cell] = set()

    def says(entity: str, direction: Any, kind: Any, *fields: str) -> None:
        told.update(Cell(entity, direction, kind, field) for field in fields)

    yield says
    folder = os.environ.get(FOLDER)
    if folder and told and request.node.stash.get(_passed, False):
        test = request.node.nodeid.removeprefix("tests/")
        rows = [{**vars(cell), "test": test} for cell in sorted(told)]
        (Path(folder) / f"{re.sub(r'[^A-Za-z0-9]+', '-', test)}.json").write_text(json.dumps(rows))
