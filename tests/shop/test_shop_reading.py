"""What a shop holds is read whole and exact: money, taxes, long orders, pages, scopes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from shop_visitor import Shopping, keys, number, read

from isthmus.sdk import ByExternalKeys, ByKeys, ByValues, Everything, Misconfigured, SchemaDrift

ADA = {"firstName": "Ada", "lastName": "Byron", "email": "ada@example.org"}
HOME = {"firstName": "Ada", "address1": "Street 1", "city": "Ulm", "zip": "89073", "countryCode": "DE"}


async def order(shopping: Shopping, **more: Any) -> dict[str, Any]:
    """An order of three mugs and a cap by Ada, or as told."""
    told: dict[str, Any] = {
        "customer": ADA,
        "lines": [{"sku": "MUG", "quantity": 3}, {"sku": "CAP"}],
        "shipping": [{"title": "Post", "price": "5.00"}],
        "shipping_address": HOME,
        **more,
    }
    return dict(await shopping.do("checkout", **told))


async def test_an_order_in_a_foreign_currency_with_included_taxes_adds_up_in_both(shopping: Shopping) -> None:
    placed = await order(
        shopping,
        currency="EUR",
        rate="0.9",
        taxes_included=True,
        taxes=[{"title": "VAT", "rate": "0.19"}],
        discounts=[{"kind": "percentage", "value": "10", "code": "TEN"}],
        note="Ring twice",
        tags=["web"],
    )
    shop = shopping.connect()
    [found] = await read(
        shop, "order", ByKeys([number(placed["id"])]),
        "name", "note", "tags", "customer", "taxesIncluded", "currencyCode", "presentmentCurrencyCode", "discountCodes",
        "lineItems", "shippingLines", "taxLines", "transactions", "totalPriceSet", "totalTaxSet", "subtotalPriceSet",
        "totalDiscountsSet", "totalShippingPriceSet", "shippingAddress.city", "shippingAddress", "discountApplications",
        "totalPriceSet.presentmentMoney.amount", "fulfillmentOrders", "createdAt",
    )  # fmt: skip
    told = found.values
    assert (told["name"], told["note"], told["tags"], told["discountCodes"]) == (
        "#1001",
        "Ring twice",
        ["web"],
        ["TEN"],
    )
    assert (told["taxesIncluded"], told["currencyCode"], told["presentmentCurrencyCode"]) == (True, "USD", "EUR")
    assert told["shippingAddress.city"] == told["shippingAddress"]["city"] == "Ulm"
    assert told["shippingAddress"]["countryCode"] == "DE"
    for side in ("shopMoney", "presentmentMoney"):
        lines = sum(
            line["originalTotalSet"][side]["amount"]
            - sum(one["allocatedAmountSet"][side]["amount"] for one in line["discountAllocations"])
            for line in told["lineItems"]
        )
        assert lines == told["subtotalPriceSet"][side]["amount"]
        shipping = told["shippingLines"][0]["discountedPriceSet"][side]["amount"]
        assert lines + shipping == told["totalPriceSet"][side]["amount"]
        assert sum(tax["priceSet"][side]["amount"] for tax in told["taxLines"]) == told["totalTaxSet"][side]["amount"]
        assert told["transactions"][0]["amountSet"][side]["amount"] == told["totalPriceSet"][side]["amount"]
    assert told["totalPriceSet"]["shopMoney"] == {"amount": Decimal("65.72"), "currencyCode": "USD"}
    assert told["totalPriceSet.presentmentMoney.amount"] == Decimal("59.15")
    assert told["totalTaxSet"]["shopMoney"]["amount"] == Decimal("10.50")
    mug, cap = told["lineItems"]
    assert (mug["sku"], mug["quantity"], mug["originalUnitPriceSet"]["shopMoney"]["amount"]) == (
        "MUG",
        3,
        Decimal("19.99"),
    )
    assert mug["taxLines"][0]["rate"] == Decimal("0.19")
    assert told["discountApplications"][0]["percentage"] == Decimal(10)
    assert told["fulfillmentOrders"][0]["lineItems"][1]["remainingQuantity"] == 1
    assert cap["taxable"] is True
    assert told["createdAt"] == found.created_at
    assert isinstance(found.changed_at, datetime)
    assert found.changed_at.tzinfo is UTC
    [variant] = await read(
        shop, "variant", ByKeys([mug["variant"]]), "sku", "price", "cost", "inventoryItem", "product"
    )
    assert variant.values["price"] == Decimal("19.99")
    assert variant.values["cost"] == Decimal("4.25")
    [customer] = await read(shop, "customer", ByKeys([told["customer"]]), "email", "amountSpent", "numberOfOrders")
    assert customer.values == {
        "email": "ada@example.org",
        "amountSpent": {"amount": Decimal("65.72"), "currencyCode": "USD"},
        "numberOfOrders": 1,
    }


async def test_a_long_order_is_read_to_its_last_line_and_a_long_shipment_too(shopping: Shopping) -> None:
    lines = [{"title": f"Part {n}", "price": "0.01", "quantity": n + 1} for n in range(23)]
    placed = await order(shopping, lines=lines)
    await shopping.do("fulfil", order=placed["name"])
    shop = shopping.connect(line_page=5)
    [found] = await read(
        shop, "order", ByKeys([number(placed["id"])]), "lineItems", "fulfillments", "fulfillmentOrders"
    )
    assert [line["quantity"] for line in found.values["lineItems"]] == [n + 1 for n in range(23)]
    [sent] = found.values["fulfillments"]
    assert len(sent["fulfillmentLineItems"]) == 23
    assert len(found.values["fulfillmentOrders"][0]["lineItems"]) == 23


async def test_every_page_is_read_once_and_reading_resumes_behind_a_key(shopping: Shopping) -> None:
    placed = [await order(shopping, lines=[{"title": "Card", "price": "1"}]) for _ in range(7)]
    shop = shopping.connect(page_size=2)
    wanted = [number(one["id"]) for one in placed]
    assert keys(await read(shop, "order", Everything())) == wanted
    assert keys(await read(shop, "order", Everything(after=wanted[3]))) == wanted[4:]
    assert await shop.all_keys("order") == wanted


async def test_a_page_that_costs_too_much_is_asked_for_in_smaller_ones(shopping: Shopping) -> None:
    placed = [await order(shopping, lines=[{"title": "Card", "price": "1"}]) for _ in range(5)]
    shop = shopping.connect(page_size=250, line_page=250)
    paths = ("lineItems", "shippingLines", "fulfillments", "fulfillmentOrders", "transactions", "totalPriceSet")
    found = await read(shop, "order", Everything(), *paths)
    assert keys(found) == [number(one["id"]) for one in placed]
    await shopping.door("PUT", "settings", {"most_cost": 3})
    with pytest.raises(Misconfigured, match="even one record costs more"):
        await read(shop, "order", Everything(), *paths)


async def test_records_are_found_by_their_values_exactly(shopping: Shopping) -> None:
    first = await order(shopping)
    other = await shopping.do("customer", firstName="Bea", email="ada@example.org.uk")
    shop = shopping.connect()
    found = await read(shop, "customer", ByValues("email", ["ADA@example.org", "nobody@example.org"]), "firstName")
    assert [one.values["firstName"] for one in found] == ["Ada"]
    assert keys(await read(shop, "customer", ByValues("lastName", ["Byron"]))) == keys(found)
    assert keys(await read(shop, "order", ByValues("name", ["#1001", "#9"]))) == [number(first["id"])]
    assert keys(await read(shop, "order", ByValues("customer", [found[0].key]))) == [number(first["id"])]
    [mug] = await read(shop, "variant", ByValues("sku", ["MUG"]), "sku", "product")
    assert mug.values["sku"] == "MUG"
    assert keys(await read(shop, "product", ByValues("handle", ["mug"]))) == [mug.values["product"]]
    assert keys(await read(shop, "variant", ByValues("price", [Decimal("19.990")]))) == [mug.key]
    assert keys(await read(shop, "customer", ByValues("email", [""]))) == []
    assert keys(await read(shop, "inventory_level", ByValues("sku", ["MUG"]))) != []
    assert number(other["id"]) not in keys(found)


async def test_what_is_not_there_is_left_out_and_proven_absent(shopping: Shopping) -> None:
    placed = await order(shopping)
    shop = shopping.connect()
    key = number(placed["id"])
    assert keys(await read(shop, "order", ByKeys([key, "99", "x", "gid://shopify/Order/1"]))) == [key]
    assert await shop.exists("order", [key, "99", "nonsense"]) == {key: True, "99": False, "nonsense": False}
    assert await read(shop, "order", ByExternalKeys(["nobody"])) == []
    [level] = await read(shop, "inventory_level", ByValues("sku", ["MUG"]))
    assert await shop.exists("inventory_level", [level.key, "1/2", "x"]) == {level.key: True, "1/2": False, "x": False}


async def test_an_unknown_field_is_told_with_the_known_ones(shopping: Shopping) -> None:
    shop = shopping.connect()
    with pytest.raises(SchemaDrift, match="no field nme") as caught:
        await read(shop, "order", Everything(), "nme")
    assert "name" in caught.value.hint
    with pytest.raises(SchemaDrift, match=r"shippingAddress\.town"):
        await read(shop, "order", Everything(), "shippingAddress.town")
    with pytest.raises(SchemaDrift, match="no such entity"):
        await shop.describe(["orders"])


async def test_a_scope_is_a_search_of_the_shop(shopping: Shopping) -> None:
    web = await order(shopping, tags=["web"], lines=[{"title": "Card", "price": "1"}])
    till = await order(shopping, tags=["till"], lines=[{"title": "Card", "price": "1"}])
    shop = shopping.connect()
    assert keys(await read(shop, "order", Everything(), scope="tag:web")) == [number(web["id"])]
    both = ByKeys([number(web["id"]), number(till["id"])])
    assert keys(await read(shop, "order", both, scope={"query": "-tag:web"})) == [number(till["id"])]
    await shopping.do("fulfil", order=web["name"])
    await shopping.do("fulfil", order=till["name"])
    found = await read(shop, "fulfilment", Everything(), "order", scope="tag:till")
    assert [one.values["order"] for one in found] == [number(till["id"])]
    with pytest.raises(Misconfigured, match="it is no search"):
        await read(shop, "order", Everything(), scope={"tag": "web"})


async def test_levels_of_stock_are_read_per_location(shopping: Shopping) -> None:
    await order(shopping)
    shop = shopping.connect(page_size=1)
    found = await read(shop, "inventory_level", Everything(), "sku", "available", "committed", "on_hand", "location")
    told = {one.values["sku"]: one.values for one in found}
    assert (told["MUG"]["available"], told["MUG"]["committed"], told["MUG"]["on_hand"]) == (7, 3, 10)
    again = await read(shop, "inventory_level", ByKeys(keys(found)), "sku")
    assert sorted(keys(again)) == sorted(keys(found))
    place = told["MUG"]["location"]
    assert len(await read(shop, "inventory_level", Everything(), scope={"locations": [place]})) == 2
    assert await read(shop, "inventory_level", ByKeys(keys(found)), scope={"locations": ["7"]}) == []
    with pytest.raises(Misconfigured, match="no location 7"):
        await read(shop, "inventory_level", Everything(), scope={"locations": ["7"]})


async def test_an_archived_product_is_read_and_told_as_inactive(shopping: Shopping) -> None:
    await shopping.do("product", title="Old", sku="OLD", price="1", status="ARCHIVED")
    shop = shopping.connect()
    found = {one.values["title"]: one.active for one in await read(shop, "product", Everything(), "title")}
    assert found == {"Mug": True, "Cap": True, "Old": False}
