"""Where items go next: pure decisions over results, collected so that one transaction can write them all."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from isthmus.engine.lease import LeaseLost
from isthmus.errors import AuthFailed, IsthmusError, RateLimited, Unavailable
from isthmus.flows.compiled import ERROR, CompiledFlow
from isthmus.flows.item import JOIN, Call, Emit, IntentEnd, Item, Out, Question, Result, Trouble, Wait
from isthmus.flows.node import Node, Place

NOT_ITS_FAULT = (RateLimited, Unavailable, AuthFailed)
"""Errors that say nothing of the item: they do not count towards the tries it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node's execution for one item. `outcome`: passed, ended, error, again, waits, held."""

    item: Item
    node: str
    visit: int
    outcome: str
    port: str | None
    input: Mapping[str, Any]
    output: Mapping[str, Any] | Sequence[Any] | None
    error: Mapping[str, Any] | None
    ms: float
    at: datetime


@dataclass(slots=True)
class Segment:
    """What one go changed: items moved or made, steps, ends of effects, and what has to be stored beside them."""

    items: dict[int, Item] = field(default_factory=dict)
    made: list[Item] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    ends: list[IntentEnd] = field(default_factory=list)
    letters: list[tuple[Item, IsthmusError]] = field(default_factory=list)
    questions: list[tuple[Item, Question]] = field(default_factory=list)
    calls: list[tuple[Item, Call, bool]] = field(default_factory=list)
    halt: IsthmusError | None = None

    def touch(self, item: Item) -> None:
        """Note that an item of the database changes."""
        if item.id:
            self.items[item.id] = item


def settle(
    segment: Segment, flow: CompiledFlow, item: Item, result: Result, *, now: datetime, rng: random.Random, ms: float
) -> list[Item]:
    """Write a Result down; returns the items that are ready at a further node now."""
    segment.touch(item)
    segment.ends.extend(result.ends)
    node, visit, seen = item.node, item.visit, item.data

    def step(outcome: str, port: str | None, output: Any = None, error: Any = None) -> None:
        same = output is seen
        segment.steps.append(
            Step(
                item=item, node=node, visit=visit, outcome=outcome, port=port, input=seen,
                output=None if same else output, error=error, ms=ms, at=now,
            )
        )  # fmt: skip

    if isinstance(result, Wait):
        _wait(segment, item, result, now)
        step("waits", None, dict(result.memo) or None)
        return []
    if isinstance(result, Trouble):
        return _trouble(segment, flow, item, result, step, now, rng)
    ports = {out.port for out in result.outs}
    port = next(iter(ports)) if len(ports) == 1 else ("+".join(sorted(ports)) or None)
    output: Any = result.outs[0].data if len(result.outs) == 1 else [out.data for out in result.outs] or None
    if result.call is not None:
        segment.calls.append((item, result.call, False))
    moved = _move(segment, flow, item, result)
    step("passed" if moved else "ended", port, output, {"note": result.note} if result.note else None)
    return moved


def _move(segment: Segment, flow: CompiledFlow, item: Item, result: Emit) -> list[Item]:
    ways = [(out, target) for out in result.outs for target in flow.targets(item.node, out.port)]
    if len(ways) <= 1 and not (result.group and ways):
        out = ways[0][0] if ways else next(iter(result.outs), None)
        if out is not None:
            item.data, item.key = out.data, out.key or item.key
        if not ways:
            item.state, item.wakes = "done", None
            return []
        _arrive(flow, item, ways[0][1])
        return [item] if item.state == "ready" else []
    item.state, item.wakes = "split", None
    ready = []
    for place, (out, target) in enumerate(ways):
        child = Item(
            run=item.run,
            key=out.key or item.key,
            node=target,
            data=out.data,
            parent=item,
            place=place,
        )
        _arrive(flow, child, target)
        segment.made.append(child)
        if child.state == "ready":
            ready.append(child)
    return ready


