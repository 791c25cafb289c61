"""The REST routes of the Odoo-compatible sandbox join by the manifest that ships with it, and keep the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from isthmus.connectors.rest import rest_kind
from isthmus.sandbox import odoo
from isthmus.testing.contract import Live, contract


@asynccontextmanager
async def running_sandbox() -> AsyncIterator[Live]:
    """A fresh sandbox on a free port."""
    async with odoo.running(odoo.Settings()) as up:
        yield Live(url=up.url, secrets={"api_key": up.settings.api_key})


TestOdooRest = contract(rest_kind(odoo.REST_MANIFEST), Path(__file__).parent / "odoo_rest", live=running_sandbox)
