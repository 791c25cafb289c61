"""Unit conversion: quantities and prices between units of one category, exactly by factor."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any, Literal

from pydantic import Field

from isthmus.mapping.problem import TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, Transform
from isthmus.mapping.transforms.money import as_money
from isthmus.mapping.transforms.number import as_decimal, rounded
from isthmus.mapping.transforms.text import as_text
from isthmus.mapping.units import STANDARD, Unit
from isthmus.model.canonical import plain_decimal

BASE = "base"
_DIGITS = 18
"""Decimal places kept in the middle: enough that a third of a dozen comes back exactly after rounding."""


class UnitConversion(Transform):
    """Turns a quantity or price in the record's unit into the unit `to` and back (a dozen is twelve each).

    Quantities are multiplied, prices divided. Units of different categories are refused.
    """

    name = "unit"
    label = "Unit of measure"
    group = "money"
    examples = (
        Example(raw=Decimal(2), value=Decimal(24), record={"u": "DZ"}, options={"unit": "u", "to": "EA"}),
        Example(
            raw=Decimal("10.00"), value=Decimal("0.833333333333333333"), back=Decimal("10.00"),
            record={"u": "DZ"}, options={"unit": "u", "to": "EA", "kind": "price", "scale": 2},
        ),
        Example(raw=Decimal(3), value=Decimal(36), record={"u": "DZ"}, options={"unit": "u", "to": "base"}),
        Example(
            raw=Decimal(2), problem="cannot be converted", record={"u": "KG"}, options={"unit": "u", "to": "EA"}
        ),
    )  # fmt: skip

    unit: str = Field(description="Raw path that holds the record's unit.")
    to: str = Field("EA", description="Canonical unit of the middle; `base` is the base unit of the record's own kind.")
    kind: Literal["quantity", "price"] = Field("quantity", description="Quantities multiply, prices divide.")
    table: str | None = Field(None, description="Look-up table that turns the raw unit into a unit code.")
    default: str | None = Field(None, description="Unit of records that name none.")
    scale: int | None = Field(None, ge=0, le=12, description="Decimal places written; default: the field's own.")
    enabled: bool = Field(True, description="Off: the value passes unchanged.")

    def build(self, at: Build) -> Step:
        if not self.enabled:
            return self.step(lambda value, _: value, lambda value, _: value)
        wanted = STANDARD.get(self.to)
        if wanted is None and self.to != BASE:
            raise ValueError(f"to: no unit is called {self.to!r}")
        path, table, default, price, target = self.unit, self.table, self.default, self.kind == "price", wanted
        size = target.factor if target is not None else Decimal(1)
        scale = self.scale if self.scale is not None else (at.raw.scale if at.raw else None)

        def unit_of(record: Mapping[str, Any]) -> Unit:
            raw = record.get(path) or default
            if raw is None:
                raise TransformProblem("the unit of measure is not known", raw)
            text = as_text(raw)
            code = (at.lookups.to_canonical(table, at.system, text) if table else None) or text
            found = STANDARD.get(code)
            if found is None:
                raise TransformProblem(f"no unit is called {show(code)!r}", code)
            if target is not None and found.category != target.category:
                raise TransformProblem(
                    f"{found.code} ({found.category}) cannot be converted to {target.code} ({target.category})", code
                )
            return found

        def scaled(value: Any, factor: Decimal, digits: int | None) -> Any:
            number, currency = (as_decimal(value), None) if not isinstance(value, Mapping) else as_money(value)
            with localcontext() as context:
                context.prec = 50
                number *= factor
            if digits is not None:
                number = rounded(number, digits)
            return number if currency is None else {"amount": plain_decimal(number), "currency": currency}

        def factor_of(record: Mapping[str, Any]) -> Decimal:
            """How many canonical units one raw unit is."""
            with localcontext() as context:
                context.prec = 50
                factor = unit_of(record).factor / size
                return 1 / factor if price else factor

        def read(value: Any, record: Mapping[str, Any]) -> Any:
            return scaled(value, factor_of(record), _DIGITS)

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            with localcontext() as context:
                context.prec = 50
                back = 1 / factor_of(record)
            return scaled(value, back, _DIGITS if scale is None else scale)

        return self.step(read, write, paths=(path,))
