"""The guarded write on a real Odoo: compares, writes and tells per item, in one call by the integration user."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from installing import administrator, connected, one, partners

from isthmus.connectors.odoo import actions
from isthmus.connectors.odoo.guarded import GUARDED_WRITE
from isthmus.connectors.odoo.guarded_call import GuardedAnswer, GuardedItem, find_action, guarded_write
from real_odoo import OdooRefused, RealOdoo

pytestmark = pytest.mark.odoo
PARTNER = "res.partner"


@pytest.fixture(scope="module")
def guarded(real_odoo: RealOdoo) -> Iterator[RealOdoo]:
    """An Odoo in which an administrator installed the guarded write."""

    async def install(wanted: bool) -> None:
        async with connected(real_odoo) as wire:
            admin = administrator(wire, real_odoo)
            await (actions.install if wanted else actions.remove)(admin, GUARDED_WRITE)

    asyncio.run(install(True))
    yield real_odoo
    asyncio.run(install(False))


async def write(odoo: RealOdoo, *items: GuardedItem, model: str = PARTNER, **more: Any) -> list[GuardedAnswer]:
    async with connected(odoo, **more) as wire:
        action = await find_action(wire)
        assert action is not None
        return await guarded_write(wire, action, model, items, doing="writing in a test")


def item(key: int, expect: dict[str, Any], **values: Any) -> GuardedItem:
    return GuardedItem(id=key, expect=expect, values=values)


@pytest.mark.parametrize("protocol", ["json2", "jsonrpc", "xmlrpc"])
async def test_every_item_gets_its_own_outcome_over_every_protocol(guarded: RealOdoo, protocol: str) -> None:
    good, moved, faulty = partners(guarded, "Good", "Moved", "Faulty", email="a@b.example")
    answers = await write(
        guarded,
        item(good, {"name": "Good", "email": "a@b.example"}, city="Here"),
        item(moved, {"name": "Moved", "email": "old@b.example"}, city="Here"),
        item(999_999_999, {"name": "Nobody"}, city="Here"),
        item(faulty, {"name": "Faulty"}, country_id=999_999_999),
        protocol=protocol,
    )
    assert [a.outcome for a in answers] == ["ok", "changed", "gone", "refused"]
    assert answers[1].current == {"name": "Moved", "email": "a@b.example"}
    assert answers[3].name == "MissingError"
    assert [one(guarded, p, "city")["city"] for p in (good, moved, faulty)] == ["Here", False, False]


async def test_a_bad_item_stops_no_good_one_of_the_same_savepoint(guarded: RealOdoo) -> None:
    keys = partners(guarded, *(f"Many {n}" for n in range(30)))
    answers = await write(
        guarded, *(item(key, {}, **({"name": False} if n == 7 else {"city": f"C{n}"})) for n, key in enumerate(keys))
    )
    assert [n for n, a in enumerate(answers) if a.outcome != "ok"] == [7]
    assert "check constraint" in answers[7].message
    assert "Failing row" not in answers[7].message, "the record's own values do not belong into a message"
    assert one(guarded, keys[8], "city")["city"] == "C8"


async def test_raw_values_of_every_type_compare_as_they_were_read(guarded: RealOdoo) -> None:
    (tag,) = guarded.call("res.partner.category", "create", vals_list=[{"name": "Guarded"}], with_key=guarded.admin_key)
    key = guarded.call(
        PARTNER,
        "create",
        vals_list=[
            {
                "name": "Typed",
                "comment": "<p>Note</p>",
                "category_id": [[6, 0, [tag]]],
                "country_id": 233,
                "credit_limit": 12.35,
                "partner_latitude": 1.2345678,
                "is_company": True,
                "child_ids": [[0, 0, {"name": "Child", "type": "delivery"}]],
            }
        ],
    )[0]
    names = ["comment", "category_id", "country_id", "credit_limit", "partner_latitude", "is_company", "child_ids"]
    names += ["write_date", "email", "state_id", "color", "image_128"]
    for load in ("", "_classic_read"):
        (read,) = guarded.call(PARTNER, "read", ids=[key], fields=names, load=load)
        (answer,) = await write(guarded, item(key, {n: read[n] for n in names}, ref=f"load {load}"))
        assert answer.outcome == "ok", answer
    stale = {"credit_limit": 12.36, "category_id": [], "country_id": 75, "comment": "<p>Other</p>", "color": 4}
    for name, value in stale.items():
        (answer,) = await write(guarded, item(key, {name: value}, ref="never"))
        assert (name, answer.outcome) == (name, "changed")


async def test_a_product_with_dates_and_digits_compares_too(guarded: RealOdoo) -> None:
    made = guarded.call("product.product", "create", vals_list=[{"name": "Guarded", "list_price": 9.99, "weight": 0.1}])
    (read,) = guarded.call("product.product", "read", ids=made, fields=["list_price", "weight", "create_date"])
    expect = {n: read[n] for n in ("list_price", "weight", "create_date")}
    (answer,) = await write(guarded, item(made[0], expect, weight=0.25), model="product.product")
    assert answer.outcome == "ok"
    (answer,) = await write(guarded, item(made[0], expect, weight=0.5), model="product.product")
    assert answer.outcome == "changed"
    assert answer.current["weight"] == pytest.approx(0.25)


async def test_of_two_writers_with_one_expectation_exactly_one_writes(guarded: RealOdoo) -> None:
    (key,) = partners(guarded, "Contested", city="0")
    for turn in range(2):
        both = await asyncio.gather(
            *(write(guarded, item(key, {"city": str(turn)}, city=str(turn + 1), ref=who)) for who in ("a", "b"))
        )
        assert sorted(answer.outcome for (answer,) in both) == ["changed", "ok"]


async def test_a_plain_edit_in_between_is_never_overwritten(guarded: RealOdoo) -> None:
    keys = partners(guarded, *(f"Edited {n}" for n in range(60)), city="before")

    def people() -> None:
        for key in keys[::2]:
            guarded.call(PARTNER, "write", ids=[key], vals={"city": "by a person"}, with_key=guarded.admin_key)

    with ThreadPoolExecutor(1) as pool:
        editing = pool.submit(people)
        answers = await write(guarded, *(item(key, {"city": "before"}, city="by us") for key in keys))
        await asyncio.to_thread(editing.result)
    for key, answer in zip(keys[::2], answers[::2], strict=True):
        assert answer.outcome in ("ok", "changed")
        assert one(guarded, key, "city")["city"] == "by a person"
    assert {answer.outcome for answer in answers[1::2]} == {"ok"}


async def test_the_caller_s_own_rights_decide(guarded: RealOdoo) -> None:
    (key,) = partners(guarded, "Not for everyone")
    (answer,) = await write(guarded, item(key, {"name": "Not for everyone"}, city="no"), api_key=guarded.low_key)
    assert (answer.outcome, answer.name) == ("refused", "AccessError")
    assert one(guarded, key, "city")["city"] is False


async def test_installing_twice_keeps_one_and_repairs_what_was_changed(guarded: RealOdoo) -> None:
    async with connected(guarded) as wire:
        admin = administrator(wire, guarded)
        found = await actions.find(wire, GUARDED_WRITE)
        assert found is not None
        assert found.version == GUARDED_WRITE.version
        assert await actions.install(admin, GUARDED_WRITE) is False
        spoilt = {"name": "Somebody renamed it", "code": f"{GUARDED_WRITE.marker}\naction = None"}
        guarded.call(actions.ACTIONS, "write", ids=[found.id], vals=spoilt, with_key=guarded.admin_key)
        guarded.call(actions.ACTIONS, "copy", ids=[found.id], with_key=guarded.admin_key)
        assert await actions.find(wire, GUARDED_WRITE) is None
        assert await actions.install(admin, GUARDED_WRITE) is True
        assert await actions.find(wire, GUARDED_WRITE) == found
        assert await actions.remove(admin, GUARDED_WRITE) == 1
        assert await actions.find(wire, GUARDED_WRITE) is None
        assert await actions.install(admin, GUARDED_WRITE) is True


def test_the_integration_user_may_run_it_but_not_see_or_change_it(guarded: RealOdoo) -> None:
    for method, told in (("search", {"domain": []}), ("create", {"vals_list": [{"name": "x"}]})):
        with pytest.raises(OdooRefused, match="403"):
            guarded.call(actions.ACTIONS, method, **told)
