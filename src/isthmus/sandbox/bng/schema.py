"""The typed form of entities.yaml: what every other module knows about entities, shapes and fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

Doc = dict[str, Any]
"""A stored record: JSON values only, decimals as text with their fixed places, instants as RFC 3339 UTC."""

DECIMAL_PLACES: Mapping[str, int] = {"price": 4, "amount": 2, "quantity": 4, "percent": 4, "rate": 8}

FieldType = Literal[
    "string", "integer", "boolean", "date", "datetime", "enum", "address", "object", "list",
    "price", "amount", "quantity", "percent", "rate",
]  # fmt: skip


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One field as described in entities.yaml; `name` is filled in from the key it stands under."""

    type: FieldType
    name: str = ""
    max: int | None = None
    required: bool = False
    readonly: bool = False
    values: tuple[str, ...] = ()
    default: Any = None
    min: int | None = None
    ref: str | None = None
    of: str | None = None
    format: Literal["email", "currency", "country", "period", "positive"] | None = None
    filter: bool = False
    unique: bool = False
    fold: bool = False
    digits: bool = False
    note: str = ""


class EventRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When an event is told: on which writes, only if one of `changes` changed, only to one of `becomes`."""

    on: tuple[Literal["create", "update"], ...]
    changes: tuple[str, ...] = ()
    becomes: tuple[str, ...] = ()


class Entity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of the twelve entities. `fields` is complete and in wire order: id first, the shared ones included.

    `external` says whether ExternalID must be given: `born_here` entities may lack it when BNG's own people made
    them. An entity with a `parent` lives in the parent's LineItems.
    """

    path: str
    id: str
    label: str
    external: Literal["required", "optional", "born_here"]
    fields: Mapping[str, Field]
    name: str = ""
    parent: str | None = None
    any_of: tuple[tuple[str, ...], ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    unique_together: tuple[str, ...] = ()
    events: Mapping[str, EventRule] = msgspec.field(default_factory=dict)

    @property
    def columns(self) -> Iterator[Field]:
        """The fields that lists can be filtered by, ExternalID left out as it has its own column."""
        return (f for f in self.fields.values() if f.filter and f.name != "ExternalID")

    @property
    def references(self) -> Iterator[Field]:
        """The fields at the top of the record that point to other records."""
        return (f for f in self.fields.values() if f.ref)


class Catalogue(msgspec.Struct, frozen=True):
    """Everything that is described: entities and shapes by name."""

    entities: Mapping[str, Entity]
    shapes: Mapping[str, Mapping[str, Field]]

    def fields_of(self, shape: str) -> Mapping[str, Field]:
        """The fields of a shape, or of an entity that lives inside a list."""
        return self.entities[shape].fields if shape in self.entities else self.shapes[shape]

    @property
    def roots(self) -> Iterator[Entity]:
        """The entities with a table of their own."""
        return (entity for entity in self.entities.values() if entity.parent is None)

    def lines_of(self, entity: Entity) -> Entity | None:
        """The entity that lives in this one's LineItems."""
        return next((e for e in self.entities.values() if e.parent == entity.name), None)

    @property
    def by_path(self) -> Mapping[str, Entity]:
        """Root entities by the plural in their URL."""
        return {entity.path: entity for entity in self.roots}

    @property
    def event_types(self) -> tuple[str, ...]:
        """Every event of the catalogue, like `customer.created`."""
        return tuple(f"{entity.name}.{event}" for entity in self.entities.values() for event in entity.events)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every OAuth scope."""
        pairs = [f"{entity.path}:{verb}" for entity in self.roots for verb in ("read", "write")]
        return (*pairs, "webhooks:manage")


class _Shared(msgspec.Struct, forbid_unknown_fields=True):
    before: dict[str, Field]
    after: dict[str, Field]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    shared: _Shared
    shapes: dict[str, dict[str, Field]]
    entities: dict[str, Entity]


def _named(fields: Mapping[str, Field]) -> dict[str, Field]:
    return {name: msgspec.structs.replace(field, name=name) for name, field in fields.items()}


def _completed(name: str, entity: Entity, shared: _Shared) -> Entity:
    key = Field(type="string", max=36, readonly=True, note="Given by BNG.")
    before = dict(shared.before)
    if entity.external == "required":
        before["ExternalID"] = msgspec.structs.replace(before["ExternalID"], required=True)
    elif entity.external == "born_here":
        note = before["ExternalID"].note + " Must be given through the API; null on records typed into BNG itself."
        before["ExternalID"] = msgspec.structs.replace(before["ExternalID"], required=True, note=note)
    fields = _named({entity.id: key, **before, **entity.fields, **shared.after})
    return msgspec.structs.replace(entity, name=name, fields=fields)


@cache
def catalogue() -> Catalogue:
    """The catalogue in entities.yaml; read once."""
    raw = files(__package__).joinpath("entities.yaml").read_bytes()
    told = msgspec.yaml.decode(raw, type=_File)
    entities = {name: _completed(name, entity, told.shared) for name, entity in told.entities.items()}
    return Catalogue(entities, {name: _named(fields) for name, fields in told.shapes.items()})
