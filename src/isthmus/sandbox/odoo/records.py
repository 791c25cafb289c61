"""What a public method is called on: a model, some ids and the call they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .environment import Env


@dataclass(frozen=True, slots=True)
class Records:
    """A recordset; it may hold ids that do not exist."""

    env: Env
    model: str
    ids: Sequence[int]
