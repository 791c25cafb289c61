"""An order's document: what it shows follows from its basket, its shipments, its payments and its refunds."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from .money import Bag
from .pricing import Basket, Bill, Line, Priced, Shipping, allocation, bill, tax_line
from .store import Doc, gid

if TYPE_CHECKING:
    from .service import Shop

PAID_KINDS = ("SALE", "CAPTURE")


def basket_of(order: Doc) -> Basket:
    """The basket that the amounts of an order follow from."""
    return msgspec.convert(order["_basket"], Basket, strict=False)


def keep_basket(basket: Basket) -> Any:
    """A basket as it is kept in the document."""
    return msgspec.to_builtins(basket)


def fulfilled(shop: Shop, order: Doc) -> dict[str, int]:
    """How many of each line were shipped."""
    out: dict[str, int] = {}
    for one in map(shop.store.get, order["fulfillments"]):
        if one is not None and one["status"] != "CANCELLED":
            for row in one["lines"]:
                out[row["lineItem"]] = out.get(row["lineItem"], 0) + row["quantity"]
    return out


def refunded(shop: Shop, order: Doc) -> dict[str, int]:
    """How many of each line were refunded."""
    out: dict[str, int] = {}
    for one in map(shop.store.get, order["refunds"]):
        for row in one["lines"] if one is not None else ():
            out[row["lineItem"]] = out.get(row["lineItem"], 0) + row["quantity"]
    return out


def payments(shop: Shop, order: Doc) -> tuple[Bag, Bag, Bag]:
    """What was received, refunded, and is authorised only."""
    money = basket_of(order).currencies
    received, back, held = money.none(), money.none(), money.none()
    for one in map(shop.store.get, order["transactions"]):
        if one is None or one["status"] != "SUCCESS":
            continue
        amount = money.read(one["amountSet"])
        if one["kind"] in PAID_KINDS:
            received = received + amount
        elif one["kind"] == "REFUND":
            back = back + amount
        elif one["kind"] == "AUTHORIZATION":
            held = held + amount
    return received, back, held


def refreshed(shop: Shop, order: Doc) -> Doc:
    """The order kept with everything that follows from the rest computed anew; also its lines."""
    basket = basket_of(order)
    sent, back = fulfilled(shop, order), refunded(shop, order)
    whole = bill(basket, [line.current for line in basket.lines])
    left = bill(basket, [max(0, line.current - back.get(line.id, 0)) for line in basket.lines])
    for priced in whole.lines:
        _keep_line(shop, order, priced, sent, back)
    return shop.store.changed(order, **_amounts(shop, order, whole, left), **_states(shop, order, basket, sent, back))


def _amounts(shop: Shop, order: Doc, whole: Bill, left: Bill) -> dict[str, Any]:
    received, back, _ = payments(shop, order)
    shipping_back = whole.currencies.total(
        whole.currencies.read(row["subtotalAmountSet"])
        for one in map(shop.store.get, order["refunds"])
        for row in (one["shipping"] if one is not None else ())
    )
    current_shipping = left.shipping_total - shipping_back
    net = left.subtotal + current_shipping
    current = net if left.taxes_included else net + left.tax
    return {
        "lineItems": [line.of.id for line in whole.lines],
        "shippingLines": [_shipping_line(one, order["id"]) for one in whole.shipping],
        "taxLines": whole.tax_lines(),
        "discountApplications": whole.applications,
        "discountCodes": [str(one["code"]) for one in whole.applications if one.get("code")],
        "subtotalPriceSet": whole.subtotal.told(),
        "totalDiscountsSet": whole.discounts.told(),
        "totalShippingPriceSet": whole.shipping_total.told(),
        "totalTaxSet": whole.tax.told(),
        "totalPriceSet": whole.total.told(),
        "originalTotalPriceSet": order.get("originalTotalPriceSet") or whole.total.told(),
        "currentSubtotalPriceSet": left.subtotal.told(),
        "currentTotalDiscountsSet": left.discounts.told(),
        "currentShippingPriceSet": current_shipping.told(),
        "currentTotalTaxSet": left.tax.told(),
        "currentTotalPriceSet": current.told(),
        "totalReceivedSet": received.told(),
        "totalRefundedSet": back.told(),
        "netPaymentSet": (received - back).told(),
        "totalOutstandingSet": (current - (received - back)).told(),
    }


def _states(shop: Shop, order: Doc, basket: Basket, sent: Mapping[str, int], back: Mapping[str, int]) -> dict[str, Any]:
    received, refunds, held = payments(shop, order)
    total = bill(basket, [line.current for line in basket.lines]).total
    zero = Decimal(0)
    if refunds.shop > zero:
        money = "REFUNDED" if refunds.shop >= received.shop else "PARTIALLY_REFUNDED"
    elif received.shop > zero:
        money = "PAID" if received.shop >= total.shop else "PARTIALLY_PAID"
    elif order["cancelledAt"] and held.shop > zero:
        money = "VOIDED"
    else:
        money = "AUTHORIZED" if held.shop > zero else ("PAID" if total.shop == zero else "PENDING")
    open_lines = [line for line in basket.lines if line.requires_shipping]
    wanted = sum(max(0, line.current - max(0, back.get(line.id, 0) - sent.get(line.id, 0))) for line in open_lines)
    shipped = sum(min(sent.get(line.id, 0), line.current) for line in open_lines)
    goods = "FULFILLED" if wanted and shipped >= wanted else ("PARTIALLY_FULFILLED" if shipped else "UNFULFILLED")
    return {
        "displayFinancialStatus": money,
        "displayFulfillmentStatus": goods,
        "fullyPaid": received.shop >= total.shop,
    }


def _keep_line(shop: Shop, order: Doc, priced: Priced, sent: Mapping[str, int], back: Mapping[str, int]) -> None:
    line = priced.of
    assert isinstance(line, Line)  # lines of a bill are
    left = max(0, line.current - back.get(line.id, 0))
    values = {
        "order": order["id"],
        "name": f"{line.title} - {line.variant_title}" if line.variant_title else line.title,
        "title": line.title,
        "variantTitle": line.variant_title,
        "sku": line.sku,
        "vendor": line.vendor,
        "quantity": line.quantity,
        "currentQuantity": left,
        "refundableQuantity": left,
        "unfulfilledQuantity": max(0, left - sent.get(line.id, 0)),
        "requiresShipping": line.requires_shipping,
        "taxable": line.taxable,
        "product": line.product,
        "variant": line.variant,
        "customAttributes": line.attributes,
        "originalUnitPriceSet": priced.unit.told(),
        "originalTotalSet": priced.original.told(),
        "discountedTotalSet": priced.discounted.told(),
        "discountedUnitPriceSet": _unit(priced, priced.discounted).told(),
        "discountedUnitPriceAfterAllDiscountsSet": _unit(priced, priced.net).told(),
        "totalDiscountSet": priced.discount.told(),
        "discountAllocations": [allocation(index, bag) | {"order": order["id"]} for index, bag in priced.allocations],
        "taxLines": [tax_line(tax, bag) for tax, bag in priced.taxes],
    }
    known = shop.store.get(line.id)
    if known is None:
        shop.store.add("LineItem", values, text=line.id)
    elif any(known.get(name) != value for name, value in values.items()):
        shop.store.changed(known, **values)


def _unit(priced: Priced, total: Bag) -> Bag:
    return total.times(Decimal(1) / priced.quantity) if priced.quantity else priced.unit


def _shipping_line(priced: Priced, order: str) -> dict[str, Any]:
    one = priced.of
    assert isinstance(one, Shipping)  # ways of shipping of a bill are
    return {
        "id": one.id,
        "title": one.title,
        "code": one.code or one.title,
        "source": "shopify",
        "carrierIdentifier": None,
        "isRemoved": False,
        "originalPriceSet": priced.original.told(),
        "discountedPriceSet": priced.net.told(),
        "currentDiscountedPriceSet": priced.net.told(),
        "discountAllocations": [allocation(index, bag) | {"order": order} for index, bag in priced.allocations],
        "taxLines": [tax_line(tax, bag) for tax, bag in priced.taxes],
    }


def pay(shop: Shop, order: Doc, kind: str, amount: Bag, gateway: str, parent: str | None = None) -> Doc:
    """A transaction that succeeded; the order is to be refreshed afterwards."""
    made = shop.store.add(
        "OrderTransaction",
        {
            "order": order["id"], "kind": kind, "status": "SUCCESS", "gateway": gateway, "amountSet": amount.told(),
            "processedAt": shop.store.now_text(), "test": True, "parentTransaction": parent,
            "paymentId": f"{order['name']}.{len(order['transactions']) + 1}",
            "authorizationCode": None if kind == "REFUND" else f"auth-{shop.store.new_number()}",
        },
    )  # fmt: skip
    return shop.store.changed(order, transactions=[*order["transactions"], made["id"]])


def add_fulfillment_orders(shop: Shop, order: Doc, lines: list[Line]) -> Doc:
    """What is to be shipped, one for each location that it is taken from."""
    places: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if line.requires_shipping:
            place = shop.stock.place_of(line.item, line.current)
            places.setdefault(place, []).append(
                {
                    "id": gid("FulfillmentOrderLineItem", shop.store.new_number()),
                    "lineItem": line.id,
                    "item": line.item,
                    "totalQuantity": line.current,
                    "remainingQuantity": line.current,
                    "sku": line.sku,
                }
            )
            if line.item and shop.tracked(line.item):
                shop.stock.move(line.item, place, available=-line.current, committed=line.current)
    made = [
        shop.store.add(
            "FulfillmentOrder",
            {"order": order["id"], "status": "OPEN", "requestStatus": "UNSUBMITTED", "location": place, "lines": rows},
        )["id"]
        for place, rows in places.items()
    ]
    return shop.store.changed(order, fulfillmentOrders=[*order["fulfillmentOrders"], *made])
