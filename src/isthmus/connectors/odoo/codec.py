"""One field's value between Odoo's raw form and ours, decided by the field's type alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from isthmus.connectors.odoo.fields import NUMBERS, OdooField
from isthmus.sdk import InvalidRecord

MOMENT = "%Y-%m-%d %H:%M:%S"
_NOISE = 9
"""Decimal places kept where Odoo names no digits: what lies beyond is binary noise of a computed float."""


def decode(field: OdooField, raw: Any) -> Any:
    """Our value of what `read` gave: `false` is empty (except for booleans and numbers), references are ids."""
    kind = field.type
    if kind == "boolean":
        return bool(raw)
    if field.many:
        return [int(one) for one in raw or ()]
    if kind == "integer":
        return None if raw is False or raw is None else int(raw)
    if kind in NUMBERS:
        return None if raw is False or raw is None else _decimal(field, raw)
    if raw is False or raw is None or raw == "":
        return None
    if kind == "many2one":
        return int(raw[0] if isinstance(raw, list | tuple) else raw)
    if kind == "many2one_reference":
        return int(raw)
    if kind == "date":
        return date.fromisoformat(str(raw)[:10])
    if kind == "datetime":
        return moment(raw)
    return raw


def encode(field: OdooField, value: Any) -> Any:
    """What `write` and `create` take for our value; raises InvalidRecord for a value the type cannot hold."""
    if field.many:
        return [[6, 0, ids(field, value)]]
    if field.type == "boolean":
        return bool(value)
    if value is None:
        return False
    try:
        return _encode(field, value)
    except (ValueError, TypeError, InvalidOperation) as error:
        raise _unfit(field, value) from error


def raw_equal(field: OdooField, current: Any, expected: Any) -> bool:
    """Whether two of our values are the same to Odoo."""
    if field.many:
        return sorted(current or ()) == sorted(expected or ())
    if field.type in NUMBERS:
        if current is None or expected is None:
            return not current and not expected
        return bool(_decimal(field, current) == _decimal(field, expected))
    if current in (None, "", False) and expected in (None, "", False):
        return True
    if field.type in ("many2one", "integer", "many2one_reference") and None not in (current, expected):
        return int(current) == int(expected)
    return bool(current == expected)


def ids(field: OdooField, value: Any) -> list[int]:
    """Database ids out of a list of them; text that is a number counts."""
    if value is None or value is False:
        return []
    if not isinstance(value, Sequence) or isinstance(value, str):
        value = [value]
    try:
        return [int(one) for one in value]
    except (TypeError, ValueError) as error:
        raise _unfit(field, value) from error


def moment(text: Any) -> datetime:
    """Odoo's naive UTC text as an aware instant."""
    return datetime.fromisoformat(str(text)[:19]).replace(tzinfo=UTC)


def told(at: datetime) -> str:
    """An aware instant as Odoo's naive UTC text; the only form it accepts."""
    return (at.astimezone(UTC) if at.tzinfo else at).strftime(MOMENT)


def _encode(field: OdooField, value: Any) -> Any:
    kind = field.type
    if kind in ("integer", "many2one", "many2one_reference"):
        if isinstance(value, Decimal) and value != value.to_integral_value():
            raise ValueError(value)
        return int(value) or (0 if kind == "integer" else False)
    if kind in NUMBERS:
        return _decimal(field, value)
    if kind == "date":
        if isinstance(value, datetime):
            raise ValueError("an instant is no date")
        return value.isoformat() if isinstance(value, date) else date.fromisoformat(str(value)).isoformat()
    if kind == "datetime":
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return told(at)
    if kind in ("char", "text", "html", "selection") and not isinstance(value, str):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    return value


def _decimal(field: OdooField, value: Any) -> Decimal:
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    places = _NOISE if field.scale is None else field.scale
    rounded = number.quantize(Decimal(1).scaleb(-places))
    return rounded if field.scale is not None else _trimmed(rounded)


def _trimmed(number: Decimal) -> Decimal:
    short = number.normalize()
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else short


def _unfit(field: OdooField, value: Any) -> InvalidRecord:
    return InvalidRecord(
        f"writing {field.name}: {value!r} is no {field.type} of Odoo", facts={"field": field.name, "type": field.type}
    )
