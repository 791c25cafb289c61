"""The pair file: which Entities of two Connections agree, by which Mappings and Policies. Every error has its path."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from isthmus.model.policy import Deletes, Empties, Rule, Side


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldPolicyFile(_Part):
    """How one field is kept in agreement; what is left out keeps the canonical default."""

    rule: Rule | None = Field(None, description="Who wins when both sides changed the field: left, right, newest, ask.")
    otherwise: Rule | None = Field(None, description="Who wins when `newest` cannot be told.")
    empties: Empties | None = Field(None, description="Whether emptying a field travels or a filled value is kept.")
    strict: bool | None = Field(
        None, description="The owner's value also replaces an edit made only on the other side."
    )
    direction: Literal["both", "to_right", "to_left", "none"] | None = Field(
        None, description="Where values of this field may be written at all."
    )


class GuardFile(_Part):
    """Limits beyond which a lane stops before writing and asks."""

    writes: int = Field(5000, ge=1, description="Writes planned in one go.")
    deletes_percent: float = Field(5.0, ge=0, le=100, description="Share of looked-at records deleted on one side.")
    deletes_floor: int = Field(20, ge=0, description="Deletions in one go that are always allowed.")
    loop_writes: int = Field(30, ge=2, description="Writes to one record within the loop time before it is held.")
    loop_minutes: int = Field(10, ge=1, description="The loop time, in minutes.")


class SideFile(_Part):
    """One side of an Entity."""

    mapping: str = Field(description="A Mapping by name: one of the pair's own files or one that ships.")
    scope: object | None = Field(None, description="Filter in the system's own language; replaces the Mapping's scope.")
    adopt: Literal["scope", "asked", "linked"] = Field(
        "scope",
        description="Which unlinked records take part: all in scope, those that a flow or a record needs, or none.",
    )
    create_when: str | None = Field(
        None, description="CEL over the canonical fields: records are created on this side only where it holds."
    )
    poll_seconds: float | None = Field(None, gt=0, description="How often this side is polled for this Entity.")


class TotalsFile(_Part):
    """What becomes of a document whose totals differ between the sides."""

    differences: Literal["reject", "rounding_line", "adjust"] = Field(
        "reject", description="Hold the document, add a line for the difference, or change a price by it."
    )
    tolerance: Decimal = Field(Decimal(0), ge=0, description="A difference up to this is none.")
    most: Decimal = Field(Decimal("0.01"), ge=0, description="The largest difference that is settled by itself.")


class OwnersFile(_Part):
    """Which side owns a record, by the value of one of its fields: stock by its warehouse."""

    left: list[str] = Field(default_factory=list, description="Values whose records the left side owns.")
    right: list[str] = Field(default_factory=list, description="Values whose records the right side owns.")


class EntityFile(_Part):
    """One Entity of the pair."""

    left: SideFile = Field(description="The left side, usually Odoo.")
    right: SideFile = Field(description="The right side.")
    deletes: Deletes = Field(Deletes.ARCHIVE, description="What a record deleted on one side does to its counterpart.")
    create_left: bool = Field(True, description="Whether records of the right side are created on the left.")
    create_right: bool = Field(True, description="Whether records of the left side are created on the right.")
    first_match_owner: Side = Field("left", description="Whose value stands where two records first meet and differ.")
    shares: str | None = Field(None, description="The Entity that owns the fields when a record serves both.")
    rules: list[str] = Field(default_factory=list, description="Validation rule files, by name.")
    owners: OwnersFile | None = Field(None, description="Who owns which records, where an Entity is owned by a value.")
    guard: GuardFile = Field(GuardFile.model_validate({}), description="Limits for one go.")
    totals: TotalsFile = Field(TotalsFile.model_validate({}), description="What becomes of totals that differ.")
    fields: dict[str, FieldPolicyFile] = Field(default_factory=dict, description="Policies that differ from default.")


class PairFile(_Part):
    """A whole pair, without secrets: what `isthmus pair export` writes and `pair apply` reads."""

    pair: str = Field(description="The pair's name.")
    left: str = Field(description="Name of the left Connection.")
    right: str = Field(description="Name of the right Connection.")
    environment: Literal["sandbox", "production"] = Field("sandbox", description="Where this pair belongs.")
    settings: dict[str, object] = Field(
        default_factory=dict, description="Values the Mappings use: default country and region, currencies, time zone."
    )
    sweep_hours: float = Field(24.0, ge=0, description="How often everything is compared; 0 only on demand.")
    entities: dict[str, EntityFile] = Field(description="The Entities kept in agreement.")
