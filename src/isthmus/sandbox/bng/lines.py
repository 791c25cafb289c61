"""The items inside a document: who is who across writes, their products, their stamps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..parts.database import stamp_text
from .errors import Problem
from .schema import Catalogue, Doc, Entity, Field
from .store import Store

_STAMPS = ("Version", "CreatedAt", "UpdatedAt")


def items_field(entity: Entity) -> Field | None:
    """The field that holds the document's items, if it has any."""
    return entity.fields.get("LineItems") or entity.fields.get("Lines")


def settle(known: Catalogue, store: Store, entity: Entity, doc: Doc, old: Doc | None, problems: list[Problem]) -> None:
    """Tie the items of `doc` to those of `old`, by LineItemID where given, by LineNumber otherwise.

    A tied item keeps its id and its read-only values; the others get a new id. Products are looked up.
    """
    field = items_field(entity)
    if field is None:
        return
    items: list[Doc] = doc[field.name] or []
    _check_numbers(field.name, items, problems)
    fields = known.fields_of(str(field.of))
    for place, item in enumerate(items):
        if "ProductID" in fields:
            fill_product(store, item, f"{field.name}[{place}]", problems)
    if "LineItemID" not in fields:
        return
    before: list[Doc] = (old or {}).get(field.name) or []
    by_id = {item["LineItemID"]: item for item in before}
    by_number = {item["LineNumber"]: item for item in before}
    taken: set[str] = set()
    kept = [f.name for f in fields.values() if f.readonly]
    parent_id = entity.id if entity.id in fields else None
    for place, item in enumerate(items):
        given = item.get("LineItemID")
        if given is not None and given not in by_id:
            path = f"{field.name}[{place}].LineItemID"
            problems.append(Problem(path, "UnknownReference", f"this document has no line item {given}"))
            continue
        was = by_id[given] if given is not None else by_number.get(item["LineNumber"])
        if was is not None and was["LineItemID"] not in taken:
            item.update((name, was[name]) for name in kept)
            taken.add(was["LineItemID"])
        else:
            item["LineItemID"] = store.new_id()
        if parent_id is not None:
            item[parent_id] = doc[entity.id]


def _check_numbers(name: str, items: list[Doc], problems: list[Problem]) -> None:
    for member in ("LineNumber", "ExternalID"):
        seen: set[Any] = set()
        for place, item in enumerate(items):
            value = item.get(member)
            if value is not None and value in seen:
                problems.append(Problem(f"{name}[{place}].{member}", "Duplicate", f"{value!r} occurs twice"))
            seen.add(value)


def fill_product(store: Store, item: Doc, path: str, problems: list[Problem]) -> None:
    """Fill the one of ProductID and SKU that was left out, and the unit where there is one to fill."""
    before = f"{path}." if path else ""
    key, sku = item.get("ProductID"), item.get("SKU")
    if key is None and sku is not None:
        key = store.id_where("product", "SKU", sku)
        if key is None:
            problems.append(Problem(f"{before}SKU", "UnknownReference", f"there is no product with the SKU {sku!r}"))
            return
    if key is None:
        return
    product = store.get("product", key)
    if product is None:
        return  # told by the check of references
    if sku is not None and sku != product["SKU"]:
        message = f"{sku!r} is not the SKU of product {key}, which is {product['SKU']!r}"
        problems.append(Problem(f"{before}SKU", "Mismatch", message))
    item["ProductID"], item["SKU"] = key, product["SKU"]
    if "UnitOfMeasure" in item and item["UnitOfMeasure"] is None:
        item["UnitOfMeasure"] = product["UnitOfMeasure"]


def without_stale_twin(doc: Doc, changes: Doc) -> Doc:
    """Forget the SKU when only the ProductID was changed, and the other way round, so that it is filled anew."""
    if "ProductID" in changes and "SKU" in doc and "SKU" not in changes:
        doc["SKU"] = None
    elif "SKU" in changes and "ProductID" not in changes and "WarehouseCode" in doc:
        doc["ProductID"] = None
    return doc


def stamp_lines(entity: Entity, doc: Doc, old: Doc | None, stamp: int) -> None:
    """Give the items that have versions of their own a new one where their content differs from `old`."""
    items: Iterable[Doc] = doc.get("LineItems") or ()
    before = {item["LineItemID"]: item for item in (old or {}).get("LineItems") or ()}
    for item in items:
        if "Version" not in item:
            return
        was = before.get(item["LineItemID"])
        if was is None:
            item["Version"] = 1
            item["CreatedAt"] = item["UpdatedAt"] = stamp_text(stamp)
        elif _content(item) != _content(was):
            item["Version"] = was["Version"] + 1
            item["UpdatedAt"] = stamp_text(stamp)


def _content(item: Doc) -> Doc:
    return {name: value for name, value in item.items() if name not in _STAMPS}
