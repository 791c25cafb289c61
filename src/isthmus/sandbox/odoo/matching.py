"""The value side of a condition: comparisons, dates as Odoo reads them in a domain, and like patterns."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from .schema import Field
from .values import DATETIME_FORMAT, round_half_up

INEQUALITY: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: bool(a < b),
    ">": lambda a, b: bool(a > b),
    "<=": lambda a, b: bool(a <= b),
    ">=": lambda a, b: bool(a >= b),
}
FALSY: dict[str, Any] = {
    "char": "",
    "text": "",
    "html": "",
    "boolean": False,
    "integer": 0,
    "float": 0.0,
    "monetary": 0.0,
}


def number(field: Field, value: Any) -> float | int:
    """Return a number as the field keeps it."""
    if field.type == "integer":
        return int(value)
    exact = float(value)
    return round_half_up(exact, field.digits) if field.digits is not None else exact


def stamp(value: Any, kind: str) -> tuple[str, bool]:
    """Return a date or whole-second UTC text, and whether the client gave only a date."""
    text = str(value)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _spoken(text)
    if moment.tzinfo is not None:
        raise ValueError(f"expecting only datetimes with no timezone: {text!r}")
    day_only = len(text) == 10 or text == "today"
    return (moment.strftime(DATETIME_FORMAT) if kind == "datetime" else moment.date().isoformat()), day_only


def _spoken(text: str) -> datetime:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    if text == "now":
        return now
    if text == "today":
        return now.replace(hour=0, minute=0, second=0)
    match = re.fullmatch(r"([+-]\d+)([dwH])", text)
    if match is None:
        raise ValueError(f"Invalid term {text!r} in expression date: {text!r}")
    unit = {"d": "days", "w": "weeks", "H": "hours"}[match[2]]
    return now + timedelta(**{unit: int(match[1])})


def like_regex(value: str) -> str:
    """Return the pattern of an SQL like: `%` any text, `_` any character, a backslash escapes."""
    parts: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            parts.append(re.escape(next(characters, "")))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
    return "".join(parts)
