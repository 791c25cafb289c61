"""Orders of a shop become orders of BNG and follow them; shipments go back: each once, whatever happens in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from shop_world import ShopWorld, shop_world

from joined import Systems

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
    assert (second["PaymentStatus"], second["ExchangeRate"]) == ("Authorized", "0.89995998")
    assert (third["Status"], third["PaymentStatus"]) == ("Open", "Unpaid")
    [ada] = await world.at_bng("customer", Email="ada@example.org")
    assert (ada["FirstName"], ada["LastName"]) == ("Ada", "Byron")
    assert first["CustomerID"] == third["CustomerID"] == ada["CustomerID"] != second["CustomerID"]
    paid = first["CustomFields"]
    assert (paid["shop_gateway"], paid["shop_payment"], paid["shop_authorization"][:5]) == ("bogus", "#1001.1", "auth-")
