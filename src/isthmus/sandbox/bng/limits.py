"""The rate limit: a token bucket per client."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from .settings import Switches


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimit:
    """Counts requests against the rate in the switches, which may change at any time."""

    def __init__(self, switches: Switches, clock: Callable[[], float] = time.monotonic) -> None:
        self._switches = switches
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, client: str) -> tuple[bool, dict[str, str]]:
        """Whether the request may pass, and the headers that tell how the client stands."""
        rate, burst = self._switches.rate_per_second, self._switches.rate_burst
        now = self._clock()
        bucket = self._buckets.setdefault(client, _Bucket(burst, now))
        bucket.left = min(burst, bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        passes = bucket.left >= 1 or not self._switches.rate_limit
        if passes:
            bucket.left = max(0.0, bucket.left - 1)
        headers = {
            "X-RateLimit-Limit": str(burst),
            "X-RateLimit-Remaining": str(int(bucket.left)),
            "X-RateLimit-Reset": str(math.ceil((burst - bucket.left) / rate)),
        }
        if not passes:
            headers["Retry-After"] = str(max(1, math.ceil((1 - bucket.left) / rate)))
        return passes, headers

    def clear(self) -> None:
        """Fill every bucket."""
        self._buckets.clear()
