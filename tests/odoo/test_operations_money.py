"""Invoices, credit notes, payments and settlements through their operations: totals and residuals by value."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from operating import Floor, done, fresh_key, result
from speaking import speaking

from isthmus.connectors.odoo.connector import OdooConnector
from isthmus.sdk import Act, Conflicted, Done, Failed, InvalidRecord, IsthmusError
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


@pytest.fixture(scope="module")
def floor(odoo_databases: OdooDatabases) -> Floor:
    return Floor(odoo_databases())


async def refused(side: OdooConnector, operation: str, given: dict[str, Any], key: str = "") -> IsthmusError:
    """Why one Act is refused."""
    [outcome] = await side.perform(operation, [Act(key=key or fresh_key(), input=given)])
    assert isinstance(outcome, Failed), outcome
    return outcome.error


def journal_items(floor: Floor, entry: int | str) -> list[tuple[str, Decimal]]:
    """The kinds of account of an entry, each with its balance."""
    rows = floor.rows("account.move.line", [["move_id", "=", int(entry)]], "account_type", "balance")
    return sorted((row["account_type"], Decimal(str(row["balance"]))) for row in rows)


async def test_paid_and_shipped_arriving_together_make_one_invoice(floor: Floor) -> None:
    for _ in range(3):
        order = floor.shipped(5, 5)
        async with speaking(floor.odoo) as paid, speaking(floor.odoo) as shipped:
            await asyncio.gather(paid.wire.open(), shipped.wire.open())
            acts = [Act(key=fresh_key(), input={"order": order}) for _ in range(2)]
            [one], [other] = await asyncio.gather(
                paid.perform("invoice_sales_order", acts[:1]), shipped.perform("invoice_sales_order", acts[1:])
            )
        assert result(one) == result(other)
        assert result(one)["total"] == Decimal("165")
        assert len(floor.row("sale.order", order, "invoice_ids")["invoice_ids"]) == 1


async def test_an_order_that_ships_in_parts_has_an_invoice_for_each_part(floor: Floor) -> None:
    order = floor.order(5, 5)
    first, second = floor.lines(order)
    async with speaking(floor.odoo) as side:
        assert "nothing of it can be invoiced" in str(await refused(side, "invoice_sales_order", {"order": order}))
        for line, total in ((first, "55"), (second, "110")):
            await done(side, "validate_delivery", {"order": order, "lines": [{"line": line, "quantity": 5}]})
            told = await done(side, "invoice_sales_order", {"order": order})
            posted = await done(side, "post_invoice", {"invoice": told["invoice"]["key"], "expected_total": total})
            assert (posted["total"], posted["residual"], posted["payment_state"]) == (
                Decimal(total), Decimal(total), "not_paid",
            )  # fmt: skip
    assert told["total"] == Decimal("165")
    assert len(told["invoices"]) == 2


async def test_a_credited_order_is_not_invoiced_again_unless_told(floor: Floor) -> None:
    order = floor.shipped(5, 5)
    async with speaking(floor.odoo) as side:
        invoice = (await done(side, "invoice_sales_order", {"order": order}))["invoice"]["key"]
        await done(side, "post_invoice", {"invoice": invoice})
        told = await done(side, "credit_invoice", {"invoice": invoice})
        assert (told["total"], told["residual"], told["invoice_residual"]) == (Decimal(165), Decimal(0), Decimal(0))
        error = await refused(side, "invoice_sales_order", {"order": order})
        assert isinstance(error, Conflicted)
        assert "it has credit note RINV/" in str(error)
        told = await done(side, "invoice_sales_order", {"order": order, "after_credit": True})
        assert told["total"] == Decimal(330)


async def test_an_invoice_with_another_total_stays_a_draft(floor: Floor) -> None:
    draft = floor.draft()
    async with speaking(floor.odoo) as side:
        error = await refused(side, "post_invoice", {"invoice": draft, "expected_total": "99.01"})
        assert isinstance(error, Conflicted)
        assert "its total is 99, not 99.01" in str(error)
        assert floor.row("account.move", draft, "state")["state"] == "draft"
        told = await done(side, "post_invoice", {"invoice": draft, "date": "2026-11-19", "expected_total": "99.00"})
        assert told["invoice"]["number"].startswith("INV/2026/")
        assert floor.row("account.move", draft, "invoice_date")["invoice_date"] == "2026-11-19"


async def test_two_equal_part_payments_are_two_acts_and_the_last_one_settles(floor: Floor) -> None:
    invoice = floor.invoice()
    keys = [fresh_key(), fresh_key()]
    async with speaking(floor.odoo) as side:
        given = {"invoice": invoice, "amount": "40.00", "reference": "PSP-1", "date": "2026-11-21"}
        first = await done(side, "register_payment", given, keys[0])
        assert (first["amount"], first["residual"], first["unused"]) == (Decimal(40), Decimal(59), Decimal(0))
        assert first["payment_state"] == "partial"
        second = await done(side, "register_payment", given, keys[1])
        assert second["payment"]["key"] != first["payment"]["key"]
        assert second["residual"] == Decimal(19)
        again = await done(side, "register_payment", given, keys[0])
        assert (again["payment"], again["residual"]) == (first["payment"], Decimal(19))
        last = await done(side, "register_payment", {"invoice": invoice})
        assert (last["amount"], last["residual"]) == (Decimal(19), Decimal(0))
        assert last["payment_state"] in ("paid", "in_payment")
        error = await refused(side, "register_payment", {"invoice": invoice, "amount": 1})
        assert isinstance(error, Conflicted)
        assert "nothing of it is open any more" in str(error)
    assert journal_items(floor, first["entry"]) == [
        ("asset_current", Decimal("40.0")),
        ("asset_receivable", Decimal("-40.0")),
    ]
    payment = floor.row("account.payment", first["payment"]["key"], "date", "memo")
    assert (payment["date"], payment["memo"]) == ("2026-11-21", "PSP-1")


async def test_more_than_is_open_is_paid_only_when_told_and_the_rest_is_kept(floor: Floor) -> None:
    invoice = floor.invoice()
    async with speaking(floor.odoo) as side:
        given = {"invoice": invoice, "amount": "120.00"}
        error = await refused(side, "register_payment", given)
        assert isinstance(error, Conflicted)
        assert "only 99 of it is open, 120 was to be paid" in str(error)
        told = await done(side, "register_payment", {**given, "allow_more": True})
        assert (told["residual"], told["unused"]) == (Decimal(0), Decimal(21))
        other = floor.invoice()
        told = await done(side, "reconcile", {"invoice": other, "payment": told["payment"]["key"]})
        assert (told["amount"], told["residual"]) == (Decimal(21), Decimal(78))


async def test_payments_of_twenty_invoices_share_their_calls(floor: Floor) -> None:
    acts = [Act(key=fresh_key(), input={"invoice": floor.invoice(), "amount": "50.00"}) for _ in range(20)]
    async with speaking(floor.odoo) as side:
        await done(side, "register_payment", {"invoice": floor.invoice()})
        calls: list[str] = []
        side.wire.http._observe = lambda call: calls.append(call.path.rpartition("/")[2])
        outcomes = await side.perform("register_payment", acts)
        assert [result(one)["residual"] for one in outcomes] == [Decimal(49)] * 20
        assert calls.count("js_assign_outstanding_line") == 20  # Odoo offers it one by one
        assert len(calls) - 20 <= 20, calls


async def test_bad_payments_between_good_ones_are_told_each_with_its_reason(floor: Floor) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"invoice": floor.draft()}, "its state is draft"),
        ({"invoice": floor.invoice("out_refund")}, "it is of kind out_refund"),
        ({"invoice": floor.invoice(), "journal": "NOPE"}, "there is no bank or cash journal NOPE"),
        ({"invoice": floor.invoice(), "currency": "XXX", "amount": 1}, "the currency XXX is not active"),
        ({"invoice": floor.invoice(), "amount": "-1"}, "amount: Input should be greater than 0"),
        ({"invoice": 999_999_999}, "there is no such invoice"),
    ]
    good = {"invoice": floor.invoice(), "journal": "BNK1"}
    async with speaking(floor.odoo) as side:
        acts = [Act(key=fresh_key(), input=given) for given in (*(given for given, _ in cases), good)]
        *bad, last = await side.perform("register_payment", acts)
        assert result(last)["residual"] == Decimal(0)
        for outcome, (_, said) in zip(bad, cases, strict=True):
            assert isinstance(outcome, Failed)
            assert said in str(outcome.error)
            assert outcome.error.hint


async def test_a_payment_in_another_currency_is_booked_at_its_rate(floor: Floor) -> None:
    [euro] = floor.rows("res.currency", [["name", "=", "EUR"]], "id")
    [company] = floor.rows("res.company", [], "id", limit=1)
    values = {"currency_id": euro["id"], "name": "2026-11-01", "rate": 0.5, "company_id": company["id"]}
    floor.odoo.call("res.currency.rate", "create", with_key=floor.odoo.admin_key, vals_list=[values])
    invoice = floor.invoice()
    async with speaking(floor.odoo) as side:
        given = {"invoice": invoice, "amount": "20.00", "currency": "EUR", "date": "2026-11-20"}
        told = await done(side, "register_payment", given)
        assert (told["amount"], told["residual"], told["unused"]) == (Decimal(20), Decimal(59), Decimal(0))
    assert journal_items(floor, told["entry"]) == [
        ("asset_current", Decimal("40.0")),
        ("asset_receivable", Decimal("-40.0")),
    ]


async def test_some_of_an_invoice_is_credited_and_paid_back(floor: Floor) -> None:
    invoice = floor.invoice()
    first, second = sorted(floor.row("account.move", invoice, "invoice_line_ids")["invoice_line_ids"])
    async with speaking(floor.odoo) as side:
        await done(side, "register_payment", {"invoice": invoice})
        lines = [{"line": first, "quantity": 1}, {"line": second, "quantity": 2, "price": "5.00"}]
        given = {"invoice": invoice, "lines": lines, "reason": "broken", "expected_total": "22.00"}
        told = await done(side, "credit_invoice", given)
        assert (told["total"], told["residual"]) == (Decimal(22), Decimal(22))
        note = told["credit_note"]["key"]
        row = floor.row("account.move", note, "ref", "reversed_entry_id", "move_type")
        assert row["ref"].endswith(", broken")
        assert (row["reversed_entry_id"], row["move_type"]) == (invoice, "out_refund")
        back = await done(side, "refund_payment", {"credit_note": note, "reference": "PSP-R1"})
        assert (back["amount"], back["residual"], back["payment_state"] != "not_paid") == (
            Decimal(22),
            Decimal(0),
            True,
        )
        assert journal_items(floor, back["entry"]) == [
            ("asset_current", Decimal("-22.0")),
            ("asset_receivable", Decimal("22.0")),
        ]
        error = await refused(side, "refund_payment", {"credit_note": note})
        assert "nothing of it is open any more" in str(error)
        error = await refused(side, "credit_invoice", {"invoice": invoice, "lines": [{"line": first, "quantity": 4}]})
        assert isinstance(error, InvalidRecord)
        assert "has 3, 4 were to be credited" in str(error)
        error = await refused(side, "credit_invoice", {"invoice": invoice})
        assert "22 of 99 is credited before, by credit note RINV/" in str(error)


async def test_a_credit_note_with_another_total_is_left_as_a_draft_and_named(floor: Floor) -> None:
    invoice = floor.invoice()
    line = sorted(floor.row("account.move", invoice, "invoice_line_ids")["invoice_line_ids"])[0]
    given = {"invoice": invoice, "lines": [{"line": line, "quantity": 1}], "expected_total": "11.01"}
    key = fresh_key()
    async with speaking(floor.odoo) as side:
        error = await refused(side, "credit_invoice", given, key)
        assert isinstance(error, Conflicted)
        assert "comes to 11, not to 11.01" in str(error)
        assert floor.row("account.move", error.facts["draft"], "state")["state"] == "draft"
        told = await done(side, "credit_invoice", {**given, "expected_total": "11.00"}, key)
        assert told["credit_note"]["key"] == str(error.facts["draft"])
        assert told["invoice_residual"] == Decimal(88)


async def test_an_unpaid_invoice_is_voided_and_a_paid_one_is_not(floor: Floor) -> None:
    unpaid, paid = floor.invoice(), floor.invoice()
    async with speaking(floor.odoo) as side:
        await done(side, "register_payment", {"invoice": paid, "amount": "9.00"})
        assert (await done(side, "void_invoice", {"invoice": unpaid}))["invoice"]["state"] == "cancel"
        error = await refused(side, "void_invoice", {"invoice": paid})
        assert "9 of it is paid or credited" in str(error)
        assert "credit_invoice" in error.hint


async def test_an_open_credit_note_is_set_off_against_an_invoice(floor: Floor) -> None:
    invoice, note = floor.invoice(), floor.invoice("out_refund", 1)
    async with speaking(floor.odoo) as side:
        told = await done(side, "reconcile", {"invoice": invoice, "credit_note": note})
        assert (told["amount"], told["residual"], told["payment_state"]) == (Decimal(11), Decimal(88), "partial")
        error = await refused(side, "reconcile", {"invoice": floor.invoice(), "credit_note": note})
        assert "nothing open on the same account" in str(error)
        error = await refused(side, "reconcile", {"invoice": invoice})
        assert "name either payment or credit_note" in str(error)


async def test_a_bill_has_the_vendors_prices_and_its_number_is_taken_once(floor: Floor) -> None:
    order = floor.received(10, 10)
    first, second = floor.lines(order, "purchase.order")
    key = fresh_key()
    async with speaking(floor.odoo) as side:
        lines = [{"line": first, "quantity": 10, "price": "4.10"}, {"line": second, "quantity": 4}]
        given = {"order": order, "reference": "V-77", "date": "2026-11-20", "due": "2026-12-20", "lines": lines}
        told = await done(side, "bill_purchase_order", given, key)
        assert told["total"] == Decimal("62.7")  # (41 + 16) and 10 %
        bill = floor.row(
            "account.move", told["invoice"]["key"], "ref", "invoice_date", "invoice_date_due", "partner_id"
        )
        assert bill == {**bill, "ref": "V-77", "invoice_date": "2026-11-20", "invoice_date_due": "2026-12-20"}
        assert bill["partner_id"] == floor.vendor
        error = await refused(side, "bill_purchase_order", given)
        assert isinstance(error, Conflicted)
        assert "the vendor's bill V-77 is there before" in str(error)
        posted = await done(side, "post_invoice", {"invoice": told["invoice"]["key"], "expected_total": "62.70"})
        assert posted["invoice"]["number"].startswith("BILL/2026/")
        told = await done(side, "register_payment", {"invoice": told["invoice"]["key"]})
        assert (told["amount"], told["residual"]) == (Decimal("62.7"), Decimal(0))
        rest = await done(side, "bill_purchase_order", {"order": order, "reference": "V-78"})
        assert rest["total"] == Decimal("26.4")
        error = await refused(side, "bill_purchase_order", {"order": order, "reference": "V-79"})
        assert "nothing of it was received that is not billed yet" in str(error)
    billed = floor.rows("purchase.order.line", [["order_id", "=", order]], "qty_invoiced")
    assert [row["qty_invoiced"] for row in billed] == [10, 10]


async def test_a_settlement_is_booked_with_its_fee_and_must_add_up(floor: Floor) -> None:
    lines = [{"label": "PSP-1", "amount": "100.00", "partner": floor.customer}, {"label": "PSP-2", "amount": "-20.00"}]
    given = {"reference": "BATCH-1", "date": "2026-11-23", "lines": lines, "fee": "2.35", "total": "77.65"}
    key = fresh_key()
    async with speaking(floor.odoo) as side:
        error = await refused(side, "book_settlement", {**given, "total": "77.66"})
        assert "come to 77.65, the batch says 77.66" in str(error)
        told = await done(side, "book_settlement", given, key)
        assert told["total"] == Decimal("77.65")
        rows = floor.rows(
            "account.bank.statement.line", [["ref", "=", "BATCH-1"]], "payment_ref", "amount", "partner_id", "state"
        )
        assert sorted((row["payment_ref"], row["amount"]) for row in rows) == [
            ("BATCH-1: fee", -2.35), ("PSP-1", 100.0), ("PSP-2", -20.0),
        ]  # fmt: skip
        assert {row["state"] for row in rows} == {"posted"}
        lines[0]["amount"] = "90.00"
        error = await refused(side, "book_settlement", {**given, "total": "67.65"}, key)
        assert isinstance(error, Conflicted)
        assert "its statement lines come to 77.65, not 67.65" in str(error)


async def test_a_payment_that_somebody_cancelled_is_not_made_again(floor: Floor) -> None:
    invoice, key = floor.invoice(), fresh_key()
    async with speaking(floor.odoo) as side:
        told = await done(side, "register_payment", {"invoice": invoice, "amount": 10}, key)
        floor.call("account.payment", "action_cancel", int(told["payment"]["key"]))
        error = await refused(side, "register_payment", {"invoice": invoice, "amount": 10}, key)
        assert "was canceled in Odoo" in str(error)
        again = await done(side, "register_payment", {"invoice": invoice, "amount": 10})
        assert again["residual"] == Decimal(89)


async def test_a_chargeback_opens_the_invoice_again_by_what_was_taken_back(floor: Floor) -> None:
    invoice = floor.invoice()
    async with speaking(floor.odoo) as side:
        paid = await done(side, "register_payment", {"invoice": invoice})
        payment = paid["payment"]["key"]
        assert "it was 99, 100 were to be taken back" in str(
            await refused(side, "reverse_payment", {"payment": payment, "amount": 100})
        )
        told = await done(side, "reverse_payment", {"payment": payment, "amount": "40.00", "reference": "CB-1"})
        assert (told["amount"], told["residual"], told["invoices"]) == (Decimal(40), Decimal(40), (str(invoice),))
        told = await done(side, "reverse_payment", {"payment": payment, "amount": "9.00", "reference": "CB-2"})
        assert (told["amount"], told["residual"]) == (Decimal(9), Decimal(49))
        row = floor.row("account.move", invoice, "amount_residual", "payment_state")
        assert (row["amount_residual"], row["payment_state"]) == (49.0, "partial")
        again = await done(side, "register_payment", {"invoice": invoice})
        assert (again["amount"], again["residual"]) == (Decimal(49), Decimal(0))
        told = await done(side, "reverse_payment", {"payment": again["payment"]["key"]})
        assert (told["amount"], told["residual"]) == (Decimal(49), Decimal(49))


async def test_the_same_works_over_every_protocol(floor: Floor) -> None:
    for protocol in ("jsonrpc", "xmlrpc"):
        order = floor.quotation(2, 1)
        async with speaking(floor.odoo, protocol=protocol) as side:
            for operation in ("confirm_sales_order", "validate_delivery", "invoice_sales_order"):
                told = await done(side, operation, {"order": order})
            invoice = told["invoice"]["key"]
            await done(side, "post_invoice", {"invoice": invoice, "expected_total": "44.00"})
            given, key = {"invoice": invoice, "amount": "30.00"}, fresh_key()
            told = await done(side, "register_payment", given, key)
            assert told["residual"] == Decimal(14)
            [again] = await side.perform("register_payment", [Act(key=key, input=given)])
            assert isinstance(again, Done)
            assert again.repeated
            assert (await done(side, "credit_invoice", {"invoice": invoice}))["total"] == Decimal(44)
