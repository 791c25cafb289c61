"""The call budget and the adaptive concurrency."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from isthmus.sdk import AdaptiveConcurrency, Rate, RateLimited, TokenBucket, retry_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Time:
    """A clock that moves only by sleeping."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


def bucket(rate: Rate, time: Time, patience: float = 30) -> TokenBucket:
    return TokenBucket(rate, patience=patience, clock=time, sleep=time.sleep)


async def test_a_burst_passes_and_then_the_rate_holds() -> None:
    time = Time()
    budget = bucket(Rate(5, 3), time)
    for _ in range(3):
        await budget.take()
    assert time.passed == 0
    for _ in range(10):
        await budget.take()
    assert time.passed == pytest.approx(2.0)


async def test_no_rate_never_waits() -> None:
    time = Time()
    budget = bucket(Rate(0), time)
    for _ in range(1000):
        await budget.take()
    assert time.passed == 0


async def test_a_block_holds_everybody_and_then_lifts() -> None:
    time = Time()
    budget = bucket(Rate(100, 100), time)
    await budget.block_until(NOW + timedelta(seconds=12))
    await budget.take()
    assert time.passed == pytest.approx(12)


async def test_a_wait_that_is_too_long_is_told_instead() -> None:
    time = Time()
    budget = bucket(Rate(100, 100), time)
    await budget.block_until(NOW + timedelta(minutes=10))
    with pytest.raises(RateLimited) as caught:
        await budget.take()
    assert caught.value.wait == timedelta(minutes=10)
    assert time.passed == 0


async def test_concurrency_is_bounded_and_first_come_first_served() -> None:
    gate = AdaptiveConcurrency(start=2, most=2)
    order: list[int] = []
    running = most = 0

    async def call(number: int) -> None:
        nonlocal running, most
        async with gate.slot():
            running += 1
            most = max(most, running)
            order.append(number)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(call(number) for number in range(6)))
    assert most == 2
    assert order == list(range(6))


async def test_a_cancelled_waiter_gives_its_turn_on() -> None:
    gate = AdaptiveConcurrency(start=1, most=1)
    release = asyncio.Event()

    async def hold() -> None:
        async with gate.slot():
            await release.wait()

    async def quick() -> str:
        async with gate.slot():
            return "through"

    first = asyncio.create_task(hold())
    await asyncio.sleep(0)
    doomed = asyncio.create_task(quick())
    last = asyncio.create_task(quick())
    await asyncio.sleep(0)
    doomed.cancel()
    release.set()
    await first
    assert await asyncio.wait_for(last, 1) == "through"


async def test_concurrency_grows_while_all_is_well_and_halves_when_pushed_back() -> None:
    time = Time()
    gate = AdaptiveConcurrency(start=2, most=8, clock=time)

    async def round_of_calls() -> None:
        async with gate.slot(), gate.slot():
            for _ in range(20):
                gate.went_well(0.1)

    await round_of_calls()
    grown = gate.limit
    assert grown > 2
    gate.pushed_back()
    gate.pushed_back()  # the same jam answers many calls: it counts once
    assert gate.limit == max(1, grown // 2)
    time.passed += 5
    gate.went_well(60.0)  # an answer that took a minute is a jam, too
    assert gate.limit == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:20 GMT"}, 20),
        ({"retry-after": "Wed, 31 Dec 2025 00:00:00 GMT"}, 0),
        ({"x-ratelimit-reset": "9"}, 9),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 30)}, 30),
        ({"retry-after": "-5"}, 0),
    ],
)
def test_the_wait_is_read_in_every_form(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("headers", [{}, {"retry-after": "soon"}, {"retry-after": "nan"}])
def test_no_readable_wait_is_none(headers: dict[str, str]) -> None:
    assert retry_after(headers, NOW) is None
