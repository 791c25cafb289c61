"""Things done at once end together."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.sdk.together import together


async def test_results_come_in_the_order_of_the_work() -> None:
    async def late(value: int, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return value

    assert await together(late(1, 0.02), late(2, 0)) == [1, 2]


async def test_nothing_is_left_running_when_one_fails() -> None:
    ended: list[str] = []

    async def long() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("long")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await together(long(), failing())
    assert ended == ["long"]
