"""The sandbox's own switches under /sandbox, behind the admin key: shoppers, the shop's people, faults, counts."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from . import aftersales, shoppers
from .errors import Refused, Unavailable
from .faults import Fault
from .service import Shop
from .store import Doc, gid, kind_of, number_of

Switch = Callable[[Shop, dict[str, Any]], Any]


def _order(shop: Shop, told: Mapping[str, Any]) -> Doc:
    """The order that is named by its id, its number or its name."""
    name = str(told["order"])
    for one in shop.store.all("Order"):
        if name in (one["id"], str(number_of(one["id"])), one["name"]):
            return one
    raise ValueError(f"there is no order {name}")


def _checkout(shop: Shop, told: dict[str, Any]) -> Any:
    """Place an order as a shopper does; 409 when something is sold out. Answers the order."""
    return _shown(shop, shoppers.check_out(shop, msgspec.convert(told, shoppers.Checkout, strict=False)))


def _edit(shop: Shop, told: dict[str, Any]) -> Any:
    """Change the quantities of an `order`, or add lines."""
    order = _order(shop, told)
    given = {name: value for name, value in told.items() if name != "order"}
    return _shown(shop, shoppers.edit_order(shop, order, msgspec.convert(given, shoppers.Edit, strict=False)))


def _capture(shop: Shop, told: dict[str, Any]) -> Any:
    """Capture an authorised `order`, or the `amount` of it."""
    amount = Decimal(str(told["amount"])) if told.get("amount") is not None else None
    return _shown(shop, shoppers.capture(shop, _order(shop, told), amount))


def _cancel(shop: Shop, told: dict[str, Any]) -> Any:
    """Cancel an `order` for a `reason`; `restock` and `refund` unless told otherwise."""
    reason, restock, refund = told.get("reason", "CUSTOMER"), told.get("restock", True), told.get("refund", True)
    return _shown(shop, aftersales.cancel(shop, _order(shop, told), reason, restock=restock, refund=refund))


def _refund(shop: Shop, told: dict[str, Any]) -> Any:
    """Refund `lines` (SKU → quantity) of an `order`, the `amount`, and all of the shipping with `shipping`."""
    order = _order(shop, told)
    lines = {line["sku"] or line["id"]: line for line in map(shop.store.get, order["lineItems"]) if line is not None}
    kind = told.get("restock", "RETURN")
    given: dict[str, Any] = {
        "orderId": order["id"],
        "note": told.get("note"),
        "refundLineItems": [
            {"lineItemId": lines[name]["id"], "quantity": count, "restockType": kind}
            for name, count in dict(told.get("lines") or {}).items()
        ],
    }
    if told.get("shipping"):
        given["shipping"] = {"fullRefund": True}
    if told.get("amount") is not None:
        paid = [one for one in map(shop.store.get, order["transactions"]) if one and one["kind"] in ("SALE", "CAPTURE")]
        parent = paid[0]["id"] if paid else None
        given["transactions"] = [
            {
                "amount": str(told["amount"]),
                "gateway": "bogus",
                "kind": "REFUND",
                "orderId": order["id"],
                "parentId": parent,
            }
        ]
    return _shown(shop, aftersales.refund(shop, given)[1])


def _fulfil(shop: Shop, told: dict[str, Any]) -> Any:
    """Ship everything that is open of an `order`, as people do in Shopify's admin."""
    order = _order(shop, told)
    groups = [
        {"fulfillmentOrderId": one["id"]}
        for one in map(shop.store.get, order["fulfillmentOrders"])
        if one is not None and one["status"] in ("OPEN", "IN_PROGRESS")
    ]
    return _shown(
        shop, aftersales.fulfil(shop, {"lineItemsByFulfillmentOrder": groups, "trackingInfo": told.get("tracking")})
    )


def _product(shop: Shop, told: dict[str, Any]) -> Any:
    """Make a product with `title`, `sku`, `price`, `available` and more of a variant, as people would."""
    variant: dict[str, Any] = {
        name: told[name]
        for name in ("price", "barcode", "taxable", "inventoryPolicy", "compareAtPrice")
        if name in told
    }
    variant["inventoryItem"] = {
        name: told[name] for name in ("sku", "tracked", "cost", "requiresShipping") if name in told
    }
    if "available" in told:
        location = told.get("location") or shop.store.all("Location")[0]["id"]
        variant["inventoryQuantities"] = [{"locationId": location, "availableQuantity": told["available"]}]
    texts = ("title", "vendor", "productType", "status", "tags", "descriptionHtml", "handle")
    given: dict[str, Any] = {name: told[name] for name in texts if name in told}
    made = shop.catalogue.create({**given, "variants": [variant]})
    return _shown(shop, made)


def _customer(shop: Shop, told: dict[str, Any]) -> Any:
    """Make a customer, or change the one with this `id`, as people would."""
    if told.get("id"):
        return _shown(shop, shop.customers.change(_full(told["id"], "Customer"), told))
    return _shown(shop, shop.customers.create(told))


def _stock(shop: Shop, told: dict[str, Any]) -> Any:
    """Set what is available of a `sku`, at a `location` or the first one."""
    variant = shop.variant(told["sku"], None)
    if variant is None:
        raise ValueError(f"there is no SKU {told['sku']}")
    item, location = variant["inventoryItem"], told.get("location") or shop.store.all("Location")[0]["id"]
    level = shop.stock.level(item, location) or shop.stock.activate(item, location)
    return _shown(
        shop, shop.stock.move(item, location, available=int(told["available"]) - level["counts"]["available"])
    )


