"""Polling: what changed since the Cursor, by the shop's clock, with an overlap for what its search learns late.

Shopify tells moments in whole seconds, so only seconds that are over are read, and the search that finds changes may
lag behind; every poll looks back over an overlap, and what was seen in it already is remembered in the Cursor.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from isthmus.connectors.shopify.catalogue import Entity, entity
from isthmus.connectors.shopify.keys import key_of, level_key
from isthmus.connectors.shopify.reading import Reader, locations_in, search_of
from isthmus.connectors.shopify.selecting import Row, Tree, moment
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import ChangePage, Hint, Misconfigured, Scope

LIGHT_PAGE = 250

MOST_REMEMBERED = 20_000
"""Records remembered in a Cursor; more than these in one overlap are told again, never lost."""
_LIGHT = "nodes { id updatedAt } pageInfo { hasNextPage endCursor }"


@dataclass(slots=True)
class Position:
    """Up to where was read, and what was seen in the overlap before: key → its moment."""

    at: datetime
    seen: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """As a Cursor."""
        return json.dumps({"at": _text(self.at), "seen": self.seen}, separators=(",", ":"), sort_keys=True)


class Changer:
    """Pages of hints for one Entity."""

    def __init__(
        self, wire: Wire, reader: Reader, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._wire = wire
        self._reader = reader
        self._sleep = sleep

    async def pages(self, name: str, cursor: str | None, scope: Scope | None) -> AsyncIterator[ChangePage]:
        """Hints since the cursor, in the order of the changes; without one none, and a cursor to begin with."""
        told = entity(name)
        overlap = timedelta(seconds=self._wire.settings.poll_overlap)
        if cursor is None:
            await self._wire.ask("{ shop { id } }", doing="asking for the shop's clock")
            since = self._wire.now() - overlap
            window = await self._window(told, since, scope)
            yield ChangePage(hints=(), cursor=_kept(window, since, overlap).text())
            return
        position = _position(name, cursor)
        window = await self._window(told, position.at - overlap, scope)
        fresh = [(key, at) for key, at in _in_order(window) if position.seen.get(key) != at]
        after = _kept({**{k: v for k, v in position.seen.items() if k not in window}, **window}, position.at, overlap)
        size = self._wire.settings.page_size
        seen = dict(position.seen)
        pages = [fresh[start : start + size] for start in range(0, len(fresh), size)] or [[]]
        for number, page in enumerate(pages):
            seen.update(page)
            hints = [Hint(entity=name, key=key, occurred_at=moment(at)) for key, at in page]
            last = number == len(pages) - 1
            yield ChangePage(hints=hints, cursor=(after if last else Position(position.at, dict(seen))).text())

    async def _window(self, told: Entity, since: datetime, scope: Scope | None) -> dict[str, str]:
        """Every record changed in a second that is over, with its moment."""
        found = await self._found(told, since, scope)
        if any(at >= _text(self._wire.now()) for at in found.values()):
            await self._sleep(1.05)  # until the second that goes on is over and can be read whole
            found = await self._found(told, since, scope)
        over = _text(self._wire.now())
        return {key: at for key, at in found.items() if at < over}

    async def _found(self, told: Entity, since: datetime, scope: Scope | None) -> dict[str, str]:
        begin = _text(since)
        query = f"updated_at:>='{begin}'"
        found: dict[str, str] = {}
        if told.kind == "InventoryLevel":
            tree: Tree = {"id": {}, "updatedAt": {}, "item": {"id": {}}, "location": {"id": {}}}
            async for rows in self._reader.levels_of_locations(tree, locations_in(scope), query):
                found |= {level_key(row["item"]["id"], row["location"]["id"]): row["updatedAt"] for row in rows}
        else:
            wanted = search_of(scope)
            query = f"{query} AND ({wanted})" if wanted else query
            async for rows in self._light(told, query, begin):
                found |= _moments(told, rows)
        return {key: at for key, at in found.items() if at >= begin}

    async def _light(self, told: Entity, query: str, begin: str) -> AsyncIterator[list[Row]]:
        """Ids and moments only. Where it can be sorted by update, the newest first and no further than needed."""
        root = told.root
        nodes, size = _LIGHT, LIGHT_PAGE
        if told.kind in ("Fulfillment", "Refund"):
            listed = "fulfillments" if told.kind == "Fulfillment" else "refunds"
            nodes = _LIGHT.replace("updatedAt }", f"updatedAt {listed}(first: 250) {{ id updatedAt }} }}", 1)
            size = 100
        by_update = root in ("orders", "customers", "products")
        sort = "sortKey: UPDATED_AT, reverse: true" if by_update else "sortKey: ID"
        text = (
            f"query($after: String, $query: String) {{ {root}(first: {size}, after: $after, query: $query, {sort}) "
            f"{{ {nodes} }} }}"
        )
        cursor: str | None = None
        while True:
            data = await self._wire.ask(text, {"after": cursor, "query": query}, doing=f"looking for changes of {root}")
            rows = list(data[root]["nodes"])
            yield rows
            page = data[root]["pageInfo"]
            if not page["hasNextPage"] or (by_update and rows and rows[-1]["updatedAt"] < begin):
                return
            cursor = page["endCursor"]


def _moments(told: Entity, rows: list[Row]) -> dict[str, str]:
    if told.kind in ("Fulfillment", "Refund"):
        listed = "fulfillments" if told.kind == "Fulfillment" else "refunds"
        return {key_of(one["id"]) or "": one["updatedAt"] for row in rows for one in row[listed]}
    return {key_of(row["id"]) or "": row["updatedAt"] for row in rows}


def _in_order(window: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(window.items(), key=lambda pair: (pair[1], pair[0]))


def _kept(window: Mapping[str, str], before: datetime, overlap: timedelta) -> Position:
    """The position behind a window, with what the next overlap may show again."""
    newest = moment(max(window.values())) if window else None
    at = max(before, newest) if newest is not None else before
    start = _text(at - overlap)
    kept = [pair for pair in _in_order(window) if pair[1] >= start][-MOST_REMEMBERED:]
    return Position(at, dict(kept))


def _position(name: str, cursor: str) -> Position:
    try:
        told = json.loads(cursor)
        at = moment(told["at"])
        if at is None or not isinstance(told["seen"], dict):
            raise ValueError
        return Position(at, {str(key): str(value) for key, value in told["seen"].items()})
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(
            f"reading the cursor of {name}: it is none of ours",
            hint="Reset the cursor and run a Sweep; nothing is lost.",
        ) from error


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
