"""Reading: by keys, by external keys, by values, everything; long lists are read on to their last line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from isthmus.connectors.shopify.catalogue import Entity, Part, entity
from isthmus.connectors.shopify.keys import gid, is_key, key_of, level_parts
from isthmus.connectors.shopify.selecting import (
    EXTERNAL_KEY,
    Row,
    Tree,
    head,
    inner_tree,
    record,
    render,
    selection,
    value_at,
)
from isthmus.connectors.shopify.wire import Wire, too_costly
from isthmus.sdk import Misconfigured, Record, SchemaDrift, Scope

IDENTIFIED = {
    ("customer", "email"): "emailAddress",
    ("customer", "phone"): "phoneNumber",
    ("product", "handle"): "handle",
}
"""Fields by which a record is found at once, not only when the search has learned of it."""

AT_ONCE = 10
"""Records found by one request that names each of them."""


class Reader:
    """Reads the records of one shop."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._sizes: dict[str, int] = {}

    def tree(self, told: Entity, paths: Sequence[str]) -> Tree:
        """What to ask for."""
        page = self._wire.settings.line_page
        return selection(told, paths, page=page, external=EXTERNAL_KEY in paths)

    async def by_keys(self, name: str, keys: Sequence[str], paths: Sequence[str]) -> list[Record]:
        """The records of these keys that are there."""
        told = entity(name)
        rows = await self.rows(name, keys, self.tree(told, paths))
        return [record(told, row, paths) for row in rows]

    async def rows(self, name: str, keys: Sequence[str], tree: Tree) -> list[Row]:
        """The rows of these keys, in order, without those that are not there."""
        told = entity(name)
        doing = f"reading {told.label.lower()} {', '.join(keys[:3])}{' and more' if len(keys) > 3 else ''}"
        if told.kind == "InventoryLevel":
            return await self._levels(keys, tree, doing)
        ids = [gid(told.kind, key) for key in dict.fromkeys(keys) if is_key(key)]
        query = f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {told.kind} {{ {render(tree)} }} }} }}"
        found: list[Row] = []
        place, size = 0, self._size(query)
        while place < len(ids):
            part = ids[place : place + size]
            try:
                data = await self._wire.ask(query, {"ids": part}, doing=doing)
            except SchemaDrift as error:
                if not too_costly(error):
                    raise
                size = self._smaller(query, size)
                continue
            found.extend(row for row in data["nodes"] if row and row.get("id"))
            place += len(part)
        return [await self.completed(row, told.fields) for row in found]

    async def listed(
        self, name: str, tree: Tree, *, query: str | None, after: str | None = None, complete: bool = True
    ) -> AsyncIterator[list[Row]]:
        """Pages of a root list in the order of ids."""
        told = entity(name)
        text = (
            f"query($first: Int!, $after: String, $query: String) {{ {told.root}"
            f"(first: $first, after: $after, query: $query, sortKey: ID) "
            f"{{ nodes {{ {render(tree)} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        )
        cursor: str | None = None
        size = self._size(text)
        search = _joined(query, f"id:>{after}" if after and is_key(after) else None)
        while True:
            given = {"first": size, "after": cursor, "query": search}
            try:
                data = await self._wire.ask(text, given, doing=f"reading {told.root}")
            except SchemaDrift as error:
                if not too_costly(error):
                    raise
                size = self._smaller(text, size)
                continue
            page = data[told.root]
            rows = list(page["nodes"])
            yield [await self.completed(row, told.fields) for row in rows] if complete else rows
            if not page["pageInfo"]["hasNextPage"]:
                return
            cursor = page["pageInfo"]["endCursor"]

    async def everything(
        self, name: str, paths: Sequence[str], scope: Scope | None, after: str | None
    ) -> AsyncIterator[list[Record]]:
        """Every record in scope."""
        told = entity(name)
        tree = self.tree(told, paths)
        if told.kind == "InventoryLevel":
            async for rows in self.levels_of_locations(tree, locations_in(scope)):
                yield [record(told, row, paths) for row in rows]
            return
        if told.root == "orders" and told.kind != "Order":
            async for keys in self.children(told, search_of(scope)):
                yield await self.by_keys(name, keys, paths)
            return
        async for rows in self.listed(name, tree, query=search_of(scope), after=after):
            yield [record(told, row, paths) for row in rows]

    async def children(self, told: Entity, query: str | None) -> AsyncIterator[list[str]]:
        """The keys of every fulfilment or refund, order by order."""
        listed = "fulfillments" if told.kind == "Fulfillment" else "refunds"
        tree: Tree = {"id": {}, f"{listed}(first: 250)": {"id": {}}}
        async for rows in self.listed("order", tree, query=query, complete=False):
            keys = [key_of(one["id"]) or "" for row in rows for one in row[listed]]
            if keys:
                yield keys

    async def by_values(self, name: str, path: str, values: Sequence[Any], paths: Sequence[str]) -> list[Record]:
        """The records whose `path` equals one of `values`, compared exactly after Shopify's own search."""
        told = entity(name)
        part = told.part(path)
        wanted = {comparable(value) for value in values if value not in (None, "")}
        if not wanted:
            return []
        wide = [*dict.fromkeys([*paths, path])]
        tree = self.tree(told, wide)
        found: dict[str, Row] = {}
        async for rows in self._candidates(told, part, path, list(wanted), tree):
            for row in rows:
                if comparable(value_at(told, row, path)) in wanted:
                    found.setdefault(row["id"], row)
        return [record(told, row, paths) for row in found.values()]

    async def _candidates(
        self, told: Entity, part: Part, path: str, values: list[str], tree: Tree
    ) -> AsyncIterator[list[Row]]:
        identified = IDENTIFIED.get((told.name, path))
        if identified is not None and told.custom_id:
            for start in range(0, len(values), AT_ONCE):
                chosen = [{identified: value} for value in values[start : start + AT_ONCE]]
                yield [row for row in await self.identified(told, chosen, tree) if row]
            return
        if told.kind == "InventoryLevel":
            async for rows in self.levels_of_locations(tree, ()):
                yield rows
            return
        if part.search is None or told.root != _root_of(told):
            async for records in self._all_rows(told, tree):
                yield records
            return
        for start in range(0, len(values), 25):
            terms = " OR ".join(f"{part.search}:{quoted(value)}" for value in values[start : start + 25])
            async for rows in self.listed(told.name, tree, query=terms):
                yield rows

    async def _all_rows(self, told: Entity, tree: Tree) -> AsyncIterator[list[Row]]:
        if told.root == "orders" and told.kind != "Order":
            async for keys in self.children(told, None):
                yield await self.rows(told.name, keys, tree)
            return
        async for rows in self.listed(told.name, tree, query=None):
            yield rows

    async def identified(self, told: Entity, identifiers: Sequence[Mapping[str, Any]], tree: Tree) -> list[Row | None]:
        """The row that each identifier leads to; an id of ours leads nowhere before its definition was made."""
        kind = f"{told.kind}IdentifierInput"
        names = ", ".join(f"$i{n}: {kind}!" for n in range(len(identifiers)))
        fields = render(tree)
        roots = " ".join(f"r{n}: {told.custom_id}(identifier: $i{n}) {{ {fields} }}" for n in range(len(identifiers)))
        doing = f"looking for {told.label.lower()} records"
        given = {f"i{n}": one for n, one in enumerate(identifiers)}
        answer = await self._wire.send(f"query({names}) {{ {roots} }}", given, doing=doing, reads=True)
        for errors in answer.errors.values():
            if _code(errors[0]) != "NOT_FOUND":
                raise self._wire.error_of(errors[0], doing, reads=True)
        rows = [answer.data.get(f"r{n}") for n in range(len(identifiers))]
        return [await self.completed(row, told.fields) if row else None for row in rows]

    async def _levels(self, keys: Sequence[str], tree: Tree, doing: str) -> list[Row]:
        found: list[Row] = []
        known = [(key, parts) for key in dict.fromkeys(keys) if (parts := level_parts(key)) is not None]
        for start in range(0, len(known), AT_ONCE * 2):
            part = known[start : start + AT_ONCE * 2]
            roots = " ".join(
                f'r{n}: inventoryItem(id: "{gid("InventoryItem", item)}") '
                f'{{ inventoryLevel(locationId: "{gid("Location", location)}") {{ {render(tree)} }} }}'
                for n, (_, (item, location)) in enumerate(part)
            )
            data = await self._wire.ask(f"{{ {roots} }}", doing=doing)
            for n in range(len(part)):
                row = (data.get(f"r{n}") or {}).get("inventoryLevel")
                if row:
                    found.append(row)
        return found

    async def locations(self) -> list[str]:
        """The global ids of every location that is in use."""
        pages = "nodes { id } pageInfo { hasNextPage endCursor }"
        text = f"query($after: String) {{ locations(first: 100, after: $after) {{ {pages} }} }}"
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = (await self._wire.ask(text, {"after": cursor}, doing="reading locations"))["locations"]
            found.extend(row["id"] for row in page["nodes"])
            if not page["pageInfo"]["hasNextPage"]:
                return found
            cursor = page["pageInfo"]["endCursor"]

    async def levels_of_locations(
        self, tree: Tree, keys: Sequence[str], query: str | None = None
    ) -> AsyncIterator[list[Row]]:
        """Pages of the levels of stock, location by location."""
        text = (
            "query($id: ID!, $first: Int!, $after: String, $query: String) { location(id: $id) "
            f"{{ inventoryLevels(first: $first, after: $after, query: $query) {{ nodes {{ {render(tree)} }} "
            "pageInfo { hasNextPage endCursor } } } }"
        )
        size = self._size(text)
        for location in [gid("Location", key) for key in keys] or await self.locations():
            cursor: str | None = None
            while True:
                given = {"id": location, "first": size, "after": cursor, "query": query}
                try:
                    data = await self._wire.ask(text, given, doing="reading inventory levels")
                except SchemaDrift as error:
                    if not too_costly(error):
                        raise
                    size = self._smaller(text, size)
                    continue
                if not data["location"]:
                    raise Misconfigured(
                        f"reading inventory levels: the shop has no location {key_of(location)}",
                        hint="Correct the location in the scope or the settings of the connection.",
                    )
                page = data["location"]["inventoryLevels"]
                yield list(page["nodes"])
                if not page["pageInfo"]["hasNextPage"]:
                    break
                cursor = page["pageInfo"]["endCursor"]

    async def completed(self, row: Row, parts: Mapping[str, Part]) -> Row:
        """The row with every list in it read to its end."""
        out = dict(row)
        for part in parts.values():
            found = out.get(part.wire[0])
            if not part.inner or found is None or len(part.wire) > 1:
                continue
            if part.shape == "list" and isinstance(found, list):
                out[part.wire[0]] = [await self.completed(one, part.inner) for one in found]
            elif part.shape == "connection" and "pageInfo" in found:
                nodes = [await self.completed(one, part.inner) for one in found["nodes"]]
                page = found["pageInfo"]
                while page["hasNextPage"]:
                    more, page = await self._more(str(out["id"]), part, page["endCursor"])
                    nodes.extend([await self.completed(one, part.inner) for one in more])
                out[part.wire[0]] = {**found, "nodes": nodes}
        return out

    async def _more(self, owner: str, part: Part, cursor: str) -> tuple[list[Row], Mapping[str, Any]]:
        kind = owner.split("/")[3]
        size = self._wire.settings.line_page
        inner = render(inner_tree(part, size))
        text = (
            f"query($id: ID!) {{ node(id: $id) {{ ... on {kind} {{ more: {head(part, size, cursor)} "
            f"{{ nodes {{ {inner} }} pageInfo {{ hasNextPage endCursor }} }} }} }} }}"
        )
        data = await self._wire.ask(text, {"id": owner}, doing=f"reading the rest of {part.name} of {owner}")
        page = data["node"]["more"]
        return list(page["nodes"]), page["pageInfo"]

    def _size(self, text: str) -> int:
        return self._sizes.get(text, self._wire.settings.page_size)

    def _smaller(self, text: str, size: int) -> int:
        """Half of a page that was too costly, remembered for the next time."""
        if size <= 1:
            raise Misconfigured(
                "reading a page: even one record costs more than one query may",
                hint="Lower line_page of the connection, or map fewer lists of this entity.",
            )
        self._sizes[text] = size // 2
        return size // 2


def search_of(scope: Scope | None) -> str | None:
    """A scope is a search in Shopify's own syntax, like `status:open tag:web`."""
    if scope is None or scope == {}:
        return None
    if isinstance(scope, str):
        return scope or None
    if isinstance(scope, Mapping) and set(scope) <= {"query", "locations"}:
        return str(scope["query"]) if scope.get("query") else None
    raise Misconfigured(
        "reading the scope: it is no search", hint="Write it as a text in Shopify's search syntax, like `tag:web`."
    )


def locations_in(scope: Scope | None) -> tuple[str, ...]:
    """The locations that a scope of levels of stock names: `{locations: [123]}`."""
    if isinstance(scope, Mapping) and scope.get("locations"):
        return tuple(str(one) for one in scope["locations"])
    return ()


def quoted(value: str) -> str:
    """A value as a search takes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def comparable(value: Any) -> str:
    """Values that mean the same, as one text."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return str(value).strip().casefold()


def _joined(*terms: str | None) -> str | None:
    given = [term for term in terms if term]
    return " AND ".join(f"({term})" if len(given) > 1 else term for term in given) or None


def _root_of(told: Entity) -> str:
    return told.root if told.kind in ("Order", "Customer", "Product", "ProductVariant") else ""


def _code(error: Mapping[str, Any]) -> str:
    extensions = error.get("extensions")
    return str(extensions.get("code")) if isinstance(extensions, Mapping) else ""
