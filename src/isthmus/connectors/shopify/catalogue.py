"""The Entities of a shop: which fields each has, and what is asked of the API for them. The table is entities.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from isthmus.sdk import EntitySchema, Field, FieldType, SchemaDrift

Shape = str
"""one: a value or an object; list: objects in a plain list; connection: objects in pages."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field, inside an Entity or inside an object of it.

    `wire` is where the API has it, perhaps inside an object; `arguments` go with the first name of it. `inner` are
    the fields of an object. `pick` takes one row out of a list of named quantities.
    """

    name: str
    type: FieldType
    wire: tuple[str, ...]
    arguments: str = ""
    shape: Shape = "one"
    inner: Mapping[str, Part] = field(default_factory=dict)
    target: str | None = None
    writable: bool = False
    search: str | None = None
    pick: str | None = None
    choices: tuple[str, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Entity:
    """One Entity.

    `kind` is its type in the API, `root` the list it is read from (fulfilments and refunds: their orders'; levels:
    their locations'). `custom_id` names the query by the id of another system. `topics` are its webhooks.
    """

    name: str
    label: str
    kind: str
    root: str
    fields: Mapping[str, Part]
    sorted_by_update: bool = False
    custom_id: str | None = None
    owner_type: str | None = None
    creates: bool = False
    updates: bool = False
    topics: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    def part(self, path: str) -> Part:
        """The field a path ends at; SchemaDrift when there is none."""
        parts: Mapping[str, Part] = self.fields
        found: Part | None = None
        for step in path.split("."):
            found = parts.get(step)
            if found is None:
                known = ", ".join(sorted(parts)) or "none: it is a plain value"
                raise SchemaDrift(f"reading {self.name}: it has no field {path}", hint=f"Its fields there are {known}.")
            parts = found.inner if found.shape == "one" else {}
        assert found is not None  # a path has at least one step
        return found

    def schema(self) -> EntitySchema:
        """As it is described to people."""
        return EntitySchema(
            name=self.name,
            label=self.label,
            fields={name: _field(part) for name, part in self.fields.items()},
            can_create=self.creates,
            can_update=self.updates,
        )


def entity(name: str) -> Entity:
    """An Entity by name; SchemaDrift lists the known ones."""
    found = entities().get(name)
    if found is None:
        raise SchemaDrift(f"looking for {name}: a shop has no such entity", hint=f"It has {', '.join(entities())}.")
    return found


@lru_cache(maxsize=1)
def entities() -> Mapping[str, Entity]:
    """Every Entity by name."""
    told = yaml.safe_load(Path(__file__).with_name("entities.yaml").read_text(encoding="utf-8"))
    shapes: Mapping[str, Any] = told["shapes"]
    return {name: _entity(name, given, shapes) for name, given in told["entities"].items()}


def _entity(name: str, given: Mapping[str, Any], shapes: Mapping[str, Any]) -> Entity:
    return Entity(
        name=name,
        label=given["label"],
        kind=given["kind"],
        root=given["root"],
        fields=_parts(given["fields"], shapes),
        sorted_by_update=given.get("sorted_by_update", False),
        custom_id=given.get("custom_id"),
        owner_type=given.get("owner_type"),
        creates=given.get("creates", False),
        updates=given.get("updates", False),
        topics=tuple(given.get("topics", ())),
        reads=tuple(given.get("reads", ())),
        writes=tuple(given.get("writes", ())),
    )


def _parts(given: Mapping[str, Any], shapes: Mapping[str, Any]) -> dict[str, Part]:
    return {name: _part(name, told, shapes) for name, told in given.items()}


def _part(name: str, told: Any, shapes: Mapping[str, Any]) -> Part:
    """A field written as `type flag flag`, or as a mapping with `is` and more."""
    more: Mapping[str, Any] = told if isinstance(told, Mapping) else {"is": told}
    kind, *flags = str(more["is"]).split()
    wire = tuple(str(more.get("wire", name)).split(" > "))
    part = Part(
        name=name,
        type=FieldType.OBJECT,
        wire=wire,
        arguments=str(more.get("with", "")),
        writable="write" in flags,
        search=more.get("search"),
        pick=more.get("pick"),
        choices=tuple(more.get("choices", ())),
        label=str(more.get("label", "")),
    )
    if kind in ("list", "connection"):
        inner = shapes[more["of"]] if isinstance(more["of"], str) else more["of"]
        return replace(part, type=FieldType.LIST, shape=kind, inner=_parts(inner, shapes))
    if kind == "reference":
        return replace(part, type=FieldType.REFERENCE, target=flags[0])
    if kind in shapes:
        return replace(part, inner=_parts(shapes[kind], shapes))
    if kind == "values":
        return replace(part, type=FieldType.LIST)
    return replace(part, type=FieldType(kind))


def _field(part: Part) -> Field:
    return Field(
        name=part.name,
        type=part.type,
        label=part.label or part.name,
        readonly=not part.writable,
        target=part.target,
        choices=tuple((choice, choice) for choice in part.choices),
        searchable=part.search is not None,
    )
