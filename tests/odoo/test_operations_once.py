"""Every operation takes place once: repeated, with the answer lost, and asked for by two clients at the same time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from operating import CASES, READS, Floor, difference, fresh_key, result
from speaking import speaking

from isthmus.connectors.odoo.operations import METHODS
from isthmus.sdk import Act, Done, Failed, NotDone, OutcomeUnknown, Undecided, Unsure
from isthmus.testing.fault_proxy import KINDS, FaultProxy, Plan
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo

METHODS_THAT_WRITE = (
    r"load|write|create|create_invoices|js_assign_outstanding_line|js_remove_outstanding_partial|reconcile"
    r"|action_\w+|button_\w+"
)
LOST = Plan(
    rate=1.0,
    kinds=("drop_after_commit",),
    spare=rf"^\S+ (?!\S*/({METHODS_THAT_WRITE})\n)|sale\.advance\.payment\.inv/create\n",
)
"""The answer to every call that changes a document is lost. A wizard that was only opened is no document."""
SHAKEN = ("credit_invoice", "invoice_sales_order", "register_payment", "return_delivery", "validate_delivery")
"""Operations of several steps, or whose effect a second time would cost most."""
every_operation = pytest.mark.parametrize("operation", sorted(CASES))


@pytest.fixture(scope="module")
def floor(odoo_databases: OdooDatabases) -> Floor:
    return Floor(odoo_databases())


def test_every_operation_has_its_case() -> None:
    assert sorted({**CASES, **READS}) == sorted(method.ABOUT.name for method in METHODS)


@every_operation
async def test_a_repeated_act_is_done_once_and_says_so(floor: Floor, operation: str) -> None:
    given, key = CASES[operation](floor), fresh_key()
    act = Act(key=key, input=given)
    async with speaking(floor.odoo) as side:
        before = floor.world()
        [verdict] = await side.verify(operation, [act])
        assert verdict == NotDone()
        assert floor.world() == before, "verifying has written something"
        [first] = await side.perform(operation, [act])
        told = result(first)
        after = floor.world()
        assert after != before
        [again], [verdict] = await side.perform(operation, [act]), await side.verify(operation, [act])
        assert isinstance(first, Done)
        assert isinstance(again, Done)
        assert (first.repeated, again.repeated) == (False, True)
        assert verdict == again
        assert again.result == told
        assert floor.world() == after


@every_operation
async def test_an_act_whose_answers_are_all_lost_is_done_once(floor: Floor, operation: str) -> None:
    given, key = CASES[operation](floor), fresh_key()
    act = Act(key=key, input=given)
    before = floor.world()
    proxy = FaultProxy(floor.odoo.url, plan=LOST)
    async with proxy.running(), speaking(floor.odoo, url=proxy.url) as lossy, speaking(floor.odoo) as side:
        for _ in range(8):
            [outcome] = await lossy.perform(operation, [act])
            if isinstance(outcome, Done):
                break
            assert isinstance(outcome, Unsure), outcome.error
            assert isinstance(outcome.error, OutcomeUnknown)
        told = result(outcome)
        assert proxy.counts["drop_after_commit"] >= 1
        disturbed = difference(before, floor.world())
        [again] = await side.perform(operation, [act])
        assert result(again) == told
        assert difference(before, floor.world()) == disturbed
        twin = Act(key=fresh_key(), input=CASES[operation](floor))
        before = floor.world()
        result((await side.perform(operation, [twin]))[0])
        assert difference(before, floor.world()) == disturbed, "an undisturbed Act adds something else"


@pytest.mark.parametrize("operation", SHAKEN)
async def test_faults_of_every_kind_end_in_one_act(floor: Floor, operation: str) -> None:
    act = Act(key=fresh_key(), input=CASES[operation](floor))
    before = floor.world()
    kinds = [kind for kind in KINDS if kind not in ("throttle", "delay")]  # these change nothing but the time it takes
    plan = Plan(rate=0.15, kinds=kinds, writes=rf"^\S+ \S*/({METHODS_THAT_WRITE})\n")
    proxy = FaultProxy(floor.odoo.url, seed=sorted(CASES).index(operation), plan=plan)
    async with proxy.running(), speaking(floor.odoo, url=proxy.url) as shaken, speaking(floor.odoo) as side:
        for _ in range(40):
            [outcome] = await shaken.perform(operation, [act])
            if isinstance(outcome, Done):
                break
            assert outcome.error.action == "retry", outcome.error
        told = result(outcome)
        disturbed = difference(before, floor.world())
        assert result((await side.perform(operation, [act]))[0]) == told
        twin = Act(key=fresh_key(), input=CASES[operation](floor))
        before = floor.world()
        result((await side.perform(operation, [twin]))[0])
        assert difference(before, floor.world()) == disturbed, dict(proxy.counts)


async def test_orders_over_the_same_goods_are_confirmed_from_many_clients(floor: Floor) -> None:
    orders = [floor.quotation(1, 1) for _ in range(12)]
    async with AsyncExitStack() as stack:
        sides = [await stack.enter_async_context(speaking(floor.odoo)) for _ in range(4)]
        shares = [[Act(key=fresh_key(), input={"order": one}) for one in orders[n::4]] for n in range(4)]
        told = await asyncio.gather(
            *(side.perform("confirm_sales_order", acts) for side, acts in zip(sides, shares, strict=True))
        )
        assert [result(one)["order"]["state"] for outcomes in told for one in outcomes] == ["sale"] * 12
        for operation in ("validate_delivery", "invoice_sales_order"):
            told = await asyncio.gather(
                *(side.perform(operation, acts) for side, acts in zip(sides, shares, strict=True))
            )
            for outcomes in told:
                for one in outcomes:
                    result(one)
    rows = floor.rows("sale.order", [["id", "in", orders]], "invoice_ids", "picking_ids")
    assert [(len(row["invoice_ids"]), len(row["picking_ids"])) for row in rows] == [(1, 1)] * 12


@every_operation
async def test_two_clients_at_once_do_it_once(floor: Floor, operation: str) -> None:
    act = Act(key=fresh_key(), input=CASES[operation](floor))
    async with speaking(floor.odoo) as one, speaking(floor.odoo) as other:
        await asyncio.gather(one.wire.open(), other.wire.open())
        [first], [second] = await asyncio.gather(one.perform(operation, [act]), other.perform(operation, [act]))
        told = [result(outcome) for outcome in (first, second)]
        assert told[0] == told[1]
        world = floor.world()
        [again] = await one.perform(operation, [act])
        assert result(again) == told[0]
        assert floor.world() == world


@every_operation
async def test_a_bad_act_in_the_middle_stops_neither_neighbour(floor: Floor, operation: str) -> None:
    [field, *_] = [name for name in ("order", "invoice", "credit_note", "location", "payment", "journal")
                   if name in _form(operation)]  # fmt: skip
    bad = {**CASES[operation](floor), field: "NOPE" if field == "journal" else 999_999_999}
    acts = [Act(key=fresh_key(), input=given) for given in (CASES[operation](floor), bad, CASES[operation](floor))]
    async with speaking(floor.odoo) as side:
        first, middle, last = await side.perform(operation, acts)
        result(first)
        result(last)
        assert isinstance(middle, Failed)
        assert middle.error.action == "reject"
        assert middle.error.answered
        assert middle.error.hint


@every_operation
async def test_without_rights_nothing_happens_and_the_fix_is_told(floor: Floor, operation: str) -> None:
    act = Act(key=fresh_key(), input=CASES[operation](floor))
    world = floor.world()
    async with speaking(floor.odoo, key=floor.odoo.low_key, login=floor.odoo.low_login) as low:
        [outcome], [verdict] = await low.perform(operation, [act]), await low.verify(operation, [act])
        assert isinstance(outcome, Failed)
        assert "right" in outcome.error.hint
        assert isinstance(verdict, Undecided)
    assert floor.world() == world


def _form(operation: str) -> set[str]:
    return next(set(method.ABOUT.input.model_fields) for method in METHODS if method.ABOUT.name == operation)
