"""Random flows on a real PostgreSQL end as a naive evaluation of them does."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

import yaml
from flow_world import FlowInstallation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.store.database import Database

Block = list[tuple[Any, ...]]
"""Stages one behind the other."""

LEAVES = st.one_of(
    st.tuples(st.just("add"), st.integers(-5, 9)),
    st.tuples(st.just("keep"), st.integers(2, 4)),
    st.tuples(st.just("check"), st.integers(3, 6)),
    st.tuples(st.just("mend"), st.integers(2, 5)),
    st.tuples(st.just("switch"), st.integers(0, 9)),
    st.tuples(st.just("wait")),
)
BLOCKS = st.recursive(
    st.lists(LEAVES, max_size=3),
    lambda inner: st.lists(
        st.one_of(
            LEAVES,
            st.tuples(st.just("each"), st.integers(0, 4), inner),
            st.tuples(st.just("fan"), st.lists(inner, min_size=2, max_size=3)),
        ),
        max_size=3,
    ),
    max_leaves=8,
)
"""`keep` drops, `check` holds, `mend` leaves by `error` and comes back, `each` and `fan` are summed up behind."""


@dataclass
class Drawing:
    """A flow file under construction."""

    nodes: dict[str, Any] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def add(self, **config: Any) -> str:
        name = f"n{next(self.numbers)}"
        self.nodes[name] = config
        return name

    def block(self, stages: Block, then: str) -> str:
        """Draw stages that lead to `then`; returns the first node."""
        for stage in reversed(stages):
            then = self.stage(stage, then)
        return then

    def stage(self, stage: tuple[Any, ...], then: str) -> str:
        kind = stage[0]
        if kind == "add":
            return self.add(type="set", fields={"n": f"add(item.n, {stage[1]})"}, to=then)
        if kind == "keep":
            return self.add(type="filter", when=f"int(item.n) % {stage[1]} != 0", to=then)
        if kind == "wait":
            return self.add(type="wait", **{"for": "1ms"}, to=then)
        if kind == "switch":
            double = self.add(type="set", fields={"n": "multiply(item.n, 2)"}, to=then)
            cases = [{"port": "small", "when": f"less(item.n, {stage[1]})"}]
            return self.add(type="switch", cases=cases, to={"small": double, "otherwise": then})
        if kind in ("check", "mend"):
            rule = {"name": "r", "check": f"int(item.n) % {stage[1]} != 1", "message": "No."}
            to = {"out": then}
            if kind == "mend":
                to["error"] = self.add(type="set", fields={"n": "add(item.n, 100)"}, remove=["error"], to=then)
            return self.add(type="validate", rules=[rule], to=to)
        after = self.add(type="set", fields={"n": "add(item.g[0].total, item.g[0].count)"}, to=then)
        figures = {"total": {"of": "item.n", "how": "sum"}, "count": {"how": "count"}}
        together = self.add(type="aggregate", figures=figures, into="g", to=after)
        if kind == "fan":
            firsts = [self.add(type="set", fields={"n": "item.n"}, to=self.block(b, together)) for b in stage[1]]
            return self.add(type="set", fields={"m": "1"}, to=firsts)
        split = self.add(type="split", list="l", into="n", to={"out": self.block(stage[2], together), "empty": then})
        entries = ", ".join(f"add(item.n, {i})" for i in range(stage[1]))
        return self.add(type="set", fields={"l": f"[{entries}]"}, to=split)


def naive(stages: Block, n: int) -> tuple[int | None, int]:
    """What becomes of a number, and how many items are held on the way."""
    held = 0
    for stage in stages:
        kind = stage[0]
        if kind == "add":
            n += stage[1]
        elif kind == "keep":
            if remainder(n, stage[1]) == 0:
                return None, held
        elif kind == "switch":
            n = n * 2 if n < stage[1] else n
        elif kind == "check":
            if remainder(n, stage[1]) == 1:
                return None, held + 1
        elif kind == "mend":
            n = n + 100 if remainder(n, stage[1]) == 1 else n
        elif kind in ("each", "fan"):
            if kind == "each" and stage[1] == 0:
                continue
            parts = [(stage[2], n + i) for i in range(stage[1])] if kind == "each" else [(b, n) for b in stage[1]]
            ended = [naive(block, value) for block, value in parts]
            stuck = sum(h for _, h in ended)
            came = [value for value, _ in ended if value is not None]
            held += stuck
            if stuck or not came:
                return None, held
            n = sum(came) + len(came)
    return n, held


def remainder(n: int, by: int) -> int:
    """As CEL has it: the sign of the number."""
    return abs(n) % by * (1 if n >= 0 else -1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stages=BLOCKS, numbers=st.lists(st.integers(-20, 40), min_size=1, max_size=6))
def test_a_random_flow_ends_as_its_naive_evaluation_does(database: Database, stages: Block, numbers: list[int]) -> None:
    asyncio.run(compare(database, stages, numbers))


async def compare(database: Database, stages: Block, numbers: list[int]) -> None:
    drawing = Drawing()
    first = drawing.block(stages, "end")
    nodes = {"start": {"type": "manual", "to": first}, **drawing.nodes, "end": {"type": "filter", "when": "true"}}
    house = FlowInstallation(database)
    house.one("update flow set state = 'paused' returning 1")
    name = f"random-{house.one('select count(*) from flow')}"
    flow = await house.publish(yaml.safe_dump({"flow": name, "nodes": nodes}, sort_keys=False))
    for n, value in enumerate(numbers):
        await house.trigger(name, {"n": str(value)}, key=f"K{n}")
    await house.drain(flow)
    assert house.one("select state_reason from flow where id = :id", id=flow) is None
    ended = house.rows(
        "select r.key, i.data from run r join run_item i on i.run_id = r.id and i.node = 'end' and i.state = 'done'"
        " where r.flow_id = :id",
        id=flow,
    )
    held = {
        r.key: r.n
        for r in house.rows(
            "select r.key, count(*) filter (where i.state = 'held') as n from run r join run_item i on i.run_id = r.id"
            " where r.flow_id = :id group by 1",
            id=flow,
        )
    }
    wanted = {f"K{n}": naive(stages, value) for n, value in enumerate(numbers)}
    assert {r.key: int(r.data["n"]) for r in ended} == {k: v for k, (v, _) in wanted.items() if v is not None}
    assert held == {k: h for k, (_, h) in wanted.items()}
    states = {r.key: r.state for r in house.rows("select key, state from run where flow_id = :id", id=flow)}
    assert states == {k: "held" if h else "done" for k, (_, h) in wanted.items()}
    await house.close()
