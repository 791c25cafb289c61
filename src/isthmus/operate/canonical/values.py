"""Canonical values as clients write them: from JSON to typed values, every problem told; and what they look like."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from isthmus.mapping.problem import Problem, show
from isthmus.model.canonical import ADDRESS_PARTS, CanonicalEntity, CanonicalField, Ref, Value, encode
from isthmus.model.schema import FieldType

MOST_DIGITS = 30
"""Digits of a number on either side of the point; more is no amount of anything."""
MOST_ROWS = 1_000
_WHOLE = 2**53
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class _Wrong(Exception):
    """What is wrong with one value, for people."""


def decoded(
    entity: CanonicalEntity, given: Mapping[str, Any], writable: Collection[str]
) -> tuple[dict[str, Value], list[Problem]]:
    """The typed values of what a client gave, and everything that is wrong with it.

    References are keys of the client's side and become Refs. A field that is not `writable` is decoded all the same:
    only the caller can tell whether it says anything new.
    """
    values: dict[str, Value] = {}
    problems: list[Problem] = []
    for name, raw in given.items():
        described = entity.fields.get(name)
        if described is None:
            message = f"{entity.name} has no such field; it has {', '.join(sorted(writable))}"
            problems.append(Problem(str(name), message))
            continue
        value = _value(described, raw, name, problems)
        if value is not _BAD:
            values[name] = value
    return values, problems


_BAD: Any = object()


def _value(described: CanonicalField, raw: Any, path: str, problems: list[Problem]) -> Any:
    if raw is None:
        return None
    if described.type is FieldType.LIST and described.items:
        return _rows(described, raw, path, problems)
    try:
        return _typed(described, raw)
    except _Wrong as wrong:
        problems.append(Problem(path, str(wrong), "block", show(raw)))
        return _BAD


def _rows(described: CanonicalField, raw: Any, path: str, problems: list[Problem]) -> Any:
    if not isinstance(raw, list) or len(raw) > MOST_ROWS:
        problems.append(Problem(path, f"it has to be a list of at most {MOST_ROWS} rows", "block", show(raw)))
        return _BAD
    out: list[dict[str, Any]] = []
    for place, row in enumerate(raw):
        at = f"{path}[{place}]"
        if not isinstance(row, Mapping):
            problems.append(Problem(at, "a row has to be an object", "block", show(row)))
            continue
        made: dict[str, Any] = {"number": place + 1} if "number" in described.items else {}
        for name, value in row.items():
            part = described.items.get(name)
            if part is None:
                known = ", ".join(described.items)
                problems.append(Problem(f"{at}.{name}", f"a row has no such field; it has {known}"))
                continue
            decoded_part = _value(part, value, f"{at}.{name}", problems)
            if decoded_part is not _BAD:
                made[name] = decoded_part
        out.append(made)
    return out


def _typed(described: CanonicalField, raw: Any) -> Any:
    kind = described.type
    if kind in (FieldType.STRING, FieldType.TEXT, FieldType.HTML, FieldType.ENUM, FieldType.BINARY):
        return _word(described, raw)
    if kind is FieldType.BOOLEAN:
        if not isinstance(raw, bool):
            raise _Wrong("it has to be true or false")
        return raw
    if kind is FieldType.INTEGER:
        if isinstance(raw, bool) or not isinstance(raw, int) or abs(raw) > _WHOLE:
            raise _Wrong("it has to be a whole number")
        return raw
    if kind is FieldType.DECIMAL:
        return _decimal(described, raw)
    if kind is FieldType.DATE:
        return _day(raw)
    if kind is FieldType.DATETIME:
        return _moment(raw)
    if kind is FieldType.REFERENCE:
        if not isinstance(raw, str) or not raw.strip() or len(raw) > 200 or _UNSTORABLE.search(raw):
            raise _Wrong(f"it has to be the key of a {described.target}, as text")
        return Ref(described.target or "", raw)
    if kind is FieldType.ADDRESS:
        return _address(raw)
    if kind is FieldType.LIST:
        if not isinstance(raw, list) or any(not isinstance(one, str) or _UNSTORABLE.search(one) for one in raw):
            raise _Wrong("it has to be a list of texts")
        return raw
    return _object(described, raw)


def _object(described: CanonicalField, raw: Any) -> Any:
    if not isinstance(raw, Mapping) or len(raw) > 50:
        raise _Wrong("it has to be an object")
    out: dict[str, Any] = {}
    for name, value in raw.items():
        storable = isinstance(value, str | Decimal | bool | int) or value is None
        if not storable or _UNSTORABLE.search(f"{name}{value}"):
            raise _Wrong(f"{name} has to be a text, a number, true or false")
        out[name] = value
    if "amount" in out and out["amount"] is not None:
        out["amount"] = _decimal(described, out["amount"])
    return out


def _word(described: CanonicalField, raw: Any) -> str:
    if not isinstance(raw, str):
        raise _Wrong("it has to be a text")
    if _UNSTORABLE.search(raw):
        raise _Wrong("it holds characters that no text has")
    if described.max_length is not None and len(raw) > described.max_length:
        raise _Wrong(f"it has {len(raw)} characters; {described.max_length} fit")
    if described.choices and raw not in (known := [value for value, _ in described.choices]):
        raise _Wrong(f"it has to be one of {', '.join(known)}")
    return raw


def _decimal(described: CanonicalField, raw: Any) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal) or len(str(raw)) > 2 * MOST_DIGITS + 2:
        raise _Wrong('it has to be a number; best as text, like "12.50"')
    try:
        found = Decimal(raw)
    except InvalidOperation as error:
        raise _Wrong('it has to be a number; best as text, like "12.50"') from error
    if not found.is_finite() or not -MOST_DIGITS <= found.adjusted() <= MOST_DIGITS:
        raise _Wrong("it is no number that anything can have")
    exponent = found.normalize().as_tuple().exponent
    if described.scale is not None and isinstance(exponent, int) and -exponent > described.scale:
        raise _Wrong(f"it has {-exponent} decimal places; {described.scale} fit")
    return found


def _day(raw: Any) -> date:
    try:
        if isinstance(raw, str) and len(raw) == 10:
            return date.fromisoformat(raw)
    except ValueError:
        pass
    raise _Wrong("it has to be a day, like 2026-03-31")


def _moment(raw: Any) -> datetime:
    try:
        found = datetime.fromisoformat(raw) if isinstance(raw, str) and len(raw) <= 40 else None
        if found is not None and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _Wrong("it has to be a moment with its offset, like 2026-03-31T09:00:00Z")


def moment(raw: str) -> datetime | None:
    """The instant of a text in ISO 8601 with its offset, UTC; None for anything else."""
    try:
        return _moment(raw.replace(" ", "+"))  # a plus sign in an address comes in as a space
    except _Wrong:
        return None


def _address(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise _Wrong("it has to be an object")
    unknown = sorted(str(part) for part in raw if part not in ADDRESS_PARTS)
    if unknown:
        raise _Wrong(f"an address has no {unknown[0]}; it has {', '.join(ADDRESS_PARTS)}")
    for part, value in raw.items():
        if value is not None and (not isinstance(value, str) or len(value) > 200 or _UNSTORABLE.search(value)):
            raise _Wrong(f"{part} has to be a text of at most 200 characters")
    return {part: value for part, value in raw.items() if value not in (None, "")}


# -- what clients see ------------------------------------------------------------------------------------------------


def shown(values: Mapping[str, Value]) -> dict[str, Any]:
    """Canonical values as clients read them: references by key, decimals as text, moments in ISO 8601."""
    return encode({name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Ref):
        return value.key
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value


_SCHEMAS: dict[FieldType, dict[str, Any]] = {
    FieldType.INTEGER: {"type": ["integer", "null"]},
    FieldType.DECIMAL: {"type": ["string", "number", "null"]},
    FieldType.BOOLEAN: {"type": ["boolean", "null"]},
    FieldType.DATE: {"type": ["string", "null"], "format": "date"},
    FieldType.DATETIME: {"type": ["string", "null"], "format": "date-time"},
    FieldType.OBJECT: {"type": ["object", "null"]},
    FieldType.ADDRESS: {
        "type": ["object", "null"],
        "properties": {part: {"type": ["string", "null"]} for part in ADDRESS_PARTS},
    },
}


def schema(entity: CanonicalEntity) -> dict[str, Any]:
    """The JSON Schema of an Entity's canonical values, as OpenAPI shows it."""
    return {
        "type": "object",
        "title": entity.label,
        "properties": {name: _schema(described) for name, described in entity.fields.items()},
    }


def _schema(described: CanonicalField) -> dict[str, Any]:
    told: dict[str, Any] = dict(_SCHEMAS.get(described.type, {"type": ["string", "null"]}))
    if described.type is FieldType.LIST:
        items = {name: _schema(part) for name, part in described.items.items()}
        told = {"type": "array", "items": {"type": "object", "properties": items} if items else {"type": "string"}}
    if described.choices:
        told["enum"] = [*(value for value, _ in described.choices), None]
    if described.max_length is not None and described.type is not FieldType.ENUM:
        told["maxLength"] = described.max_length
    told["title"] = described.label
    refers = f"The key of a {described.target}. " if described.target else ""
    if described.help or refers:
        told["description"] = f"{refers}{described.help}".strip()
    return told
