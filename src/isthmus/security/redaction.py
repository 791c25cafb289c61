"""Logs without card numbers: every line is masked before any handler writes it."""

from __future__ import annotations

import logging

from isthmus.model.card import mask


class MaskCards(logging.Formatter):
    """Formats as another formatter does, then masks; tracebacks are part of what is formatted."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The line as it may be written."""
        return mask(self._inner.format(record))


def mask_logs() -> None:
    """Have every handler of the root logger mask what it writes."""
    for handler in logging.getLogger().handlers:
        if not isinstance(handler.formatter, MaskCards):
            handler.setFormatter(MaskCards(handler.formatter or logging.Formatter()))
