"""Every mutation: what it does, which scope it needs, and how it is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from graphql import GraphQLResolveInfo, get_named_type, value_from_ast_untyped

from . import aftersales, metafields
from .errors import Refused, top_level
from .resolving import denied, dereferenced
from .service import Shop
from .store import Doc, gid, kind_of

Perform = Callable[[Shop, Mapping[str, Any]], dict[str, Any]]

NEED_KEY = ("inventorySetQuantities", "inventoryAdjustQuantities", "inventoryActivate", "refundCreate")
"""These take an @idempotent key, and are refused without one."""


def _customer_create(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    if told["input"].get("id"):
        raise Refused("Cannot specify ID on creation", "id")
    return {"customer": shop.customers.create(told["input"])["id"]}


def _customer_update(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return {"customer": shop.customers.change(told["input"].get("id"), told["input"])["id"]}


def _customer_set(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    """Change the customer that the identifier leads to, or make one; a custom id is kept as its metafield."""
    given, by = told["input"], told.get("identifier") or {}
    found: Doc | None = None
    custom = by.get("customId")
    if custom:
        found = metafields.by_custom_id(shop.store, "Customer", custom)
        if found is None:
            given = {**given, "metafields": [{**custom, "type": "id"}]}
    elif by:
        found = shop.customers.find(str(by.get("id") or by.get("email") or by.get("phone")))
    if found is None:
        return {"customer": shop.customers.create(given)["id"]}
    return {"customer": shop.customers.change(found["id"], given)["id"]}


def _address_create(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    made = shop.customers.add_address(told["customerId"], told["address"], default=bool(told.get("setAsDefault")))
    shop.customers.told(told["customerId"])
    return {"address": made["id"]}


def _address_update(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    default = bool(told.get("setAsDefault"))
    made = shop.customers.change_address(told["customerId"], told["addressId"], told["address"], default=default)
    shop.customers.told(told["customerId"])
    return {"address": made["id"]}


def _product_create(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return {"product": shop.catalogue.create(told["product"])["id"], "shop": {}}


def _product_set(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    """Make a product, or change the texts of the one that the identifier leads to."""
    given, by = told["input"], told.get("identifier") or {}
    found: Doc | None = None
    if by.get("customId"):
        found = metafields.by_custom_id(shop.store, "Product", by["customId"])
        if found is None:
            given = {**given, "metafields": [*(given.get("metafields") or ()), {**by["customId"], "type": "id"}]}
    elif by.get("id") or given.get("id"):
        found = shop.store.get(by.get("id") or given["id"])
        if found is None:
            raise Refused("Product does not exist", "input", "id", code="PRODUCT_DOES_NOT_EXIST")
    elif by.get("handle"):
        found = next((one for one in shop.store.all("Product") if one["handle"] == by["handle"]), None)
    if found is None:
        return {"product": shop.catalogue.create(given, field="input")["id"]}
    return {"product": shop.catalogue.change(found["id"], given, field="input")["id"]}


def _product_update(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    given = told.get("product") or {}
    return {"product": shop.catalogue.change(given.get("id"), given)["id"]}


def _variants_create(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    product, made = shop.catalogue.add_variants(told["productId"], told["variants"])
    return {"product": product["id"], "productVariants": [one["id"] for one in made]}


def _variants_update(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    product, changed = shop.catalogue.change_variants(told["productId"], told["variants"])
    return {"product": product["id"], "productVariants": [one["id"] for one in changed]}


def _set_quantities(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    given = told["input"]
    return _adjusted(shop, given, given["name"], shop.stock.set(given["name"], given["quantities"]))


def _adjust_quantities(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    given = told["input"]
    return _adjusted(shop, given, given["name"], shop.stock.adjust(given["name"], given["changes"]))


def _adjusted(shop: Shop, given: Mapping[str, Any], name: str, levels: list[Doc]) -> dict[str, Any]:
    changes = [
        {
            "name": name,
            "delta": 0,
            "quantityAfterChange": one["counts"][name],
            "item": one["item"],
            "location": one["location"],
        }
        for one in levels
    ]
    group = {
        "id": gid("InventoryAdjustmentGroup", shop.store.new_number()), "reason": given["reason"],
        "createdAt": shop.store.now_text(), "referenceDocumentUri": given.get("referenceDocumentUri"),
        "changes": changes,
    }  # fmt: skip
    return {"inventoryAdjustmentGroup": group}


def _activate(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    for name, kind in (("inventoryItemId", "InventoryItem"), ("locationId", "Location")):
        if shop.store.get(told[name]) is None or kind_of(told[name]) != kind:
            raise Refused(f"{kind} does not exist", name)
    if shop.stock.level(told["inventoryItemId"], told["locationId"]) is not None and told.get("available") is not None:
        raise Refused(
            "Not allowed to set available quantity when the item is already active at the location.", "available"
        )
    level = shop.stock.activate(told["inventoryItemId"], told["locationId"], told.get("available") or 0)
    return {"inventoryLevel": level["id"]}


def _fulfil(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return {"fulfillment": aftersales.fulfil(shop, told["fulfillment"])["id"]}


def _fulfil_cancel(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return {"fulfillment": aftersales.cancel_fulfilment(shop, told["id"])["id"]}


def _track(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return {"fulfillment": aftersales.track(shop, told["fulfillmentId"], told["trackingInfoInput"])["id"]}


def _refund(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    order, made = aftersales.refund(shop, told["input"])
    return {"order": order["id"], "refund": made["id"]}


def _order(shop: Shop, text: str, *field: str) -> Doc:
    found = shop.store.get(text)
    if found is None or kind_of(text) != "Order":
        raise Refused("Order does not exist", *field, code="NOT_FOUND")
    return found


def _cancel(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    order = _order(shop, told["orderId"], "orderId")
    method = told.get("refundMethod") or {}
    back = bool(told.get("refund") or method.get("originalPaymentMethodsRefund"))
    aftersales.cancel(shop, order, told["reason"], restock=told["restock"], refund=back)
    return {"job": {"id": gid("Job", shop.store.new_number()), "done": False}}


def _order_update(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    given = told["input"]
    order = _order(shop, given["id"], "id")
    values = {name: given[name] or None for name in ("email", "phone", "note", "poNumber") if name in given}
    if given.get("tags") is not None:
        values["tags"] = sorted({tag.strip() for tag in given["tags"] if tag.strip()})
    if given.get("customAttributes") is not None:
        values["customAttributes"] = given["customAttributes"]
    if given.get("shippingAddress") is not None:
        old = order["shippingAddress"] or {}
        merged = {**old, "countryCode": old.get("countryCodeV2"), **given["shippingAddress"]}
        values["shippingAddress"] = shop.customers.address(merged)
    order = shop.store.changed(order, **values)
    metafields.put(shop.store, order["id"], given.get("metafields"), "metafields")
    shop.tell("ORDERS_UPDATED", order)
    return {"order": order["id"]}


def _close(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return _closed(shop, told, closed=True)


def _open(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return _closed(shop, told, closed=False)


def _closed(shop: Shop, told: Mapping[str, Any], *, closed: bool) -> dict[str, Any]:
    order = _order(shop, told["input"]["id"], "id")
    at = shop.store.now_text() if closed else None
    order = shop.store.changed(order, closed=closed, closedAt=at)
    shop.tell("ORDERS_UPDATED", order)
    return {"order": order["id"]}


def _tags_add(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return _tagged(shop, told, add=True)


def _tags_remove(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return _tagged(shop, told, add=False)


def _tagged(shop: Shop, told: Mapping[str, Any], *, add: bool) -> dict[str, Any]:
    found = shop.store.get(told["id"])
    if found is None or "tags" not in found:
        raise Refused("Node does not exist", "id")
    tags = set(found["tags"])
    tags = tags | set(told["tags"]) if add else tags - set(told["tags"])
    found = shop.store.changed(found, tags=sorted(tags))
    shop.tell(f"{kind_of(found['id']).upper()}S_{'UPDATED' if kind_of(found['id']) == 'Order' else 'UPDATE'}", found)
    return {"node": found["id"]}


def _metafields_set(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    kept = []
    for place, one in enumerate(told["metafields"]):
        if shop.store.get(one["ownerId"]) is None:
            raise Refused("Owner does not exist.", "metafields", str(place), "ownerId", code="INVALID")
        metafields.put(shop.store, one["ownerId"], [one], "metafields")
        kept.append(metafields.of(shop.store, one["ownerId"], one.get("namespace") or "$app", one["key"]))
    return {"metafields": kept}


def _define_metafield(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return {"createdDefinition": metafields.define(shop.store, told["definition"])["id"]}


def _define_metaobject(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    given = told["definition"]
    if any(one["type"] == given["type"] for one in shop.store.all("MetaobjectDefinition")):
        raise Refused("Type has already been taken", "definition", "type", code="TAKEN")
    fields = [
        {
            "key": one["key"],
            "name": one.get("name") or one["key"],
            "required": bool(one.get("required")),
            "type": {"name": one["type"]},
        }
        for one in given.get("fieldDefinitions") or ()
    ]
    made = shop.store.add(
        "MetaobjectDefinition",
        {"name": given.get("name") or given["type"], "type": given["type"], "fieldDefinitions": fields},
    )
    return {"metaobjectDefinition": made["id"]}


def _metaobject_upsert(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    kind, handle = told["handle"]["type"], told["handle"]["handle"]
    defined = next((one for one in shop.store.all("MetaobjectDefinition") if one["type"] == kind), None)
    if defined is None:
        raise Refused(
            f'No metaobject definition exists for type "{kind}"', "handle", "type", code="UNDEFINED_OBJECT_TYPE"
        )
    types = {one["key"]: one["type"]["name"] for one in defined["fieldDefinitions"]}
    given = {one["key"]: one["value"] for one in told["metaobject"].get("fields") or ()}
    for name in given:
        if name not in types:
            raise Refused(
                f'Field definition "{name}" does not exist', "metaobject", "fields", code="UNDEFINED_OBJECT_FIELD"
            )
    old = next((one for one in shop.store.all("Metaobject") if (one["type"], one["handle"]) == (kind, handle)), None)
    kept = {one["key"]: one["value"] for one in (old or {}).get("fields", ())} | given
    fields = [{"key": name, "type": types[name], "value": kept.get(name)} for name in types]
    values = {"type": kind, "handle": handle, "displayName": handle, "fields": fields}
    made = shop.store.changed(old, **values) if old is not None else shop.store.add("Metaobject", values)
    return {"metaobject": made["id"]}


def _hook_create(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return {"webhookSubscription": shop.hooks.subscribe(told["topic"], told["webhookSubscription"])["id"]}


def _hook_update(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    return {"webhookSubscription": shop.hooks.change(told["id"], told["webhookSubscription"])["id"]}


def _hook_delete(shop: Shop, told: Mapping[str, Any]) -> dict[str, Any]:
    shop.hooks.drop(told["id"])
    return {"deletedWebhookSubscriptionId": told["id"]}


_CUSTOMERS, _PRODUCTS, _ORDERS, _INVENTORY = "write_customers", "write_products", "write_orders", "write_inventory"
_FULFIL = "write_merchant_managed_fulfillment_orders"
MUTATIONS: Mapping[str, tuple[str | None, Perform]] = {
    "customerCreate": (_CUSTOMERS, _customer_create),
    "customerUpdate": (_CUSTOMERS, _customer_update),
    "customerSet": (_CUSTOMERS, _customer_set),
    "customerAddressCreate": (_CUSTOMERS, _address_create),
    "customerAddressUpdate": (_CUSTOMERS, _address_update),
    "productCreate": (_PRODUCTS, _product_create),
    "productSet": (_PRODUCTS, _product_set),
    "productUpdate": (_PRODUCTS, _product_update),
    "productVariantsBulkCreate": (_PRODUCTS, _variants_create),
    "productVariantsBulkUpdate": (_PRODUCTS, _variants_update),
    "inventorySetQuantities": (_INVENTORY, _set_quantities),
    "inventoryAdjustQuantities": (_INVENTORY, _adjust_quantities),
    "inventoryActivate": (_INVENTORY, _activate),
    "fulfillmentCreate": (_FULFIL, _fulfil),
    "fulfillmentCancel": (_FULFIL, _fulfil_cancel),
    "fulfillmentTrackingInfoUpdate": (_FULFIL, _track),
    "refundCreate": (_ORDERS, _refund),
    "orderCancel": (_ORDERS, _cancel),
    "orderUpdate": (_ORDERS, _order_update),
    "orderClose": (_ORDERS, _close),
    "orderOpen": (_ORDERS, _open),
    "tagsAdd": (None, _tags_add),
    "tagsRemove": (None, _tags_remove),
    "metafieldsSet": (None, _metafields_set),
    "metafieldDefinitionCreate": (None, _define_metafield),
    "metaobjectUpsert": ("write_metaobjects", _metaobject_upsert),
    "metaobjectDefinitionCreate": ("write_metaobject_definitions", _define_metaobject),
    "webhookSubscriptionCreate": (None, _hook_create),
    "webhookSubscriptionUpdate": (None, _hook_update),
    "webhookSubscriptionDelete": (None, _hook_delete),
}
"""Mutation → the scope it needs, and what it does."""


def resolve_mutation(source: Any, info: GraphQLResolveInfo[Any], **told: Any) -> Any:
    """Run one mutation in a transaction of its own: others of the same request stand, whatever becomes of it."""
    shop: Shop = info.context
    name = info.field_name
    scope, perform = MUTATIONS[name]
    if scope is not None and scope not in shop.switches.scopes:
        raise denied(name, scope)
    errors = "orderCancelUserErrors" if name == "orderCancel" else "userErrors"
    try:
        with shop.store.transaction():
            payload = {"userErrors": [], errors: [], **_once(shop, info, name, told, perform)}
    except Refused as refused:
        payload = {"userErrors": refused.errors, errors: refused.errors}
    kinds = getattr(info.return_type, "fields", {})
    payload = {**payload, **{name: _coded(kinds, name, payload[name]) for name in ("userErrors", errors)}}
    return {
        field: dereferenced(shop, value, kinds[field].type, {}) if field in kinds else value
        for field, value in payload.items()
    }


def _coded(kinds: Mapping[str, Any], name: str, errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """User errors with only such codes as this mutation's errors have."""
    fields = getattr(get_named_type(kinds[name].type), "fields", {}) if name in kinds else {}
    known = getattr(get_named_type(fields["code"].type), "values", {}) if "code" in fields else {}
    other = next((code for code in ("INVALID", "INVALID_INPUT", "GENERIC_ERROR") if code in known), None)
    return [one | {"code": one["code"] if one["code"] in known else other} for one in errors]


def _once(
    shop: Shop, info: GraphQLResolveInfo[Any], name: str, told: Mapping[str, Any], perform: Perform
) -> dict[str, Any]:
    key = _key(info)
    if name not in NEED_KEY:
        return perform(shop, told)
    if key is None:
        raise top_level("The @idempotent directive is required for this mutation but was not provided.", "BAD_REQUEST")
    if not key.strip():
        raise top_level("The idempotency key can't be blank.", "BAD_REQUEST")
    fingerprint = hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()
    known = shop.store.answer(f"{name} {key}")
    if known is not None:
        if known[0] != fingerprint:
            raise Refused(
                "The idempotency key was used with other parameters.", code="IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
            )
        return dict(known[1])
    payload = perform(shop, told)
    shop.store.keep_answer(f"{name} {key}", fingerprint, payload)
    return payload


def _key(info: GraphQLResolveInfo[Any]) -> str | None:
    """The idempotency key that the mutation carries."""
    for directive in info.field_nodes[0].directives or ():
        if directive.name.value == "idempotent":
            argument = next(iter(directive.arguments or ()))
            return str(value_from_ast_untyped(argument.value, dict(info.variable_values.coerced)))
    return None
