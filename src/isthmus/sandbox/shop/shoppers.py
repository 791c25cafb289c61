"""What shoppers and the shop's people do without the API: orders at the checkout, edits, captures."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from .errors import Refused, Unavailable
from .money import rounded
from .ordering import add_fulfillment_orders, basket_of, fulfilled, keep_basket, pay, payments, refreshed
from .pricing import Basket, Bill, Discount, Line, Shipping, Tax, bill
from .store import Doc, gid

if TYPE_CHECKING:
    from .service import Shop


class Bought(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One line at the checkout: a variant by `sku` or `variant`, or something that has no variant by its title."""

    sku: str | None = None
    variant: str | None = None
    title: str | None = None
    quantity: int = 1
    price: Decimal | None = None
    taxable: bool | None = None
    requires_shipping: bool = True
    discount: Discount | None = None
    attributes: list[dict[str, str]] = []


class Checkout(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a shopper orders. `payment` captures, only authorises, or leaves it open; `rate` as in a Basket."""

    lines: list[Bought]
    customer: str | dict[str, Any] | None = None
    email: str | None = None
    phone: str | None = None
    shipping: list[Shipping] = []
    discounts: list[Discount] = []
    taxes: list[Tax] = []
    taxes_included: bool = False
    currency: str | None = None
    rate: Decimal = Decimal(1)
    shipping_address: dict[str, Any] | None = None
    billing_address: dict[str, Any] | None = None
    note: str | None = None
    tags: list[str] = []
    attributes: list[dict[str, str]] = []
    payment: str = "capture"
    gateway: str = "bogus"
    source: str | None = None


class Edit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """New quantities of lines by their SKU or id (0 removes), and lines to add."""

    quantities: dict[str, int] = {}
    add: list[Bought] = []


def check_out(shop: Shop, told: Checkout) -> Doc:
    """Place an order; Unavailable when something is sold out, unknown, or nothing is bought."""
    if not told.lines:
        raise Unavailable("the cart is empty")
    basket = Basket(
        currency=shop.settings.currency,
        presentment=told.currency or shop.settings.currency,
        rate=told.rate,
        taxes_included=told.taxes_included,
        lines=[_line(shop, one) for one in told.lines],
        shipping=[
            msgspec.structs.replace(one, id=gid("ShippingLine", shop.store.new_number())) for one in told.shipping
        ],
        discounts=told.discounts,
        taxes=told.taxes,
    )
    _in_stock(shop, basket.lines)
    customer = _customer(shop, told)
    number = 1000 + len(shop.store.all("Order")) + 1
    order = shop.store.add("Order", _empty(shop, told, basket, customer, number))
    order = add_fulfillment_orders(shop, order, basket.lines)
    whole = bill(basket, [line.current for line in basket.lines])
    order = _paid(shop, order, told, whole)
    order = refreshed(shop, order)
    if customer is not None:
        shop.store.changed(customer, lastOrder=order["id"])
    shop.tell("ORDERS_CREATE", order)
    if order["displayFinancialStatus"] == "PAID":
        shop.tell("ORDERS_PAID", order)
    return order


def edit_order(shop: Shop, order: Doc, told: Edit) -> Doc:
    """Change quantities and add lines, as people do in Shopify's admin; stock follows."""
    if order["cancelledAt"]:
        raise Unavailable(f"{order['name']} is cancelled")
    basket, sent = basket_of(order), fulfilled(shop, order)
    for name, quantity in told.quantities.items():
        line = next((one for one in basket.lines if name in (one.sku, one.id)), None)
        if line is None:
            raise Unavailable(f"{order['name']} has no line {name}")
        if quantity < sent.get(line.id, 0):
            raise Unavailable(f"{name}: {sent[line.id]} are shipped already")
        if quantity > line.current:
            _in_stock(shop, [msgspec.structs.replace(line, current=quantity - line.current)])
        _reserve(shop, order, line, quantity - line.current)
        line.current = quantity
        line.quantity = max(line.quantity, quantity)
    added = [_line(shop, one) for one in told.add]
    _in_stock(shop, added)
    basket.lines.extend(added)
    order = shop.store.changed(order, _basket=keep_basket(basket), edited=True)
    order = refreshed(shop, add_fulfillment_orders(shop, order, added))
    shop.tell("ORDERS_EDITED", order)
    shop.tell("ORDERS_UPDATED", order)
    return order


def capture(shop: Shop, order: Doc, amount: Decimal | None = None) -> Doc:
    """Capture what was authorised, or a part of it (in the shop's currency)."""
    received, _, held = payments(shop, order)
    money = basket_of(order).currencies
    wanted = held - received if amount is None else money.bag(amount)
    if wanted.shop <= 0 or wanted.shop > held.shop - received.shop:
        raise Refused(f"{order['name']}: there is nothing like that to capture")
    parent = next(
        one["id"] for one in map(shop.store.get, order["transactions"]) if one and one["kind"] == "AUTHORIZATION"
    )
    order = refreshed(shop, pay(shop, order, "CAPTURE", wanted, order["paymentGatewayNames"][0], parent))
    if order["displayFinancialStatus"] == "PAID":
        shop.tell("ORDERS_PAID", order)
    shop.tell("ORDERS_UPDATED", order)
    return order


def _paid(shop: Shop, order: Doc, told: Checkout, whole: Bill) -> Doc:
    if told.payment == "pending" or whole.total.shop == 0:
        return order
    if told.payment not in ("capture", "authorize"):
        raise ValueError(f"payment must be capture, authorize or pending, not {told.payment!r}")
    kind = "SALE" if told.payment == "capture" else "AUTHORIZATION"
    return pay(shop, order, kind, whole.total, told.gateway)


def _reserve(shop: Shop, order: Doc, line: Line, delta: int) -> None:
    """More or fewer of a line that is to be shipped."""
    left = delta
    for text in order["fulfillmentOrders"]:
        found = shop.store.get(text)
        if found is None or found["status"] not in ("OPEN", "IN_PROGRESS", "CLOSED"):
            continue
        rows = []
        for row in found["lines"]:
            step = max(left, -row["remainingQuantity"]) if row["lineItem"] == line.id else 0
            left -= step
            if step:
                row = row | {
                    "remainingQuantity": row["remainingQuantity"] + step,
                    "totalQuantity": row["totalQuantity"] + step,
                }
                if line.item and shop.tracked(line.item):
                    shop.stock.move(line.item, found["location"], available=-step, committed=step)
            rows.append(row)
        status = "OPEN" if any(row["remainingQuantity"] for row in rows) else "CLOSED"
        shop.store.changed(found, lines=rows, status=status)


def _line(shop: Shop, told: Bought) -> Line:
    line = Line(
        id=gid("LineItem", shop.store.new_number()),
        quantity=told.quantity,
        current=told.quantity,
        discount=told.discount,
        attributes=told.attributes,
        requires_shipping=told.requires_shipping,
    )
    if told.quantity < 1:
        raise Unavailable("a quantity must be 1 or more")
    if told.sku is None and told.variant is None:
        if told.title is None or told.price is None:
            raise Unavailable("a line without a variant needs a title and a price")
        return msgspec.structs.replace(line, title=told.title, price=told.price, taxable=told.taxable is not False)
    variant = shop.variant(told.sku, told.variant)
    if variant is None:
        raise Unavailable(f"there is no variant {told.sku or told.variant}")
    product = shop.store.get(variant["product"]) or {}
    return msgspec.structs.replace(
        line,
        variant=variant["id"],
        product=variant["product"],
        item=variant["inventoryItem"],
        title=product["title"],
        variant_title=None if variant["title"] == "Default Title" else variant["title"],
        sku=variant["sku"],
        vendor=product["vendor"],
        price=rounded(told.price if told.price is not None else Decimal(variant["price"]), shop.settings.currency),
        taxable=variant["taxable"] if told.taxable is None else told.taxable,
        requires_shipping=(shop.store.get(variant["inventoryItem"]) or {})["requiresShipping"],
    )


def _in_stock(shop: Shop, lines: list[Line]) -> None:
    """Overselling is refused, except where the variant's inventory policy is CONTINUE."""
    wanted: dict[str, int] = {}
    for line in lines:
        if line.item and line.variant and shop.tracked(line.item):
            wanted[line.variant] = wanted.get(line.variant, 0) + line.current
    for text, count in wanted.items():
        variant = shop.store.get(text) or {}
        left = shop.stock.available(variant["inventoryItem"])
        if variant["inventoryPolicy"] == "DENY" and left < count:
            raise Unavailable(
                f"{variant['sku'] or variant['title']} is out of stock: {max(left, 0)} left, {count} wanted"
            )


def _customer(shop: Shop, told: Checkout) -> Doc | None:
    if isinstance(told.customer, str):
        found = shop.customers.find(told.customer)
        if found is None:
            raise Unavailable(f"there is no customer {told.customer}")
        return found
    wanted = dict(told.customer or {})
    email = wanted.get("email") or told.email
    if not email and not wanted:
        return None
    found = shop.customers.find(email) if email else None
    if found is not None:
        return found
    made = shop.customers.create({**wanted, "email": email})
    if told.shipping_address:
        shop.customers.add_address(made["id"], told.shipping_address, default=True)
    return shop.store.get(made["id"])


def _empty(shop: Shop, told: Checkout, basket: Basket, customer: Doc | None, number: int) -> dict[str, Any]:
    now = shop.store.now_text()
    shipping = shop.customers.address(told.shipping_address) if told.shipping_address else None
    billing = shop.customers.address(told.billing_address) if told.billing_address else shipping
    return {
        "name": f"#{number}", "number": number, "processedAt": now, "cancelledAt": None, "cancelReason": None,
        "closed": False, "closedAt": None, "confirmed": True, "test": False,
        "email": told.email or (customer or {}).get("email"), "phone": told.phone, "note": told.note,
        "tags": sorted(told.tags), "poNumber": None, "sourceIdentifier": told.source, "sourceName": "web",
        "customAttributes": told.attributes, "currencyCode": basket.currency,
        "presentmentCurrencyCode": basket.presentment, "taxesIncluded": basket.taxes_included, "taxExempt": False,
        "edited": False, "customer": (customer or {}).get("id"), "billingAddress": billing,
        "shippingAddress": shipping, "lineItems": [], "transactions": [], "fulfillments": [],
        "fulfillmentOrders": [], "refunds": [], "paymentGatewayNames": [told.gateway],
        "displayFulfillmentStatus": "UNFULFILLED", "displayFinancialStatus": "PENDING",
        "_basket": keep_basket(basket),
    }  # fmt: skip
