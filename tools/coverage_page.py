"""Writes docs/reference/coverage.md from the records of passed tests on a real Odoo; an empty cell is an error.

python tools/coverage_page.py                       # runs those tests, then writes the page
python tools/coverage_page.py --from FOLDER         # the same from the records of a run that was
python tools/coverage_page.py --from FOLDER --check # only says what is missing or out of date, and ends with 1
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from isthmus.mapping.compiled import load_mapping
from isthmus.mapping.entityfile import entities_of
from isthmus.mapping.model import FieldMap, Mapping
from isthmus.model.canonical import CanonicalEntity, CanonicalField
from isthmus.model.entities import ENTITIES
from isthmus.model.policy import Rule
from isthmus.sandbox.bng.schema import catalogue

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "src" / "isthmus" / "templates"
PAGE = ROOT / "docs" / "reference" / "coverage.md"
DATA = PAGE.with_suffix(".json")
REASONS = Path(__file__).with_name("coverage_reasons.yaml")
FOLDER = "ISTHMUS_COVERAGE"
"""The variable that names the folder in which every passed test leaves what it showed."""

Direction = Literal["to_bng", "to_odoo", "both"]
Kind = Literal["create", "update", "status", "deactivate", "compared"]
PAIRS = ("odoo-bng", "odoo-bng-trade", "odoo-bng-operations")
PRICES = ("price_rule", "odoo-price-rule")
STATUS = {"active", "saleable", "on_hold", "terminated", "reversed", "status", "payment_status", "approval"}
"""Canonical fields that say how far a record is."""
ENDED = {"active", "status", "reversed"}
"""Those of them by which a record ends: archived, cancelled, voided, reversed."""
TITLES = {
    "create": "created", "update": "changed", "status": "status changed", "deactivate": "deactivated",
    "compared": "compared",
}  # fmt: skip
ARROWS = {"to_bng": "Odoo → BNG", "to_odoo": "BNG → Odoo", "both": "both"}


@dataclass(frozen=True, order=True)
class Cell:
    """One thing to be shown: a field of an Entity, by value at both ends, after this kind of change."""

    entity: str
    direction: Direction
    kind: Kind
    field: str


@dataclass
class Half:
    """How one system's mapping treats a canonical field (`lines.quantity`: of every line)."""

    paths: list[str] = field(default_factory=list)
    reads: bool = False
    writes: bool = False
    at_creation: bool = True
    later: bool = True


@dataclass
class Row:
    """A field of an Entity, as both mappings have it; a half is None where a system has no place for it."""

    name: str
    odoo: Half | None
    bng: Half | None


# -- what has to be shown: the templates --------------------------------------------------------------------------


def _mapping(name: str) -> Mapping:
    return load_mapping((TEMPLATES / "mappings" / f"{name}.yaml").read_text())


@cache
def canonical() -> dict[str, CanonicalEntity]:
    """Every canonical Entity: those in code, and those that ship as files."""
    files = {f"entities/{path.name}": path.read_text() for path in (TEMPLATES / "entities").glob("*.yaml")}
    return {**ENTITIES, **entities_of(files)}


@cache
def entities() -> dict[str, dict[str, Any]]:
    """Entity → its part of the pair files that ship, as tests set them up: all of them in one pair."""
    told: dict[str, dict[str, Any]] = {}
    for pair in PAIRS:
        told |= yaml.safe_load((TEMPLATES / "pairs" / f"{pair}.yaml").read_text())["entities"]
    told["sales_order"]["create_right"] = True
    told["gl_summary"] = {**told["gl_entry"], "left": {"mapping": "odoo-gl-summary"}}
    return told


def _paths(told: FieldMap, below: str = "") -> list[str]:
    from_ = told.from_ if isinstance(told.from_, dict) else {"": told.from_ or ""}
    found = [f"{below}{path}" for path in from_.values() if path]
    return found or [f"{below}(constant)"]


def halves(mapping: Mapping) -> dict[str, Half]:
    """Canonical field → how this mapping treats it, parts of lines by `list.part`."""
    found: dict[str, Half] = {}

    def add(name: str, told: FieldMap, below: str = "", above: str = "both") -> None:
        allowed = told.direction if above == "both" else above
        found[name] = Half(
            _paths(told, below), allowed != "write", allowed != "read", told.at_creation,
            told.write_when != "false",
        )  # fmt: skip

    for name, told in [*mapping.fields.items(), *((n, g) for g in mapping.together for n in g.fields)]:
        add(name, told)
        if told.each is None:
            continue
        below = f"{told.from_}.".replace("{}", "")
        parts = [*told.each.fields.items(), *((n, g) for g in told.each.together for n in g.fields)]
        for part, inner in parts:
            add(f"{name}.{part}", inner, below, told.direction)
        for total, path in told.each.sums.items():
            found[total] = Half([f"{below}{path}"], True, False)
        for charge, how in told.each.charges.items():
            found[charge] = Half([f"{below}{how.write}"], True, told.direction != "read")
    return found


