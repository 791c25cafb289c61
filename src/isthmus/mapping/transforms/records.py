"""Transforms of what is not a single value: references, lists, attribute sets and child records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_origin

from pydantic import Field

from isthmus.mapping.problem import TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, StepFunction, Transform, transform
from isthmus.mapping.transforms.text import as_text
from isthmus.model.canonical import Ref

StepSpec = str | dict[str, Any]
"""A step as written in a mapping: `trim`, or `{lookup: terms}`, or `{decimal: {scale: 2}}`."""


def build_step(spec: StepSpec, at: Build) -> Step:
    """The Step of one catalogue entry as written in a mapping; ValueError and KeyError say what is wrong with it."""
    name, options = (spec, {}) if isinstance(spec, str) else _single(spec)
    kind = transform(name)
    accepted = {f.alias or n for n, f in kind.model_fields.items()}
    if not isinstance(options, dict) or not options.keys() <= accepted:
        # The short form: `lookup: terms` instead of `lookup: {table: terms}`.
        main = kind.model_fields[kind.main] if kind.main else None
        if main is None or (isinstance(options, dict) and not _holds_objects(main.annotation)):
            raise ValueError(f"{name} takes the options {', '.join(sorted(accepted)) or '(none)'}")
        options = {main.alias or kind.main: options}
    return kind.model_validate(resolved(options, at.settings)).build(at)


def _holds_objects(annotation: Any) -> bool:
    return annotation is Any or get_origin(annotation) is dict


def _single(spec: dict[str, Any]) -> tuple[str, Any]:
    if len(spec) != 1:
        raise ValueError(f"a step names one transform, this one names {', '.join(map(str, spec)) or 'none'}")
    name, options = next(iter(spec.items()))
    return str(name), {} if options is None else options


def resolved(options: Any, settings: Mapping[str, Any]) -> Any:
    """Options with `$name` replaced by the pair's setting of that name (None where it is not set)."""
    if isinstance(options, str) and options.startswith("$"):
        name, _, fallback = options[1:].partition("|")
        return settings.get(name, fallback or None)
    if isinstance(options, dict):
        return {key: resolved(value, settings) for key, value in options.items()}
    if isinstance(options, list):
        return [resolved(value, settings) for value in options]
    return options


class Reference(Transform):
    """Points to another record that the pair keeps in agreement; Links say what it is called on each side."""

    name = "reference"
    label = "Reference"
    group = "records"
    main = "to"
    examples = (
        Example(raw=42, value=Ref("customer", "42"), options={"to": "customer", "as": "integer"}),
        Example(raw="cus_1", value=Ref("customer", "cus_1"), options={"to": "customer"}),
        Example(raw=0, value=None, back=None, options={"to": "customer"}),
    )

    to: str = Field(description="The Entity it points to.")
    as_: Literal["text", "integer"] = Field("text", alias="as", description="How the id is written.")

    def build(self, at: Build) -> Step:
        entity, whole = self.to, self.as_ == "integer"

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            if value is False or value == 0 or value == "":
                return None
            if isinstance(value, list | tuple) and value:
                value = value[0]
            return Ref(entity, as_text(value))

        def write(value: Any, _record: Mapping[str, Any]) -> Any:
            if not isinstance(value, Ref):
                raise TransformProblem(f"the reference to {entity} {show(value)} is not resolved", value)
            if not whole:
                return value.key
            if not value.key.isdecimal():
                raise TransformProblem(f"{show(value.key)!r} is not an id of {entity}", value.key)
            return int(value.key)

        return self.step(read, write)


class First(Transform):
    """Takes the first of a list; writing replaces the first and keeps the others."""

    name = "first"
    label = "First of a list"
    group = "records"
    examples = (
        Example(raw=["A", "B"], value="A", back=["A", "B"], record={"x": ["A", "B"]}),
        Example(raw=[], value=None),
    )

    def build(self, at: Build) -> Step:
        path = at.paths.get("", "")

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            return next(iter(_items(value)), None)

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            rest = [item for item in _items(record.get(path))[1:] if item != value]
            return rest if value is None else [value, *rest]

        return self.step(read, write, sees_empty=True)


class Only(Transform):
    """Takes the one value of a list that should have at most one; more than one is held."""

    name = "only"
    label = "Only one of a list"
    group = "records"
    examples = (
        Example(raw=["A"], value="A"),
        Example(raw=["A", "B"], problem="more than one"),
        Example(raw=[], value=None),
    )

    def build(self, at: Build) -> Step:
        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            items = _items(value)
            if len(items) > 1:
                raise TransformProblem(f"there is more than one: {show(items)}", items)
            return items[0] if items else None

        return self.step(read, lambda value, _: [] if value is None else [value], sees_empty=True)


class Each(Transform):
    """Runs steps on every element of a list, or on a key of every element."""

    name = "each"
    label = "For each element"
    group = "records"
    main = "steps"
    examples = (Example(raw=[" a ", "b"], value=["a", "b"], back=["a", "b"], options={"steps": ["text"]}),)

    steps: list[StepSpec] = Field(min_length=1, description="Steps for one element.")
    sort: bool = Field(False, description="Order does not matter: compare sorted.")

    def build(self, at: Build) -> Step:
        steps = [build_step(spec, at) for spec in self.steps]
        reads = [(s.read, s.sees_empty) for s in steps]
        writes = _writes(steps, self.name)
        sort = self.sort

        def run(chain: Sequence[tuple[StepFunction, bool]]) -> StepFunction:
            def over(value: Any, record: Mapping[str, Any]) -> Any:
                out = [found for item in _items(value) if (found := run_chain(chain, item, record)) is not None]
                return sorted(out, key=str) if sort else out

            return over

        return self.step(run(reads), run(writes))


