"""What a node is: one class with its configuration, ports, sentence and sample; everything else is derived from it.

A new node is a subclass of `Pure`, `Node` or `Effect` (see effects.py) with a `type` field, a docstring, `SAMPLE` and
its work. Classes of this package are found in `nodes/`; those of installed packages by the entry point
`isthmus.nodes`. Transforms of installed packages come by the entry point `isthmus.transforms`.
"""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from isthmus.errors import IsthmusError, MappingFailed
from isthmus.flows.item import Emit, Item, Result, Trouble, emit
from isthmus.mapping.cel import expression
from isthmus.mapping.problem import TransformProblem

if TYPE_CHECKING:
    from isthmus.flows.surroundings import Surroundings

SLUG = r"^[a-z][a-z0-9_]*$"
PLUGINS = "isthmus.nodes"
VARIABLES = ("item", "run")
"""What expressions see: the item's data, and the Run (`run.key`, `run.flow`, `run.started_at`)."""

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$")
_ITEM = re.compile(r"\bitem\b(?:\.([A-Za-z_]\w*)(?!\w|\s*\())?")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Role:
    """Marks a field that names one of the flow's roles: `connection` or `pair`."""

    kind: Literal["connection", "pair"]


def _expression(source: str) -> str:
    expression(source, VARIABLES)
    return source


def _duration(text: str) -> str:
    if not _DURATION.match(text):
        raise ValueError(f"{text!r} is no duration; write a number and ms, s, m, h or d, as 30s or 2h")
    return text


Cel = Annotated[str, AfterValidator(_expression)]
"""An expression over `item` and `run`, checked when the file is read."""
Duration = Annotated[str, AfterValidator(_duration)]
"""A length of time as people write it: 500ms, 30s, 5m, 2h, 1d."""
ConnectionRole = Annotated[str, Field(pattern=SLUG), Role("connection")]
PairRole = Annotated[str, Field(pattern=SLUG), Role("pair")]
Path = Annotated[str, Field(pattern=r"^[A-Za-z_@][\w@-]*(\.[\w@-]+)*$")]
"""A place in an item's data: names joined by dots."""


def span(text: str) -> timedelta:
    """A duration as a timedelta."""
    found = _DURATION.match(text)
    assert found is not None, text
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])


class Config(BaseModel):
    """A part of a flow file: unknown fields are errors, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Retry(Config):
    """How often an item is tried again after an error that may pass by itself."""

    times: int = Field(8, ge=0, le=1000, description="Tries after the first; then the item leaves by `error` or waits.")
    first: Duration = Field("200ms", description="The wait before the first further try; it doubles each time.")
    most: Duration = Field("60s", description="The longest wait between two tries.")

    def delay(self, attempts: int, rng: random.Random) -> float:
        """Seconds until the next try: exponential with full jitter."""
        ceiling = min(span(self.most).total_seconds(), span(self.first).total_seconds() * 2 ** min(attempts, 20))
        return rng.uniform(ceiling / 4, ceiling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An example that documents a node and stands in for it: its configuration, what comes in, what leaves."""

    config: Mapping[str, Any] = field(default_factory=dict)
    input: Mapping[str, Any] = field(default_factory=dict)
    port: str = "out"
    output: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Place:
    """Where a node works: its id, its flow, the ports that lead somewhere, the world around it, and the moment."""

    node: str
    flow: str
    now: datetime
    world: Surroundings
    ways: frozenset[str] = frozenset()

    def leads(self, port: str) -> bool:
        """Whether a port leads anywhere."""
        return port in self.ways


class Node(Config):
    """A box of a flow. Its fields are its configuration; its docstring is its sentence in palette and documents."""

    LABEL: ClassVar[str] = ""
    GROUP: ClassVar[Literal["trigger", "shape", "decide", "group", "wait", "read", "effect", "file", "assist"]]
    SAMPLE: ClassVar[Sample]
    PORTS: ClassVar[Mapping[str, str]] = {"out": "The item, worked on."}
    DYNAMIC_PORTS: ClassVar[bool] = False
    BATCH: ClassVar[int] = 100
    PURE: ClassVar[bool] = False
    TRIGGER: ClassVar[bool] = False
    EFFECT: ClassVar[bool] = False
    JOINS: ClassVar[bool] = False
    ASKS: ClassVar[bool] = False
    registry: ClassVar[dict[str, type[Node]]] = {}

    title: str = Field("", description="What it is called on the canvas.")
    note: str = Field("", description="A remark for people.")
    to: str | list[str] | dict[str, str | list[str]] | None = Field(
        None, description="Where items go: a node, several, or per port; what leads nowhere ends there."
    )
    retry: Retry | None = Field(None, description="How errors that may pass by themselves are tried again.")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "type" in inspect.get_annotations(cls):
            for word in get_args(cls.model_fields["type"].annotation):
                Node.registry[word] = cls

    @classmethod
    def kind(cls) -> str:
        """The word that stands in `type`."""
        return str(cls.model_fields["type"].default)

    @classmethod
    def summary(cls) -> str:
        """The first sentence of the docstring."""
        return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())

    def ports(self) -> tuple[str, ...]:
        """The ports of this very node, besides `error`."""
        return tuple(self.PORTS)

    def targets(self, port: str) -> tuple[str, ...]:
        """The nodes that a port leads to."""
        told = self.to
        if isinstance(told, dict):
            told = told.get(port)
        elif port != next(iter(self.ports()), ""):
            return ()
        if told is None:
            return ()
        return (told,) if isinstance(told, str) else tuple(told)

    def batch(self) -> int:
        """How many items it takes at once."""
        return self.BATCH

    def roles(self) -> list[tuple[str, str, str]]:
        """The roles it names: (field, kind of role, role)."""
        found: list[tuple[str, str, str]] = []
        for name, told in type(self).model_fields.items():
            inside = [mark for part in get_args(told.annotation) for mark in get_args(part)[1:]]
            for mark in (*told.metadata, *inside):
                value = getattr(self, name)
                if isinstance(mark, Role) and value is not None:
                    found.append((name, mark.kind, str(value)))
        return found

    def problems(self) -> list[tuple[str, str, str]]:
        """What lint says beyond the form: (field, what is wrong, what to do)."""
        return []

    def would(self, place: Place, item: Item) -> str:
        """What an effect would do, for a dry run."""
        return type(self).summary()

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        """One Result per item, in order. An exception concerns the whole batch; an item's own trouble is a Result."""
        raise NotImplementedError  # every kind of node has its own


