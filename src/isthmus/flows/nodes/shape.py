"""Nodes that shape an item: set and compute fields, map, look up, validate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from isthmus.errors import InvalidRecord
from isthmus.flows.item import Emit, Item, Out, Result, Trouble, emit
from isthmus.flows.node import (
    Cel,
    Config,
    Node,
    PairRole,
    Path,
    Place,
    Pure,
    Sample,
    at_path,
    failed,
    guarded,
    text_of,
    value_of,
    with_path,
)
from isthmus.mapping.problem import Noted, TransformProblem
from isthmus.mapping.transform import Build, Step
from isthmus.mapping.transforms.records import build_step
from isthmus.model.canonical import decode, encode


class Set(Pure):
    """Sets fields of the item, each computed by an expression over what came in."""

    LABEL: ClassVar[str] = "Set fields"
    SAMPLE: ClassVar[Sample] = Sample(
        config={"fields": {"total": "multiply(item.price, item.quantity)"}},
        input={"price": "2.50", "quantity": 3},
        output={"price": "2.50", "quantity": 3, "total": "7.5"},
    )

    type: Literal["set"] = "set"
    fields: dict[Path, Cel] = Field(default_factory=dict, description="Path to expression; all see what came in.")
    remove: list[Path] = Field(default_factory=list, description="Paths that are taken away afterwards.")
    only: bool = Field(False, description="Keep nothing but the fields set here.")
    key: Cel | None = Field(None, description="A new business key for the item.")

    def each(self, place: Place, item: Item) -> Result:
        data: dict[str, Any] = {} if self.only else item.data
        for path, source in self.fields.items():
            data = with_path(data, path, value_of(source, item))
        for path in self.remove:
            data = _without(data, path)
        key = None if self.key is None else text_of(self.key, item)
        return Emit(outs=(Out("out", data, key),))


def _without(data: dict[str, Any], path: str) -> dict[str, Any]:
    name, _, rest = path.partition(".")
    if name not in data:
        return data
    if rest and isinstance(data[name], dict):
        return {**data, name: _without(data[name], rest)}
    return {k: v for k, v in data.items() if k != name}


class FieldRule(Config):
    """How one field of the result comes about."""

    from_: Path | None = Field(None, alias="from", description="The path in the item it comes from.")
    value: Cel | None = Field(None, description="An expression, in place of a path.")
    steps: list[str | dict[str, Any]] = Field(
        default_factory=list, description="Catalogue transforms, applied in order (`isthmus` reference: transforms)."
    )
    default: Any = Field(None, description="The value where there is none.")
    required: bool = Field(False, description="An item without it leaves by `error`.")

    @model_validator(mode="after")
    def _one_source(self) -> FieldRule:
        if self.from_ is not None and self.value is not None:
            raise ValueError("give either from or value")
        self.compiled()
        return self

    def compiled(self) -> tuple[Step, ...]:
        """The transforms, ready to run; ValueError says what is wrong with them."""
        try:
            return tuple(build_step(spec, Build()) for spec in self.steps)
        except ValidationError as error:
            raise ValueError("; ".join(str(e["msg"]) for e in error.errors())) from error
        except KeyError as error:
            raise ValueError(str(error.args[0])) from error


class Map(Node):
    """Makes a new form of the item: field by field with catalogue transforms, or by the Mapping of a pair's Entity.

    With `pair`, the record at `from` goes through the Mapping of one side: `read` makes the Canonical of it, `write`
    makes that system's values of a Canonical.
    """

    LABEL: ClassVar[str] = "Map"
    GROUP: ClassVar[Any] = "shape"
    SAMPLE: ClassVar[Sample] = Sample(
        config={"fields": {"email": {"from": "Mail", "steps": ["trim", {"case": "lower"}]}}},
        input={"Mail": " ADA@EXAMPLE.COM "},
        output={"email": "ada@example.com"},
    )

    type: Literal["map"] = "map"
    fields: dict[Path, FieldRule] | None = Field(None, description="Field of the result to how it comes about.")
    keep: bool = Field(False, description="Keep the fields of the item that are not mapped.")
    pair: PairRole | None = Field(None, description="The pair whose Mapping is used, in place of `fields`.")
    entity: str | None = Field(None, description="With `pair`: the canonical Entity.")
    side: Literal["left", "right"] = Field("left", description="With `pair`: whose Mapping.")
    direction: Literal["read", "write"] = Field("read", description="With `pair`: to the Canonical, or from it.")
    from_: Path | None = Field(None, alias="from", description="With `pair`: the path of the record; the item itself.")
    into: Path | None = Field(None, description="Where the result goes; without it, it replaces the item.")

    @model_validator(mode="after")
    def _one_way(self) -> Map:
        if (self.fields is None) == (self.pair is None):
            raise ValueError("give either fields or pair")
        if self.pair is not None and self.entity is None:
            raise ValueError("with pair, give entity as well")
        return self

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        if self.pair is not None:
            return await self._by_mapping(place, items)
        steps = {name: rule.compiled() for name, rule in (self.fields or {}).items()}
        return [guarded(lambda at, one: self._fields(at, one, steps), place, item) for item in items]

    def _fields(self, place: Place, item: Item, steps: Mapping[str, tuple[Step, ...]]) -> Result:
        data: dict[str, Any] = {**item.data} if self.keep else {}
        for name, rule in (self.fields or {}).items():
            value = value_of(rule.value, item) if rule.value is not None else at_path(item.data, rule.from_ or name)
            for step in steps[name]:
                if value in (None, "") and not step.sees_empty:
                    continue
                try:
                    value = step.read(value, item.data)
                except TransformProblem as problem:
                    return Trouble(error=failed(place, item, f"{name}: {problem.message}"))
                if isinstance(value, Noted):
                    value = value.value
            if value in (None, ""):
                value = rule.default
            if value is None and rule.required:
                return Trouble(error=failed(place, item, f"{name} is empty"))
            data = with_path(data, name, encode({"": value})[""])
        return emit("out", self._placed(item, data))

    def _placed(self, item: Item, data: dict[str, Any]) -> dict[str, Any]:
        return data if self.into is None else with_path(item.data, self.into, data)

    async def _by_mapping(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        pair = await place.world.pair(self.pair or "")
        entity = pair.entities.get(self.entity or "")
        if entity is None:
            known = ", ".join(pair.entities)
            told = failed(place, items[0], f"pair {pair.name} has no Entity {self.entity}; it has {known}")
            return [Trouble(error=told) for _ in items]
        mapping = entity.side(self.side).mapping

        def one(at: Place, item: Item) -> Result:
            given = item.data if self.from_ is None else at_path(item.data, self.from_)
            if not isinstance(given, Mapping):
                return Trouble(error=failed(at, item, f"there is no record at {self.from_}"))
            if self.direction == "read":
                read = mapping.read(given)
                values, problems = encode(read.values), read.problems
            else:
                typed = decode(entity.canonical, given)
                written = mapping.write(typed, list(typed), None)
                values, problems = encode(written.values), written.problems
            blocking = [p for p in problems if p.severity == "block"]
            if blocking:
                return Trouble(error=failed(at, item, "; ".join(f"{p.field}: {p.message}" for p in blocking)))
            return emit("out", self._placed(item, values))

        return [guarded(one, place, item) for item in items]


class LookUp(Node):
    """Puts a table's value in place of another: one written here, or one of a pair's look-up tables."""

    LABEL: ClassVar[str] = "Look up"
    GROUP: ClassVar[Any] = "shape"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "The value was found.", "missing": "The table does not know it."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"key": "item.method", "values": {"dhl": "DHL Paket"}, "into": "carrier"},
        input={"method": "dhl"},
        output={"method": "dhl", "carrier": "DHL Paket"},
    )

    type: Literal["look_up"] = "look_up"
    key: Cel = Field(description="What is looked up.")
    into: Path = Field(description="Where the value goes.")
    values: dict[str, Any] | None = Field(None, description="The table itself: what is looked up to its value.")
    pair: PairRole | None = Field(None, description="The pair whose look-up tables are used.")
    table: str | None = Field(None, description="With `pair`: the table.")
    system: str | None = Field(None, description="With `pair`: the system whose value is looked up or wanted.")
    backwards: bool = Field(False, description="With `pair`: from the canonical value to the system's.")
    default: Any = Field(None, description="The value where the table knows none; then nothing is missing.")

    @model_validator(mode="after")
    def _one_table(self) -> LookUp:
        if (self.values is None) == (self.pair is None):
            raise ValueError("give either values or pair")
        if self.pair is not None and not (self.table and self.system):
            raise ValueError("with pair, give table and system as well")
        return self

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        tables = None if self.pair is None else await place.world.lookups(self.pair)

        def one(at: Place, item: Item) -> Result:
            wanted = text_of(self.key, item)
            if tables is None:
                found: Any = (self.values or {}).get(wanted, self.default)
            elif self.backwards:
                found = tables.from_canonical(self.table or "", self.system or "", wanted) or self.default
            else:
                found = tables.to_canonical(self.table or "", self.system or "", wanted) or self.default
            if found is None:
                return emit("missing", item.data)
            return emit("out", with_path(item.data, self.into, found))

        return [guarded(one, place, item) for item in items]


class Check(Config):
    """One rule: what must be true, what it means when it is not."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the rule.")
    check: Cel = Field(description="True is good.")
    message: str = Field(min_length=3, description="What is wrong, for people.")
    severity: Literal["block", "warn"] = Field("block", description="block holds the item, warn lets it pass.")


