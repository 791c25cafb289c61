"""The money of trade documents on a real Odoo: totals compared to the cent, taxes, prices with tax, currencies."""

from __future__ import annotations

from typing import Any

import pytest
from trading import trading

from joined import Systems, isthmus
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


def totals(**told: Any) -> Any:
    def change(made: dict[str, Any]) -> None:
        made["entities"]["sales_order"]["totals"] = told

    return change


async def test_totals_that_differ_hold_the_order_with_both_of_them_shown(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    async with trading(odoo_db(), systems) as trade:
        key = await trade.order_in_bng(trade.line(1, "CHAIR", "2", "40", TaxCode="7%", TaxAmount="5.61"))
        await trade.settle()
        [letter] = await trade.letters()
        told = (await isthmus("deadletters", "show", str(letter["id"]), "--json")).json["error"]
        assert (letter["entity"], told["kind"]) == ("sales_order", "InvalidRecord")
        assert "total 85.61 in bng, 85.6 in odoo" in told["answered"]
        # Corrected at BNG it closes by itself.
        good = trade.order(trade.line(1, "CHAIR", "2", "40", TaxCode="7%", TaxAmount="5.60"))
        await trade.edit("sales_order", key, **{n: good[n] for n in ("LineItems", "TaxTotal", "TotalAmount")})
        await trade.settle()
        assert await trade.letters() == []
        assert len(trade.orders_in_odoo()) == 1


async def test_a_cent_is_taken_up_by_a_line_where_the_pair_says_so(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    settings = {"rounding_product": "ROUND"}
    change = totals(differences="rounding_line")
    async with trading(odoo_db(), systems, settings=settings, change=change) as trade:
        await trade.order_in_bng(trade.line(1, "CHAIR", "2", "40", TaxCode="7%", TaxAmount="5.61"))
        far = await trade.order_in_bng(trade.line(1, "CHAIR", "2", "40", TaxCode="7%", TaxAmount="5.70"))
        await trade.settle()
        totals_found = {order["amount_total"]: order for order in trade.orders_in_odoo()}
        assert sorted(totals_found) == [85.6, 85.61]
        close = totals_found[85.61]
        rows = trade.lines_in_odoo(close["id"])
        assert [(r["product_id"][0], r["price_subtotal"]) for r in rows] == [
            (trade.variants["CHAIR"], 80.0), (trade.variants["ROUND"], 0.01),
        ]  # fmt: skip
        assert [letter["key"] for letter in await trade.letters()] == [far]
        await trade.settle()
        assert len(trade.lines_in_odoo(close["id"])) == 2


async def test_a_cent_goes_into_a_price_where_the_pair_says_so(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    async with trading(odoo_db(), systems, change=totals(differences="adjust")) as trade:
        lines = [trade.line(1, "CHAIR", "2", "40", TaxCode="7%", TaxAmount="5.61"), trade.line(2, "TABLE", "1", "9")]
        await trade.order_in_bng(*lines)
        await trade.settle()
        await trade.settle()
        for letter in await trade.letters():
            print((await isthmus("deadletters", "show", str(letter["id"]), "--json")).out[:3000])
        assert await trade.letters() == []
        [order] = trade.orders_in_odoo()
        assert order["amount_total"] == 94.61
        assert trade.lines_in_odoo(order["id"])[1]["price_unit"] == 9.01


async def test_the_tax_of_an_amount_is_found_by_its_rate_or_the_order_is_held(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    tables = {"tax_rate": [("7%", "", "7"), ("4%", "", "4")]}
    async with trading(odoo_db(), systems, tables=tables) as trade:
        await trade.order_in_bng(trade.line(1, "CHAIR", "2", "40", TaxAmount="5.60"))
        odd = await trade.order_in_bng(trade.line(1, "CHAIR", "2", "40", TaxAmount="6.66"))
        await trade.settle()
        [order] = trade.orders_in_odoo()
        [row] = trade.lines_in_odoo(order["id"])
        [tax] = trade.read("account.tax", [["id", "in", row["tax_ids"]]], "name", "type_tax_use")
        assert (tax["name"], tax["type_tax_use"], order["amount_total"]) == ("7%", "sale", 85.6)
        [letter] = await trade.letters()
        assert (letter["key"], letter["kind"]) == (odd, "MappingFailed")


async def test_a_price_that_holds_its_tax_gets_the_tax_that_is_part_of_it(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    odoo = odoo_db()
    tax = {"name": "21% incl", "amount": 21, "type_tax_use": "sale", "price_include_override": "tax_included"}
    odoo.call("account.tax", "create", odoo.admin_key, vals_list=[tax])
    tables = {"tax_included": [("V21", "21% incl", "V21")]}
    async with trading(odoo, systems, tables=tables) as trade:
        line = trade.line(1, "CHAIR", "2", "60.5", TaxCode="V21", TaxIncluded=True, TaxAmount="21.00")
        await trade.order_in_bng({**line, "LineTotal": "100.00"})
        await trade.settle()
        assert await trade.letters() == []
        [order] = trade.orders_in_odoo("amount_untaxed", "amount_total", "order_line")
        assert (order["amount_untaxed"], order["amount_total"]) == (100.0, 121.0)
        [inside] = trade.read("account.tax", [["name", "=", "21% incl"]], "name")
        billed = {"product_id": trade.variants["CHAIR"], "quantity": 2, "price_unit": 60.5, "discount": 10,
                  "tax_ids": [[6, 0, [inside["id"]]]], "sale_line_ids": [[6, 0, order["order_line"]]]}  # fmt: skip
        move = trade.new("account.move", move_type="out_invoice", partner_id=trade.partner,
                         invoice_date="2026-03-05", invoice_line_ids=[[0, 0, billed]])  # fmt: skip
        trade.odoo.call("account.move", "action_post", ids=[move])
        await trade.settle()
        assert await trade.letters() == []
        [bill] = await trade.at_bng("invoice")  # its lines hold no tax, so neither does the price
        [row] = bill["LineItems"]
        told = [row[name] for name in ("UnitPrice", "DiscountPercent", "LineTotal", "TaxAmount", "TaxCode")]
        assert told == ["50.0000", "10.0000", "90.00", "18.90", "V21"]
        assert bill["TotalAmount"] == "108.90"


async def test_an_order_in_another_currency_takes_the_price_list_of_that_currency(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    odoo = odoo_db()
    [euro] = odoo.call(
        "res.currency", "search", odoo.admin_key, domain=[["name", "=", "EUR"]], context={"active_test": False}
    )
    rate = {"currency_id": euro, "name": "2026-01-01", "rate": 0.8}
    odoo.call("res.currency", "write", odoo.admin_key, ids=[euro], vals={"active": True})
    odoo.call("res.currency.rate", "create", odoo.admin_key, vals_list=[rate])
    odoo.call("product.pricelist", "create", odoo.admin_key, vals_list=[{"name": "Euro", "currency_id": euro}])
    tables = {"pricelist": [("EUR", "Euro", "")]}
    async with trading(odoo, systems, tables=tables) as trade:
        await trade.order_in_bng(CurrencyCode="EUR")
        pounds = await trade.order_in_bng(CurrencyCode="GBP")
        await trade.settle()
        [order] = trade.orders_in_odoo("currency_id", "amount_total", "currency_rate")
        assert (order["currency_id"][1], order["amount_total"], order["currency_rate"]) == ("EUR", 179.5, 0.8)
        [letter] = await trade.letters()
        assert (letter["key"], letter["entity"]) == (pounds, "sales_order")
        made = {row["CurrencyCode"]: row for row in await trade.at_bng("sales_order")}
        assert made["EUR"]["ExchangeRate"] == "0.80000000"
