"""Which models and fields of Odoo to watch, so that every change of a mapped value is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.odoo.grouped import Grouping, grouping
from isthmus.connectors.odoo.paths import parse, plain
from isthmus.sdk import SchemaDrift

Spec = Mapping[str, Mapping[str, Any]]
"""What `fields_get` tells of a model: field → {type, store, related, depends, relation, relation_field}."""

SPEC_ATTRIBUTES = ("type", "store", "readonly", "related", "depends", "relation", "relation_field")
X2MANY = ("one2many", "many2many")
_NEVER = ("message_", "activity_", "website_message_", "my_activity_", "rating_")
_STAMPS = ("id", "create_date", "create_uid", "write_date", "write_uid", "display_name", "__last_update")
_DEEPEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One model to watch for one Entity.

    `via` is the field of the watched model that holds the keys of the Entity's records, when the model is another
    one: a variant's template holds its variants. `up` is the field that leads from a child record to its root, when
    both are of the Entity's own model: a delivery address and its customer.
    """

    entity: str
    model: str
    fields: tuple[str, ...]
    via: str = ""
    up: str = ""


@dataclass(slots=True)
class _Plan:
    entity: str
    fields: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)
    up: str = ""

    def add(self, model: str, via: str, *names: str) -> None:
        self.fields.setdefault((model, via), {}).update(dict.fromkeys(names))


async def watches(entity: str, paths: Sequence[str], specs: Callable[[str], Awaitable[Spec]]) -> list[Watch]:
    """What to watch so that a change of any of these paths is told; without paths, of any plain stored field."""
    sums = grouping(entity)
    if sums is not None:
        return await _of_sums(entity, sums, paths, specs)
    own = await specs(entity)
    plan = _Plan(entity)
    wanted = plain(paths) or _plain_fields(own)
    for path in wanted:
        await _follow(plan, entity, own, path, specs, 0)
    plan.add(entity, "", *(name for name in ("active", "x_active") if _stored(own, name)))
    out = []
    for (model, via), names in plan.fields.items():
        up = plan.up if model == entity and not via else ""
        spec = own if model == entity else await specs(model)
        also = [up, "type"] if up else []
        kept = {name for name in (*names, *also) if _stored(spec, name)}
        if kept:
            out.append(Watch(entity=entity, model=model, fields=tuple(sorted(kept)), via=via, up=up))
    return out


async def _of_sums(
    entity: str, sums: Grouping, paths: Sequence[str], specs: Callable[[str], Awaitable[Spec]]
) -> list[Watch]:
    """The rows that are added up: their numbers, and what they refer to."""
    own = await specs(sums.model)
    numbers = {path for path in paths if path in own} or {n for n, one in own.items() if one.get("type") == "float"}
    kept = {name for name in (*numbers, *sums.by) if _stored(own, name)}
    return [Watch(entity=entity, model=sums.model, fields=tuple(sorted(kept)), via="+".join(sums.by))]


async def _follow(
    plan: _Plan, model: str, spec: Spec, text: str, specs: Callable[[str], Awaitable[Spec]], depth: int
) -> None:
    """Add what has to be watched for one path of the Entity's own model."""
    try:
        path = parse(text)
    except SchemaDrift:
        return
    name, rest = path.step.field, path.rest
    told = spec.get(name)
    if told is None or depth > _DEEPEST:
        return
    related = str(told.get("related") or "")
    if related and not told.get("store"):
        await _follow_related(plan, model, spec, related, specs)
        return
    if told.get("store"):
        plan.add(model, "", name)
        inverse = str(told.get("relation_field") or "")
        if told.get("type") == "one2many" and inverse and rest:
            _add_children(plan, model, str(told["relation"]), inverse, rest)
        return
    for needed in told.get("depends") or ():
        await _follow(plan, model, spec, str(needed), specs, depth + 1)


async def _follow_related(
    plan: _Plan, model: str, spec: Spec, related: str, specs: Callable[[str], Awaitable[Spec]]
) -> None:
    """A field that lives on a record this one is a part of: a variant's name on its template."""
    through, _, rest = related.partition(".")
    told = spec.get(through, {})
    parent = str(told.get("relation") or "")
    if not parent or not rest:
        return
    theirs = await specs(parent)
    back = next(
        (
            name
            for name, one in theirs.items()
            if one.get("type") == "one2many" and one.get("relation") == model and one.get("relation_field") == through
        ),
        "",
    )
    if back:
        plan.add(parent, back, parse(rest).step.field)
        return
    down = next(
        (
            str(one["relation_field"])
            for one in spec.values()
            if one.get("type") == "one2many" and one.get("relation") == parent and one.get("relation_field")
        ),
        "",
    )
    if down:
        # A part that is kept in versions of its own: an employee's department stands on the version of the day.
        plan.add(parent, down, parse(rest).step.field)


def _add_children(plan: _Plan, model: str, child: str, inverse: str, rest: str) -> None:
    names = [] if rest == "id" else [parse(rest).step.field]
    if child == plan.entity:
        plan.up = inverse
        plan.add(model, "", *names, inverse, "active")
    else:
        plan.add(child, inverse, *names, inverse)


def _plain_fields(spec: Spec) -> list[str]:
    """Fields that people fill in: their own or a part's, writable, not computed, not about messages and activities."""
    return [
        name
        for name, told in spec.items()
        if (told.get("related") if not told.get("store") else not told.get("depends"))
        and not told.get("readonly")
        and told.get("type") not in X2MANY
        and name not in _STAMPS
        and not name.startswith(_NEVER)
    ]


def _stored(spec: Spec, name: str) -> bool:
    return name != "id" and bool(spec.get(name, {}).get("store"))
