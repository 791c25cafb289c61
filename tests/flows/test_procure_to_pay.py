"""Procure to pay on a real Odoo: documents and money by value at both ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pay_world import PayWorld, claimed, paying_vendors

from isthmus.testing.fault_proxy import FaultProxy, Plan
from joined import Systems
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo
HERE = Path(__file__).parent
WRITES = r"load|write|create|js_assign_outstanding_line|action_\w+|button_\w+"
"""Odoo's methods that change documents."""


@pytest.fixture
async def world(home: Any, systems: Systems, odoo_db: OdooDatabases) -> AsyncIterator[PayWorld]:
    async with paying_vendors(odoo_db(), systems) as made:
        yield made


async def paid(world: PayWorld, key: str, order: int, total: float) -> None:
    """A bill of BNG is one bill in Odoo under the vendor's number, posted and paid; BNG has it once, and knows."""
    for _ in range(6):  # BNG hears of a payment by polling, some rounds after it was made in Odoo
        [at_bng] = await world.at_bng("invoice", InvoiceID=key)
        told = [p for p in await world.at_bng("payment") if p["Reference"] == at_bng["InvoiceNumber"]]
        if at_bng["Status"] == "Paid" and told:
            break
        await world.work(1)
    assert (at_bng["InvoiceType"], at_bng["Status"], at_bng["BalanceDue"]) == ("VendorBill", "Paid", "0.00")
    assert float(at_bng["TotalAmount"]) == total
    assert [b for b in world.bills(order) if b[0] == at_bng["InvoiceNumber"]] == [
        (at_bng["InvoiceNumber"], "posted", total, 0.0)
    ]
    assert world.payments(at_bng["InvoiceNumber"]) == [(at_bng["InvoiceNumber"], total)]
    assert [(p["Direction"], float(p["Amount"])) for p in told] == [("Outbound", total)]
    assert [a["InvoiceID"] for a in told[0]["Applications"]] == [key]


async def test_orders_are_received_in_parts_billed_and_paid(world: PayWorld) -> None:
    plain, parts, more = world.buy(CHAIR=3, TABLE=2), world.buy(CHAIR=10, TABLE=4), world.buy(CHAIR=100)
    await world.work(2)
    assert world.held() == []
    orders = {order: await world.placed(order) for order in (plain, parts, more)}
    assert {found["Status"] for found in orders.values()} == {"Approved"}
    await world.receive(orders[plain], "3", "2")
    whole = await world.bill(orders[plain], ("3", "20.50"), ("2", "18.45"))
    await world.receive(orders[parts], "6", "4")
    some = await world.bill(orders[parts], ("6", "20.50"), ("4", "18.45"))
    await world.receive(orders[more], "103")  # more than was ordered, within the tolerance
    over = await world.bill(orders[more], ("103", "20.50"))
    await world.work()
    assert (world.held(), world.questions()) == ([], [])
    assert world.receipts(plain) == [("done", [3.0, 2.0])]
    await paid(world, whole, plain, 98.4)
    assert (await world.placed(plain))["Status"] == "Billed"
    assert world.receipts(parts) == [("done", [6.0, 4.0]), ("assigned", [4.0])]
    await paid(world, some, parts, 196.8)
    early = await world.bill(orders[parts], ("4", "20.60"))  # before its goods, its price within the tolerance
    await world.work()
    assert (world.held(), world.questions()) == ([], [])
    assert len(world.bills(parts)) == 1
    assert world.receipts(more) == [("done", [103.0])]
    await paid(world, over, more, 2111.5)
    await world.receive(orders[parts], "4")
    await world.work()
    assert (world.held(), world.questions()) == ([], [])
    assert world.receipts(parts) == [("done", [6.0, 4.0]), ("done", [4.0])]
    await paid(world, early, parts, 82.4)
    assert (await world.placed(parts))["Status"] == "Billed"
    assert world.payable() == 0.0
    assert len(await world.at_bng("invoice")) == len(world.payments()) == len(await world.at_bng("payment")) == 4


