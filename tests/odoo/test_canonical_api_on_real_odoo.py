"""The canonical API before a real Odoo: a customer and a sales order made by a client stand there and reach BNG."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from trading import Trade, trading

from calling import at_bng, new_client
from isthmus.api.app import create_app
from isthmus.security.tokens import local_token
from joined import Service, Systems
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


@asynccontextmanager
async def answering(trade: Trade, home: Path) -> AsyncIterator[Service]:
    """The HTTP face over the pair's own runtime; lanes are drained by `settle`."""
    token = await trade.runtime.db.run(local_token, home)
    server = uvicorn.Server(uvicorn.Config(create_app(trade.runtime), port=0, lifespan="off", log_config=None))
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as session:
        yield Service(f"http://127.0.0.1:{port}", token.reveal(), session)
    server.should_exit = True
    await task


async def test_a_customer_and_an_order_made_by_a_client_stand_in_odoo_and_reach_bng(
    home: Path, systems: Systems, odoo_db: OdooDatabases
) -> None:
    def both_ways(made: dict[str, Any]) -> None:
        made["entities"]["sales_order"]["create_right"] = True

    async with trading(odoo_db(), systems, change=both_ways) as trade, answering(trade, home) as service:
        till = await new_client(service)
        address = {"line1": "Kaai 7", "city": "Gent", "postal_code": "9000", "country": "BE"}
        buyer = await till.create(
            "customers", "W-1", name="Acme", is_company=True, email="acme@example.com", billing=address
        )
        [there] = trade.read("res.partner", [["id", "=", int(buyer["key"])]], "name", "email", "city")
        assert (there["name"], there["email"], there["city"]) == ("Acme", "acme@example.com", "Gent")
        await trade.settle()
        assert await trade.letters() == []
        assert await at_bng(systems, "customer", CompanyName="Acme")
        more = {"customer_reference": "PO-7", "currency": "USD"}
        line = {"product": str(trade.variants["CHAIR"]), "quantity": "2", "unit_price": "40.25"}
        order = await till.create("sales_orders", "O-1", customer=buyer["key"], lines=[line], **more)
        [sold] = trade.read("sale.order", [["id", "=", int(order["key"])]], "client_order_ref", "amount_untaxed")
        assert (sold["client_order_ref"], sold["amount_untaxed"]) == ("PO-7", 80.5)
        assert order["values"]["subtotal"] == "80.5"
        assert order["values"]["customer"] == buyer["key"]
        await trade.settle()
        assert await trade.letters() == []
        [carried] = await at_bng(systems, "sales_order", CustomerPONumber="PO-7")
        assert (carried["Subtotal"], carried["LineItems"][0]["Quantity"]) == ("80.50", "2.0000")
        again = await till.call(
            "POST",
            "/sales_orders",
            {"reference": "O-1", "values": {"customer": buyer["key"], "lines": [line], **more}},
        )
        assert (again[0], again[1]["key"]) == (200, order["key"])
