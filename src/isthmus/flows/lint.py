"""What is wrong with a flow file before it runs: form, ways, roles, joins, tests; each with line, node and fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from isthmus.flows.compiled import ERROR, in_order, ways
from isthmus.flows.definition import FlowFile, Mistake, nearest, read
from isthmus.flows.node import Node
from isthmus.mapping.model import line_of

Lines = Mapping[tuple[Any, ...], int]


def lint(text: str, where: str = "the flow") -> list[Mistake]:
    """Everything that is wrong with a file, by line; errors keep it from being published, warnings do not."""
    file, mistakes, lines = read(text, where)
    if file is None:
        return sorted(mistakes, key=lambda m: m.line)
    found = [m for check in _CHECKS for m in check(file, lines)]
    return sorted(found, key=lambda m: (m.line, m.node, m.message))


def _at(lines: Lines, *path: Any) -> int:
    return line_of(lines, path)


def _ways_lead_somewhere(file: FlowFile, lines: Lines) -> Iterator[Mistake]:
    for name, node in file.nodes.items():
        ports = (*node.ports(), ERROR)
        for port, targets in _all_ways(node):
            line = (
                _at(lines, "nodes", name, "to", port) if isinstance(node.to, dict) else _at(lines, "nodes", name, "to")
            )
            if port not in ports:
                yield Mistake(line=line, node=name, message=f"it has no port {port}", fix=nearest(port, ports, "ports"))
            for target in targets:
                if target not in file.nodes:
                    yield Mistake(
                        line=line,
                        node=name,
                        message=f"it leads to {target}, which is not there",
                        fix=nearest(target, file.nodes, "nodes"),
                    )
                elif file.nodes[target].TRIGGER:
                    yield Mistake(
                        line=line,
                        node=name,
                        message=f"it leads to the trigger {target}",
                        fix="Lead to the node behind the trigger; nothing comes before a trigger.",
                    )
        if isinstance(node.to, list) and len(set(node.to)) < len(node.to):
            yield Mistake(
                line=_at(lines, "nodes", name, "to"), node=name, message="it leads to the same node twice",
                fix="Name each node once.",
            )  # fmt: skip


def _all_ways(node: Node) -> Iterable[tuple[str, tuple[str, ...]]]:
    if isinstance(node.to, dict):
        for port, told in node.to.items():
            yield port, (told,) if isinstance(told, str) else tuple(told)
    elif node.to is not None:
        yield next(iter(node.ports()), "out"), (node.to,) if isinstance(node.to, str) else tuple(node.to)


def _no_circles(file: FlowFile, lines: Lines) -> Iterator[Mistake]:
    _, circle = in_order(file)
    if circle:
        first = _one_in_circle(file, circle)
        yield Mistake(
            line=_at(lines, "nodes", first),
            node=first,
            message=f"it stands in a circle: {', '.join(circle)}",
            fix="Let every way lead on; what repeats is a flow of its own, or a `wait` for an Event.",
        )


def _one_in_circle(file: FlowFile, circle: list[str]) -> str:
    return next(
        (n for n in circle if any(t == n or t in circle for _, ts in ways(file.nodes[n]) for t in ts)), circle[0]
    )


def _something_begins(file: FlowFile, lines: Lines) -> Iterator[Mistake]:
    triggers = [name for name, node in file.nodes.items() if node.TRIGGER]
    if not triggers:
        yield Mistake(
            line=_at(lines, "nodes"), node="", message="the flow has no trigger",
            fix="Add a node of type record_changed, schedule, webhook or manual.",
        )  # fmt: skip
        return
    reached, todo = set(triggers), list(triggers)
    while todo:
        for _, targets in ways(file.nodes[todo.pop()]):
            for target in targets:
                if target in file.nodes and target not in reached:
                    reached.add(target)
                    todo.append(target)
    for name in file.nodes:
        if name not in reached:
            yield Mistake(
                line=_at(lines, "nodes", name),
                node=name,
                message="no item ever comes here",
                fix=f"Let a port of another node lead to {name}, or take it out.",
            )
    hooks = [name for name in triggers if file.nodes[name].kind() == "webhook"]
    for name in hooks[1:]:
        yield Mistake(
            line=_at(lines, "nodes", name), node=name, message="a flow has one webhook address",
            fix="Make a flow of its own for the second one.",
        )  # fmt: skip


def _roles_are_known(file: FlowFile, lines: Lines) -> Iterator[Mistake]:
    used: set[str] = set()
    for name, node in file.nodes.items():
        for field, kind, role in node.roles():
            used.add(role)
            known = file.connections if kind == "connection" else file.pairs
            if role not in known:
                yield Mistake(
                    line=_at(lines, "nodes", name, *field.split(".")),
                    node=name,
                    message=f"the flow has no {kind} {role}",
                    fix=f"Add it under `{kind}s`" + (f", or: {nearest(role, known, kind + 's')}" if known else "."),
                )
            told = file.pairs.get(role)
            entity = getattr(node, "entity", None)
            if kind == "pair" and told is not None and told.entities and entity and entity not in told.entities:
                yield Mistake(
                    line=_at(lines, "nodes", name, "entity"),
                    node=name,
                    message=f"the pair {role} does not name the Entity {entity}",
                    fix=nearest(str(entity), told.entities, "entities"),
                )
    for kind in ("connections", "pairs"):
        for role in getattr(file, kind):
            if role not in used:
                yield Mistake(
                    line=_at(lines, kind, role), node="", message=f"nothing uses the role {role}",
                    fix="Take it out, or name it in a node.", severity="warning",
                )  # fmt: skip
    both = sorted(file.connections.keys() & file.pairs.keys())
    for role in both:
        yield Mistake(
            line=_at(lines, "pairs", role), node="", message=f"{role} is both a Connection and a pair",
            fix="Call one of them otherwise.",
        )  # fmt: skip


def _joins_have_splits(file: FlowFile, lines: Lines) -> Iterator[Mistake]:
    """A join needs something before it that makes several items of one."""
    into: dict[str, set[str]] = {name: set() for name in file.nodes}
    for name, node in file.nodes.items():
        for _, targets in ways(node):
            for target in targets:
                into.setdefault(target, set()).add(name)
    for name, node in file.nodes.items():
        if not node.JOINS:
            continue
        before, todo = set(), [name]
        while todo:
            for one in into.get(todo.pop(), set()):
                if one not in before:
                    before.add(one)
                    todo.append(one)
        if not any(_makes_several(file.nodes[one]) for one in before):
            yield Mistake(
                line=_at(lines, "nodes", name),
                node=name,
                message="nothing before it makes several items of one, so there is nothing to join",
                fix="Put a `split` before it, or let a port lead to several nodes.",
            )


def _makes_several(node: Node) -> bool:
    several = any(len(targets) > 1 for _, targets in ways(node))
    return several or node.kind() in ("split", "aggregate") or bool(getattr(node, "each", None) is True) or (
        bool(getattr(node, "all", False))
    )  # fmt: skip


def _nodes_are_content(file: FlowFile, lines: Lines) -> Iterator[Mistake]:
    for name, node in file.nodes.items():
        for field, message, fix in node.problems():
            yield Mistake(line=_at(lines, "nodes", name, field), node=name, message=message, fix=fix)
        if node.TRIGGER and not any(True for _ in ways(node)):
            yield Mistake(
                line=_at(lines, "nodes", name), node=name, message="the trigger leads nowhere",
                fix="Give it a `to`.", severity="warning",
            )  # fmt: skip
        if node.kind() == "sub_flow" and getattr(node, "flow", None) == file.flow and getattr(node, "wait", True):
            yield Mistake(
                line=_at(lines, "nodes", name, "flow"), node=name, message="the flow calls itself",
                fix="Call another flow, or set `wait: false`; a flow that waits for itself never ends.",
            )  # fmt: skip


def _tests_fit(file: FlowFile, lines: Lines) -> Iterator[Mistake]:
    triggers = [name for name, node in file.nodes.items() if node.TRIGGER]
    for n, test in enumerate(file.tests):
        for part in ("answers", "expect"):
            for name in getattr(test, part):
                if name not in file.nodes:
                    yield Mistake(
                        line=_at(lines, "tests", n, part, name), node="",
                        message=f"the test {test.name!r} names the node {name}, which is not there",
                        fix=nearest(name, file.nodes, "nodes"),
                    )  # fmt: skip
        for name, told in test.answers.items():
            answers = told if isinstance(told, list) else [told]
            for answer in answers:
                if name in file.nodes and answer.port not in (*file.nodes[name].ports(), ERROR):
                    yield Mistake(
                        line=_at(lines, "tests", n, "answers", name), node=name,
                        message=f"the test {test.name!r} answers by the port {answer.port}, which it does not have",
                        fix=nearest(answer.port, (*file.nodes[name].ports(), ERROR), "ports"),
                    )  # fmt: skip
        if test.start is not None and test.start not in file.nodes:
            yield Mistake(
                line=_at(lines, "tests", n, "start"), node="", message=f"the test starts at {test.start}, not there",
                fix=nearest(test.start, file.nodes, "nodes"),
            )  # fmt: skip
        elif test.start is None and len(triggers) > 1:
            yield Mistake(
                line=_at(lines, "tests", n), node="", message=f"the test {test.name!r} does not say where it starts",
                fix=f"Give `start`: one of {', '.join(triggers)}.",
            )  # fmt: skip
    names = [test.name for test in file.tests]
    for n, name in enumerate(names):
        if name in names[:n]:
            yield Mistake(
                line=_at(lines, "tests", n), node="", message=f"two tests are called {name!r}", fix="Rename one.",
            )  # fmt: skip
    if not file.tests:
        yield Mistake(
            line=1, node="", message="the flow has no tests", fix="Add `tests:`; a template needs them.",
            severity="warning",
        )  # fmt: skip


_CHECKS = (
    _ways_lead_somewhere,
    _no_circles,
    _something_begins,
    _roles_are_known,
    _joins_have_splits,
    _nodes_are_content,
    _tests_fit,
)