async def test_what_differs_is_decided_by_a_person(world: PayWorld) -> None:
    taken, sent_back, dear, refused, dropped, stopped = (
        world.buy(CHAIR=10), world.buy(CHAIR=10, TABLE=1), world.buy(CHAIR=5), world.buy(CHAIR=5), world.buy(CHAIR=2),
        world.buy(CHAIR=2),
    )  # fmt: skip
    await world.work(2)
    orders = {n: await world.placed(n) for n in (taken, sent_back, dear, refused, dropped, stopped)}
    for n, quantities in ((taken, ["12"]), (sent_back, ["12", "1"]), (dear, ["5"]), (refused, ["5"])):
        await world.receive(orders[n], *quantities)
    all_of_it = await world.bill(orders[taken], ("12", "20.50"))
    as_ordered = await world.bill(orders[sent_back], ("10", "20.50"), ("1", "18.45"))
    dearer = await world.bill(orders[dear], ("5", "22.00"))
    wrong = await world.bill(orders[refused], ("5", "25.00"))
    await world.trade.edit("purchase_order", orders[dropped]["PurchaseOrderID"], Status="Cancelled")  # by BNG
    world.trade.odoo.call("purchase.order", "button_cancel", ids=[stopped])  # by the buyer
    await world.work()
    assert world.held() == []
    asked = {q["shown"].get("Bill") or q["shown"]["Order"]: q for q in world.questions()}
    names = {n: found["PONumber"] for n, found in orders.items()}
    numbers = {key: (await world.at_bng("invoice", InvoiceID=key))[0]["InvoiceNumber"] for key in (dearer, wrong)}
    assert asked.keys() == {names[taken], names[sent_back], *numbers.values()}
    assert asked[names[taken]]["shown"]["Lines"] == "line 10: 12 arrived, 10 ordered"
    assert asked[numbers[dearer]]["shown"]["Prices"] == "line 10: 22 billed, 20.5 agreed"
    assert world.receipts(taken) == [("assigned", [10.0])]
    bills = world.trade.read("account.move", [["move_type", "=", "in_invoice"]], "id")
    assert bills == []  # nothing is booked before somebody has decided
    world.answer(asked[names[taken]], "accepted")
    world.answer(asked[names[sent_back]], "refused")
    world.answer(asked[numbers[dearer]], "approved")
    world.answer(asked[numbers[wrong]], "refused")
    await world.work()
    assert (world.held(), world.questions()) == ([], [])
    assert world.receipts(taken) == [("done", [12.0])]
    assert world.receipts(sent_back) == [("done", [10.0, 1.0])]
    await paid(world, all_of_it, taken, 246.0)
    await paid(world, as_ordered, sent_back, 223.45)
    await paid(world, dearer, dear, 110.0)
    assert world.bills(refused) == []
    await world.trade.edit("invoice", wrong, **claimed(orders[refused], ("5", "20.50")))
    await world.work()
    assert (world.held(), world.questions()) == ([], [])
    await paid(world, wrong, refused, 102.5)
    for n in (dropped, stopped):
        [row] = world.trade.read("purchase.order", [["id", "=", n]], "state")
        assert (row["state"], [state for state, _ in world.receipts(n)], world.bills(n)) == ("cancel", ["cancel"], [])
        assert (await world.placed(n))["Status"] == "Cancelled"
    assert world.payable() == 0.0
    assert len(await world.at_bng("invoice")) == len(world.payments()) == 4


async def settled(world: PayWorld, orders: dict[int, str]) -> None:
    """Every order has its two receipts, one bill, one payment, and BNG has each once."""
    assert (world.held(), world.questions()) == ([], [])
    for order, bill in orders.items():
        assert sorted(world.receipts(order)) == [("done", [1.0]), ("done", [2.0])]
        await paid(world, bill, order, 61.5)
        assert (await world.placed(order))["Status"] == "Billed"
    bills = world.trade.read("account.move", [["move_type", "=", "in_invoice"]], "id")
    assert len(bills) == len(world.payments()) == len(orders)
    assert len(await world.at_bng("invoice")) == len(await world.at_bng("payment")) == len(orders)
    assert world.payable() == 0.0


async def delivered(world: PayWorld, orders: int) -> dict[int, str]:
    """Orders that arrived in two parts and are billed, of all of which nothing is booked yet."""
    made = {world.buy(CHAIR=3): "" for _ in range(orders)}
    await world.work(2)
    for order in made:
        at_bng = await world.placed(order)
        await world.receive(at_bng, "2")
        await world.receive(at_bng, "1")
        made[order] = await world.bill(at_bng, ("3", "20.50"))
    return made


@pytest.mark.slow
async def test_a_worker_killed_at_every_effect_and_step_pays_nothing_twice(world: PayWorld) -> None:
    orders = await delivered(world, 1)
    await world.poll()
    worker = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "pay_worker.py"), str(world.trade.pair_id), stdout=asyncio.subprocess.PIPE
    )
    try:
        said, _ = await asyncio.wait_for(worker.communicate(), 500)
    finally:
        if worker.returncode is None:
            worker.kill()
    # received twice, billed, posted, paid, each before, after and around its transaction; and what lies between
    assert int(said) > 15
    await world.work()
    await settled(world, orders)


@pytest.mark.slow
async def test_answers_that_are_lost_pay_nothing_twice(home: Any, systems: Systems, odoo_db: OdooDatabases) -> None:
    odoo = odoo_db()
    proxy = FaultProxy(odoo.url, plan=Plan(rate=0.0))
    async with proxy.running(), paying_vendors(odoo, systems, url=proxy.url) as world:
        orders = await delivered(world, 1)
        kinds = ("drop_after_commit", "error_after_commit")
        proxy.dice.turn(Plan(rate=0.5, kinds=kinds, spare=rf"^\S+ (?!\S*/({WRITES})\n)"))
        await world.work(2)
        proxy.dice.turn(Plan(rate=0.0))
        await world.work()
        assert sum(proxy.counts[kind] for kind in kinds) >= 4
        await settled(world, orders)
