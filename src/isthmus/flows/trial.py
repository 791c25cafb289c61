"""Trying a flow without writing anything: dry runs, and the tests that flow files carry."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.errors import IsthmusError, RefusedByTarget
from isthmus.flows.advance import Segment, Step, settle
from isthmus.flows.compiled import ERROR, CompiledFlow
from isthmus.flows.definition import FlowTest, StandIn
from isthmus.flows.item import JOIN, Emit, Item, Out, Result, RunInfo, Trouble, emit
from isthmus.flows.node import Node, Place, at_path, with_path
from isthmus.flows.surroundings import Surroundings
from isthmus.mapping.problem import TransformProblem
from isthmus.model.clock import Clock

MOST_STEPS = 20_000
"""Steps of one trial; a flow that takes more is not tried to its end."""

READS = ("read", "file")
"""Groups whose nodes only look, so that a dry run lets them."""


@dataclass(slots=True)
class Told:
    """What one step of a trial did; `would` is what an effect would have done."""

    node: str
    key: str
    outcome: str
    port: str | None
    input: Mapping[str, Any]
    output: Any
    error: Mapping[str, Any] | None
    would: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Trial:
    """A whole trial: its steps, what reached each node, and where the items ended."""

    steps: list[Told] = field(default_factory=list)
    reached: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    ends: list[dict[str, Any]] = field(default_factory=list)


class Answers:
    """Stand-in answers by node; a list answers item after item, its last entry from then on."""

    def __init__(self, told: Mapping[str, StandIn | Sequence[StandIn]]) -> None:
        self._told = {name: [given] if isinstance(given, StandIn) else list(given) for name, given in told.items()}
        self._next = dict.fromkeys(self._told, 0)

    def of(self, node: str) -> StandIn | None:
        """The next answer of a node."""
        given = self._told.get(node)
        if not given:
            return None
        found = given[min(self._next[node], len(given) - 1)]
        self._next[node] += 1
        return found


async def attempt(
    flow: CompiledFlow,
    start: str,
    given: Sequence[Mapping[str, Any]],
    *,
    key: str,
    world: Surroundings | None,
    clock: Clock,
    answers: Mapping[str, StandIn | Sequence[StandIn]] | None = None,
) -> Trial:
    """Take items through a flow in memory. Effects and waits are not carried out: they answer what the stand-ins say,
    else their sample; reads happen only in a `world`.
    """
    now = clock.now()
    run = RunInfo(id=0, flow_id=flow.id, flow=flow.name, version=flow.version, key=key, started_at=now)
    numbers = itertools.count(1)
    items = [
        Item(run=run, key=key if len(given) == 1 else f"{key}/{n + 1}", node=start, data=dict(data), id=next(numbers))
        for n, data in enumerate(copy.deepcopy(list(given)))
    ]
    trial = Trial()
    stand_ins = Answers(answers or {})
    known: list[Item] = list(items)
    ready = list(items)
    while ready and len(trial.steps) < MOST_STEPS:
        name = min({i.node for i in ready}, key=lambda n: flow.place[n])
        batch = [i for i in ready if i.node == name]
        ready = [i for i in ready if i.node != name]
        trial.reached.setdefault(name, []).extend(copy.deepcopy(i.data) for i in batch)
        here = Place(node=name, flow=flow.name, now=now, world=world, ways=flow.ports(name))  # type: ignore[arg-type]  # pure nodes need none
        segment = Segment()
        would = [_would(flow.nodes[name], here, item) for item in batch]
        results = await _results(flow.nodes[name], here, batch, stand_ins)
        for item, result in zip(batch, results, strict=True):
            ready.extend(settle(segment, flow, item, _at_once(result), now=now, rng=random.Random(0), ms=0.0))
        for made in segment.made:
            made.id = next(numbers)
        known.extend(segment.made)
        trial.steps.extend(_told(step, would[batch.index(step.item)]) for step in segment.steps)
        ready.extend(_joined(flow, known))
    for item in known:
        if item.state in ("done", "held"):
            trial.ends.append({"node": item.node, "key": item.key, "state": item.state, "data": item.data})
    return trial


def _told(step: Step, would: str) -> Told:
    output = step.input if step.output is None and step.port is not None else step.output
    outcome = "held" if step.outcome == "again" else step.outcome
    return Told(step.node, step.item.key, outcome, step.port, dict(step.input), output, step.error, would)


def _would(node: Node, place: Place, item: Item) -> str:
    if not node.EFFECT or place.world is None:
        return ""
    try:
        return node.would(place, item)
    except (IsthmusError, TransformProblem) as error:
        return str(error)


def _at_once(result: Result) -> Result:
    """What is tried again later is, in a trial, an error that stays; a Wait that nothing answers is over at once."""
    if isinstance(result, Trouble):
        return Trouble(error=result.error, hold=False) if result.error.action == "reject" else Trouble(
            error=RefusedByTarget(
                result.error.doing, record=result.error.record, answered=result.error.answered, hint=result.error.hint
            )
        )  # fmt: skip
    return result


async def _results(node: Node, place: Place, batch: Sequence[Item], answers: Answers) -> list[Result]:
    stand_in = [answers.of(place.node) for _ in batch]
    if any(one is not None for one in stand_in):
        return [_answered(item, one, place) for item, one in zip(batch, stand_in, strict=True)]
    if node.PURE or node.JOINS or (place.world is not None and node.GROUP in (*READS, "shape", "assist")):
        try:
            return list(await node.work(place, batch))
        except IsthmusError as error:
            return [Trouble(error=error) for _ in batch]
    if node.GROUP == "shape" and not node.roles():
        return list(await node.work(place, batch))
    return [_sampled(node, item) for item in batch]


def _answered(item: Item, told: StandIn | None, place: Place) -> Result:
    if told is None:
        return emit("out", item.data)
    if told.port == ERROR:
        return Trouble(error=RefusedByTarget(f"answering in {place.node}", answered=told.error or "refused"))
    data = dict(told.data) if told.data is not None else item.data
    for path, value in (told.put or {}).items():
        data = with_path(data, path, value)
    return emit(told.port, data)


def _sampled(node: Node, item: Item) -> Result:
    """The sample's answer: what it adds to its own input is added to the item."""
    sample = type(node).SAMPLE
    added = {name: value for name, value in sample.output.items() if sample.input.get(name) != value}
    port = sample.port if sample.port in node.ports() else next(iter(node.ports()), "out")
    into = getattr(node, "into", None)
    if into is not None and len(added) == 1:
        return emit(port, with_path(item.data, into, copy.deepcopy(next(iter(added.values())))))
    return Emit(outs=(Out(port, {**item.data, **copy.deepcopy(added)}),))


