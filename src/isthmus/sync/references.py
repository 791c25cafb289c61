"""References of a record and of its rows: found, turned into Link ids, and back into each side's own keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from isthmus.model.canonical import CanonicalEntity, Ref, Value
from isthmus.model.policy import Side

Partners = Mapping[int, tuple[str | None, str | None]]
"""The left and right key of every Link that a reference leads to."""


def refs_in(value: Any) -> Iterator[Ref]:
    """The references of a value that are not resolved: the value itself, or parts of its rows."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, list):
        for row in value:
            if isinstance(row, dict):
                yield from (part for part in row.values() if isinstance(part, Ref))


def replaced(value: Any, found: Callable[[Ref], Value]) -> Any:
    """The value with every reference as `found` tells it; one it does not know stays."""
    if isinstance(value, Ref):
        return found(value)
    if isinstance(value, list) and any(True for _ in refs_in(value)):
        return [
            {name: found(part) if isinstance(part, Ref) else part for name, part in row.items()}
            if isinstance(row, dict)
            else row
            for row in value
        ]
    return value


def unresolved(values: Mapping[str, Value], fields: Any) -> list[Ref]:
    """What these fields refer to without a Link, each once."""
    return list(dict.fromkeys(ref for name in fields for ref in refs_in(values.get(name))))


def keys_on(entity: CanonicalEntity, values: Mapping[str, Value], partners: Partners, side: Side) -> dict[str, Value]:
    """The values with resolved references (Link ids) as references to the side's own keys."""
    out = dict(values)
    for name, target in entity.references().items():
        value = values.get(name)
        if isinstance(value, int):
            out[name] = _key(target, value, partners, side)
    for name, parts in entity.row_references().items():
        rows = values.get(name)
        if isinstance(rows, list):
            out[name] = [
                {
                    part: _key(parts[part], value, partners, side)
                    if part in parts and isinstance(value, int)
                    else value
                    for part, value in row.items()
                }
                for row in rows
            ]
    return out


def _key(target: str, link: int, partners: Partners, side: Side) -> Ref | None:
    key = partners.get(link, (None, None))[0 if side == "left" else 1]
    return Ref(target, key) if key else None
