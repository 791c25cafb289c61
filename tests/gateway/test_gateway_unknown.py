"""When an answer is lost nobody guesses: the effect is looked for, and money never moves twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from gateway_rig import Rig

from isthmus.connectors.bng_gateway import Gateway, Status, Transaction, charging
from isthmus.sdk import OutcomeUnknown, RefusedByTarget, Retry

LOST_AFTER: list[dict[str, Any]] = [
    {"kind": "drop_after_commit"},
    {"kind": "truncate"},
    {"kind": "garbage", "after": True},
    {"kind": "html", "after": True, "status": 200},
    {"kind": "html", "after": True, "status": 502},
    {"kind": "status", "after": True, "status": 500},
    {"kind": "status", "after": True, "status": 503},
    {"kind": "status", "after": True, "status": 504},
    {"kind": "delay", "after": True, "seconds": 3},
]
"""The effect took place and its answer is lost, cut, late, or something else."""

LOST_BEFORE: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "garbage"},
    {"kind": "html", "status": 502},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
]
"""The same to look at, but nothing took place."""


def named(fault: dict[str, Any]) -> str:
    return " ".join(str(value) for value in fault.values())


@pytest.mark.parametrize("fault", LOST_AFTER, ids=named)
async def test_a_sale_whose_answer_is_lost_is_found_and_not_sent_again(rig: Rig, fault: dict[str, Any]) -> None:
    pay = rig.gateway(timeout=0.5)
    await rig.fault(**fault)
    made = await pay.sale("A", Decimal("5.00"), token=rig.token())
    assert (made.status, made.amount) == (Status.PENDING_SETTLEMENT, Decimal("5.00"))
    assert [doc["transaction_id"] for doc in await rig.charges("A")] == [made.id]
    assert await rig.sent("sale") == 1


@pytest.mark.parametrize("fault", LOST_BEFORE, ids=named)
async def test_a_sale_that_left_no_trace_stays_unknown_until_it_surely_has_ended(
    rig: Rig, fault: dict[str, Any]
) -> None:
    pay, token = rig.gateway(request_ceiling=1.0), rig.token()
    await rig.fault(**fault)
    with pytest.raises(OutcomeUnknown):
        await pay.sale("A", Decimal("5.00"), token=token)
    with pytest.raises(OutcomeUnknown, match="nothing was sent"):
        await pay.sale("A", Decimal("5.00"), token=token)
    assert await rig.sent("sale") == 1, "resent although the first may still take effect"
    await asyncio.sleep(1.1)
    assert (await pay.sale("A", Decimal("5.00"), token=token)).live
    assert len(await rig.charges("A")) == 1


async def test_a_charge_that_takes_effect_late_is_not_made_twice(rig: Rig) -> None:
    pay, token = rig.gateway(timeout=0.2, request_ceiling=1.0), rig.token("late")
    with pytest.raises(OutcomeUnknown):
        await pay.sale("A", Decimal("5.00"), token=token)
    with pytest.raises(OutcomeUnknown, match="nothing was sent"):
        await pay.sale("A", Decimal("5.00"), token=token)
    await asyncio.sleep(0.8)
    made = await pay.sale("A", Decimal("5.00"), token=token)
    assert made.repeated
    assert len(await rig.charges("A")) == 1
    assert await rig.sent("sale") == 1


async def test_another_process_is_told_when_it_may_have_been_sent(rig: Rig) -> None:
    tried_at = datetime.now(UTC)
    pay = rig.gateway(request_ceiling=30.0)
    with pytest.raises(OutcomeUnknown, match="nothing was sent"):
        await pay.sale("A", Decimal("5.00"), token=rig.token(), tried_at=tried_at)
    assert await rig.sent("sale") == 0
    long_ago = tried_at - timedelta(seconds=31)
    made = await pay.sale("A", Decimal("5.00"), token=rig.token(), tried_at=long_ago)
    assert made.live


async def test_a_decline_whose_answer_is_lost_is_known_to_be_one(rig: Rig) -> None:
    pay = rig.gateway()
    with pytest.raises(RefusedByTarget):
        await pay.sale("A", Decimal("5.00"), token=rig.token("decline"))
    await rig.fault("drop_after_commit")
    with pytest.raises(RefusedByTarget) as refused:
        await pay.sale("A", Decimal("5.00"), token=rig.token("expired"))
    assert refused.value.facts["response_code"] == 223, "the earlier decline was taken for this one"


async def test_what_the_gateway_itself_does_not_know_waits_for_it(rig: Rig) -> None:
    pay = rig.gateway()
    with pytest.raises(OutcomeUnknown):
        await pay.sale("A", Decimal("5.00"), token=rig.token("unclear"))
    [doc] = await rig.charges("A")
    with pytest.raises(OutcomeUnknown, match="does not know yet"):
        await pay.sale("A", Decimal("5.00"), token=rig.token())
    await rig.switch("POST", "resolve", transaction=doc["transaction_id"], taken=True)
    found = await pay.sale("A", Decimal("5.00"), token=rig.token())
    assert (found.id, found.repeated) == (doc["transaction_id"], True)
    assert len(await rig.charges("A")) == 1


async def test_what_turned_out_not_to_be_taken_may_be_charged(rig: Rig) -> None:
    pay = rig.gateway()
    with pytest.raises(OutcomeUnknown):
        await pay.sale("A", Decimal("5.00"), token=rig.token("unclear"))
    [doc] = await rig.charges("A")
    await rig.switch("POST", "resolve", transaction=doc["transaction_id"], taken=False)
    await asyncio.sleep(0.6)
    assert (await pay.sale("A", Decimal("5.00"), token=rig.token())).live


async def test_a_duplicate_refusal_is_looked_into_and_never_counted_as_a_charge(rig: Rig) -> None:
    pay = rig.gateway()
    await pay.sale("A", Decimal("5.00"), token=rig.token(card="anna"))
    with pytest.raises(RefusedByTarget, match="nothing was charged") as refused:
        await pay.sale("B", Decimal("5.00"), token=rig.token(card="anna"))
    assert "Duplicate transaction" in str(refused.value.answered)
    assert await rig.charges("B") == []


async def test_two_callers_of_one_order_make_one_charge(rig: Rig) -> None:
    token = rig.token(card="anna")
    one, other = rig.gateway(), rig.gateway()
    made = await asyncio.gather(*(pay.sale("A", Decimal("5.00"), token=token) for pay in (one, one, one)))
    assert len({t.id for t in made}) == 1
    racing = await asyncio.gather(
        *(pay.sale("B", Decimal("6.00"), token=rig.token(card="bob")) for pay in (one, other)), return_exceptions=True
    )
    assert len({t.id for t in racing if isinstance(t, Transaction)}) == 1, "the gateway's own window is the last guard"
    assert len(await rig.charges("B")) == 1


Step = Callable[[Gateway], Awaitable[Transaction]]


@pytest.mark.parametrize("fault", [LOST_AFTER[0], LOST_AFTER[1], LOST_BEFORE[0], LOST_BEFORE[3]], ids=named)
@pytest.mark.parametrize("what", ["capture", "void", "refund"])
async def test_what_follows_a_charge_is_done_once_whatever_becomes_of_the_answer(
    rig: Rig, what: str, fault: dict[str, Any]
) -> None:
    pay = rig.gateway()
    begin = pay.authorise if what == "capture" else pay.sale
    key = (await begin("A", Decimal("9.00"), token=rig.token())).id
    steps: dict[str, Step] = {
        "capture": lambda pay: pay.capture(key, Decimal("4.00")),
        "void": lambda pay: pay.void(key),
        "refund": lambda pay: pay.refund(key, Decimal("4.00"), key="CN1", number=1),
    }
    await rig.fault(**fault)
    await insist(rig, pay, steps[what])
    docs = await rig.charges("A")
    done = [a for doc in docs for a in doc["actions"] if a["action_type"] == what]
    assert len(done) == 1


async def insist(rig: Rig, pay: Gateway, step: Step) -> Transaction:
    """Call until it is known: as a Run does that is retried; what is unknown is asked for again, not resent."""
    for _ in range(60):
        try:
            return await step(pay)
        except OutcomeUnknown:
            await asyncio.sleep(0.1)
    raise AssertionError("it stays unknown")


@pytest.mark.parametrize("seed", range(4))
async def test_a_campaign_of_faults_ends_with_every_order_paid_once(rig: Rig, seed: int) -> None:
    """Charges, captures and refunds with the answer killed at random, callers that die and come back in between.

    The gateway's own window against duplicates is off: nothing but our own care keeps an order from being paid twice.
    """
    await campaign(rig, seed)


async def test_without_that_care_the_campaign_finds_two_payments(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charging, "made_in", lambda transactions, wanted: None)
    monkeypatch.setattr(charging.Unknowns, "hold", lambda *_: None)
    with pytest.raises(AssertionError):
        await campaign(rig, 0)


async def campaign(rig: Rig, seed: int) -> None:
    dice = random.Random(seed)
    await rig.switch("POST", "reset")
    for number in range(12):  # charged by the vault: a one-time token would keep a second charge away by itself
        await rig.gateway().keep_customer(f"c{seed}-{number}", rig.token())
    for number, fault in enumerate([*LOST_AFTER[:5], *LOST_BEFORE[:4]]):
        await rig.switch("POST", "faults", **{**fault, "match": "transact.php", "rate": 0.06 + 0.01 * (number % 3)})
    await rig.switch("POST", "faults", kind="rate_code", match=".php", rate=0.02)
    await rig.switch("POST", "faults", kind="reset", match="query.php", rate=0.05)
    expected: dict[str, Decimal] = {}
    back: dict[str, Decimal] = {}

    async def order(number: int) -> None:
        name, amount = f"S{seed}-{number}", Decimal(dice.randrange(100, 9999)) / 100
        customer, partial = f"c{seed}-{number}", dice.random() < 0.3
        whole, refunded = dice.random() < 0.5, dice.random() < 0.4
        taken = amount if whole else (amount / 2).quantize(Decimal("0.01"))
        if partial:
            made = await through(rig, lambda pay: pay.authorise(name, amount, vault_id=customer))
            await through(rig, lambda pay: pay.capture(made.id, taken))
        else:
            taken = amount
            made = await through(rig, lambda pay: pay.sale(name, amount, vault_id=customer))
        expected[name] = taken
        if refunded:
            part = (taken / 3).quantize(Decimal("0.01"))
            await through(rig, lambda pay: pay.refund(made.id, part, key=f"R-{name}", number=1))
            back[name] = part

    ends = await asyncio.gather(*(order(number) for number in range(12)), return_exceptions=True)
    assert [end for end in ends if end is not None] == []
    await rig.switch("DELETE", "faults")
    totals = (await rig.switch("GET", "totals"))["USD"]
    assert Decimal(totals["captured"]) == sum(expected.values())
    assert Decimal(totals["refunded"]) == sum(back.values())
    pay = rig.gateway()
    for name, amount in expected.items():
        standing = await pay.standing(name)
        assert (standing.captured, standing.refunded) == (amount, back.get(name, Decimal("0.00"))), name


async def through(rig: Rig, step: Step) -> Transaction:
    """Until it is known, each third time by a process that knows nothing but when it was first tried."""
    pay = rig.gateway(dup_seconds=0)
    for number in range(80):
        try:
            return await step(pay)
        except OutcomeUnknown:
            if number % 3 == 2:
                await asyncio.sleep(0.6)  # the one who died sent it, so the ceiling is waited out
                pay = rig.gateway(dup_seconds=0)
        except Retry:
            pass  # asked to slow down, or a question that brought no answer
        await asyncio.sleep(0.1)
    raise AssertionError("it stays unknown")
