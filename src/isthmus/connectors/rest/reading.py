"""Reading Records: by keys, by external keys, by values, all of them; children are read with their parents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from isthmus.connectors.rest.codec import EntityCodec, Row, same
from isthmus.connectors.rest.manifest import EntitySpec, Filters, Manifest, Parent
from isthmus.connectors.rest.wire import Answer, Wire, address, record_in
from isthmus.sdk import (
    ByExternalKeys,
    ByKeys,
    ByValues,
    Everything,
    IsthmusError,
    Misconfigured,
    Records,
    SchemaDrift,
    Scope,
    Selection,
)
from isthmus.sdk.answers import dig
from isthmus.sdk.paging import Page, first_page, next_page, resume_token, resumed
from isthmus.sdk.statuses import Meaning

Pairs = Sequence[tuple[str, str]]
Found = tuple[Row, str | None]
"""A row and, for a child, its parent's key."""


class Rows(list[Row]):
    """The rows of a page; `begins` is what asks for it again."""

    begins: str = ""


class _Found(list[Found]):
    begins: str = ""


class Reader:
    """Reads the Entities of one manifest."""

    def __init__(self, manifest: Manifest, wire: Wire, codecs: Mapping[str, EntityCodec]) -> None:
        self._manifest = manifest
        self._wire = wire
        self._codecs = codecs
        self._ahead: set[asyncio.Task[Answer]] = set()

    async def stop(self) -> None:
        """End what is fetched ahead for readers that never came back for it."""
        for task in self._ahead:
            task.cancel()
        await asyncio.gather(*self._ahead, return_exceptions=True)

    def _arrived(self, task: asyncio.Task[Answer]) -> None:
        self._ahead.discard(task)
        if not task.cancelled():
            task.exception()  # told to the reader; of a page that nobody comes for it is no news

    def codec(self, entity: str) -> EntityCodec:
        """The codec of an Entity; raises SchemaDrift listing the known ones."""
        found = self._codecs.get(entity)
        if found is None:
            raise SchemaDrift(
                f"looking for the entity {entity!r} in {self._manifest.name}: there is none",
                hint=f"Known are {', '.join(sorted(self._codecs))}.",
                facts={"entity": entity},
            )
        return found

    def filters(self, spec: EntitySpec) -> Filters:
        """The filters that the lists of an Entity take."""
        return spec.filters or self._manifest.filters

    def value_filters(self, spec: EntitySpec) -> Mapping[str, str]:
        """Field -> parameter, the Entity's own and the system's."""
        return {**self.filters(spec).values, **spec.values}

    async def records(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None
    ) -> AsyncIterator[Records]:
        """Pages of Records; `scope` maps fields to the one value, or the list of values, that they must have."""
        codec = self.codec(entity)
        doing = f"reading {entity} from {self._manifest.name}"
        codec.check_paths([*paths, *(dict(scope) if scope else ())], doing)
        async for page in self._rows(codec, selection, scope, doing):
            inside = [found for found in page if self._in_scope(codec, found[0], scope)]
            records = Records(codec.record(row, paths, parent) for row, parent in inside)
            records.begins = page.begins if isinstance(page, _Found) else ""
            if any(not record.key for record in records):
                raise Misconfigured(
                    f"{doing}: a row holds no {codec.spec.key}",
                    hint="Check the key field of this entity in the manifest.",
                )
            if records:
                yield records

    async def row(self, entity: str, key: str, doing: str) -> tuple[Answer, Row | None]:
        """The row of one record as it is now, with the answer that carried it."""
        codec = self.codec(entity)
        parent, own = split_key(codec.spec, key)
        path = address(codec.spec.path + "/{key}", own, parent)
        answer = await self._wire.call("GET", path, doing=doing, reads_only=True)
        if answer.meaning is Meaning.OK:
            return answer, record_in(answer, self._manifest)
        return answer, None

    async def lists(
        self,
        spec: EntitySpec,
        params: Pairs,
        doing: str,
        *,
        size: int | None = None,
        ahead: bool = False,
        begin: Page | None = None,
    ) -> AsyncIterator[tuple[Answer, Rows]]:
        """Every page of a list, with the answer that carried it; `ahead`: the next is fetched while one is used."""
        fixed = list(self.filters(spec).fixed.items())
        page: Page | None = begin or first_page(self._manifest.paging, size)
        under_way: asyncio.Task[Answer] | None = None
        try:
            while page is not None:
                answer = await (under_way or self._ask(spec, page, [*fixed, *params], doing))
                under_way = None
                rows = Rows(self._list_in(spec, answer, doing))
                rows.begins = resume_token(self._manifest.paging, page)
                page = self._following(spec, page, answer, len(rows), size)
                if ahead and page is not None:
                    under_way = asyncio.create_task(self._ask(spec, page, [*fixed, *params], doing))
                    self._ahead.add(under_way)
                    under_way.add_done_callback(self._arrived)
                yield answer, rows
        finally:
            if under_way is not None:  # the caller has enough, or failed: what is on its way is of no interest
                under_way.cancel()
                await asyncio.gather(under_way, return_exceptions=True)

    async def _ask(self, spec: EntitySpec, page: Page, params: Pairs, doing: str) -> Answer:
        whole = None if page.url else [*page.params.items(), *params]
        return await self._wire.get(page.url or spec.path, doing=doing, params=whole)

    def _following(self, spec: EntitySpec, page: Page, answer: Answer, rows: int, size: int | None) -> Page | None:
        asked = page.url or self._wire.client.http.base_url + spec.path
        headers = answer.response.headers
        return next_page(self._manifest.paging, page, answer.decoded, headers, rows, asked=asked, size=size)

    async def existing(self, entity: str, keys: Sequence[str]) -> dict[str, bool]:
        """Which keys surely exist and which surely do not; the rest is left out."""
        codec = self.codec(entity)
        doing = f"looking whether {entity} records exist in {self._manifest.name}"
        if codec.spec.parent:
            return await self._existing_children(codec, codec.spec.parent, keys, doing)

        async def look(key: str) -> tuple[str, bool | None]:
            answer, row = await self.row(entity, key, f"{doing}: {key}")
            if answer.meaning is Meaning.OK:
                return key, True if row is not None else None
            if answer.meaning is Meaning.GONE:
                return key, False
            if answer.meaning is Meaning.FORBIDDEN:
                return key, None
            raise self._wire.failure(answer, doing)

        return {
            key: there for key, there in await together([look(key) for key in dict.fromkeys(keys)]) if there is not None
        }

    async def _existing_children(
        self, codec: EntityCodec, parent: Parent, keys: Sequence[str], doing: str
    ) -> dict[str, bool]:
        """A child exists if its parent holds it; without its parent it is gone as well."""
        parents = list(dict.fromkeys(split_key(codec.spec, key)[0] for key in keys))
        there = await self.existing(parent.entity, parents)
        living = [key for key in parents if there.get(key)]
        held: set[str] = set()
        async for page in self._children(codec, parent, ByKeys(living), None, doing):
            held.update(codec.key_of(row, owner) for row, owner in page)
        out: dict[str, bool] = {}
        for key in keys:
            owner = split_key(codec.spec, key)[0]
            if owner in there:
                out[key] = there[owner] and key in held
        return out

    async def _rows(
        self, codec: EntityCodec, selection: Selection, scope: Scope | None, doing: str
    ) -> AsyncIterator[list[Found]]:
        if codec.spec.parent:
            pages = self._children(codec, codec.spec.parent, selection, scope, doing)
        elif isinstance(selection, ByKeys):
            pages = self._by_keys(codec, selection.keys, doing)
        elif isinstance(selection, ByExternalKeys):
            pages = self._by_external_keys(codec, selection.keys, doing)
        elif isinstance(selection, ByValues):
            pages = self._by_values(codec, selection, doing)
        else:
            pages = self._everything(codec, selection, scope, doing)
        async for page in pages:
            yield page

    async def _by_keys(self, codec: EntityCodec, keys: Sequence[str], doing: str) -> AsyncIterator[list[Found]]:
        filters = self.filters(codec.spec)
        wanted = list(dict.fromkeys(keys))
        if filters.by_keys:
            tasks = [self._filtered(codec.spec, filters.by_keys, part, doing) for part in slices(wanted, filters.most)]
            for rows in await together(tasks):
                yield [(row, None) for row in rows]
            return
        for part in slices(wanted, 100):
            found = await together([self._single(codec, key, doing) for key in part])
            yield [(row, None) for row in found if row is not None]

    async def _single(self, codec: EntityCodec, key: str, doing: str) -> Row | None:
        answer, row = await self.row(codec.name, key, f"{doing}: {key}")
        if answer.meaning in (Meaning.OK, Meaning.GONE):
            return row
        raise self._wire.failure(answer, f"{doing}: {key}", record=key)

    async def _by_external_keys(
        self, codec: EntityCodec, keys: Sequence[str], doing: str
    ) -> AsyncIterator[list[Found]]:
        filters = self.filters(codec.spec)
        wanted = list(dict.fromkeys(keys))
        if codec.spec.external_key is None:
            return
        if filters.by_external_keys:
            parts = slices(wanted, filters.most)
            tasks = [self._filtered(codec.spec, filters.by_external_keys, part, doing) for part in parts]
        elif filters.by_external_key:
            tasks = [self._filtered(codec.spec, filters.by_external_key, [key], doing) for key in wanted]
        else:
            raise Misconfigured(
                f"{doing} by external key: the manifest names no filter for it",
                hint="Give by_external_key or by_external_keys in the filters of the manifest.",
            )
        asked = set(wanted)
        for rows in await together(tasks):
            # A system that ignores an unknown parameter answers everything: believe only what carries the key.
            yield [(row, None) for row in rows if codec.external_of(row) in asked]

    async def by_external_key(self, codec: EntityCodec, keys: Sequence[str], doing: str) -> dict[str, Row]:
        """The rows that carry these external keys, a child's with its parent's key filled in."""
        out: dict[str, Row] = {}
        async for page in self._rows(codec, ByExternalKeys(keys), None, doing):
            out.update((codec.external_of(row) or "", row) for row, _ in page)
        return out

    async def _by_values(self, codec: EntityCodec, selection: ByValues, doing: str) -> AsyncIterator[list[Found]]:
        param = self.value_filters(codec.spec).get(selection.path)
        if param is None:
            return
        filters = self.filters(codec.spec)
        wanted = list(dict.fromkeys(text_of(value) for value in selection.values if value not in (None, "")))
        size = filters.most if filters.values_many else 1
        tasks = [self._filtered(codec.spec, param, part, doing) for part in slices(wanted, size)]
        for rows in await together(tasks):
            yield [(row, None) for row in rows]

    async def _everything(
        self, codec: EntityCodec, selection: Everything, scope: Scope | None, doing: str
    ) -> AsyncIterator[list[Found]]:
        """All rows. What resumes neither behind a key nor at a page starts again: that repeats, but never misses."""
        filters = self.filters(codec.spec)
        params = self._scope_params(codec.spec, scope)
        begin = resumed(self._manifest.paging, selection.after)
        if selection.after and filters.after_key and begin is None:
            params.append((filters.after_key, selection.after))
        async for _, rows in self.lists(codec.spec, params, doing, ahead=True, begin=begin):
            found = _Found((row, None) for row in rows)
            found.begins = "" if filters.after_key else rows.begins
            yield found

    async def _children(
        self, codec: EntityCodec, parent: Parent, selection: Selection, scope: Scope | None, doing: str
    ) -> AsyncIterator[list[Found]]:
        """Children are held by their parents; only parents can be asked for."""
        owner = self.codec(parent.entity)
        wanted: frozenset[str] | None = None
        above: Selection = Everything()
        if isinstance(selection, ByKeys):
            if not selection.keys:
                return
            wanted = frozenset(selection.keys)
            # An owner's own key is accepted too: all of its children.
            above = ByKeys(list(dict.fromkeys(split_key(codec.spec, key)[0] for key in selection.keys)))
        elif isinstance(selection, ByValues) and selection.path == parent.field:
            above = ByKeys([text_of(value) for value in selection.values])
        elif isinstance(selection, ByValues):
            return
        external = frozenset(selection.keys) if isinstance(selection, ByExternalKeys) else None
        async for page in self._rows(owner, above, None, doing):
            found = [child for row, _ in page for child in self.children_of(codec, parent, owner, row)]
            if wanted is not None:
                found = [c for c in found if codec.key_of(*c) in wanted or c[1] in wanted]
            if external is not None:
                found = [c for c in found if codec.external_of(c[0]) in external]
            yield found

    def children_of(self, codec: EntityCodec, parent: Parent, owner: EntityCodec, row: Row) -> Iterator[Found]:
        """The children inside a parent's row, each with the parent's key filled in."""
        key = owner.key_of(row)
        for child in row.get(owner.wire(parent.embedded)) or ():
            if isinstance(child, Mapping):
                yield {codec.wire(parent.field): key, **child}, key

    async def _filtered(self, spec: EntitySpec, param: str, values: Sequence[str], doing: str) -> list[Row]:
        if not values:
            return []
        joined = [(param, self.filters(spec).separator.join(values))]
        return [row async for _, rows in self.lists(spec, joined, doing) for row in rows]

    def _scope_params(self, spec: EntitySpec, scope: Scope | None) -> list[tuple[str, str]]:
        """What of a scope the system can filter by itself; the rest is sorted out here."""
        filters, known = self.filters(spec), self.value_filters(spec)
        params: list[tuple[str, str]] = []
        for path, value in (dict(scope) if scope else {}).items():
            several = value if isinstance(value, list | tuple) else [value]
            if path in known and (len(several) == 1 or filters.values_many) and None not in several:
                params.append((known[path], filters.separator.join(text_of(one) for one in several)))
        return params

    def _in_scope(self, codec: EntityCodec, row: Row, scope: Scope | None) -> bool:
        if not scope:
            return True
        wanted = dict(scope)
        values = codec.values(row, tuple(wanted))
        return all(
            any(same(values[path], one) for one in (want if isinstance(want, list | tuple) else [want]))
            for path, want in wanted.items()
        )

    def in_scope(self, entity: str, row: Row, scope: Scope | None) -> bool:
        """Whether a row lies inside a scope."""
        return self._in_scope(self.codec(entity), row, scope)

    def _list_in(self, spec: EntitySpec, answer: Answer, doing: str) -> list[Row]:
        path = self._manifest.wording.rows if spec.rows is None else (spec.rows or None)
        found = dig(answer.decoded, path)
        if not isinstance(found, list):
            raise Misconfigured(
                f"{doing}: the answer holds no list{f' at {path}' if path else ''}",
                hint="Check where lists hold their rows (wording.rows) in the manifest of this connection.",
            )
        return [row for row in found if isinstance(row, Mapping)]


def split_key(spec: EntitySpec, key: str) -> tuple[str, str]:
    """A child's key as (parent's key, own key); for others ("", key)."""
    if spec.parent is None:
        return "", key
    parent, _, own = key.partition("/")
    return parent, own


def slices(values: Sequence[str], size: int) -> list[Sequence[str]]:
    """`values` in parts of at most `size`."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def text_of(value: Any) -> str:
    """A value as a query parameter."""
    if isinstance(value, bool):
        return "true" if value else "false"
    isoformat = getattr(value, "isoformat", None)
    return isoformat().replace("+00:00", "Z") if isoformat else str(value)


async def together(tasks: Sequence[Any]) -> list[Any]:
    """Run coroutines at once (the client's concurrency bounds them); all end before the first error is raised."""
    done = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException) and not isinstance(outcome, IsthmusError):
            raise outcome
    for outcome in done:
        if isinstance(outcome, IsthmusError):
            raise outcome
    return done
