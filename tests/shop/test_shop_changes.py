"""Polling a shop misses nothing: late indexes, edits within one second, shipments and refunds inside orders."""

from __future__ import annotations

import pytest
from shop_visitor import Shopping, changed, number

from isthmus.sdk import Misconfigured

CARD = {"lines": [{"title": "Card", "price": "1"}]}


async def test_polling_begins_now_and_tells_each_change_once(shopping: Shopping) -> None:
    old = await shopping.do("checkout", **CARD)
    shop = shopping.connect(page_size=2)
    hints, cursor = await changed(shop, "order", None)
    assert hints == []
    fresh = [await shopping.do("checkout", **CARD) for _ in range(5)]
    hints, cursor = await changed(shop, "order", cursor)
    assert {number(one["id"]) for one in fresh} <= {hint.key for hint in hints}
    assert [hint.occurred_at for hint in hints] == sorted(hint.occurred_at for hint in hints if hint.occurred_at)
    again, cursor = await changed(shop, "order", cursor)
    assert again == []
    await shopping.do("cancel", order=old["name"])
    hints, _ = await changed(shop, "order", cursor)
    assert [hint.key for hint in hints] == [number(old["id"])]


async def test_an_edit_in_the_second_of_the_last_poll_is_told(shopping: Shopping) -> None:
    shop = shopping.connect()
    _, cursor = await changed(shop, "customer", None)
    told = await shopping.do("customer", firstName="Ada", email="ada@example.org")
    for name in ("Bea", "Cleo", "Dora"):
        hints, cursor = await changed(shop, "customer", cursor)
        assert [hint.key for hint in hints] == [number(told["id"])], name
        await shopping.do("customer", id=told["id"], firstName=name)
    hints, _ = await changed(shop, "customer", cursor)
    assert [hint.key for hint in hints] == [number(told["id"])]


async def test_what_the_search_learns_late_is_told_within_the_overlap(shopping: Shopping) -> None:
    shop = shopping.connect(poll_overlap=30)
    _, cursor = await changed(shop, "product", None)
    await shopping.door("PUT", "settings", {"index_lag": 600})
    late = await shopping.do("product", title="Late", sku="LATE", price="1")
    hints, cursor = await changed(shop, "product", cursor)
    assert hints == []
    await shopping.door("PUT", "settings", {"index_lag": 0})
    hints, _ = await changed(shop, "product", cursor)
    assert number(late["id"]) in {hint.key for hint in hints}


async def test_shipments_refunds_variants_and_stock_are_told(shopping: Shopping) -> None:
    placed = await shopping.do("checkout", lines=[{"sku": "MUG", "quantity": 2}])
    shop = shopping.connect()
    cursors = {
        name: (await changed(shop, name, None))[1] for name in ("fulfilment", "refund", "variant", "inventory_level")
    }
    sent = await shopping.do("fulfil", order=placed["name"])
    back = await shopping.do("refund", order=placed["name"], lines={"MUG": 1}, amount="19.99")
    await shopping.do("product", title="New", sku="NEW", price="1")
    told = {name: [hint.key for hint in (await changed(shop, name, cursor))[0]] for name, cursor in cursors.items()}
    assert told["fulfilment"] == [number(sent["id"])]
    assert told["refund"] == [number(back["id"])]
    assert len(told["variant"]) >= 1
    assert all("/" in key for key in told["inventory_level"])
    assert len(told["inventory_level"]) >= 2


async def test_a_cursor_that_is_none_of_ours_halts(shopping: Shopping) -> None:
    shop = shopping.connect()
    with pytest.raises(Misconfigured, match="none of ours"):
        await changed(shop, "order", "yesterday")
