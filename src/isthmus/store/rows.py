"""Rows as one JSON text, for statements that write many at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from isthmus.model.card import mask_all

_encoder = msgspec.json.Encoder(enc_hook=str)


def as_kept_json(rows: Any) -> str:
    """The same for what comes from outside: card numbers masked, and without what PostgreSQL cannot hold in JSON."""
    told = as_json(mask_all(rows))
    return as_json(_holdable(mask_all(rows))) if "\\u0000" in told or "\\ud" in told else told


def _holdable(value: Any) -> Any:
    """A value without NUL characters and broken halves of characters."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_holdable(name): _holdable(inner) for name, inner in value.items()}
    return [_holdable(inner) for inner in value] if isinstance(value, list | tuple) else value


def as_json(rows: Any) -> str:
    """The JSON of rows; what JSON does not know is written as its text."""
    try:
        return _encoder.encode(rows).decode()
    except (TypeError, ValueError, OverflowError):
        return json.dumps(rows, default=str)  # odd keys, huge integers, broken text