@cache
def rows(entity: str) -> tuple[Row, ...]:
    """The fields of an Entity that at least one mapping has; of a list with parts its parts."""
    told = entities()[entity]
    odoo, bng = (halves(_mapping(told[side]["mapping"])) for side in ("left", "right"))
    names = [n for n in dict.fromkeys([*bng, *odoo]) if not any(m.startswith(f"{n}.") for m in (*odoo, *bng))]
    out = []
    for name in names:
        whole = name.partition(".")[0]
        mine, theirs = (
            half.get(name, half.get(whole) if not _has_parts(half, whole) else None) for half in (odoo, bng)
        )
        out.append(Row(name, mine, theirs))
    return tuple(out)


def _has_parts(half: dict[str, Half], name: str) -> bool:
    return any(one.startswith(f"{name}.") for one in half)


def _policy(entity: str, name: str) -> CanonicalField:
    return canonical()[entity].fields[name.partition(".")[0]]


def _may_change(entity: str, name: str, direction: Direction) -> bool:
    """Whether an edit of this field travels that way, by its Policy in the pair files that ship."""
    told, policy = entities()[entity], _policy(entity, name).policy
    if "owners" in told:
        return True
    over = told.get("fields", {}).get(name.partition(".")[0], {})
    allowed = over.get("direction", policy.direction)
    side, way = ("left", "to_right") if direction == "to_bng" else ("right", "to_left")
    if allowed not in ("both", way):
        return False
    rule = Rule(over.get("rule", policy.rule))
    if rule is Rule.ORIGIN:
        return bool(told.get("create_right" if direction == "to_bng" else "create_left", True))
    strict = over.get("strict", policy.strict)
    return not (strict and rule in (Rule.LEFT, Rule.RIGHT) and rule.value != side)


@cache
def _reasons() -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load(REASONS.read_text())
    return told


def fixed(entity: str, name: str, direction: Direction) -> str:
    """Why this field stays as it was made, or nothing."""
    told = _reasons()["fixed"].get(entity, {})
    every = "" if name in ("reversed", "reverses") else told.get("*", "")
    return str(told.get(f"{name} {direction}", every))


@cache
def required() -> frozenset[Cell]:
    """Every cell that a passed test has to fill, from the mappings and pair files that ship."""
    return frozenset([*(cell for entity in entities() for cell in _of_entity(entity)), *_of_prices()])


def _of_prices() -> Iterator[Cell]:
    """BNG has no place for rules of price lists: they are written to Odoo from the middle and read back."""
    for name, half in halves(_mapping(PRICES[1])).items():
        if half.writes:
            yield Cell(PRICES[0], "to_odoo", "create", name)
        yield Cell(PRICES[0], "both", "compared", name)


def _of_entity(entity: str) -> Iterator[Cell]:
    told, known = entities()[entity], canonical()[entity]
    for row in rows(entity):
        if row.odoo is None or row.bng is None:
            continue
        shown, base = False, row.name.partition(".")[0]
        sides: tuple[tuple[Direction, Half, Half, str], ...] = (
            ("to_bng", row.odoo, row.bng, "create_right"), ("to_odoo", row.bng, row.odoo, "create_left"),
        )  # fmt: skip
        for direction, source, target, creates in sides:
            if not (source.reads and target.writes) or base == known.as_of:
                continue
            shown = True
            if told.get(creates, True) and target.at_creation and base not in known.later:
                yield Cell(entity, direction, "create", row.name)
            if target.later and _may_change(entity, row.name, direction) and not fixed(entity, row.name, direction):
                yield Cell(entity, direction, "update", row.name)
                if row.name in STATUS:
                    yield Cell(entity, direction, "status", row.name)
                if row.name in ENDED and not (entity == "employee" and row.name != "active"):
                    yield Cell(entity, direction, "deactivate", row.name)
        if not shown and row.odoo.reads and row.bng.reads and base not in _reasons()["each_its_own"]:
            yield Cell(entity, "both", "compared", row.name)


# -- what the contract has and does not travel --------------------------------------------------------------------


