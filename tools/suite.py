"""Runs the stages of `make test` in turn, says how long each took, and fails when one of them proves nothing.

python tools/suite.py                 # everything, as in continuous integration
python tools/suite.py lint unit       # only these stages
python tools/suite.py --list
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TESTS = ROOT / "tests"
RIG = ROOT / "tools" / "odoo" / "rig.py"
_NO_TESTS = 5


@dataclass(frozen=True)
class Outcome:
    """How a stage ended; `ran` and `skipped` count tests and are 0 for stages that are none."""

    passed: bool
    ran: int = 0
    skipped: int = 0
    said: str = ""


@dataclass(frozen=True)
class Stage:
    """One stage; those with `usual` false run only when they are named."""

    name: str
    proves: str
    run: Callable[[], Outcome]
    usual: bool = True


def command(*arguments: str) -> bool:
    """Runs a program of the environment in the project's folder, its output as it comes."""
    return subprocess.run([str(BIN / arguments[0]), *arguments[1:]], cwd=ROOT, check=False).returncode == 0


def lint() -> Outcome:
    """Style, format, strict types: all three are told, even when the first fails."""
    done = [command("ruff", "check", "."), command("ruff", "format", "--check", "--quiet", "."), command("mypy")]
    return Outcome(all(done))


SIDE_BY_SIDE = ("-n", str(min(4, max(2, os.cpu_count() or 2))), "--dist", "loadfile")
"""Two processes at least: a test mostly waits for a server. A module stays in one, for what its tests share."""


