"""How one value is checked and brought to the form it is stored in, by field type."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from isthmus.model.card import holds_card_number

from .errors import Problem
from .schema import DECIMAL_PLACES, Field

Check = Callable[[Any, str, list[Problem]], Any]
"""Takes value, path and the list that problems go into; returns the stored form (anything after a problem)."""

LARGEST = Decimal(10) ** 15
LONGEST_ADDRESS = 1000
MOST_PROPERTIES = 100

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?", re.ASCII)
_FORMATS: dict[str, tuple[re.Pattern[str], str]] = {
    "email": (re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+"), "is no e-mail address"),
    "currency": (re.compile(r"[A-Z]{3}"), "is no ISO 4217 code"),
    "country": (re.compile(r"[A-Z]{2}"), "is no ISO 3166-1 alpha-2 code"),
    "period": (re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII), "is no period YYYY-MM"),
}

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_sorted_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")


def decode(raw: bytes | str) -> Any:
    """JSON with exact numbers: those with a fraction become Decimal."""
    return _decoder.decode(raw)


def encode(value: Any) -> bytes:
    """JSON, Decimals as exact numbers."""
    return _encoder.encode(value)


def encode_sorted(value: Any) -> bytes:
    """The same JSON whatever the order of the members was: what is compared to tell payloads apart."""
    return _sorted_encoder.encode(value)


def instant_text(moment: datetime) -> str:
    """An aware instant as RFC 3339 UTC, fraction only where there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> datetime | None:
    """The instant in an RFC 3339 text with an offset, or None."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def fixed(value: Decimal, places: int) -> str:
    """A decimal as it is stored: always with its places, never minus zero."""
    return f"{value + 0:.{places}f}" if value else f"{0:.{places}f}"


def number(value: Any) -> Decimal:
    """A stored decimal as a number; nothing is zero."""
    return Decimal(value) if value else Decimal(0)


def scalar_check(field: Field) -> Check:
    """The check of a field that holds one plain value."""
    if field.type in DECIMAL_PLACES:
        return _decimal(field, DECIMAL_PLACES[field.type])
    makers: dict[str, Callable[[Field], Check]] = {
        "string": _string,
        "integer": _integer,
        "boolean": _boolean,
        "date": _date,
        "datetime": _datetime,
        "enum": _enum,
        "object": _object,
    }
    return makers[field.type](field)


def card_number(path: str) -> Problem:
    """The complaint about a card number; it does not repeat it."""
    return Problem(path, "CardNumber", "looks like a card number; send the gateway's token instead")


def _wrong_type(path: str, wanted: str, value: Any) -> Problem:
    return Problem(path, "WrongType", f"must be {wanted}, not {_kind(value)}")


def _kind(value: Any) -> str:
    kinds = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        Decimal: "a number",
    }
    return kinds.get(type(value), "null")


def _string(field: Field) -> Check:
    longest = field.max or 10_000
    pattern, complaint = _FORMATS.get(field.format or "", (None, ""))
    guarded = not field.digits and field.ref is None

    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        if type(value) is not str:
            problems.append(_wrong_type(path, "a string", value))
        elif len(value) > longest:
            problems.append(Problem(path, "TooLong", f"has {len(value)} characters, at most {longest} fit"))
        elif pattern is not None and not pattern.fullmatch(value):
            problems.append(Problem(path, "BadFormat", f"{value!r} {complaint}"))
        elif "\x00" in value:
            problems.append(Problem(path, "BadFormat", "holds a null character"))
        elif guarded and holds_card_number(value):
            problems.append(card_number(path))
            return None
        return value

    return check


def _integer(field: Field) -> Check:
    lowest = field.min

    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        if type(value) is not int or abs(value) > 2**53:
            problems.append(_wrong_type(path, "an integer", value))
        elif lowest is not None and value < lowest:
            problems.append(Problem(path, "OutOfRange", f"must be at least {lowest}, not {value}"))
        return value

    return check


def _boolean(_: Field) -> Check:
    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        if type(value) is not bool:
            problems.append(_wrong_type(path, "true or false", value))
        return value

    return check


def _date(_: Field) -> Check:
    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        if type(value) is str and len(value) == 10:
            try:
                return date.fromisoformat(value).isoformat()
            except ValueError:
                pass  # told below
        problems.append(Problem(path, "BadFormat", f"{value!r} is no date YYYY-MM-DD"))
        return None

    return check


def _datetime(_: Field) -> Check:
    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        moment = parse_instant(value) if type(value) is str else None
        if moment is None:
            problems.append(Problem(path, "BadFormat", f"{value!r} is no RFC 3339 instant with an offset"))
            return None
        return instant_text(moment)

    return check


def _enum(field: Field) -> Check:
    allowed = frozenset(field.values)

    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        if type(value) is not str or value not in allowed:
            shown = repr(value) if isinstance(value, str) else _kind(value)
            problems.append(Problem(path, "NotInList", f"{shown} is none of {', '.join(field.values)}"))
        return value

    return check


def _object(_: Field) -> Check:
    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        if type(value) is not dict:
            problems.append(_wrong_type(path, "an object", value))
        elif len(value) > MOST_PROPERTIES:
            problems.append(Problem(path, "TooMany", f"holds {len(value)} members, at most {MOST_PROPERTIES} fit"))
        elif holds_card_number(value):
            problems.append(card_number(path))
            return None
        return value

    return check


def _decimal(field: Field, places: int) -> Check:
    lowest = field.min
    positive = field.format == "positive"
    step = Decimal(1).scaleb(-places)

    def check(value: Any, path: str, problems: list[Problem]) -> Any:
        kind = type(value)
        if (kind is str and _NUMBER.fullmatch(value)) or kind is int:
            value = Decimal(value)
        elif kind is not Decimal:
            problems.append(Problem(path, "WrongType", f"must be a decimal number, not {value!r}"[:200]))
            return None
        if not -LARGEST < value < LARGEST:
            problems.append(Problem(path, "OutOfRange", f"{value} has more than 15 digits before the point"))
            return None
        rounded = value.quantize(step)
        if rounded != value:
            problems.append(Problem(path, "TooPrecise", f"{value} has more than {places} decimal places"))
        elif positive and rounded <= 0:
            problems.append(Problem(path, "OutOfRange", f"must be more than 0, not {value}"))
        elif lowest is not None and rounded < lowest:
            problems.append(Problem(path, "OutOfRange", f"must be at least {lowest}, not {value}"))
        return fixed(rounded, places)

    return check
