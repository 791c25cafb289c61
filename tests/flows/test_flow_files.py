"""Files, versions, dry runs and plug-ins of flows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from flow_world import FlowInstallation
from pydantic import Field

from isthmus.errors import Misconfigured
from isthmus.flows import definition
from isthmus.flows.item import Emit, Item, Result, emit
from isthmus.flows.node import Node, Place, Pure, Sample, node_types
from isthmus.operate import flows as verbs
from isthmus.store import flows
from isthmus.store.database import Database

FILE = """# kept with its remarks
flow: order
title: Orders
connections: {books: {help: Where orders are kept.}}
nodes:
  start: {type: manual, to: read}
  read: {type: read, connection: books, entity: order, key: item.k, paths: [state], to: {out: write, missing: none}}
  write:
    type: upsert
    connection: books
    entity: order
    key: item.k
    values: {state: "'paid'"}
    to: end
  end: {type: filter, when: "true"}
  none: {type: filter, when: "true"}
tests:
  - name: what is open is paid
    given: [{k: "1"}]
    answers:
      read: {put: {record: {state: open}}}
      write: {put: {record: {key: "1"}}}
    expect: {end: [{record.key: "1"}], none: []}
"""
LAYOUT = '{"nodes": {"start": {"y": 1, "x": 2}}}'


@pytest.fixture
async def house(database: Database) -> AsyncIterator[FlowInstallation]:
    found = FlowInstallation(database)
    found.system("books")
    yield found
    await found.close()


async def test_what_is_exported_and_brought_in_again_is_the_same_to_the_byte(house: FlowInstallation) -> None:
    await verbs.bring_in(house.runtime, FILE, layout=LAYOUT, bindings={"books": "books"}, actor="ada")
    once = await house.db.run(verbs.export, "order")
    assert once["order.yaml"] == FILE
    await verbs.bring_in(house.runtime, once["order.yaml"], layout=once["order.layout.json"], actor="ada")
    assert await house.db.run(verbs.export, "order") == once
    number = await verbs.publish(house.runtime, "order", actor="ada")
    assert await house.db.run(verbs.export, "order", number) == once


async def test_a_dry_run_reads_for_real_and_says_what_effects_would_do(house: FlowInstallation) -> None:
    key = house.systems["books"].put("order", {"state": "open"})
    await verbs.bring_in(house.runtime, FILE, bindings={"books": "books"}, actor="ada")
    done = await verbs.dry_run(house.runtime, "order", [{"k": key}, {"k": "unknown"}], key="T")
    told = {(s.node, s.key): s for s in done.steps}
    assert told["read", "T/1"].output["record"]["state"] == "open"
    assert told["write", "T/1"].would == "would write order of books: state=paid"
    assert told["none", "T/2"].outcome == "ended"
    assert house.systems["books"].rows["order"][key].values["state"] == "open"
    assert house.one("select count(*) from run") == 0


async def test_a_flow_whose_own_test_fails_is_not_published(house: FlowInstallation) -> None:
    await verbs.bring_in(
        house.runtime, FILE.replace("none: []}", "none: [{}]}"), bindings={"books": "books"}, actor="a"
    )
    with pytest.raises(Misconfigured, match="its own tests fail: what is open is paid: none: 0 items came"):
        await verbs.publish(house.runtime, "order", actor="ada")
    with pytest.raises(Misconfigured, match="it was never published"):
        await verbs.begin(house.runtime, "order", [("K", {})], actor="ada")


async def test_a_flow_with_an_unbound_role_is_not_published_and_says_which(house: FlowInstallation) -> None:
    told = await verbs.bring_in(house.runtime, FILE, actor="ada")
    assert told["unbound"] == ["books"]
    with pytest.raises(Misconfigured, match="nothing is bound to its roles books"):
        await verbs.publish(house.runtime, "order", actor="ada")
    await house.db.run(verbs.bind, "order", {"books": "books"}, "ada")
    assert await verbs.publish(house.runtime, "order", notes="first", actor="ada") == 1


async def test_a_rollback_lets_the_earlier_version_begin_the_runs(house: FlowInstallation) -> None:
    key = house.systems["books"].put("order", {"state": "open"})
    await house.publish(FILE)
    await house.publish(FILE.replace("\"'paid'\"", "\"'sold'\""))
    assert await house.db.run(verbs.roll_back, house.runtime, "order", None, "ada") == 1
    await house.trigger("order", {"k": key})
    await house.drain()
    assert house.systems["books"].rows["order"][key].values["state"] == "paid"
    told = await house.db.run(verbs.show, "order")
    assert [v["version"] for v in told["versions"]] == [2, 1]
    with pytest.raises(Misconfigured) as refused:
        await house.db.run(verbs.roll_back, house.runtime, "order", 7, "ada")
    assert refused.value.hint == "Published versions: 2, 1."


async def test_card_numbers_in_items_are_kept_nowhere(house: FlowInstallation) -> None:
    await house.publish(FILE)
    await house.trigger("order", {"k": "1", "note": "card 4111 1111 1111 1111"})
    await house.drain()
    kept = json.dumps(
        [str(r) for t in ("run_item", "run_step", "flow_event") for r in house.rows(f"select * from {t}")]
    )
    assert "1111 1111 1111" not in kept
    assert "411111" in kept


class Shout(Pure):
    """Says a text louder, as an installed package would."""

    LABEL: ClassVar[str] = "Shout"
    SAMPLE: ClassVar[Sample] = Sample(input={"t": "a"}, output={"t": "A!"})
    type: Literal["shout"] = "shout"
    field: str = Field("t", description="The field that is shouted.")

    def each(self, place: Place, item: Item) -> Result:
        return emit("out", {**item.data, self.field: f"{str(item.data[self.field]).upper()}!"})


class Miscounts(Node):
    """A node of a package that loses an item, as none should."""

    LABEL: ClassVar[str] = "Miscounts"
    GROUP: ClassVar[Any] = "shape"
    SAMPLE: ClassVar[Sample] = Sample()
    type: Literal["miscounts"] = "miscounts"

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        return [Emit() for _ in items][1:]


@pytest.fixture
def plugged(request: pytest.FixtureRequest) -> Any:
    """The nodes of an installed package: its entry point imports their classes."""
    node_types()
    Node.registry["shout"], Node.registry["miscounts"] = Shout, Miscounts
    definition._form.cache_clear()
    yield
    for name in ("shout", "miscounts"):
        Node.registry.pop(name, None)
    definition._form.cache_clear()


PLUGGED = """
flow: loud
nodes:
  start: {type: manual, to: shout}
  shout: {type: shout, to: end}
  end: {type: filter, when: "true"}
