"""Time and identity as injected values: the only place that asks the system for either."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the present moment comes from."""

    def now(self) -> datetime:
        """The present instant, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow, for measuring durations."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def new_id(prefix: str) -> str:
    """A new random identifier that carries its kind, e.g. `ins_3f2c…`."""
    return f"{prefix}_{uuid.uuid4().hex}"
