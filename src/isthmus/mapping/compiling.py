"""Turns a mapping file into bindings: resolves steps, settings, limits and what the system lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from isthmus.errors import Misconfigured, SchemaDrift
from isthmus.mapping.binding import Binding, Source
from isthmus.mapping.cel import expression
from isthmus.mapping.lookups import Lookups
from isthmus.mapping.model import Charge, FieldMap, Rows
from isthmus.mapping.model import Mapping as MappingFile
from isthmus.mapping.rates import Rates
from isthmus.mapping.rows import ChargeRow, RowsBinding
from isthmus.mapping.transform import Build, Step
from isthmus.mapping.transforms.records import build_step, resolved
from isthmus.model.canonical import CanonicalEntity, CanonicalField
from isthmus.model.schema import EntitySchema, Field, FieldType

_BY_TYPE: Mapping[FieldType, list[Any]] = {
    FieldType.STRING: ["text"],
    FieldType.TEXT: [{"text": {"lines": True}}],
    FieldType.HTML: [{"text": {"lines": True}}],
    FieldType.ENUM: ["text"],
    FieldType.INTEGER: ["integer"],
    FieldType.DECIMAL: ["decimal"],
    FieldType.BOOLEAN: ["boolean"],
    FieldType.DATE: ["date"],
    FieldType.DATETIME: ["instant"],
    FieldType.ADDRESS: ["address"],
}
"""Steps of a field that names none."""


def bindings_of(
    mapping: MappingFile,
    *,
    entity: CanonicalEntity,
    schema: EntitySchema | None,
    lookups: Lookups,
    rates: Rates | None,
    settings: Mapping[str, Any],
    related: Mapping[str, EntitySchema] | None = None,
) -> list[Binding | RowsBinding]:
    """The bindings of a mapping, in file order; what is optional and missing is left out."""
    if not entity.is_kind_of(mapping.canonical):
        raise Misconfigured(f"compiling {mapping.mapping}: it maps {mapping.canonical}, not {entity.name}")
    at = _Place(mapping, lookups, rates, settings, related or {})
    out: list[Binding | RowsBinding] = []
    for where, fields, told in _wanted(at, mapping, entity.name, entity.fields, schema):
        try:
            if told.each is not None:
                out.append(_rows(at, where, fields[0], told, told.each, entity, schema))
            else:
                out.append(_binding(at, fields, told, entity.fields, schema))
        except (ValueError, KeyError) as error:
            raise _wrong(mapping, where, error) from error
    return out


@dataclass(frozen=True, slots=True)
class _Place:
    """What every binding of one mapping is compiled with."""

    mapping: MappingFile
    lookups: Lookups
    rates: Rates | None
    settings: Mapping[str, Any]
    related: Mapping[str, EntitySchema]


def _wrong(mapping: MappingFile, where: str, error: Exception) -> Misconfigured:
    return Misconfigured(
        f"compiling {mapping.mapping}, {where}: {_why(error)}",
        hint="Correct the mapping; `isthmus preview` shows what every step does.",
    )


def _wanted(
    at: _Place, told_by: MappingFile | Rows, name: str, known: Mapping[str, Field], schema: EntitySchema | None
) -> Iterator[tuple[str, tuple[str, ...], FieldMap]]:
    """The lines of a mapping, or of its rows, that take part here: what is optional and missing is left out."""
    for where, fields, told in _lines(told_by):
        unknown = [field for field in fields if field not in known]
        if unknown:
            raise Misconfigured(
                f"compiling {at.mapping.mapping}, {where}: {name} has no field {', '.join(unknown)}",
                hint=f"Its fields are {', '.join(known)}.",
            )
        if any(at.settings.get(need) in (None, "") for need in told.needs):
            continue
        if not _missing(at.mapping, where, told, schema):
            yield where, fields, told


def _rows(
    at: _Place,
    where: str,
    name: str,
    told: FieldMap,
    each: Rows,
    entity: CanonicalEntity,
    schema: EntitySchema | None,
) -> RowsBinding:
    """A list of rows; `from: order_line{}` asks for exactly the paths that the rows need."""
    parts = entity.fields[name].items
    if not parts:
        raise ValueError(f"{entity.name}.{name} has no rows")
    base = str(told.from_).removesuffix("{}")
    field = schema.fields.get(base) if schema is not None else None
    inner = at.related.get(field.target or "") if field is not None else None
    bindings = []
    for place, fields, one in _wanted(at, each, f"{entity.name}.{name}", parts, inner):
        try:
            bindings.append(_binding(at, fields, one, parts, inner))
        except (ValueError, KeyError) as error:
            raise _wrong(at.mapping, f"{where}.each.{place}", error) from error
    when = expression(each.when, ("raw",)) if each.when else None
    unknown = [name for name in each.sums if name not in entity.fields]
    if unknown:
        raise ValueError(f"{entity.name} has no field {', '.join(unknown)} for a sum")
    charges = [_charge(at, field_name, charge, entity) for field_name, charge in each.charges.items()]
    paths = [
        *([each.id] if each.id else []),
        *(path for binding in bindings for path in binding.paths),
        *(when.paths if when else ()),
        *(path for charge in charges for path in (charge.row, charge.amount)),
        *each.sums.values(),
        *each.follows,
    ]
    both = told.direction == "both"
    return RowsBinding(
        fields=(name, *(charge.field for charge in charges)),
        path=f"{base}{{{','.join(dict.fromkeys(paths))}}}" if str(told.from_).endswith("{}") else base,
        row_id=each.id,
        when=when,
        match=tuple(each.match),
        number=each.number,
        on_create=resolved(each.on_create, at.settings),
        follows=each.follows,
        bindings=bindings,
        charges=charges,
        sums=dict(each.sums),
        references=frozenset(part for part, field in parts.items() if field.type is FieldType.REFERENCE),
        reads_at_all=both or told.direction == "read",
        writes_at_all=both or told.direction == "write",
        required=told.required,
        system=at.mapping.system,
    )


def _charge(at: _Place, name: str, told: Charge, entity: CanonicalEntity) -> ChargeRow:
    if name not in entity.fields:
        raise ValueError(f"{entity.name} has no field {name} for a charge")
    found = resolved(told.is_, at.settings)
    return ChargeRow(
        field=name,
        row=told.row,
        told=str(found) if found not in (None, "") else None,
        amount=told.amount,
        write=told.write,
        negative=told.negative,
        on_create={p: _without_none(v) for p, v in resolved(told.on_create, at.settings).items()},
        setting=str(told.is_ or "").removeprefix("$"),
    )


def _without_none(value: Any) -> Any:
    """A list without what a setting left open."""
    return [one for one in value if one not in (None, "")] if isinstance(value, list) else value


def _lines(mapping: MappingFile | Rows) -> Iterator[tuple[str, tuple[str, ...], FieldMap]]:
    for i, group in enumerate(mapping.together):
        yield f"together.{i}", tuple(group.fields), group
    for name, told in mapping.fields.items():
        yield f"fields.{name}", (name,), told


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, e['loc'])) or error.title}: {str(e['msg']).removeprefix('Value error, ')}"
            for e in error.errors()
        )
    return str(error.args[0]) if error.args else str(error)


def root(path: str) -> str:
    """The system's field that a raw path starts at."""
    return path.partition(".")[0].partition("[")[0]


