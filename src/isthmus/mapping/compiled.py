"""A mapping ready to run: raw records to canonical values and back, as closures that parse nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.mapping.binding import Binding
from isthmus.mapping.compiling import bindings_of
from isthmus.mapping.lookups import Lookups
from isthmus.mapping.model import Mapping as MappingFile
from isthmus.mapping.model import load_mapping
from isthmus.mapping.problem import Problem
from isthmus.mapping.rates import Rates
from isthmus.mapping.rows import RowsBinding
from isthmus.mapping.tracing import FieldTrace
from isthmus.model.canonical import CanonicalEntity, Value
from isthmus.model.schema import EntitySchema

__all__ = [
    "CompiledMapping",
    "FieldTrace",
    "Problem",
    "ReadResult",
    "WriteResult",
    "compile_mapping",
    "load_mapping",
]

_EMPTY: Mapping[str, Any] = {}


@dataclass(slots=True)
class ReadResult:
    """Canonical values read from a raw record; a field with a blocking Problem is absent."""

    values: dict[str, Value] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class WriteResult:
    """Raw values by path, ready for the connector; a field with a blocking Problem contributes nothing."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class CompiledMapping:
    """One system's form of one Entity, compiled.

    `paths` are the raw paths that `read` and `write` need; `readable` and `writable` the canonical fields; `key_paths`
    leads from a match key to the raw path that holds it directly.
    """

    __slots__ = (
        "_bindings",
        "_by_field",
        "_filled",
        "_led",
        "_readers",
        "canonical",
        "key_paths",
        "name",
        "on_create",
        "paths",
        "readable",
        "scope",
        "system",
        "system_entity",
        "writable",
    )

    def __init__(
        self, mapping: MappingFile, entity: CanonicalEntity, bindings: Sequence[Binding | RowsBinding]
    ) -> None:
        self.name = mapping.mapping
        self.system = mapping.system
        self.system_entity = mapping.system_entity
        self.canonical = entity
        self.scope: Any = mapping.scope
        self.on_create: Mapping[str, Any] = dict(mapping.on_create)
        self._bindings = tuple(bindings)
        self._readers = tuple(b.read_into for b in bindings if b.reads_at_all)
        self._by_field = {f: b for b in bindings if b.writes_at_all for f in b.fields}
        self._led = frozenset(_led(bindings))
        self._filled = tuple(b for b in bindings if b.writes_at_all and (b.required or b.default is not None))
        self.paths: tuple[str, ...] = tuple(dict.fromkeys(path for b in bindings for path in b.paths))
        sums = [name for b in bindings if isinstance(b, RowsBinding) for name in b.sums]
        self.readable = frozenset([*sums, *(f for b in bindings if b.reads_at_all for f in b.fields)])
        self.writable = frozenset(self._by_field)
        keys = {key.field for key in entity.match}
        self.key_paths: Mapping[str, str] = {
            b.fields[0]: b.path for b in bindings if b.path is not None and len(b.fields) == 1 and b.fields[0] in keys
        }

    def read(self, raw: Mapping[str, Any]) -> ReadResult:
        """Everything this side tells; never raises for a value."""
        values: dict[str, Value] = {}
        problems: list[Problem] = []
        for read_into in self._readers:
            read_into(raw, values, problems)
        return ReadResult(values, problems)

    def write(
        self, values: Mapping[str, Value], fields: Collection[str], current: Mapping[str, Any] | None
    ) -> WriteResult:
        """Raw values for the paths that `fields` touch; canonical fields that share a path are written together.

        `values` holds the fields as they shall be (also the untouched ones of a group), `current` the raw record as it
        is now; None means a new record, which also gets `on_create` and the defaults.
        """
        out: dict[str, Any] = {}
        problems: list[Problem] = []
        now = _EMPTY if current is None else current
        touched = self._touched(fields)
        if current is None:
            touched = list(dict.fromkeys([*touched, *self._filled]))
        for binding in self._led_last(touched):
            # What is written in the same go counts already: a price goes by the unit it is written with.
            seen = {**now, **out} if binding in self._led else now
            binding.write_into(values, seen, out, problems, new=current is None)
        if current is None:
            # A new record has nothing to empty, and an empty cell would override the system's own defaults.
            out = {**self.on_create, **{path: value for path, value in out.items() if value is not None}}
        return WriteResult(out, problems)

    def create(
        self, values: Mapping[str, Value], given: Mapping[str, Value], fields: Collection[str]
    ) -> tuple[WriteResult, dict[str, Value]]:
        """What `write` says of a new record, and what `project` says of it, each value made once.

        `given` holds the same fields as `values`, with references by what they are called on this side.
        """
        if self._led:
            return self.write(given, fields, None), self.project(values, fields, None, given=given)
        out: dict[str, Any] = {}
        found: dict[str, Value] = {}
        problems: list[Problem] = []
        wanted = set(fields)
        touched = self._touched(fields)
        for binding in dict.fromkeys([*touched, *self._filled]):
            own: dict[str, Any] = {}
            told: list[Problem] = []
            cleared = binding.write_into(given, _EMPTY, own, told, new=True)
            out.update(own)
            problems.extend(told)
            name = binding.fields[0]
            if name not in wanted and wanted.isdisjoint(binding.fields):
                continue
            if isinstance(binding, RowsBinding):
                found.update(binding.project(values, given, _EMPTY, _EMPTY))
            elif binding.is_reference:
                if name in values:
                    found[name] = values[name]
            elif binding.reads_at_all and not any(problem.severity == "block" for problem in told):
                own = {**own, **binding.implied(given, own)}
                if cleared:
                    own = {**own, **dict.fromkeys(binding.own_paths)}
                binding.read_into(own, found, told)
        out = {**self.on_create, **{path: value for path, value in out.items() if value is not None}}
        return WriteResult(out, problems), {name: value for name, value in found.items() if name in wanted}

    def project(
        self,
        values: Mapping[str, Value],
        fields: Collection[str],
        current: Mapping[str, Any] | None,
        *,
        given: Mapping[str, Value] | None = None,
        told: Mapping[str, Value] = _EMPTY,
    ) -> dict[str, Value]:
        """What `fields` would read back as on this side once written; a field that cannot be written is absent.

        References project to themselves: only the sync layer knows what they are called here. Rows need that to be
        told apart: `given` is `values` with references by what they are here, `told` what this side says now.
        """
        now = _EMPTY if current is None else current
        found: dict[str, Value] = {}
        problems: list[Problem] = []
        wanted: set[str] = set(fields)
        leading: dict[str, Any] = {}
        for binding in self._led_last(self._touched(fields)):
            if binding in self._led and leading:
                now = {**now, **leading}
            if isinstance(binding, RowsBinding):
                found.update(binding.project(values, values if given is None else given, now, told))
                continue
            if binding.is_reference:
                name = binding.fields[0]
                if name in values:
                    found[name] = values[name]
                continue
            out: dict[str, Any] = {}
            problems.clear()
            cleared = binding.write_into(values, now, out, problems, new=current is None)
            if any(problem.severity == "block" for problem in problems):
                if binding.insists:
                    found.update({name: values.get(name) for name in binding.fields})
                continue
            if self._led:
                leading.update(out)
            if binding.reads_at_all:
                overlay = {**now, **out, **binding.implied(values, out)}
                if cleared:
                    overlay.update(dict.fromkeys(binding.own_paths))
                binding.read_into(overlay, found, problems)
        return {name: value for name, value in found.items() if name in wanted}

    def explain(self, raw: Mapping[str, Any]) -> list[FieldTrace]:
        """Per mapped field, what every step made of the value on reading."""
        return [binding.explain_read(raw) for binding in self._bindings if binding.reads_at_all]

    def explain_write(
        self, values: Mapping[str, Value], fields: Collection[str], current: Mapping[str, Any] | None
    ) -> list[FieldTrace]:
        """Per touched field, what every step made of the value on writing."""
        now = _EMPTY if current is None else current
        written = {**now, **self.write(values, fields, current).values} if self._led else now
        return [
            binding.explain_write(values, written if binding in self._led else now, new=current is None)
            for binding in self._touched(fields)
        ]

    def _led_last(self, touched: list[Binding | RowsBinding]) -> list[Binding | RowsBinding]:
        """Those that look at what others write come behind the others."""
        if not self._led:
            return touched
        return [b for b in touched if b not in self._led] + [b for b in touched if b in self._led]

    def _touched(self, fields: Collection[str]) -> list[Binding | RowsBinding]:
        by_field = self._by_field
        return list(dict.fromkeys([by_field[name] for name in fields if name in by_field]))


def _led(bindings: Sequence[Binding | RowsBinding]) -> list[Binding | RowsBinding]:
    """Bindings whose writing looks at a raw path that another one writes."""
    writers = {path: b for b in bindings if b.writes_at_all for path in b.own_paths}
    return [b for b in bindings if any(writers.get(p, b) is not b for step in b.writes for p in step.paths)]


def compile_mapping(
    mapping: MappingFile,
    *,
    entity: CanonicalEntity,
    schema: EntitySchema | None = None,
    lookups: Lookups | None = None,
    rates: Rates | None = None,
    settings: Mapping[str, Any] | None = None,
    related: Mapping[str, EntitySchema] | None = None,
) -> CompiledMapping:
    """Bind a mapping to an Entity and, where given, to the system's schema as discovered.

    `related` are the schemas of what the rows of lists are over there, by name.

    Raises Misconfigured when a step or option is wrong and SchemaDrift when the system lacks a field that is not
    optional.
    """
    bindings = bindings_of(
        mapping,
        entity=entity,
        schema=schema,
        lookups=lookups if lookups is not None else Lookups(),
        rates=rates,
        settings=settings or {},
        related=related or {},
    )
    return CompiledMapping(mapping, entity, bindings)
