"""Transforms of numbers and truth values: exact decimals, whole numbers, arithmetic, booleans."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Any, Literal

from pydantic import Field

from isthmus.mapping.problem import TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, Transform

_LIMIT = Decimal(10) ** 18


def as_decimal(value: Any) -> Decimal:
    """An exact number from a number or its plain text; infinite and absurdly long ones are refused."""
    if type(value) is Decimal:
        number = value
    elif isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise TransformProblem(f"expected a number, got {show(value)}", value)
    else:
        try:
            text = repr(value) if isinstance(value, float) else str(value).strip()
            number = Decimal(text)
        except (InvalidOperation, ValueError) as error:
            raise TransformProblem(f"{show(value)!r} is not a number", value) from error
    if not number.is_finite() or abs(number) >= _LIMIT or _exponent(number) < -30:
        raise TransformProblem(f"{show(value)} is not a number that can be kept exactly", value)
    return number


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def rounded(number: Decimal, scale: int) -> Decimal:
    """The number at `scale` decimal places, halves away from zero, as accounting does."""
    with localcontext() as context:
        context.prec = 60
        return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)


class DecimalNumber(Transform):
    """Reads a number exactly, from a number or its text; writing rounds to the decimal places the system keeps."""

    name = "decimal"
    label = "Decimal number"
    group = "numbers"
    main = "scale"
    examples = (
        Example(raw="12.50", value=Decimal("12.5"), back=Decimal("12.50"), options={"scale": 2}),
        Example(raw=0.1, value=Decimal("0.1"), back=Decimal("0.1")),
        Example(raw="12,5", problem="is not a number"),
        Example(raw=Decimal(0), value=Decimal(0), back=Decimal(0), options={"empty": 0}),
        Example(raw=Decimal(0), value=None, back=Decimal(0), options={"empty": 0, "zero_is_empty": True}),
        Example(raw="2.5", value=Decimal("2.5"), back="2.50", options={"scale": 2, "as": "text"}),
    )

    scale: int | None = Field(None, ge=0, le=12, description="Decimal places written; default: the field's own.")
    empty: Decimal | None = Field(None, description="What an empty value is written as, where there is no empty.")
    zero_is_empty: bool = Field(False, description="Read zero as nothing, where the system has no empty number.")
    as_: Literal["number", "text"] = Field("number", alias="as", description="How it is written.")

    def build(self, at: Build) -> Step:
        scale = self.scale if self.scale is not None else (at.raw.scale if at.raw else None)
        empty, as_words, zero_is_empty = self.empty, self.as_ == "text", self.zero_is_empty

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            if value is None:
                return None
            number = as_decimal(value)
            return None if zero_is_empty and number == 0 else number

        def write(value: Any, _record: Mapping[str, Any]) -> Any:
            if value is None:
                return empty
            number = as_decimal(value)
            if scale is not None:
                number = rounded(number, scale)
            return format(number, "f") if as_words else number

        return self.step(read, write, sees_empty=empty is not None)


class Integer(Transform):
    """Reads a whole number; anything with decimals is refused."""

    name = "integer"
    label = "Whole number"
    group = "numbers"
    main = "empty"
    examples = (
        Example(raw="7", value=7, back=7),
        Example(raw=7.5, problem="whole number"),
        Example(raw=0, value=None, back=0, options={"empty": 0, "zero_is_empty": True}),
    )

    empty: int | None = Field(None, description="What an empty value is written as, where there is no empty.")
    zero_is_empty: bool = Field(False, description="Read zero as nothing, where the system has no empty number.")

    def build(self, at: Build) -> Step:
        empty, zero_is_empty = self.empty, self.zero_is_empty

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            if value is None:
                return None
            number = as_decimal(value)
            if number != number.to_integral_value():
                raise TransformProblem(f"{show(value)} is not a whole number", value)
            return None if zero_is_empty and number == 0 else int(number)

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            found = read(value, record)
            return empty if found is None else found

        return self.step(read, write, sees_empty=empty is not None)


class Arithmetic(Transform):
    """Calculates value × times + plus, exactly; writing calculates back."""

    name = "arithmetic"
    label = "Arithmetic"
    group = "numbers"
    examples = (
        Example(raw="12", value=Decimal("1.2"), back=Decimal(12), options={"times": "0.1"}),
        Example(raw=5, value=Decimal(105), back=Decimal(5), options={"plus": 100}),
    )

    times: Decimal = Field(Decimal(1), description="Factor; not zero.")
    plus: Decimal = Field(Decimal(0), description="Added after the factor.")
    scale: int | None = Field(None, ge=0, le=12, description="Decimal places of the result, where it is rounded.")

    def model_post_init(self, context: Any) -> None:
        if self.times == 0:
            raise ValueError("times: a factor of zero cannot be calculated back")

    def build(self, at: Build) -> Step:
        times, plus, scale = self.times, self.plus, self.scale

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            number = as_decimal(value) * times + plus
            return rounded(number, scale) if scale is not None else number

        return self.step(read, lambda value, _: (as_decimal(value) - plus) / times)


_TRUE = frozenset({"true", "yes", "y", "1", "on", "t"})
_FALSE = frozenset({"false", "no", "n", "0", "off", "f"})


class Boolean(Transform):
    """Reads yes and no in the usual spellings; `empty` says what nothing means."""

    name = "boolean"
    label = "Yes or no"
    group = "numbers"
    main = "empty"
    examples = (
        Example(raw="Yes", value=True, back=True),
        Example(raw=None, value=False, back=False, options={"empty": False}),
        Example(raw="maybe", problem="yes or no"),
        Example(raw="Exempt", value=True, options={"yes": "Exempt", "no": "Taxable"}),
    )

    empty: bool | None = Field(None, description="What an empty value means.")
    yes: str | None = Field(None, description="How yes is spelled on the raw side.")
    no: str | None = Field(None, description="How no is spelled on the raw side.")

    def build(self, at: Build) -> Step:
        empty, yes, no = self.empty, self.yes, self.no
        true = _TRUE | ({yes.casefold()} if yes else set())
        false = _FALSE | ({no.casefold()} if no else set())

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            if value is None:
                return empty
            if value is True or value is False:
                return value
            text = str(value).strip().casefold()
            if text in true:
                return True
            if text in false:
                return False
            raise TransformProblem(f"{show(value)!r} is neither yes or no", value)

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            truth = read(value, record)
            if truth is None:
                return None
            return (yes if truth else no) if yes is not None or no is not None else truth

        return self.step(read, write, sees_empty=empty is not None)