class Pure(Node):
    """A node that only looks at the item: the same item always gives the same result, at once."""

    PURE: ClassVar[bool] = True
    GROUP: ClassVar[Any] = "shape"

    def each(self, place: Place, item: Item) -> Result:
        """The Result for one item; an error raised is this item's own."""
        raise NotImplementedError  # every kind of node has its own

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        return [guarded(self.each, place, item) for item in items]


class Trigger(Pure):
    """A node that begins Runs; what it heard is the first item's data."""

    TRIGGER: ClassVar[bool] = True
    GROUP: ClassVar[Any] = "trigger"

    when: Cel | None = Field(None, description="Only what this is true for goes on; the Run ends otherwise.")

    def each(self, place: Place, item: Item) -> Result:
        if self.when is not None and value_of(self.when, item) is not True:
            return Emit(note="the condition of the trigger is not met")
        return emit("out", item.data)


def guarded(each: Callable[[Place, Item], Result], place: Place, item: Item) -> Result:
    """An item's own trouble as a Result."""
    try:
        return each(place, item)
    except IsthmusError as error:
        return Trouble(error=error)
    except TransformProblem as problem:
        return Trouble(error=failed(place, item, problem.message))
    except Exception as error:
        # Unknown errors halt, they never loop; the other items of the batch are not concerned.
        said = f"{type(error).__name__}: {error}"
        return Trouble(error=IsthmusError(f"working on {item.key} in {place.flow}.{place.node}", answered=said))


def failed(place: Place, item: Item, said: str, hint: str | None = None) -> MappingFailed:
    """The error of a value that a node cannot work with."""
    return MappingFailed(
        f"working on {item.key} in {place.flow}.{place.node}",
        record=item.key,
        answered=said,
        hint=hint or "Correct the item (`isthmus deadletters edit`) or the flow, then retry.",
    )


@lru_cache(maxsize=4_096)
def _places(source: str) -> frozenset[str] | None:
    """Which places of an item an expression can look at; None where it may be any: handing over a whole order costs."""
    found = _ITEM.findall(source)
    return None if "" in found else frozenset(found)


def value_of(source: str, item: Item) -> Any:
    """What an expression gives for an item: plain values, numbers with decimals as text."""
    looked_at = _places(source)
    data = item.data if looked_at is None else {name: item.data[name] for name in looked_at if name in item.data}
    found = expression(source, VARIABLES)({"item": data, "run": item.run.as_dict()})
    return repr(found) if isinstance(found, float) else found


def text_of(source: str, item: Item) -> str:
    """What an expression gives, as text; empty for nothing."""
    found = value_of(source, item)
    return "" if found is None else str(found)


def at_path(data: Mapping[str, Any], path: str) -> Any:
    """The value at a path; None where there is none."""
    found: Any = data
    for part in path.split("."):
        if isinstance(found, list) and part.isdigit():
            found = found[int(part)] if int(part) < len(found) else None
        elif isinstance(found, Mapping):
            found = found.get(part)
        else:
            return None
    return found


def with_path(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The data with one place set anew; what was there is not touched."""
    name, _, rest = path.partition(".")
    inner = data.get(name)
    return {**data, name: with_path(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


_loaded: list[bool] = []


def node_types() -> Mapping[str, type[Node]]:
    """Every node there is, by its `type`: our own and those of installed packages."""
    if not _loaded:
        package = import_module("isthmus.flows.nodes")
        for module in iter_modules(package.__path__):
            import_module(f"isthmus.flows.nodes.{module.name}")
        for point in sorted(entry_points(group=PLUGINS), key=lambda p: p.name):
            point.load()
        _loaded.append(True)
    return Node.registry
