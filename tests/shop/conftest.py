"""A shop for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from shop_visitor import Shopping, opened, stocked


@pytest.fixture
async def shopping() -> AsyncIterator[Shopping]:
    """A fresh shop with ten mugs and two caps."""
    async with opened() as up:
        await stocked(up)
        yield up
