"""Lint: each kept broken flow is told with its line, its node, what is wrong and the fix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.cli import lint as lint_command
from isthmus.cli import test as test_command
from isthmus.flows.definition import dump, json_schema, parse, read
from isthmus.flows.lint import lint

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
HEAD = 4
"""Lines at the beginning of a kept file that say what is expected."""

GOOD = """# who: accounts
flow: good
title: Good
connections: {erp: {kind: odoo, help: The books.}}
nodes:
  start: {type: manual, to: read}
  read:
    type: read
    connection: erp
    entity: order
    key: item.k
    paths: [name]
    to: {out: [a, b]}
  a: {type: set, fields: {price: "'1.50'"}, to: together}
  b: {type: map, fields: {name: {from: record.name, steps: [{case: upper}]}}, to: together}
  together: {type: join, to: end}
  end: {type: filter, when: size(item.items) == 2}
tests:
  - name: both ways are joined
    given: [{k: "1"}]
    answers: {read: {put: {record: {name: Ada}}}}
    expect:
      end: [{items.0.price: 1.50, items.1.name: ADA}]
"""


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_flow_is_told_with_line_node_and_fix(path: Path) -> None:
    text = path.read_text()
    line, node, says, fix = (told.partition(": ")[2] for told in text.splitlines()[:HEAD])
    found = [m for m in lint("\n".join(text.splitlines()[HEAD:]) + "\n", path.name) if m.severity == "error"]
    told = [(str(m.line), m.node, m.message, m.fix) for m in found]
    assert any(t[0] == line and t[1] == node and says in t[2] and fix in t[3] for t in told), told


def test_there_are_thirty_kept_broken_flows() -> None:
    assert len(BROKEN) >= 30


def test_a_good_flow_has_nothing_wrong_and_its_test_passes(tmp_path: Path) -> None:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    assert lint(GOOD) == []
    assert CliRunner().invoke(lint_command.app, [str(file)]).exit_code == 0
    done = CliRunner().invoke(test_command.app, [str(file), "--json"])
    assert json.loads(done.stdout) == {
        "tests": [{"file": str(file), "test": "both ways are joined", "passed": True, "why": []}],
        "failed": 0,
    }
    assert done.exit_code == 0


def test_the_command_names_file_line_node_and_fix_and_exits_with_one(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(GOOD.replace("type: filter", "type: filtre"))
    done = CliRunner().invoke(lint_command.app, [str(file)])
    assert done.exit_code == 1
    assert f"{file}:17: end: error: there is no node type 'filtre'" in done.stdout.replace("\n", "")
    assert "Write 'filter'." in done.stdout


def test_a_failing_test_says_what_was_expected(tmp_path: Path) -> None:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD.replace("items.1.name: ADA", "items.1.name: BOB"))
    done = CliRunner().invoke(test_command.app, [str(file), "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["tests"][0]["why"] == ["end, item 1: items.1.name is 'ADA', expected 'BOB'"]


def test_the_canonical_form_read_and_written_again_is_the_same_to_the_byte() -> None:
    once = dump(parse(GOOD))
    assert dump(parse(once)) == once
    assert lint(once) == []


def test_every_kept_flow_that_has_its_form_keeps_it_through_the_canonical_form() -> None:
    for path in BROKEN:
        file, _, _ = read(path.read_text(), path.name)
        if file is not None:
            assert dump(parse(dump(file))) == dump(file), path.name


def test_the_schema_names_every_node_and_describes_every_field() -> None:
    schema = json_schema()
    kinds = {word for one in schema["$defs"].values() for word in _kinds(one)}
    assert {"map", "wait", "approval", "call", "upsert", "sub_flow", "for_each"} <= kinds
    silent = [
        f"{name}.{field}"
        for name, one in schema["$defs"].items()
        for field, told in one.get("properties", {}).items()
        if field != "type" and not told.get("description")
    ]
    assert not silent, silent


def _kinds(definition: dict[str, object]) -> list[str]:
    told = definition.get("properties", {}).get("type", {})  # type: ignore[union-attr, attr-defined]
    return [told["const"]] if "const" in told else list(told.get("enum", []))
