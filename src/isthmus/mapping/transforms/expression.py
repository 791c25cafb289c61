"""The expression transform: a value calculated in CEL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from isthmus.mapping.cel import expression
from isthmus.mapping.problem import TransformProblem
from isthmus.mapping.transform import Build, Example, Step, Transform


class Cel(Transform):
    """Calculates the value in CEL from `value` and the raw record (`raw.path`, `raw["long.path"]`).

    Decimals are texts in CEL: use add, multiply, less and the other functions for numbers.
    """

    name = "cel"
    label = "Expression"
    group = "expressions"
    main = "read"
    examples = (
        Example(raw="ab", value="AB", options={"read": "upper(value)"}, one_way=True),
        Example(
            raw="5", value="5.50", options={"read": "value + raw.cents", "write": "part(value, 0, 1)"},
            record={"cents": ".50"}, back="5",
        ),
        Example(raw="5", problem="divide by zero", options={"read": "1 / 0"}),
    )  # fmt: skip

    read: str = Field(description="The expression for reading.")
    write: str | None = Field(None, description="The expression for writing; without it the field is read only.")

    @field_validator("read", "write")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            expression(value)
        return value

    def build(self, at: Build) -> Step:
        there = expression(self.read)
        back = expression(self.write) if self.write is not None else None

        def read(value: Any, record: Mapping[str, Any]) -> Any:
            return there({"value": value}, record)

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            assert back is not None
            return back({"value": value}, record)

        paths = (*there.paths, *(back.paths if back else ()))
        return self.step(read, write if back else None, sees_empty=True, paths=paths)


class When(Transform):
    """Lets a value through only where a condition in CEL holds; otherwise it is empty."""

    name = "when"
    label = "Only when"
    group = "expressions"
    main = "holds"
    examples = (
        Example(raw="x", value="x", back="x", record={"n": 2}, options={"holds": "raw.n > 1"}),
        Example(raw="x", value=None, record={"n": 1}, options={"holds": "raw.n > 1"}),
    )

    holds: str = Field(description="The condition, over `value` and the raw record.")

    @field_validator("holds")
    @classmethod
    def _compiles(cls, value: str) -> str:
        expression(value)
        return value

    def build(self, at: Build) -> Step:
        holds = expression(self.holds)

        def read(value: Any, record: Mapping[str, Any]) -> Any:
            answer = holds({"value": value}, record)
            if not isinstance(answer, bool):
                raise TransformProblem(f"{self.holds} is neither true nor false", answer)
            return value if answer else None

        return self.step(read, lambda value, _: value, paths=holds.paths)
