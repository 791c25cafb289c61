"""Entries of a real Odoo's ledger at BNG: balanced, in open periods, every line by value, corrected by reversal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jointly import Joint, joint, ok

from covered import Covers
from joined import Systems
from real_odoo import OdooDatabases, RealOdoo

pytestmark = pytest.mark.odoo


async def ledger(odoo: RealOdoo, systems: Systems, folder: Path, **settings: Any) -> Joint:
    """The pair with parties and ledger only; account codes pass as they are."""
    up = await joint(odoo, systems)
    await ok("pair", "export", "main", str(folder))
    told = yaml.safe_load((folder / "pair.yaml").read_text())
    told["entities"] = {name: told["entities"][name] for name in ("customer", "vendor", "gl_entry")}
    told["settings"].update({"accounts": "pass", **settings})
    (folder / "pair.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    (folder / "lookups" / "account.csv").unlink(missing_ok=True)
    await ok("pair", "apply", str(folder))
    return up


def account(up: Joint, kind: str) -> tuple[int, str]:
    """An account of a type, and its code."""
    [row] = up.odoo.call(
        "account.account", "search_read", domain=[["account_type", "=", kind]], fields=["code"], limit=1
    )
    return int(row["id"]), str(row["code"])


def cost_centre(odoo: RealOdoo) -> int:
    """An analytic account, in a database where analytic accounting is used."""
    told = odoo.run_on_server(
        "group = env.ref('analytic.group_analytic_accounting')\n"
        "env['res.users'].search([]).write({'group_ids': [(4, group.id)]})\n"
        "plan = env['account.analytic.plan'].create({'name': 'Places'})\n"
        "made = env['account.analytic.account'].create({'name': 'Berlin', 'plan_id': plan.id})\n"
        "env.cr.commit()\nprint('made', made.id)\n"
    )
    return int(told.rpartition("made")[2])


def entry(up: Joint, *lines: dict[str, Any], post: bool = True, **more: Any) -> int:
    """An entry in the journal of other operations."""
    [journal] = up.odoo.call("account.journal", "search", domain=[["code", "=", "MISC"]])
    rows = [[0, 0, {"name": "Line", **line}] for line in lines]
    key = up.new("account.move", move_type="entry", journal_id=journal, line_ids=rows, **{"date": "2026-05-04", **more})
    if post:
        up.odoo.call("account.move", "action_post", ids=[key])
    return key


async def entries(up: Joint) -> dict[str, dict[str, Any]]:
    """BNG's ledger entries by number."""
    return await up.at_bng("gl_entry", "EntryNumber")