def _joined(flow: CompiledFlow, known: Sequence[Item]) -> list[Item]:
    """The parents whose children have all come to a join, or ended: they go on there."""
    out = []
    by_parent: dict[int, list[Item]] = {}
    for item in known:
        if item.parent is not None:
            by_parent.setdefault(id(item.parent), []).append(item)
    for item in known:
        if item.state != "split":
            continue
        waiting = [c for c in by_parent.get(id(item), []) if c.state == "waiting" and c.wakes == JOIN]
        if not waiting or _moving(item, by_parent, waiting):
            continue
        item.state, item.node, item.visit, item.attempts = "ready", min(c.node for c in waiting), 1, 0
        item.memo, item.wakes, item.due_at = {}, None, None
        item.children = [c.data for c in sorted(waiting, key=lambda c: (c.place, c.id))]
        for child in waiting:
            child.state = "joined"
        out.append(item)
    return out


def _moving(parent: Item, by_parent: Mapping[int, Sequence[Item]], waiting: Sequence[Item]) -> bool:
    for child in by_parent.get(id(parent), []):
        if child in waiting or child.state in ("done", "joined", "cancelled"):
            continue
        if child.state == "split":
            if _moving(child, by_parent, ()):
                return True
            continue
        return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one test of a flow ended; `why` lists each difference."""

    name: str
    passed: bool
    why: tuple[str, ...] = ()


async def run_test(flow: CompiledFlow, test: FlowTest, clock: Clock) -> Verdict:
    """Run one test that a flow carries."""
    triggers = [name for name, node in flow.nodes.items() if node.TRIGGER]
    start = test.start or (triggers[0] if len(triggers) == 1 else None)
    if start is None or start not in flow.nodes:
        return Verdict(name=test.name, passed=False, why=(f"say where it starts: {', '.join(triggers)}",))
    trial = await attempt(flow, start, test.given, key=test.key, world=None, clock=clock, answers=test.answers)
    why = [line for node, wanted in test.expect.items() for line in _differences(node, wanted, trial)]
    if why:
        why.extend(f"{s.node}: {s.error.get('answered') or s.error.get('doing')}" for s in trial.steps
                   if s.error and s.outcome == "held")  # fmt: skip
    return Verdict(name=test.name, passed=not why, why=tuple(why))


def _differences(node: str, wanted: Sequence[Mapping[str, Any]], trial: Trial) -> list[str]:
    found = trial.reached.get(node, [])
    if len(found) != len(wanted):
        return [f"{node}: {len(found)} items came, {len(wanted)} were expected"]
    out = []
    for n, (got, want) in enumerate(zip(found, wanted, strict=True), 1):
        for path, value in want.items():
            seen = at_path(got, path)
            if seen != value and str(seen) != str(value):
                out.append(f"{node}, item {n}: {path} is {seen!r}, expected {value!r}")
    return out
