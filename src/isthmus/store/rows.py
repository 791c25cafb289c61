"""Rows as one JSON text, for statements that write many at once."""

from __future__ import annotations

import json
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(enc_hook=str)


def as_json(rows: Any) -> str:
    """The JSON of rows; what JSON does not know is written as its text."""
    try:
        return _encoder.encode(rows).decode()
    except (TypeError, ValueError, OverflowError):
        return json.dumps(rows, default=str)  # odd keys, huge integers, broken text
