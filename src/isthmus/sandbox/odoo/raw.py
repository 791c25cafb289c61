"""Raw values of any field (stored, computed, related, mirrored), and sorting by them as PostgreSQL does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .database import Row
from .environment import Env
from .errors import UserError
from .schema import Field

Getter = Callable[[Row], Any]
_TERM = re.compile(
    r"^\s*(?P<field>\w+)(?:\.(?P<path>\w+))?(?:\s+(?P<dir>asc|desc))?(?:\s+nulls\s+(?P<nulls>first|last))?\s*$", re.I
)


def getter(env: Env, field: Field) -> Getter:
    """Return a function from a row to the field's raw value: None when empty, an id, a tuple of ids for x2many."""
    compute = env.behaviour(field.model).computed.get(field.name)
    if compute is not None:
        worked_out = compute
        return lambda row: worked_out(env, row)
    if field.name == "display_name":
        return lambda row: display_name(env, field.model, row)
    if field.related:
        return _related(env, field)
    if field.type == "one2many":
        return _mirror(env, field)
    name = field.name
    if field.type == "many2many":
        return _many2many(env, field)
    if field.translate:
        lang = env.lang
        return lambda row: _translation(row.get(name), lang)
    if field.company_dependent:
        company = str(env.company)
        return lambda row: (row.get(name) or {}).get(company)
    return lambda row: row.get(name)


def _translation(value: Any, lang: str) -> Any:
    if not isinstance(value, dict):
        return value
    return value.get(lang, value.get("en_US"))


def _related(env: Env, field: Field) -> Getter:
    first, _, rest = field.related.partition(".")
    link = env.model(field.model).fields[first]
    if not rest:
        return getter(env, link)
    target = env.model(link.relation)
    names = rest.split(".")
    last = target.fields[names[0]] if len(names) == 1 else None
    step = getter(env, link)
    rows = env.database.table(link.relation)
    if last is not None:
        final = getter(env, last)

        def value(row: Row) -> Any:
            reached = rows.rows.get(step(row))
            return None if reached is None else final(reached)

        return value

    def walk(row: Row) -> Any:
        model, current = link.relation, env.row(link.relation, step(row))
        for name in names:
            if current is None:
                return None
            inner = env.model(model).fields[name]
            found = getter(env, inner)(current)
            if inner.type != "many2one" or name == names[-1]:
                return found
            model, current = inner.relation, env.row(inner.relation, found)
        return None

    return walk


def active_test(env: Env, field: Field) -> bool:
    """Say whether reading this x2many leaves out archived records."""
    asked = field.description.get("context", {}).get("active_test")
    return bool(env.context.get("active_test", True) if asked is None else asked)


def _mirror(env: Env, field: Field) -> Getter:
    table = env.database.table(field.relation)
    column = field.relation_field
    target = env.model(field.relation)
    only_active = "active" in target.fields and (
        active_test(env, field) or any(leaf[0] == "active" for leaf in _domain_of(field))
    )

    def ids(row: Row) -> tuple[int, ...]:
        found = table.having(column, (row["id"],))
        if found is None:
            owner = getter(env, target.fields[column])
            found = [i for i, other in table.rows.items() if owner(other) == row["id"]]
        if only_active:
            found = [i for i in found if table.rows[i].get("active")]
        return ordered(env, field.relation, found)

    return ids


def _domain_of(field: Field) -> list[Any]:
    domain = field.description.get("domain")
    return domain if isinstance(domain, list) else []


def _many2many(env: Env, field: Field) -> Getter:
    table = env.database.table(field.relation)
    only_active = "active" in env.model(field.relation).fields and active_test(env, field)

    def ids(row: Row) -> tuple[int, ...]:
        found = row.get(field.name) or ()
        if not found:
            return ()
        rows = table.rows
        kept = [i for i in found if i in rows and (not only_active or rows[i].get("active"))]
        return ordered(env, field.relation, kept)

    return ids


def ordered(env: Env, model: str, ids: Sequence[int]) -> tuple[int, ...]:
    """Return ids in the model's own order."""
    if len(ids) < 2:
        return tuple(ids)
    return tuple(sort_ids(env, model, ids, ""))


def display_name(env: Env, model: str, row: Row) -> str:
    """Return the record's name for people, in the call's language."""
    key = (model, row["id"])
    known = env.names.get(key)
    if known is None:
        known = env.behaviour(model).display_name(env, row)
        if known is None:
            field = env.model(model).fields[env.model(model).rec_name]
            value = getter(env, field)(row)
            if field.type == "many2one":
                target = env.row(field.relation, value)
                known = display_name(env, field.relation, target) if target else ""
            else:
                known = f"{model},{row['id']}" if value is None else str(value)
        env.names[key] = known
    return known


def _truth(value: Getter) -> Getter:
    return lambda row: bool(value(row))


def _terms(env: Env, model: str, order: str, seen: frozenset[str]) -> list[tuple[Getter, bool, bool]]:
    """Return (value of a row, descending, empties last) per sort key."""
    terms: list[tuple[Getter, bool, bool]] = []
    fields = env.model(model).fields
    for part in order.split(","):
        match = _TERM.match(part)
        if match is None:
            raise UserError(
                f'Invalid "order" specified ({order}). A valid "order" specification is a comma-separated list of '
                "valid field names (optionally followed by asc/desc for the direction)"
            )
        name = match["field"]
        descending = (match["dir"] or "").lower() == "desc"
        empties_last = {"first": False, "last": True}.get((match["nulls"] or "").lower(), not descending)
        field = fields.get(name)
        if field is None and name == "id":
            terms.append((_row_id, descending, empties_last))
            continue
        if field is None:
            raise ValueError(f"Invalid field {name!r} on model {model!r}")
        value = getter(env, field)
        if field.type == "boolean":
            terms.append((_truth(value), descending, empties_last))
        elif field.type == "many2one" and match["path"] != "id":
            if str(field) not in seen:
                terms += _through(env, field.relation, value, descending, empties_last, seen | {str(field)})
        else:
            terms.append((value, descending, empties_last))
    return terms


def _row_id(row: Row) -> Any:
    return row["id"]


def _through(
    env: Env, relation: str, link: Getter, descending: bool, empties_last: bool, seen: frozenset[str]
) -> list[tuple[Getter, bool, bool]]:
    table = env.database.table(relation)

    def follow(key: Getter) -> Getter:
        def value(row: Row) -> Any:
            target = table.rows.get(link(row))
            return None if target is None else key(target)

        return value

    return [
        (follow(key), inner != descending, empties_last)
        for key, inner, _ in _terms(env, relation, env.model(relation).order, seen)
    ]


def sort_rows(env: Env, model: str, rows: Iterable[Row], order: str) -> list[Row]:
    """Return rows in the given order, or the model's own when it is empty."""
    result = list(rows)
    for key, descending, empties_last in reversed(_terms(env, model, order or env.model(model).order, frozenset())):
        empty_first = empties_last == descending

        def ranked(row: Row, key: Getter = key, empty_first: bool = empty_first) -> tuple[bool, Any]:
            value = key(row)
            if value is None:
                return (not empty_first, "")
            return (empty_first, value)

        result.sort(key=ranked, reverse=descending)
    return result


def sort_ids(env: Env, model: str, ids: Iterable[int], order: str) -> list[int]:
    """Return ids of existing records in the given order, or the model's own when it is empty."""
    rows = env.database.table(model).rows
    return [row["id"] for row in sort_rows(env, model, (rows[i] for i in ids), order)]
