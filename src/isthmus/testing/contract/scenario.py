"""What the contract suite has to know of a connector to try it: settings, sample records, what is left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from isthmus.model.schema import EntitySchema, FieldType


class EntityScenario(BaseModel):
    """Sample records of one Entity. `{n}` in a text stands for a number that no other sample has."""

    model_config = ConfigDict(extra="forbid")

    sample: dict[str, Any] = Field(
        default_factory=dict, description="A record that the system accepts, values as in JSON; empty: it is only read."
    )
    change: dict[str, Any] = Field(
        default_factory=dict, description="Fields to change on it; empty: it is never updated."
    )
    bad: dict[str, Any] = Field(default_factory=dict, description="A record that the system refuses; empty: not known.")
    missing_key: str = Field(default="0", description="A key that no record has; `{parent}` is a parent's key.")
    needs: dict[str, str] = Field(
        default_factory=dict, description="Path -> Entity of a record to make first, like `LineItems.0.ProductID`."
    )
    lossy: list[str] = Field(default_factory=list, description="Fields that come back otherwise than written.")
    skip: dict[str, str] = Field(default_factory=dict, description="Check -> why this Entity leaves it out.")


class Scenario(BaseModel):
    """A connector under test. `{server}` in a setting stands for the address that is listened on."""

    model_config = ConfigDict(extra="forbid")

    settings: dict[str, Any] = Field(description="The settings of the connection.")
    secrets: dict[str, str] = Field(default_factory=dict, description="Its secrets; made-up ones for recordings.")
    refused: dict[str, str] = Field(default_factory=dict, description="Secrets that the system does not accept.")
    reads: list[str] = Field(default_factory=list, description="Paths that only read although they are posted to.")
    entities: dict[str, EntityScenario] = Field(min_length=1)
    skip: dict[str, str] = Field(
        default_factory=dict, description="Check -> why it is left out; shown with the result."
    )


def load_scenario(path: Path) -> Scenario:
    """The scenario in a YAML file."""
    return Scenario.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def sample_values(values: Mapping[str, Any], number: str, schema: EntitySchema) -> dict[str, Any]:
    """Sample values for one record, typed as a Mapping would hand them over."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        known = schema.fields.get(name)
        out[name] = _typed(_filled(value, number), known.type if known else None)
    return out


def place(values: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a dotted path of sample values, numbers index lists; into what is not there it puts nothing."""
    *before, last = path.split(".")
    if before and before[0] not in values:
        return
    holder: Any = values
    for part in before:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    holder[last] = value


def agree(written: Any, read: Any) -> bool:
    """Whether what was read says what was written; a record may come back with more inside, never with less."""
    if isinstance(written, Mapping):
        return isinstance(read, Mapping) and all(agree(value, read.get(name)) for name, value in written.items())
    if isinstance(written, list | tuple):
        return isinstance(read, list | tuple) and len(written) == len(read) and all(map(agree, written, read))
    if isinstance(read, Decimal) and not isinstance(written, bool):
        return Decimal(str(written)) == read
    if isinstance(read, date | datetime) and isinstance(written, str):
        return read.isoformat() == written or read.isoformat().replace("+00:00", "Z") == written
    return bool(written == read)


def _filled(value: Any, number: str) -> Any:
    if isinstance(value, str):
        return value.replace("{n}", number)
    if isinstance(value, Mapping):
        return {name: _filled(inner, number) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, number) for inner in value]
    return value


def _typed(value: Any, kind: FieldType | None) -> Any:
    if value is None:
        return None
    if kind is FieldType.DECIMAL:
        return Decimal(str(value))
    if kind is FieldType.DATE and isinstance(value, str):
        return date.fromisoformat(value)
    if kind is FieldType.DATETIME:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value
