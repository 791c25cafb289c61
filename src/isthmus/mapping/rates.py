"""Dated exchange rates in memory: which rate holds between two currencies on a day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import date
from decimal import Decimal


class Rates:
    """Rates by day: one unit of `base` is worth `rate` of `quote` from `day` on, until the next entry.

    `on` is the day conversions are made for; inverse rates and rates over one common currency are derived.
    """

    def __init__(self, entries: Iterable[tuple[date, str, str, Decimal]], *, on: date) -> None:
        self.on = on
        self._days: dict[tuple[str, str], list[tuple[date, Decimal]]] = {}
        for day, base, quote, rate in entries:
            if rate <= 0:
                raise ValueError(f"the rate {base} to {quote} of {day} is {rate}; a rate is above zero")
            self._days.setdefault((base.upper(), quote.upper()), []).append((day, rate))
        for history in self._days.values():
            history.sort()

    def rate(self, base: str, quote: str, on: date | None = None) -> Decimal | None:
        """What one `base` is worth in `quote` on a day (default: the day of this table), or None when unknown."""
        day = on or self.on
        if base == quote:
            return Decimal(1)
        direct = self._direct(base, quote, day)
        if direct is not None:
            return direct
        for middle in sorted({a for pair in self._days for a in pair} - {base, quote}):
            first, second = self._direct(base, middle, day), self._direct(middle, quote, day)
            if first is not None and second is not None:
                return first * second
        return None

    def _direct(self, base: str, quote: str, day: date) -> Decimal | None:
        straight = self._latest((base, quote), day)
        if straight is not None:
            return straight
        reverse = self._latest((quote, base), day)
        return None if reverse is None else Decimal(1) / reverse

    def _latest(self, pair: tuple[str, str], day: date) -> Decimal | None:
        history = self._days.get(pair)
        if not history:
            return None
        at = bisect_right(history, day, key=lambda entry: entry[0])
        return history[at - 1][1] if at else None
