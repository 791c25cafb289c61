"""Order to cash, from the BNG order on: on a real Odoo, with BNG and its gateway, documents and money by value."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cash_world import CashWorld, cashing, stock

from isthmus.testing.fault_proxy import FaultProxy, Plan
from joined import Systems
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo
HERE = Path(__file__).parent
WRITES = r"load|write|create|create_invoices|js_assign_outstanding_line|action_\w+|button_\w+"
"""Odoo's methods that change documents."""


@pytest.fixture
async def world(home: Any, systems: Systems, odoo_db: OdooDatabases) -> AsyncIterator[CashWorld]:
    async with cashing(odoo_db(), systems) as made:
        yield made


async def test_orders_are_confirmed_shipped_in_parts_invoiced_captured_and_paid(world: CashWorld) -> None:
    line = world.trade.line
    keys = [
        await world.order(line(1, "CHAIR", str(n + 2), "40.00", TaxCode="7%", TaxAmount=f"{2.8 * (n + 2):.2f}"),
                          line(2, "TABLE", "1", "99.50"), card="approve")
        for n in range(3)
    ]  # fmt: skip
    await world.work()
    assert world.held() == []
    for key in keys:
        order = world.in_odoo(key)
        assert order["state"] == "sale"
        assert [t[0] for t in world.transfers(order)] == ["assigned"]
        assert (await world.bng_order(key))["Status"] == "Confirmed"
    for key in keys:
        await world.ship(key, (1, "1"), tracking=f"1Z-{key[:6]}-1")
    await world.work()
    assert world.held() == []
    for n, key in enumerate(keys):
        order = world.in_odoo(key)
        done, rest = world.transfers(order)
        assert (done[0], [q for q in done[1] if q]) == ("done", [1.0])
        assert (rest[0], sorted(rest[1])) == ("assigned", sorted([n + 1.0, 1.0]))
        assert order["invoice_ids"] == []
        assert (await world.bng_order(key))["PaymentStatus"] == "Authorized"
    for key in keys:
        await world.ship(key, tracking=f"1Z-{key[:6]}-2")
    await world.work()
    assert world.held() == []
    captured = 0.0
    for n, key in enumerate(keys):
        order, at_bng = world.in_odoo(key), await world.bng_order(key)
        total = round((n + 2) * 42.8 + 99.5, 2)
        assert [t[0] for t in world.transfers(order)] == ["done", "done"]
        [invoice] = world.invoices(order)
        assert invoice[:4] == ("out_invoice", "posted", total, 0.0)
        assert invoice[4] in ("paid", "in_payment")
        [charge] = await world.rig.charges(at_bng["OrderNumber"])
        assert world.payments(charge["transaction_id"]) == [(charge["transaction_id"], total)]
        assert (at_bng["PaymentStatus"], at_bng["FulfillmentStatus"]) == ("Paid", "Fulfilled")
        [bill] = await world.at_bng("invoice", SalesOrderID=key)
        assert (bill["TotalAmount"], bill["BalanceDue"], bill["Status"]) == (f"{total:.2f}", "0.00", "Paid")
        captured += total
    assert world.receivable() == 0.0
    assert len(world.payments()) == 3
    assert len(await world.at_bng("payment")) == 3
    assert sum(float(p["Amount"]) for p in await world.at_bng("payment")) == pytest.approx(captured)


