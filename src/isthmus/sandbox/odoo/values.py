"""Values on their way in: from what a client sends to what a row holds, with Odoo's own errors and roundings."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlsplit

from .schema import Field

DATE_FORMAT = "%Y-%m-%d"
DATETIME_FORMAT = "%Y-%m-%d %H:%M:%S"
_SPOKEN_FALSE = frozenset({"", "0", "false", "no"})
_HTML = re.compile(r"<[a-zA-Z][^>]*>")


def round_half_up(value: float, digits: int) -> float:
    """Round as Odoo does: halves away from zero, on the number as it is written."""
    return float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def stored(field: Field, value: Any) -> Any:
    """Return the raw form of a written value for any field but an x2many; None is empty.

    Raises ValueError for selections and dates that Odoo does not take (a 500 for the client).
    """
    kind = field.type
    if kind == "boolean":
        return bool(value) or None
    if kind in ("char", "text"):
        return None if value is None or value is False else str(value)
    if kind == "many2one":
        return value if type(value) is int and value else None
    if kind in ("integer", "many2one_reference"):
        return int(value or 0)
    if kind in ("float", "monetary"):
        number = float(value or 0.0)
        return round_half_up(number, field.digits) if field.digits is not None else number
    if value is None or value is False or value == "":
        return None
    if kind == "selection":
        if value in field.selection:
            return value
        raise ValueError(f"Wrong value for {field}: {value!r}")
    if kind == "date":
        return datetime.strptime(str(value)[:10], DATE_FORMAT).date().isoformat()  # noqa: DTZ007 - Odoo dates are naive
    if kind == "datetime":
        return _stored_datetime(str(value))
    if kind == "html":
        return wrapped_html(str(value))
    return value


def _stored_datetime(text: str) -> str:
    pattern = DATE_FORMAT if len(text) == 10 else DATETIME_FORMAT
    return datetime.strptime(text, pattern).strftime(DATETIME_FORMAT)  # noqa: DTZ007 - naive UTC is Odoo's form


def wrapped_html(text: str) -> str:
    """Return text as Odoo's sanitiser leaves it: plain text comes back in a span."""
    return text if _HTML.match(text.lstrip()) else f"<span>{text}</span>"


def clean_website(website: str) -> str:
    """Return a website as Odoo keeps it: with a scheme."""
    parts = urlsplit(website)
    if parts.scheme:
        return website
    return "http:" + website if parts.netloc else "http://" + website


def truth(word: str) -> bool | None:
    """Return what a word in a `load` cell means for a boolean, None when it means nothing."""
    lowered = word.lower()
    if lowered in ("1", "true", "yes", "vrai", "oui"):
        return True
    return False if lowered in _SPOKEN_FALSE or lowered in ("faux", "non") else None


def commands(value: Any) -> list[tuple[int, int, Any]]:
    """Return x2many commands as (command, id, argument); a plain list of ids means "set"."""
    if value is None or value is False:
        return [(5, 0, 0)]
    if not isinstance(value, list | tuple):
        raise ValueError(f"Wrong value for x2many field: {value!r}")
    if all(isinstance(item, int) for item in value):
        return [(6, 0, list(value))]
    normal: list[tuple[int, int, Any]] = []
    for item in value:
        if isinstance(item, dict):
            normal.append((0, 0, item))
        elif isinstance(item, list | tuple) and item:
            padded = [*item, 0, 0]
            normal.append((int(padded[0]), padded[1] or 0, padded[2]))
        else:
            raise ValueError(f"Wrong value for x2many field: {value!r}")
    return normal
