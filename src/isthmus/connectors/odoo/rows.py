"""Child records written with their root as rows: which are new, changed or gone, and the commands Odoo takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.fields import OdooModel
from isthmus.connectors.odoo.paths import ID, parse

Row = Mapping[str, Any]


@dataclass(slots=True)
class RowChanges:
    """What a write does to the child records of one field: values by path at first, by field once resolved.

    `before` are the ids that were there when it was planned, `expect` what the changed and removed ones held.
    """

    new: list[dict[str, Any]] = field(default_factory=list)
    changed: dict[int, dict[str, Any]] = field(default_factory=dict)
    removed: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    expect: dict[int, dict[str, Any]] = field(default_factory=dict)


def is_rows(path: str) -> bool:
    """Whether a path stands for a list of child records."""
    return not path.startswith("@") and bool(parse(path).rows)


def changes(told: Any, now: Any) -> RowChanges:
    """What brings the rows `now` to the rows `told`; rows are the same by their id, values the same are left out."""
    wanted, there = _rows(told), {int(row[ID]): row for row in _rows(now) if row.get(ID)}
    out = RowChanges(before=sorted(there))
    kept: set[int] = set()
    for row in wanted:
        known = there.get(int(row[ID])) if row.get(ID) else None
        if known is None:
            out.new.append({path: value for path, value in row.items() if path != ID and value is not None})
            continue
        kept.add(int(row[ID]))
        moved = {path: value for path, value in row.items() if path != ID and known.get(path) != value}
        if moved:
            out.changed[int(row[ID])] = moved
    out.removed = sorted(there.keys() - kept)
    for one in (*out.changed, *out.removed):
        out.expect[one] = {path: value for path, value in there[one].items() if "." not in path and path != ID}
    return out


def commands(model: OdooModel, rows: RowChanges) -> list[list[Any]]:
    """The commands of an x2many field for resolved changes."""

    def encoded(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: codec.encode(model.get(name), value) for name, value in values.items()}

    return [
        *([1, one, encoded(values)] for one, values in rows.changed.items()),
        *([2, one, 0] for one in rows.removed),
        *([0, 0, encoded(values)] for values in rows.new),
    ]


def expected(model: OdooModel, rows: RowChanges) -> dict[str, dict[str, Any]]:
    """What the guarded write compares: the raw values of each row to be changed or removed, by its id as text."""
    return {
        str(one): {
            name: codec.ids(spec, value) if (spec := model.get(name)).many else codec.encode(spec, value)
            for name, value in values.items()
            if not model.get(name).computed or model.get(name).stored
        }
        for one, values in rows.expect.items()
    }


def same_rows(current: Sequence[Any], wanted: Sequence[Any]) -> bool:
    """Whether two lists of rows say the same, in any order."""

    def by_id(rows: Sequence[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
        return sorted((str(row.get(ID)), sorted((k, str(v)) for k, v in row.items())) for row in rows)

    return by_id(current) == by_id(wanted)


def _rows(value: Any) -> list[Row]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list | tuple) else []
