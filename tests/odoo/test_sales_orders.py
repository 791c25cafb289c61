"""Sales orders between a real Odoo and BNG: every field, lines one by one, both origins, missing products."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from installing import connected as wired
from speaking import change, one, speaking, written
from trading import ADDRESS, Trade, trading

from isthmus.connectors.odoo.actions import install
from isthmus.connectors.odoo.guarded import GUARDED_WRITE
from isthmus.sdk import Secret, Stale
from joined import Systems, isthmus
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


@pytest.fixture
async def trade(home: Any, systems: Systems, odoo_db: OdooDatabases) -> AsyncIterator[Trade]:
    async with trading(odoo_db(), systems) as made:
        yield made


FULL = {
    "OrderNumber": "SHOP-1001", "CustomerPONumber": "PO-77", "SalesChannel": "Shop", "OrderSource": "Web",
    "BillingAddress": {**ADDRESS, "Name": "Books", "Line1": "Kaai 1"}, "ShippingAddress": ADDRESS,
    "ShippingMethod": "Air", "RequestedShipDate": "2026-03-09", "PromisedDate": "2026-03-10",
    "PaymentTerms": "Net 30", "WarehouseCode": "WH", "Notes": "Ring twice", "ShippingTotal": "12.00",
    "DiscountTotal": "5.00",
}  # fmt: skip


async def test_every_field_of_a_bng_order_arrives_in_odoo(trade: Trade) -> None:
    lines = [
        trade.line(1, "CHAIR", "2", "40.0000", TaxCode="7%", TaxAmount="5.60", Description="Red chair"),
        trade.line(2, "TABLE", "3", "9.9900", DiscountAmount="5.00"),
        trade.line(5, "LAMP", "1.5", "10.1234", DiscountPercent="10.0000"),
    ]
    key = await trade.order_in_bng(*lines, **FULL)
    await trade.settle()
    assert await trade.letters() == []
    [order] = trade.orders_in_odoo(
        "state", "origin", "client_order_ref", "partner_id", "date_order", "commitment_date", "payment_term_id",
        "warehouse_id", "note", "amount_untaxed", "amount_tax", "amount_total", "currency_id", "partner_invoice_id",
        "partner_shipping_id",
    )  # fmt: skip
    assert {name: value[1] if isinstance(value, list) else value for name, value in order.items()} | {
        "partner_invoice_id": 0, "partner_shipping_id": 0, "id": 0,
    } == {
        "id": 0, "state": "draft", "origin": key, "client_order_ref": "PO-77", "partner_id": "Azure",
        "date_order": "2026-03-02 10:15:00", "commitment_date": "2026-03-09 12:00:00", "payment_term_id": "30 Days",
        "warehouse_id": "My Company", "note": "<p>Ring twice</p>", "amount_untaxed": 125.64, "amount_tax": 5.6,
        "amount_total": 131.24, "currency_id": "USD", "partner_invoice_id": 0, "partner_shipping_id": 0,
    }  # fmt: skip
    for field, street, name in (("partner_invoice_id", "Kaai 1", "Books"), ("partner_shipping_id", "Kaai 7", "Dock 2")):
        [at] = trade.read("res.partner", [["id", "=", order[field][0]]], "name", "street", "city", "zip", "country_id",
                          "parent_id", "type")  # fmt: skip
        assert (at["name"], at["street"], at["city"], at["zip"], at["country_id"][1], at["parent_id"][0]) == (
            name, street, "Gent", "9000", "Belgium", trade.partner,
        )  # fmt: skip
    rows = trade.lines_in_odoo(order["id"])
    seven = trade.read("account.tax", [["name", "=", "7%"], ["type_tax_use", "=", "sale"]], "name")[0]["id"]
    told = [
        (r["sequence"], r["product_id"][0], r["product_uom_qty"], r["price_subtotal"], r["discount"], r["tax_ids"])
        for r in rows
    ]
    v = trade.variants
    assert told == [
        (1, v["CHAIR"], 2.0, 80.0, 0.0, [seven]), (2, v["TABLE"], 3.0, 24.97, 0.0, []),
        (5, v["LAMP"], 1.5, 13.67, 10.0, []), (9000, v["SHIP"], 1.0, 12.0, 0.0, []),
        (9100, v["DISC"], 1.0, -5.0, 0.0, []),
    ]  # fmt: skip
    assert [r["name"] for r in rows][:2] == ["Red chair", "[TABLE] Table"]
    assert rows[2]["price_unit"] == 10.1234


async def test_lines_are_added_changed_and_removed_one_by_one(trade: Trade) -> None:
    line = trade.line
    key = await trade.order_in_bng(
        line(1, "CHAIR", "2", "40"), line(2, "TABLE", "1", "99.5"), line(3, "LAMP", "4", "5")
    )
    await trade.settle()
    [order] = trade.orders_in_odoo()
    before = {row["product_id"][0]: row for row in trade.lines_in_odoo(order["id"])}
    changed = trade.order(line(1, "CHAIR", "3", "40"), line(3, "LAMP", "4", "5"), line(4, "ROUND", "1", "7"))
    await trade.edit("sales_order", key, **{n: changed[n] for n in ("LineItems", "Subtotal", "TotalAmount")})
    await trade.settle()
    assert await trade.letters() == []
    after = {row["product_id"][0]: row for row in trade.lines_in_odoo(order["id"])}
    v = trade.variants
    assert {v["CHAIR"], v["LAMP"], v["ROUND"]} == after.keys()
    assert after[v["LAMP"]] == before[v["LAMP"]]
    assert (after[v["CHAIR"]]["id"], after[v["CHAIR"]]["product_uom_qty"]) == (before[v["CHAIR"]]["id"], 3.0)
    assert trade.orders_in_odoo()[0]["amount_total"] == 147.0


async def test_an_edit_in_odoo_of_an_order_from_bng_is_put_back_and_its_status_goes_to_bng(trade: Trade) -> None:
    await trade.order_in_bng()
    await trade.settle()
    [order] = trade.orders_in_odoo()
    [first, *_] = trade.lines_in_odoo(order["id"])
    trade.odoo.call("sale.order.line", "write", ids=[first["id"]], vals={"product_uom_qty": 9})
    trade.odoo.call("sale.order", "action_confirm", ids=[order["id"]])
    await trade.settle()
    assert await trade.letters() == []
    assert trade.lines_in_odoo(order["id"])[0]["product_uom_qty"] == 2.0
    [at_bng] = await trade.at_bng("sales_order")
    assert at_bng["Status"] == "Confirmed"
    assert [Decimal(row["Quantity"]) for row in at_bng["LineItems"]] == [2, 1]
    trade.odoo.call("sale.order", "action_cancel", ids=[order["id"]])
    await trade.settle()
    [at_bng] = await trade.at_bng("sales_order")
    assert at_bng["Status"] == "Cancelled"


async def test_an_order_of_an_unknown_product_waits_and_passes_by_itself(trade: Trade) -> None:
    [stool] = await trade.seed(
        "product",
        {"SKU": "STOOL", "Name": "Stool", "ProductType": "Stocked", "UnitOfMeasure": "EA", "ListPrice": "10",
         "CurrencyCode": "USD", "Status": "Inactive"},
    )  # fmt: skip
    trade.products["STOOL"] = stool
    await trade.order_in_bng(trade.line(1, "STOOL", "1", "10"))
    for _ in range(4):
        await trade.settle()
    [letter] = await trade.letters()
    assert (letter["entity"], letter["kind"]) == ("sales_order", "DependencyMissing")
    assert trade.orders_in_odoo() == []
    await trade.edit("product", stool, Status="Active")
    await trade.settle()
    assert await trade.letters() == []
    assert trade.orders_in_odoo()[0]["amount_total"] == 10.0


def both_ways(made: dict[str, Any]) -> None:
    made["entities"]["sales_order"]["create_right"] = True


async def test_an_order_made_in_odoo_belongs_to_odoo_where_the_pair_lets_it_go_to_bng(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    async with trading(odoo_db(), systems, change=both_ways) as trade:
        [seven] = [row["id"] for row in trade.read("account.tax", [["name", "=", "7%"]], "type_tax_use")
                   if row["type_tax_use"] == "sale"]  # fmt: skip
        line = {"product_id": trade.variants["CHAIR"], "product_uom_qty": 3, "price_unit": 20, "discount": 10}
        lines = [[0, 0, {**line, "tax_ids": [[6, 0, [seven]]]}], [0, 0, {"display_type": "line_note", "name": "Hi"}],
                 [0, 0, {"product_id": trade.variants["SHIP"], "price_unit": 4, "tax_ids": [[6, 0, []]]}]]  # fmt: skip
        order = trade.new("sale.order", partner_id=trade.partner, client_order_ref="PO-8", order_line=lines)
        await trade.settle()
        assert await trade.letters() == []
        [made] = await trade.at_bng("sales_order")
        [there] = trade.orders_in_odoo()
        assert (made["OrderNumber"], made["CustomerPONumber"], made["Status"]) == (there["name"], "PO-8", "Draft")
        assert [made[n] for n in ("Subtotal", "ShippingTotal", "TaxTotal", "TotalAmount")] == [
            "54.00", "4.00", "3.78", "61.78",
        ]  # fmt: skip
        [row] = made["LineItems"]
        assert (row["Quantity"], row["DiscountPercent"], row["TaxCode"], row["LineTotal"]) == (
            "3.0000", "10.0000", "7%", "54.00",
        )  # fmt: skip
        # BNG's edit is put back, Odoo's travels.
        await trade.edit("sales_order", made["SalesOrderID"], CustomerPONumber="theirs", Notes="theirs")
        trade.odoo.call("sale.order", "write", ids=[order], vals={"client_order_ref": "PO-9"})
        await trade.settle()
        [made] = await trade.at_bng("sales_order")
        assert made["CustomerPONumber"] == "PO-9"
        assert trade.orders_in_odoo("client_order_ref")[0]["client_order_ref"] == "PO-9"


async def test_a_line_that_moved_since_it_was_read_is_stale_and_nothing_is_written(trade: Trade) -> None:
    await trade.order_in_bng()
    await trade.settle()
    [order] = trade.orders_in_odoo()
    path = "order_line{id,sequence,product_id,product_uom_qty,price_unit}"
    for installed in (False, True):
        key = Secret(trade.odoo.admin_key)
        admin_login = wired(trade.odoo, login=trade.odoo.admin_login, api_key=key)
        async with admin_login as admin, speaking(trade.odoo) as side:
            if installed:
                assert await install(admin, GUARDED_WRITE)
            record = await one(side, "sale.order", str(order["id"]), path)
            rows = record.values[path]
            told = [{**rows[0], "product_uom_qty": Decimal(7)}, rows[1]]
            moved = 5.0 if installed else 4.0
            trade.odoo.call("sale.order.line", "write", ids=[rows[0]["id"]], vals={"product_uom_qty": moved})
            [outcome] = await side.update("sale.order", [change(record.key, {path: told}, {path: rows})])
            assert isinstance(outcome, Stale)
            assert trade.lines_in_odoo(order["id"])[0]["product_uom_qty"] == moved
            record = await one(side, "sale.order", str(order["id"]), path)
            rows = record.values[path]
            told = [{**rows[0], "product_uom_qty": Decimal(8)}, {**rows[1], "id": None}]
            written((await side.update("sale.order", [change(record.key, {path: told}, {path: rows})]))[0])
            first, second = trade.lines_in_odoo(order["id"])
            assert (first["id"], first["product_uom_qty"]) == (rows[0]["id"], 8.0)
            assert second["id"] != rows[1]["id"]


async def test_the_pair_of_the_template_is_made_swept_previewed_and_traced_by_command(trade: Trade) -> None:
    key = await trade.order_in_bng()
    await trade.settle()
    swept = (await isthmus("sweep", "main", "--json")).json
    assert (swept["differences"], swept["figure"]) == ([], 1.0)
    told = (await isthmus("preview", "main", "sales_order", key, "--side", "right", "--json")).json
    assert (told["outcome"], told["payload"], told["counterpart"] is not None) == ("nothing", {}, True), told
    traced = await isthmus("trace", f"right:{key}", "--entity", "sales_order")
    assert (traced.code, "create" in traced.out) == (0, True), traced
    assert (await isthmus("discover", "odoo")).code == 0
