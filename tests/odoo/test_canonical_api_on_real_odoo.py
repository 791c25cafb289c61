"""The canonical API before a real Odoo: a customer and a sales order made by a client stand there and reach BNG."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

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


KINDS = ("customer", "vendor", "product_template", "product", "inventory_item", "sales_order", "purchase_order",
         "invoice", "payment")  # fmt: skip


async def test_invoices_payments_and_stock_are_read_at_both_ends_and_only_read(
    home: Path, systems: Systems, odoo_db: OdooDatabases
) -> None:
    def chosen(made: dict[str, Any]) -> None:
        made["entities"] = {name: made["entities"][name] for name in KINDS}

    async with (
        trading(odoo_db(), systems, change=chosen, name="odoo-bng-all") as trade,
        answering(trade, home) as service,
    ):
        [warehouse] = trade.read("stock.warehouse", [], "lot_stock_id")[:1]
        quant = {"product_id": trade.variants["LAMP"], "location_id": warehouse["lot_stock_id"][0]}
        trade.odoo.call("stock.quant", "create", vals_list=[{**quant, "inventory_quantity_auto_apply": 7}],
                        context={"inventory_mode": True})  # fmt: skip
        line = {"product_id": trade.variants["CHAIR"], "quantity": 2, "price_unit": 20.25, "tax_ids": [[6, 0, []]]}
        bills = [
            trade.new("account.move", move_type="out_invoice", partner_id=trade.partner, invoice_date="2026-05-04",
                      invoice_line_ids=[[0, 0, line]])
            for _ in range(3)
        ]  # fmt: skip
        trade.odoo.call("account.move", "action_post", ids=bills)
        wizard = {"active_model": "account.move", "active_ids": bills[:1]}
        [paying] = trade.odoo.call("account.payment.register", "create", vals_list=[{"payment_date": "2026-05-05"}],
                                   context=wizard)  # fmt: skip
        trade.odoo.call("account.payment.register", "action_create_payments", ids=[paying])
        await trade.settle()
        assert await trade.letters() == []
        numbers = {str(row["id"]): row["name"] for row in trade.read("account.move", [["id", "in", bills]], "name")}
        ends = {side: await new_client(service, f"reads-{side}", side=side) for side in ("left", "right")}
        for side, client in ends.items():
            read: dict[str, dict[str, Any]] = {}
            cursor = ""
            for _ in range(5):  # two to a page
                status, told, _ = await client.call("GET", f"/invoices?limit=2{cursor}")
                assert status == 200, told
                read |= {item["values"]["number"]: item for item in told["items"]}
                if told["next"] is None:
                    break
                cursor = f"&cursor={told['next']}"
            assert {number: item["values"]["total"] for number, item in read.items()} == dict.fromkeys(
                numbers.values(), "40.5"
            ), side
            one = read[numbers[str(bills[1])]]
            status, told, headers = await client.call("GET", f"/invoices/{one['key']}")
            assert (status, told) == (200, one)
            assert headers["ETag"] == f'"{one["version"]}"'
            assert [row["quantity"] for row in told["values"]["lines"]] == ["2"]
            assert (told["values"]["status"], told["values"]["currency"]) == ("open", "USD")
            [found] = (await client.call("GET", f"/invoices?number={numbers[str(bills[2])]}"))[1]["items"]
            assert found["values"]["number"] == numbers[str(bills[2])]
            [payment] = (await client.call("GET", "/payments"))[1]["items"]
            told = payment["values"]
            assert (told["amount"], told["currency"], told["paid_on"]) == ("40.5", "USD", "2026-05-05")
            assert [row["amount"] for row in told["applications"]] == ["40.5"]
            assert told["applications"][0]["invoice"] == read[numbers[str(bills[0])]]["key"]
            stock = {row["values"]["sku"]: row for row in (await client.call("GET", "/inventory"))[1]["items"]}
            assert (stock["LAMP"]["values"]["on_hand"], stock["LAMP"]["values"]["warehouse"]) == ("7", "WH")
            status, told, _ = await client.call("GET", f"/inventory/{quote(stock['LAMP']['key'], safe='')}")
            assert (status, told["values"]["on_hand"]) == (200, "7")
            for verb, path in (("POST", "/invoices"), ("PUT", f"/payments/{payment['key']}"), ("POST", "/inventory")):
                status, told, _ = await client.call(verb, path, {"reference": "x", "values": {}})
                assert status == 405, told