async def test_paid_at_once_on_account_or_cancelled_each_order_ends_as_it_should(world: CashWorld) -> None:
    line = world.trade.line
    at_once = [await world.order(line(1, "CHAIR", "2", "40.00"), card="approve") for _ in range(3)]
    on_account = [await world.order(line(1, "LAMP", "3", "12.50"), ShippingTotal="9.90") for _ in range(3)]
    dropped = [await world.order(line(1, "TABLE", "1", "99.50"), card="approve") for _ in range(3)]
    await world.work()
    assert world.held() == []
    for key in at_once:  # the card is charged and the goods leave in the same moment
        number = (await world.bng_order(key))["OrderNumber"]
        [charge] = await world.rig.charges(number)
        status, said = await world.rig.send("/api/transact.php", type="capture", transactionid=charge["transaction_id"])
        assert status == 200
        assert b"response=1&" in said, said
        await world.ship(key, tracking="1Z-AT-ONCE")
        await world.trade.edit("sales_order", key, PaymentStatus="Paid")
    for key in on_account:
        await world.ship(key)
    for key in dropped:
        await world.trade.edit("sales_order", key, Status="Cancelled")
    await world.work()
    assert world.held() == []
    for key in at_once:
        order, at_bng = world.in_odoo(key), await world.bng_order(key)
        [charge] = await world.rig.charges(at_bng["OrderNumber"])
        [invoice] = world.invoices(order)
        assert invoice[:4] == ("out_invoice", "posted", 80.0, 0.0)
        assert world.payments(charge["transaction_id"]) == [(charge["transaction_id"], 80.0)]
        assert at_bng["PaymentStatus"] == "Paid"
    for key in on_account:
        order, at_bng = world.in_odoo(key), await world.bng_order(key)
        assert world.invoices(order) == [("out_invoice", "posted", 47.4, 47.4, "not_paid")]
        [bill] = await world.at_bng("invoice", SalesOrderID=key)
        assert (bill["TotalAmount"], bill["BalanceDue"], bill["Status"]) == ("47.40", "47.40", "Open")
        assert at_bng["PaymentStatus"] == "Unpaid"
    for key in dropped:
        order, at_bng = world.in_odoo(key), await world.bng_order(key)
        assert (order["state"], order["invoice_ids"]) == ("cancel", [])
        assert [t[0] for t in world.transfers(order)] == ["cancel"]
        [released] = await world.rig.charges(at_bng["OrderNumber"])
        assert released["condition"] == "canceled"
        assert at_bng["Status"] == "Cancelled"
    assert world.receivable() == round(3 * 47.4, 2)
    assert sorted(amount for _, amount in world.payments()) == [80.0] * 3


async def given_back(world: CashWorld, key: str) -> list[tuple[str, float]]:
    """Refunds of an order at the gateway, each of them booked once in Odoo."""
    number = (await world.bng_order(key))["OrderNumber"]
    found = [doc for doc in await world.rig.charges(number) if doc["actions"][0]["action_type"] == "refund"]
    told = [(doc["transaction_id"], float(doc["actions"][0]["amount"])) for doc in found]
    assert sorted(world.payments(*[one for one, _ in told])) == sorted(told) if told else True
    return told


async def test_goods_that_come_back_are_credited_and_paid_back_also_after_a_cancellation(world: CashWorld) -> None:
    line = world.trade.line
    taxed = {"TaxCode": "7%", "TaxAmount": "8.40"}
    part = await world.order(line(1, "CHAIR", "3", "40.00", **taxed), line(2, "TABLE", "1", "99.50"), card="approve")
    owing = await world.order(line(1, "LAMP", "4", "12.50"))
    whole = await world.order(line(1, "CHAIR", "2", "40.00"), line(2, "LAMP", "2", "12.50"), card="approve")
    unpaid = await world.order(line(1, "TABLE", "1", "99.50"))
    halfway = await world.order(line(1, "CHAIR", "5", "40.00"), card="approve")
    for key in (part, owing, whole, unpaid):
        await world.ship(key)
    await world.ship(halfway, (1, "2"))
    await world.work()
    assert world.held() == []
    await world.send_back(part, "RMA-1", (1, "1"))
    await world.send_back(owing, "RMA-2", (1, "1"))
    for key in (whole, unpaid, halfway):
        await world.trade.edit("sales_order", key, Status="Cancelled")
    await world.work()
    assert world.held() == []
    await world.send_back(part, "RMA-3", (1, "1"))  # the same once more is another refund of the same amount
    await world.work()
    assert world.held() == []

    returned = world.in_odoo(part)
    assert [row[:4] for row in world.invoices(returned)] == [
        ("out_invoice", "posted", 227.9, 0.0), ("out_refund", "posted", 42.8, 0.0), ("out_refund", "posted", 42.8, 0.0),
    ]  # fmt: skip
    assert [amount for _, amount in await given_back(world, part)] == [42.8, 42.8]
    assert sorted(t[0] for t in world.transfers(returned)) == ["done", "done", "done"]
    assert [row[:4] for row in world.invoices(world.in_odoo(owing))] == [
        ("out_invoice", "posted", 50.0, 37.5), ("out_refund", "posted", 12.5, 0.0),
    ]  # fmt: skip
    assert await given_back(world, owing) == []

    for key, total in ((whole, 105.0), (unpaid, 99.5)):
        order = world.in_odoo(key)
        assert order["state"] == "cancel"
        assert [row[:4] for row in world.invoices(order)] == [
            ("out_invoice", "posted", total, 0.0), ("out_refund", "posted", total, 0.0),
        ]  # fmt: skip
    assert [amount for _, amount in await given_back(world, whole)] == [105.0]
    assert (await world.bng_order(whole))["PaymentStatus"] == "Refunded"
    assert await given_back(world, unpaid) == []
    order = world.in_odoo(halfway)
    assert (order["state"], order["invoice_ids"]) == ("cancel", [])
    [released] = await world.rig.charges((await world.bng_order(halfway))["OrderNumber"])
    assert released["condition"] == "canceled"
    stock = world.trade.read("stock.quant", [["location_id.usage", "=", "internal"]], "product_id", "quantity")
    left: dict[int, float] = {}
    for row in stock:  # two rows of one place are not unusual: Odoo adds one where another transfer holds the first
        left[row["product_id"][0]] = left.get(row["product_id"][0], 0.0) + row["quantity"]
    variants = world.trade.variants
    assert [left[variants[sku]] for sku in ("CHAIR", "TABLE", "LAMP")] == [999.0, 999.0, 997.0]
    assert world.receivable() == 37.5
    notes = {row["TotalAmount"] for row in await world.at_bng("invoice", InvoiceType="CreditMemo")}
    assert notes == {"42.80", "12.50", "105.00", "99.50"}


