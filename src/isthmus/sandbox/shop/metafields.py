"""Custom fields of records, and ids of other systems among them, which no two records may share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import Refused, top_level
from .store import Doc, Store, kind_of

OWNERS = {
    "Customer": "CUSTOMER", "Product": "PRODUCT", "ProductVariant": "PRODUCTVARIANT", "Order": "ORDER",
    "Location": "LOCATION", "Shop": "SHOP",
}  # fmt: skip
_UNIQUE = ("id",)


def of(store: Store, owner: str, namespace: str, key: str) -> Doc | None:
    """The metafield of a record by its name."""
    for found in store.all("Metafield"):
        if (found["owner"], found["namespace"], found["key"]) == (owner, namespace, key):
            return found
    return None


def definition(store: Store, owner_type: str, namespace: str, key: str) -> Doc | None:
    """How a metafield of this name is defined for a kind of record."""
    for found in store.all("MetafieldDefinition"):
        if (found["ownerType"], found["namespace"], found["key"]) == (owner_type, namespace, key):
            return found
    return None


def define(store: Store, given: Mapping[str, Any]) -> Doc:
    """Make a definition; a second one of the same name is refused."""
    namespace = given.get("namespace") or "$app"
    if definition(store, given["ownerType"], namespace, given["key"]) is not None:
        raise Refused(
            f"Key is in use for {given['ownerType'].title()} metafields on the '{namespace}' namespace.",
            "definition", "key", code="TAKEN",
        )  # fmt: skip
    kept = {name: given.get(name) for name in ("name", "key", "ownerType", "description")}
    return store.add("MetafieldDefinition", {**kept, "namespace": namespace, "type": {"name": given["type"]}})


def put(store: Store, owner: str, given: Sequence[Mapping[str, Any]] | None, *field: str) -> None:
    """Set metafields of a record."""
    for place, one in enumerate(given or ()):
        namespace, key, value = one.get("namespace") or "$app", one.get("key") or "", one.get("value") or ""
        told = (*field, str(place))
        owner_type = OWNERS[kind_of(owner)]
        defined = definition(store, owner_type, namespace, key)
        kind = defined["type"]["name"] if defined else one.get("type")
        if kind is None:
            raise Refused("Type can't be blank", *told, "type", code="BLANK")
        if kind in _UNIQUE and defined is None:
            raise Refused("Metafields of type 'id' need a definition", *told, "type", code="INVALID_METAFIELD")
        if not value:
            raise Refused("Value can't be blank", *told, "value", code="BLANK")
        old = of(store, owner, namespace, key)
        if kind in _UNIQUE:
            other = owner_by_id(store, kind_of(owner), namespace, key, value)
            if other is not None and other != owner:
                raise Refused("Value is already assigned to another metafield", *told, "value", code="TAKEN")
        if old is not None:
            store.changed(old, value=value, type=kind)
        else:
            store.add("Metafield", {"owner": owner, "namespace": namespace, "key": key, "type": kind, "value": value})


def owner_by_id(store: Store, kind: str, namespace: str, key: str, value: str) -> str | None:
    """The record of a kind that carries this id."""
    for found in store.all("Metafield"):
        named = (found["namespace"], found["key"], found["value"]) == (namespace, key, value)
        if named and kind_of(found["owner"]) == kind:
            return str(found["owner"])
    return None


def by_custom_id(store: Store, kind: str, custom: Mapping[str, Any]) -> Doc | None:
    """The record that a custom id leads to; without a definition Shopify cannot tell."""
    namespace = custom.get("namespace") or "$app"
    defined = definition(store, OWNERS[kind], namespace, custom["key"])
    if defined is None or defined["type"]["name"] not in _UNIQUE:
        raise top_level("Metafield definition of type 'id' is required when using custom ids.", "NOT_FOUND")
    return store.get(owner_by_id(store, kind, namespace, custom["key"], custom["value"]))
