"""What a write comes down to in Odoo: values of the record itself and of its child records, references resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.fields import Fields, OdooField, OdooModel
from isthmus.connectors.odoo.natural import NaturalKeys
from isthmus.connectors.odoo.paths import ID, KEY, Step, parse
from isthmus.connectors.odoo.rows import RowChanges, changes, is_rows
from isthmus.sdk import InvalidRecord, IsthmusError, SchemaDrift

Typed = dict[str, Any]
"""Our values by field name, every reference an id."""

PARTNER = "res.partner"
_ADDRESS_TYPES = ("invoice", "delivery", "other")
# A write of these on a plain contact would be carried over to its parent and siblings.
_OF_THE_ROOT = frozenset({"vat", "company_registry", "industry_id"})
_ADDRESS = frozenset({"street", "street2", "zip", "city", "state_id", "country_id"})


@dataclass(slots=True)
class Parts:
    """The values of one write: the record's own, those of each child record that a step chooses, and its rows."""

    own: Typed = field(default_factory=dict)
    children: dict[Step, Typed] = field(default_factory=dict)
    rows: dict[str, RowChanges] = field(default_factory=dict)

    @property
    def itself(self) -> bool:
        """Whether the record itself is written: its own values, or rows that are written with it."""
        return bool(self.own or self.rows)


class Resolver:
    """Turns paths and values into typed values of records; natural keys of a whole batch in one look-up."""

    def __init__(self, fields: Fields, natural: NaturalKeys) -> None:
        self._fields = fields
        self._natural = natural

    async def parts(self, model: str, payloads: Sequence[Mapping[str, Any]]) -> list[Parts | IsthmusError]:
        """The parts of each payload, or what is wrong with it. Raises for what is wrong with all of them."""
        whole, payloads = payloads, [{p: v for p, v in told.items() if not is_rows(p)} for told in payloads]
        steps = {parse(path).step for payload in payloads for path in payload if not path.startswith("@")}
        described = await self._fields.model(model, *(step.field for step in steps))
        children: dict[Step, OdooModel] = {}
        for step in steps:
            own = described.get(step.field)
            if step.where is not None:
                children[step] = await self._fields.model(own.relation)
        ids = await self._natural_ids(described, children, payloads)
        out: list[Parts | IsthmusError] = []
        for payload in payloads:
            try:
                out.append(_parts(described, children, payload, ids))
            except InvalidRecord as error:
                out.append(error)
        await self._with_rows(described, whole, out)
        return out

    async def _with_rows(
        self, described: OdooModel, payloads: Sequence[Mapping[str, Any]], out: list[Parts | IsthmusError]
    ) -> None:
        """Add the rows to each payload's parts, all rows of all payloads resolved together."""
        told: dict[str, list[tuple[int, RowChanges]]] = {}
        for n, payload in enumerate(payloads):
            for path, value in payload.items():
                if is_rows(path):
                    made = value if isinstance(value, RowChanges) else changes(value, ())
                    told.setdefault(parse(path).step.field, []).append((n, made))
        for name, several in told.items():
            relation = described.get(name).relation
            flat = [values for _, rows in several for values in (*rows.new, *rows.changed.values())]
            resolved = iter(await self.parts(relation, flat))
            for n, rows in several:
                found = [next(resolved) for _ in range(len(rows.new) + len(rows.changed))]
                wrong = next((one for one in found if isinstance(one, IsthmusError)), None)
                target = out[n]
                if isinstance(target, IsthmusError):
                    continue
                if wrong is not None:
                    out[n] = wrong
                    continue
                typed = [one.own for one in found if isinstance(one, Parts)]
                target.rows[name] = RowChanges(
                    new=typed[: len(rows.new)],
                    changed=dict(zip(rows.changed, typed[len(rows.new) :], strict=True)),
                    removed=rows.removed,
                    before=rows.before,
                    expect=rows.expect,
                )

    async def _natural_ids(
        self, described: OdooModel, children: Mapping[Step, OdooModel], payloads: Sequence[Mapping[str, Any]]
    ) -> Mapping[tuple[str, str], Mapping[str, int]]:
        """Ids by natural key, for every (model, field) that a payload writes by key."""
        wanted: dict[tuple[str, str], set[str]] = {}
        for payload in payloads:
            for path, value in payload.items():
                model, name, last = _target(described, children, path)
                if last == KEY:
                    wanted.setdefault((model.name, name), set()).update(_keys(value))
        models = {described.name: described, **{one.name: one for one in children.values()}}
        return {
            (model, name): await self._natural.ids(models[model].get(name), keys)
            for (model, name), keys in wanted.items()
        }