def _arrive(flow: CompiledFlow, item: Item, target: str) -> None:
    item.node, item.visit, item.attempts = target, 1, 0
    item.memo, item.children, item.intent, item.timed_out = {}, [], None, False
    item.due_at = None
    waits = flow.nodes[target].JOINS and item.has_parent
    item.state, item.wakes = ("waiting", JOIN) if waits else ("ready", None)


def _wait(segment: Segment, item: Item, result: Wait, now: datetime) -> None:
    item.state, item.due_at, item.wakes = "waiting", result.until, result.wakes
    item.memo = {**item.memo, **result.memo}
    if result.question is not None:
        segment.questions.append((item, result.question))
    if result.call is not None:
        segment.calls.append((item, result.call, True))


def _trouble(
    segment: Segment,
    flow: CompiledFlow,
    item: Item,
    result: Trouble,
    step: Callable[..., None],
    now: datetime,
    rng: random.Random,
) -> list[Item]:
    error, node = result.error, item.node
    if error.action == "halt" and not result.hold:
        segment.halt = segment.halt or error
        item.state, item.due_at = "ready", None
        step("again", None, None, error.as_dict())
        return []
    retry = flow.retry(node)
    if error.action == "retry" and not result.hold:
        blameless = isinstance(error, NOT_ITS_FAULT)
        if blameless or item.attempts < retry.times:
            wait = getattr(error, "wait", None)
            seconds = wait.total_seconds() if wait is not None else retry.delay(item.attempts, rng)
            item.attempts += 1
            item.visit += 1 if result.next_visit else 0
            item.state, item.due_at = "ready", now + timedelta(seconds=seconds)
            step("again", None, None, error.as_dict())
            return []
    told = error.as_dict()
    ways = flow.targets(node, ERROR)
    if ways and not result.hold:
        data = {**item.data, "error": told}
        moved = _move(segment, flow, item, Emit(outs=(Out(ERROR, data),)))
        step("error", ERROR, data, told)
        return moved
    item.state, item.due_at, item.wakes = "held", None, None
    item.visit += 1 if result.next_visit else 0
    segment.letters.append((item, error))
    step("held", None, None, told)
    return []


async def carry(
    segment: Segment,
    flow: CompiledFlow,
    items: Sequence[Item],
    place: Callable[[str], Place],
    rng: random.Random,
    monotonic: Callable[[], float],
) -> None:
    """Work a batch that stands at one node, then carry what came of it through all pure nodes behind, in order."""
    waiting: dict[str, list[Item]] = {items[0].node: list(items)}
    while waiting:
        name = min(waiting, key=lambda n: flow.place[n])
        batch = waiting.pop(name)
        node: Node = flow.nodes[name]
        here = place(name)
        started = monotonic()
        results = await _worked(node, here, batch)
        ms = (monotonic() - started) * 1000 / len(batch)
        for item, result in zip(batch, results, strict=True):
            for moved in settle(segment, flow, item, result, now=here.now, rng=rng, ms=ms):
                if flow.nodes[moved.node].PURE:
                    waiting.setdefault(moved.node, []).append(moved)


async def _worked(node: Node, place: Place, batch: Sequence[Item]) -> Sequence[Result]:
    """What a node says of a batch. A failure of the whole batch is every item's; an unknown one halts the flow."""
    try:
        results = await node.work(place, batch)
    except IsthmusError as error:
        return [Trouble(error=error) for _ in batch]
    except (LeaseLost, SQLAlchemyError):
        raise
    except Exception as error:
        said = IsthmusError(f"working in {place.flow}.{place.node}", answered=f"{type(error).__name__}: {error}")
        return [Trouble(error=said) for _ in batch]
    if len(results) != len(batch):
        said = IsthmusError(f"working in {place.flow}.{place.node}", answered="the node lost count of its items")
        return [Trouble(error=said) for _ in batch]
    return results
