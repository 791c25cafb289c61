"""One line of a compiled mapping: canonical fields tied to raw paths by a chain of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from isthmus.mapping.cel import Expression
from isthmus.mapping.problem import Noted, Problem, TransformProblem, show
from isthmus.mapping.tracing import FieldTrace, StepTrace
from isthmus.mapping.transform import Step, StepFunction
from isthmus.model.canonical import Value

ReadInto = Callable[[Mapping[str, Any], dict[str, Value], list[Problem]], None]

_TROUBLE = (TransformProblem, TypeError, ValueError, ArithmeticError, LookupError, AttributeError)
"""What a step may raise over a value nobody foresaw: one odd value is a Problem of its field, never of the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a value stands in the raw record: one path, or parts on paths of their own."""

    path: str | None
    parts: tuple[tuple[str, str], ...]

    def get(self, raw: Mapping[str, Any]) -> Any:
        """The raw value, or part → value."""
        if self.path is not None:
            value = raw.get(self.path)
            return None if value == "" else value
        return {part: raw.get(path) for part, path in self.parts}

    @property
    def paths(self) -> tuple[str, ...]:
        """Every raw path of this source."""
        return (self.path,) if self.path is not None else tuple(path for _, path in self.parts)


@dataclass(slots=True, kw_only=True, eq=False)
class Binding:
    """Canonical `fields` tied to a `source`; several fields travel as one `field → value` object."""

    fields: tuple[str, ...]
    source: Source | None
    reads: Sequence[Step]
    writes: Sequence[Step]
    reads_at_all: bool
    writes_at_all: bool
    is_reference: bool = False
    instead_when: str | None = None
    instead: Source | None = None
    clear_when: str | None = None
    clear: Mapping[str, Any] | None = None
    write_when: Expression | None = None
    at_creation: bool = True
    default: Any = None
    skip_empties: bool = False
    required: bool = False
    cut: bool = False
    limits: Mapping[str, int] | None = None
    unwritable: frozenset[str] = frozenset()
    normalise: Sequence[Step] = ()
    system: str = ""
    read_into: ReadInto = None  # type: ignore[assignment]  # made in __post_init__ from the rest
    _read_chain: tuple[tuple[StepFunction, bool], ...] = ()
    _write_chain: tuple[tuple[StepFunction, bool], ...] = ()

    def __post_init__(self) -> None:
        self._read_chain = tuple((s.read, s.sees_empty) for s in self.reads)
        back = [(s.write, s.sees_empty) for s in self.writes]
        normal = [(s.read, s.sees_empty) for s in self.normalise]
        self._write_chain = tuple((f, e) for f, e in [*back, *normal] if f is not None)
        self.read_into = self._reader()

    @property
    def insists(self) -> bool:
        """Whether a value that cannot be written holds the record, where others are left out."""
        return any(step.insists for step in self.writes)

    def implied(self, values: Mapping[str, Value], written: Mapping[str, Any]) -> dict[str, Any]:
        """The raw values that the system itself makes of what is written here."""
        out: dict[str, Any] = {}
        for step in self.writes:
            if step.implies is not None:
                out.update(step.implies(values.get(self.fields[0]), written))
        return out

    @property
    def path(self) -> str | None:
        """The one raw path, where there is one and no other takes its place."""
        return self.source.path if self.source is not None and self.instead is None else None

    @property
    def own_paths(self) -> tuple[str, ...]:
        """The raw paths of the value itself."""
        return (*(self.source.paths if self.source else ()), *(self.instead.paths if self.instead else ()))

    @property
    def paths(self) -> tuple[str, ...]:
        """Every raw path that reading or writing looks at."""
        more = [path for step in (*self.reads, *self.writes) for path in step.paths]
        more += [path for path in (self.instead_when, self.clear_when) if path]
        more += self.write_when.paths if self.write_when else ()
        more += self.clear or ()  # what is written is read before, so that it can be expected
        return (*self.own_paths, *more)

    def _reader(self) -> ReadInto:
        chain, fields = self._read_chain, self.fields
        name = fields[0]
        source_of = self._source
        single = self.source.path if self.source and self.instead is None else None
        grouped = len(fields) > 1
        get = self.source.get if self.source and self.instead is None else None

        def read_into(raw: Mapping[str, Any], values: dict[str, Value], problems: list[Problem]) -> None:
            value: Any
            if single is not None:
                value = raw.get(single)
                if value == "":
                    value = None
            elif get is not None:
                value = get(raw)
            else:
                source = source_of(raw)
                value = source.get(raw) if source is not None else None
            try:
                for function, sees_empty in chain:
                    if value is not None or sees_empty:
                        value = function(value, raw)
                        if type(value) is Noted:
                            problems.append(Problem(name, value.message, "warn", show(value.value)))
                            value = value.value
            except _TROUBLE as error:
                problems.append(_problem(name, error, value))
                return
            if not grouped:
                values[name] = value
            elif value is not None:
                for field in fields:
                    if field in value:
                        values[field] = value[field]
            else:
                for field in fields:
                    values[field] = None

        return read_into

    def _source(self, raw: Mapping[str, Any]) -> Source | None:
        if self.instead is not None and raw.get(self.instead_when or "") not in (None, "", [], {}, False):
            return self.instead
        return self.source

    def write_into(
        self,
        values: Mapping[str, Value],
        current: Mapping[str, Any],
        out: dict[str, Any],
        problems: list[Problem],
        *,
        new: bool,
    ) -> bool:
        """Add the raw values of this binding to `out`; True when the value was cleared instead of emptied."""
        name = self.fields[0]
        if new and not self.at_creation:
            return False
        value = self._given(values, current)
        if new and self.default is not None and self._is_empty(value):
            value = self.default
        try:
            if self.write_when is not None and not new and self.write_when({}, current) is not True:
                return False
            empty = self._is_empty(value)
            if empty and self.required:
                problems.append(Problem(name, f"it is empty, and {self.system} needs it", "block", ""))
                return False
            if empty and (new or self.skip_empties):
                return False
            if empty and self.clear is not None:
                if current.get(self.clear_when or "") not in (None, "", [], {}, False):
                    out.update(self.clear)
                    return True
                return False
            for function, sees_empty in self._write_chain:
                if value is not None or sees_empty:
                    value = function(value, current)
                    if type(value) is Noted:
                        problems.append(Problem(name, value.message, "warn", show(value.value)))
                        value = value.value
            self._place(value, current, out)
        except _TROUBLE as error:
            problems.append(_problem(name, error, value))
        return False

    def _given(self, values: Mapping[str, Value], current: Mapping[str, Any]) -> Any:
        if len(self.fields) == 1:
            return values.get(self.fields[0])
        given = {name: values[name] for name in self.fields if name in values}
        if len(given) < len(self.fields) and current and self.reads_at_all:
            now: dict[str, Value] = {}
            self.read_into(current, now, [])
            given = {**now, **given}
        return {name: given.get(name) for name in self.fields}

    def _is_empty(self, value: Any) -> bool:
        if len(self.fields) > 1:
            return all(v is None or v == "" for v in value.values())
        return value is None or value == "" or value == {} or value == []

    def _place(self, value: Any, current: Mapping[str, Any], out: dict[str, Any]) -> None:
        source = self._source(current)
        if source is None:
            return
        if source.path is not None:
            made = {source.path: value}
        else:
            if value is None:
                value = {part: None for part, _ in source.parts}
            made = {path: value[part] for part, path in source.parts if part in value}
        for path, raw in made.items():
            if path in self.unwritable:
                continue
            limit = self.limits.get(path) if self.limits else None
            if limit is not None and isinstance(raw, str) and len(raw) > limit:
                if not self.cut:
                    raise TransformProblem(f"{len(raw)} characters do not fit into {path}, which takes {limit}", raw)
                raw = raw[:limit].rstrip()
            out[path] = raw

    def explain_read(self, raw: Mapping[str, Any]) -> FieldTrace:
        """Run the reading chain once, keeping what every step did."""
        source = self._source(raw)
        value = source.get(raw) if source is not None else None
        return self._explain("read", value, [(s.name, s.read, s.sees_empty) for s in self.reads], raw)

    def explain_write(self, values: Mapping[str, Value], current: Mapping[str, Any], *, new: bool) -> FieldTrace:
        """Run the writing chain once, keeping what every step did; or say why the value is left out."""
        given = self._given(values, current)
        if new and self.default is not None and self._is_empty(given):
            given = self.default
        try:
            left_out, skipped = self._left_out(given, current, new), True
        except _TROUBLE as error:
            left_out, skipped = _message(error), False
        if left_out:
            return FieldTrace(
                fields=self.fields,
                paths=self.own_paths,
                direction="write",
                given=given,
                steps=(),
                problem=left_out,
                skipped=skipped,
            )
        chain = [(s.name, s.write, s.sees_empty) for s in self.writes if s.write is not None]
        chain += [(f"normalise: {s.name}", s.read, s.sees_empty) for s in self.normalise]
        told = self._explain("write", given, chain, current)
        if told.problem:
            return told
        placed: dict[str, Any] = {}
        try:
            self._place(told.result, current, placed)
        except _TROUBLE as error:
            return replace(told, result=None, problem=_message(error))
        only = self.source.path if self.source is not None else None
        return replace(told, result=placed.get(only) if only and placed.keys() <= {only} else placed)

    def _left_out(self, value: Any, current: Mapping[str, Any], new: bool) -> str:
        """Why `write_into` would leave the value out, or nothing."""
        if self.write_when is not None and not new and self.write_when({}, current) is not True:
            return f"only written where {self.write_when.source}"
        if new and not self.at_creation:
            return "not written to new records; it follows with a later look"
        if not self._is_empty(value) or self.required:
            return ""
        if new:
            return "empty, and a new record has nothing to empty"
        if self.skip_empties:
            return "empty, and emptying is left out"
        return "empty, which is written by clearing" if self.clear is not None else ""

    def _explain(
        self, direction: Any, given: Any, chain: Sequence[tuple[str, StepFunction, bool]], record: Mapping[str, Any]
    ) -> FieldTrace:
        steps: list[StepTrace] = []
        value, problem = given, ""
        for name, function, sees_empty in chain:
            if value is None and not sees_empty:
                continue
            before = value
            try:
                value = function(value, record)
            except _TROUBLE as error:
                problem = _message(error)
                steps.append(StepTrace(step=name, before=before, problem=problem))
                value = None
                break
            note = ""
            if isinstance(value, Noted):
                note, value = value.message, value.value
            steps.append(StepTrace(step=name, before=before, after=value, problem=note))
        return FieldTrace(
            fields=self.fields,
            paths=self.own_paths,
            direction=direction,
            given=given,
            steps=tuple(steps),
            result=value,
            problem=problem,
        )


def _message(error: BaseException) -> str:
    if isinstance(error, TransformProblem):
        return error.message
    return f"the value has a form that was not expected ({type(error).__name__})"


def _problem(name: str, error: BaseException, value: Any) -> Problem:
    shown = error.shown if isinstance(error, TransformProblem) and error.shown is not None else value
    return Problem(name, _message(error), "block", show(shown))
