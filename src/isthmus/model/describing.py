"""The vocabulary in which canonical Entities are described: one line per field, and the Policies most fields have."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from isthmus.model.canonical import CanonicalEntity, CanonicalField
from isthmus.model.policy import FieldPolicy, Rule
from isthmus.model.schema import FieldType

NEWEST = FieldPolicy(rule=Rule.NEWEST, otherwise=Rule.LEFT)
"""People on both sides keep it up to date, so the later edit is right; where that cannot be told, the left side."""
LEFT = FieldPolicy(rule=Rule.LEFT)
"""The books are kept on the left side (usually Odoo)."""
RIGHT = FieldPolicy(rule=Rule.RIGHT)
"""Only the right side works with it."""
LEFT_ONLY = FieldPolicy(rule=Rule.LEFT, strict=True)
"""The left side owns it and the right side shows it: an edit made only there is put back."""
RIGHT_ONLY = FieldPolicy(rule=Rule.RIGHT, strict=True)
"""The right side owns it and the left side shows it: an edit made only there is put back."""
ASK = FieldPolicy(rule=Rule.ASK)
"""It identifies the record: two different edits mean a mistake that a person has to see."""


def described(name: str, kind: FieldType, label: str, help: str, policy: FieldPolicy, **more: Any) -> CanonicalField:
    """A field with its sentence and the Policy it has unless the pair says otherwise."""
    return CanonicalField(name=name, type=kind, label=label, help=help, policy=policy, **more)


def entity_of(name: str, label: str, fields: Iterable[CanonicalField], **more: Any) -> CanonicalEntity:
    """An Entity of these fields, by name."""
    return CanonicalEntity(name=name, label=label, fields=MappingProxyType({f.name: f for f in fields}), **more)
