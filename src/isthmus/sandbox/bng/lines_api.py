"""The line items of orders and invoices as records of their own: list, read, add, change."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from aiohttp import web

from .errors import Problem, bad_parameter, invalid, not_found, version_conflict
from .gate import guarded
from .http import answer_raw, answer_written, if_match, read_json
from .idempotency import Answer
from .lines import without_stale_twin
from .listing import DEFAULT_ROWS, MOST_ROWS, body, read_cursor, whole_number, write_cursor
from .schema import Doc, Entity
from .service import Sandbox
from .tokens import Grant
from .validation import checker
from .values import encode, fixed, number


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The routes of every entity that lives inside another."""
    out: list[web.RouteDef] = []
    for line in sandbox.catalogue.entities.values():
        if line.parent is None:
            continue
        parent = sandbox.catalogue.entities[line.parent]
        calls = _LineCalls(parent, line)
        path, read, write = f"/api/v1/{parent.path}/{{key}}/{line.path}", f"{parent.path}:read", f"{parent.path}:write"
        out += [
            web.get(path, guarded(sandbox, read, calls.list_page)),
            web.post(path, guarded(sandbox, write, calls.add)),
            web.get(path + "/{line}", guarded(sandbox, read, calls.read)),
            web.put(path + "/{line}", guarded(sandbox, write, calls.change)),
        ]
    return out


class _LineCalls:
    """The handlers for the items of one entity. A write changes the document: its sums and its Version follow."""

    def __init__(self, parent: Entity, line: Entity) -> None:
        self.parent = parent
        self.line = line

    async def list_page(self, sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
        for name in request.query:
            if name not in ("limit", "cursor"):
                raise bad_parameter(name, "is not a parameter of this list; use limit, cursor", "UnknownParameter")
        limit = whole_number(request.query, "limit", DEFAULT_ROWS, 1, MOST_ROWS)
        items = sorted(self._document(sandbox, request)["LineItems"], key=lambda item: item["LineNumber"])
        if cursor := request.query.get("cursor"):
            (after,) = read_cursor(cursor, tuple[int])
            items = [item for item in items if item["LineNumber"] > after]
        shown = items[:limit]
        more = len(items) > limit
        walked = {"NextCursor": write_cursor(shown[-1]["LineNumber"]) if more else None, "HasMore": more}
        return answer_raw(request, body([encode(item) for item in shown], walked))

    async def read(self, sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
        item = self._item(self._document(sandbox, request), request.match_info["line"])
        return answer_raw(request, encode(item), ETag=f'"{item["Version"]}"')

    async def add(self, sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
        return self._written(sandbox, request, grant, None, await read_json(request))

    async def change(self, sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
        return self._written(sandbox, request, grant, request.match_info["line"], await read_json(request))

    def _written(
        self, sandbox: Sandbox, request: web.Request, grant: Grant, line: str | None, given: Any
    ) -> web.Response:
        key, based_on = request.match_info["key"], request.headers.get("If-Match")
        what = ["lines", self.parent.path, key, line, based_on, given]
        write = partial(
            self._add if line is None else self._change, sandbox, key, line or "", if_match(based_on), given
        )
        with sandbox.store.transaction():
            written = sandbox.idempotency.once(grant.client, request.headers.get("Idempotency-Key"), what, write)
        return answer_written(request, request.path, written)

    def _add(self, sandbox: Sandbox, key: str, _: str, version: int | None, given: Any) -> Answer:
        """Add a line; If-Match is about the document here."""
        old = sandbox.writer.current(self.parent, key)
        if version is not None and version != old["Version"]:
            raise version_conflict(412, version, old["Version"])
        problems: list[Problem] = []
        item = checker(self.line.name).whole(given, "", problems)
        if problems:
            raise invalid(problems)
        item["LineItemID"] = None
        return self._store(sandbox, old, [*_copied(old), item], item["LineNumber"], 201)

    def _change(self, sandbox: Sandbox, key: str, line: str, version: int | None, given: Any) -> Answer:
        """Change a line; If-Match and Version are about the line."""
        old = sandbox.writer.current(self.parent, key)
        was = self._item(old, line)
        told = given.get("Version") if isinstance(given, dict) else None
        for status, based_on in ((412, version), (409, told)):
            if based_on is not None and based_on != was["Version"]:
                raise version_conflict(status, based_on, was["Version"])
        problems: list[Problem] = []
        check = checker(self.line.name)
        if sandbox.switches.put == "partial":
            changes = check.part(given, "", problems)
        else:
            whole = check.whole(given, "", problems)
            changes = {n: v for n, v in whole.items() if not self.line.fields[n].readonly}
        if problems:
            raise invalid(problems)
        item = without_stale_twin({**was, **changes}, changes)
        items = [item if other["LineItemID"] == line else other for other in _copied(old)]
        return self._store(sandbox, old, items, item["LineNumber"], 200)

    def _store(self, sandbox: Sandbox, old: Doc, items: list[Doc], line_number: int, status: int) -> Answer:
        saved = sandbox.writer.change_items(self.parent, old, _resummed({**old, "LineItems": items}, old))
        stored = sandbox.writer.current(self.parent, saved.key)
        item = next(item for item in stored["LineItems"] if item["LineNumber"] == line_number)
        return Answer(status, item["LineItemID"], item["Version"], encode(item))

    def _document(self, sandbox: Sandbox, request: web.Request) -> Doc:
        return sandbox.writer.current(self.parent, request.match_info["key"])

    def _item(self, doc: Doc, line: str) -> Doc:
        found: Doc | None = next((item for item in doc["LineItems"] if item["LineItemID"] == line), None)
        if found is None:
            raise not_found(self.line.label, line)
        return found


def _copied(doc: Doc) -> list[Doc]:
    return [dict(item) for item in doc["LineItems"]]


def _resummed(doc: Doc, old: Doc) -> Doc:
    """The document with Subtotal, TaxTotal and TotalAmount moved by what its lines moved."""

    def lines(of: Doc, field: str) -> Decimal:
        return sum((number(item[field]) for item in of["LineItems"]), Decimal(0))

    more = lines(doc, "LineTotal") - lines(old, "LineTotal")
    tax = lines(doc, "TaxAmount") - lines(old, "TaxAmount")
    doc["Subtotal"] = fixed(number(doc["Subtotal"]) + more, 2)
    doc["TaxTotal"] = fixed(number(doc["TaxTotal"]) + tax, 2)
    doc["TotalAmount"] = fixed(number(doc["TotalAmount"]) + more + tax, 2)
    return doc
