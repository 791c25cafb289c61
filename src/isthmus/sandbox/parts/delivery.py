"""Delivers webhooks: at once after the commit, several at a time, again and again until they are accepted."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from .database import Database, stamp_text
from .faults import Fault, Faults
from .outbox import Delivery, Outbox

_FLUSH_SECONDS = 0.02


class WebhookTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How deliveries are timed: the n-th retry waits `first_retry * 2**(n-1)` s, at most `longest_retry`, jittered.

    After `attempts` tries a delivery is kept as failed. `rotation` is how long a replaced secret still signs.
    """

    timeout: float = 10.0
    first_retry: float = 1.0
    longest_retry: float = 300.0
    attempts: int = 12
    parallel: int = 16
    rotation: float = 86400.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Where a delivery goes, and the headers that sign and describe it."""

    url: str
    headers: Mapping[str, str]


Address = Callable[[Delivery, int], Outgoing | None]
"""Address and headers of a delivery sent at a moment (microseconds); None when nobody wants it any more."""


class _Outlet:
    """What waits for one subscriber, and what was held back for it by a reorder fault."""

    __slots__ = ("held", "queue", "workers")

    def __init__(self) -> None:
        self.queue: deque[Delivery] = deque()
        self.held: list[Delivery] = []
        self.workers = 0


class Dispatcher:
    """Sends what the outbox holds. Every subscriber has workers of its own, so a slow one delays no other."""

    def __init__(
        self, database: Database, outbox: Outbox, address: Address, faults: Faults[Any], times: WebhookTimes
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._address = address
        self._faults = faults
        self._times = times
        self.on_given_up: Callable[[Delivery], None] = lambda _: None
        self._jitter = random.Random()
        self._outlets: defaultdict[str, _Outlet] = defaultdict(_Outlet)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._done: list[int] = []
        self._flush: asyncio.TimerHandle | None = None
        self._session: aiohttp.ClientSession | None = None
        self.counts: Counter[str] = Counter()
        self.log: deque[dict[str, Any]] = deque(maxlen=2000)

    async def start(self) -> None:
        """Open the connections and go on with what an earlier process left."""
        timeout = aiohttp.ClientTimeout(total=self._times.timeout)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        self._outbox.on_new = self.submit
        for delivery in self._outbox.waiting():
            self._later(delivery, (delivery.due - self._database.stamp()) / 1_000_000)

    async def close(self) -> None:
        """Stop sending; what was not accepted stays in the outbox."""
        self._outbox.on_new = lambda _: None
        self._forget_timers()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._write_done()
        if self._session is not None:
            await self._session.close()

    def clear(self) -> None:
        """Forget everything that waits, because the outbox was emptied."""
        self._forget_timers()
        self._done.clear()
        for outlet in self._outlets.values():
            outlet.queue.clear()
            outlet.held.clear()
        self.counts.clear()
        self.log.clear()

    def _forget_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def submit(self, delivery: Delivery) -> None:
        """Send a delivery as soon as a worker of its subscriber is free."""
        outlet = self._outlets[delivery.subscription]
        outlet.queue.append(delivery)
        if outlet.workers < self._times.parallel:
            outlet.workers += 1
            task = asyncio.get_running_loop().create_task(self._work(outlet))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _later(self, delivery: Delivery, seconds: float) -> None:
        if seconds <= 0:
            self.submit(delivery)
            return

        def due() -> None:
            self._timers.discard(timer)
            self.submit(delivery)

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._timers.add(timer)

    async def _work(self, outlet: _Outlet) -> None:
        try:
            while outlet.queue:
                await self._deliver(outlet, outlet.queue.popleft())
        finally:
            outlet.workers -= 1

    async def _deliver(self, outlet: _Outlet, delivery: Delivery) -> None:
        fault: Fault | None = None if delivery.spoiled else self._faults.on_webhook(delivery.event_type)
        if fault is not None:
            delivery.spoiled = True
            if fault.kind == "webhook_lose":
                self._accepted(delivery)
                return
            if fault.kind == "webhook_late":
                self._later(delivery, fault.seconds)
                return
            if fault.kind == "webhook_reorder":
                outlet.held.append(delivery)
                asyncio.get_running_loop().call_later(fault.seconds, self._release, outlet)
                return
            await self._send(delivery)
        good = await self._send(delivery)
        if good:
            self._accepted(delivery)
        elif good is False:
            self._retry(delivery)
        self._release(outlet)

    def _release(self, outlet: _Outlet) -> None:
        held, outlet.held = outlet.held, []
        for delivery in held:
            self.submit(delivery)

    async def _send(self, delivery: Delivery) -> bool | None:
        """Whether it was accepted; None when nobody wants it any more."""
        if self._session is None:
            raise RuntimeError("sending a webhook: the dispatcher was not started")
        stamp = self._database.stamp()
        to = self._address(delivery, stamp)
        if to is None:
            return None
        began = time.perf_counter()
        outcome: int | str
        try:
            async with self._session.post(
                to.url, data=delivery.body, headers=to.headers, allow_redirects=False
            ) as response:
                outcome = response.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            outcome = type(error).__name__
        good = isinstance(outcome, int) and 200 <= outcome < 300
        self.counts["accepted" if good else "refused"] += 1
        self.log.append(
            {
                "At": stamp_text(stamp),
                "SubscriptionID": delivery.subscription,
                "EventID": delivery.event_id,
                "EventType": delivery.event_type,
                "Url": to.url,
                "Attempt": delivery.attempts + 1,
                "Outcome": outcome,
                "Milliseconds": round((time.perf_counter() - began) * 1000, 1),
            }
        )
        return good

    def _accepted(self, delivery: Delivery) -> None:
        self._done.append(delivery.seq)
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self._write_done)

    def _write_done(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        done, self._done = self._done, []
        if done:
            self._outbox.delivered(done)

    def _retry(self, delivery: Delivery) -> None:
        delivery.attempts += 1
        failed = delivery.attempts >= self._times.attempts
        wait = min(self._times.first_retry * 2 ** (delivery.attempts - 1), self._times.longest_retry)
        wait *= 0.5 + self._jitter.random() / 2
        delivery.due = self._database.stamp() + int(wait * 1_000_000)
        self._outbox.tried(delivery, failed=failed)
        if failed:
            self.counts["given_up"] += 1
            self.on_given_up(delivery)
        else:
            self._later(delivery, wait)

    def revive(self) -> int:
        """Send the deliveries again that were given up; returns how many."""
        found = self._outbox.revive()
        for delivery in found:
            self.submit(delivery)
        return len(found)
