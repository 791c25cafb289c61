"""What a delivery says of a record: the form of Shopify's older API, with both ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .store import Doc, Store, number_of

Payload = Callable[[Store, Doc], dict[str, Any]]


def _ids(doc: Doc) -> dict[str, Any]:
    return {"id": number_of(doc["id"]), "admin_graphql_api_id": doc["id"]}


def _order(store: Store, doc: Doc) -> dict[str, Any]:
    if "name" not in doc:
        return {"id": number_of(doc["id"])}
    return {
        **_ids(doc),
        "name": doc["name"],
        "email": doc["email"],
        "created_at": doc["createdAt"],
        "updated_at": doc["updatedAt"],
        "cancelled_at": doc["cancelledAt"],
        "currency": doc["currencyCode"],
        "total_price": doc["totalPriceSet"]["shopMoney"]["amount"],
        "taxes_included": doc["taxesIncluded"],
        "financial_status": (doc["displayFinancialStatus"] or "").lower(),
        "fulfillment_status": {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}.get(
            doc["displayFulfillmentStatus"]
        ),
        "line_items": [
            {
                **_ids(line),
                "sku": line["sku"],
                "quantity": line["quantity"],
                "current_quantity": line["currentQuantity"],
            }
            for line in map(store.get, doc["lineItems"])
            if line is not None
        ],
    }


def _customer(store: Store, doc: Doc) -> dict[str, Any]:
    return {
        **_ids(doc),
        "email": doc.get("email"),
        "first_name": doc.get("firstName"),
        "last_name": doc.get("lastName"),
        "created_at": doc["createdAt"],
        "updated_at": doc["updatedAt"],
    }


def _product(store: Store, doc: Doc) -> dict[str, Any]:
    return {
        **_ids(doc),
        "title": doc.get("title"),
        "status": str(doc.get("status", "")).lower(),
        "created_at": doc["createdAt"],
        "updated_at": doc["updatedAt"],
        "variants": [
            {**_ids(one), "sku": one["sku"], "price": one["price"], "updated_at": one["updatedAt"]}
            for one in map(store.get, doc.get("variants", []))
            if one is not None
        ],
    }


def _inventory(store: Store, doc: Doc) -> dict[str, Any]:
    if "counts" not in doc:
        return {**_ids(doc), "sku": doc.get("sku"), "tracked": doc.get("tracked"), "updated_at": doc["updatedAt"]}
    return {
        "inventory_item_id": number_of(doc["item"]),
        "location_id": number_of(doc["location"]),
        "available": doc["counts"]["available"],
        "updated_at": doc["updatedAt"],
        "admin_graphql_api_id": doc["id"],
    }


def _of_order(store: Store, doc: Doc) -> dict[str, Any]:
    told = {**_ids(doc), "order_id": number_of(doc["order"]), "created_at": doc["createdAt"]}
    if "status" in doc:
        told |= {"status": doc["status"].lower(), "updated_at": doc["updatedAt"], "name": doc["name"]}
    return told


PAYLOADS: Mapping[str, Payload] = {
    "ORDERS": _order,
    "CUSTOMERS": _customer,
    "PRODUCTS": _product,
    "INVENTORY": _inventory,
    "FULFILLMENTS": _of_order,
    "REFUNDS": _of_order,
    "APP": lambda store, doc: {},
}
"""How to tell of a record, by the first word of the topic."""
