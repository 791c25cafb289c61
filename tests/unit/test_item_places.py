"""An expression of a flow is handed only the places of an item that it can look at, and sees the same as ever."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from isthmus.flows.item import Item, RunInfo
from isthmus.flows.node import _places, value_of

RUN = RunInfo(id=1, flow_id=1, flow="f", version=1, key="K", started_at=datetime(2026, 1, 1, tzinfo=UTC))
ITEM = Item(run=RUN, key="K", node="n", data={"order": {"total": "12"}, "lines": [{"q": 1}, {"q": 2}], "map": "m"})


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("item.order.total", {"order"}),
        ('has(item.order) && item.lines.exists(l, l.q == 2) && "item" != ""', None),
        ("has(item.order) && item.lines.exists(l, l.q == 2)", {"order", "lines"}),
        ('item["order"]', None),
        ("item.exists(name, name == 'order')", None),
        ("item.map == 'm'", {"map"}),
        ("run.key", set()),
    ],
)
def test_what_an_expression_can_look_at(source: str, places: set[str] | None) -> None:
    assert _places(source) == (None if places is None else frozenset(places))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("item.order.total", "12"),
        ('item["order"].total', "12"),
        ("has(item.nothing)", False),
        ("item.exists(name, name == 'lines')", True),
        ("item.lines.filter(l, l.q > 1)[0].q", 2),
        ("item.map + run.key", "mK"),
    ],
)
def test_the_result_is_the_same_as_with_the_whole_item(source: str, value: object) -> None:
    assert value_of(source, ITEM) == value
