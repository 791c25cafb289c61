"""A flow ready to run: its nodes in topological order and where every port leads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from isthmus.errors import Misconfigured
from isthmus.flows.definition import FlowFile, parse
from isthmus.flows.node import Node, Retry

ERROR = "error"
"""The port by which an item leaves that a node could not work on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledFlow:
    """One version of a flow. `order` is topological; a node's place in it decides who works first."""

    id: int
    name: str
    version: int
    file: FlowFile
    bindings: Mapping[str, str]
    order: tuple[str, ...]
    place: Mapping[str, int]
    nodes: Mapping[str, Node]
    has_joins: bool
    asks: bool
    _ways: Mapping[tuple[str, str], tuple[str, ...]] = field(repr=False)

    def targets(self, node: str, port: str) -> tuple[str, ...]:
        """Where a node's port leads; nowhere when nothing is said."""
        return self._ways.get((node, port), ())

    def ports(self, node: str) -> frozenset[str]:
        """The ports of a node that lead somewhere."""
        return frozenset(port for name, port in self._ways if name == node)

    def retry(self, node: str) -> Retry:
        """How a node is tried again."""
        return self.nodes[node].retry or self.file.retry or _USUAL


_USUAL = Retry.model_validate({})


def ways(node: Node) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Every port of a node that leads somewhere, with where."""
    named = list(node.to) if isinstance(node.to, dict) else []
    for port in dict.fromkeys((*node.ports(), ERROR, *named)):
        leads = node.targets(port)
        if leads:
            yield port, leads


def in_order(file: FlowFile) -> tuple[list[str], list[str]]:
    """The nodes in topological order (ties as in the file), and those that stand in a circle."""
    leads = {name: {t for _, targets in ways(node) for t in targets} for name, node in file.nodes.items()}
    into = dict.fromkeys(file.nodes, 0)
    for targets in leads.values():
        for target in targets & into.keys():
            into[target] += 1
    ready = [name for name in file.nodes if into[name] == 0]
    order: list[str] = []
    while ready:
        name = ready.pop(0)
        order.append(name)
        for target in file.nodes:
            if target in leads[name]:
                into[target] -= 1
                if into[target] == 0:
                    ready.append(target)
    return order, [name for name in file.nodes if name not in order]


def compile_flow(
    text: str, *, flow_id: int = 0, version: int = 0, bindings: Mapping[str, str] | None = None, where: str = "the flow"
) -> CompiledFlow:
    """A flow from its file; raises Misconfigured when it cannot run as written."""
    return compiled(parse(text, where), flow_id=flow_id, version=version, bindings=bindings)


def compiled(
    file: FlowFile, *, flow_id: int = 0, version: int = 0, bindings: Mapping[str, str] | None = None
) -> CompiledFlow:
    """A parsed flow, ready to run."""
    order, circle = in_order(file)
    if circle:
        raise Misconfigured(
            f"compiling the flow {file.flow}",
            answered=f"{', '.join(circle)} lead round in a circle",
            hint="Let every way lead on; what has to be repeated is a flow of its own, or waits for an Event.",
        )
    found = {(name, port): leads for name, node in file.nodes.items() for port, leads in ways(node)}
    lost = sorted({t for leads in found.values() for t in leads} - file.nodes.keys())
    if lost:
        raise Misconfigured(
            f"compiling the flow {file.flow}",
            answered=f"there is no node {', '.join(lost)}",
            hint=f"The nodes are: {', '.join(file.nodes)}.",
        )
    return CompiledFlow(
        id=flow_id,
        name=file.flow,
        version=version,
        file=file,
        bindings=dict(bindings or {}),
        order=tuple(order),
        place={name: n for n, name in enumerate(order)},
        nodes=file.nodes,
        has_joins=any(node.JOINS for node in file.nodes.values()),
        asks=any(node.ASKS for node in file.nodes.values()),
        _ways=found,
    )
