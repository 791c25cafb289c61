"""Every node documents itself, and its sample is what it really does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from isthmus.flows.item import Emit, Item, RunInfo
from isthmus.flows.node import Node, Place, node_types

KINDS = sorted(dict.fromkeys(node_types().values()), key=lambda kind: kind.kind())
NOW = datetime(2026, 1, 5, 5, tzinfo=UTC)


def configured(kind: type[Node]) -> Node:
    return kind.model_validate({"type": kind.kind(), **kind.SAMPLE.config})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind())
def test_a_node_has_label_sentence_ports_and_a_sentence_for_every_field(kind: type[Node]) -> None:
    assert kind.LABEL
    assert len(kind.summary()) > 30
    assert kind.GROUP in ("trigger", "shape", "decide", "group", "wait", "read", "effect", "file", "assist")
    assert all(len(told) > 8 for told in kind.PORTS.values())
    silent = [n for n, f in kind.model_fields.items() if n != "type" and len(f.description or "") < 12]
    assert not silent, silent


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind())
def test_the_sample_of_a_node_fits_its_form_and_its_ports(kind: type[Node]) -> None:
    node = configured(kind)
    assert kind.SAMPLE.port in (*node.ports(), "error")


@pytest.mark.parametrize("kind", [k for k in KINDS if k.PURE or k.kind() == "map"], ids=lambda kind: kind.kind())
async def test_the_sample_of_a_node_that_only_looks_is_what_it_gives(kind: type[Node]) -> None:
    run = RunInfo(id=1, flow_id=1, flow="sample", version=1, key="K", started_at=NOW)
    item = Item(run=run, key="K", node="n", data=dict(kind.SAMPLE.input))
    place = Place(node="n", flow="sample", now=NOW, world=None)  # type: ignore[arg-type]  # it needs none
    [result] = await configured(kind).work(place, [item])
    assert isinstance(result, Emit), result
    assert [(out.port, out.data) for out in result.outs] == [(kind.SAMPLE.port, dict(kind.SAMPLE.output))]
