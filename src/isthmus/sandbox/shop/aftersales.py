"""What happens to an order after it was placed: shipments, cancellations, refunds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .errors import Refused
from .money import Bag, money_text
from .ordering import PAID_KINDS, basket_of, fulfilled, pay, payments, refreshed, refunded
from .store import Doc, gid, number_of

if TYPE_CHECKING:
    from .service import Shop


def fulfil(shop: Shop, given: Mapping[str, Any]) -> Doc:
    """Ship what is asked for, in part or whole, from one location."""
    chosen: list[tuple[Doc, dict[str, int]]] = []
    for place, group in enumerate(given["lineItemsByFulfillmentOrder"]):
        told = ("fulfillment", "lineItemsByFulfillmentOrder", str(place))
        found = shop.store.get(group["fulfillmentOrderId"])
        if found is None:
            raise Refused("Fulfillment order does not exist.", "fulfillment")
        if found["status"] not in ("OPEN", "IN_PROGRESS"):
            number = number_of(found["id"])
            raise Refused(
                f"Fulfillment order {number} has an unfulfillable status= {found['status'].lower()}.", "fulfillment"
            )
        chosen.append((found, _chosen(found, group.get("fulfillmentOrderLineItems"), told)))
    if not chosen:
        raise Refused("Line items by fulfillment order can't be blank", "fulfillment")
    if len({(found["order"], found["location"]) for found, _ in chosen}) > 1:
        raise Refused("All fulfillment orders must be assigned to the same order and location.", "fulfillment")
    order = shop.store.get(chosen[0][0]["order"]) or {}
    lines = [line for found, counts in chosen for line in _ship(shop, found, counts)]
    made = shop.store.add(
        "Fulfillment",
        {
            "order": order["id"], "status": "SUCCESS", "displayStatus": "FULFILLED", "lines": lines,
            "name": f"{order['name']}-F{len(order['fulfillments']) + 1}", "location": chosen[0][0]["location"],
            "trackingInfo": tracking(given.get("trackingInfo")), "requiresShipping": True,
            "totalQuantity": sum(line["quantity"] for line in lines),
            "fulfillmentOrders": [found["id"] for found, _ in chosen],
        },
    )  # fmt: skip
    order = shop.store.changed(order, fulfillments=[*order["fulfillments"], made["id"]])
    order = refreshed(shop, order)
    shop.tell("FULFILLMENTS_CREATE", made)
    whole = order["displayFulfillmentStatus"] == "FULFILLED"
    shop.tell("ORDERS_FULFILLED" if whole else "ORDERS_PARTIALLY_FULFILLED", order)
    shop.tell("ORDERS_UPDATED", order)
    return made


def _chosen(found: Doc, asked: Sequence[Mapping[str, Any]] | None, told: Sequence[str]) -> dict[str, int]:
    if not asked:
        return {row["id"]: row["remainingQuantity"] for row in found["lines"] if row["remainingQuantity"]}
    rows = {row["id"]: row for row in found["lines"]}
    out: dict[str, int] = {}
    for one in asked:
        if one["quantity"] <= 0:
            raise Refused("Quantity must be greater than 0", *told, "fulfillmentOrderLineItems", "quantity")
        row = rows.get(one["id"])
        wanted = out.get(one["id"], 0) + one["quantity"]
        if row is None or wanted > row["remainingQuantity"]:
            raise Refused("Invalid fulfillment order line item quantity requested.", "fulfillment")
        out[one["id"]] = wanted
    return out


def _ship(shop: Shop, found: Doc, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    lines, rows = [], []
    for row in found["lines"]:
        count = counts.get(row["id"], 0)
        if count:
            number = shop.store.new_number()
            lines.append({"id": gid("FulfillmentLineItem", number), "lineItem": row["lineItem"], "quantity": count})
            if row["item"] and shop.tracked(row["item"]):
                shop.stock.move(row["item"], found["location"], committed=-count)
        rows.append(row | {"remainingQuantity": row["remainingQuantity"] - count})
    status = "IN_PROGRESS" if any(row["remainingQuantity"] for row in rows) else "CLOSED"
    shop.store.changed(found, lines=rows, status=status)
    return lines


def cancel_fulfilment(shop: Shop, text: str) -> Doc:
    """Take a shipment back; its goods are to be shipped again."""
    found = shop.store.get(text)
    if found is None:
        raise Refused("Fulfillment not found.", "id")
    if found["status"] == "CANCELLED":
        raise Refused("Fulfillment has already been cancelled.", "id")
    left = {line["lineItem"]: line["quantity"] for line in found["lines"]}
    for one in map(shop.store.get, found["fulfillmentOrders"]):
        if one is None:
            continue
        rows = []
        for row in one["lines"]:
            count = min(left.get(row["lineItem"], 0), row["totalQuantity"] - row["remainingQuantity"])
            left[row["lineItem"]] = left.get(row["lineItem"], 0) - count
            if count and row["item"] and shop.tracked(row["item"]):
                shop.stock.move(row["item"], one["location"], committed=count)
            rows.append(row | {"remainingQuantity": row["remainingQuantity"] + count})
        shop.store.changed(one, lines=rows, status="OPEN")
    found = shop.store.changed(found, status="CANCELLED", displayStatus="CANCELED")
    order = refreshed(shop, shop.store.get(found["order"]) or {})
    shop.tell("FULFILLMENTS_UPDATE", found)
    shop.tell("ORDERS_UPDATED", order)
    return found


def track(shop: Shop, text: str, given: Mapping[str, Any]) -> Doc:
    """Change the tracking of a shipment."""
    found = shop.store.get(text)
    if found is None:
        raise Refused("Fulfillment does not exist.", "fulfillmentId")
    found = shop.store.changed(found, trackingInfo=tracking(given))
    order = shop.store.get(found["order"]) or {}
    shop.tell("FULFILLMENTS_UPDATE", found)
    shop.tell("ORDERS_UPDATED", shop.store.changed(order))
    return found


def tracking(given: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Tracking as it is shown, one row for each number."""
    told = given or {}
    numbers = told.get("numbers") or ([told["number"]] if told.get("number") else [])
    urls = told.get("urls") or ([told["url"]] if told.get("url") else [])
    rows = max(len(numbers), len(urls), 1 if told.get("company") else 0)
    return [
        {
            "company": told.get("company"),
            "number": numbers[n] if n < len(numbers) else None,
            "url": urls[n] if n < len(urls) else None,
        }
        for n in range(rows)
    ]


