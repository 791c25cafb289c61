"""Relay connections: pages by cursor, where a cursor is the place of a record in its order."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from graphql import GraphQLError

from .store import Doc, number_of

MOST = 250
Place = Callable[[Doc], str | int]


def connection(items: Sequence[Any], arguments: Mapping[str, Any], *, place: Place | None = None) -> dict[str, Any]:
    """One page of `items`. With `place` they are sorted by it and their number; without they keep their order."""
    size = arguments.get("first") if arguments.get("first") is not None else arguments.get("last")
    if size is None:
        raise _bad("you must provide one of first or last")
    if not 0 <= size <= MOST:
        raise _bad(f"{size} exceeds the maximum of {MOST} for a page")
    keyed = [(_key(item, number, place), item) for number, item in enumerate(items)]
    if place is not None:
        keyed.sort(key=lambda pair: pair[0])
    if arguments.get("reverse"):
        keyed.reverse()
    back = bool(arguments.get("reverse"))
    after, before = arguments.get("after"), arguments.get("before")
    if after:
        at = _uncoded(after)
        keyed = [pair for pair in keyed if (pair[0] < at if back else pair[0] > at)]
    if before:
        at = _uncoded(before)
        keyed = [pair for pair in keyed if (pair[0] > at if back else pair[0] < at)]
    forward = arguments.get("first") is not None
    page = keyed[:size] if forward else keyed[len(keyed) - size :] if size else []
    more = len(keyed) > len(page)
    return {
        "edges": [{"cursor": _coded(key), "node": item} for key, item in page],
        "nodes": [item for _, item in page],
        "pageInfo": {
            "hasNextPage": more if forward else bool(before),
            "hasPreviousPage": bool(after) if forward else more,
            "startCursor": _coded(page[0][0]) if page else None,
            "endCursor": _coded(page[-1][0]) if page else None,
        },
    }


def _key(item: Any, number: int, place: Place | None) -> list[str | int]:
    return [number] if place is None else [place(item), number_of(item["id"])]


def _coded(key: list[str | int]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode()


def _uncoded(cursor: str) -> list[Any]:
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        found = None
    if not isinstance(found, list):
        raise _bad(f"Invalid cursor for current pagination sort: {cursor}")
    return found


def _bad(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "BAD_REQUEST"})
