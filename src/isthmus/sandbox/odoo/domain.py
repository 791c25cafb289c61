"""The search language: a domain in prefix notation becomes a test on rows, and where possible a short list of ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any

from . import raw, rights
from .database import Row
from .environment import Env
from .matching import FALSY, INEQUALITY, like_regex, number, stamp
from .schema import NUMBERS, RELATIONAL, X2MANY, Field
from .values import DATETIME_FORMAT

Test = Callable[[Row], bool]
Ids = set[int] | None
"""Ids that contain every match; None means any row may match."""
Compiled = tuple[Test, Ids]

_NEGATIVE = {
    "!=": "=",
    "not in": "in",
    "not like": "like",
    "not ilike": "ilike",
    "not =like": "=like",
    "not =ilike": "=ilike",
    "not any": "any",
}
_OPERATORS = frozenset(_NEGATIVE) | {
    *("=", "in", "like", "ilike", "=like", "=ilike", "any"),
    *("<", ">", "<=", ">=", "=?", "child_of", "parent_of", "<>", "=="),
}
_HIERARCHY = {"product.category": "parent_id", "uom.uom": "relative_uom_id"}


def compile_domain(env: Env, model: str, domain: Any) -> Compiled:
    """Return the test a domain stands for. Raises what Odoo raises for one it does not understand."""
    if isinstance(domain, bool):
        return (lambda row: domain), None
    if not isinstance(domain, list | tuple):
        raise TypeError(f"Domain() invalid argument type for domain: {domain!r}")
    stack: list[Compiled] = []
    for item in reversed(domain):
        if item == "!":
            if not stack:
                raise ValueError(f"Domain() malformed domain {domain!r}")
            stack.append(_negated(stack.pop()))
        elif item in ("&", "|"):
            if len(stack) < 2:
                raise ValueError(f"Domain() malformed domain {domain!r}")
            first, second = stack.pop(), stack.pop()
            stack.append(_both(first, second) if item == "&" else _either(first, second))
        elif isinstance(item, list | tuple) and len(item) == 3 and isinstance(item[1], str):
            stack.append(_leaf(env, model, item[0], item[1], item[2]))
        else:
            raise ValueError(f"Domain() invalid item in domain: {item!r}")
    result: Compiled = (_always, None)
    for part in reversed(stack):
        result = part if result[0] is _always else _both(result, part)
    return result


def mentions(domain: Any, name: str) -> bool:
    """Say whether a condition of the domain is on this very field."""
    return any(isinstance(item, list | tuple) and len(item) == 3 and item[0] == name for item in domain or ())


def search(
    env: Env,
    model: str,
    domain: Any,
    offset: int = 0,
    limit: int | None = None,
    order: str | None = None,
) -> list[int]:
    """Return the ids the user may see that match, in order; archived ones only when asked for."""
    rights.check(env, model, "read")
    return search_ids(env, model, domain, offset, limit, order)


def search_ids(
    env: Env,
    model: str,
    domain: Any,
    offset: int = 0,
    limit: int | None = None,
    order: str | None = None,
) -> list[int]:
    """Search without the check on the model as a whole (record rules still hold)."""
    test, ids = compile_domain(env, model, domain)
    rows = env.database.table(model).rows
    fields = env.model(model).fields
    if "active" in fields and env.context.get("active_test", True) and not mentions(domain, "active"):
        active = raw.getter(env, fields["active"])
        given = test
        test = lambda row: bool(active(row)) and given(row)  # noqa: E731 - one expression wraps the other
    pool: Iterable[Row] = rows.values() if ids is None else [rows[i] for i in sorted(ids) if i in rows]
    found = [row for row in pool if test(row)]
    if not env.su:
        found = [row for row in found if rights.visible(env, model, row)]
    order = order or env.model(model).order
    if order.strip() not in ("id", "id asc", "id ASC"):
        found = raw.sort_rows(env, model, found, order)
    end = None if not limit else offset + limit
    return [row["id"] for row in found[offset or 0 : end]]


def _always(row: Row) -> bool:
    return True


def _never(row: Row) -> bool:
    return False


def _negated(part: Compiled) -> Compiled:
    test = part[0]
    return (lambda row: not test(row)), None


def _both(first: Compiled, second: Compiled) -> Compiled:
    (test_a, ids_a), (test_b, ids_b) = first, second
    ids = ids_b if ids_a is None else ids_a if ids_b is None else ids_a & ids_b
    return (lambda row: test_a(row) and test_b(row)), ids


def _either(first: Compiled, second: Compiled) -> Compiled:
    (test_a, ids_a), (test_b, ids_b) = first, second
    ids = None if ids_a is None or ids_b is None else ids_a | ids_b
    return (lambda row: test_a(row) or test_b(row)), ids


def _complain(message: str, path: Any, operator: str, value: Any) -> ValueError:
    return ValueError(f"{message} in condition ({path!r}, {operator!r}, {value!r})")


def _leaf(env: Env, model: str, path: Any, operator: str, value: Any) -> Compiled:
    if isinstance(path, int) and isinstance(value, int):
        return (_always if (path == value) == (operator == "=") else _never), None
    operator = operator.lower()
    if operator not in _OPERATORS:
        raise _complain("Invalid operator", path, operator, value)
    if not isinstance(path, str) or not path:
        raise TypeError(f"Empty field name in condition ({path!r}, {operator!r}, {value!r})")
    value = False if value is None else value
    operator = {"<>": "!=", "==": "="}.get(operator, operator)
    name, _, rest = path.partition(".")
    field = env.model(model).fields.get(name)
    if field is None:
        raise _complain(f"Invalid field {model}.{name}", path, operator, value)
    if rest:
        if field.type not in RELATIONAL:
            raise _complain(f"Invalid field {model}.{path}", path, operator, value)
        return _any(env, field, [[rest, operator, value]])
    if operator == "=?":
        return (_always, None) if not value else _leaf(env, model, path, "=", value)
    if operator in ("child_of", "parent_of"):
        return _hierarchy(env, model, field, operator, value)
    if operator in _NEGATIVE:
        return _negated(_leaf(env, model, path, _NEGATIVE[operator], value))
    if name == "display_name":
        return _display_name(env, model, operator, value)
    if not field.searchable:
        raise ValueError(f"Cannot convert {field} to SQL because it is not stored")
    if operator == "any":
        return _any(env, field, value)
    if operator.endswith("like"):
        return _like(env, field, operator, value)
    if operator in INEQUALITY:
        return _compare(env, field, operator, value)
    values = list(value) if isinstance(value, list | tuple) else [value]
    if operator == "=" and not values:
        values = [False]
    return _in(env, field, values)


def _display_name(env: Env, model: str, operator: str, value: Any) -> Compiled:
    told = env.behaviour(model).search_display_name(env, operator, value)
    if told is None:
        if operator.endswith("like") and not value:
            return _always, None
        parts: list[Any] = []
        for name in env.model(model).names_searched:
            field = env.model(model).fields[name.partition(".")[0]]
            path = f"{name}.display_name" if field.type in RELATIONAL and "." not in name else name
            if field.type in NUMBERS and not operator.endswith("like"):
                continue
            parts.append([path, operator, value])
        told = ["|"] * (len(parts) - 1) + parts
    return compile_domain(env, model, told)


def _any(env: Env, field: Field, domain: Any) -> Compiled:
    if field.type not in RELATIONAL:
        raise ValueError(
            f"Cannot use 'any' with non-relational fields in condition ({field.name!r}, 'any', {domain!r})"
        )
    inner = env.sudo()
    if field.type == "many2one":
        inner = inner.with_context(active_test=False)
    elif "active_test" in field.description.get("context", {}):
        inner = inner.with_context(active_test=field.description["context"]["active_test"])
    targets = set(search_ids(inner, field.relation, domain, order="id"))
    return _pointing_at(env, field, targets)


def _pointing_at(env: Env, field: Field, targets: set[int]) -> Compiled:
    value = raw.getter(env.with_context(active_test=False) if field.type in X2MANY else env, field)
    if field.type in X2MANY:
        return (lambda row: not targets.isdisjoint(value(row))), None
    ids: Ids = None
    if field.column and not field.company_dependent:
        found = env.database.table(field.model).having(field.name, targets) if len(targets) < 5000 else None
        ids = None if found is None else set(found)
    return (lambda row: value(row) in targets), ids


def _in(env: Env, field: Field, values: list[Any]) -> Compiled:
    kind = field.type
    if not values:
        return _never, set()
    if field.name == "id":
        wanted = {v for v in values if isinstance(v, int) and not isinstance(v, bool)}
        return (lambda row: row["id"] in wanted), wanted
    empty = any(v is False or v is None for v in values)
    told = [v for v in values if v is not False and v is not None]
    if kind in RELATIONAL:
        return _relation_in(env, field, told, empty)
    value = raw.getter(env, field)
    if kind == "boolean":
        truths = {
            str(v).lower() in ("1", "true", "yes", "t", "y", "on") if isinstance(v, str) else bool(v) for v in values
        }
        return (lambda row: bool(value(row)) in truths), None
    if kind in ("datetime", "date"):
        width = 19 if kind == "datetime" else 10
        stamps = {stamp(v, kind)[0] for v in told}
        return (lambda row: empty if (v := value(row)) is None else v[:width] in stamps), None
    if kind in NUMBERS:
        numbers = {number(field, v) for v in told}
        empty = empty or 0 in numbers
        numbers |= {0} if empty else set()
        return (lambda row: empty if (v := value(row)) is None else v in numbers), None
    texts = {v if isinstance(v, str) else str(v) for v in told}
    if kind in FALSY and ("" in texts or empty):
        empty = True
        texts.add("")
    ids: Ids = None
    if not empty and field.column and not field.company_dependent and not (field.translate and env.lang != "en_US"):
        found = env.database.table(field.model).having(field.name, texts)
        ids = None if found is None else set(found)
    return (lambda row: empty if (v := value(row)) is None else v in texts), ids


def _relation_in(env: Env, field: Field, told: list[Any], empty: bool) -> Compiled:
    names = [v for v in told if isinstance(v, str)]
    targets = {v for v in told if isinstance(v, int)}
    if names:
        inner = env.sudo().with_context(active_test=False)
        targets |= set(search_ids(inner, field.relation, [["display_name", "in", names]], order="id"))
    pointing = _pointing_at(env, field, targets)
    if not empty:
        return pointing
    value = raw.getter(env.with_context(active_test=False), field)
    unset: Compiled = ((lambda row: not value(row)), None)
    return _either(pointing, unset) if targets else unset


def _compare(env: Env, field: Field, operator: str, value: Any) -> Compiled:
    kind = field.type
    holds = INEQUALITY[operator]
    if field.name == "id" or kind in RELATIONAL:
        if isinstance(value, str):
            raise TypeError(f"Inequality not supported for relational field using a string: {value!r}")
        read = raw.getter(env, field)
        return (lambda row: (v := read(row)) is not None and holds(v, value)), None
    read = raw.getter(env, field)
    if kind in ("datetime", "date"):
        if value is False:
            return _never, set()
        return _compare_stamp(env, field, read, operator, value)
    zero = FALSY.get(kind)
    if kind in NUMBERS:
        value = number(field, value or 0)
    elif zero is not None:
        value = value or zero
    empty = zero is not None and holds(zero, value)
    return (lambda row: empty if (v := read(row)) is None else holds(v, value)), None


def _compare_stamp(env: Env, field: Field, read: raw.Getter, operator: str, value: Any) -> Compiled:
    edge, day_only = stamp(value, field.type)
    width = 10
    if field.type == "datetime":
        width = 19
        if day_only and operator in (">", "<="):
            edge = datetime.combine(date.fromisoformat(edge[:10]) + timedelta(days=1), datetime.min.time()).strftime(
                DATETIME_FORMAT
            )
            operator = {">": ">=", "<=": "<"}[operator]
    holds = INEQUALITY[operator]
    ids: Ids = None
    if field.name == "write_date" and operator in (">", ">="):
        ids = set(env.database.table(field.model).changed_since(edge))
    return (lambda row: (v := read(row)) is not None and holds(v[:width], edge)), ids


def _like(env: Env, field: Field, operator: str, value: Any) -> Compiled:
    if field.type in RELATIONAL:
        return _any(env, field, [["display_name", operator, value]])
    read = raw.getter(env, field)
    exact, ignore_case = "=" in operator, operator.endswith("ilike")
    if not value:
        return ((lambda row: not read(row)), None) if exact else (_always, None)
    if exact and not isinstance(value, str):
        raise TypeError(f"The pattern to match must be a string in condition ({field.name!r}, {operator!r}, {value!r})")
    pattern = re.compile(like_regex(str(value)), re.S | (re.I if ignore_case else 0))
    match = pattern.fullmatch if exact else pattern.search
    return (lambda row: (v := read(row)) is not None and match(str(v)) is not None), None


def _hierarchy(env: Env, model: str, field: Field, operator: str, value: Any) -> Compiled:
    if value is False:
        return _never, set()
    if field.name != "id" and field.type not in RELATIONAL:
        raise ValueError(f"Cannot execute {operator} for {field}, works only for relational fields")
    relation = model if field.name == "id" else field.relation
    parent = _HIERARCHY.get(relation, "parent_id")
    if relation == model and field.name != "id":
        parent = field.name
    told = list(value) if isinstance(value, list | tuple) else [value]
    roots = {v for v in told if isinstance(v, int)}
    inner = env.sudo().with_context(active_test=False)
    for name in (v for v in told if isinstance(v, str)):
        roots |= set(search_ids(inner, relation, [["display_name", "ilike", name]], order="id"))
    family = (
        _descendants(env, relation, parent, roots)
        if operator == "child_of"
        else _ancestors(env, relation, parent, roots)
    )
    if relation == model and (field.name == "id" or field.type == "many2one"):
        return (lambda row: row["id"] in family), family
    return _pointing_at(env, field, family)


def _descendants(env: Env, model: str, parent: str, roots: set[int]) -> set[int]:
    table = env.database.table(model)
    family: set[int] = set()
    fresh = roots
    while fresh:
        family |= fresh
        below = table.having(parent, fresh)
        if below is None:
            below = [i for i, row in table.rows.items() if row.get(parent) in fresh]
        fresh = set(below) - family
    return family


def _ancestors(env: Env, model: str, parent: str, roots: set[int]) -> set[int]:
    family: set[int] = set()
    fresh = roots
    while fresh:
        family |= fresh
        fresh = {up for i in fresh if (up := (env.row(model, i) or {}).get(parent))} - family
    return family
