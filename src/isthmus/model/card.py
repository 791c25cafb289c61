"""Card numbers never enter: found by scheme, length and check digit, refused in records, masked in everything kept."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Mapping
from typing import Any

_RUN = re.compile(r"(?<![+0-9A-Za-z])[0-9](?:[ \-.]?[0-9]){13,18}(?![0-9A-Za-z])")
"""Digits, perhaps grouped; behind a plus it is a telephone number."""

_PERHAPS = re.compile(r"[0-9](?:[ \-.]?[0-9]){13}")

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_SCHEMES = (
    (range(40, 50), (16, 19)),  # Visa
    (range(51, 56), (16,)),  # Mastercard
    (range(22, 28), (16,)),  # Mastercard, 2221 to 2720
    ((34, 37), (15,)),  # American Express
    ((60, 64, 65), (16, 17, 18, 19)),  # Discover
    ((35,), (16, 17, 18, 19)),  # JCB
    ((30, 36, 38, 39), (14, 16)),  # Diners Club
    ((62,), (16, 17, 18, 19)),  # UnionPay
)
"""First two digits and lengths by scheme."""


def mask(text: str) -> str:
    """The text with every card number reduced to its first six and last four digits."""
    return _RUN.sub(_masked, text) if len(text) > 13 else text


def may_hold_card_number(text: str) -> bool:
    """Whether many values written as one JSON text may hold a card number, so that each has to be looked at."""
    found = [match.start() for match in _PERHAPS.finditer(text)]
    if not found:
        return False
    inside = [(match.start(), match.end()) for match in _UUID.finditer(text)]
    return any(not (at := bisect(inside, (start, len(text)))) or inside[at - 1][1] <= start for start in found)


def mask_all(value: Any) -> Any:
    """A JSON value with every card number masked, in texts, numbers and the names of members."""
    if isinstance(value, str):
        return mask(value) if len(value) > 13 else value
    if value is None or value is True or value is False:
        return value
    if isinstance(value, Mapping):
        return {mask(name) if isinstance(name, str) else name: mask_all(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [mask_all(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and value > 10**13:
        shown = mask(str(value))
        return value if shown == str(value) else shown
    return value


def holds_card_number(value: Any) -> bool:
    """Whether a card number stands anywhere inside a value."""
    if isinstance(value, str):
        return len(value) > 13 and mask(value) != value
    if value is None or value is True or value is False:
        return False
    if isinstance(value, Mapping):
        return any(holds_card_number(name) or holds_card_number(inner) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return any(holds_card_number(inner) for inner in value)
    return isinstance(value, int) and value > 10**13 and holds_card_number(str(value))


def _masked(found: re.Match[str]) -> str:
    run = found.group()
    digits = re.sub(r"[^0-9]", "", run)
    if not _is_card(digits) or _inside_uuid(found):
        return run
    return f"{digits[:6]}{'*' * (len(digits) - 10)}{digits[-4:]}"


def _inside_uuid(found: re.Match[str]) -> bool:
    return any(u.start() <= found.start() < u.end() for u in _UUID.finditer(found.string))


def _is_card(digits: str) -> bool:
    first = int(digits[:2])
    if not any(first in starts and len(digits) in lengths for starts, lengths in _SCHEMES):
        return False
    doubled = (int(d) * (2 if place % 2 else 1) for place, d in enumerate(reversed(digits)))
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0
