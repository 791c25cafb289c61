"""What an Entity looks like: typed fields, described once for forms, docs, mapping and codecs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class FieldType(StrEnum):
    """The types a field can have, in a system's schema and in the Canonical."""

    STRING = "string"
    TEXT = "text"
    HTML = "html"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    ENUM = "enum"
    ADDRESS = "address"
    REFERENCE = "reference"
    LIST = "list"
    OBJECT = "object"
    BINARY = "binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an Entity. `scale` is decimal places; `target` the Entity a reference points to."""

    name: str
    type: FieldType
    label: str = ""
    help: str = ""
    required: bool = False
    readonly: bool = False
    max_length: int | None = None
    scale: int | None = None
    choices: tuple[tuple[str, str], ...] = ()
    target: str | None = None
    custom: bool = False
    translated: bool = False
    per_company: bool = False
    searchable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySchema:
    """One Entity of one system as discovered: its fields and what can be done with it.

    `withheld` are fields that the system has and that are never read, each with the reason.
    """

    name: str
    label: str = ""
    fields: dict[str, Field] = field(default_factory=dict)
    can_create: bool = True
    can_update: bool = True
    can_delete: bool = False
    count: int | None = None
    withheld: dict[str, str] = field(default_factory=dict)
