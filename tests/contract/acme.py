"""A small REST system unlike BNG: snake_case, bare lists, page or offset paging, an API key, PATCH, no batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

KEY = "acme-key-1234"
PER_PAGE = 3


@dataclass
class Acme:
    """The system's store; no two writes carry the same instant."""

    paging: str = "page"
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    between_pages: Callable[[], None] | None = None
    _ids: Any = field(default_factory=lambda: itertools.count(1))
    _last: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    idempotent: dict[str, int] = field(default_factory=dict)

    def now(self) -> str:
        self._last = max(self._last + timedelta(microseconds=1), datetime.now(UTC))
        return self._last.isoformat()

    def put(self, **values: Any) -> dict[str, Any]:
        number = next(self._ids)
        moment = self.now()
        self.rows[number] = {"id": number, "rev": 1, "created_on": moment, "modified_on": moment, "archived": False}
        self.rows[number].update(values)
        return self.rows[number]

    def edit(self, number: int, **values: Any) -> dict[str, Any]:
        row = self.rows[number]
        row.update(values, rev=row["rev"] + 1, modified_on=self.now())
        return row

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._door])
        app.router.add_get("/v2/people", self._list)
        app.router.add_post("/v2/people", self._create)
        app.router.add_get("/v2/people/{id}", self._one)
        app.router.add_patch("/v2/people/{id}", self._patch)
        app.router.add_delete("/v2/people/{id}", self._delete)
        return app

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.calls.append((request.method, request.path_qs, dict(request.headers), body))
        if request.headers.get("X-API-Key") != KEY:
            return web.json_response({"message": "key refused"}, status=401)
        if self.answers:
            return self.answers.pop(0)
        return await handler(request)

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        rows = sorted(self.rows.values(), key=lambda row: (row["modified_on"], row["id"]))
        if since := query.get("modified_since"):
            rows = [r for r in rows if datetime.fromisoformat(r["modified_on"]) >= datetime.fromisoformat(since)]
        for name in ("ref", "mail"):
            if name in query:
                rows = [row for row in rows if row.get(name) == query[name]]
        size = min(int(query.get("per_page", PER_PAGE)), PER_PAGE)
        start = (int(query.get("page", 1)) - 1) * size if self.paging == "page" else int(query.get("skip", 0))
        answer = web.json_response(rows[start : start + size])
        if self.between_pages:
            self.between_pages()
        return answer

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        token = request.headers.get("X-Request-Key", "")
        if token in self.idempotent:
            return web.json_response(self.rows[self.idempotent[token]])
        if "mail" not in body:
            return web.json_response({"errors": {"mail": ["is missing"]}}, status=422)
        if any(row.get("ref") == body.get("ref") for row in self.rows.values()):
            return web.json_response({"errors": {"ref": ["is taken"]}}, status=409)
        row = self.put(**body)
        self.idempotent[token] = row["id"]
        return web.json_response(row, status=201)

    def _found(self, request: web.Request) -> dict[str, Any] | None:
        return self.rows.get(int(request.match_info["id"]))

    async def _one(self, request: web.Request) -> web.Response:
        row = self._found(request)
        return web.json_response(row) if row else web.json_response({"message": "no such person"}, status=404)

    async def _patch(self, request: web.Request) -> web.Response:
        row = self._found(request)
        if row is None:
            return web.json_response({"message": "no such person"}, status=404)
        return web.json_response(self.edit(row["id"], **(await request.json())))

    async def _delete(self, request: web.Request) -> web.Response:
        row = self._found(request)
        if row is None:
            return web.json_response({"message": "no such person"}, status=404)
        del self.rows[row["id"]]
        return web.Response(status=204)


MANIFEST: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "acme_crm/manifest.yaml").read_text("utf-8"))
