"""Trade and daily operations in one pair on a real Odoo: each document once, each at its place, and no echo."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jointly import joint, ok
from sqlalchemy import text
from trading import Trade, trading

from isthmus.operate.assemble import template
from joined import Systems, isthmus
from real_odoo import OdooDatabases, RealOdoo

NAME = "odoo-bng-all"
PAIRS = resources.files("isthmus") / "templates" / "pairs"


@pytest.fixture(scope="module")
def known() -> list[RealOdoo]:
    """The database that the tests of this module share once one of them has made it."""
    return []


def entities(name: str) -> dict[str, Any]:
    """The Entities of a pair template."""
    found: dict[str, Any] = yaml.safe_load(template("pairs", name))["entities"]
    return found


def test_the_template_of_everything_is_what_the_others_are_together() -> None:
    trade, operations, everything = entities("odoo-bng-trade"), entities("odoo-bng-operations"), entities(NAME)
    assert everything == {**operations, **trade}
    both = trade.keys() & operations.keys()
    assert {name: trade[name] for name in both} == {name: operations[name] for name in both}
    assert entities("odoo-bng").items() <= everything.items()
    settings = set(yaml.safe_load(template("pairs", NAME))["settings"])
    for name in ("odoo-bng-trade", "odoo-bng-operations"):
        assert set(yaml.safe_load(template("pairs", name))["settings"]) <= settings


def everything(made: dict[str, Any]) -> None:
    made["settings"]["accounts"] = "pass"
    made["entities"]["sales_order"]["create_right"] = True


def folder(path: Path) -> dict[str, bytes]:
    """Every file of a folder, byte by byte."""
    return {one.relative_to(path).as_posix(): one.read_bytes() for one in path.rglob("*") if one.is_file()}


@pytest.mark.odoo
@pytest.mark.parametrize("name", sorted(path.name.removesuffix(".yaml") for path in PAIRS.iterdir()))
async def test_each_pair_template_goes_out_comes_in_and_goes_out_byte_by_byte_the_same(
    home: Any, systems: Systems, odoo_databases: OdooDatabases, tmp_path: Path, name: str, known: list[RealOdoo]
) -> None:
    odoo = known[0] if known else odoo_databases()
    known[:] = [odoo]
    await joint(odoo, systems, template=name)
    await ok("pair", "export", "main", str(tmp_path / "first"))
    first = folder(tmp_path / "first")
    shipped = template("pairs", name)
    for word, value in (("pair", "main"), ("left", "odoo"), ("right", "bng"), ("environment", "sandbox")):
        shipped = shipped.replace(f"${{{word}}}", value)
    assert first["pair.yaml"].decode() == shipped
    await ok("pair", "apply", str(tmp_path / "first"))
    await ok("pair", "export", "main", str(tmp_path / "second"))
    assert folder(tmp_path / "second") == first


@pytest.mark.odoo
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_kind_of_document_is_there_once_in_one_pair_and_nothing_comes_back(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    tables = {"account": []}
    async with trading(odoo_db(), systems, change=everything, name=NAME, tables=tables) as trade:
        invoice, payment, entry = documents(trade)
        order = await trade.order_in_bng(trade.line(1, "CHAIR", "2", "40.00"))
        for _ in range(2):
            await trade.settle()
        held = [row for row in await trade.letters() if "one word" not in str(row)]
        assert held == []
        counts = {name: len(await trade.at_bng(name)) for name in ("invoice", "payment", "sales_order", "gl_entry")}
        assert counts == {"invoice": 1, "payment": 1, "sales_order": 2, "gl_entry": 2}
        entries = {row["EntryNumber"]: row["SourceType"] for row in await trade.at_bng("gl_entry")}
        assert entries == {entry: "Manual", payment: "Payment"}
        assert [row["InvoiceNumber"] for row in await trade.at_bng("invoice")] == [invoice]
        assert len(trade.read("sale.order", [["origin", "=", order]], "id")) == 1
        names = [row["CompanyName"] for row in await trade.at_bng("customer") if row["CompanyName"]]
        assert (names.count("Azure"), names.count("Won Ltd")) == (1, 1)
        assert [row["LastName"] for row in await trade.at_bng("employee")] == ["Smith"]
        assert [row["QuantityOnHand"] for row in await trade.at_bng("inventory_item") if row["SKU"] == "LAMP"] == [
            "7.0000"
        ]
        before = await standing(trade)
        await trade.settle()
        assert await standing(trade) == before, "something came back"
        swept = (await isthmus("sweep", "main", "--json")).json
        assert [row for row in swept["differences"] if row["name"] != "Administrator"] == []


def documents(trade: Trade) -> tuple[str, str, str]:
    """A paid order with its invoice, an entry, an employee, stock, a won lead; numbers of invoice, payment, entry."""
    call = trade.odoo.call
    [warehouse] = trade.read("stock.warehouse", [], "lot_stock_id")[:1]
    quant = {"product_id": trade.variants["LAMP"], "location_id": warehouse["lot_stock_id"][0]}
    call("stock.quant", "create", vals_list=[{**quant, "inventory_quantity_auto_apply": 7}],
         context={"inventory_mode": True})  # fmt: skip
    trade.new("hr.employee", name="Mary Smith", work_email="mary@example.com")
    [stage] = call("crm.stage", "search", trade.odoo.admin_key, domain=[["is_won", "=", True]], limit=1)
    trade.new("crm.lead", name="Desks", type="opportunity", partner_name="Won Ltd", email_from="w@won.example.com",
              stage_id=stage)  # fmt: skip
    line = {"product_id": trade.variants["SHIP"], "product_uom_qty": 1, "price_unit": 20, "tax_ids": [[6, 0, []]]}
    chair = {**line, "product_id": trade.variants["CHAIR"]}
    key = trade.new("sale.order", partner_id=trade.partner, order_line=[[0, 0, chair], [0, 0, line]])
    call("sale.order", "action_confirm", ids=[key])
    bill = {"product_id": trade.variants["CHAIR"], "quantity": 1, "price_unit": 20, "tax_ids": [[6, 0, []]]}
    invoice = trade.new("account.move", move_type="out_invoice", partner_id=trade.partner, invoice_date="2026-05-04",
                        invoice_line_ids=[[0, 0, bill]])  # fmt: skip
    call("account.move", "action_post", ids=[invoice])
    payment = trade.new("account.payment", payment_type="inbound", partner_type="customer", partner_id=trade.partner,
                        amount=20, date="2026-05-05", invoice_ids=[[6, 0, [invoice]]])  # fmt: skip
    call("account.payment", "action_post", ids=[payment])
    accounts = [
        trade.read("account.account", [["account_type", "=", kind]], "id")[0]["id"] for kind in ("expense", "income")
    ]
    [journal] = trade.read("account.journal", [["code", "=", "MISC"]], "id")
    rows = [[0, 0, {"account_id": accounts[0], "debit": 5}], [0, 0, {"account_id": accounts[1], "credit": 5}]]
    entry = trade.new("account.move", move_type="entry", journal_id=journal["id"], date="2026-05-06", line_ids=rows)
    call("account.move", "action_post", ids=[entry])
    moves = [invoice, trade.read("account.payment", [["id", "=", payment]], "move_id")[0]["move_id"][0], entry]
    found = {row["id"]: row["name"] for row in trade.read("account.move", [["id", "in", moves]], "name")}
    return found[moves[0]], found[moves[1]], found[moves[2]]


async def standing(trade: Trade) -> tuple[Any, ...]:
    """Everything at BNG with its versions, and how much was ever written."""
    names = ("customer", "vendor", "product", "employee", "inventory_item", "sales_order", "invoice", "payment",
             "gl_entry")  # fmt: skip
    there = {name: await trade.at_bng(name) for name in names}
    with trade.runtime.db.transaction() as conn:
        written = conn.execute(text("select count(*) from intent")).scalar()
    return there, written
