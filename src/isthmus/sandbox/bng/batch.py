"""What one item of a batch asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import Problem, invalid
from .schema import Entity

MOST_ITEMS = 100
_WRAPPED = frozenset({"ID", "IdempotencyKey", "IfMatch", "Data"})


@dataclass(frozen=True, slots=True)
class Item:
    """A create, or with a `key` an update; `based_on` is an If-Match."""

    key: str | None
    idempotency_key: str | None
    based_on: str | None
    record: Any


def read_item(entity: Entity, item: Any, idempotency_key: str | None) -> Item:
    """An item is a record, or `{Data: record, ID, IdempotencyKey, IfMatch}`. One with an id is an update.

    `idempotency_key` is what the item has when it names none itself. Raises ApiError.
    """
    if not isinstance(item, dict):
        raise invalid([Problem("Items", "WrongType", "an item is an object")])
    if "Data" not in item:
        key = item.get(entity.id)
        if key is not None and not isinstance(key, str):
            raise invalid([Problem(entity.id, "WrongType", "must be a string")])
        return Item(key, idempotency_key, None, item)
    if unknown := sorted(item.keys() - _WRAPPED):
        members = ", ".join(sorted(_WRAPPED))
        raise invalid([Problem(unknown[0], "UnknownField", f"is none of an item's members {members}")])
    key, own_key, based_on = item.get("ID"), item.get("IdempotencyKey"), item.get("IfMatch")
    if type(based_on) is int:
        based_on = str(based_on)
    for name, value in (("ID", key), ("IdempotencyKey", own_key), ("IfMatch", based_on)):
        if value is not None and not isinstance(value, str):
            raise invalid([Problem(name, "WrongType", "must be a string")])
    return Item(key, own_key or idempotency_key, based_on, item["Data"])
