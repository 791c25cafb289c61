"""The acceptance campaigns in their short forms, and the mutants that the oracle has to notice.

All run as programs of their own, at the same time: see campaign.py, trade/campaign.py and mutation.py for the full
forms.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SHORT = ("--records", "150", "--edits", "300", "--kills", "6", "--json")
TRADE = ("--orders", "12", "--purchases", "4", "--kills", "2", "--json")
LONGEST = 1200


class Program:
    """A program that ends with one JSON line."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", name, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def result(self) -> tuple[Any, str]:
        """What it found, and what it said on the way."""
        out, err = self._child.communicate(timeout=LONGEST)
        said = err.decode(errors="replace")
        assert out.strip(), f"it ended with {self._child.returncode} and without a result:\n{said[-6000:]}"
        return json.loads(out.splitlines()[-1]), said

    def close(self) -> None:
        """End it, should it still run."""
        if self._child.poll() is None:
            self._child.terminate()
            self._child.wait(20)


@pytest.fixture(scope="module")
def hunt() -> Iterator[Program]:
    """The mutants are hunted while the campaign runs: two cores, two programs."""
    program = Program("tests.acceptance.mutation")
    yield program
    program.close()


@pytest.fixture(scope="module")
def trade(odoo_server: Any) -> Iterator[Program]:
    """Orders are traded beside both."""
    program = Program("tests.acceptance.trade.campaign", *TRADE)
    yield program
    program.close()


@pytest.mark.odoo
@pytest.mark.slow
@pytest.mark.timeout(LONGEST)
@pytest.mark.usefixtures("odoo_server", "trade")
def test_a_real_odoo_and_bng_agree_after_random_edits_faults_and_kills(hunt: Program) -> None:
    program = Program("tests.acceptance.campaign", "--odoo", "real", *SHORT)
    report, said = program.result()
    assert report["good"], said[-8000:]
    assert report["kills"] >= 6
    assert report["kills_with_intent_sent"] >= 1
    assert report["done"]["conflicts"] >= 10
    assert report["done"]["merges"]
    assert report["done"]["deletes"]
    for system, fired in report["faults"].items():
        assert all(fired.values()), f"before {system} not every fault fired: {fired}"


@pytest.mark.odoo
@pytest.mark.slow
@pytest.mark.timeout(LONGEST)
def test_orders_and_purchases_come_to_their_ends_and_all_books_tie_out_to_the_cent(trade: Program) -> None:
    report, said = trade.result()
    assert report["good"], said[-12000:]
    assert len(report["variants"]) == 12
    assert len(report["purchase_variants"]) == 4
    assert report["kills"] == 2
    assert {"captured USD", "captured EUR", "receivables USD", "payables USD", "stock CHAIR"} <= report["ties"].keys()
    for system in ("odoo", "bng"):
        assert sum(report["faults"][system].values()), f"before {system} no fault fired"


@pytest.mark.slow
@pytest.mark.timeout(LONGEST)
def test_the_oracle_notices_every_kept_mutant_and_nothing_without_one(hunt: Program) -> None:
    found, said = hunt.result()
    clean = found.pop("none")
    assert clean == "", said[-6000:]
    assert len(found) >= 10
    assert [name for name, noticed in found.items() if not noticed] == []