def _missing(mapping: MappingFile, where: str, told: FieldMap, schema: EntitySchema | None) -> bool:
    if schema is None or not schema.fields:
        return False
    paths = _paths(told.from_)
    lost = sorted({root(path.removesuffix("{}")) for path in paths} - schema.fields.keys())
    if not lost:
        return False
    if told.optional:
        return True
    raise SchemaDrift(
        f"compiling {mapping.mapping}, {where}: {mapping.system_entity} has no field {', '.join(lost)}",
        answered="; ".join(f"{name}: {why}" for name in lost if (why := schema.withheld.get(name))),
        facts={"fields": lost, "entity": mapping.system_entity},
    )


def _paths(told: str | dict[str, str] | None) -> tuple[str, ...]:
    if told is None:
        return ()
    return (told,) if isinstance(told, str) else tuple(told.values())


def _binding(
    place: _Place,
    fields: tuple[str, ...],
    told: FieldMap,
    known_fields: Mapping[str, Field],
    schema: EntitySchema | None,
) -> Binding:
    mapping = place.mapping
    canonical = known_fields[fields[0]] if len(fields) == 1 else None
    source = _source(told.from_)
    known = schema.fields if schema is not None else {}
    at = Build(
        system=mapping.system,
        paths={"": told.from_} if isinstance(told.from_, str) else dict(told.from_ or {}),
        canonical=canonical,
        raw=_raw_field(told, known),
        settings=place.settings,
        lookups=place.lookups,
        rates=place.rates,
    )
    specs = told.steps if told.steps is not None else _usual_steps(canonical)
    reads = [build_step(spec, at) for spec in specs]
    writes, can_write = _writes(told, reads, at)
    paths = (*_paths(told.from_), *_paths(told.instead.from_ if told.instead else None))
    unwritable = frozenset(path for path in paths if path in known and known[path].readonly)
    reads_at_all = told.direction != "write"
    return Binding(
        fields=fields,
        source=source,
        reads=reads if reads_at_all else (),
        writes=writes,
        reads_at_all=reads_at_all,
        writes_at_all=can_write and bool(set(_paths(told.from_)) - unwritable),
        # Rows that refer to other records project to themselves as a reference does.
        is_reference=any(step.name == "reference" for step in reads)
        or bool(isinstance(canonical, CanonicalField) and canonical.row_references),
        instead_when=told.instead.when if told.instead else None,
        instead=_source(told.instead.from_) if told.instead else None,
        clear_when=told.clear.when if told.clear else None,
        clear=told.clear.write if told.clear else None,
        write_when=expression(told.write_when, ("raw",)) if told.write_when else None,
        at_creation=told.at_creation,
        default=told.default,
        skip_empties=told.empties == "skip",
        required=told.required,
        cut=told.too_long == "cut",
        limits=_limits(told, paths, known),
        unwritable=unwritable,
        normalise=[build_step(spec, at) for spec in told.normalise],
        system=mapping.system,
    )


