"""Looking at what a client wants written, before anything is: fields, references, rules, duplicates, ownership."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from isthmus.mapping.problem import Problem, show
from isthmus.mapping.rules import check_rules
from isthmus.model.canonical import Ref, Value
from isthmus.model.policy import Rule, other
from isthmus.operate.canonical import reading
from isthmus.operate.canonical.place import Standing, refused, taken
from isthmus.operate.canonical.values import decoded
from isthmus.sync.match import key_forms, strong_keys
from isthmus.sync.merge import is_empty, policy_of, same
from isthmus.sync.references import unresolved


async def for_create(at: Standing, given: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, Any], list[str]]:
    """The values of a new record, its payload and remarks; InvalidRecord lists every problem at once."""
    mapping, canonical = at.here.mapping, at.entity.canonical
    values, problems = decoded(canonical, given, mapping.writable)
    problems += [_unwritable(at, name, value) for name, value in values.items() if name not in mapping.writable]
    told = {p.field for p in problems}
    problems += [
        Problem(name, "it is missing, and every new record needs it")
        for name, field in canonical.fields.items()
        if field.required and name in mapping.writable and name not in told and is_empty(values.get(name))
    ]
    values = {n: v for n, v in values.items() if n in mapping.writable and not is_empty(v)}
    problems += await _strangers(at, values, values)
    full = _whole({**dict.fromkeys(mapping.readable | mapping.writable), **values}, at)
    problems += check_rules(at.entity.rules, full, at.here.side) + check_rules(at.entity.rules, full, at.there.side)
    result = mapping.write(values, values.keys(), None)
    problems += _unsaid(problems, result.problems)
    _raise_blocking(at, problems, f"a new {at.entity.name}")
    return values, dict(result.values), [*_remarks(problems), *_outlook(at, values)]


async def for_update(
    at: Standing, key: str, given: Mapping[str, Any], now: Mapping[str, Value], raw: Mapping[str, Any]
) -> tuple[dict[str, Value], dict[str, Any], list[str]]:
    """The fields that change, their payload and remarks; what a client repeats unchanged is no change.

    Only what the client gives can block: an old fault of another field is a remark.
    """
    mapping = at.here.mapping
    values, problems = decoded(at.entity.canonical, given, mapping.writable)
    changed = {n: v for n, v in values.items() if not same(now.get(n), v)}
    problems += [_unwritable(at, name, value) for name, value in changed.items() if name not in mapping.writable]
    changed = {n: v for n, v in changed.items() if n in mapping.writable}
    problems += [p for p in (_elsewhere(at, name, value) for name, value in changed.items()) if p is not None]
    required = [n for n, f in at.entity.canonical.fields.items() if f.required and n in changed]
    problems += [Problem(n, "it cannot be emptied") for n in required if is_empty(changed[n])]
    problems += await _strangers(at, changed, changed)
    full = _whole({**dict.fromkeys(mapping.readable | mapping.writable), **now, **changed}, at)
    found = check_rules(at.entity.rules, full, at.here.side) + check_rules(at.entity.rules, full, at.there.side)
    problems += [p if p.field in changed else Problem(p.field, p.message, "warn", p.shown) for p in found]
    result = mapping.write({**now, **changed}, changed.keys(), raw)
    problems += _unsaid(problems, result.problems)
    _raise_blocking(at, problems, at.name(key))
    payload = {path: value for path, value in result.values.items() if raw.get(path) != value}
    return changed, payload, _remarks(problems)


async def no_twin(at: Standing, values: Mapping[str, Value]) -> None:
    """Raises Conflicted when a record of the client's side carries one of the strong keys already."""
    described = {key.field: key for key in at.entity.canonical.match}
    for name, value in strong_keys(at.entity.canonical, values).items():
        if name not in at.here.mapping.key_paths:
            continue
        forms = sorted(key_forms(described[name], values))
        twins = await reading.holding(at, name, forms, {name: str(values[name])})
        if twins:
            keys = ", ".join(sorted(t.key for t in twins))
            raise taken(
                f"creating a {at.entity.name} in {at.here.connection}",
                key=twins[0].key,
                answered=f"{name} {value} is that of {at.entity.name} {keys}",
                hint=f"Change that one: PUT /api/v1/{at.resource}/{twins[0].key}. Or give another {name}.",
            )