async def test_orders_that_change_before_and_after_they_are_invoiced_end_as_they_should(world: CashWorld) -> None:
    line = world.trade.line
    more = await world.order(line(1, "CHAIR", "2", "40.00"), card="approve")
    less = await world.order(line(1, "CHAIR", "3", "40.00"))
    late = await world.order(line(1, "LAMP", "2", "12.50"))
    await world.work(2)
    assert world.held() == []
    await world.change(more, (1, "CHAIR", "3", "40.00"), (2, "TABLE", "1", "99.50"))
    await world.change(less, (1, "CHAIR", "1", "40.00"))
    await world.ship(late)
    await world.work(2)
    assert world.held() == []
    assert [(t[0], sorted(t[1])) for t in world.transfers(world.in_odoo(less)) if t[0] != "cancel"] == [
        ("assigned", [1.0])
    ]
    for key in (more, less):
        await world.ship(key)
    await world.change(late, (1, "LAMP", "3", "12.50"))
    await world.work(2)
    assert world.held() == []
    for key, total in ((more, 219.5), (less, 40.0)):
        order = world.in_odoo(key)
        assert order["delivery_status"] == "full"
        assert [row[:3] for row in world.invoices(order)] == [("out_invoice", "posted", total)]
    assert world.asked() == []
    await world.ship(late)
    await world.work(1)
    [(_, about, shown)] = world.asked()
    assert (about, shown["Total now"], shown["Invoiced"]) == (late, "37.5", "25")
    await world.decide(late, "go_on")
    await world.work(2)
    assert world.held() == world.asked() == []
    assert [row[:3] for row in world.invoices(world.in_odoo(late))] == [
        ("out_invoice", "posted", 25.0), ("out_invoice", "posted", 12.5),
    ]  # fmt: skip


async def test_orders_that_lack_goods_or_credit_or_name_what_is_not_known_wait_and_go_on(world: CashWorld) -> None:
    line, trade = world.trade.line, world.trade
    trade.odoo.call("res.partner", "write", ids=[trade.partner], vals={"credit_limit": 100.0})
    within = await world.order(line(1, "LAMP", "4", "12.50"))
    await world.work(1)
    over = await world.order(line(1, "CHAIR", "2", "40.00"))
    refused = await world.order(line(1, "TABLE", "1", "99.50"))
    await world.work(1)
    assert world.held() == []
    assert {about for _, about, _ in world.asked()} == {over, refused}
    await world.decide(over, "approved")
    await world.decide(refused, "rejected")
    by_card = await world.order(line(1, "TABLE", "2", "99.50"), card="approve")
    await world.work(1)
    states = [world.in_odoo(key)["state"] for key in (within, over, refused, by_card)]
    assert states == ["sale", "sale", "draft", "sale"]

    await world.house(credit="hold", lacking="hold")
    held = await world.order(line(1, "TABLE", "1", "99.50"))
    empty = trade.new("product.product", name="Sofa", default_code="SOFA", list_price=10, is_storable=True,
                      taxes_id=[[6, 0, []]])  # fmt: skip
    await world.work(2)
    trade.products |= {row["SKU"]: row["ProductID"] for row in await trade.at_bng("product")}
    lacking = await world.order(line(1, "SOFA", "2", "10.00"), card="approve")
    twins = [trade.new("product.product", name=f"Bench {n}", default_code="BENCH", list_price=10) for n in (1, 2)]
    [trade.products["BENCH"]] = await trade.seed("product", {"SKU": "BENCH", "Name": "Bench", "ProductType": "Stocked",
                                                            "UnitOfMeasure": "EA", "ListPrice": "10.0000",
                                                            "CurrencyCode": "USD"})  # fmt: skip
    unknown = await world.order(line(1, "BENCH", "1", "10.00"), card="approve")
    await world.work(2)
    told = {row[2].split()[0]: row for row in world.held() if row[0] == "order-to-cash"}
    assert "the credit limit is 100" in told[held][4]
    assert "not everything of it is in stock" in told[lacking][4]
    assert trade.read("sale.order", [["origin", "=", unknown]]) == []
    trade.odoo.call("res.partner", "write", ids=[trade.partner], vals={"credit_limit": 5000.0})
    stock(trade, {empty: 2.0})
    trade.odoo.call("product.product", "write", ids=[twins[1]], vals={"default_code": "BENCH-2"})
    for _ in range(3):  # every Event of an order has begun a Run that is held
        for key in (held, lacking, trade.products["BENCH"], unknown):
            await world.retry(key)
        await world.work(1)
    assert [row for row in world.held() if "BENCH" not in str(row)] == []
    assert [world.in_odoo(key)["state"] for key in (held, lacking, unknown)] == ["sale", "sale", "sale"]
    assert [t[:2] for t in world.transfers(world.in_odoo(lacking))] == [("assigned", [2.0])]


