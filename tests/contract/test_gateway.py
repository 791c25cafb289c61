"""The BNG Gateway keeps the contract, as far as a gateway can: transactions and vault customers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from isthmus.sandbox.gateway import Settings, running
from isthmus.testing.contract import Live, contract

HERE = Path(__file__).parent / "gateway"


@asynccontextmanager
async def running_gateway() -> AsyncIterator[Live]:
    """A fresh gateway on a free port."""
    async with running(Settings(security_key="gateway-contract-key-1")) as gateway:
        yield Live(url=gateway.url)


TestGateway = contract("bng_gateway", HERE, live=running_gateway)
