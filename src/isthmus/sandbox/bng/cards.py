"""Recognises texts that hold a card number, which never may come in: schemes' lengths, first digits, check digit."""

from __future__ import annotations

import re
from typing import Any

_SHORTEST = 14
_DIGITS = re.compile(r"(?<![+0-9A-Za-z])[0-9](?:[ \-.]?[0-9]){13,18}(?![0-9A-Za-z])")  # after a + it is a phone's
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SCHEMES = re.compile(
    r"4(\d{15}|\d{18})"  # Visa
    r"|(5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(6011|64[4-9]\d|65\d\d)\d{12,15}"  # Discover
    r"|35(2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|3(0[0-5]|[689]\d)\d{11}(\d\d)?"  # Diners Club
    r"|62\d{14,17}",  # UnionPay
    re.ASCII,
)


def holds_card_number(text: str) -> bool:
    """Whether some run of digits, perhaps grouped, could be a card's."""
    if len(text) < _SHORTEST:
        return False
    for found in _DIGITS.finditer(_UUID.sub("", text)):
        digits = re.sub(r"[^0-9]", "", found.group())
        if _SCHEMES.fullmatch(digits) and _checks(digits):
            return True
    return False


def anywhere(value: Any) -> bool:
    """Whether a card number stands anywhere inside a JSON value, names of members included."""
    if isinstance(value, str):
        return holds_card_number(value)
    if isinstance(value, dict):
        return any(anywhere(name) or anywhere(inner) for name, inner in value.items())
    if isinstance(value, list):
        return any(anywhere(inner) for inner in value)
    return isinstance(value, int) and holds_card_number(str(value))


def _checks(digits: str) -> bool:
    """Luhn's check digit."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0