def locks(at: Standing, values: Mapping[str, Value]) -> list[str]:
    """What no two requests may create at once: every strong key, in comparable form."""
    found = strong_keys(at.entity.canonical, values)
    return [f"client:{at.here.connection_id}:{at.here.entity}:{name}:{value}" for name, value in found.items()]


def _unwritable(at: Standing, name: str, value: Any) -> Problem:
    known = ", ".join(sorted(at.here.mapping.writable))
    return Problem(name, f"it cannot be written in {at.here.connection}; what can be: {known}", "block", show(value))


def _elsewhere(at: Standing, name: str, value: Any) -> Problem | None:
    """A field that the other side owns strictly would be put back."""
    policy = policy_of(at.entity.canonical, at.entity.policy, name)
    owner = other(at.here.side)
    if not policy.strict or policy.rule is not (Rule.LEFT if owner == "left" else Rule.RIGHT):
        return None
    return Problem(
        name, f"it belongs to {at.there.connection}: written here it would be put back", "block", show(value)
    )


async def _strangers(at: Standing, values: Mapping[str, Value], fields: Collection[str]) -> list[Problem]:
    """References to records that the client's system does not have."""
    wanted: dict[str, list[str]] = {}
    for ref in unresolved(values, fields):
        wanted.setdefault(ref.entity, []).append(ref.key)
    out: list[Problem] = []
    for entity, keys in wanted.items():
        gone = await reading.missing(at, entity, keys)
        lost = set(keys if gone is None else gone)
        why = f"the pair {at.pair.name} has no {entity}" if gone is None else f"{at.here.connection} has no {entity}"
        for place, key in _places(values, entity):
            if key in lost:
                out.append(Problem(place, why if gone is None else f"{why} {key}", "block", key))
    return out


def _places(values: Mapping[str, Value], entity: str) -> list[tuple[str, str]]:
    """Where references to an Entity stand, and their keys."""
    out: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Ref) and value.entity == entity:
            out.append((name, value.key))
        if isinstance(value, list):
            for n, row in enumerate(value):
                if isinstance(row, dict):
                    found = [(p, v) for p, v in row.items() if isinstance(v, Ref) and v.entity == entity]
                    out += [(f"{name}[{n}].{part}", ref.key) for part, ref in found]
    return out


def _whole(values: Mapping[str, Value], at: Standing) -> dict[str, Value]:
    """The values with every part of every row, as rules look at them."""
    out = dict(values)
    for name, field in at.entity.canonical.fields.items():
        rows = out.get(name)
        if field.items and isinstance(rows, list):
            out[name] = [{**dict.fromkeys(field.items), **row} for row in rows if isinstance(row, dict)]
    return out


def _unsaid(told: list[Problem], more: list[Problem]) -> list[Problem]:
    """Problems of fields of which nothing blocking was said yet: one sentence for each fault."""
    fields = {p.field for p in told if p.severity == "block"}
    return [p for p in more if p.severity != "block" or p.field not in fields]


def _raise_blocking(at: Standing, problems: list[Problem], what: str) -> None:
    blocking = [p for p in problems if p.severity == "block"]
    if blocking:
        raise refused(at, blocking, what)


def _remarks(problems: list[Problem]) -> list[str]:
    return list(dict.fromkeys(f"{p.field}: {p.message}" for p in problems if p.severity != "block"))


def _outlook(at: Standing, values: Mapping[str, Value]) -> list[str]:
    """Why a new record would stay on this side."""
    out: list[str] = []
    policy, side = at.entity.policy, at.there.side
    if not (policy.create_left if side == "left" else policy.create_right):
        out.append(f"the pair {at.pair.name} makes no new {at.entity.name} in {at.there.connection}: it stays here")
    if at.state != "active":
        out.append(f"the pair {at.pair.name} is {at.state}: it reaches {at.there.connection} once that is over")
    when = at.there.create_when
    if when is not None and when(dict(values)) is not True:
        out.append(f"it reaches {at.there.connection} once {when.source}")
    return out