def _delete(shop: Shop, told: dict[str, Any]) -> Any:
    """Remove a customer, product or order for good, by its global `id`; a webhook tells."""
    text = str(told["id"])
    found = shop.store.get(text)
    if found is None:
        raise ValueError(f"there is no {text}")
    shop.store.remove(text)
    for one in shop.store.all("Metafield"):
        if one["owner"] == text:
            shop.store.remove(one["id"])
    bare = {"id": text, "createdAt": found["createdAt"], "updatedAt": shop.store.now_text()}
    shop.tell(f"{kind_of(text).upper()}S_DELETE", bare)
    return {"id": text}


def _all(shop: Shop, told: dict[str, Any]) -> Any:
    """Every document of one `kind`, like Order, or only their number with `count`."""
    found = shop.store.all(str(told["kind"]))
    return {"count": len(found)} if told.get("count") else [_shown(shop, one) for one in found]


def _reset(shop: Shop, told: dict[str, Any]) -> Any:
    """Empty everything."""
    shop.reset()
    return {"ok": True}


def _settings(shop: Shop, told: dict[str, Any]) -> Any:
    return msgspec.to_builtins(shop.switches)


def _switch(shop: Shop, told: dict[str, Any]) -> Any:
    return msgspec.to_builtins(shop.switch(told))


def _faults(shop: Shop, told: dict[str, Any]) -> Any:
    return shop.faults.told()


def _add_fault(shop: Shop, told: dict[str, Any]) -> Any:
    return msgspec.to_builtins(shop.faults.add(msgspec.convert(told, Fault)))


def _drop_faults(shop: Shop, told: dict[str, Any]) -> Any:
    """Switch the fault `id` off; all of them and their counts without an id."""
    if "id" not in told:
        shop.faults.clear()
    elif not shop.faults.remove(int(told["id"])):
        raise ValueError(f"there is no fault {told['id']}")
    return shop.faults.told()


def _calls(shop: Shop, told: dict[str, Any]) -> Any:
    return shop.counters()


def _deliveries(shop: Shop, told: dict[str, Any]) -> Any:
    """The last tries of webhook deliveries, oldest first, and what still waits."""
    return {"log": list(shop.dispatcher.log), **shop.outbox.counts()}


SWITCHES: tuple[tuple[str, str, Switch], ...] = (
    ("POST", "checkout", _checkout),
    ("POST", "edit", _edit),
    ("POST", "capture", _capture),
    ("POST", "cancel", _cancel),
    ("POST", "refund", _refund),
    ("POST", "fulfil", _fulfil),
    ("POST", "product", _product),
    ("POST", "customer", _customer),
    ("POST", "stock", _stock),
    ("POST", "delete", _delete),
    ("GET", "all", _all),
    ("POST", "reset", _reset),
    ("GET", "settings", _settings),
    ("PUT", "settings", _switch),
    ("GET", "faults", _faults),
    ("POST", "faults", _add_fault),
    ("DELETE", "faults", _drop_faults),
    ("GET", "calls", _calls),
    ("GET", "deliveries", _deliveries),
)
"""Method, name and what it does. Arguments come as a JSON object, for GET and DELETE as query parameters too."""

_OUTSIDE = (_reset, _switch)
"""These open transactions of their own, or need none."""


def routes(shop: Shop) -> list[web.RouteDef]:
    """The routes."""
    found = [web.route(verb, f"/sandbox/{name}", _guarded(shop, switch)) for verb, name, switch in SWITCHES]
    return [*found, web.get("/health", _health)]


async def _health(request: web.Request) -> web.Response:
    return _answer({"status": "ok"})


def _guarded(shop: Shop, switch: Switch) -> Callable[[web.Request], Awaitable[web.Response]]:
    expected = shop.settings.admin_key.encode()

    async def respond(request: web.Request) -> web.Response:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), expected):
            return _answer({"error": "The sandbox's admin key is needed as a bearer token."}, 401)
        body = await request.read()
        try:
            told = msgspec.json.decode(body) if body else dict(request.query)
            if switch in _OUTSIDE:
                return _answer(switch(shop, told))
            with shop.store.transaction():
                found = switch(shop, told)
            return _answer(found)
        except Unavailable as error:
            return _answer({"error": str(error)}, 409)
        except (KeyError, TypeError, ValueError, Refused, msgspec.MsgspecError) as error:
            missing = f"{error.args[0]} must be given" if isinstance(error, KeyError) else str(error)
            return _answer({"error": missing}, 400)

    return respond


def _answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _full(text: Any, kind: str) -> str:
    return str(text) if kind_of(str(text)) else gid(kind, str(text))


def _shown(shop: Shop, doc: Doc) -> dict[str, Any]:
    """A document with its number and the id of another system that it carries; nothing hidden inside."""
    out = {name: value for name, value in doc.items() if not name.startswith("_")}
    found = [one for one in shop.store.all("Metafield") if one["owner"] == doc["id"]]
    return out | {
        "number_id": number_of(doc["id"]),
        "metafields": {f"{one['namespace']}.{one['key']}": one["value"] for one in found},
    }
