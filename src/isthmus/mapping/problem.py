"""What can be wrong with one value: Problems reported beside the values that are fine, never exceptions outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["block", "warn"]

SHOWN_MAX = 120


@dataclass(frozen=True, slots=True)
class Problem:
    """One field that cannot pass (`block`) or passes with a remark (`warn`); `shown` is the value as people see it."""

    field: str
    message: str
    severity: Severity = "block"
    shown: str = ""


class TransformProblem(Exception):
    """Raised by a transform for a value it cannot express; the compiled mapping turns it into a Problem."""

    def __init__(self, message: str, shown: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.shown = shown


class Noted:
    """A value that passes with a remark: what a transform returns instead of the bare value."""

    __slots__ = ("message", "value")

    def __init__(self, value: Any, message: str) -> None:
        self.value = value
        self.message = message


def show(value: Any) -> str:
    """A value as people see it in a message: short, on one line."""
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"