class Validate(Pure):
    """Checks rules before anything is posted: a broken one of severity block leaves by `error`, a warning is noted."""

    LABEL: ClassVar[str] = "Validate"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "Every blocking rule is kept; `warnings` lists the others."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={
            "rules": [{"name": "has-lines", "check": "size(item.lines) > 0", "message": "The order has no lines."}]
        },
        input={"lines": [{"sku": "A"}]},
        output={"lines": [{"sku": "A"}]},
    )

    type: Literal["validate"] = "validate"
    rules: list[Check] = Field(min_length=1, description="The rules, in the order they are reported.")

    @field_validator("rules")
    @classmethod
    def _names_differ(cls, rules: list[Check]) -> list[Check]:
        names = [rule.name for rule in rules]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands there twice")
        return rules

    def each(self, place: Place, item: Item) -> Result:
        broken: dict[str, list[dict[str, str]]] = {"block": [], "warn": []}
        for rule in self.rules:
            try:
                good, message = value_of(rule.check, item) is True, rule.message
            except TransformProblem as problem:
                good, message = False, f"the rule {rule.name} cannot be decided: {problem.message}"
            if not good:
                broken[rule.severity].append({"rule": rule.name, "message": message})
        if broken["block"]:
            return Trouble(
                error=InvalidRecord(
                    f"validating {item.key} in {place.flow}.{place.node}",
                    record=item.key,
                    answered=" ".join(b["message"] for b in broken["block"]),
                    hint="Correct the record where it is kept, or edit the dead letter, then retry.",
                    facts={"rules": [b["rule"] for b in broken["block"]]},
                )
            )
        data = {**item.data, "warnings": broken["warn"]} if broken["warn"] else item.data
        return emit("out", data)
