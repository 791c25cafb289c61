"""Every operation through the product's own side: what was asked for stands at the gateway, once, to the cent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from gateway_rig import Rig, told_again

from isthmus.connectors.bng_gateway import Details, PaymentType, Status
from isthmus.connectors.bng_gateway.values import refund_status
from isthmus.sdk import Ambiguous, InvalidRecord, RefusedByTarget


async def test_a_sale_is_captured_then_pending_settlement_then_settled(rig: Rig) -> None:
    pay = rig.gateway()
    made = await pay.sale("INV/1", Decimal("12.34"), "EUR", token=rig.token(), details=Details(description="Tools"))
    assert (made.status, made.amount, made.repeated) == (Status.CAPTURED, Decimal("12.34"), False)
    assert made.auth_code
    [found] = await pay.find("INV/1")
    assert told_again(found) == told_again(made)
    assert (found.status, found.currency, found.description) == (Status.PENDING_SETTLEMENT, "EUR", "Tools")
    batch = await rig.switch("POST", "settle")
    settled = (await pay.get([made.id]))[made.id]
    assert (settled.status, settled.batch_id) == (Status.SETTLED, batch["batch_id"])
    assert settled.settled_on == datetime.now(UTC).date()


async def test_asking_twice_charges_once(rig: Rig) -> None:
    pay, token = rig.gateway(), rig.token()
    first = await pay.sale("INV/1", Decimal("5.00"), token=token)
    again = await rig.gateway().sale("INV/1", Decimal("5.00"), token=token)
    assert (again.id, again.repeated) == (first.id, True)
    assert await rig.sent("sale") == 1
    other = await pay.sale("INV/1", Decimal("6.00"), token=rig.token())
    assert other.id != first.id, "another amount of the same order is another charge"


async def test_a_declined_card_may_be_followed_by_another_one(rig: Rig) -> None:
    pay = rig.gateway()
    with pytest.raises(RefusedByTarget) as refused:
        await pay.sale("INV/1", Decimal("5.00"), token=rig.token("insufficient"))
    assert refused.value.answered == "Insufficient funds (code 202)"
    assert "another way to pay" in refused.value.hint
    made = await pay.sale("INV/1", Decimal("5.00"), token=rig.token())
    assert made.live
    assert [t.status for t in await pay.find("INV/1")] == [Status.DECLINED, Status.PENDING_SETTLEMENT]


async def test_an_authorisation_is_captured_in_part_once(rig: Rig) -> None:
    pay = rig.gateway()
    made = await pay.authorise("SO1", Decimal("99.00"), token=rig.token())
    assert made.status is Status.AUTHORIZED
    assert (await pay.standing("SO1")).status(Decimal("99.00")) == "Authorized"
    taken = await pay.capture(made.id, Decimal("40.00"))
    assert (taken.id, taken.captured, taken.authorized) == (made.id, Decimal("40.00"), Decimal("99.00"))
    again = await pay.capture(made.id, Decimal("40.00"))
    assert again.repeated
    assert await rig.sent("capture") == 1
    with pytest.raises(RefusedByTarget, match=r"40\.00 of it is captured already"):
        await pay.capture(made.id, Decimal("41.00"))


async def test_a_capture_beyond_the_authorisation_is_refused_in_the_gateways_words(rig: Rig) -> None:
    pay = rig.gateway()
    made = await pay.authorise("SO1", Decimal("10.00"), token=rig.token())
    with pytest.raises(RefusedByTarget) as refused:
        await pay.capture(made.id, Decimal("10.01"))
    assert "exceeds the authorization amount of 10.00" in str(refused.value.answered)


async def test_what_is_settled_is_refunded_and_what_is_not_is_voided(rig: Rig) -> None:
    pay = rig.gateway()
    first = await pay.sale("A", Decimal("5.00"), token=rig.token())
    assert (await pay.void(first.id)).status is Status.VOIDED
    assert (await pay.void(first.id)).repeated
    second = await pay.sale("B", Decimal("6.00"), token=rig.token())
    await rig.switch("POST", "settle")
    with pytest.raises(RefusedByTarget, match="it is settled") as refused:
        await pay.void(second.id)
    assert refused.value.hint == "Refund it instead."
    back = await pay.refund(second.id)
    assert (back.type, back.amount, back.original_id) == (PaymentType.REFUND, Decimal("6.00"), second.id)
    with pytest.raises(RefusedByTarget, match="given back already"):
        await pay.refund(second.id)


async def test_a_voided_charge_is_not_made_again_by_itself(rig: Rig) -> None:
    pay = rig.gateway()
    made = await pay.sale("A", Decimal("5.00"), token=rig.token())
    await pay.void(made.id)
    with pytest.raises(RefusedByTarget, match="made and then voided") as refused:
        await pay.sale("A", Decimal("5.00"), token=rig.token())
    assert "an order id of its own" in refused.value.hint
    assert await rig.sent("sale") == 1


async def test_refunds_in_part_add_up_and_the_order_knows(rig: Rig) -> None:
    pay = rig.gateway()
    made = await pay.sale("A", Decimal("10.00"), token=rig.token())
    await pay.refund(made.id, Decimal("4.00"), key="CN1")
    refunds = await pay.follower.refunds(made)
    assert refund_status((await pay.get([made.id]))[made.id], refunds) is Status.PARTIALLY_REFUNDED
    standing = await pay.standing("A")
    assert (standing.captured, standing.refunded, standing.paid) == (Decimal("10.00"), Decimal("4.00"), Decimal("6.00"))
    assert standing.status(Decimal("10.00")) == "Partial"
    await pay.refund(made.id, Decimal("6.00"), key="CN2")
    assert (await pay.standing("A")).status(Decimal("10.00")) == "Refunded"


async def test_an_equal_second_refund_is_asked_about_unless_its_number_is_told(rig: Rig) -> None:
    pay = rig.gateway()
    made = await pay.sale("A", Decimal("10.00"), token=rig.token())
    first = await pay.refund(made.id, Decimal("2.00"), key="CN1")
    with pytest.raises(Ambiguous) as unclear:
        await pay.refund(made.id, Decimal("2.00"), key="CN2")
    assert "number=2" in unclear.value.hint
    second = await pay.refund(made.id, Decimal("2.00"), key="CN2", number=2)
    assert second.id != first.id
    assert (await pay.refund(made.id, Decimal("2.00"), key="CN2", number=2)).id == second.id
    assert await rig.sent("refund") == 2


async def test_where_the_gateway_keeps_our_key_equal_refunds_are_told_apart_by_it(rig: Rig) -> None:
    await rig.switch("PUT", "settings", refund_order="given")
    pay = rig.gateway()
    made = await pay.sale("A", Decimal("10.00"), token=rig.token())
    first = await pay.refund(made.id, Decimal("2.00"), key="CN1")
    second = await pay.refund(made.id, Decimal("2.00"), key="CN2")
    assert first.id != second.id
    assert (await pay.refund(made.id, Decimal("2.00"), key="CN1")).repeated


async def test_a_merchant_defined_field_may_carry_our_key_as_well(rig: Rig) -> None:
    pay = rig.gateway(reference_field=7)
    made = await pay.sale("A", Decimal("10.00"), token=rig.token())
    first = await pay.refund(made.id, Decimal("2.00"), key="CN1")
    second = await pay.refund(made.id, Decimal("2.00"), key="CN2")
    assert first.id != second.id
    again = await pay.refund(made.id, Decimal("2.00"), key="CN2")
    assert (again.id, again.repeated) == (second.id, True)


async def test_a_vault_customer_pays_again_and_again_without_a_card(rig: Rig) -> None:
    pay, token = rig.gateway(), rig.token()
    kept = await pay.keep_customer("cust-1", token, person={"FirstName": "Ada", "Line1": "Street 1", "City": "Ulm"})
    assert (kept.first_name, kept.address) == ("Ada", {"Line1": "Street 1", "City": "Ulm"})
    assert (await pay.keep_customer("cust-1", token)).repeated
    first = await pay.sale("A", Decimal("1.00"), vault_id="cust-1")
    second = await pay.sale("B", Decimal("2.00"), vault_id="cust-1")
    assert {(await pay.get([t.id]))[t.id].vault_id for t in (first, second)} == {"cust-1"}
    out = await pay.credit("C", Decimal("3.00"), vault_id="cust-1")
    assert out.type is PaymentType.CREDIT
    checked = await pay.validate("D", vault_id="cust-1")
    assert checked.type is PaymentType.VALIDATION
    changed = await pay.change_customer("cust-1", person={"City": "Bonn"})
    assert changed.address == {"Line1": "Street 1", "City": "Bonn"}
    assert await pay.forget_customer("cust-1") is True
    assert await pay.forget_customer("cust-1") is False
    assert await pay.customer("cust-1") is None


async def test_a_validation_that_is_declined_says_so(rig: Rig) -> None:
    with pytest.raises(RefusedByTarget, match="declined"):
        await rig.gateway().validate("D", token=rig.token("expired"))


@pytest.mark.parametrize("amount", [Decimal("0"), Decimal("-1.00"), Decimal("1.005"), Decimal("NaN")])
async def test_an_amount_is_never_rounded_nor_sent_when_it_is_none(rig: Rig, amount: Decimal) -> None:
    with pytest.raises(InvalidRecord):
        await rig.gateway().sale("A", amount, token=rig.token())
    assert await rig.sent("sale") == 0


async def test_a_charge_needs_one_source(rig: Rig) -> None:
    pay = rig.gateway()
    for source in ({}, {"token": rig.token(), "vault_id": "c"}):
        with pytest.raises(RefusedByTarget, match="either a vault customer or a token"):
            await pay.sale("A", Decimal("1.00"), **source)
    assert await rig.sent("sale") == 0


async def test_what_there_is_not_cannot_be_captured(rig: Rig) -> None:
    with pytest.raises(RefusedByTarget, match="no such transaction"):
        await rig.gateway().capture("123456")


async def test_a_bank_account_pays_like_a_card(rig: Rig) -> None:
    pay = rig.gateway()
    await pay.sale("A", Decimal("7.00"), token=rig.token("ach"))
    [found] = await pay.find("A")
    assert (found.method, found.status) == ("ACH", Status.PENDING_SETTLEMENT)


async def test_a_settlement_batch_adds_up_to_what_the_bank_shows(rig: Rig) -> None:
    pay, since = rig.gateway(), datetime.now(UTC) - timedelta(hours=1)
    sold = await pay.sale("A", Decimal("10.00"), token=rig.token())
    await rig.switch("POST", "settle")
    await pay.sale("B", Decimal("20.00"), token=rig.token())
    await pay.refund(sold.id, Decimal("2.50"))
    await rig.switch("POST", "settle")
    first, second = await pay.settlements(since)
    assert (first.net, first.currency) == (Decimal("10.00"), "USD")
    assert (second.incoming, second.outgoing, second.net) == (Decimal("20.00"), Decimal("2.50"), Decimal("17.50"))
    assert (await rig.switch("GET", "totals"))["USD"] == {
        "captured": "30.00", "refunded": "2.50", "credited": "0.00", "settled": "27.50",
    }  # fmt: skip


async def test_every_page_is_read_whether_pages_count_from_0_or_1(rig: Rig) -> None:
    pay = rig.gateway(page_size=2)
    for n in range(7):
        await pay.sale(f"A{n}", Decimal("1.00"), token=rig.token())
    for first in (0, 1):
        await rig.switch("PUT", "settings", pages_from=first)
        found = [t.order_id async for t in pay.transactions()]
        assert found == [f"A{n}" for n in range(7)]


async def test_test_mode_marks_what_is_sent(rig: Rig) -> None:
    made = await rig.gateway(test_mode=True).sale("A", Decimal("1.00"), token=rig.token())
    assert made.test
    findings = await rig.connector(test_mode=True).check()
    assert any(f.check == "test mode" and f.status == "warning" for f in findings)