@pytest.mark.timeout(240)
async def test_a_posted_entry_is_at_bng_line_by_line_and_its_reversal_marks_it(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path
) -> None:
    odoo = odoo_db()
    up = await ledger(odoo, systems, tmp_path / "pair")
    centre = cost_centre(odoo)
    azure = up.new("res.partner", name="Azure", is_company=True, email="a@example.com", customer_rank=1)
    owed, owed_code = account(up, "asset_receivable")
    cost, cost_code = account(up, "expense")
    income, income_code = account(up, "income")
    key = entry(
        up,
        {"account_id": owed, "debit": 120, "partner_id": azure, "name": "Owed"},
        {"account_id": cost, "debit": 30.5, "analytic_distribution": {str(centre): 100}, "name": "Rent"},
        {"account_id": income, "credit": 150.5, "name": "Income"},
        ref="Correction of May",
    )
    draft = entry(up, {"account_id": cost, "debit": 1}, {"account_id": income, "credit": 1}, post=False)
    await up.settle("customer", "vendor", "gl_entry")
    number = up.in_odoo("account.move", key, "name")["name"]
    found = await entries(up)
    customer = (await up.at_bng("customer", "CompanyName"))["Azure"]
    told = found[number]
    assert {name: told[name] for name in (
        "JournalCode", "PostingDate", "Period", "Description", "SourceType", "CurrencyCode", "Status",
        "ReversesEntryID", "TotalDebit", "TotalCredit",
    )} == {
        "JournalCode": "MISC", "PostingDate": "2026-05-04", "Period": "2026-05", "Description": "Correction of May",
        "SourceType": "Manual", "CurrencyCode": "USD", "Status": "Posted", "ReversesEntryID": None,
        "TotalDebit": "150.50", "TotalCredit": "150.50",
    }  # fmt: skip
    assert told["ExternalID"].endswith(f"-gl_entry-{key}-1")
    lines = {line["AccountCode"]: line for line in told["Lines"]}
    assert [(lines[code]["Debit"], lines[code]["Credit"]) for code in (owed_code, cost_code, income_code)] == [
        ("120.00", "0.00"), ("30.50", "0.00"), ("0.00", "150.50"),
    ]  # fmt: skip
    assert lines[owed_code]["CustomerID"] == customer["CustomerID"]
    assert (lines[cost_code]["CostCenter"], lines[cost_code]["Dimensions"]) == ("Berlin", {"Berlin": "100"})
    assert (lines[income_code]["Description"], lines[income_code]["CustomerID"]) == ("Income", None)
    assert sorted(line["LineNumber"] for line in told["Lines"]) == [1, 2, 3]
    assert not any(f"-gl_entry-{draft}-" in str(row["ExternalID"]) for row in found.values())

    [made] = odoo.call("account.move.reversal", "create", context={"active_model": "account.move", "active_ids": [key]},
                       vals_list=[{"date": "2026-05-20", "journal_id": odoo.call(
                           "account.journal", "search", domain=[["code", "=", "MISC"]])[0]}])  # fmt: skip
    odoo.call("account.move.reversal", "refund_moves", ids=[made])
    [back] = odoo.call("account.move", "search", domain=[["reversed_entry_id", "=", key]])
    if up.in_odoo("account.move", back, "state")["state"] == "draft":
        odoo.call("account.move", "action_post", ids=[back])
    await up.settle("gl_entry")
    await up.settle("gl_entry")
    found = await entries(up)
    reversal = found[up.in_odoo("account.move", back, "name")["name"]]
    assert found[number]["Status"] == "Reversed"
    assert (reversal["ReversesEntryID"], reversal["Status"]) == (found[number]["GLEntryID"], "Posted")
    assert await up.held() == []
    swept = (await ok("sweep", "main", "--json")).json
    assert [one for one in swept["differences"] if one["entity"] == "gl_entry"] == []


async def test_an_entry_that_was_reversed_before_it_is_shown_ends_as_reversed(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path
) -> None:
    odoo = odoo_db()
    up = await ledger(odoo, systems, tmp_path / "pair")
    cost, _ = account(up, "expense")
    income, _ = account(up, "income")
    key = entry(up, {"account_id": cost, "debit": 5}, {"account_id": income, "credit": 5})
    back = entry(up, {"account_id": cost, "credit": 5}, {"account_id": income, "debit": 5}, reversed_entry_id=key)
    for _ in range(3):
        await up.settle("customer", "vendor", "gl_entry")
    found = await entries(up)
    names = {one: up.in_odoo("account.move", one, "name")["name"] for one in (key, back)}
    assert (found[names[key]]["Status"], found[names[back]]["Status"]) == ("Reversed", "Posted")
    assert await up.held() == []


async def test_locked_periods_unbalanced_entries_and_unknown_accounts_are_refused_with_a_clear_word(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path
) -> None:
    odoo = odoo_db()
    up = await ledger(odoo, systems, tmp_path / "pair", closed_through="2026-03-31")
    cost, code = account(up, "expense")
    income, _ = account(up, "income")
    one, two = {"account_id": cost, "debit": 5}, {"account_id": income, "credit": 5}
    locked = entry(up, one, two, date="2026-03-31")
    torn = entry(up, one, two, ref="torn")
    entry(up, one, two, date="2026-04-01")
    odoo.run_on_server(
        f"lines = 'update account_move_line set credit = 4, balance = -4 where move_id = {torn} and credit > 0'\n"
        "env.cr.execute(lines)\nenv.cr.commit()\n"
    )
    await systems.in_bng("PUT", "settings", closed_through="2026-04-30")
    await up.settle("customer", "vendor", "gl_entry")
    told = {row["key"]: str(row["error"]) for row in await up.held()}
    assert "2026-03-31 is in a period that is locked" in told[str(locked)]
    assert "not balanced: its debits are 5" in told[str(torn)]
    assert any("the books are closed through 2026-04-30" in words for words in told.values())
    assert len(told) == 3
    assert await entries(up) == {}

    await systems.in_bng("PUT", "settings", closed_through=None)
    path = tmp_path / "pair" / "pair.yaml"
    settings = yaml.safe_load(path.read_text())
    del settings["settings"]["accounts"], settings["settings"]["closed_through"]
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    await ok("pair", "apply", str(tmp_path / "pair"))
    await up.settle("gl_entry")
    told = {row["key"]: str(row["error"]) for row in await up.held()}
    assert f"'{code}' is not in the look-up table" in told[str(locked)].replace("\\", "")
    assert await entries(up) == {}


