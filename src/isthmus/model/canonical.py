"""The neutral form of each Entity: names, types, match keys and default Policies, described once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from isthmus.model.policy import FieldPolicy
from isthmus.model.schema import Field, FieldType


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchKey:
    """One way to recognise a counterpart.

    A `strong` key that is unique on both sides links by itself, and two records whose strong keys disagree
    never link. A weak key (e-mail, fuzzy name) only ever proposes: it makes the match uncertain.
    `also` are further fields without which it is no key: stock is known by its product together with its warehouse.
    """

    field: str
    also: tuple[str, ...] = ()
    strong: bool = True
    normalise: str = "casefold"  # casefold | alphanumeric | vat | email | phone


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalField(Field):
    """A field of a canonical Entity with the Policy it has unless the pair says otherwise.

    `items` describes the parts of each row where the field is a list of rows, like the lines of an order.
    `later` is for a reference that a record can do without at first: where what it refers to is not linked yet, the
    record is written without it and the reference follows in a second pass. So a ring of managers can come over.
    `soft` is for a reference to a record that the pair may well not know: while it is not linked, it is not told.
    """

    policy: FieldPolicy = field(default_factory=FieldPolicy)
    later: bool = False
    soft: bool = False
    items: Mapping[str, CanonicalField] = field(default_factory=dict)

    @property
    def row_references(self) -> Mapping[str, str]:
        """The parts of each row that refer to other records, and the Entity each points to."""
        return {p.name: p.target for p in self.items.values() if p.type is FieldType.REFERENCE and p.target}


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The amounts of a document that both systems work out, and how they can be brought together.

    `compared` are decimal fields; the last one is the total that has to agree. `rounding` is a field that takes up a
    difference as a row of its own, `lines` the rows and `price` the part of a row that takes it up otherwise.
    """

    compared: tuple[str, ...]
    rounding: str | None = None
    lines: str | None = None
    price: str = "unit_price"
    quantity: str = "quantity"
    amount: str = "total"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalEntity:
    """A kind of thing in the middle: typed, exact decimals, ISO codes, UTC.

    `owned_by` names the field whose value decides which side owns a whole record; the pair has to say so for each
    value. `as_of` names the field that says when the record was true: it travels with other fields, is never a reason
    to write, and what is older than what was agreed last is not taken over. `extends` names the shipped Entity that
    one of a pair's own is made from, whose Mappings and rules serve it as well.
    """

    name: str
    label: str
    fields: Mapping[str, CanonicalField]
    match: tuple[MatchKey, ...] = ()
    depends_on: tuple[str, ...] = ()
    status_field: str | None = "active"
    totals: Totals | None = None
    owned_by: str | None = None
    as_of: str | None = None
    extends: str | None = None
    _references: Mapping[str, str] = field(init=False, repr=False, compare=False)
    _above: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _later: frozenset[str] = field(init=False, repr=False, compare=False)
    _soft: frozenset[str] = field(init=False, repr=False, compare=False)
    _row_references: Mapping[str, Mapping[str, str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = {f.name: f.target for f in self.fields.values() if f.type is FieldType.REFERENCE and f.target}
        later = frozenset(f.name for f in self.fields.values() if f.later)
        object.__setattr__(self, "_references", found)
        object.__setattr__(self, "_later", later)
        object.__setattr__(self, "_soft", frozenset(f.name for f in self.fields.values() if f.soft))
        object.__setattr__(self, "_above", tuple(n for n, to in found.items() if to == self.name and n not in later))
        rows = {f.name: refs for f in self.fields.values() if f.items and (refs := f.row_references)}
        object.__setattr__(self, "_row_references", rows)

    def references(self) -> Mapping[str, str]:
        """Reference fields and the Entity each points to."""
        return self._references

    def is_kind_of(self, name: str) -> bool:
        """Whether Mappings and rules for the Entity of that name serve this one."""
        return name in (self.name, self.extends)

    @property
    def above(self) -> tuple[str, ...]:
        """References to a record of the same kind that this one belongs to and whose keys it repeats."""
        return self._above

    @property
    def later(self) -> frozenset[str]:
        """References that may follow in a second pass."""
        return self._later

    @property
    def soft(self) -> frozenset[str]:
        """References that are not told while what they refer to is not linked."""
        return self._soft

    def row_references(self) -> Mapping[str, Mapping[str, str]]:
        """Fields that hold rows, and in them the reference parts with the Entity each points to."""
        return self._row_references


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference read on one side, before it is resolved through Links."""

    entity: str
    key: str


# What a canonical value may be. Addresses are plain dicts with the keys of ADDRESS_PARTS; a resolved
# reference is the Link's id as int, an unresolved one a Ref.
Value = str | int | bool | Decimal | date | datetime | Ref | dict[str, Any] | list[Any] | None

ADDRESS_PARTS = ("name", "line1", "line2", "city", "state", "postal_code", "country", "phone")


def encode(values: Mapping[str, Value]) -> dict[str, Any]:
    """Plain JSON values for storage: decimals as normalised text, dates and instants as ISO 8601."""
    return {name: value if type(value) in _AS_THEY_ARE else _plain(value) for name, value in values.items()}


def decode(entity: CanonicalEntity, stored: Mapping[str, Any]) -> dict[str, Value]:
    """The typed values that `encode` stored; fields the Entity does not know stay as they are."""
    return {name: _typed(entity.fields.get(name), value) for name, value in stored.items()}


def _typed(described: CanonicalField | None, value: Any) -> Any:
    if value is None or described is None:
        return value
    kind = described.type
    if kind is FieldType.DECIMAL:
        return Decimal(value)
    if kind is FieldType.DATE:
        return date.fromisoformat(value)
    if kind is FieldType.DATETIME:
        return datetime.fromisoformat(value)
    if kind is FieldType.REFERENCE and isinstance(value, dict):
        return Ref(value["entity"], value["key"])
    if kind is FieldType.LIST and described.items and isinstance(value, list):
        parts = described.items
        return [
            {name: _typed(parts.get(name), inner) for name, inner in row.items()} if isinstance(row, dict) else row
            for row in value
        ]
    return value


def plain_decimal(value: Decimal) -> str:
    """One text per number: no exponent, no trailing zeros, no minus zero."""
    if value == 0:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


_AS_THEY_ARE = frozenset({str, bool, int, float, type(None)})


def _plain(value: Any) -> Any:
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, Decimal):
        return plain_decimal(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Ref):
        return {"entity": value.entity, "key": value.key}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
