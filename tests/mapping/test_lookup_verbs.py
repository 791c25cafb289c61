"""`isthmus lookup` and its routes: the tables of a pair, listed, imported, exported and used at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import FormData
from openpyxl import load_workbook
from sqlalchemy import text

from isthmus.operate.opening import open_database
from joined import Service, Systems, isthmus


async def test_a_new_pair_has_the_tables_that_ship_and_a_bad_file_changes_none(joined: Systems, tmp_path: Path) -> None:
    listed = (await isthmus("lookup", "list", "main", "--json")).json
    rows = {table["name"]: table["rows"] for table in listed}
    assert rows["unit"] > 30
    assert rows["payment_terms"] > 10
    assert rows["category"] == rows["tax"] == 0
    assert "odoo-product" in next(t["mappings"] for t in listed if t["name"] == "category")
    assert "empty" in (await isthmus("lookup", "list", "main")).out

    file = tmp_path / "category.csv"
    file.write_text("canonical,odoo,bng\nChairs,Furniture / Chairs,Chairs\n,Desks,Desks\nLamps,,\n")
    said = await isthmus("lookup", "import", "main", "category", str(file), "--json")
    assert said.code == 1
    assert [row["row"] for row in said.json["error"]["facts"]["rows"]] == [3, 4]
    assert (await isthmus("lookup", "show", "main", "category", "--json")).json == []
    plain = await isthmus("lookup", "import", "main", "category", str(file))
    assert "row 3: the canonical value is empty" in plain.err
    assert "Nothing was imported" in plain.err
    said = await isthmus("lookup", "import", "main", "unit", str(tmp_path / "none.csv"))
    assert (said.code, "No such file" in said.err) == (1, True)
    said = await isthmus("lookup", "show", "main", "colours")
    assert said.code == 1
    assert "Its tables are account, category, payment_terms, price_level, tax, unit." in said.err


async def test_a_table_goes_out_to_excel_comes_back_edited_and_can_be_replaced(joined: Systems, tmp_path: Path) -> None:
    file = tmp_path / "terms.xlsx"
    assert (await isthmus("lookup", "export", "main", "payment_terms", str(file))).code == 0
    again = (await isthmus("lookup", "import", "main", "payment_terms", str(file), "--replace", "--json")).json
    assert (again["added"], again["changed"], again["removed"]) == (0, 0, 0)
    book = load_workbook(file)
    book.worksheets[0].append(["NET7", "7 Days", "Net 7"])
    book.save(file)
    tried = (await isthmus("lookup", "import", "main", "payment_terms", str(file), "--dry-run", "--json")).json
    assert (tried["added"], tried["dry_run"]) == (2, True)
    done = await isthmus("lookup", "import", "main", "payment_terms", str(file))
    assert "2 values are added, 0 changed, 0 removed" in done.out
    shown = (await isthmus("lookup", "show", "main", "payment_terms", "--json")).json
    assert {"canonical": "NET7", "odoo": "7 Days", "bng": "Net 7"} in shown

    units = tmp_path / "unit.csv"
    units.write_text("canonical,odoo,bng\nEA,Units,EACH\n")
    done = await isthmus("lookup", "import", "main", "unit", str(units), "--replace", "--json")
    assert (done.json["rows"], done.json["removed"] > 60) == (2, True)
    only = (await isthmus("lookup", "show", "main", "unit", "--json")).json
    assert only == [{"canonical": "EA", "odoo": "Units", "bng": "EACH"}]


async def test_an_imported_table_is_used_from_the_next_record_on_and_audited(joined: Systems, tmp_path: Path) -> None:
    customer = joined.customers[0]
    (term,) = await joined.in_odoo("account.payment.term", "create", vals_list=[{"name": "7 Tage"}])
    await joined.in_odoo("res.partner", "write", ids=[customer], vals={"property_payment_term_id": term})
    before = (await isthmus("preview", "main", "customer", str(customer), "--json")).json
    assert before["canonical"]["payment_terms"] == "7 Tage"
    file = tmp_path / "terms.csv"
    file.write_text("canonical,odoo,bng\nNET7,7 Tage,Net 7\n")
    await isthmus("lookup", "import", "main", "payment_terms", str(file), "--replace")
    after = (await isthmus("preview", "main", "customer", str(customer), "--json")).json
    assert after["canonical"]["payment_terms"] == "NET7"
    assert next(t["result"] for t in after["writing"] if t["fields"] == ["payment_terms"]) == "Net 7"

    database = await asyncio.to_thread(open_database)
    query = "select before, after, why from audit where action = 'import lookup'"
    (row,) = await database.run(lambda conn: conn.execute(text(query)).all())
    database.close()
    assert len(row.before["rows"]) > 20
    assert row.after == {"rows": [["odoo", "7 Tage", "NET7"], ["bng", "Net 7", "NET7"]]}
    assert row.why == {"table": "payment_terms", "replace": True}


async def test_the_api_lists_stores_imports_and_exports_tables(joined: Systems, service: Service) -> None:
    base = "/api/v1/pairs/main/lookups"
    status, listed = await service.call("GET", base)
    assert (status, {t["name"] for t in listed} >= {"unit", "tax"}) == (200, True)
    rows = [{"canonical": "VAT21", "values": {"odoo": "21%", "bng": "STD"}}]
    status, done = await service.call("PUT", f"{base}/tax", {"rows": rows})
    assert (status, done["added"], done["used"]) == (200, 2, True)
    assert await service.call("GET", f"{base}/tax") == (200, {"systems": ["odoo", "bng"], "rows": rows})
    bad = [{"canonical": "", "values": {"odoo": "6%"}}, {"canonical": "X", "values": {"shop": "6%"}}]
    status, answer = await service.call("PUT", f"{base}/tax", {"rows": bad})
    assert (status, answer["error"]["kind"]) == (422, "InvalidRecord")
    headers = {"Authorization": f"Bearer {service.token}"}
    form = FormData()
    form.add_field("file", b"canonical,odoo\nVAT6,6%\n", filename="tax.csv")
    async with service.session.post(f"{service.url}{base}/tax/file", data=form, headers=headers) as got:
        assert (got.status, (await got.json())["added"]) == (200, 1)
    async with service.session.get(f"{service.url}{base}/tax/file", headers=headers) as got:
        assert (await got.text()) == "canonical,odoo,bng\nVAT6,6%,\nVAT21,21%,STD\n"
