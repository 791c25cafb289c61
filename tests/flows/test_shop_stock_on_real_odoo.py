"""Stock of each warehouse as its owner counts it: in a real Odoo, at BNG and in the shop."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from cash_world import CashWorld, stock
from shop_world import ShopWorld, connect_shop, goods, opened, publish_as
from trading import trading

from joined import Systems
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


async def test_stock_of_each_warehouse_is_its_owners_in_odoo_at_bng_and_in_the_shop(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    odoo = odoo_db()
    odoo.call("stock.warehouse", "create", odoo.admin_key, vals_list=[{"name": "Third party", "code": "3PL"}])

    def only_stock(made: dict[str, Any]) -> None:
        kept = ("customer", "vendor", "product_template", "product", "inventory_item")
        made["entities"] = {name: made["entities"][name] for name in kept}
        made["entities"]["inventory_item"]["owners"] = {"left": ["WH"], "right": ["3PL"]}

    async with opened() as shopping, trading(odoo, systems, name="odoo-bng-operations", change=only_stock) as trade:
        await connect_shop(shopping)
        await goods(shopping, "CHAIR", "LAMP")
        places = [one["number_id"] for one in await shopping.door("GET", "all", kind="Location")]
        table = {"      WH: '1'\n": f"      WH: '{places[0]}'\n      3PL: '{places[1]}'\n"}
        await publish_as(trade.runtime, "stock-to-shop", table, shop="shop", bng="bng", stock="main")
        cash = CashWorld(trade, systems, None)  # type: ignore[arg-type]  # no card is charged here
        world = ShopWorld(trade.runtime, systems, shopping)
        chair, lamp = trade.variants["CHAIR"], trade.variants["LAMP"]
        stock(trade, {chair: 7.5, lamp: 3.0})
        await cash.work(1)
        assert [await world.available(sku) for sku in ("CHAIR", "LAMP")] == [7, 3]

        buyer = trade.new("res.partner", name="Counter", email="counter@example.org")
        sold = trade.new(
            "sale.order", partner_id=buyer, order_line=[[0, 0, {"product_id": lamp, "product_uom_qty": 1}]]
        )
        odoo.call("sale.order", "action_confirm", ids=[sold])
        await cash.work(1)
        [item] = await world.at_bng("inventory_item", SKU="LAMP")
        assert (item["QuantityOnHand"], item["QuantityAvailable"], await world.available("LAMP")) == (
            "3.0000", "2.0000", 2,
        )  # fmt: skip

        stale = {"QuantityOnHand": "99.0000", "AsOf": "2020-01-01T00:00:00Z"}
        assert await older(systems, item["InventoryItemID"], stale) == (409, "StaleAsOf")
        for entity, of in (("inventory_item", item["InventoryItemID"]), ("inventory_item", item["InventoryItemID"])):
            world.hear("bng", entity, of)
        await cash.work(1)
        assert (await world.available("LAMP"), cash.held()) == (2, [])

        level = {"SKU": "CHAIR", "WarehouseCode": "3PL", "QuantityOnHand": "30", "AsOf": "2026-11-24T10:00:00Z",
                 "ProductID": trade.products["CHAIR"]}  # fmt: skip
        await shopping.do("stock", sku="CHAIR", available=0, location=f"gid://shopify/Location/{places[1]}")
        key = await world.seed("inventory_item", **level)
        await cash.work(1)
        there = trade.read("stock.quant", [["product_id", "=", chair], ["warehouse_id.code", "=", "3PL"]], "quantity")
        assert [row["quantity"] for row in there] == [30.0]
        assert await world.available("CHAIR") == 37
        await world.edit("inventory_item", key, QuantityOnHand="4", AsOf="2026-11-24T11:00:00Z")
        await cash.work(1)
        assert await world.available("CHAIR") == 11
        assert cash.held() == []


async def older(systems: Systems, key: str, values: dict[str, str]) -> tuple[int, str]:
    """Status and code with which BNG answers a count that is older than the one it has."""
    up = systems.bng
    form = {"grant_type": "client_credentials", "client_id": up.settings.client_id,
            "client_secret": up.settings.client_secret}  # fmt: skip
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{up.url}/oauth/token", data=form) as answer:
            headers = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
        path = f"{up.url}/api/v1/inventory_items/{key}"
        async with session.put(path, json=values, headers=headers) as answer:
            return answer.status, (await answer.json())["Error"]["Code"]