def cancel(shop: Shop, order: Doc, reason: str, *, restock: bool, refund: bool) -> Doc:
    """Cancel an order that has nothing shipped."""
    if order["cancelledAt"]:
        raise Refused("Cannot cancel an order that has already been canceled", "orderId", code="INVALID")
    if fulfilled(shop, order):
        raise Refused("Cannot cancel an order that has outstanding fulfillments", "orderId", code="INVALID")
    for found in map(shop.store.get, order["fulfillmentOrders"]):
        if found is None or found["status"] == "CANCELLED":
            continue
        for row in found["lines"]:
            count = row["remainingQuantity"]
            if count and row["item"] and shop.tracked(row["item"]):
                shop.stock.move(row["item"], found["location"], committed=-count, available=count if restock else 0)
        rows = [row | {"remainingQuantity": 0} for row in found["lines"]]
        shop.store.changed(found, lines=rows, status="CANCELLED")
    received, back, held = payments(shop, order)
    if refund and (received - back).shop > 0:
        order = _give_back(shop, order, received - back, "Order cancelled", [], [])
    elif not received.shop and held.shop:
        order = pay(shop, order, "VOID", held, order["paymentGatewayNames"][0])
    now = shop.store.now_text()
    order = shop.store.changed(order, cancelledAt=now, cancelReason=reason, closed=True, closedAt=now)
    order = refreshed(shop, order)
    shop.tell("ORDERS_CANCELLED", order)
    shop.tell("ORDERS_UPDATED", order)
    return order


def refund(shop: Shop, given: Mapping[str, Any]) -> tuple[Doc, Doc]:
    """Refund lines, shipping and money of an order; the order and the refund."""
    order = shop.store.get(given["orderId"])
    if order is None:
        raise Refused("Order does not exist", "orderId")
    lines = [_returned(shop, order, place, one) for place, one in enumerate(given.get("refundLineItems") or ())]
    shipping = _shipping_back(shop, order, given.get("shipping"))
    total = _money_back(shop, order, given)
    if not lines and not shipping and total.shop <= 0:
        raise Refused("Refund must refund something", "refundLineItems")
    before = len(order["refunds"])
    parent = next((one.get("parentId") for one in given.get("transactions") or ()), None)
    order = _give_back(shop, order, total, given.get("note"), lines, shipping, parent)
    order = refreshed(shop, order)
    made = shop.store.get(order["refunds"][before]) or {}
    shop.tell("REFUNDS_CREATE", made)
    shop.tell("ORDERS_UPDATED", order)
    return order, made


def _give_back(
    shop: Shop,
    order: Doc,
    total: Bag,
    note: str | None,
    lines: list[dict[str, Any]],
    shipping: list[dict[str, Any]],
    parent: str | None = None,
) -> Doc:
    transactions: list[str] = []
    if total.shop > 0:
        paid = [one["id"] for one in map(shop.store.get, order["transactions"]) if one and one["kind"] in PAID_KINDS]
        order = pay(shop, order, "REFUND", total, order["paymentGatewayNames"][0], parent or next(iter(paid), None))
        transactions = [order["transactions"][-1]]
    made = shop.store.add(
        "Refund",
        {
            "order": order["id"], "note": note, "lines": lines, "shipping": shipping, "transactions": transactions,
            "totalRefundedSet": total.told(),
        },
    )  # fmt: skip
    return shop.store.changed(order, refunds=[*order["refunds"], made["id"]])


