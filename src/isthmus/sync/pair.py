"""What the sync core works on: a Pair with its Entities, both sides bound to connectors and compiled mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from isthmus.mapping.cel import Expression
from isthmus.mapping.compiled import CompiledMapping
from isthmus.mapping.rules import Rule
from isthmus.model.canonical import CanonicalEntity
from isthmus.model.policy import EntityPolicy, Owners, Side
from isthmus.sdk.connector import Connector, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBinding:
    """One side of one Entity: where it is read and written, and through which Mapping.

    `adopt` says which unlinked records take part: all in `scope`, those that somebody asks for (`asked`: a flow, a
    record that refers to one, or a person), or none (`linked`: only records that a Link already leads to, as for
    parent products that only the other side can tell apart). `create_when` is a condition over the canonical values
    without which no record is made here.
    """

    side: Side
    connection_id: int
    connection: str
    connector: Connector
    mapping: CompiledMapping
    entity: str
    scope: Scope | None = None
    adopt: Literal["scope", "asked", "linked"] = "scope"
    create_when: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityBinding:
    """One Entity of a Pair, ready to be kept in agreement.

    `shares` names the Entity that owns the fields both have when one physical record serves two Entities;
    `siblings` are Entities of the same kind of record that take only linked ones: theirs are not adopted here.
    `extensions` are Entities of the same kind of record that extend this one: a won lead refers to the customer it
    became. `foreign_policy` is this Entity's Policy for such a record: shared fields are only projected from the left.
    `by_origin` are the Policies of records made on either side, where that decides which side owns a field.
    `crowded`: another Entity of the pair creates records of the same kind on one of the sides.
    `owners` says which side owns a record, where that goes by one of its values. `listened`: a flow wants to hear of
    every Record whose Change is applied.
    """

    pair_id: int
    pair: str
    installation: str
    name: str
    canonical: CanonicalEntity
    left: SideBinding
    right: SideBinding
    policy: EntityPolicy
    rules: Sequence[Rule] = ()
    shares: str | None = None
    foreign_policy: EntityPolicy | None = None
    by_origin: Mapping[Side, EntityPolicy] = field(default_factory=dict)
    siblings: Mapping[Side, Sequence[str]] = field(default_factory=dict)
    extensions: Mapping[Side, Sequence[str]] = field(default_factory=dict)
    crowded: bool = False
    listened: bool = False
    owners: Owners | None = None

    def side(self, side: Side) -> SideBinding:
        return self.left if side == "left" else self.right

    def mint(self, source_key: str, generation: int) -> str:
        """The external key of a record we create: unique per installation, pair, Entity, source and generation."""
        return f"{self.installation}-{self.pair_id}-{self.name}-{source_key}-{generation}"

    def minted(self, external_key: str | None) -> tuple[str, int] | None:
        """The source key and generation of an external key that `mint` made, or None for anybody else's."""
        prefix = f"{self.installation}-{self.pair_id}-{self.name}-"
        if not external_key or not external_key.startswith(prefix):
            return None
        source_key, _, generation = external_key[len(prefix) :].rpartition("-")
        return (source_key, int(generation)) if source_key and generation.isdigit() else None


@dataclass(slots=True, kw_only=True)
class PairRuntime:
    """A Pair as loaded: its Entities in dependency order."""

    id: int
    name: str
    environment: str
    version: int
    entities: dict[str, EntityBinding] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def fan_out(self, side: Side, system_entity: str) -> list[EntityBinding]:
        """The Entities that a record of this kind on this side may serve."""
        return [e for e in self.entities.values() if e.side(side).entity == system_entity]
