"""What every field of the schema answers: most are in the document, the others are computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from graphql import GraphQLResolveInfo, get_named_type, is_composite_type

from . import metafields
from .connections import connection
from .errors import top_level
from .money import Currencies, amount_text
from .ordering import payments
from .search import matching
from .service import Shop
from .settings import VERSION
from .store import Doc, gid, kind_of, number_of

Resolve = Callable[[Shop, Any, dict[str, Any]], Any]

SCOPES: Mapping[str, str] = {
    "orders": "read_orders", "order": "read_orders", "orderByIdentifier": "read_orders",
    "customers": "read_customers", "customer": "read_customers", "customerByIdentifier": "read_customers",
    "products": "read_products", "product": "read_products", "productVariants": "read_products",
    "productVariant": "read_products", "productByIdentifier": "read_products",
    "productVariantByIdentifier": "read_products", "inventoryItems": "read_inventory",
    "inventoryItem": "read_inventory", "locations": "read_locations", "location": "read_locations",
    "metaobjectByHandle": "read_metaobjects", "metaobjectDefinitionByType": "read_metaobject_definitions",
}  # fmt: skip
_VERSION = {"handle": VERSION, "displayName": VERSION, "supported": True}
_NODE_SCOPES = {
    "Order": "read_orders", "Customer": "read_customers", "Product": "read_products",
    "ProductVariant": "read_products", "InventoryItem": "read_inventory", "InventoryLevel": "read_inventory",
    "Fulfillment": "read_orders", "Refund": "read_orders", "LineItem": "read_orders", "Location": "read_locations",
}  # fmt: skip


def denied(field: str, scope: str) -> Exception:
    """What a missing scope is answered."""
    return top_level(f"Access denied for {field} field. Required access: `{scope}` access scope.", "ACCESS_DENIED")


def resolve_field(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """The value of any field that is no mutation."""
    shop: Shop = info.context
    parent, name = info.parent_type.name, info.field_name
    if parent == "QueryRoot" and name in SCOPES and SCOPES[name] not in shop.switches.scopes:
        raise denied(name, SCOPES[name])
    special = RESOLVERS.get((parent, name))
    if special is not None:
        value = special(shop, source, arguments)
    elif name == "legacyResourceId":
        value = str(number_of(source["id"]))
    elif name == "metafield" and "id" in source:
        value = metafields.of(shop.store, source["id"], arguments.get("namespace") or "$app", arguments["key"])
    else:
        value = source.get(name)
    return dereferenced(shop, value, info.return_type, arguments)


def dereferenced(shop: Shop, value: Any, kind: Any, arguments: Mapping[str, Any]) -> Any:
    """Documents in place of their global ids, pages in place of lists."""
    named = get_named_type(kind)
    if not is_composite_type(named):
        return value
    if named.name.endswith("Connection") and isinstance(value, list):
        return connection([_loaded(shop, one) for one in value], arguments)
    if isinstance(value, list):
        found = [_loaded(shop, one) for one in value]
        return found[: arguments["first"]] if arguments.get("first") is not None else found
    return _loaded(shop, value)


def _loaded(shop: Shop, value: Any) -> Any:
    return shop.store.get(value) if isinstance(value, str) else value


def type_of(value: Any, info: GraphQLResolveInfo[Any], abstract: Any) -> str:
    """The type behind an interface or union."""
    return str(value.get("__typename") or kind_of(value["id"]))


def _listed(kind: str) -> Resolve:
    """A root list: searched, sorted, paged."""
    places: Mapping[str, Callable[[Doc], str | int]] = {
        "UPDATED_AT": lambda doc: str(doc["updatedAt"]),
        "CREATED_AT": lambda doc: str(doc["createdAt"]),
        "PROCESSED_AT": lambda doc: str(doc.get("processedAt") or doc["createdAt"]),
        "TITLE": lambda doc: str(doc.get("title") or ""),
        "NAME": lambda doc: str(doc.get("name") or doc.get("lastName") or ""),
        "SKU": lambda doc: str(doc.get("sku") or ""),
    }

    def resolve(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
        docs = _searched(shop, shop.store.all(kind), arguments.get("query"))
        place = places.get(str(arguments.get("sortKey")), lambda doc: number_of(doc["id"]))
        return connection(docs, arguments, place=place)

    return resolve


def _searched(shop: Shop, docs: list[Doc], query: str | None) -> list[Doc]:
    lag = shop.switches.index_lag
    unseen = shop.store.stamp() - int(lag * 1_000_000) if lag else None
    return matching(query, shop.store, docs, unseen_after=unseen)


def _node(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    return _by_id(shop, arguments["id"])


def _nodes(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    ids = arguments["ids"]
    if len(ids) > 250:
        message = f"The input array size of {len(ids)} is greater than the maximum allowed of 250."
        raise top_level(message, "MAX_INPUT_SIZE_EXCEEDED")
    return [_by_id(shop, text) for text in ids]


def _by_id(shop: Shop, text: str) -> Doc | None:
    kind = kind_of(text)
    if not kind:
        raise top_level(f"Invalid global id '{text}'", "argumentLiteralsIncompatible")
    scope = _NODE_SCOPES.get(kind)
    if scope is not None and scope not in shop.switches.scopes:
        raise denied(kind[:1].lower() + kind[1:], scope)
    return shop.store.get(text)


def _one(kind: str) -> Resolve:
    def resolve(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
        found = shop.store.get(arguments.get("id"))
        return found if found is not None and kind_of(found["id"]) == kind else None

    return resolve


def _location(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    return shop.store.get(arguments["id"]) if arguments.get("id") else shop.store.all("Location")[0]


def _identified(kind: str) -> Resolve:
    def resolve(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
        told = arguments["identifier"]
        if told.get("customId"):
            return metafields.by_custom_id(shop.store, kind, told["customId"])
        if told.get("id"):
            return shop.store.get(told["id"])
        if told.get("handle"):
            return next((one for one in shop.store.all(kind) if one.get("handle") == told["handle"]), None)
        name = told.get("emailAddress") or told.get("phoneNumber")
        return shop.customers.find(name) if name and kind == "Customer" else None

    return resolve


def _definitions(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    found = [
        one
        for one in shop.store.all("MetafieldDefinition")
        if one["ownerType"] == arguments["ownerType"]
        and arguments.get("namespace") in (None, one["namespace"])
        and arguments.get("key") in (None, one["key"])
    ]
    return connection(found, arguments)


def _metaobject(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    told = arguments["handle"]
    wanted = (told["type"], told["handle"])
    return next((one for one in shop.store.all("Metaobject") if (one["type"], one["handle"]) == wanted), None)


def _metaobject_definition(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    found = shop.store.all("MetaobjectDefinition")
    return next((one for one in found if one["type"] == arguments["type"]), None)


def _subscriptions(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    topics, uri = arguments.get("topics"), arguments.get("uri")
    found = [
        one
        for one in shop.store.all("WebhookSubscription")
        if (not topics or one["topic"] in topics) and uri in (None, one["uri"])
    ]
    return connection(_searched(shop, found, arguments.get("query")), arguments)


def _shop(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    return {
        "id": gid("Shop", 1), "name": "Sandbox shop", "email": "owner@example.org",
        "myshopifyDomain": shop.settings.domain, "currencyCode": shop.settings.currency, "taxesIncluded": False,
        "ianaTimezone": "Etc/UTC", "enabledPresentmentCurrencies": [shop.settings.currency],
        "plan": {"publicDisplayName": "Sandbox", "shopifyPlus": False, "partnerDevelopment": True},
    }  # fmt: skip


def _level(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    if "locationId" in arguments:
        return shop.stock.level(source["id"], arguments["locationId"])
    return shop.stock.level(arguments["inventoryItemId"], source["id"])


def _levels(side: str) -> Resolve:
    def resolve(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
        found = [one for one in shop.store.all("InventoryLevel") if one[side] == source["id"]]
        return connection(
            _searched(shop, found, arguments.get("query")), arguments, place=lambda doc: number_of(doc["item"])
        )

    return resolve


def _quantities(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    return [
        {
            "id": f"gid://shopify/InventoryQuantity/{number_of(source['location'])}{number_of(source['item'])}?name={name}",
            "name": name,
            "quantity": source["counts"][name],
            "updatedAt": source["updatedAt"],
        }
        for name in arguments["names"]
        if name in source["counts"]
    ]


def _spent(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    total = Decimal(0)
    for order in shop.store.all("Order"):
        if order["customer"] == source["id"]:
            received, back, _ = payments(shop, order)
            total += received.shop - back.shop
    return {"amount": amount_text(total), "currencyCode": shop.settings.currency}


def _display_name(shop: Shop, source: Any, arguments: dict[str, Any]) -> str:
    names = [source.get("firstName"), source.get("lastName")]
    return " ".join(name for name in names if name) or source.get("email") or source.get("phone") or ""


def _variants_of(shop: Shop, source: Any) -> list[Doc]:
    return [one for one in map(shop.store.get, source["variants"]) if one is not None]


def _quantity(shop: Shop, source: Any, arguments: dict[str, Any]) -> int:
    return shop.stock.available(source["inventoryItem"])


def _for_sale(shop: Shop, source: Any, arguments: dict[str, Any]) -> bool:
    item = source["inventoryItem"]
    sells_on = source["inventoryPolicy"] == "CONTINUE" or not shop.tracked(item)
    return sells_on or shop.stock.available(item) > 0


def _application(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    order = shop.store.get(source["order"]) or {}
    return order["discountApplications"][source["application"]]


def _shipped_total(name: str) -> Resolve:
    """What falls on the shipped part of a line."""

    def resolve(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
        line = shop.store.get(source["lineItem"]) or {}
        told = line[name]
        money = Currencies(told["shopMoney"]["currencyCode"], told["presentmentMoney"]["currencyCode"])
        share = Decimal(source["quantity"]) / line["quantity"] if line["quantity"] else Decimal(0)
        return money.read(told).times(share).told()

    return resolve


def _metaobject_field(shop: Shop, source: Any, arguments: dict[str, Any]) -> Any:
    return next((one for one in source["fields"] if one["key"] == arguments["key"]), None)


def _of(value: Any) -> Resolve:
    return lambda shop, source, arguments: value


def _under(name: str) -> Resolve:
    return lambda shop, source, arguments: source[name]


RESOLVERS: Mapping[tuple[str, str], Resolve] = {
    **{("QueryRoot", name): _listed(kind) for name, kind in (
        ("orders", "Order"), ("customers", "Customer"), ("products", "Product"),
        ("productVariants", "ProductVariant"), ("inventoryItems", "InventoryItem"), ("locations", "Location"))},
    **{("QueryRoot", name): _one(kind) for name, kind in (
        ("order", "Order"), ("customer", "Customer"), ("product", "Product"), ("productVariant", "ProductVariant"),
        ("inventoryItem", "InventoryItem"))},
    **{("QueryRoot", f"{name}ByIdentifier"): _identified(kind) for name, kind in (
        ("customer", "Customer"), ("product", "Product"), ("productVariant", "ProductVariant"), ("order", "Order"))},
    ("QueryRoot", "location"): _location,
    ("QueryRoot", "node"): _node,
    ("QueryRoot", "nodes"): _nodes,
    ("QueryRoot", "shop"): _shop,
    ("QueryRoot", "currentAppInstallation"): lambda shop, source, arguments: {
        "id": gid("AppInstallation", 1),
        "accessScopes": [{"handle": scope, "description": scope.replace("_", " ")} for scope in shop.switches.scopes],
    },
    ("QueryRoot", "webhookSubscriptions"): _subscriptions,
    ("QueryRoot", "metafieldDefinitions"): _definitions,
    ("QueryRoot", "metaobjectByHandle"): _metaobject,
    ("QueryRoot", "metaobjectDefinitionByType"): _metaobject_definition,
    ("QueryRoot", "job"): lambda shop, source, arguments: {"id": arguments["id"], "done": True},
    ("QueryRoot", "publicApiVersions"): _of([_VERSION]),
    ("Customer", "displayName"): _display_name,
    ("Customer", "defaultEmailAddress"): lambda shop, source, arguments: (
        {"emailAddress": source["email"], "validFormat": True} if source.get("email") else None),
    ("Customer", "defaultPhoneNumber"): lambda shop, source, arguments: (
        {"phoneNumber": source["phone"]} if source.get("phone") else None),
    ("Customer", "addressesV2"): _under("addresses"),
    ("Customer", "verifiedEmail"): _of(True),
    ("Customer", "taxExemptions"): _of([]),
    ("Customer", "amountSpent"): _spent,
    ("Customer", "numberOfOrders"): lambda shop, source, arguments: str(
        sum(1 for one in shop.store.all("Order") if one["customer"] == source["id"])),
    ("Product", "hasOnlyDefaultVariant"): lambda shop, source, arguments: [
        one["title"] for one in _variants_of(shop, source)] == ["Default Title"],
    ("Product", "totalInventory"): lambda shop, source, arguments: sum(
        shop.stock.available(one["inventoryItem"]) for one in _variants_of(shop, source)),
    ("Product", "tracksInventory"): lambda shop, source, arguments: any(
        shop.tracked(one["inventoryItem"]) for one in _variants_of(shop, source)),
    ("ProductVariant", "displayName"): lambda shop, source, arguments: (
        f"{(shop.store.get(source['product']) or {}).get('title')} - {source['title']}"),
    ("ProductVariant", "inventoryQuantity"): _quantity,
    ("ProductVariant", "availableForSale"): _for_sale,
    ("InventoryItem", "inventoryLevel"): _level,
    ("InventoryItem", "inventoryLevels"): _levels("item"),
    ("Location", "inventoryLevel"): _level,
    ("Location", "inventoryLevels"): _levels("location"),
    ("Location", "fulfillsOnlineOrders"): _of(True),
    ("Location", "shipsInventory"): _of(True),
    ("Location", "address"): _of({}),
    ("InventoryLevel", "quantities"): _quantities,
    ("DiscountAllocation", "discountApplication"): _application,
    ("FulfillmentOrder", "lineItems"): _under("lines"),
    ("FulfillmentOrder", "assignedLocation"): lambda shop, source, arguments: {
        "name": (shop.store.get(source["location"]) or {}).get("name"), "location": source["location"]},
    ("Fulfillment", "fulfillmentLineItems"): _under("lines"),
    ("FulfillmentLineItem", "originalTotalSet"): _shipped_total("originalTotalSet"),
    ("FulfillmentLineItem", "discountedTotalSet"): _shipped_total("discountedTotalSet"),
    ("Refund", "refundLineItems"): _under("lines"),
    ("Refund", "refundShippingLines"): _under("shipping"),
    ("ProductCreatePayload", "shop"): _shop,
    ("Metaobject", "field"): _metaobject_field,
    ("WebhookSubscription", "apiVersion"): _of(_VERSION),
}  # fmt: skip
"""Type and field → its value, where the document does not hold it under that name."""
