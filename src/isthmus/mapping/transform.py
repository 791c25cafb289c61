"""What a transform is: a described, typed step between a raw and a canonical value, with its inverse and examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from isthmus.mapping.lookups import Lookups
from isthmus.mapping.rates import Rates
from isthmus.model.schema import Field

PLUGINS = "isthmus.transforms"
"""The entry points by which installed packages bring transforms of their own."""

StepFunction = Callable[[Any, Mapping[str, Any]], Any]
"""Takes a value and the raw record around it (reading: the record read; writing: as it is now, {} on create)."""


@dataclass(frozen=True, slots=True)
class Step:
    """A transform bound to its options: `read` turns raw towards canonical, `write` is the inverse (None: no inverse).

    An empty value passes by unless `sees_empty`. `paths` are raw paths the step looks at besides its own value.
    `implies` says what the system itself makes of a written value: it takes the canonical value and what is written,
    and returns raw values. Where a step `insists`, a value that it cannot write holds the record; else it stays away.
    """

    name: str
    read: StepFunction
    write: StepFunction | None
    sees_empty: bool = False
    paths: tuple[str, ...] = ()
    implies: StepFunction | None = None
    insists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a transform may know while it is compiled: its system, the paths and field it serves, and the tables."""

    system: str = ""
    paths: Mapping[str, str] = field(default_factory=dict)
    canonical: Field | None = None
    raw: Field | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    lookups: Lookups = field(default_factory=Lookups)
    rates: Rates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One line of documentation that is also a test.

    `raw` read gives `value`; `value` written gives `back` (default: `raw`). `problem` is part of the expected message.
    """

    raw: Any = None
    value: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    back: Any = ...
    record: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    one_way: bool = False


Takes = Literal["value", "parts", "either"]
"""What stands before a step: one raw value, part → value from several paths, or either."""


class Transform(BaseModel):
    """A kind of step in the catalogue; its fields are the options a person fills in, its docstring the help."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ClassVar[str]
    label: ClassVar[str]
    group: ClassVar[str] = "values"
    main: ClassVar[str | None] = None
    takes: ClassVar[Takes] = "value"
    examples: ClassVar[tuple[Example, ...]] = ()
    registry: ClassVar[dict[str, type[Transform]]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            Transform.registry[cls.name] = cls

    def build(self, at: Build) -> Step:
        """The step for one place in one mapping."""
        raise NotImplementedError

    def step(
        self,
        read: StepFunction,
        write: StepFunction | None = None,
        *,
        sees_empty: bool = False,
        paths: Iterable[str] = (),
        implies: StepFunction | None = None,
        insists: bool = False,
    ) -> Step:
        """A Step that carries this transform's name."""
        return Step(self.name, read, write, sees_empty, tuple(paths), implies, insists)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One entry of the catalogue, as documentation and forms need it; `options` is a JSON schema."""

    name: str
    label: str
    group: str
    help: str
    options: Mapping[str, Any]
    takes: Takes
    examples: tuple[Example, ...]


def catalogue() -> list[Described]:
    """Every transform there is, by group and name."""
    return [
        Described(
            name=kind.name,
            label=kind.label,
            group=kind.group,
            help=" ".join((kind.__doc__ or "").split()),
            options=kind.model_json_schema(),
            takes=kind.takes,
            examples=kind.examples,
        )
        for kind in sorted(_registry().values(), key=lambda k: (k.group, k.name))
    ]


def transform(name: str) -> type[Transform]:
    """The transform of that name; KeyError says the nearest name there is."""
    registry = _registry()
    if name not in registry:
        near = get_close_matches(name, registry, 1)
        raise KeyError(f"no transform is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return registry[name]


def _registry() -> dict[str, type[Transform]]:
    import isthmus.mapping.transforms  # noqa: F401  # fills the registry

    _load_installed()
    return Transform.registry


@cache
def _load_installed() -> None:
    """Transforms of installed packages: importing what their entry points name fills the registry."""
    for point in sorted(entry_points(group=PLUGINS), key=lambda p: p.name):
        point.load()


def no_change(value: Any, _record: Mapping[str, Any]) -> Any:
    """The step function that leaves a value as it is."""
    return value
