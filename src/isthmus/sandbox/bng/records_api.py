"""The endpoints of the entities: list, read, create, change, and many of them in one batch."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web
from multidict import MultiDict, MultiMapping

from .batch import MOST_ITEMS, read_item
from .errors import ApiError, Problem, invalid, not_found
from .gate import guarded
from .http import REQUEST_ID, answer_raw, answer_written, decoded, if_match, read_json
from .idempotency import Answer
from .listing import page
from .schema import Entity
from .service import Sandbox
from .tokens import Grant
from .values import encode
from .writing import Saved


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The routes of every entity that has a table of its own."""
    out: list[web.RouteDef] = []
    for entity in sandbox.catalogue.roots:
        calls = _EntityCalls(entity)
        path, read, write = f"/api/v1/{entity.path}", f"{entity.path}:read", f"{entity.path}:write"
        out += [
            web.post(f"{path}/batch", guarded(sandbox, write, calls.batch)),
            web.get(path, guarded(sandbox, read, calls.list_page)),
            web.post(path, guarded(sandbox, write, calls.create)),
            web.put(path, guarded(sandbox, write, calls.update_by_body)),
            web.get(path + "/{key}", guarded(sandbox, read, calls.read)),
            web.put(path + "/{key}", guarded(sandbox, write, calls.update)),
        ]
    return out


def record_answer(status: int, saved: Saved) -> Answer:
    """A stored write as it is answered and remembered."""
    return Answer(status, saved.key, saved.version, saved.raw)


class _EntityCalls:
    """The handlers of one entity."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity

    async def list_page(self, sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
        asked: MultiMapping[str] = request.query
        if sandbox.switches.merged == "redirect" and "IDs" in asked:
            ids = [self._followed(sandbox, key) for key in asked["IDs"].split(",")]
            asked = MultiDict(asked)
            asked["IDs"] = ",".join(ids)
        return answer_raw(request, page(sandbox.store, self.entity, asked, sandbox.switches))

    async def read(self, sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
        key = request.match_info["key"]
        raw = sandbox.store.raw(self.entity.name, key)
        if raw is None and sandbox.switches.merged == "redirect":
            raw = sandbox.store.raw(self.entity.name, self._followed(sandbox, key))
        if raw is None:
            raise not_found(self.entity.label, key, sandbox.store.merged_into(self.entity.name, key))
        return answer_raw(request, raw, ETag=f'"{decoded(raw)["Version"]}"')

    async def create(self, sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
        given = await read_json(request)
        with sandbox.store.transaction():
            written = self._write(sandbox, grant, None, request.headers.get("Idempotency-Key"), None, given)
        return answer_written(request, f"/api/v1/{self.entity.path}", written)

    async def update(self, sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
        return self._updated(sandbox, request, grant, request.match_info["key"], await read_json(request))

    async def update_by_body(self, sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
        given = await read_json(request)
        key = given.get(self.entity.id) if isinstance(given, dict) else None
        if not isinstance(key, str):
            raise invalid([Problem(self.entity.id, "Required", "must be given in the path or the body")])
        return self._updated(sandbox, request, grant, key, given)

    def _updated(self, sandbox: Sandbox, request: web.Request, grant: Grant, key: str, given: Any) -> web.Response:
        headers = request.headers
        with sandbox.store.transaction():
            written = self._write(sandbox, grant, key, headers.get("Idempotency-Key"), headers.get("If-Match"), given)
        return answer_written(request, f"/api/v1/{self.entity.path}", written)

    async def batch(self, sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
        """Every item stands for itself: one that is refused does not hold up the others."""
        given = await read_json(request)
        items = given.get("Items") if isinstance(given, dict) else None
        if not isinstance(items, list) or not items:
            raise invalid([Problem("Items", "Required", "must list at least one item")])
        if len(items) > MOST_ITEMS:
            raise invalid([Problem("Items", "TooMany", f"takes at most {MOST_ITEMS} items, not {len(items)}")])
        joint = request.headers.get("Idempotency-Key")
        results: list[bytes] = []
        with sandbox.store.transaction():
            for place, item in enumerate(items):
                try:
                    asked = read_item(self.entity, item, None if joint is None else f"{joint}/{place}")
                    written = self._write(
                        sandbox, grant, asked.key, asked.idempotency_key, asked.based_on, asked.record
                    )
                except ApiError as error:
                    told = {"Status": error.status, **error.body(request[REQUEST_ID])}
                    results.append(encode(told))
                else:
                    replayed = b',"Replayed":true' if written.replayed else b""
                    results.append(b'{"Status":%d,"Data":%b%b}' % (written.status, written.body, replayed))
        return answer_raw(request, b'{"Results":[' + b",".join(results) + b"]}")

    def _write(
        self,
        sandbox: Sandbox,
        grant: Grant,
        key: str | None,
        idempotency_key: str | None,
        based_on: str | None,
        given: Any,
    ) -> Answer:
        version = if_match(based_on)
        if key is None:
            write = partial(self._create, sandbox, given)
        else:
            write = partial(self._update, sandbox, key, given, version)
        what = ["POST" if key is None else "PUT", self.entity.path, key, based_on, given]
        return sandbox.idempotency.once(grant.client, idempotency_key, what, write)

    def _create(self, sandbox: Sandbox, given: Any) -> Answer:
        return record_answer(201, sandbox.writer.create(self.entity, given))

    def _update(self, sandbox: Sandbox, key: str, given: Any, version: int | None) -> Answer:
        return record_answer(200, sandbox.writer.update(self.entity, key, given, if_match=version))

    def _followed(self, sandbox: Sandbox, key: str) -> str:
        """The record that `key` was merged into, or itself."""
        return sandbox.store.merged_into(self.entity.name, key) or key