async def settled(world: CashWorld, keys: list[str], total: float) -> None:
    """Every order has one delivery, one posted invoice, one charge and one payment, and nothing is open."""
    assert world.held() == []
    for key in keys:
        order, at_bng = world.in_odoo(key), await world.bng_order(key)
        assert [t[0] for t in world.transfers(order)] == ["done"]
        [invoice] = world.invoices(order)
        assert invoice[:4] == ("out_invoice", "posted", total, 0.0)
        [charge] = await world.rig.charges(at_bng["OrderNumber"])
        assert world.payments(charge["transaction_id"]) == [(charge["transaction_id"], total)]
        assert (at_bng["PaymentStatus"], at_bng["FulfillmentStatus"]) == ("Paid", "Fulfilled")
        [bill] = await world.at_bng("invoice", SalesOrderID=key)
        assert (bill["TotalAmount"], bill["BalanceDue"]) == (f"{total:.2f}", "0.00")
    assert len(world.payments()) == len(await world.at_bng("payment")) == len(keys)
    assert len(world.trade.read("account.move", [["move_type", "=", "out_invoice"]], "id")) == len(keys)
    assert await world.rig.sent("capture") == len(keys)
    assert world.receivable() == 0.0


@pytest.mark.slow
async def test_a_worker_killed_around_every_effect_books_nothing_twice(world: CashWorld) -> None:
    keys = [await world.order(world.trade.line(1, "CHAIR", "2", "40.00"), card="approve") for _ in range(3)]
    for key in keys:
        await world.ship(key, tracking="1Z-KILL")
    await world.poll()
    ends: list[int] = []
    for n in range(60):
        worker = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "cash_worker.py"), str(1 + n % 2), str(world.trade.pair_id)
        )
        ends.append(await asyncio.wait_for(worker.wait(), 120))
        if ends[-1] == 0:
            break
        assert ends[-1] == -signal.SIGKILL
    assert ends[-1] == 0
    # confirmed, delivered, invoiced, posted, captured, paid: before and after each; what only looks sends nothing
    assert len(ends) > 2 * 6
    await world.work()
    await settled(world, keys, 80.0)


@pytest.mark.slow
async def test_answers_that_are_lost_book_nothing_twice(home: Any, systems: Systems, odoo_db: OdooDatabases) -> None:
    odoo = odoo_db()
    proxy = FaultProxy(odoo.url, plan=Plan(rate=0.0))
    async with proxy.running(), cashing(odoo, systems, url=proxy.url) as world:
        keys = [await world.order(world.trade.line(1, "CHAIR", "2", "40.00"), card="approve") for _ in range(3)]
        for key in keys:
            await world.ship(key, tracking="1Z-LOST")
        kinds = ("drop_after_commit", "error_after_commit")
        proxy.dice.turn(Plan(rate=0.6, kinds=kinds, spare=rf"^\S+ (?!\S*/({WRITES})\n)"))
        await world.rig.fault("drop_after_commit", match="transact.php capture", next=2)
        await world.work(2)
        proxy.dice.turn(Plan(rate=0.0))
        await world.work()
        lost = sum(proxy.counts[kind] for kind in kinds)
        assert lost >= 4
        await settled(world, keys, 80.0)
