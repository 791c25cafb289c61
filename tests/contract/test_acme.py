"""A system that joined by a manifest alone keeps the whole contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from acme import Acme
from aiohttp.test_utils import TestServer

from isthmus.connectors.rest import rest_kind
from isthmus.testing.contract import Live, contract


@asynccontextmanager
async def running_acme() -> AsyncIterator[Live]:
    """A fresh Acme on a free port."""
    server = TestServer(Acme().app())
    await server.start_server()
    try:
        yield Live(url=str(server.make_url("")).rstrip("/"))
    finally:
        await server.close()


HERE = Path(__file__).parent / "acme_crm"
TestAcme = contract(rest_kind(HERE / "manifest.yaml"), HERE, live=running_acme)
