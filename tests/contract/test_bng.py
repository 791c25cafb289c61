"""BNG keeps the whole contract: all twelve entities against the sandbox, two of them over recordings as well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from isthmus.sandbox.bng import Settings, running
from isthmus.testing.contract import Live, contract

HERE = Path(__file__).parent / "bng"


@asynccontextmanager
async def running_bng() -> AsyncIterator[Live]:
    """A fresh BNG sandbox on a free port."""
    async with running(Settings(client_id="contract", client_secret="bng-contract-secret-1")) as sandbox:
        yield Live(url=sandbox.url)


TestBng = contract("bng", HERE, live=running_bng)
TestBngRecorded = contract("bng", HERE, record=running_bng, only=("customer", "sales_order_line_item"))
