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
    """

    field: str
    strong: bool = True
    normalise: str = "casefold"  # casefold | alphanumeric | vat | email | phone


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalField(Field):
    """A field of a canonical Entity with the Policy it has unless the pair says otherwise."""

    policy: FieldPolicy = field(default_factory=FieldPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalEntity:
    """A kind of thing in the middle: typed, exact decimals, ISO codes, UTC."""

    name: str
    label: str
    fields: Mapping[str, CanonicalField]
    match: tuple[MatchKey, ...] = ()
    depends_on: tuple[str, ...] = ()
    status_field: str | None = "active"
    _references: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = {f.name: f.target for f in self.fields.values() if f.type is FieldType.REFERENCE and f.target}
        object.__setattr__(self, "_references", found)

    def references(self) -> Mapping[str, str]:
        """Reference fields and the Entity each points to."""
        return self._references


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
    out: dict[str, Value] = {}
    for name, value in stored.items():
        kind = entity.fields[name].type if name in entity.fields else None
        if value is None or kind is None:
            out[name] = value
        elif kind is FieldType.DECIMAL:
            out[name] = Decimal(value)
        elif kind is FieldType.DATE:
            out[name] = date.fromisoformat(value)
        elif kind is FieldType.DATETIME:
            out[name] = datetime.fromisoformat(value)
        elif kind is FieldType.REFERENCE and isinstance(value, dict):
            out[name] = Ref(value["entity"], value["key"])
        else:
            out[name] = value
    return out


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
