"""The ledger, employees, won leads and orders of Odoo on their way to BNG: shipped flows on a real Odoo, by value."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import pytest
import yaml
from cash_world import CashWorld, publish, stock
from jointly import connect, ok
from trading import Trade, trading

from isthmus.operate import flows as verbs
from isthmus.operate import lookups
from isthmus.operate import pairs as pairs_verbs
from isthmus.operate.assemble import template
from isthmus.operate.opening import opened
from isthmus.store import pairs
from joined import Systems, isthmus
from real_odoo import OdooDatabases, RealOdoo

pytestmark = [pytest.mark.odoo, pytest.mark.timeout(600)]


@asynccontextmanager
async def office(
    odoo: RealOdoo, systems: Systems, entities: Mapping[str, Mapping[str, Any]], *names: str, **settings: Any
) -> AsyncIterator[CashWorld]:
    """A pair of the operations template with some of its Entities, changed, and flows that are published."""
    await connect(odoo, systems)
    body = template("pairs", "odoo-bng-operations")
    for name, value in (("pair", "main"), ("left", "odoo"), ("right", "bng"), ("environment", "sandbox")):
        body = body.replace(f"${{{name}}}", value)
    told = yaml.safe_load(body)
    told["settings"] |= settings
    told["entities"] = {name: {**told["entities"].get(name, {}), **more} for name, more in entities.items()}
    tables = {path: text for path, text in lookups.shipped().items() if "account" not in path}
    files = {"pair.yaml": yaml.safe_dump(told), **tables}
    for path in (resources.files("isthmus") / "templates" / "entities").iterdir():
        if path.name.removesuffix(".yaml") in entities:
            files[f"entities/{path.name}"] = path.read_text()
    async with opened() as runtime:
        await pairs_verbs.apply(runtime, files, actor="test")
        trade = Trade(odoo, systems, runtime)
        said = await isthmus("load", "main", "--yes", "--json")
        assert said.code == 0, said
        trade.pair_id = await runtime.db.run(lambda conn: pairs.get(conn, "main").id)
        for name in names:
            await publish(runtime, name, odoo="odoo", bng="bng", ledger="main", people="main", sales="main")
        world = CashWorld(trade, systems, None)  # type: ignore[arg-type]  # nothing is paid here
        await world.work(1)
        yield world


async def questions(world: CashWorld) -> list[dict[str, Any]]:
    """What people are asked."""
    return list((await ok("approvals", "list", "--json")).json)


async def answer(world: CashWorld, choice: str, rounds: int = 2) -> dict[str, Any]:
    """Answer the one question that is open."""
    [asked] = await questions(world)
    await ok("approvals", "decide", str(asked["id"]), choice)
    await world.work(rounds)
    return asked


# -- the ledger ------------------------------------------------------------------------------------------------------

ASKED = {"mapping": "odoo-gl-entry", "adopt": "asked"}


def day(back: int) -> str:
    """The day so many days ago."""
    return (datetime.now(UTC).date() - timedelta(days=back)).isoformat()


def entry(world: CashWorld, amount: float, back: int) -> int:
    """A posted entry of costs against income."""
    trade = world.trade
    [journal] = trade.read("account.journal", [["code", "=", "MISC"]], "id")
    cost, income = (trade.read("account.account", [["account_type", "=", kind]], "id")[0]["id"]
                    for kind in ("expense", "income"))  # fmt: skip
    rows = [[0, 0, {"account_id": cost, "debit": amount}], [0, 0, {"account_id": income, "credit": amount}]]
    key = trade.new("account.move", move_type="entry", journal_id=journal["id"], date=day(back), line_ids=rows)
    trade.odoo.call("account.move", "action_post", ids=[key])
    return key


def lock(world: CashWorld, back: int | None) -> None:
    """Close the books of Odoo through the day so many days ago, or open them."""
    [company] = world.trade.read("res.company", [], "id")
    told = {"fiscalyear_lock_date": False if back is None else day(back)}
    world.trade.odoo.call("res.company", "write", world.trade.odoo.admin_key, ids=[company["id"]], vals=told)


async def night(world: CashWorld, flow: str, key: str) -> None:
    """What a night does, without waiting for it."""
    await verbs.begin(world.trade.runtime, flow, [(key, {})], actor="test", node="now")
    await world.work(1)


async def test_each_night_balanced_entries_of_open_periods_go_to_bng_and_the_rest_is_shown_to_a_person(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    entities = {"customer": {}, "vendor": {}, "gl_entry": {"left": ASKED}}
    async with office(odoo_db(), systems, entities, "gl-export", accounts="pass") as world:
        good = [entry(world, 10.25 + n, 3) for n in range(3)]
        old, torn = entry(world, 7, 20), entry(world, 5, 3)
        lock(world, 15)
        lines = f"update account_move_line set credit = 4, balance = -4 where move_id = {torn} and credit > 0"
        world.trade.odoo.run_on_server(f"env.cr.execute({lines!r})\nenv.cr.commit()\n")
        await world.work(1)
        assert await world.at_bng("gl_entry") == [], "nothing goes by day"
        await night(world, "gl-export", "first")
        numbers = {key: world.trade.read("account.move", [["id", "=", key]], "name")[0]["name"]
                   for key in (*good, old, torn)}  # fmt: skip
        there = {row["EntryNumber"]: row for row in await world.at_bng("gl_entry")}
        assert {
            number: (row["TotalDebit"], row["TotalCredit"], row["PostingDate"]) for number, row in there.items()
        } == {numbers[key]: (f"{10.25 + n:.2f}", f"{10.25 + n:.2f}", day(3)) for n, key in enumerate(good)}
        [asked] = await questions(world)
        refused = "\n".join(asked["shown"]["Refused"])
        assert f"{numbers[old]}: Its date lies in a period that is locked in Odoo" in refused
        assert f"{numbers[torn]}: The entry is not balanced" in refused
        assert (len(asked["shown"]["Refused"]), asked["shown"]["Exported"]) == (2, 3)
        await answer(world, "seen")
        lock(world, None)
        lines = f"update account_move_line set credit = 5, balance = -5 where move_id = {torn} and credit = 4"
        world.trade.odoo.run_on_server(f"env.cr.execute({lines!r})\nenv.cr.commit()\n")
        await night(world, "gl-export", "second")
        assert await questions(world) == []
        assert len(await world.at_bng("gl_entry")) == 5
        assert world.held() == []
        before = await world.at_bng("gl_entry")
        await night(world, "gl-export", "third")
        assert await world.at_bng("gl_entry") == before


async def test_a_day_of_a_journal_goes_to_bng_as_one_entry_whose_totals_are_proven_each_night(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    summary = {
        "create_left": False, "deletes": "ignore", "left": {"mapping": "odoo-gl-summary", "adopt": "asked"},
        "right": {"mapping": "bng-gl-entry", "adopt": "linked"}, "rules": ["gl-entry-standard"],
    }  # fmt: skip
    entities = {"customer": {}, "vendor": {}, "gl_summary": summary}
    async with office(odoo_db(), systems, entities, "gl-export-summary", accounts="pass") as world:
        for amount in (5, 7.25, 3):
            entry(world, amount, 3)
        entry(world, 1, 2)
        entry(world, 9, 20)
        entry(world, 100, 0)
        lock(world, 15)
        await world.work(1)
        assert await world.at_bng("gl_entry") == []
        await night(world, "gl-export-summary", "first")
        found = {row["EntryNumber"]: row["TotalDebit"] for row in await world.at_bng("gl_entry")}
        assert found == {f"MISC-{day(3)}": "15.25", f"MISC-{day(2)}": "1.00"}
        asked = await answer(world, "seen")
        assert asked["shown"]["Refused"] == [f"MISC-{day(20)}: It lies in a period that is locked in Odoo."]
        lock(world, None)
        entry(world, 2, 2)  # into a day that was sent: it is told of, and nothing is overwritten
        await night(world, "gl-export-summary", "second")
        [asked] = await questions(world)
        assert asked["shown"]["Refused"] == [f"MISC-{day(2)}: BNG shows another total than Odoo."]
        found = {row["EntryNumber"]: row["TotalDebit"] for row in await world.at_bng("gl_entry")}
        assert found == {f"MISC-{day(3)}": "15.25", f"MISC-{day(2)}": "1.00", f"MISC-{day(20)}": "9.00"}


# -- people and customers --------------------------------------------------------------------------------------------


async def test_a_new_employee_goes_to_bng_once_agreed_and_won_leads_become_customers_once(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    entities = {
        "customer": {},
        "employee": {"left": {"mapping": "odoo-employee", "adopt": "asked"}},
        "won_lead": {"left": {"mapping": "odoo-won-lead", "adopt": "asked"}},
    }
    names = ("employees", "won-lead-to-customer")
    async with office(odoo_db(), systems, entities, *names) as world:
        await hired(world)
        await won(world)
        assert world.held() == []


async def hired(world: CashWorld) -> None:
    """Employees of an office, from the day they are hired to the day they leave."""
    trade = world.trade
    mary = trade.new("hr.employee", name="Mary Smith", work_email="mary@example.com", job_title="Buyer")
    await world.work(1)
    assert await world.at_bng("employee") == []
    asked = await answer(world, "approved", 1)
    assert (asked["shown"]["Name"], asked["shown"]["Work e-mail"]) == ("Mary Smith", "mary@example.com")
    [there] = await world.at_bng("employee")
    assert [there[n] for n in ("FirstName", "LastName", "WorkEmail", "JobTitle", "Status")] == [
        "Mary", "Smith", "mary@example.com", "Buyer", "Active",
    ]  # fmt: skip
    trade.odoo.call("hr.employee", "write", ids=[mary], vals={"job_title": "Head of Buying"})
    tom = trade.new("hr.employee", name="Tom Brown", work_email="tom@example.com")
    await world.work(1)
    await answer(world, "rejected", 1)
    trade.odoo.call("hr.employee", "write", ids=[mary], vals={"active": False})
    trade.odoo.call("hr.employee", "write", ids=[tom], vals={"active": False})
    await world.work(2)
    [there] = await world.at_bng("employee")
    assert (there["JobTitle"], there["Status"]) == ("Head of Buying", "Inactive")
    assert await questions(world) == []


async def won(world: CashWorld) -> None:
    """Leads of an office: a new customer, one that is there already, and one that is somebody else."""
    trade = world.trade
    [stage] = trade.odoo.call("crm.stage", "search", trade.odoo.admin_key, domain=[["is_won", "=", True]], limit=1)
    [twin] = await trade.seed("customer", {"CompanyName": "Zebra", "Email": "z@zebra.example.com"})
    await world.work(1)
    lead = {"type": "opportunity", "stage_id": stage}
    azure = trade.new("crm.lead", name="Desks", partner_name="Azure", email_from="Info@azure.example.com", **lead)
    await world.work(2)
    zebra = trade.new("crm.lead", name="Chairs", partner_name="Zebra Ltd", email_from="Z@zebra.example.com", **lead)
    await world.work(1)
    asked = await answer(world, "same")
    assert (asked["shown"]["Lead"], asked["shown"]["There"]) == ("Chairs", ["Zebra"])
    other = trade.new("crm.lead", name="Lamps", partner_name="Zebra Two", email_from="z@zebra.example.com", **lead)
    await world.work(1)
    await answer(world, "other")
    names = [row["CompanyName"] for row in await world.at_bng("customer")]
    assert (names.count("Azure"), names.count("Zebra"), names.count("Zebra Ltd"), names.count("Zebra Two")) == (
        1,
        1,
        0,
        0,
    )
    leads = {
        row["id"]: row["partner_id"]
        for row in trade.read("crm.lead", [["id", "in", [azure, zebra, other]]], "partner_id")
    }
    partners = {key: trade.read("res.partner", [["id", "=", at[0]]], "name", "is_company", "email")[0]
                for key, at in leads.items() if at}  # fmt: skip
    assert (partners[azure]["name"], partners[azure]["email"]) == ("Azure", "info@azure.example.com")
    assert (partners[zebra]["name"], partners[zebra]["email"]) == ("Zebra", "z@zebra.example.com")
    assert leads[other] is False
    assert len(trade.read("res.partner", [["name", "ilike", "zebra"], ["is_company", "=", True]], "id")) == 1
    assert twin in [row["CustomerID"] for row in await world.at_bng("customer")]


# -- orders ----------------------------------------------------------------------------------------------------------


def both_ways(made: dict[str, Any]) -> None:
    made["entities"]["sales_order"]["create_right"] = True


async def test_an_order_made_in_odoo_is_shipped_by_bng_and_delivered_here_as_far_as_it_was(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    async with trading(odoo_db(), systems, change=both_ways) as trade:
        stock(trade)
        await publish(trade.runtime, "odoo-order-to-bng", odoo="odoo", bng="bng", trade="main")
        world = CashWorld(trade, systems, None)  # type: ignore[arg-type]  # nothing is paid here
        await world.work(1)
        orders = [made(trade) for _ in range(3)]
        await world.work(2)
        there = {row["OrderNumber"]: row for row in await world.at_bng("sales_order")}
        assert [there[name]["Status"] for _, name in orders] == ["Confirmed"] * 3
        part, given_up, late = (there[name]["SalesOrderID"] for _, name in orders)
        await world.ship(part, (2, "1"), tracking="1Z-1")
        await trade.edit("sales_order", given_up, Status="Cancelled")
        theirs = await trade.order_in_bng(Status="Confirmed")  # made at BNG: another flow's
        await world.work(2)
        assert transfers(trade, orders[0][0]) == [("done", [1.0]), ("assigned", [1.0, 2.0, 3.0])]
        assert delivered(trade, orders[0][0]) == [0.0, 1.0, 0.0, 0.0]
        asked = await answer(world, "cancel")
        assert asked["shown"]["Order"] == orders[1][1]
        assert transfers(trade, orders[1][0]) == [("cancel", [])]
        await world.ship(part, tracking="1Z-2")
        await world.ship(late, (1, "2"), tracking="1Z-3")
        await world.ship(theirs)
        await world.work(2)
        assert [state for state, _ in transfers(trade, orders[0][0])] == ["done", "done"]
        [whole] = trade.read("sale.order", [["id", "=", orders[0][0]]], "state", "delivery_status")
        assert (whole["state"], whole["delivery_status"]) == ("sale", "full")
        done = await world.bng_order(part)
        assert (done["Status"], done["FulfillmentStatus"]) == ("Shipped", "Fulfilled")
        assert delivered(trade, orders[0][0]) == [2.0, 2.0, 3.0, 0.0]
        assert delivered(trade, orders[2][0]) == [2.0, 0.0, 0.0, 0.0]
        told = [row["origin"] for row in trade.read("stock.picking", [["sale_id", "=", orders[0][0]]], "origin")]
        assert ["BNG 1" in told[0], "BNG 7" in told[1]] == [True, True], told
        [from_bng] = trade.read("sale.order", [["origin", "=", theirs]], "state")
        assert from_bng["state"] == "draft"
        assert world.held() == []
        trade.odoo.call("sale.order", "action_cancel", ids=[orders[2][0]])
        await world.work(2)
        said = world.held()
        assert [row for row in said if "BNG has shipped goods of it" in str(row)], said


def made(trade: Trade) -> tuple[int, str]:
    """A confirmed order of Odoo: chairs twice, lamps, and what they cost to bring; its key and number."""
    lines = [
        [0, 0, {"product_id": trade.variants[sku], "product_uom_qty": n, "price_unit": 20, "tax_ids": [[6, 0, []]]}]
        for sku, n in (("CHAIR", 2), ("CHAIR", 2), ("LAMP", 3), ("SHIP", 1))
    ]
    key = trade.new("sale.order", partner_id=trade.partner, order_line=lines)
    trade.odoo.call("sale.order", "action_confirm", ids=[key])
    return key, trade.read("sale.order", [["id", "=", key]], "name")[0]["name"]


def transfers(trade: Trade, order: int) -> list[tuple[str, list[float]]]:
    """State and quantities of the deliveries of an order, oldest first."""
    out = []
    for picking in trade.read("stock.picking", [["sale_id", "=", order]], "state"):
        moves = trade.read("stock.move", [["picking_id", "=", picking["id"]]], "quantity")
        out.append((picking["state"], sorted(m["quantity"] for m in moves if m["quantity"])))
    return out


def delivered(trade: Trade, order: int) -> list[float]:
    """What was delivered of each line of an order."""
    rows = trade.read("sale.order.line", [["order_id", "=", order]], "qty_delivered")
    return [row["qty_delivered"] for row in rows]
