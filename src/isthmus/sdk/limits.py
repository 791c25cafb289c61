"""How fast and how wide a connection may be spoken to: the call budget and the adaptive concurrency."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol, runtime_checkable

from isthmus.errors import RateLimited
from isthmus.model.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls per second on average, and how many may follow at once after a pause. `per_second` 0: no limit."""

    per_second: float = 5.0
    burst: int = 10


@runtime_checkable
class Budget(Protocol):
    """Permission to call, shared by everyone who uses the same connection."""

    async def take(self, n: int = 1) -> None:
        """Wait until `n` calls may be made; raises RateLimited when that is farther away than it is worth waiting."""

    async def block_until(self, when: datetime) -> None:
        """Let nobody call before `when` (aware): the other side asked for it."""


class TokenBucket:
    """The Budget of one process: first come, first served, by a token bucket.

    `patience` is the longest wait in seconds; beyond it `take` raises RateLimited at once, so that a worker is
    not kept for an hour by one slow system.
    """

    def __init__(
        self,
        rate: Rate,
        *,
        patience: float = 30.0,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._rate = rate
        self._patience = patience
        self._clock = clock or SystemClock()
        self._monotonic = self._clock.monotonic
        self._sleep = sleep
        self._tokens = float(max(rate.burst, 1))
        self._filled_at = self._monotonic()
        self._blocked_until = self._filled_at

    async def take(self, n: int = 1) -> None:
        self._refill()
        short = self._shortage(n)
        wait = max(short, self._blocked_until - self._monotonic())
        if wait > self._patience:
            raise RateLimited("waiting for the call budget of this connection", wait=timedelta(seconds=wait))
        if self._rate.per_second > 0:
            self._tokens -= n
        if short > 0:
            await self._sleep(short)
        while (blocked := self._blocked_until - self._monotonic()) > 0:
            if blocked > self._patience:
                raise RateLimited("waiting for the call budget of this connection", wait=timedelta(seconds=blocked))
            await self._sleep(blocked)

    async def block_until(self, when: datetime) -> None:
        ahead = (when - self._clock.now()).total_seconds()
        self._blocked_until = max(self._blocked_until, self._monotonic() + ahead)

    def _refill(self) -> None:
        now = self._monotonic()
        full = float(max(self._rate.burst, 1))
        self._tokens = min(full, self._tokens + (now - self._filled_at) * self._rate.per_second)
        self._filled_at = now

    def _shortage(self, n: int) -> float:
        """Seconds until `n` tokens are there (tokens go below zero: that is the queue)."""
        if self._rate.per_second <= 0 or self._tokens >= n:
            return 0.0
        return (n - self._tokens) / self._rate.per_second


class AdaptiveConcurrency:
    """How many calls run at once: one more after a full round went well, half of them when pushed back.

    Pushed back means 429 or 503, an answer slower than `slow_after` seconds, or a failure that the connector
    knows to come from too many writers (a serialisation failure), which it reports by `pushed_back()`.
    """

    def __init__(
        self,
        *,
        start: int = 2,
        most: int = 4,
        slow_after: float = 20.0,
        pause: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        self._most = max(1, most)
        self._limit = float(min(max(1, start), self._most))
        self._slow_after = slow_after
        self._pause = pause
        self._monotonic = (clock or SystemClock()).monotonic
        self._cut_at = float("-inf")
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """The calls allowed at once just now."""
        return int(self._limit)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the slots for the length of a call; first come, first served."""
        if self._running >= self.limit or self._waiting:
            await self._queue()
        else:
            self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._wake()

    def went_well(self, elapsed: float) -> None:
        """Tell how a call went; `elapsed` in seconds."""
        if elapsed > self._slow_after:
            self.pushed_back()
        elif self._running >= self.limit:  # only a limit that is in use is worth raising
            self._limit = min(float(self._most), self._limit + 1.0 / self._limit)
            self._wake()

    def pushed_back(self) -> None:
        """The other side had too much; at most once per `pause` seconds, as one jam answers many calls."""
        now = self._monotonic()
        if now - self._cut_at >= self._pause:
            self._cut_at = now
            self._limit = max(1.0, self._limit / 2)

    async def _queue(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was already ours: hand it on
                self._running -= 1
                self._wake()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _wake(self) -> None:
        while self._waiting and self._running < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long an answer asks us to wait: `Retry-After` (seconds or a date), else `X-RateLimit-Reset`.

    A reset is read as an epoch when it is large, else as seconds. None when the answer does not say.
    """
    said = headers.get("retry-after", "").strip()
    if said:
        seconds = _number(said)
        if seconds is not None:
            return timedelta(seconds=min(max(seconds, 0.0), 86_400.0))
        try:
            when = parsedate_to_datetime(said)
        except ValueError:
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(when - now, timedelta(0))
    reset = _number(headers.get("x-ratelimit-reset", ""))
    if reset is None:
        return None
    ahead = reset - now.timestamp() if reset > 1_000_000_000 else reset
    return timedelta(seconds=min(max(ahead, 0.0), 86_400.0))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None
