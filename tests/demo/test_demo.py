"""The whole demo once, as `isthmus demo --once --json` runs it, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.demo.home import Home
from isthmus.demo.stage import RIG
from isthmus.errors import Misconfigured

FIGURES = {
    "linked", "created", "conflicts", "dead_letters", "unexpected", "differences", "p50_ms", "p95_ms", "seconds",
    "orders", "purchases",
}  # fmt: skip


def isthmus(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from isthmus.cli.main import main; main()", *arguments]
    environment = {**os.environ, "ISTHMUS_POSTGRES_UNSAFE_FAST": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300, check=False
    )


@pytest.mark.slow
def test_everything_comes_to_its_expected_end(tmp_path: Path) -> None:
    done = isthmus("demo", "--once", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == FIGURES
    assert (told["unexpected"], told["differences"]) == (0, 0)
    assert told["conflicts"] == 2, "three were caused and one was settled"
    assert told["linked"] > 1400
    assert told["created"] > 450
    assert told["dead_letters"] > 150
    assert told["orders"] == {
        "placed": 200, "shipped": 148, "shipped_in_part": 14, "reserved": 10, "confirmed": 4, "draft": 6,
        "cancelled": 6, "left_out": 4, "held": 8,
    }  # fmt: skip
    assert told["purchases"] == {
        "placed": 50, "ordered": 12, "received": 15, "received_in_part": 7, "cancelled": 5, "left_out": 6, "held": 5,
    }  # fmt: skip
    assert 0 < told["p50_ms"] <= told["p95_ms"]
    assert list(tmp_path.iterdir()) == [], "a demo that runs once leaves nothing behind"


def test_a_folder_with_other_files_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Misconfigured, match="starting the demo"):
        Home(tmp_path).empty()
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_demo_begins_anew_in_the_folder_of_an_earlier_one(tmp_path: Path) -> None:
    home = Home(tmp_path / "demo")
    home.empty()
    (home.path / "odoo.jsonl").write_text("{}")
    home.keep({"service": "somewhere"})
    assert home.continues
    home.empty()
    assert not home.continues
    assert not (home.path / "odoo.jsonl").exists()


def test_two_demos_do_not_run_in_one_folder(tmp_path: Path) -> None:
    home = Home(tmp_path / "demo")
    with home.locked(), pytest.raises(Misconfigured, match="starting the demo"), Home(tmp_path / "demo").locked():
        pass


def test_what_opens_both_systems_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "demo")
    home.empty()
    assert (home.path / "demo.json").stat().st_mode & 0o077 == 0


def test_a_real_odoo_is_brought_up_by_the_checkout_only() -> None:
    assert RIG.is_file()


@pytest.mark.parametrize("arguments", [("--odoo", "other"), ("--once", "--continue"), ("--odoo", "real", "--continue")])
def test_what_makes_no_sense_is_refused_in_words(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = isthmus("demo", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert "--odoo" in done.stderr or "--continue" in done.stderr


def test_an_edit_needs_a_demo(tmp_path: Path) -> None:
    done = isthmus("demo", "edit", "odoo", "customer", "1", "phone=1", folder=tmp_path)
    assert done.returncode == 1
    assert "isthmus demo" in done.stderr
    assert "Traceback" not in done.stderr
