"""A server that behaves as a manifest says: what a new connector is tried against before it meets its system."""

from __future__ import annotations

import base64
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from isthmus.connectors.rest.codec import decode_body, encode_body, same
from isthmus.connectors.rest.manifest import EntitySpec, Filters, Manifest, Verb
from isthmus.model.clock import Clock, SystemClock
from isthmus.sdk import FieldType
from isthmus.sdk.registry import Live

KEY = "stand-in-key-1"
USER = "stand-in"
TOKEN = "stand-in-token-1"  # noqa: S105  # the stand-in's own, worth nothing elsewhere

Row = dict[str, Any]


class _Refusal(Exception):
    """An answer other than the one asked for."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field


@dataclass(slots=True)
class _Table:
    """The rows of one Entity by key, and what was answered to which idempotency key."""

    spec: EntitySpec
    rows: dict[str, Row] = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)

    def wire(self, name: str | None) -> str | None:
        """The name of a field on the wire."""
        return (self.spec.fields[name].wire or name) if name else None


class StandIn:
    """One system in memory. Entities that live inside others are left out: they belong to their parents' rows."""

    def __init__(self, manifest: Manifest, clock: Clock | None = None) -> None:
        self._manifest = manifest
        self._clock = clock or SystemClock()
        self._tables = {name: _Table(spec) for name, spec in manifest.entities.items() if spec.parent is None}
        self._numbers = itertools.count(1)
        self._last = datetime(2026, 1, 1, tzinfo=UTC)

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application(middlewares=[self._front], client_max_size=64 * 1024 * 1024)
        if self._manifest.auth.style == "oauth2":
            app.router.add_post(self._manifest.auth.token_path, self._token)
        if self._manifest.openapi:
            app.router.add_get(self._manifest.openapi, self._description)
        if self._manifest.identity:
            app.router.add_get(self._manifest.identity, self._identity)
        for table in self._tables.values():
            calls = _Calls(self, table)
            app.router.add_get(table.spec.path, calls.listing)
            app.router.add_get(table.spec.path + "/{key}", calls.one)
            for verb, call in ((table.spec.create, calls.create), (table.spec.update, calls.update)):
                if verb is not None:
                    usual = table.spec.path if call == calls.create else table.spec.path + "/{key}"
                    app.router.add_route(verb.method, verb.path or usual, call)
            if table.spec.delete is not None:
                app.router.add_delete(table.spec.delete.path or table.spec.path + "/{key}", calls.delete)
        return app

    def moment(self) -> str:
        """Now; no two moments are the same."""
        self._last = max(self._last + timedelta(microseconds=1), self._clock.now())
        return self._last.isoformat().replace("+00:00", "Z")

    def number(self) -> int:
        """A number that no other record has."""
        return next(self._numbers)

    @property
    def manifest(self) -> Manifest:
        """How this system is described."""
        return self._manifest

    @web.middleware
    async def _front(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Every call but those for a token needs the login; refusals are told in the manifest's shape."""
        try:
            if request.path != self._manifest.auth.token_path and not self._welcome(request):
                raise _Refusal(401, "The login is not accepted.")
            return await handler(request)  # type: ignore[no-any-return]  # handlers of aiohttp answer so
        except _Refusal as refusal:
            return self._refused(refusal)
        except web.HTTPException as error:
            return self._refused(_Refusal(error.status, error.reason))

    def _welcome(self, request: web.Request) -> bool:
        auth, given = self._manifest.auth, request.headers
        if auth.style == "key":
            return given.get(auth.header, "") == auth.prefix + KEY
        if auth.style == "basic":
            return given.get("Authorization", "") == _basic()
        return auth.style == "none" or given.get("Authorization", "") == f"Bearer {TOKEN}"

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        secret = form.get("client_secret")
        if secret != KEY and request.headers.get("Authorization", "") != _basic():
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})

    async def _description(self, request: web.Request) -> web.Response:
        return web.json_response({"openapi": "3.1.0", "info": {"title": self._manifest.name}, "paths": {}})

    async def _identity(self, request: web.Request) -> web.Response:
        return web.json_response({"id": self._manifest.key})

    def answer(self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
        """JSON in the manifest's wording."""
        body = encode_body(value, self._manifest.wording.decimals)
        return web.Response(body=body, status=status, content_type="application/json", headers=dict(headers or {}))

    def _refused(self, refusal: _Refusal) -> web.Response:
        shape = self._manifest.errors
        body: dict[str, Any] = {}
        put(body, shape.message or "message", str(refusal))
        if refusal.field and shape.details:
            detail = {
                shape.detail_field: refusal.field,
                shape.detail_code: "Refused",
                shape.detail_message: str(refusal),
            }
            put(body, shape.details, [detail])
        elif refusal.field:
            put(body, "errors", {refusal.field: [str(refusal)]})
        return self.answer(body, refusal.status)


class _Calls:
    """The calls on one Entity."""

    def __init__(self, system: StandIn, table: _Table) -> None:
        self._system = system
        self._table = table
        self._spec = table.spec
        self._key = table.wire(table.spec.key) or "id"
        self._version = table.wire(table.spec.version)
        self._external = table.wire(table.spec.external_key)
        self._created = table.wire(table.spec.created_at)
        self._changed = table.wire(table.spec.changed_at)
        known = system.manifest
        self._filters: Filters = table.spec.filters or known.filters
        self._values = {**self._filters.values, **table.spec.values}

    async def listing(self, request: web.Request) -> web.Response:
        rows = [row for row in self._ordered() if self._wanted(row, request)]
        page, walked, headers = self._page(rows, request)
        manifest = self._system.manifest
        at = manifest.wording.rows if self._spec.rows is None else (self._spec.rows or None)
        if at is None:
            return self._system.answer(page, headers=headers)
        body: dict[str, Any] = {}
        put(body, at, page)
        for path, value in walked.items():
            put(body, path, value)
        return self._system.answer(body, headers=headers)

    async def one(self, request: web.Request) -> web.Response:
        return self._told(self._found(request))

    async def create(self, request: web.Request) -> web.Response:
        header = self._system.manifest.idempotency.header
        token = request.headers.get(header, "") if header else ""
        if token and token in self._table.answered:
            return self._told(self._table.rows[self._table.answered[token]])
        given = await self._given(request)
        for name, spec in self._spec.fields.items():
            if spec.required and not spec.readonly and given.get(spec.wire or name) in (None, ""):
                raise _Refusal(422, f"{spec.wire or name} is missing", spec.wire or name)
        ours = given.get(self._external) if self._external else None
        if ours is not None and ours in self._external_keys():
            raise _Refusal(409, f"{self._external} is taken", self._external)
        number, moment = self._system.number(), self._system.moment()
        row = {
            **given,
            self._key: number if self._spec.fields[self._spec.key].type is FieldType.INTEGER else f"k{number}",
        }
        self._stamp(row, None, moment)
        if self._created:
            row[self._created] = moment
        self._table.rows[str(row[self._key])] = row
        if token:
            self._table.answered[token] = str(row[self._key])
        return self._told(row, 201)

    async def update(self, request: web.Request) -> web.Response:
        row, given = self._found(request), await self._given(request)
        self._check_version(request, row, given)
        verb: Verb | None = self._spec.update
        if verb is not None and verb.style == "full":
            writable = {spec.wire or name for name, spec in self._spec.fields.items() if not spec.readonly}
            for name in writable - set(given):
                row.pop(name, None)
        kept = {name: row.get(name) for name in (self._key, self._created) if name}
        version = row.get(self._version) if self._version else None
        row.update(given)
        row.update(kept)
        self._stamp(row, version, self._system.moment())
        return self._told(row)

    async def delete(self, request: web.Request) -> web.Response:
        del self._table.rows[str(self._found(request)[self._key])]
        return web.Response(status=204)

    def _external_keys(self) -> list[Any]:
        return [row.get(self._external) for row in self._table.rows.values()] if self._external else []

    def _stamp(self, row: Row, version: Any, moment: str) -> None:
        """Count the version on, as a number or as a text, and note the moment."""
        if self._version and self._spec.version:
            following = int(str(version or 0).removeprefix("v")) + 1
            whole = self._spec.fields[self._spec.version].type is FieldType.INTEGER
            row[self._version] = following if whole else f"v{following}"
        if self._changed:
            row[self._changed] = moment

    def _found(self, request: web.Request) -> Row:
        row = self._table.rows.get(request.match_info["key"])
        if row is None:
            raise _Refusal(404, f"There is no such {self._spec.label or 'record'}.")
        return row

    async def _given(self, request: web.Request) -> Row:
        try:
            body = decode_body(await request.read())
        except ValueError as error:
            raise _Refusal(400, f"The body is no JSON: {error}") from error
        wrapper = self._system.manifest.wording.body
        inner = body.get(wrapper) if wrapper and isinstance(body, Mapping) else body
        if not isinstance(inner, dict):
            raise _Refusal(400, "The body is no record.")
        return inner

    def _check_version(self, request: web.Request, row: Row, given: Row) -> None:
        told = self._system.manifest.locking
        if told is None or self._version is None:
            return
        based_on = request.headers.get(told.header, "").strip('"') if told.header else ""
        if told.field and given.get(told.field) is not None:
            based_on = str(given.pop(told.field))
        if based_on and based_on != str(row.get(self._version)):
            raise _Refusal(412, f"The record is at {self._version} {row.get(self._version)}.", self._version)

    def _told(self, row: Row, status: int = 200) -> web.Response:
        at = self._system.manifest.wording.record
        if at is None:
            return self._system.answer(row, status)
        body: dict[str, Any] = {}
        put(body, at, row)
        return self._system.answer(body, status)

    def _ordered(self) -> list[Row]:
        return sorted(self._table.rows.values(), key=self._place)

    def _place(self, row: Row) -> tuple[str, int]:
        return str(row.get(self._changed, "")) if self._changed else "", list(self._table.rows).index(
            str(row[self._key])
        )

    def _wanted(self, row: Row, request: web.Request) -> bool:
        asked, filters = request.query, self._filters
        since = asked.get(filters.updated_since) if filters.updated_since else None
        if since and self._changed and datetime.fromisoformat(str(row[self._changed])) < datetime.fromisoformat(since):
            return False
        return all(any(same(row.get(name), one) for one in wanted) for name, wanted in self._conditions(asked))

    def _conditions(self, asked: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
        """Field on the wire and the texts one of which it must have."""
        filters = self._filters
        for param, name in ((filters.by_keys, self._key), (filters.by_external_keys, self._external)):
            if param and name and param in asked:
                yield name, asked[param].split(filters.separator)
        if filters.by_external_key and self._external and filters.by_external_key in asked:
            yield self._external, [asked[filters.by_external_key]]
        for path, param in self._values.items():
            if param in asked and param != filters.by_external_key:
                several = asked[param].split(filters.separator) if filters.values_many else [asked[param]]
                yield self._table.wire(path.split(".")[0]) or path, several

    def _page(self, rows: list[Row], request: web.Request) -> tuple[list[Row], dict[str, Any], dict[str, str]]:
        """One page, what the body tells of the way on, and the headers that do."""
        paging, asked = self._system.manifest.paging, request.query
        if paging.style == "none":
            return rows, {}, {}
        size = int(asked.get(paging.size_param, paging.size)) if paging.size_param else paging.size
        start = 0
        if paging.style in ("page", "link"):
            start = (int(asked.get(paging.page_param, paging.first_page)) - paging.first_page) * size
        elif paging.style == "offset":
            start = int(asked.get(paging.offset_param, 0))
        elif cursor := asked.get(paging.cursor_param):
            behind = [number for number, row in enumerate(rows) if self._cursor(row) == cursor]
            start = behind[0] + 1 if behind else 0
        page, more = rows[start : start + size], start + size < len(rows)
        walked: dict[str, Any] = {}
        headers: dict[str, str] = {}
        if paging.style == "cursor":
            walked[paging.next_path] = self._cursor(page[-1]) if more else None
        if paging.more_path:
            walked[paging.more_path] = more
        if paging.total_path:
            walked[paging.total_path] = len(rows)
        if paging.style == "link" and more:
            following = {**asked, paging.page_param: str(start // size + 1 + paging.first_page)}
            headers["Link"] = f'<{request.url.origin()}{request.path}?{urlencode(following)}>; rel="next"'
        return page, walked, headers

    def _cursor(self, row: Row) -> str:
        return f"behind-{row[self._key]}"


@asynccontextmanager
async def standing_in(manifest: Manifest) -> AsyncIterator[Live]:
    """A fresh stand-in on a free port of this machine, and what to log in with."""
    runner = web.AppRunner(StandIn(manifest).app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        settings, secrets = logins(manifest)
        yield Live(url=f"http://{host}:{port}", settings=settings, secrets=secrets)
    finally:
        await runner.cleanup()


def logins(manifest: Manifest) -> tuple[dict[str, str], dict[str, str]]:
    """The settings and secrets that a stand-in lets in."""
    match manifest.auth.style:
        case "key":
            return {}, {"api_key": KEY}
        case "basic":
            return {"user": USER}, {"password": KEY}
        case "oauth2":
            return {"client_id": USER}, {"client_secret": KEY}
        case _:
            return {}, {}


def put(body: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a dotted path, making the objects on the way."""
    *before, last = path.split(".")
    for part in before:
        body = body.setdefault(part, {})
    body[last] = value


def _basic() -> str:
    return "Basic " + base64.b64encode(f"{USER}:{KEY}".encode()).decode()
