"""Payments that BNG starts, and money that goes back at the gateway, on a real Odoo: every amount by value, once."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from cash_world import ROLES, CashWorld, cashing

from isthmus.connectors.bng_gateway.hooks import hints, read_event
from isthmus.operate import flows as verbs
from isthmus.operate.assemble import template
from isthmus.testing.fault_proxy import FaultProxy, Plan
from joined import Systems
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo
HERE = Path(__file__).parent
WRITES = r"load|write|create|js_assign_outstanding_line|reconcile|action_\w+"
FLOW = "payment-from-bng"
CARDS = {"payment_method": [("Card", "BNK1", "Card"), ("Cash", "CSH1", "Cash"), ("Check", "", "Check")]}
"""Card payments go through the bank journal."""


async def invoiced(world: CashWorld, *amounts: float) -> list[tuple[int, str]]:
    """Posted invoices: their ids in Odoo and in BNG."""
    made = []
    for amount in amounts:
        line = {
            "product_id": world.trade.variants["CHAIR"],
            "quantity": 1,
            "price_unit": amount,
            "tax_ids": [[6, 0, []]],
        }
        made.append(
            world.trade.new("account.move", move_type="out_invoice", partner_id=world.trade.partner,
                            invoice_date="2026-03-02", invoice_line_ids=[[0, 0, line]])
        )  # fmt: skip
    world.trade.odoo.call("account.move", "action_post", ids=made)
    await world.work(1)
    names = {row["id"]: row["name"] for row in world.trade.read("account.move", [["id", "in", made]], "name")}
    there = {row["InvoiceNumber"]: row["InvoiceID"] for row in await world.at_bng("invoice")}
    return [(one, there[names[one]]) for one in made]


async def kept(world: CashWorld, vault: str, behaviour: str = "approve") -> str:
    """A customer in the gateway's vault."""
    status, said = await world.rig.send(
        "/api/transact.php", customer_vault="add_customer", customer_vault_id=vault,
        payment_token=world.rig.token(behaviour),
    )  # fmt: skip
    assert status == 200
    assert b"response=1&" in said, said
    return vault


async def started(world: CashWorld, amount: str, *invoices: tuple[str, str], **more: Any) -> str:
    """A payment that people at BNG start; its id."""
    told = {
        "Direction": "Inbound", "PaymentType": "Sale", "CustomerID": world.trade.customer, "Amount": amount,
        "CurrencyCode": "USD", "PaymentDate": "2026-03-03T09:00:00Z", "PaymentMethod": "Card", "Status": "Pending",
        "Applications": [{"InvoiceID": key, "AmountApplied": applied} for key, applied in invoices], **more,
    }  # fmt: skip
    [key] = await world.trade.seed("payment", told)
    return key


async def paid(world: CashWorld, key: str, invoice: int, amount: float) -> None:
    """One charge, one posted payment with its entry, the invoice paid, and BNG knows."""
    [charge] = await world.rig.charges(key)
    at_bng = (await world.at_bng("payment", PaymentID=key))[0]
    assert at_bng["GatewayTransactionID"] == charge["transaction_id"]
    assert at_bng["Status"] in ("Captured", "PendingSettlement", "Settled")
    names = ("state", "amount", "move_id", "invoice_ids")
    [payment] = world.trade.read("account.payment", [["memo", "=", charge["transaction_id"]]], *names)
    assert payment["state"] in ("in_process", "paid")
    assert (payment["amount"], payment["invoice_ids"]) == (amount, [invoice])
    entry = world.trade.read("account.move.line", [["move_id", "=", payment["move_id"][0]]], "debit", "credit")
    assert sum(row["debit"] for row in entry) == sum(row["credit"] for row in entry) == amount
    [row] = world.trade.read("account.move", [["id", "=", invoice]], "amount_residual", "payment_state")
    assert row["amount_residual"] == 0.0
    assert row["payment_state"] in ("paid", "in_payment")


