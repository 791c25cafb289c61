"""From paths to what is asked of the API, and from its rows back to values: exact, typed, keys in place of ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from isthmus.connectors.shopify.catalogue import Entity, Part
from isthmus.connectors.shopify.keys import key_of, level_key
from isthmus.sdk import FieldType, Record

Tree = dict[str, Any]
Row = Mapping[str, Any]

EXTERNAL_KEY = "@external_key"
"""The path that asks for Record.external_key."""

NAMESPACE, METAFIELD = "isthmus", "external_key"
QUANTITIES = ("available", "on_hand", "committed", "incoming", "reserved")
_MARK = f'isthmusKey: metafield(namespace: "{NAMESPACE}", key: "{METAFIELD}")'
_LEVEL: Tree = {"item": {"id": {}}, "location": {"id": {}}}


def selection(entity: Entity, paths: Iterable[str], *, page: int, external: bool = False) -> Tree:
    """What to ask for so that `paths` of a record can be told, with its key and moments."""
    tree: Tree = {"id": {}, "updatedAt": {}, "createdAt": {}}
    if entity.name == "product":
        tree["status"] = {}
    if entity.kind == "InventoryLevel":
        tree |= _LEVEL
    if external and entity.custom_id:
        tree[_MARK] = {"value": {}}
    for path in paths:
        if path.startswith("@"):
            continue
        entity.part(path)  # says so when there is no such field
        head, *rest = path.split(".")
        _add(tree, entity.fields[head], rest, page)
    return tree


def render(tree: Tree) -> str:
    """The tree as text of a query."""
    return " ".join(f"{name} {{ {render(inner)} }}" if inner else name for name, inner in tree.items())


def head(part: Part, page: int, after: str | None = None) -> str:
    """The first name of a field with its arguments."""
    arguments = part.arguments
    if part.pick:
        arguments = f"names: [{', '.join(f'{chr(34)}{name}{chr(34)}' for name in QUANTITIES)}]"
    elif part.shape == "connection":
        arguments = f"first: {page}" + (f', after: "{after}"' if after else "")
    return f"{part.wire[0]}({arguments})" if arguments else part.wire[0]


def inner_tree(part: Part, page: int) -> Tree:
    """What is asked of each object in a list."""
    tree: Tree = {}
    for inner in part.inner.values():
        _add(tree, inner, [], page)
    return tree


def _add(tree: Tree, part: Part, rest: Sequence[str], page: int) -> None:
    node = tree.setdefault(head(part, page), {})
    for step in part.wire[1:]:
        node = node.setdefault(step, {})
    if part.pick:
        node |= {"name": {}, "quantity": {}}
    elif part.type is FieldType.REFERENCE:
        if part.wire[-1] != "id":
            node.setdefault("id", {})
    elif part.inner:
        if part.shape == "connection":
            node.setdefault("pageInfo", {"hasNextPage": {}, "endCursor": {}})
            node = node.setdefault("nodes", {})
        chosen = [part.inner[rest[0]]] if rest and part.shape == "one" else part.inner.values()
        for inner in chosen:
            _add(node, inner, rest[1:] if rest else [], page)


def record(entity: Entity, row: Row, paths: Sequence[str], *, external_key: str | None = None) -> Record:
    """A Record with exactly `paths`."""
    mark = row.get("isthmusKey")
    carried = mark.get("value") if isinstance(mark, Mapping) else None
    return Record(
        key=row_key(entity, row),
        values={path: value_at(entity, row, path) for path in paths if not path.startswith("@")},
        version=row.get("updatedAt"),
        changed_at=moment(row.get("updatedAt")),
        created_at=moment(row.get("createdAt")),
        active=row.get("status") != "ARCHIVED" if entity.name == "product" else True,
        external_key=external_key or carried,
    )


def row_key(entity: Entity, row: Row) -> str:
    """The key of a row."""
    if entity.kind == "InventoryLevel":
        return level_key(row["item"]["id"], row["location"]["id"])
    return key_of(row["id"]) or ""


def value_at(entity: Entity, row: Row, path: str) -> Any:
    """The value at a path of a row."""
    steps = path.split(".")
    part, value = entity.fields[steps[0]], row
    for step in steps[1:]:
        found = _raw(part, value)
        if not isinstance(found, Mapping):
            return None
        part, value = part.inner[step], found
    return _value(part, value)


def _raw(part: Part, row: Row) -> Any:
    value: Any = row
    for step in part.wire:
        if not isinstance(value, Mapping):
            return None
        if not step.startswith("..."):
            value = value.get(step)
    return value


def _value(part: Part, row: Row) -> Any:
    raw = _raw(part, row)
    if part.pick:
        return next((one["quantity"] for one in raw or () if one["name"] == part.pick), None)
    if raw is None:
        return [] if part.shape != "one" else None
    if part.shape != "one":
        rows = raw.get("nodes") or [] if part.shape == "connection" else raw
        return [_object(part, one) for one in rows]
    if part.inner:
        return _object(part, raw)
    if part.type is FieldType.REFERENCE:
        return key_of(raw if isinstance(raw, str) else raw.get("id"))
    return plain(part.type, raw)


def _object(part: Part, row: Row) -> dict[str, Any]:
    return {name: _value(inner, row) for name, inner in part.inner.items()}


def plain(kind: FieldType, raw: Any) -> Any:
    """A scalar of the API as a typed value: amounts exact, moments aware."""
    if raw is None:
        return None
    if kind is FieldType.DECIMAL:
        try:
            return Decimal(str(raw))
        except InvalidOperation:
            return None
    if kind is FieldType.INTEGER:
        return int(raw)
    return moment(raw) if kind is FieldType.DATETIME else raw


def moment(text: Any) -> datetime | None:
    """An instant as the API tells it."""
    try:
        found = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found is not None and found.tzinfo else found
