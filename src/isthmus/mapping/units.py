"""Units of measure: which category they belong to and how many of the category's reference one is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: its canonical code, its category, and its size in reference units (a dozen is 12 each)."""

    code: str
    category: str
    factor: Decimal


class Units:
    """Units by code; codes compare without case."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._by_code = {unit.code.casefold(): unit for unit in units}

    def get(self, code: str) -> Unit | None:
        """The unit of that code."""
        return self._by_code.get(code.strip().casefold())

    def with_more(self, units: Iterable[Unit]) -> Units:
        """These units and more; later ones win."""
        return Units([*self._by_code.values(), *units])


def _units(category: str, *pairs: tuple[str, str]) -> list[Unit]:
    return [Unit(code, category, Decimal(factor)) for code, factor in pairs]


STANDARD = Units(
    [
        *_units(
            "count", ("EA", "1"), ("PR", "2"), ("PK6", "6"), ("DZ", "12"), ("GRO", "144"), ("C", "100"), ("M", "1000")
        ),
        *_units("weight", ("KG", "1"), ("G", "0.001"), ("T", "1000"), ("LB", "0.45359237"), ("OZ", "0.028349523125")),
        *_units("time", ("HR", "1"), ("DAY", "8"), ("MIN", "0.016666666666666666667")),
        *_units(
            "length",
            ("MTR", "1"),
            ("MM", "0.001"),
            ("CM", "0.01"),
            ("KM", "1000"),
            ("IN", "0.0254"),
            ("FT", "0.3048"),
            ("YD", "0.9144"),
            ("MI", "1609.344"),
        ),
        *_units("area", ("SQM", "1"), ("SQF", "0.09290304")),
        *_units(
            "volume",
            ("LTR", "1"),
            ("ML", "0.001"),
            ("CBM", "1000"),
            ("GAL", "3.785411784"),
            ("QT", "0.946352946"),
            ("FLO", "0.0295735295625"),
            ("CFT", "28.316846592"),
            ("CIN", "0.016387064"),
        ),
    ]
)
"""The usual units with exact factors."""
