"""Values on their way out: what `read` answers for every type of field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from . import rights
from .database import Row
from .environment import Env
from .raw import Getter, display_name, getter
from .schema import NUMBERS, X2MANY, Field


def formatter(env: Env, field: Field, load: str | None) -> Getter:
    """Return a function from a row to the value `read` answers: false for empty, `[id, name]` for a many2one."""
    raw = getter(env, field)
    kind = field.type
    if kind == "boolean":
        return lambda row: bool(raw(row))
    if kind in NUMBERS:
        zero: int | float = 0 if kind == "integer" else 0.0
        return lambda row: raw(row) or zero
    if kind == "many2one_reference":
        return lambda row: raw(row) or False
    if kind == "datetime":
        return lambda row: (raw(row) or "")[:19] or False
    if kind in X2MANY:
        return lambda row: list(raw(row) or ())
    if kind == "many2one":
        if load != "_classic_read":
            return lambda row: raw(row) or False
        return _pair(env, field, raw)
    return lambda row: False if (value := raw(row)) is None else value


def _pair(env: Env, field: Field, raw: Getter) -> Getter:
    rows = env.database.table(field.relation)

    def pair(row: Row) -> Any:
        target_id = raw(row)
        if not target_id:
            return False
        target = rows.rows.get(target_id)
        return False if target is None else [target_id, display_name(env, field.relation, target)]

    return pair


def read_rows(
    env: Env, model: str, rows: Iterable[Row], names: Sequence[str] | None, load: str | None
) -> list[dict[str, Any]]:
    """Return the named fields (all of them for None or empty) of rows already checked, in their order."""
    fields = env.model(model).fields
    wanted: dict[str, Getter] = {}
    for name in names or fields:
        if name == "id":
            continue
        if name not in fields:
            raise ValueError(f"Invalid field {name!r} on {model!r}")
        wanted[name] = formatter(env, fields[name], load)
    columns = list(wanted.items())
    return [{"id": row["id"], **{name: value(row) for name, value in columns}} for row in rows]


def read(
    env: Env, model: str, ids: Iterable[int], names: Sequence[str] | None, load: str | None
) -> list[dict[str, Any]]:
    """Read records by id, in the order asked; an id that does not exist is silently left out."""
    rights.check(env, model, "read")
    rows = [row for i in ids if (row := env.database.row(model, i)) is not None]
    rights.check_rows(env, model, rows, "read")
    return read_rows(env, model, rows, names, load)
