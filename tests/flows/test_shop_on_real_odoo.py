"""From the shop's checkout to a real Odoo and back: orders to the cent, and one unit that is sold once."""

from __future__ import annotations

from typing import Any

import pytest
from cash_world import cashing, publish
from shop_world import ShopWorld, connect_shop, goods, opened, publish_as

from joined import Systems
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo

INSIDE = {"tax_included": [("19%", "19% inside", "")]}
"""The look-up table of taxes that are part of a price."""


async def test_an_order_of_the_shop_is_confirmed_shipped_and_paid_and_the_last_unit_is_sold_once(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    odoo = odoo_db()
    inside = {"name": "19% inside", "amount": 19, "price_include_override": "tax_included", "type_tax_use": "sale"}
    odoo.call("account.tax", "create", odoo.admin_key, vals_list=[inside])
    async with opened() as shopping, cashing(odoo, systems, tables=INSIDE) as cash:
        await connect_shop(shopping)
        await goods(shopping, "CHAIR", "LAMP")
        for name in ("shop-order-to-bng", "fulfilment-to-shop"):
            await publish(cash.trade.runtime, name, shop="shop", bng="bng")
        roles = {"bng": "bng", "odoo": "odoo", "gateway": "gateway", "trade": "main"}
        words = {"house.lacking: '\"backorder\"'": "house.lacking: '\"hold\"'"}
        await publish_as(cash.trade.runtime, "order-to-cash", words, **roles)
        await cash.poll()  # from here on the flows listen
        [quant] = cash.trade.read("stock.quant", [["product_id", "=", cash.trade.variants["LAMP"]],
                                                   ["quantity", ">", 0]], "id")  # fmt: skip
        lamps = {"ids": [quant["id"]], "context": {"inventory_mode": True}}
        cash.trade.odoo.call("stock.quant", "write", vals={"inventory_quantity_auto_apply": 1.0}, **lamps)
        world = ShopWorld(cash.trade.runtime, systems, shopping)
        key = await world.checkout(
            {"sku": "CHAIR", "quantity": 3, "price": "35.70", "discount": {"value": "10"}},
            payment="authorize", taxes_included=True, taxes=[{"title": "VAT", "rate": "0.19"}],
            shipping=[{"title": "Post", "price": "4.90", "taxable": False}],
        )  # fmt: skip
        card = {"amount": "101.29", "payment_token": cash.rig.token("approve"), "orderid": "#1001", "currency": "USD"}
        _, said = await cash.rig.send("/api/transact.php", type="auth", **card)
        assert b"response=1&" in said, said
        last = await world.checkout({"sku": "LAMP"})
        rival = await cash.order(cash.trade.line(1, "LAMP", "1", "40.00"), card="approve")
        await cash.work()
        placed, lamp = await world.order_of(key), (await world.order_of(last))["SalesOrderID"]
        order = cash.in_odoo(placed["SalesOrderID"])
        assert (order["state"], order["amount_total"], placed["TotalAmount"]) == ("sale", 101.29, "101.29")
        [line] = [row for row in cash.trade.lines_in_odoo(order["id"]) if row["sequence"] == 1]
        assert (line["product_uom_qty"], line["price_unit"], line["price_subtotal"]) == (3, 32.13, 81.0)

        channels = {k: [t[0] for t in cash.transfers(cash.in_odoo(k))] for k in (lamp, rival)}
        assert sorted(channels.values()) == [["assigned"], ["confirmed"]]
        [loser] = [k for k, states in channels.items() if states == ["confirmed"]]
        told = {(row[0], row[1], row[2].split()[0]) for row in cash.held()}
        assert told == {("order-to-cash", "reserve", loser)}
        assert all("not everything of it is in stock" in row[4] for row in cash.held())

        world.ship(placed["SalesOrderID"], tracking="1Z9")
        await cash.work()
        assert cash.invoices(cash.in_odoo(placed["SalesOrderID"]))[0][1:4] == ("posted", 101.29, 0.0)
        shown = await world.in_shop("Order", key)
        assert shown["displayFulfillmentStatus"] == "FULFILLED"
        [parcel] = await world.all_in_shop("Fulfillment")
        assert [one["number"] for one in parcel["trackingInfo"]] == ["1Z9"]
        assert (await world.order_of(key))["PaymentStatus"] == "Paid"
        cash.trade.odoo.call("stock.quant", "write", vals={"inventory_quantity_auto_apply": 2.0}, **lamps)
        world.hear("bng", "sales_order", loser)
        await cash.work()
        assert cash.held() == []
        assert [[t[0] for t in cash.transfers(cash.in_odoo(k))] for k in (lamp, rival)] == [["assigned"]] * 2