"""


@pytest.mark.usefixtures("plugged")
async def test_a_node_of_an_installed_package_is_a_node_like_any_other(house: FlowInstallation) -> None:
    assert "shout" in json.dumps(definition.json_schema())
    await house.publish(PLUGGED)
    await house.trigger("loud", {"t": "hello"})
    await house.trigger("loud", {"x": "nothing to shout"}, key="K2")
    await house.drain()
    assert house.ended("end") == [{"t": "HELLO!"}]
    assert house.one("select state from flow") == "halted"
    assert "KeyError" in house.one("select state_reason ->> 'answered' from flow")
    assert house.one("select state from run_item where key = 'K2'") == "ready"


@pytest.mark.usefixtures("plugged")
async def test_a_node_that_loses_an_item_halts_the_flow_and_no_item_is_lost(house: FlowInstallation) -> None:
    await house.publish(PLUGGED.replace("type: shout", "type: miscounts"))
    await house.trigger("loud", {"t": "hello"})
    await house.drain()
    assert house.one("select state_reason ->> 'answered' from flow") == "the node lost count of its items"
    assert house.states() == {"active": 1}


async def test_what_a_published_flow_listens_to_goes_with_its_version(house: FlowInstallation) -> None:
    listens = FILE.replace("{type: manual,", "{type: record_changed, connection: books, entity: order,")
    await house.publish(listens)
    assert await house.db.run(flows.watched) == [(1, "order")]
    await house.publish(FILE)
    assert await house.db.run(flows.watched) == []


PACKAGE = '''
from typing import ClassVar, Literal
from isthmus.flows.item import Item, Result, emit
from isthmus.flows.node import Place, Pure, Sample
from isthmus.mapping.transform import Build, Example, Step, Transform


class Whisper(Pure):
    """Says a text more softly, as an installed package does."""

    LABEL: ClassVar[str] = "Whisper"
    SAMPLE: ClassVar[Sample] = Sample(input={"t": "A"}, output={"t": "a"})
    type: Literal["whisper"] = "whisper"

    def each(self, place: Place, item: Item) -> Result:
        return emit("out", {**item.data, "t": item.data["t"].lower()})


class Mirror(Transform):
    """Turns a text round."""

    name = "mirror"
    label = "Mirror"
    examples = (Example(raw="ab", value="ba"),)

    def build(self, at: Build) -> Step:
        return self.step(lambda value, _: value[::-1], lambda value, _: value[::-1])
'''

OF_A_PACKAGE = """
flow: soft
nodes:
  start: {type: manual, to: soft}
  soft: {type: whisper, to: round}
  round: {type: map, fields: {t: {from: t, steps: [mirror]}}, to: end}
  end: {type: filter, when: "true"}
tests:
  - {name: it whispers backwards, given: [{t: ABC}], expect: {end: [{t: cba}]}}
"""


def test_nodes_and_transforms_of_an_installed_package_are_found(tmp_path: Path) -> None:
    (tmp_path / "soft_package.py").write_text(PACKAGE)
    told = tmp_path / "soft_package-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: soft-package\nVersion: 1.0\n")
    points = "[isthmus.nodes]\nsoft = soft_package\n\n[isthmus.transforms]\nsoft = soft_package\n"
    (told / "entry_points.txt").write_text(points)
    (tmp_path / "soft.yaml").write_text(OF_A_PACKAGE)
    done = subprocess.run(
        [sys.executable, "-m", "isthmus", "test", str(tmp_path / "soft.yaml"), "--json"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["tests"][0]["passed"]
