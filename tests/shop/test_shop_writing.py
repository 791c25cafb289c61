"""What is written to a shop arrives exactly once, also when the reply is lost; a bad record stops no good one."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from shop_visitor import Shopping, change, keys, made, new, number, read

from isthmus.sdk import (
    Act,
    ByExternalKeys,
    ByKeys,
    ByValues,
    Done,
    Everything,
    Failed,
    Gone,
    InvalidRecord,
    NotDone,
    RefusedByTarget,
    Stale,
    Unsure,
    Written,
)

MUGS = [{"sku": "MUG", "quantity": 2}]
LOST = ["drop_after_commit", "truncate"]


async def order(shopping: Shopping, **more: Any) -> str:
    """The key of an order of four mugs and two caps, paid."""
    lines = [{"sku": "MUG", "quantity": 4}, {"sku": "CAP", "quantity": 2}]
    return number((await shopping.do("checkout", **{"lines": lines, "email": "ada@example.org", **more}))["id"])


async def shown(shop: Any, key: str, *paths: str) -> dict[str, Any]:
    """Values of an order."""
    [found] = await read(shop, "order", ByKeys([key]), *paths)
    return dict(found.values)


async def test_customers_are_made_and_the_bad_one_stops_none(shopping: Shopping) -> None:
    shop = shopping.connect()
    items = [
        new("c1", firstName="Ada", email="ada@example.org", defaultAddress={"city": "Ulm", "countryCode": "DE"}),
        new("c2", email="not an address"),
        new("c3", firstName="Bea", phone="+49 731 12345"),
        new("c4", firstName="Eve", email="ADA@example.org"),
        new("c5", firstName="Ida", defaultAddress={"countryCode": "Atlantis"}),
        new("c6", firstName="Joe", numberOfOrders=3),
    ]
    outcomes = await shop.create("customer", items)
    kinds = [type(one) for one in outcomes]
    assert kinds == [Written, Failed, Written, Failed, Failed, Failed]
    said = [str(one.error) for one in outcomes if isinstance(one, Failed)]
    assert "Email is invalid" in said[0]
    assert "already been taken" in said[1]
    assert "Atlantis" in said[2]
    assert "numberOfOrders cannot be written" in said[3]
    found = await read(shop, "customer", ByExternalKeys(["c1", "c2", "c3"]), "phone", "defaultAddress.city")
    assert [one.external_key for one in found] == ["c1", "c3"]
    assert found[0].values["defaultAddress.city"] == "Ulm"
    assert found[1].values["phone"] == "+4973112345"


async def test_an_edit_in_between_is_not_overwritten(shopping: Shopping) -> None:
    shop = shopping.connect()
    written = await made(shop, "customer", "c1", firstName="Ada", email="a@example.org", defaultAddress={"city": "Ulm"})
    await shopping.do("customer", id=written.key, firstName="Edited")
    late = change(written.key, {"firstName": "Ours"}, {"firstName": "Ada"})
    fine = change(
        written.key, {"defaultAddress.city": "Bonn", "note": "x"}, {"defaultAddress.city": "Ulm", "note": None}
    )
    gone = change("77", {"firstName": "x"}, {"firstName": "y"})
    outcomes = await shop.update("customer", [late, fine, gone])
    assert outcomes[0] == Stale(key=written.key)
    assert isinstance(outcomes[1], Written)
    assert outcomes[2] == Gone(key="77")
    [found] = await read(shop, "customer", ByKeys([written.key]), "firstName", "note", "defaultAddress", "email")
    assert (found.values["firstName"], found.values["note"]) == ("Edited", "x")
    assert found.values["defaultAddress"]["city"] == "Bonn"
    assert found.values["email"] == "a@example.org"


async def test_variants_are_added_and_changed_one_by_one(shopping: Shopping) -> None:
    shop = shopping.connect()
    sizes = [{"sku": "T-S", "price": Decimal("9.99"), "selectedOptions": [{"name": "Size", "value": "S"}]}]
    shirt = await made(shop, "product", "p1", title="Shirt", variants=sizes, tags=["new", "cotton"])
    large = new(
        "v1", product=shirt.key, sku="T-L", price=Decimal("10.99"), selectedOptions=[{"name": "Size", "value": "L"}]
    )
    twice = new("v2", product=shirt.key, sku="T-X", price=Decimal(1), selectedOptions=[{"name": "Size", "value": "S"}])
    other = new(
        "v3", product=shirt.key, sku="T-Y", price=Decimal(1), selectedOptions=[{"name": "Cut", "value": "slim"}]
    )
    lost = new("v4", product="99", sku="T-Z", price=Decimal(1))
    outcomes = await shop.create("variant", [twice, large, other, lost])
    assert [type(one) for one in outcomes] == [Failed, Written, Failed, Failed]
    assert "already exists" in str(outcomes[0].error)  # type: ignore[union-attr]  # seen above
    assert "Option does not exist" in str(outcomes[2].error)  # type: ignore[union-attr]  # seen above
    [product] = await read(shop, "product", ByKeys([shirt.key]), "variants", "options", "tags")
    assert [one["sku"] for one in product.values["variants"]] == ["T-S", "T-L"]
    assert product.values["options"] == [{"name": "Size", "values": ["S", "L"]}]
    assert product.values["tags"] == ["cotton", "new"]
    key = outcomes[1].key  # type: ignore[union-attr]  # seen above
    [done] = await shop.update("variant", [change(key, {"price": Decimal("12.00")}, {"price": Decimal("10.99")})])
    assert isinstance(done, Written)
    [refused] = await shop.update("product", [change(shirt.key, {"variants": []})])
    assert isinstance(refused, Failed)
    assert "one by one" in str(refused.error)
    [found] = await read(shop, "variant", ByKeys([key]), "price")
    assert found.values["price"] == Decimal(12)


async def test_stock_is_set_only_where_it_still_is_as_read(shopping: Shopping) -> None:
    shop = shopping.connect()
    levels = {one.values["sku"]: one for one in await read(shop, "inventory_level", Everything(), "sku", "available")}
    mug, cap = levels["MUG"], levels["CAP"]
    await shopping.do("checkout", lines=[{"sku": "CAP"}])
    outcomes = await shop.update(
        "inventory_level",
        [
            change(mug.key, {"available": 8}, {"available": 10}),
            change(cap.key, {"available": 5}, {"available": 2}),
            change("1/2", {"available": 5}),
            change(mug.key, {"available": Decimal("1.5")}, idem="half"),
            change(mug.key, {"committed": 4}, idem="other"),
        ],
    )
    assert [type(one) for one in outcomes] == [Written, Stale, Gone, Failed, Failed]
    found = await read(shop, "inventory_level", ByKeys([mug.key, cap.key]), "available")
    assert [one.values["available"] for one in found] == [8, 1]
    again = await shop.update("inventory_level", [change(mug.key, {"available": 8}, {"available": 10})])
    assert [type(one) for one in again] == [Written]


async def test_a_part_is_shipped_with_tracking_and_the_rest_stays_open(shopping: Shopping) -> None:
    key, shop = await order(shopping), shopping.connect()
    tracked = [{"company": "DHL", "number": "JD1", "url": "https://dhl.example.org/JD1"}]
    part = await made(shop, "fulfilment", "f1", order=key, lines=MUGS, trackingInfo=tracked)
    told = await shown(shop, key, "displayFulfillmentStatus", "fulfillments", "fulfillmentOrders", "lineItems")
    assert told["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    assert told["fulfillments"][0]["trackingInfo"] == tracked
    assert {row["sku"]: row["remainingQuantity"] for row in told["fulfillmentOrders"][0]["lineItems"]} == {
        "MUG": 2,
        "CAP": 2,
    }
    [sent] = await read(shop, "fulfilment", ByExternalKeys(["f1"]), "order", "lines", "trackingInfo", "status")
    assert (sent.key, sent.external_key, sent.values["order"]) == (part.key, "f1", key)
    assert [(row["sku"], row["quantity"]) for row in sent.values["lines"]] == [("MUG", 2)]
    [level] = await read(shop, "inventory_level", ByValues("sku", ["MUG"]), "on_hand", "available", "committed")
    assert level.values == {"on_hand": 8, "available": 6, "committed": 2}
    rest = await made(shop, "fulfilment", "f2", order=key)
    told = await shown(shop, key, "displayFulfillmentStatus", "fulfillments")
    assert told["displayFulfillmentStatus"] == "FULFILLED"
    assert [number(one["id"]) for one in told["fulfillments"]] == [part.key, rest.key]


async def test_too_much_unknown_or_nothing_to_ship_is_refused_in_plain_words(shopping: Shopping) -> None:
    key, shop = await order(shopping), shopping.connect()
    outcomes = await shop.create(
        "fulfilment",
        [
            new("f1", order=key, lines=[{"sku": "MUG", "quantity": 5}]),
            new("f2", order=key, lines=[{"sku": "MUG", "quantity": 1}]),
            new("f3", order=key, lines=[{"sku": "HAT", "quantity": 1}]),
            new("f4", order="12345", lines=MUGS),
            new("f5", order=None),
            new("f6", order=key, lines=[{"sku": "MUG", "quantity": 0}]),
            new("f7", order=key, lines=[{"sku": "MUG", "quantity": 3}]),
            new("f8", order=key, lines=[{"sku": "CAP", "quantity": 2}]),
            new("f9", order=key),
        ],
    )
    kinds = [type(one) for one in outcomes]
    assert kinds == [Failed, Written, Failed, Failed, Failed, Failed, Written, Written, Failed]
    said = {number: str(one.error) for number, one in enumerate(outcomes) if isinstance(one, Failed)}
    assert "has not that much left to ship" in said[0]
    assert "'MUG': 4" in said[0]
    assert "no order 12345" in said[3]
    assert "must be the key of an order" in said[4]
    assert "above nought" in said[5]
    assert "nothing of order #1001 is open" in said[8]
    assert isinstance(outcomes[5].error, InvalidRecord)  # type: ignore[union-attr]  # seen above


async def test_tracking_is_changed_and_a_shipment_taken_back(shopping: Shopping) -> None:
    key, shop = await order(shopping), shopping.connect()
    sent = await made(shop, "fulfilment", "f1", order=key, lines=MUGS)
    tracked = [{"company": "UPS", "number": "1Z", "url": None}]
    [done] = await shop.update("fulfilment", [change(sent.key, {"trackingInfo": tracked}, {"trackingInfo": []})])
    assert isinstance(done, Written)
    [stale] = await shop.update("fulfilment", [change(sent.key, {"trackingInfo": []}, {"trackingInfo": []})])
    assert stale == Stale(key=sent.key)
    for _ in range(2):
        [back] = await shop.update("fulfilment", [change(sent.key, {"status": "CANCELLED"})])
        assert isinstance(back, Written)
    [odd] = await shop.update("fulfilment", [change(sent.key, {"status": "OPEN"})])
    assert isinstance(odd, Failed)
    told = await shown(shop, key, "displayFulfillmentStatus", "fulfillments")
    assert (told["displayFulfillmentStatus"], told["fulfillments"][0]["status"]) == ("UNFULFILLED", "CANCELLED")
    assert await shop.update("fulfilment", [change("7", {"status": "CANCELLED"})]) == [Gone(key="7")]


async def test_a_refund_gives_back_lines_shipping_and_money(shopping: Shopping) -> None:
    key = await order(shopping, shipping=[{"title": "Post", "price": "5.00"}], taxes=[{"title": "VAT", "rate": "0.1"}])
    shop = shopping.connect()
    lines = [{"sku": "MUG", "quantity": 1, "restockType": "RETURN"}]
    shipping = [{"subtotalAmountSet": {"shopMoney": {"amount": Decimal("5.00")}}}]
    back = await made(
        shop, "refund", "r1", order=key, note="broken", lines=lines, shipping=shipping, amount=Decimal("27.49")
    )
    [found] = await read(
        shop, "refund", ByExternalKeys(["r1"]), "order", "note", "lines", "shipping", "amount", "transactions"
    )
    assert (found.key, found.values["order"], found.values["note"]) == (back.key, key, "broken")
    assert found.values["amount"] == Decimal("27.49")
    [line] = found.values["lines"]
    assert line["subtotalSet"]["shopMoney"]["amount"] == Decimal("19.99")
    assert line["totalTaxSet"]["shopMoney"]["amount"] == Decimal("2.00")
    assert found.values["shipping"][0]["taxAmountSet"]["shopMoney"]["amount"] == Decimal("0.50")
    assert found.values["transactions"][0]["parentTransaction"] is not None
    told = await shown(shop, key, "displayFinancialStatus", "totalRefundedSet.shopMoney.amount", "lineItems")
    assert told["displayFinancialStatus"] == "PARTIALLY_REFUNDED"
    assert told["totalRefundedSet.shopMoney.amount"] == Decimal("27.49")
    assert told["lineItems"][0]["refundableQuantity"] == 3
    outcomes = await shop.create(
        "refund",
        [
            new("r2", order=key, amount=Decimal("9999.00")),
            new("r3", order=key, lines=[{"sku": "MUG", "quantity": 4}]),
            new("r4", order=key, note="nothing"),
            new("r5", order=key, amount=1.5),
        ],
    )
    assert [type(one) for one in outcomes] == [Failed] * 4
    assert "left to be refunded" in str(outcomes[0].error)  # type: ignore[union-attr]  # seen above
    assert "more items than were purchased" in str(outcomes[1].error)  # type: ignore[union-attr]  # seen above
    [refused] = await shop.update("refund", [change(back.key, {"note": "x"})])
    assert isinstance(refused, Failed)


async def test_a_foreign_order_is_refunded_in_the_shoppers_currency(shopping: Shopping) -> None:
    key, shop = await order(shopping, currency="EUR", rate="0.9"), shopping.connect()
    [refused] = await shop.create("refund", [new("r1", order=key, amount=Decimal(9))])
    assert isinstance(refused, Failed)
    assert "shopper's currency" in str(refused.error)
    await made(shop, "refund", "r2", order=key, presentmentAmount=Decimal("9.00"))
    [found] = await read(shop, "refund", ByExternalKeys(["r2"]), "totalRefundedSet")
    assert found.values["totalRefundedSet"]["presentmentMoney"] == {"amount": Decimal(9), "currencyCode": "EUR"}
    assert found.values["totalRefundedSet"]["shopMoney"] == {"amount": Decimal(10), "currencyCode": "USD"}


async def test_note_tags_and_address_of_an_order_are_edited(shopping: Shopping) -> None:
    key = await order(
        shopping, shipping_address={"address1": "Street 1", "city": "Ulm", "countryCode": "DE"}, tags=["web"]
    )
    shop = shopping.connect()
    values = {"note": "call first", "tags": ["web", "exported"], "shippingAddress.city": "Bonn", "poNumber": "PO7"}
    [done] = await shop.update("order", [change(key, values, {"note": None, "tags": ["web"]})])
    assert isinstance(done, Written)
    told = await shown(shop, key, "note", "tags", "shippingAddress", "poNumber")
    assert (told["note"], told["tags"], told["poNumber"]) == ("call first", ["exported", "web"], "PO7")
    assert (told["shippingAddress"]["city"], told["shippingAddress"]["address1"]) == ("Bonn", "Street 1")
    [refused, stale] = await shop.update(
        "order", [change(key, {"totalPriceSet": 1}), change(key, {"note": "x"}, {"note": "old"})]
    )
    assert isinstance(refused, Failed)
    assert stale == Stale(key=key)
    [unmade] = await shop.create("order", [new("o1", note="x")])
    assert isinstance(unmade, Failed)


async def test_an_order_is_cancelled_once_and_never_with_goods_under_way(shopping: Shopping) -> None:
    open_order, sent_order, shop = (
        await order(shopping),
        await order(shopping, lines=[{"sku": "MUG"}]),
        shopping.connect(),
    )
    await made(shop, "fulfilment", "f1", order=sent_order)
    acts = [
        Act(key="a1", input={"order": open_order, "reason": "INVENTORY", "refund": True}),
        Act(key="a2", input={"order": sent_order}),
        Act(key="a3", input={"order": "77"}),
        Act(key="a4", input={"order": open_order, "reason": "BORED"}),
    ]
    before = await shop.verify("cancel_order", acts)
    assert [type(one) for one in before] == [NotDone] * 4
    done = await shop.perform("cancel_order", acts)
    assert [type(one) for one in done] == [Done, Failed, Failed, Failed]
    again = await shop.perform("cancel_order", acts[:1])
    assert isinstance(again[0], Done)
    assert again[0].repeated
    told = await shown(shop, open_order, "cancelReason", "displayFinancialStatus", "closed")
    assert told == {"cancelReason": "INVENTORY", "displayFinancialStatus": "REFUNDED", "closed": True}
    [level] = await read(shop, "inventory_level", ByValues("sku", ["CAP"]), "available", "committed")
    assert level.values == {"available": 2, "committed": 0}


@pytest.mark.parametrize("kind", LOST)
async def test_a_lost_reply_never_makes_two_customers_products_or_variants(shopping: Shopping, kind: str) -> None:
    shop = shopping.connect()
    warm = await made(
        shop,
        "product",
        "warm",
        title="Warm",
        variants=[{"price": "1", "selectedOptions": [{"name": "A", "value": "x"}]}],
    )
    await made(shop, "customer", "warm", firstName="Warm")
    await made(
        shop, "variant", "warm", product=warm.key, price=Decimal(1), selectedOptions=[{"name": "A", "value": "y"}]
    )
    given: dict[str, tuple[str, dict[str, Any]]] = {
        "customer": ("Customer", {"firstName": "Ada"}),
        "product": ("Product", {"title": "Book"}),
        "variant": (
            "ProductVariant",
            {"product": warm.key, "price": "2", "selectedOptions": [{"name": "A", "value": "z"}]},
        ),
    }
    for entity, (name, values) in given.items():
        before = await shopping.count(name)
        await shopping.fault(kind, method="mutation")
        [lost] = await shop.create(entity, [new("k1", **values)])
        assert isinstance(lost, Unsure), lost
        [found] = await read(shop, entity, ByExternalKeys(["k1"]))
        [again] = await shop.create(entity, [new("k1", **values)])
        assert again.key == found.key  # type: ignore[union-attr]  # a Written
        assert again.created is False  # type: ignore[union-attr]  # a Written
        assert await shopping.count(name) == before + 1


@pytest.mark.parametrize("kind", LOST)
async def test_a_lost_reply_never_ships_or_refunds_twice(shopping: Shopping, kind: str) -> None:
    key, shop = await order(shopping), shopping.connect()
    ship = new("f1", order=key, lines=MUGS, trackingInfo=[{"company": "DHL", "number": "1", "url": None}])
    back = new("r1", order=key, amount=Decimal("1.00"), note="sorry")
    for entity, item, name in (("fulfilment", ship, "Fulfillment"), ("refund", back, "Refund")):
        await shopping.fault(kind, match="fulfillmentCreate" if entity == "fulfilment" else "refundCreate")
        [lost] = await shop.create(entity, [item])
        assert isinstance(lost, Unsure)
        assert await shopping.count(name) == 1
        [found] = await read(shop, entity, ByExternalKeys([item.external_key]))
        [again] = await shop.create(entity, [item])
        assert again == Written(key=found.key, created=False)
        assert await shopping.count(name) == 1
    # The same once more on purpose is another record under another key.
    twin = new("f2", order=key, lines=MUGS, trackingInfo=[{"company": "DHL", "number": "1", "url": None}])
    [second] = await shop.create("fulfilment", [twin])
    assert isinstance(second, Written)
    assert await shopping.count("Fulfillment") == 2
    found = await read(shop, "fulfilment", ByExternalKeys(["f1", "f2"]))
    assert len(set(keys(found))) == 2


async def test_a_write_that_never_arrived_is_made_when_it_is_sent_again(shopping: Shopping) -> None:
    key, shop = await order(shopping), shopping.connect()
    await shopping.fault("status", match="fulfillmentCreate", status=502)
    [lost] = await shop.create("fulfilment", [new("f1", order=key, lines=MUGS)])
    assert isinstance(lost, Unsure)
    assert await read(shop, "fulfilment", ByExternalKeys(["f1"])) == []
    await made(shop, "fulfilment", "f1", order=key, lines=MUGS)
    assert await shopping.count("Fulfillment") == 1


async def test_a_lost_reply_sets_stock_once_and_cancels_once(shopping: Shopping) -> None:
    key, shop = await order(shopping), shopping.connect()
    [level] = await read(shop, "inventory_level", ByValues("sku", ["MUG"]), "available")
    await shopping.fault("drop_after_commit", match="inventorySetQuantities")
    item = change(level.key, {"available": 3}, {"available": 6})
    [lost] = await shop.update("inventory_level", [item])
    assert isinstance(lost, Unsure)
    [again] = await shop.update("inventory_level", [item])
    assert isinstance(again, Written)
    await shopping.fault("drop_after_commit", match="orderCancel")
    [done] = await shop.perform("cancel_order", [Act(key="a", input={"order": key})])
    assert isinstance(done, Done)
    assert (await shopping.calls())["orderCancel"] == 1
    [level] = await read(shop, "inventory_level", ByKeys([level.key]), "available")
    assert level.values["available"] == 7


async def test_two_channels_race_for_the_last_unit_and_one_gets_it(shopping: Shopping) -> None:
    await shopping.do("stock", sku="CAP", available=1)
    told = {"lines": [{"sku": "CAP"}]}

    async def buy() -> int:
        headers = {"Authorization": f"Bearer {shopping.up.settings.admin_key}"}
        async with shopping.session.post(f"{shopping.up.url}/sandbox/checkout", json=told, headers=headers) as answer:
            return answer.status

    assert sorted(await asyncio.gather(buy(), buy())) == [200, 409]
    assert await shopping.count("Order") == 1


async def test_a_document_that_one_record_spoils_is_sent_again_without_it(shopping: Shopping) -> None:
    shop = shopping.connect()
    items = [new(f"c{n}", firstName=f"Name {n}") for n in range(4)]
    items[2] = new("c2", firstName="Bad", defaultAddress={"countryCode": "XX-no-country"})
    outcomes = await shop.create("customer", items)
    assert [type(one) for one in outcomes] == [Written, Written, Failed, Written]
    assert isinstance(outcomes[2].error, RefusedByTarget)  # type: ignore[union-attr]  # seen above
    assert await shopping.count("Customer") == 3
