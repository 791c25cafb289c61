"""Polling a real Odoo: nothing is missed, late commits and busy seconds included, and nothing comes twice."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from speaking import PARTNER, PROTOCOLS, TEMPLATE, VARIANT, change, follow, made, one, speaking, unique, written

from isthmus.connectors.odoo.changing import MOST_REMEMBERED, Position, _bounded
from isthmus.sdk import Misconfigured
from real_odoo import RealOdoo

pytestmark = pytest.mark.odoo


def partner(odoo: RealOdoo, **values: Any) -> int:
    return int(odoo.call(PARTNER, "create", vals_list=[{"name": unique("Somebody"), **values}])[0])


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_changed_since_the_cursor_is_hinted_at_once(real_odoo: RealOdoo, protocol: str) -> None:
    before = partner(real_odoo)
    async with speaking(real_odoo, protocol=protocol) as side:
        none, cursor = await follow(side, PARTNER, None)
        assert none == []
        fresh = partner(real_odoo)
        real_odoo.call(PARTNER, "write", ids=[before], vals={"city": "Ghent"})
        real_odoo.call(PARTNER, "action_archive", ids=[fresh])
        hints, cursor = await follow(side, PARTNER, cursor)
        assert {hint.key for hint in hints} == {str(before), str(fresh)}
        assert await follow(side, PARTNER, cursor) == ([], cursor)


async def test_a_second_edit_within_one_second_is_not_missed(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        keys = [partner(real_odoo) for _ in range(3)]
        _, cursor = await follow(side, PARTNER, None)
        for _ in range(2):
            expected = set()
            for key in keys:
                real_odoo.call(PARTNER, "write", ids=[key], vals={"city": unique("City")})
                expected.add(str(key))
            polling = asyncio.create_task(follow(side, PARTNER, cursor))
            await asyncio.sleep(0.3)  # the poll waits for the second to end; this edit may fall into the same one
            await asyncio.to_thread(real_odoo.call, PARTNER, "write", ids=[keys[0]], vals={"city": unique("City")})
            hints, cursor = await polling
            again, cursor = await follow(side, PARTNER, cursor)
            seen = {hint.key: hint.occurred_at for hint in (*hints, *again)}
            assert set(seen) == expected
            last = await one(side, PARTNER, str(keys[0]), "city")
            assert seen[str(keys[0])] == last.changed_at


async def test_a_thousand_records_of_one_second_lose_none(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo, page_size=300) as side:
        _, cursor = await follow(side, PARTNER, None)
        rows = [{"name": unique("Crowd")} for _ in range(1000)]
        ids = real_odoo.call(PARTNER, "create", vals_list=rows, context={"tracking_disable": True})
        hints, cursor = await follow(side, PARTNER, cursor)
        assert {hint.key for hint in hints} >= {str(one) for one in ids}
        assert len({hint.occurred_at for hint in hints if int(hint.key) in set(ids)}) == 1
        assert len(hints) == len({hint.key for hint in hints})
        assert len(cursor) < 1500
        assert (await follow(side, PARTNER, cursor))[0] == []


async def test_a_crash_between_two_pages_loses_nothing(real_odoo: RealOdoo) -> None:
    partner(real_odoo)  # the window begins with its second, behind the records of other tests
    async with speaking(real_odoo, page_size=3, poll_overlap=0) as side:
        _, cursor = await follow(side, PARTNER, None)
        ids = [partner(real_odoo) for _ in range(7)]
        pages = [page async for page in side.changes(PARTNER, cursor)]
        for stop in range(len(pages)):
            stored = {hint.key for page in pages[: stop + 1] for hint in page.hints}
            rest, _ = await follow(side, PARTNER, pages[stop].cursor)
            assert stored | {hint.key for hint in rest} >= {str(one) for one in ids}
            assert not stored & {hint.key for hint in rest}


async def test_a_transaction_that_commits_thirty_seconds_late_is_not_missed(real_odoo: RealOdoo) -> None:
    """The write carries the moment its transaction began; younger ones are committed and polled before it."""
    if not real_odoo.dsn:
        pytest.skip("needs the database of the server")
    late, young = partner(real_odoo), partner(real_odoo)
    began, go_on = threading.Event(), threading.Event()

    def slow_transaction() -> None:
        with psycopg.connect(real_odoo.dsn) as connection:
            # As Odoo does it: write_date is the start of the transaction, here thirty seconds ago.
            at = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=30)
            connection.execute("update res_partner set city = 'Late', write_date = %s where id = %s", (at, late))
            began.set()
            go_on.wait(30)

    thread = threading.Thread(target=slow_transaction)
    thread.start()
    await asyncio.to_thread(began.wait, 30)
    async with speaking(real_odoo) as side:
        _, cursor = await follow(side, PARTNER, None)
        real_odoo.call(PARTNER, "write", ids=[young], vals={"city": "Young"})
        hints, cursor = await follow(side, PARTNER, cursor)
        assert [hint.key for hint in hints] == [str(young)]
        go_on.set()
        await asyncio.to_thread(thread.join, 30)
        hints, cursor = await follow(side, PARTNER, cursor)
        assert [hint.key for hint in hints] == [str(late)]
        assert (await follow(side, PARTNER, cursor))[0] == []


async def test_addresses_hint_at_their_company_and_people_at_themselves(real_odoo: RealOdoo) -> None:
    company = partner(real_odoo, is_company=True)
    delivery = partner(real_odoo, parent_id=company, type="delivery")
    person = partner(real_odoo, parent_id=company, type="contact")
    async with speaking(real_odoo) as side:
        _, cursor = await follow(side, PARTNER, None)
        real_odoo.call(PARTNER, "write", ids=[delivery], vals={"street": "New 1"})
        hints, cursor = await follow(side, PARTNER, cursor)
        assert [hint.key for hint in hints] == [str(company)]
        real_odoo.call(PARTNER, "action_archive", ids=[delivery])
        real_odoo.call(PARTNER, "write", ids=[person], vals={"function": "Boss"})
        hints, cursor = await follow(side, PARTNER, cursor)
        assert {hint.key for hint in hints} == {str(company), str(person)}


async def test_a_deleted_address_hints_at_its_company(real_odoo: RealOdoo) -> None:
    company = partner(real_odoo, is_company=True)
    delivery = partner(real_odoo, parent_id=company, type="delivery")
    async with speaking(real_odoo) as side:
        side._changer._deleted.every = 0.0
        _, cursor = await follow(side, PARTNER, None)
        real_odoo.call(PARTNER, "unlink", ids=[delivery])
        hints, cursor = await follow(side, PARTNER, cursor)
        assert [hint.key for hint in hints] == [str(company)]
        assert (await follow(side, PARTNER, cursor))[0] == []


async def test_templates_and_variants_and_vendors_hint_at_each_other(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        [key] = await made(side, VARIANT, {"name": unique("Bolt"), "default_code": unique("SKU")})
        template = (await one(side, VARIANT, key, "product_tmpl_id")).values["product_tmpl_id"]
        _, variants = await follow(side, VARIANT, None)
        _, templates = await follow(side, TEMPLATE, None)
        real_odoo.call(TEMPLATE, "write", ids=[template], vals={"list_price": 5})
        hints, variants = await follow(side, VARIANT, variants)
        assert [hint.key for hint in hints] == [key]
        hints, templates = await follow(side, TEMPLATE, templates)
        assert [hint.key for hint in hints] == [str(template)]
        real_odoo.call(VARIANT, "write", ids=[int(key)], vals={"barcode": unique("4")})
        hints, templates = await follow(side, TEMPLATE, templates)
        assert [hint.key for hint in hints] == [str(template)]
        _, variants = await follow(side, VARIANT, variants)
        line = {"partner_id": partner(real_odoo), "product_tmpl_id": template, "price": 3}
        real_odoo.call("product.supplierinfo", "create", vals_list=[line])
        assert key in {hint.key for hint in (await follow(side, VARIANT, variants))[0]}
        assert str(template) in {hint.key for hint in (await follow(side, TEMPLATE, templates))[0]}


async def test_our_own_write_comes_back_as_one_hint(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        [key] = await made(side, PARTNER, {"name": unique("Echo")})
        _, cursor = await follow(side, PARTNER, None)
        [outcome] = await side.update(PARTNER, [change(key, {"city": "Ghent"}, {"city": None})])
        written(outcome)
        hints, _ = await follow(side, PARTNER, cursor)
        assert [hint.key for hint in hints] == [key]


async def test_a_cursor_that_is_none_of_ours_is_a_sentence(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        with pytest.raises(Misconfigured, match="cursor"):
            await follow(side, PARTNER, "2026-01-01")


def test_the_cursor_stays_bounded() -> None:
    seconds = [f"2026-01-01 00:{n // 60:02}:{n % 60:02}" for n in range(600)]
    seen = {second: set(range(n * 1000, n * 1000 + 1000)) for n, second in enumerate(seconds)}
    kept = _bounded(Position(at=seconds[-1], seen=seen), 150)
    assert sum(len(ids) for ids in kept.seen.values()) <= MOST_REMEMBERED
    assert max(kept.seen) == seconds[-1]
    assert min(kept.seen) >= "2026-01-01 00:07:29"
