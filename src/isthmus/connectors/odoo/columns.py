"""Rows for `load()`: which columns may share a call, and cells in the form an import takes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.fields import OdooField, OdooModel
from isthmus.connectors.odoo.paths import Step
from isthmus.connectors.odoo.writing import Parts, Typed, child_defaults

OFTEN = 4
"""How many rows must refer to each record on average before asking for its External ID pays."""


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
    parts: Parts,
    model: OdooModel,
    filled: Collection[str],
    children: Mapping[Step, tuple[OdooModel, Collection[str]]],
    rows: Mapping[str, tuple[OdooModel, Collection[str]]] | None = None,
) -> Layout:
    """The layout of one record; `filled` are fields with a default, likewise per child step and field of rows."""
    return Layout(
        frozenset(name for name in parts.own if _fills_itself(model.get(name), filled)),
        frozenset(
            (str(step), name)
            for step, values in parts.children.items()
            for name in values
            if _fills_itself(children[step][0].get(name), children[step][1])
        )
        | frozenset(
            (name, one)
            for name, told in parts.rows.items()
            for one in whole(told.new)
            if rows is not None and _fills_itself(rows[name][0].get(one), rows[name][1])
        ),
    )


def whole(rows: Sequence[Typed]) -> list[str]:
    """The fields that every row has."""
    return [name for name in (rows[0] if rows else ()) if all(name in row for row in rows)]


@dataclass(frozen=True, slots=True)
class Late:
    """What one row still needs after its load: `wanted` has to stand there, else `written` is written."""

    wanted: Typed
    written: Typed


def deferred(rows: Sequence[Typed], model: OdooModel, filled: Collection[str]) -> list[Late]:
    """What has to be written after the load: fields that Odoo fills by itself, where not every row has them.

    In one load all rows share their columns, and an empty cell would keep Odoo from filling the field. What else Odoo
    fills by itself is written again with it: a unit that is written alone brings the price of the list back.
    """
    everywhere = set(whole(rows))
    own = {n for row in rows for n in row if _fills_itself(model.get(n), filled)}
    out = []
    for row in rows:
        late = sorted((own - everywhere) & row.keys())
        everything = {name: row[name] for name in sorted(own & row.keys())}
        out.append(Late({name: row.pop(name) for name in late}, everything if late else {}))
    return out


Given = Mapping[str, Mapping[int, str]]
"""By model: the External ID of a record."""


def often_meant(
    items: Sequence[Parts], model: OdooModel, children: Mapping[Step, OdooModel]
) -> dict[str, frozenset[int]]:
    """By model, the records that many of these rows refer to: their External IDs are worth knowing."""
    meant: dict[str, Counter[int]] = {}
    for parts in items:
        inner = ((children[step], values) for step, values in parts.children.items())
        for described, values in ((model, parts.own), *inner):
            for name, value in values.items():
                spec = described.get(name)
                if spec.refers and not spec.many and value:
                    meant.setdefault(spec.relation, Counter())[_id(spec, value)] += 1
    return {name: frozenset(counts) for name, counts in meant.items() if counts.total() >= OFTEN * max(len(counts), 3)}


def sheet(
    items: Sequence[tuple[int, str, Parts]],
    model: OdooModel,
    children: Mapping[Step, OdooModel],
    given: Given | None = None,
    rows: Mapping[str, OdooModel] | None = None,
) -> Sheet:
    """The call that creates `items`: their index, External ID and parts; children and rows follow in their rows.

    A column of references names records by External ID where `given` has it for all of them, otherwise by id.
    """
    own = sorted({name for _, _, parts in items for name in parts.own})
    inner: dict[str, list[str]] = {}
    for _, _, parts in items:
        for step, values in parts.children.items():
            names = inner.setdefault(step.field, [])
            names.extend(n for n in (*child_defaults(step, ""), *values) if n not in names)
        for name, told in parts.rows.items():
            names = inner.setdefault(name, [])
            names.extend(dict.fromkeys(n for row in told.new for n in row if n not in names))
    of_field = {**{step.field: model_of for step, model_of in children.items()}, **(rows or {})}
    named = _named(items, model, of_field, given or {})
    columns = ["id", *(_column(model.get(name), named) for name in own)]
    for name, names in inner.items():
        columns.extend(f"{name}/{_column(of_field[name].get(one), named)}" for one in names)
    out = Sheet(columns)
    for index, xid, parts in items:
        head = [xid, *(_cell(model.get(name), parts.own.get(name), named) for name in own)]
        queues: dict[str, list[Typed]] = {
            name: [{**v, **child_defaults(s, "")} for s, v in parts.children.items() if s.field == name]
            + (parts.rows[name].new if name in parts.rows else [])
            for name in inner
        }
        for n in range(max([1, *(len(queue) for queue in queues.values())])):
            row = list(head) if n == 0 else [""] * len(head)
            for name, names in inner.items():
                row.extend(_child_cells(queues[name], n, names, of_field[name], named))
            out.rows.append(row)
            out.owner.append(index)
    return out


def _named(
    items: Sequence[tuple[int, str, Parts]], model: OdooModel, of_field: Mapping[str, OdooModel], given: Given
) -> dict[int, Mapping[int, str]]:
    """The reference fields (by identity) all of whose records have a known External ID, with these."""
    whole: dict[int, bool] = {}
    specs: dict[int, OdooField] = {}
    for _, _, parts in items:
        inner = ((of_field[step.field], values) for step, values in parts.children.items())
        for described, values in ((model, parts.own), *inner):
            for name, value in values.items():
                spec = described.get(name)
                if spec.refers and not spec.many and value and whole.get(id(spec), True):
                    specs[id(spec)] = spec
                    whole[id(spec)] = _id(spec, value) in given.get(spec.relation, {})
    return {one: given[specs[one].relation] for one, all_known in whole.items() if all_known}


def _child_cells(
    queue: Sequence[Typed],
    n: int,
    names: Sequence[str],
    model: OdooModel,
    named: Mapping[int, Mapping[int, str]],
) -> list[Any]:
    if n >= len(queue):
        return [""] * len(names)
    return [_cell(model.get(name), queue[n].get(name), named) for name in names]


def _fills_itself(spec: OdooField, filled: Collection[str]) -> bool:
    return spec.name in filled or spec.computed or spec.type == "boolean"


def _column(spec: OdooField, named: Mapping[int, Mapping[int, str]]) -> str:
    if not spec.refers:
        return spec.name
    return f"{spec.name}/id" if id(spec) in named else f"{spec.name}/.id"


def _id(spec: OdooField, value: Any) -> int:
    return int(codec.encode(spec, value))


def _cell(spec: OdooField, value: Any, named: Mapping[int, Mapping[int, str]]) -> Any:
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
    if id(spec) in named:
        return named[id(spec)][int(raw)]
    return raw if isinstance(raw, str | Decimal) else str(raw)
