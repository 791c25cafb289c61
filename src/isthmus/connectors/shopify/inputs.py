"""From values by path to what a mutation takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from isthmus.connectors.shopify.catalogue import Entity
from isthmus.connectors.shopify.keys import gid, is_key
from isthmus.sdk import InvalidRecord

_ADDRESS = (
    "firstName",
    "lastName",
    "company",
    "address1",
    "address2",
    "city",
    "provinceCode",
    "zip",
    "countryCode",
    "phone",
)
_CUSTOMER = ("firstName", "lastName", "email", "phone", "note", "tags", "locale", "taxExempt")
_PRODUCT = ("title", "handle", "descriptionHtml", "vendor", "productType", "status", "tags")
_ORDER = ("email", "phone", "note", "tags", "poNumber", "customAttributes")
_DEFAULT = [{"optionName": "Title", "name": "Default Title"}]


def nested(values: Mapping[str, Any], entity: Entity, doing: str) -> dict[str, Any]:
    """Values by path as nested objects; a field that cannot be written is refused with its name."""
    out: dict[str, Any] = {}
    for path, value in values.items():
        head, *rest = path.split(".")
        entity.part(path)
        if not entity.fields[head].writable:
            raise InvalidRecord(f"{doing}: {path} cannot be written", hint=f"Unmap {path} in this direction.")
        holder, name = out, head
        for step in rest:
            holder = holder.setdefault(name, {})
            name = step
        holder[name] = value
    return out


def address(given: Mapping[str, Any]) -> dict[str, Any]:
    """An address as input; names of countries and provinces follow from their codes."""
    return {name: given[name] or None for name in _ADDRESS if name in given}


def customer(given: Mapping[str, Any]) -> dict[str, Any]:
    """The plain fields of a customer."""
    return _chosen(given, _CUSTOMER)


def order(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an order that may be edited."""
    out = _chosen(given, _ORDER)
    if given.get("shippingAddress") is not None:
        out["shippingAddress"] = address(given["shippingAddress"])
    return out


def product(given: Mapping[str, Any], doing: str) -> dict[str, Any]:
    """The fields of a product; with its variants when it is made."""
    out = _chosen(given, _PRODUCT)
    variants = given.get("variants")
    if variants:
        options: dict[str, list[str]] = {}
        rows = []
        for one in variants:
            row = variant(one, doing)
            row.setdefault("optionValues", _DEFAULT)
            if "sku" in row.get("inventoryItem", {}):
                row["sku"] = row["inventoryItem"].pop("sku")
            rows.append(row)
            for chosen in row["optionValues"]:
                known = options.setdefault(chosen["optionName"], [])
                if chosen["name"] not in known:
                    known.append(chosen["name"])
        out["variants"] = rows
        out["productOptions"] = [
            {"name": name, "position": place + 1, "values": [{"name": value} for value in values]}
            for place, (name, values) in enumerate(options.items())
        ]
    return out


def variant(given: Mapping[str, Any], doing: str) -> dict[str, Any]:
    """A variant, with what of it belongs to its inventory item."""
    out: dict[str, Any] = {}
    for name in ("price", "compareAtPrice"):
        if name in given:
            out[name] = None if given[name] is None else decimal(given[name], doing, name)
    for name in ("barcode", "taxable", "inventoryPolicy"):
        if name in given:
            out[name] = given[name]
    item: dict[str, Any] = {name: given[name] for name in ("sku", "tracked", "requiresShipping") if name in given}
    if given.get("cost") is not None:
        item["cost"] = decimal(given["cost"], doing, "cost")
    if given.get("weight"):
        told = given["weight"]
        if not isinstance(told, Mapping) or told.get("value") is None or not told.get("unit"):
            raise InvalidRecord(f"{doing}: a weight needs a value and a unit", answered=repr(told))
        item["measurement"] = {"weight": {"value": float(told["value"]), "unit": told["unit"]}}
    if item:
        out["inventoryItem"] = item
    if given.get("selectedOptions"):
        out["optionValues"] = [{"optionName": one["name"], "name": one["value"]} for one in given["selectedOptions"]]
    return out


def reference(kind: str, key: Any, doing: str, field: str) -> str:
    """The global id of another record."""
    if key in (None, "") or not is_key(str(key)):
        raise InvalidRecord(f"{doing}: {field} must be the key of a record, not {key!r}")
    return gid(kind, str(key))


def decimal(value: Any, doing: str, field: str) -> str:
    """An exact amount as text."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise InvalidRecord(f"{doing}: {field} must be an exact number, not {value!r}")
    return format(Decimal(value), "f")


def same(expected: Any, found: Any) -> bool:
    """Whether a value still is as it was read; nothing and an empty text are the same, lists of tags are sets."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return all(same(value, found.get(name)) for name, value in expected.items())
    if _is_list(expected) and _is_list(found):
        if all(isinstance(one, str) for one in (*expected, *found)):
            return sorted(expected) == sorted(found)
        return len(expected) == len(found) and all(map(same, expected, found))
    if expected in (None, "", []) and found in (None, "", []):
        return True
    if isinstance(expected, Decimal) or isinstance(found, Decimal):
        return expected is not None and found is not None and Decimal(str(expected)) == Decimal(str(found))
    return bool(expected == found)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _chosen(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: [] if given[name] is None and name == "tags" else given[name] for name in names if name in given}