def contract(entity: str) -> list[str]:
    """Every field that the BNG contract gives this Entity, those of its lines by `LineItems.Quantity`."""
    known = catalogue()
    told = known.entities[_mapping(entities()[entity]["right"]["mapping"]).system_entity]
    out = []
    for one in told.fields.values():
        inner = known.fields_of(one.of) if one.type == "list" and one.of not in (None, "string") else None
        out += [f"{one.name}.{part}" for part in inner] if inner else [one.name]
    return out


def left_out(entity: str) -> dict[str, str]:
    """Contract field → why it does not travel; raises where a reason is missing or not needed."""
    told = _reasons()
    mapped = {cell.field for cell in required() if cell.entity == entity}
    travels = {path for row in rows(entity) if row.name in mapped and row.bng for path in row.bng.paths}
    of_lists = {path.partition(".")[0] for path in travels}
    reasons = {**told["everywhere"], **told["lines"], **told.get(entity, {})}
    missing = [
        n for n in contract(entity) if n not in travels and n not in reasons and not _whole(n, of_lists, travels)
    ]
    idle = [n for n in told.get(entity, {}) if n in travels or n not in contract(entity)]
    if missing or idle:
        raise SystemExit(
            f"{REASONS.name}, {entity}: "
            + "; ".join(
                f"{words} {', '.join(found)}"
                for words, found in (("say why these do not travel:", missing), ("these do:", idle))
                if found
            )
        )
    return {n: reasons[n] for n in contract(entity) if n not in travels and n in reasons}


def _whole(name: str, lists: set[str], travels: set[str]) -> bool:
    return name in travels or (name not in lists and name.partition(".")[0] in travels)


# -- what was shown -----------------------------------------------------------------------------------------------


def shown(folder: Path) -> dict[Cell, set[str]]:
    """Cell → the tests that showed it, from the files that passed tests left in this folder."""
    found: dict[Cell, set[str]] = defaultdict(set)
    for path in sorted(folder.glob("*.json")):
        for one in json.loads(path.read_text()):
            test = one.pop("test")
            found[Cell(**one)].add(test)
    return found


def conceded() -> set[Cell]:
    """The cells of which the page says that no test shows them yet; the list only shrinks."""
    lines = (line.split() for line in _reasons()["not_shown"])
    return {Cell(entity, direction, kind, name) for entity, direction, kind, name in lines}


def empty(found: Iterable[Cell]) -> list[Cell]:
    """The cells that no test filled, though the page does not say so."""
    return sorted(required() - set(found) - conceded())


def idle(found: Iterable[Cell]) -> list[Cell]:
    """The cells that are said not to be shown, and are, or do not exist."""
    return sorted(conceded() & set(found) | conceded() - required())


# -- the page -----------------------------------------------------------------------------------------------------

HEAD = """<!-- Written by `tools/coverage_page.py` from the records of passed tests on a real Odoo 19; edit those. -->
# What was shown, field by field

Every field that the mappings which ship carry between Odoo and BNG, with every setting switched on that they offer,
and who may make an order on both sides. A mark stands where a test that passed on a real Odoo 19 and on the BNG
sandbox read the value at **both** ends, each through its own plain API, and found what was written down by hand:
after a record was **created** on the other side, and after the field was **changed** there. A dot means that the
field does not travel that way; `compared` means that each side works it out by itself and both say the same. What the
contract has and no mapping carries is listed below each table with the reason.

A cell that should have a mark and has none fails `tools/suite.py odoo`. Those that no test shows yet say **not shown**;
the list of them in `tools/coverage_reasons.yaml` can only shrink.
"""


def page(found: dict[Cell, set[str]]) -> str:
    """The whole page."""
    tests = sorted({test for names in found.values() for test in names})
    marks = {test: f"[{i}]" for i, test in enumerate(tests, 1)}
    out = [HEAD, *(_section(entity, found, marks) for entity in entities()), _prices(found, marks)]
    out += ["## Tests\n", *(f"- {mark} `{test}`" for test, mark in marks.items()), ""]
    return "\n".join(out)