@pytest.mark.timeout(240)
async def test_a_summary_adds_up_each_day_and_journal_once_the_day_is_over(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path, covers: Covers
) -> None:
    from importlib import resources

    odoo = odoo_db()
    up = await ledger(odoo, systems, tmp_path / "pair")
    path = tmp_path / "pair" / "pair.yaml"
    told = yaml.safe_load(path.read_text())
    entry_file = told["entities"].pop("gl_entry")
    told["entities"] = {"gl_summary": {**entry_file, "left": {"mapping": "odoo-gl-summary"}}}
    path.write_text(yaml.safe_dump(told, sort_keys=False))
    (tmp_path / "pair" / "entities").mkdir(exist_ok=True)
    described = (resources.files("isthmus") / "templates" / "entities" / "gl_summary.yaml").read_text()
    (tmp_path / "pair" / "entities" / "gl_summary.yaml").write_text(described)
    await ok("pair", "apply", str(tmp_path / "pair"))
    cost, cost_code = account(up, "expense")
    income, income_code = account(up, "income")
    for amount in (5, 7.25):
        entry(up, {"account_id": cost, "debit": amount}, {"account_id": income, "credit": amount}, date="2026-05-04")
    entry(up, {"account_id": cost, "debit": 1}, {"account_id": income, "credit": 1}, date="2026-05-05")
    entry(up, {"account_id": cost, "credit": 2}, {"account_id": income, "debit": 2}, date="2026-05-05")
    await up.settle("gl_summary")
    found = await entries(up)
    assert found.keys() == {"MISC-2026-05-04", "MISC-2026-05-05"}
    first = found["MISC-2026-05-04"]
    assert (first["PostingDate"], first["JournalCode"], first["Period"], first["Status"]) == (
        "2026-05-04", "MISC", "2026-05", "Posted",
    )  # fmt: skip
    assert {line["AccountCode"]: (line["Debit"], line["Credit"]) for line in first["Lines"]} == {
        cost_code: ("12.25", "0.00"), income_code: ("0.00", "12.25"),
    }  # fmt: skip
    assert (first["TotalDebit"], first["TotalCredit"]) == ("12.25", "12.25")
    [journal] = odoo.call("account.journal", "search_read", domain=[["code", "=", "MISC"]], fields=["name"])
    assert (first["CurrencyCode"], first["Description"]) == ("USD", journal["name"])
    covers("gl_summary", "to_bng", "create", "number", "journal", "posted_on", "period", "description", "currency",
           "status", "lines.account", "lines.debit", "lines.credit")  # fmt: skip
    covers("gl_summary", "both", "compared", "total_debit", "total_credit")
    second = found["MISC-2026-05-05"]["Lines"]
    assert sorted((line["AccountCode"], line["Debit"], line["Credit"]) for line in second) == sorted(
        [(cost_code, "1.00", "0.00"), (cost_code, "0.00", "2.00"), (income_code, "0.00", "1.00"),
         (income_code, "2.00", "0.00")]
    )  # fmt: skip
    done = await up.settle("gl_summary")
    assert (done["gl_summary"]["created"], done["gl_summary"]["updated"], done["gl_summary"]["held"]) == (0, 0, 0)

    entry(up, {"account_id": cost, "debit": 3}, {"account_id": income, "credit": 3}, date="2026-05-04")
    await up.settle("gl_summary")
    [held] = await up.held()
    assert "corrected by reversal" in str(held)
    assert (await entries(up))["MISC-2026-05-04"]["TotalDebit"] == "12.25"
