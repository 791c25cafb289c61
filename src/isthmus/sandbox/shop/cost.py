"""What a query costs and who may still pay: points for every object it can return, in a bucket that refills.

An object costs 1, scalars and enums nothing, a mutation 10. A connection costs its children times its size, where
large sizes weigh less (measured answers of Shopify: 250 of them count like 12).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
    value_from_ast_untyped,
)

from .settings import Switches

MUTATION = 10
_FREE = {"pageInfo", "edges", "nodes", "node", "userErrors", "orderCancelUserErrors"}


class Meter:
    """Counts what one document may cost at most."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = dict(variables)
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def requested(self, operation: OperationDefinitionNode) -> int:
        """The points that must be there before it runs."""
        mutating = operation.operation is OperationType.MUTATION
        root = self._schema.mutation_type if mutating else self._schema.query_type
        if mutating:
            return max(MUTATION, MUTATION * len(operation.selection_set.selections))
        return max(1, round(self._selected(operation.selection_set, root)))

    def _selected(self, chosen: SelectionSetNode | None, parent: Any) -> float:
        total = 0.0
        for node in chosen.selections if chosen else ():
            if isinstance(node, FieldNode):
                total += self._field(node, parent)
            elif isinstance(node, InlineFragmentNode):
                kind = self._schema.type_map[node.type_condition.name.value] if node.type_condition else parent
                total += self._selected(node.selection_set, kind)
            elif isinstance(node, FragmentSpreadNode):
                spread = self._fragments[node.name.value]
                total += self._selected(spread.selection_set, self._schema.type_map[spread.type_condition.name.value])
        return total

    def _field(self, node: FieldNode, parent: Any) -> float:
        name = node.name.value
        fields = getattr(parent, "fields", {})
        if name.startswith("__") or name not in fields:
            return 0.0
        kind = get_named_type(fields[name].type)
        if not is_composite_type(kind):
            return 0.0
        children = self._selected(node.selection_set, kind)
        if isinstance(kind, GraphQLObjectType) and kind.name.endswith("Connection"):
            return _sized(self._argument(node, "first") or self._argument(node, "last") or 1) * max(children, 1.0)
        if name == "nodes" and parent is self._schema.query_type:
            return len(self._argument(node, "ids") or ()) * (1 + children)
        return children + (1.0 if name not in _FREE or name in ("node", "nodes") else 0.0)

    def _argument(self, node: FieldNode, name: str) -> Any:
        for argument in node.arguments or ():
            if argument.name.value == name:
                return value_from_ast_untyped(argument.value, self._variables)
        return None


def _sized(number: Any) -> float:
    size = number if isinstance(number, int) and number > 0 else 1
    return min(float(size), 1 + 2 * math.log(size))


def actual(data: Any, requested: int, *, mutating: bool) -> int:
    """What an answer did cost: every object in it, and never more than was asked for."""
    if mutating:
        return requested
    return min(requested, max(1, _objects(data) - 1))


def _objects(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + sum(_objects(inner) for name, inner in value.items() if name != "pageInfo")
    return sum(map(_objects, value)) if isinstance(value, list) else 0


class Bucket:
    """The points of the access token."""

    def __init__(self, switches: Switches, clock: Callable[[], float] = time.monotonic) -> None:
        self._switches = switches
        self._clock = clock
        self.fill()

    def fill(self) -> None:
        """Make it full."""
        self._left, self._at = self._switches.bucket, self._clock()

    def holds(self, points: int) -> bool:
        """Whether a query of so many points may run now."""
        self._refill()
        return not self._switches.throttle or self._left >= points

    def pay(self, points: int) -> None:
        """Take what a query did cost."""
        self._refill()
        self._left = max(0.0, self._left - points)

    def status(self) -> dict[str, float]:
        """As `extensions.cost.throttleStatus` tells it."""
        self._refill()
        return {
            "maximumAvailable": self._switches.bucket,
            "currentlyAvailable": float(math.floor(self._left)),
            "restoreRate": self._switches.restore,
        }

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._switches.bucket, self._left + (now - self._at) * self._switches.restore)
        self._at = now