def _usual_steps(canonical: Field | None) -> Sequence[Any]:
    if canonical is None:
        raise ValueError("fields that are mapped together need their steps")
    return _BY_TYPE.get(canonical.type, [])


def _writes(told: FieldMap, reads: Sequence[Step], at: Build) -> tuple[Sequence[Step], bool]:
    """The steps of writing in order, and whether writing is possible at all."""
    if told.direction == "read":
        return (), False
    if told.write_steps is not None:
        # Given explicitly, in the direction of writing: each step's own reading function does the work.
        return [
            Step(s.name, s.read, s.read, s.sees_empty, s.paths) for s in (build_step(x, at) for x in told.write_steps)
        ], True
    if any(step.write is None for step in reads):
        if told.direction == "write":
            raise ValueError(f"{next(s.name for s in reads if s.write is None)} has no way back; give write_steps")
        return (), False
    return list(reversed(reads)), True


def _source(told: str | dict[str, str] | None) -> Source | None:
    if told is None:
        return None
    if isinstance(told, str):
        return Source(path=told, parts=())
    return Source(path=None, parts=tuple(told.items()))


def _raw_field(told: FieldMap, known: Mapping[str, Field]) -> Field | None:
    if isinstance(told.from_, str):
        return known.get(told.from_)
    return known.get((told.from_ or {}).get("amount", ""))


def _limits(told: FieldMap, paths: Sequence[str], known: Mapping[str, Field]) -> dict[str, int]:
    out: dict[str, int] = {}
    for path in paths:
        limit = told.max_length or (known[path].max_length if path in known else None)
        if limit:
            out[path] = limit
    return out