async def test_payments_started_in_bng_are_charged_posted_and_reconciled_or_told_as_declined(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    async with cashing(odoo_db(), systems, names=(FLOW,), tables=CARDS) as world:
        bills = await invoiced(world, 120.0, 80.0, 60.0, 33.0)
        vault = await kept(world, "azure-1")
        empty = await kept(world, "azure-2", "decline")
        keys = [
            await started(world, "120.00", (bills[0][1], "120.00"), VaultID=vault),
            await started(world, "80.00", (bills[1][1], "80.00"), PaymentToken=world.rig.token()),
        ]
        declined = await started(world, "60.00", (bills[2][1], "60.00"), VaultID=empty)
        by_cheque = await started(world, "33.00", (bills[3][1], "33.00"), PaymentMethod="Check")
        await world.work()
        assert world.held() == []
        await paid(world, keys[0], bills[0][0], 120.0)
        await paid(world, keys[1], bills[1][0], 80.0)
        [told] = await world.at_bng("payment", PaymentID=declined)
        assert told["Status"] == "Declined"
        assert told["ResponseCode"].startswith("2")
        assert await world.rig.charges(declined) == await world.rig.charges(by_cheque) == []
        assert len(world.payments()) == 2
        # another card, and the payment is started again
        await world.trade.edit("payment", declined, VaultID=vault, Status="Pending")
        await world.work()
        assert world.held() == []
        await paid(world, declined, bills[2][0], 60.0)
        assert world.receivable() == 33.0
        for key, status in ((bills[0][1], "Paid"), (bills[3][1], "Open")):
            [bill] = await world.at_bng("invoice", InvoiceID=key)
            assert bill["Status"] == status


def tell(world: CashWorld, event: dict[str, Any]) -> None:
    """The gateway's webhook tells of chargebacks: nothing else does."""
    body = json.dumps({"event_id": event["event_id"], "event_type": "chargeback.batch.complete",
                       "event_body": {"chargebacks": event["chargebacks"]}})  # fmt: skip
    number = int(world.one("select id from connection where name = 'gateway'"))
    with world.db.transaction() as conn:
        world.trade.runtime.flows.hear(conn, number, hints(read_event(body.encode())))


async def test_refunds_and_chargebacks_at_the_gateway_are_taken_back_in_the_books_once_and_told(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    async with cashing(odoo_db(), systems, names=(FLOW,), tables=CARDS) as world:
        file = template("flows", "gateway-reversals").replace("for: 15m", "for: 1s")
        await verbs.bring_in(world.trade.runtime, file.replace("house.fee: '\"0.00\"'", "house.fee: '\"15.00\"'"),
                             bindings=ROLES, actor="test")  # fmt: skip
        await verbs.publish(world.trade.runtime, "gateway-reversals", actor="test")
        bills = await invoiced(world, 120.0, 80.0, 60.0)
        vault = await kept(world, "azure-1")
        keys = [await started(world, f"{amount:.2f}", (bill, f"{amount:.2f}"), VaultID=vault)
                for amount, (_, bill) in zip((120.0, 80.0, 60.0), bills, strict=True)]  # fmt: skip
        await world.work(2)
        assert world.held() == []
        ids = [(await world.rig.charges(key))[0]["transaction_id"] for key in keys]
        await world.rig.switch("POST", "settle")
        status, said = await world.rig.send("/api/transact.php", type="refund", transactionid=ids[0], amount="20.00")
        assert status == 200
        refund = dict(part.split("=", 1) for part in said.decode().split("&"))["transactionid"]
        event = await world.rig.switch("POST", "chargebacks", transactions=[ids[1]], reason="Fraud")
        for _ in range(2):  # told of twice
            tell(world, event)
            await world.work(2)
        assert world.held() == []
        assert world.payments(refund) == [(refund, 20.0)]
        assert world.payments(f"CB {ids[1]}") == [(f"CB {ids[1]}", 80.0)]
        left = {row["id"]: row["amount_residual"] for row in world.trade.read("account.move", [
            ["id", "in", [one for one, _ in bills]]], "amount_residual")}  # fmt: skip
        assert [left[one] for one, _ in bills] == [20.0, 80.0, 0.0]
        fees = world.trade.read("account.bank.statement.line", [], "payment_ref", "amount")
        assert [(row["payment_ref"], row["amount"]) for row in fees] == [(f"CB {ids[1]}: fee", -15.0)]
        status = {row["PaymentID"]: row["Status"] for row in await world.at_bng("payment")}
        assert [status[key] for key in keys[:2]] == ["PartiallyRefunded", "ChargedBack"]
        assert status[keys[2]] in ("Captured", "PendingSettlement", "Settled")
        assert world.receivable() == 100.0


@pytest.mark.slow
async def test_a_worker_killed_around_every_effect_of_a_payment_charges_and_books_once(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    async with cashing(odoo_db(), systems, names=(FLOW,), tables=CARDS) as world:
        bills = await invoiced(world, 120.0, 80.0)
        vault = await kept(world, "azure-1")
        keys = [await started(world, f"{amount:.2f}", (bill, f"{amount:.2f}"), VaultID=vault)
                for amount, (_, bill) in zip((120.0, 80.0), bills, strict=True)]  # fmt: skip
        await world.poll()
        ends: list[int] = []
        for n in range(40):
            worker = await asyncio.create_subprocess_exec(
                sys.executable, str(HERE / "cash_worker.py"), str(1 + n % 2), str(world.trade.pair_id)
            )
            ends.append(await asyncio.wait_for(worker.wait(), 120))
            if ends[-1] == 0:
                break
            assert ends[-1] == -signal.SIGKILL
        assert ends[-1] == 0
        assert len(ends) > 2 * 2  # charged and posted: before and after each
        await world.work()
        assert world.held() == []
        for key, amount, (invoice, _) in zip(keys, (120.0, 80.0), bills, strict=True):
            await paid(world, key, invoice, amount)
        assert await world.rig.sent("sale") == len(world.payments()) == 2


@pytest.mark.slow
async def test_answers_that_are_lost_charge_and_book_once(home: Any, systems: Systems, odoo_db: OdooDatabases) -> None:
    odoo = odoo_db()
    proxy = FaultProxy(odoo.url, plan=Plan(rate=0.0))
    async with proxy.running(), cashing(odoo, systems, url=proxy.url, names=(FLOW,), tables=CARDS) as world:
        bills = await invoiced(world, 120.0, 80.0)
        vault = await kept(world, "azure-1")
        keys = [await started(world, f"{amount:.2f}", (bill, f"{amount:.2f}"), VaultID=vault)
                for amount, (_, bill) in zip((120.0, 80.0), bills, strict=True)]  # fmt: skip
        kinds = ("drop_after_commit", "error_after_commit")
        proxy.dice.turn(Plan(rate=0.7, kinds=kinds, spare=rf"^\S+ (?!\S*/({WRITES})\n)"))
        await world.rig.fault("drop_after_commit", match="transact.php sale", next=2)
        await world.work(2)
        proxy.dice.turn(Plan(rate=0.0))
        await world.work()
        assert world.held() == []
        for key, amount, (invoice, _) in zip(keys, (120.0, 80.0), bills, strict=True):
            await paid(world, key, invoice, amount)
        assert await world.rig.sent("sale") == len(world.payments()) == 2
        assert sum(proxy.counts[kind] for kind in kinds) >= 2
