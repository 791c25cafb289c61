"""The Odoo connector keeps the contract: against the sandbox, and the same against a real Odoo 19."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from isthmus.sandbox import odoo
from isthmus.testing.contract import Live, contract
from real_odoo import OdooDatabases

HERE = Path(__file__).parent / "odoo"


@asynccontextmanager
async def running_sandbox() -> AsyncIterator[Live]:
    """A fresh sandbox on a free port."""
    async with odoo.running(odoo.Settings()) as up:
        yield Live(url=up.url, secrets={"api_key": up.settings.api_key}, settings={"database": up.settings.database})


TestOdoo = contract("odoo", HERE, live=running_sandbox)

_real: list[Live] = []


@pytest.fixture(scope="module")
def own_database(odoo_databases: OdooDatabases) -> Iterator[None]:
    """A database of the real Odoo with few records, for the class below."""
    made = odoo_databases()
    _real.append(Live(url=made.url, secrets={"api_key": made.api_key}, settings={"database": made.database}))
    yield
    _real.clear()


@asynccontextmanager
async def running_odoo() -> AsyncIterator[Live]:
    """The same database for every check; each makes records of its own."""
    yield _real[0]


@pytest.mark.odoo
@pytest.mark.usefixtures("own_database")
class TestRealOdoo(contract("odoo", HERE, live=running_odoo, only=("res.partner",))):  # type: ignore[misc]  # made class
    """The contract against the real Odoo 19."""