def _returned(shop: Shop, order: Doc, place: int, one: Mapping[str, Any]) -> dict[str, Any]:
    told = ("refundLineItems", str(place))
    line = shop.store.get(one["lineItemId"])
    if line is None or line["order"] != order["id"]:
        raise Refused("Line item does not belong to the order", *told, "lineItemId")
    before, count = refunded(shop, order).get(line["id"], 0), one["quantity"]
    bought = next(item.current for item in basket_of(order).lines if item.id == line["id"])
    if count < 1 or before + count > bought:
        raise Refused("Quantity cannot refund more items than were purchased", *told, "quantity")
    money = basket_of(order).currencies
    allocated = money.total(money.read(row["allocatedAmountSet"]) for row in line["discountAllocations"])
    net = money.read(line["originalTotalSet"]) - allocated
    tax = money.total(money.read(row["priceSet"]) for row in line["taxLines"])
    kind = one.get("restockType") or "NO_RESTOCK"
    location = _restock(shop, order, line, count, kind, one.get("locationId"))
    return {
        "id": gid("RefundLineItem", shop.store.new_number()), "lineItem": line["id"], "quantity": count,
        "restockType": kind, "restocked": kind != "NO_RESTOCK", "location": location,
        "priceSet": line["discountedUnitPriceAfterAllDiscountsSet"],
        "subtotalSet": _part(net, before, count, bought).told(),
        "totalTaxSet": _part(tax, before, count, bought).told(),
    }  # fmt: skip


def _part(whole: Bag, before: int, count: int, of: int) -> Bag:
    """What falls on some of a quantity, so that the parts add up to the whole."""
    return whole.times(Decimal(before + count) / of) - whole.times(Decimal(before) / of)


def _restock(shop: Shop, order: Doc, line: Doc, count: int, kind: str, location: str | None) -> str | None:
    """Put goods back on the shelf: what was not shipped yet (CANCEL) or what came back (RETURN)."""
    variant = shop.store.get(line["variant"])
    item = variant["inventoryItem"] if variant is not None else None
    open_count = min(count, line["unfulfilledQuantity"]) if kind != "RETURN" else 0
    place = location
    for found in map(shop.store.get, order["fulfillmentOrders"]):
        if found is None or not open_count:
            continue
        rows = []
        for row in found["lines"]:
            step = min(open_count, row["remainingQuantity"]) if row["lineItem"] == line["id"] else 0
            open_count -= step
            if step:
                place = place or found["location"]
                if item and shop.tracked(item):
                    back = step if kind == "CANCEL" else 0
                    shop.stock.move(item, found["location"], committed=-step, available=back)
            rows.append(row | {"remainingQuantity": row["remainingQuantity"] - step})
        status = found["status"] if any(row["remainingQuantity"] for row in rows) else "CLOSED"
        shop.store.changed(found, lines=rows, status=status)
    if kind == "RETURN" and item and shop.tracked(item):
        place = place or shop.stock.place_of(item, 0)
        shop.stock.move(item, place, available=count)
    return place if kind != "NO_RESTOCK" else None


def _shipping_back(shop: Shop, order: Doc, given: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if not given or not order["shippingLines"]:
        return []
    money, line = basket_of(order).currencies, order["shippingLines"][0]
    paid = money.read(line["discountedPriceSet"])
    amount = paid if given.get("fullRefund") else money.bag(Decimal(given.get("amount") or 0))
    if amount.shop > paid.shop:
        raise Refused("Shipping refund amount exceeds what was paid", "shipping", "amount")
    tax = money.total(money.read(row["priceSet"]) for row in line["taxLines"]).share(amount, paid)
    return [
        {
            "id": gid("RefundShippingLine", shop.store.new_number()),
            "shippingLine": line,
            "subtotalAmountSet": amount.told(),
            "taxAmountSet": tax.told(),
        }
    ]


def _money_back(shop: Shop, order: Doc, given: Mapping[str, Any]) -> Bag:
    money = basket_of(order).currencies
    total = money.none()
    if money.presentment != money.shop and given.get("transactions") and given.get("currency") != money.presentment:
        raise Refused("Currency must be the presentment currency of the order", "currency")
    for one in given.get("transactions") or ():
        if one["kind"] != "REFUND":
            raise Refused(f"Kind {one['kind'].lower()} is not a valid transaction", "transactions")
        parent = shop.store.get(one.get("parentId"))
        if parent is None or parent["order"] != order["id"] or parent["kind"] not in PAID_KINDS:
            raise Refused("Transactions require a parent_id associated with the order", "transactions")
        amount = Decimal(one["amount"])
        if given.get("currency") == money.presentment and money.presentment != money.shop:
            total = total + Bag(money, money.bag(amount / money.rate).shop, amount)
        else:
            total = total + money.bag(amount)
    received, back, _ = payments(shop, order)
    left = received - back
    if total.shop > left.shop:
        shown, paid = money_text(total.shop, money.shop), money_text(left.shop, money.shop)
        raise Refused(f"Refund amount ${shown} is greater than net payment received ${paid}", "transactions")
    return total