class ListText(Transform):
    """Joins a list of texts to one text and splits it again; `back` is for systems that hold the one text."""

    name = "list_text"
    label = "List as one text"
    group = "records"
    main = "separator"
    examples = (
        Example(raw=["A", "B"], value="A+B", options={"separator": "+"}),
        Example(raw="A+B", value=["A", "B"], options={"separator": "+", "back": True}),
        Example(raw=[], value=None, options={"separator": "+"}),
        Example(raw=["A+B", "C"], problem="contains the separator", options={"separator": "+"}),
    )

    separator: str = Field(min_length=1, description="What stands between the texts.")
    back: bool = Field(False, description="The raw side holds the text and the list is read from it.")

    def build(self, at: Build) -> Step:
        separator = self.separator

        def join(value: Any, _record: Mapping[str, Any]) -> Any:
            texts = [as_text(item).strip() for item in _items(value)]
            torn = next((text for text in texts if separator in text), None)
            if torn is not None:
                raise TransformProblem(f"{show(torn)!r} contains the separator {separator!r}", torn)
            return separator.join(text for text in texts if text) or None

        def split(value: Any, _record: Mapping[str, Any]) -> Any:
            return [] if value is None else [t for piece in as_text(value).split(separator) if (t := piece.strip())]

        return self.step(split, join) if self.back else self.step(join, split, sees_empty=True)


class Children(Transform):
    """Reads a list of child records with named parts and writes them back under the raw names.

    Other keys of a child are kept, found again by `key`.
    """

    name = "children"
    label = "Child records"
    group = "records"
    examples = (
        Example(
            raw=[{"LineNumber": 1, "Qty": " 2 "}],
            value=[{"line": 1, "quantity": "2"}],
            back=[{"LineNumber": 1, "Qty": "2"}],
            options={
                "key": "line",
                "parts": {"line": {"from": "LineNumber"}, "quantity": {"from": "Qty", "steps": ["text"]}},
            },
        ),
    )

    parts: dict[str, dict[str, Any]] = Field(min_length=1, description="Part → `{from: raw key, steps: [...]}`.")
    key: str | None = Field(None, description="Part that tells children apart.")

    def build(self, at: Build) -> Step:
        path, key = at.paths.get("", ""), self.key
        inner: list[tuple[str, str, list[tuple[StepFunction, bool]], list[tuple[StepFunction, bool]]]] = []
        for part, spec in self.parts.items():
            if set(spec) - {"from", "steps"} or "from" not in spec:
                raise ValueError(f"parts.{part}: takes `from` and `steps`")
            steps = [build_step(s, at) for s in spec.get("steps", [])]
            inner.append((part, str(spec["from"]), [(s.read, s.sees_empty) for s in steps], _writes(steps, self.name)))
        raw_key = next((raw for part, raw, _, _ in inner if part == key), None)

        def read(value: Any, record: Mapping[str, Any]) -> Any:
            out = []
            for child in _items(value):
                if not isinstance(child, Mapping):
                    raise TransformProblem(f"expected child records, got {show(child)}", child)
                out.append({part: run_chain(chain, child.get(raw), record) for part, raw, chain, _ in inner})
            return out

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            now = [c for c in _items(record.get(path)) if isinstance(c, Mapping)]
            known = {c.get(raw_key): c for c in now} if raw_key else {}
            out = []
            for child in _items(value):
                made = {raw: run_chain(chain, child.get(part), record) for part, raw, _, chain in inner}
                out.append({**known.get(made.get(raw_key or ""), {}), **made})
            return out

        return self.step(read, write)


class Attributes(Transform):
    """Reads `Color: Red` texts, or an object, as an attribute set; writes the object or the texts."""

    name = "attributes"
    label = "Attribute set"
    group = "records"
    main = "as_"
    examples = (
        Example(raw={"Color": "Red", "Size": 42}, value={"Color": "Red", "Size": "42"},
                back={"Color": "Red", "Size": "42"}),
        Example(raw=["Color: Red", "Size: L"], value={"Color": "Red", "Size": "L"}, options={"as": "texts"}),
        Example(raw=["Red"], problem="no attribute", options={"as": "texts"}),
    )  # fmt: skip

    as_: Literal["object", "texts"] = Field("object", alias="as", description="The raw form that is written.")

    def build(self, at: Build) -> Step:
        texts = self.as_ == "texts"

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            if isinstance(value, Mapping):
                pairs = [(str(k), v) for k, v in value.items()]
            else:
                pairs = []
                for item in _items(value):
                    name, colon, told = as_text(item).partition(":")
                    if not colon:
                        raise TransformProblem(f"{show(item)!r} names no attribute", item)
                    pairs.append((name, told))
            made = {name.strip(): as_text(v).strip() for name, v in pairs if v not in (None, "")}
            return {name: made[name] for name in sorted(made)} or None

        def write(value: Any, _record: Mapping[str, Any]) -> Any:
            if not isinstance(value, Mapping):
                raise TransformProblem(f"expected an attribute set, got {show(value)}", value)
            return [f"{k}: {v}" for k, v in value.items()] if texts else dict(value)

        return self.step(read, write)


def run_chain(chain: Sequence[tuple[StepFunction, bool]], value: Any, record: Mapping[str, Any]) -> Any:
    """Run the functions of several steps one after the other."""
    for function, sees_empty in chain:
        if value is not None or sees_empty:
            value = function(value, record)
    return value


def _writes(steps: Sequence[Step], owner: str) -> list[tuple[StepFunction, bool]]:
    out: list[tuple[Callable[[Any, Mapping[str, Any]], Any], bool]] = []
    for step in reversed(steps):
        if step.write is None:
            raise ValueError(f"{owner}: {step.name} has no way back")
        out.append((step.write, step.sees_empty))
    return out


def _items(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
