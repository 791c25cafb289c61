"""Orders of a shop become orders of BNG and follow them; shipments go back: each once, whatever happens in between."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from shop_world import ShopWorld, shop_world

from joined import Systems

HERE = Path(__file__).parent
MUGS = {"sku": "MUG", "quantity": 2}
CAP = {"sku": "CAP"}


@pytest.fixture
async def world(home: Any, systems: Systems) -> AsyncIterator[ShopWorld]:
    async with shop_world(systems) as made:
        yield made


async def test_an_order_of_the_shop_is_placed_at_bng_to_the_cent(world: ShopWorld) -> None:
    plain = await world.checkout(
        MUGS | {"discount": {"value": "10"}}, CAP, shipping=[{"title": "Post", "price": "4.90"}],
        taxes=[{"title": "State", "rate": "0.0725"}, {"title": "City", "rate": "0.01"}], note="By the door",
        discounts=[{"kind": "fixed_amount", "value": "3.33", "code": "HELLO"}],
    )  # fmt: skip
    inside = await world.checkout(
        MUGS, shipping=[{"title": "Post", "price": "4.90"}], taxes=[{"title": "VAT", "rate": "0.19"}],
        taxes_included=True, currency="EUR", rate="0.9", payment="authorize", email="Eve@Example.org",
    )  # fmt: skip
    later = await world.checkout(CAP, payment="pending", email="ADA@example.org")
    await world.work()
    assert world.held() == []
    first, second, third = [await world.order_of(key) for key in (plain, inside, later)]
    for key, order in ((plain, first), (inside, second), (later, third)):
        shop = await world.in_shop("Order", key)
        total = shop["currentTotalPriceSet"]["presentmentMoney"]
        assert (Decimal(order["TotalAmount"]), order["CurrencyCode"]) == (
            Decimal(total["amount"]),
            total["currencyCode"],
        )
        assert order["OrderNumber"] == shop["name"]
    assert [line["DiscountAmount"] for line in first["LineItems"]] != [None, None]
    assert [(line["LineNumber"], line["SKU"], line["TaxCode"]) for line in first["LineItems"]] == [
        (1, "MUG", "7.25%+1%"), (2, "CAP", "7.25%+1%"),
    ]  # fmt: skip
    assert (first["ShippingTotal"], first["ShippingMethod"], first["Notes"]) == ("4.90", "Post", "By the door")
    assert (first["Status"], first["PaymentStatus"]) == ("Confirmed", "Paid")
    assert first["ShippingAddress"]["Line1"] == "Kaai 7"
    [line] = second["LineItems"]
    assert (line["TaxIncluded"], line["TaxCode"], line["UnitPrice"]) == (True, "19%", "17.9900")
    assert second["PaymentStatus"] == "Authorized"
    assert abs(Decimal(second["ExchangeRate"]) - Decimal("0.9")) < Decimal("0.001")
    assert (third["Status"], third["PaymentStatus"]) == ("Open", "Unpaid")
    [ada] = await world.at_bng("customer", Email="ada@example.org")
    assert (ada["FirstName"], ada["LastName"]) == ("Ada", "Byron")
    assert first["CustomerID"] == third["CustomerID"] == ada["CustomerID"] != second["CustomerID"]
    paid = first["CustomFields"]
    assert (paid["shop_gateway"], paid["shop_payment"], paid["shop_authorization"][:5]) == ("bogus", "#1001.1", "auth-")


async def test_an_edit_follows_while_the_order_is_open_and_a_cancellation_too(world: ShopWorld) -> None:
    key = await world.checkout(MUGS, CAP, payment="authorize")
    gone = await world.checkout(MUGS)
    late = await world.checkout(MUGS)
    never = await world.checkout(CAP)
    await world.shopping.do("cancel", order=never)
    await world.work()
    placed = await world.order_of(key)
    version = placed["Version"]
    await world.work(1)
    assert (await world.order_of(key))["Version"] == version
    await world.edit("sales_order", placed["SalesOrderID"], Status="OnHold", PromisedDate="2026-12-24")
    await world.edit("sales_order", (await world.order_of(late))["SalesOrderID"], Status="Fulfilling")
    await world.shopping.do("edit", order=key, quantities={"MUG": 3, "CAP": 0}, add=[{"sku": "MUG", "quantity": 1}])
    await world.shopping.do("capture", order=key)
    await world.shopping.do("cancel", order=gone)
    await world.shopping.do("edit", order=late, quantities={"MUG": 1})
    await world.work()
    order = await world.order_of(key)
    assert [(line["LineNumber"], line["SKU"], line["Quantity"]) for line in order["LineItems"]] == [
        (1, "MUG", "3.0000"), (3, "MUG", "1.0000"),
    ]  # fmt: skip
    assert order["LineItems"][0]["LineItemID"] == placed["LineItems"][0]["LineItemID"]
    assert (order["TotalAmount"], order["Status"], order["PaymentStatus"]) == ("79.96", "OnHold", "Partial")
    assert order["PromisedDate"] == "2026-12-24"
    assert (await world.order_of(gone))["Status"] == "Cancelled"
    numbers = [one["OrderNumber"] for one in await world.at_bng("sales_order")]
    assert sorted(numbers) == ["#1001", "#1002", "#1003"]
    [(node, held, said)] = world.held()
    assert (node, held) == ("unchanged", late)
    assert "edited in the shop after it had begun to ship" in said


async def test_an_order_with_an_unknown_product_is_held_and_goes_on_once_there_is_one(world: ShopWorld) -> None:
    await world.shopping.do("product", title="Lamp", sku="LAMP", price="30.00", available=5)
    key = await world.checkout(MUGS, {"sku": "LAMP"})
    other = await world.checkout({"sku": "LAMP"})
    bare = await world.checkout({"title": "Engraving", "price": "5.00"})
    card = await world.checkout(CAP, note="My card is 4111 1111 1111 1111, take it")
    await world.work()
    told = world.held()
    assert {(node, of) for node, of, _ in told if node == "product"} == {("product", "LAMP")}
    assert len(told) == 3
    assert all("BNG has no product with this SKU" in said for node, _, said in told if node == "product")
    assert {of for node, of, _ in told if node == "named"} == {bare}
    assert await world.at_bng("sales_order", OrderNumber="#1001") == []
    await world.shopping.do("edit", order=key, quantities={"MUG": 1})
    await world.product("LAMP")
    await world.work(3)
    assert {of for _, of, _ in world.held()} == {bare}
    order = await world.order_of(key)
    assert [(line["SKU"], line["Quantity"]) for line in order["LineItems"]] == [("MUG", "1.0000"), ("LAMP", "1.0000")]
    assert (await world.order_of(other))["TotalAmount"] == "30.00"
    assert (await world.order_of(card))["Notes"] == "My card is 411111******1111, take it"
    whole = world.rows("select data::text from run_item union all select input::text from run_step")
    assert not any("4111 1111 1111 1111" in text for (text,) in whole)


async def test_events_twice_or_out_of_order_and_lost_answers_place_one_order(world: ShopWorld) -> None:
    keys = [await world.checkout(MUGS), await world.checkout(CAP), await world.checkout(MUGS)]
    await world.lose("/customers", 1)
    await world.lose("/sales_orders", 2)
    world.hear("shop", "order", *reversed(keys), *keys)
    await world.work(1)
    world.hear("shop", "order", *keys, *keys)
    await world.work(1)
    await world.shopping.do("cancel", order=keys[0])
    world.hear("shop", "order", keys[0], keys[2], keys[0])
    await world.work(1)
    assert world.held() == []
    assert [(await world.order_of(key))["Status"] for key in keys] == ["Cancelled", "Confirmed", "Confirmed"]
    assert len(await world.at_bng("sales_order")) == 3
    assert len(await world.at_bng("customer", Email="ada@example.org")) == 1


@pytest.mark.slow
async def test_a_worker_killed_around_every_write_places_no_order_twice(world: ShopWorld) -> None:
    keys = [await world.checkout(MUGS), await world.checkout(CAP, email="eve@example.org")]
    await world.poll()
    ends: list[int] = []
    for n in range(20):
        worker = await asyncio.create_subprocess_exec(sys.executable, str(HERE / "shop_worker.py"), str(1 + n % 2))
        ends.append(await asyncio.wait_for(worker.wait(), 60))
        if ends[-1] == 0:
            break
        assert ends[-1] == -signal.SIGKILL
    assert ends[-1] == 0
    assert len(ends) > 2 * 2  # customer and order, before and after
    await world.work(1)
    assert world.held() == []
    for key in keys:
        assert (await world.order_of(key))["Status"] == "Confirmed"
    assert len(await world.at_bng("sales_order")) == 2
    assert {one["Email"] for one in await world.at_bng("customer")} >= {"ada@example.org", "eve@example.org"}


async def test_shipments_cancellations_and_refunds_at_bng_are_shown_in_the_shop(home: Any, systems: Systems) -> None:
    async with shop_world(systems, names=("shop-order-to-bng", "fulfilment-to-shop")) as world:
        key, dropped = await world.checkout(MUGS, CAP), await world.checkout(CAP)
        await world.work(1)
        order = (await world.order_of(key))["SalesOrderID"]
        world.ship(order, (1, "1"), tracking="1Z1")
        await world.shopping.fault("drop_after_commit", match="fulfillmentCreate")
        await world.edit("sales_order", (await world.order_of(dropped))["SalesOrderID"], Status="Cancelled")
        await world.work(1)
        assert world.held() == []
        [first] = await world.all_in_shop("Fulfillment")
        assert [row["quantity"] for row in first["lines"]] == [1]
        assert [(one["company"], one["number"]) for one in first["trackingInfo"]] == [("UPS", "1Z1")]
        assert (await world.in_shop("Order", key))["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
        assert (await world.in_shop("Order", dropped))["cancelledAt"]
        world.ship(order)
        await world.work(1)
        assert (await world.in_shop("Order", key))["displayFulfillmentStatus"] == "FULFILLED"
        await world.edit("sales_order", order, TrackingNumbers=["1Z1", "1Z2"])
        card = {"CustomerID": (await world.order_of(key))["CustomerID"], "SalesOrderID": order, "CurrencyCode": "USD",
                "PaymentMethod": "Card", "PaymentDate": "2026-11-24T09:00:00Z", "Status": "Settled"}  # fmt: skip
        paid = await world.seed("payment", Direction="Inbound", PaymentType="Sale", Amount="47.48", **card)
        back = {"Direction": "Outbound", "PaymentType": "Refund", "Amount": "5.00", "OriginalPaymentID": paid}
        await world.seed("payment", Memo="A scratch", **back, **card)
        await world.work()
        world.hear("bng", "sales_order", order, order)
        await world.work(1)
        assert world.held() == []
        shipped = await world.all_in_shop("Fulfillment")
        assert [[row["quantity"] for row in one["lines"]] for one in shipped] == [[1], [1, 1]]
        assert [[one["number"] for one in row["trackingInfo"]] for row in shipped] == [["1Z1"], ["1Z2"]]
        [refund] = await world.all_in_shop("Refund")
        assert (refund["note"], (await world.in_shop("Order", key))["totalRefundedSet"]["shopMoney"]["amount"]) == (
            "A scratch", "5.0",
        )  # fmt: skip
        assert (await world.order_of(key))["PaymentStatus"] == "Paid"
