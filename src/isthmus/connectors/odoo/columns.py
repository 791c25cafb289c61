"""Rows for `load()`: which columns may share a call, and cells in the form an import takes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.fields import OdooField, OdooModel
from isthmus.connectors.odoo.paths import Step
from isthmus.connectors.odoo.writing import Parts, Typed, child_defaults


@dataclass(slots=True)
class Sheet:
    """One `load()` call: columns, rows, and which item each row belongs to."""

    columns: list[str]
    rows: list[list[Any]] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """What decides whether two records may share a call.

    An empty cell is not an absent one: it overrides defaults and stops computed fields. So records share a call
    when they agree on every column that Odoo would fill by itself; plain columns may stay empty.
    """

    strict: frozenset[str]
    child_strict: frozenset[tuple[str, str]]


def layout(
    parts: Parts, model: OdooModel, filled: Collection[str], children: Mapping[Step, tuple[OdooModel, Collection[str]]]
) -> Layout:
    """The layout of one record; `filled` are fields with a default, likewise per child step."""
    return Layout(
        frozenset(name for name in parts.own if _fills_itself(model.get(name), filled)),
        frozenset(
            (str(step), name)
            for step, values in parts.children.items()
            for name in values
            if _fills_itself(children[step][0].get(name), children[step][1])
        ),
    )


def sheet(items: Sequence[tuple[int, str, Parts]], model: OdooModel, children: Mapping[Step, OdooModel]) -> Sheet:
    """The call that creates `items`: their index, External ID and parts. Children follow in the root's rows."""
    own = sorted({name for _, _, parts in items for name in parts.own})
    inner: dict[str, list[str]] = {}
    for _, _, parts in items:
        for step, values in parts.children.items():
            names = inner.setdefault(step.field, [])
            names.extend(n for n in (*child_defaults(step, ""), *values) if n not in names)
    columns = ["id", *(_column(model.get(name)) for name in own)]
    of_field = {step.field: model_of for step, model_of in children.items()}
    for name, names in inner.items():
        columns.extend(f"{name}/{_column(of_field[name].get(one))}" for one in names)
    out = Sheet(columns)
    for index, xid, parts in items:
        head = [xid, *(_cell(model.get(name), parts.own.get(name)) for name in own)]
        queues = {name: [(s, v) for s, v in parts.children.items() if s.field == name] for name in inner}
        for n in range(max([1, *(len(queue) for queue in queues.values())])):
            row = list(head) if n == 0 else [""] * len(head)
            for name, names in inner.items():
                row.extend(_child_cells(queues[name], n, names, of_field[name]))
            out.rows.append(row)
            out.owner.append(index)
    return out


def _child_cells(
    queue: Sequence[tuple[Step, Typed]], n: int, names: Sequence[str], model: OdooModel
) -> list[Any]:  # fmt: skip
    if n >= len(queue):
        return [""] * len(names)
    step, values = queue[n]
    full = {**values, **child_defaults(step, "")}
    return [_cell(model.get(name), full.get(name)) for name in names]


def _fills_itself(spec: OdooField, filled: Collection[str]) -> bool:
    return spec.name in filled or spec.computed or spec.type == "boolean"


def _column(spec: OdooField) -> str:
    return f"{spec.name}/.id" if spec.refers else spec.name


def _cell(spec: OdooField, value: Any) -> Any:
    """A cell as `load` takes it: everything text but exact numbers; empty text for nothing."""
    if spec.many:
        return ",".join(str(one) for one in codec.ids(spec, value))
    if value is None:
        return ""
    raw = codec.encode(spec, value)
    if spec.type == "boolean":
        return "True" if raw else "False"
    if raw is False:
        return ""
    return raw if isinstance(raw, str | Decimal) else str(raw)