def _section(entity: str, found: dict[Cell, set[str]], marks: dict[str, str]) -> str:
    columns: list[tuple[Direction, Kind]] = [(d, k) for d in ("to_bng", "to_odoo") for k in ("create", "update")]
    told = entities()[entity]
    names = " and ".join(f"`{_mapping(told[side]['mapping']).system_entity}`" for side in ("left", "right"))
    lines = [f"## {canonical()[entity].label}\n", f"{names} of Odoo and BNG.\n"]
    lines += [
        "| Field | Odoo | BNG | " + " | ".join(f"{ARROWS[d]} {TITLES[k]}" for d, k in columns) + " |",
        "|---" * (3 + len(columns)) + "|",
    ]
    wanted = {cell for cell in required() if cell.entity == entity}
    for row in rows(entity):
        mine = {(c.direction, c.kind) for c in wanted if c.field == row.name}
        if not mine:
            continue
        cells = [_mark(Cell(entity, d, k, row.name), wanted, found, marks) for d, k in columns]
        if ("both", "compared") in mine:
            told_by = _mark(Cell(entity, "both", "compared", row.name), wanted, found, marks)
            cells = [f"compared {told_by}", "·", "·", "·"]
        assert row.odoo is not None
        assert row.bng is not None
        ends = (", ".join(f"`{path}`" for path in dict.fromkeys(half.paths)) for half in (row.odoo, row.bng))
        lines.append(f"| {row.name} | {' | '.join(ends)} | {' | '.join(cells)} |")
    lines += ["", *_states(entity, wanted, found, marks)]
    if stays := _reasons()["fixed"].get(entity, {}):
        words = {"*": "every field", **{k: f"{k.split()[0]}, {ARROWS[k.split()[1]]}" for k in stays if k != "*"}}
        lines += ["Never changed:\n", *(f"- {words[name]}: {why}" for name, why in stays.items()), ""]
    if reasons := left_out(entity):
        lines += ["Not carried:\n", *(f"- `{name}`: {why}" for name, why in reasons.items()), ""]
    return "\n".join(lines)


def _prices(found: dict[Cell, set[str]], marks: dict[str, str]) -> str:
    lines = [
        "## Price rule\n",
        "`product.pricelist.item` of Odoo. BNG has no place for price rules and names a price level. They",
        "are written to Odoo from the middle and read back, for systems that have a place for them.\n",
        "| Field | Odoo | Written to Odoo | Read back |",
        "|---|---|---|---|",
    ]
    wanted = {cell for cell in required() if cell.entity == PRICES[0]}
    for name, half in halves(_mapping(PRICES[1])).items():
        told = [Cell(PRICES[0], "to_odoo", "create", name), Cell(PRICES[0], "both", "compared", name)]
        cells = " | ".join(_mark(cell, wanted, found, marks) for cell in told)
        lines.append(f"| {name} | {', '.join(f'`{path}`' for path in half.paths)} | {cells} |")
    return "\n".join([*lines, ""])


def _states(entity: str, wanted: set[Cell], found: dict[Cell, set[str]], marks: dict[str, str]) -> Iterator[str]:
    chosen = sorted(c for c in wanted if c.kind in ("status", "deactivate"))
    if not chosen:
        return
    yield "| Also | Direction | Field | Shown by |"
    yield "|---|---|---|---|"
    for cell in chosen:
        yield f"| {TITLES[cell.kind]} | {ARROWS[cell.direction]} | {cell.field} | {_mark(cell, wanted, found, marks)} |"
    yield ""


def _mark(cell: Cell, wanted: set[Cell], found: dict[Cell, set[str]], marks: dict[str, str]) -> str:
    if cell not in wanted:
        return "·"
    return " ".join(marks[test] for test in sorted(found.get(cell, ()))) or "**not shown**"


def data(found: dict[Cell, set[str]]) -> str:
    """The same for programs."""
    cells = [{**vars(cell), "tests": sorted(found.get(cell, ()))} for cell in sorted(required())]
    return json.dumps({"cells": cells, "not_carried": {e: left_out(e) for e in entities()}}, indent=1) + "\n"


def main() -> int:
    """Writes or checks the page; 1 when a cell is empty, or what is there is not what the run showed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", type=Path, help="the folder that ISTHMUS_COVERAGE named in a run")
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        folder = given.folder or Path(own)
        if given.folder is None:
            run = [sys.executable, "-m", "pytest", "-q", "-m", "odoo", "tests/odoo"]
            subprocess.run(run, cwd=ROOT, env={**os.environ, FOLDER: own}, check=True)
        found = {cell: tests for cell, tests in shown(folder).items() if cell in required()}
    missing = empty(found)
    for cell in idle(found):
        print(f"{REASONS.name}, not_shown: take {' '.join(vars(cell).values())} out", file=sys.stderr)
        missing.append(cell)
    for cell in empty(found):
        print(f"no test shows {cell.entity}.{cell.field} {ARROWS[cell.direction]} {TITLES[cell.kind]}", file=sys.stderr)
    wanted = {PAGE: page(found), DATA: data(found)}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if not given.check:
        for path in stale:
            path.write_text(wanted[path])
        return 1 if missing else 0
    for path in stale:
        print(f"{path.relative_to(ROOT)} is not what the tests showed: run `python tools/coverage_page.py`")
    return 1 if missing or stale else 0


if __name__ == "__main__":
    sys.exit(main())