def pytest(*arguments: str, beside: tuple[str, ...] = SIDE_BY_SIDE) -> Outcome:
    """One pytest run; it passes only if at least one test did."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [
                str(BIN / "pytest"),
                "-q",
                "--durations=5",
                "--durations-min=5",
                f"--junitxml={report}",
                *beside,
                *arguments,
            ],
            cwd=ROOT,
            check=False,
        )
        ran, skipped = counted(report)
    if done.returncode == _NO_TESTS or (done.returncode == 0 and ran == 0):
        return Outcome(False, ran, skipped, "no test ran")
    return Outcome(done.returncode == 0, ran, skipped)


def counted(report: Path) -> tuple[int, int]:
    """How many tests a JUnit report says ran, and how many were skipped."""
    if not report.exists():
        return 0, 0
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    skipped = sum(int(suite.get("skipped", "0")) for suite in suites)
    return sum(int(suite.get("tests", "0")) for suite in suites) - skipped, skipped


def folders(*, but: set[str]) -> list[str]:
    """Every folder of tests but these, so that a new one is never forgotten."""
    found = {path.parent for path in TESTS.rglob("test_*.py")}
    tops = sorted({path.relative_to(TESTS).parts[0] for path in found if path != TESTS})
    return [f"tests/{top}" for top in tops if top not in but]


def existing(*paths: str) -> list[str]:
    """Those of these paths that are there."""
    return [path for path in paths if (ROOT / path).exists()]


OWN_STAGE = {"house", "docs", "unit", "contract", "sandbox", "acceptance"}


def on_real_odoo() -> Outcome:
    """Every test marked `odoo`; without an Odoo it is left out with a word, and fails where CI=true.

    What the tests showed of each field has to fill the page docs/reference/coverage.md, and be what stands there.
    """
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ISTHMUS_COVERAGE"] = folder
        done = pytest("-m", "odoo", *folders(but={"acceptance"}))
        del os.environ["ISTHMUS_COVERAGE"]
        if done.said == "no test ran" and done.skipped and os.environ.get("CI") != "true":
            return Outcome(True, 0, done.skipped, "LEFT OUT: this machine has no real Odoo 19")
        if done.passed and not command("python", "tools/coverage_page.py", "--from", folder, "--check"):
            return Outcome(False, done.ran, done.skipped, "docs/reference/coverage.md is not what was shown")
    return done


CAMPAIGN = ("python", "-m", "tests.acceptance.campaign")
FULL = (("--records", "2000", "--edits", "5000", "--kills", "50"), ("--webhooks", "off"),
        ("--protocol", "jsonrpc", "--edits", "500"), ("--protocol", "xmlrpc", "--edits", "500"))  # fmt: skip
TRADE = ("python", "-m", "tests.acceptance.trade.campaign", "--orders", "100", "--purchases", "30", "--kills", "20")
BENCHMARKS = (("footprint.py",), ("flows.py",), ("latency.py",), ("latency_odoo.py",), ("latency_odoo.py", "--polling"),
              ("throughput.py", "--direction", "to-odoo"), ("throughput.py", "--direction", "to-bng"), ("stock.py",),
              ("orders.py",))  # fmt: skip


def acceptance_in_full() -> Outcome:
    """The campaigns in full: by webhooks, by polling alone, through both older protocols of Odoo; and all of trade."""
    agreed = [command(*CAMPAIGN, *more) for more in FULL]
    return Outcome(all([*agreed, command(*TRADE)]))


def benchmarks() -> Outcome:
    """Every benchmark, one after the other: two at once would measure each other."""
    return Outcome(all([command("python", f"benchmarks/{name}", *more) for name, *more in BENCHMARKS]))


STAGES = [
    Stage("lint", "style, format, strict types", lint),
    Stage("house", "layers, names, sizes, described once; documents and their commands",
          lambda: pytest("-m", "not odoo", *existing("tests/house", "tests/docs"))),
    Stage("unit", "pure functions and properties", lambda: pytest("-m", "not odoo", "tests/unit")),
    Stage("contract", "every connector keeps the seven verbs; kept mutants fail",
          lambda: pytest("-m", "not odoo", "tests/contract")),
    Stage("sandbox", "the stand-ins behave as what they stand for", lambda: pytest("-m", "not odoo", "tests/sandbox")),
    Stage("integration", "store, engine, lanes, service, command line and API on PostgreSQL",
          lambda: pytest("-m", "not odoo", *folders(but=OWN_STAGE))),
    Stage("odoo", "the same against a real Odoo 19", on_real_odoo),
    Stage("acceptance", "agreement under edits, faults and kills, short form",
          lambda: pytest(*existing("tests/acceptance"), beside=())),
    Stage("acceptance-full", "2,000 records, 5,000 edits; 100 orders, 30 purchases; kills, faults before all systems",
          acceptance_in_full,
          usual=False),
    Stage("bench", "throughput, latency and footprint", benchmarks, usual=False),
    Stage("demo", "from nothing to agreement on both sandboxes",
          lambda: Outcome(command("isthmus", "demo", "--once", "--json"))),
]  # fmt: skip


ON_ODOO = {"odoo", "acceptance", "acceptance-full", "bench"}


def odoo_is_up() -> bool:
    """Whether the rig serves already, so that it is left as it was found."""
    done = subprocess.run([sys.executable, str(RIG), "status", "--json"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and json.loads(done.stdout).get("odoo") == "running"


def warm_odoo() -> subprocess.Popen[bytes]:
    """Starts the rig beside the first stages: its first time takes minutes that mostly wait for the network."""
    return subprocess.Popen(
        [sys.executable, str(RIG), "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
    )


def tell(done: list[tuple[Stage, Outcome, float]], seconds: float) -> None:
    """The table at the end."""
    print(f"\n{'stage':<13}{'result':<9}{'tests':>7}{'skipped':>9}{'seconds':>9}")
    for stage, outcome, took in done:
        mark = "passed" if outcome.passed else "FAILED"
        print(f"{stage.name:<13}{mark:<9}{outcome.ran:>7}{outcome.skipped:>9}{took:>9.1f}  {outcome.said}")
    print(f"{'all':<13}{'':<9}{sum(o.ran for _, o, _ in done):>7}{'':>9}{seconds:>9.1f}", flush=True)


def main() -> int:
    """Runs the stages that were named, or the usual ones; 1 when any of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", choices=[[], *(stage.name for stage in STAGES)], metavar="STAGE")
    parser.add_argument("--list", action="store_true", help="the stages and what each proves")
    given = parser.parse_args()
    if given.list:
        for stage in STAGES:
            print(f"{stage.name:<16}{stage.proves}")
        return 0
    chosen = [stage for stage in STAGES if (stage.name in given.stages if given.stages else stage.usual)]
    needs_odoo = any(stage.name in ON_ODOO for stage in chosen)
    ours = needs_odoo and not os.environ.get("ISTHMUS_TEST_ODOO_URL") and not odoo_is_up()
    warming = warm_odoo() if ours else None
    started = time.monotonic()
    done: list[tuple[Stage, Outcome, float]] = []
    try:
        for stage in chosen:
            print(f"\n== {stage.name}: {stage.proves}", flush=True)
            began = time.monotonic()
            outcome = stage.run()
            done.append((stage, outcome, time.monotonic() - began))
    finally:
        if warming is not None:
            warming.wait()
            subprocess.run([sys.executable, str(RIG), "down"], capture_output=True, check=False)
    tell(done, time.monotonic() - started)
    return 0 if all(outcome.passed for _, outcome, _ in done) else 1


if __name__ == "__main__":
    sys.exit(main())
