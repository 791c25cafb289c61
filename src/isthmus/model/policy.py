"""Who decides: per field the owner, newest or ask; what empties and deletes do; how much is too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Literal

Side = Literal["left", "right"]


def other(side: Side) -> Side:
    """The opposite side."""
    return "right" if side == "left" else "left"


class Rule(StrEnum):
    """What happens when both sides changed a field differently since the Base."""

    LEFT = "left"  # the left side owns the field: its value is written right, also over a lone edit there
    RIGHT = "right"  # the right side owns the field
    NEWEST = "newest"  # the later edit wins; when that cannot be told, `otherwise` decides
    ASK = "ask"  # the field is held for a person
    ORIGIN = "origin"  # the side on which the record was made owns the field


class Empties(StrEnum):
    """What an empty value on one side does to a filled one on the other."""

    TRAVEL = "travel"  # emptying a field is an edit like any other
    KEEP = "keep"  # an empty never replaces a filled value


class Deletes(StrEnum):
    """What a record deleted on one side does to its counterpart."""

    ARCHIVE = "archive"
    DELETE = "delete"
    IGNORE = "ignore"


Direction = Literal["both", "to_right", "to_left", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPolicy:
    """How one field is kept in agreement.

    `rule` settles a conflict. With `strict`, an owner's value also replaces an edit made only on the other
    side (the other side is a projection); without it a lone edit travels either way. `otherwise` is used when
    `newest` cannot tell. `direction` limits where values may be written at all.
    """

    rule: Rule = Rule.NEWEST
    otherwise: Rule = Rule.LEFT
    empties: Empties = Empties.TRAVEL
    strict: bool = False
    direction: Direction = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Limits for one go: beyond them the lane stops before writing and asks (SafetyLimit)."""

    writes: int = 5_000
    deletes_percent: float = 5.0
    deletes_floor: int = 20
    loop_writes: int = 30
    loop_minutes: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalsPolicy:
    """What becomes of totals of a document that differ between the sides by more than `tolerance`.

    `reject` holds the document. `rounding_line` adds a line, `adjust` changes a price, for differences up to `most`.
    """

    differences: Literal["reject", "rounding_line", "adjust"] = "reject"
    tolerance: Decimal = Decimal(0)
    most: Decimal = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityPolicy:
    """The Policy of one Entity in one pair; `fields` overrides the canonical defaults."""

    fields: dict[str, FieldPolicy]
    deletes: Deletes = Deletes.ARCHIVE
    create_left: bool = True
    create_right: bool = True
    first_match_owner: Side = "left"
    guard: Guard = Guard()
    totals: TotalsPolicy = TotalsPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Which side owns a whole record, by the value of its `field`, and the Policy that each owner's records have.

    The owner's side is copied to the other one: an edit made only there is put back. `sides` has values in lower case.
    """

    field: str
    sides: Mapping[str, Side]
    policies: Mapping[Side, EntityPolicy]

    def of(self, value: str) -> Side | None:
        """The owner of records with this value; None where nobody has said so."""
        return self.sides.get(value.strip().casefold())
