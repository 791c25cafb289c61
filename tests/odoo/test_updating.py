"""Updates on a real Odoo: only where the record is as expected, on the right record, with and without the action."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from speaking import PARTNER, PROTOCOLS, VARIANT, change, made, one, speaking, unique, written

from isthmus.connectors.odoo import actions
from isthmus.connectors.odoo.guarded import GUARDED_WRITE
from isthmus.sdk import Failed, Gone, InvalidRecord, RefusedByTarget, SchemaDrift, Stale, Unsure, Written
from isthmus.testing.fault_proxy import FaultProxy, Plan
from real_odoo import RealOdoo

pytestmark = pytest.mark.odoo
DELIVERY = "child_ids[type=delivery]"


@pytest.fixture(scope="module", params=["read just before", "guarded action"])
def odoo(request: pytest.FixtureRequest, real_odoo: RealOdoo) -> Iterator[RealOdoo]:
    """The real Odoo without the guarded-write action, then with it: the same must hold."""

    async def install(wanted: bool) -> None:
        async with speaking(real_odoo) as side:
            admin = side.wire.with_key(real_odoo.admin_key, real_odoo.admin_login)
            await (actions.install if wanted else actions.remove)(admin, GUARDED_WRITE)

    asyncio.run(install(request.param == "guarded action"))
    yield real_odoo
    asyncio.run(install(False))


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_each_item_gets_its_own_outcome(odoo: RealOdoo, protocol: str) -> None:
    async with speaking(odoo, protocol=protocol) as side:
        good, moved, refused, twin = await made(
            side, PARTNER, *({"name": unique("Some"), "city": "A"} for _ in range(4))
        )
        outcomes = await side.update(
            PARTNER,
            [
                change(good, {"city": "B", "country_id.key": "BE"}, {"city": "A", "country_id.key": None}),
                change(moved, {"city": "B"}, {"city": "Z"}),
                change(refused, {"name": None, "city": "B"}, {"city": "A"}),
                change("999999999", {"city": "B"}, {"city": "A"}),
                change(twin, {"city": "B", "country_id.key": "BE"}, {"city": "A", "country_id.key": None}),
                change(twin, {"country_id.key": "XX"}, {}),
            ],
        )
        assert [type(o) for o in outcomes] == [Written, Stale, Failed, Gone, Written, Failed]
        assert isinstance(outcomes[2], Failed)
        assert isinstance(outcomes[2].error, RefusedByTarget)
        assert isinstance(outcomes[5], Failed)
        assert isinstance(outcomes[5].error, InvalidRecord)
        cities = [(await one(side, PARTNER, key, "city")).values["city"] for key in (good, moved, refused, twin)]
        assert cities == ["B", "A", "A", "B"]


async def test_expectations_of_every_type_hold_when_nothing_moved(odoo: RealOdoo) -> None:
    async with speaking(odoo) as side:
        values: dict[str, Any] = {
            "name": unique("Every type"),
            "comment": "<p>Some <b>bold</b> words</p>",
            "partner_latitude": Decimal("12.3456789"),
            "state_id.key": "US-CA",
            "country_id.key": "US",
            "is_company": True,
            "color": 3,
            "website": "http://example.org",
        }
        [key] = await made(side, PARTNER, values)
        before = (await one(side, PARTNER, key, *values)).values
        [outcome] = await side.update(PARTNER, [change(key, {"city": "B", "comment": None}, before)])
        written(outcome)
        after = (await one(side, PARTNER, key, *values, "city")).values
        assert after == {**before, "city": "B", "comment": None}


async def test_prices_and_taxes_of_a_product_are_written(odoo: RealOdoo) -> None:
    async with speaking(odoo) as side:
        [key] = await made(side, VARIANT, {"name": unique("Bolt"), "default_code": unique("SKU"), "lst_price": "0.1"})
        paths = ("lst_price", "weight", "categ_id.key", "uom_id.key", "active", "taxes_id.key")
        before = (await one(side, VARIANT, key, *paths)).values
        assert before["lst_price"] == Decimal("0.1")
        values = {"lst_price": Decimal("0.30"), "weight": Decimal("1.25"), "taxes_id.key": []}
        [outcome] = await side.update(VARIANT, [change(key, values, {path: before[path] for path in values})])
        written(outcome)
        after = (await one(side, VARIANT, key, *paths)).values
        assert after == {**before, **values}


async def test_an_address_of_its_own_is_made_changed_and_archived(odoo: RealOdoo) -> None:
    street, kept, clear = f"{DELIVERY}.street", f"{DELIVERY}.id", f"{DELIVERY}.active"
    async with speaking(odoo) as side:
        [key] = await made(side, PARTNER, {"name": unique("Company"), "is_company": True, "street": "1 Root"})

        async def update(values: dict[str, Any], expect: dict[str, Any]) -> Any:
            [outcome] = await side.update(PARTNER, [change(key, values, expect)])
            return outcome, (await one(side, PARTNER, key, "street", street, kept)).values

        outcome, now = await update({street: "2 Delivery"}, {street: None})
        written(outcome)
        assert (now["street"], now[street]) == ("1 Root", "2 Delivery")
        child = now[kept]
        outcome, now = await update({street: "3 Delivery"}, {street: "2 Delivery"})
        written(outcome)
        assert (now["street"], now[street], now[kept]) == ("1 Root", "3 Delivery", child)
        outcome, now = await update({street: "4 Delivery"}, {street: "2 Delivery"})
        assert isinstance(outcome, Stale)
        assert now[street] == "3 Delivery"
        outcome, now = await update({clear: False}, {clear: None})
        written(outcome)
        assert (now[street], now[kept]) == (None, None)
        outcome, now = await update({street: "5 Delivery"}, {street: "3 Delivery"})
        assert isinstance(outcome, Stale)
        assert odoo.call(PARTNER, "read", ids=[child], fields=["active", "street"]) == [
            {"id": child, "active": False, "street": "3 Delivery"}
        ]


async def test_a_contact_never_changes_the_company_above_it(odoo: RealOdoo) -> None:
    async with speaking(odoo) as side:
        [company] = await made(side, PARTNER, {"name": unique("Above"), "is_company": True, "street": "1 Root"})
        [person] = await made(side, PARTNER, {"name": unique("Below"), "parent_id": company})
        [outcome] = await side.update(PARTNER, [change(person, {"street": "9 Elsewhere"}, {})])
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, InvalidRecord)
        assert "company" in outcome.error.hint
        [outcome] = await side.update(PARTNER, [change(person, {"function": "Boss"}, {"function": None})])
        written(outcome)
        assert (await one(side, PARTNER, company, "street")).values == {"street": "1 Root"}


async def test_a_field_that_is_not_there_halts(odoo: RealOdoo) -> None:
    async with speaking(odoo) as side:
        [key] = await made(side, PARTNER, {"name": unique("Drift")})
        [outcome] = await side.update(PARTNER, [change(key, {"no_such_field": 1}, {})])
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, SchemaDrift)


async def test_many_updates_take_few_calls(odoo: RealOdoo) -> None:
    async with speaking(odoo) as side:
        keys = await made(side, PARTNER, *({"name": unique("Many"), "city": "A"} for _ in range(60)))
        calls: list[str] = []
        side.wire.http._observe = lambda call: calls.append(call.path)
        outcomes = await side.update(PARTNER, [change(key, {"city": "B"}, {"city": "A"}) for key in keys])
        assert all(isinstance(outcome, Written) for outcome in outcomes)
        assert len(calls) <= 5, calls


async def test_a_lost_answer_to_an_update_is_unsure(odoo: RealOdoo) -> None:
    writes_only = Plan(
        rate=1.0, kinds=("drop_after_commit",), writes="/(write|run)", spare=r"^\S+ (?!\S*/(write|run)\b)"
    )
    proxy = FaultProxy(odoo.url, plan=writes_only)
    async with speaking(odoo) as side, proxy.running(), speaking(odoo, url=proxy.url) as lossy:
        [key] = await made(side, PARTNER, {"name": unique("Lost"), "city": "A"})
        [outcome] = await lossy.update(PARTNER, [change(key, {"city": "B"}, {"city": "A"})])
        assert isinstance(outcome, Unsure)
        assert (await one(side, PARTNER, key, "city")).values == {"city": "B"}
        [outcome] = await side.update(PARTNER, [change(key, {"city": "B"}, {"city": "A"})])
        assert isinstance(outcome, Stale)