def _target(described: OdooModel, children: Mapping[Step, OdooModel], path: str) -> tuple[OdooModel, str, str]:
    """The model and field that a path writes, and what follows behind the field."""
    parsed = parse(path)
    if parsed.step.where is None:
        return described, parsed.step.field, parsed.rest
    inner = parse(parsed.rest)
    if inner.step.where is not None:
        raise SchemaDrift(f"writing {path} of {described.name}: one condition per path can be written")
    return children[parsed.step], inner.step.field, inner.rest


def _parts(
    described: OdooModel,
    children: Mapping[Step, OdooModel],
    payload: Mapping[str, Any],
    ids: Mapping[tuple[str, str], Mapping[str, int]],
) -> Parts:
    out = Parts()
    for path, value in payload.items():
        model, name, last = _target(described, children, path)
        spec = model.get(name)
        step = parse(path).step
        target = out.own if step.where is None else out.children.setdefault(step, {})
        if last == KEY:
            target[name] = _by_key(spec, value, ids[model.name, name])
        elif last in ("", ID):
            codec.encode(spec, value)  # says at once whether the type can hold it
            target[name] = value
        else:
            raise SchemaDrift(
                f"writing {path} of {described.name}: a field of another record is written on that record",
                hint="Map the reference itself, or its `.key`; sync the other record as an Entity of its own.",
            )
    return out


def _by_key(spec: OdooField, value: Any, ids: Mapping[str, int]) -> Any:
    keys = _keys(value)
    unknown = [key for key in keys if key not in ids]
    if unknown:
        raise InvalidRecord(
            f"writing {spec.name}: Odoo has no {spec.relation} {', '.join(map(repr, unknown))}",
            hint=f"Create it in Odoo, or map it to one that is there ({spec.label}).",
            facts={"field": spec.name, "model": spec.relation, "unknown": unknown},
        )
    if spec.many:
        return [ids[key] for key in keys]
    return ids[keys[0]] if keys else None


def _keys(value: Any) -> list[str]:
    if value is None or value is False or value == "":
        return []
    several: Iterable[Any] = value if isinstance(value, list | tuple | set | frozenset) else [value]
    return [str(one) for one in several]


def encoded(model: OdooModel, values: Typed) -> dict[str, Any]:
    """Raw values as `create` and `write` take them."""
    return {name: codec.encode(model.get(name), value) for name, value in values.items()}


def child_defaults(step: Step, inverse: str, parent: int | None = None) -> Typed:
    """What a child record that a step chooses has to have, so that the step finds it again."""
    assert step.where is not None
    own: Typed = {step.where[0]: step.where[1]}
    return own if parent is None else {**own, inverse: parent}


def clears(values: Typed) -> bool:
    """Whether these values of a child record only say that it shall not be there."""
    return bool(values) and all(value in (None, False, "") or value == [] for value in values.values())


def must_not_spread(model: str, step: Step, values: Typed) -> None:
    """Refuse writes on a contact child that Odoo would carry over to its parent (address and commercial fields)."""
    if model != PARTNER or step.where is None or step.where[0] != "type":
        return
    of_root = sorted(_OF_THE_ROOT & values.keys())
    if step.where[1] not in _ADDRESS_TYPES or of_root:
        raise InvalidRecord(
            f"writing {', '.join(of_root) or 'the address'} on {step}: Odoo would carry it over to the company",
            hint="Write addresses on invoice or delivery children, commercial fields on the company itself.",
            facts={"step": str(step), "fields": of_root or sorted(values)},
        )


def spreading(model: str, values: Typed) -> frozenset[str]:
    """The fields among these that Odoo carries over from a contact to the company above it."""
    return (_ADDRESS | _OF_THE_ROOT) & values.keys() if model == PARTNER else frozenset()


def below_a_company(model: str, one: int, values: Typed, placed: Mapping[str, Any]) -> InvalidRecord | None:
    """What is wrong with writing these values on a contact that is placed so (`parent_id`, `type`, root)."""
    if not placed.get("parent_id"):
        return None
    fields = set(spreading(model, values))
    if placed.get("type") != "contact":
        fields -= _ADDRESS
    if placed.get("commercial_partner_id") == one:
        fields -= _OF_THE_ROOT
    if not fields:
        return None
    return InvalidRecord(
        f"writing {', '.join(sorted(fields))} on contact {one}: Odoo would carry it over to the company above it",
        record=str(one),
        hint="Change it on the company, or give the contact an invoice or delivery address of its own.",
        facts={"fields": sorted(fields), "company": placed["parent_id"]},
    )
