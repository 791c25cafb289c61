"""The coverage page without an Odoo: it names every cell that the mappings ask for, and an empty one is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tools"))
import coverage_page
from coverage_page import Cell, required, shown


def written() -> dict[Cell, set[str]]:
    """What the page says was shown."""
    cells = json.loads(coverage_page.DATA.read_text())["cells"]
    found = {Cell(*(one[n] for n in ("entity", "direction", "kind", "field"))): set(one["tests"]) for one in cells}
    return {cell: tests for cell, tests in found.items() if tests}


def test_every_cell_that_the_mappings_ask_for_is_on_the_page_and_filled() -> None:
    found = written()
    assert coverage_page.empty(found) == []
    assert coverage_page.idle(found) == []
    assert coverage_page.DATA.read_text() == coverage_page.data(found)
    assert coverage_page.PAGE.read_text() == coverage_page.page(found)


def test_every_field_of_the_contract_travels_or_has_its_reason() -> None:
    assert coverage_page.entities().keys() == {
        name for name in coverage_page.entities() if coverage_page.left_out(name)
    }


TESTS = """
def test_that_a_name_arrives(covers):
    covers("customer", "to_bng", "create", "name")

def test_that_an_email_does_not(covers):
    covers("customer", "to_bng", "create", "email")
    assert False
"""


def test_a_cell_that_no_test_filled_is_missed_and_a_failed_test_fills_none(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("pytest_plugins = ['covered']\n")
    (tmp_path / "test_some_fields.py").write_text(TESTS)
    env = {**os.environ, coverage_page.FOLDER: str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    found = shown(tmp_path)
    assert list(found) == [Cell("customer", "to_bng", "create", "name")]
    assert set(coverage_page.empty(found)) == required() - set(found) - coverage_page.conceded()
