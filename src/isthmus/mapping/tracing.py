"""What every step made of a value: the words that previews show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTrace:
    """One step: the value that went in, the value that came out, and what was wrong."""

    step: str
    before: Any
    after: Any = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTrace:
    """One mapped value from end to end; `fields` are several where they are mapped together."""

    fields: tuple[str, ...]
    paths: tuple[str, ...]
    direction: Literal["read", "write"]
    given: Any
    steps: tuple[StepTrace, ...]
    result: Any = None
    problem: str = ""
    skipped: bool = False
