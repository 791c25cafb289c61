"""The canonical API: customers, products, orders, invoices, payments and stock for systems without a connector."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from isthmus.api.caller import Running
from isthmus.api.canonical.answers import Given, given, once
from isthmus.api.canonical.door import allowed
from isthmus.api.canonical.problems import PROBLEMS, Problem, ProblemRoute
from isthmus.model.canonical import CanonicalEntity
from isthmus.model.entities import ENTITIES
from isthmus.operate.canonical import reading, writing
from isthmus.operate.canonical.place import standing
from isthmus.operate.canonical.values import moment, schema
from isthmus.operate.clients import RESOURCES, WRITABLE, Client
from isthmus.store import clients

router = APIRouter(prefix="/api/v1", tags=["canonical API"], route_class=ProblemRoute)

_KNOWN = ("limit", "cursor", "updated_since", "active")
_IDEMPOTENT = "The same key and body again are answered as before, for 24 hours."
_MOST_REFERENCE = 120


def _readable(resource: str, entity: CanonicalEntity) -> None:
    """GET of a list and of one record."""
    reads = Depends(allowed(f"{resource}:read"))
    called = entity.label.lower()
    page = _answers(200, _listed(entity), "A page; `next` is the cursor behind it, null at the end.")
    filters = [
        {"name": key.field, "in": "query", "schema": {"type": "string"}, "description": f"Only with this {key.field}."}
        for key in entity.match
        if not key.also
    ]

    @router.get(
        f"/{resource}",
        name=f"list_{resource}",
        summary=f"List the records of {called}, page by page, as the client's system has them now.",
        responses={**page, **PROBLEMS},
        openapi_extra={"parameters": filters} if filters else None,
    )
    async def listing(
        request: Request,
        runtime: Running,
        client: Client = reads,
        limit: int = Query(50, ge=1, le=reading.MOST, description="Most records of the page."),
        cursor: str | None = Query(None, max_length=2_000, description="`next` of the page before."),
        updated_since: str | None = Query(None, description="Only changed at or after, ISO 8601 with offset."),
        active: bool | None = Query(None, description="Only active ones, or only archived ones."),
    ) -> JSONResponse:
        since = moment(updated_since) if updated_since is not None else None
        if updated_since is not None and since is None:
            raise _wrong("updated_since", "it has to be a moment with its offset, like 2026-03-31T09:00:00Z")
        keys = {name: value for name, value in request.query_params.items() if name not in _KNOWN}
        wanted = reading.Wanted(limit=limit, cursor=cursor, updated_since=since, active=active, keys=keys)
        return JSONResponse(await reading.page(await standing(runtime, client, resource), wanted))

    @router.get(
        f"/{resource}/{{key:path}}",
        name=f"get_{resource}",
        summary=f"Read one record of {called} by its key, as the client's system has it now.",
        responses={**_answers(200, _record(entity), "The record."), **PROBLEMS},
    )
    async def one(key: str, runtime: Running, client: Client = reads) -> JSONResponse:
        _, body = await reading.one(await standing(runtime, client, resource), key)
        return JSONResponse(body, headers={"ETag": f'"{body["version"]}"'} if body["version"] else None)


def _creatable(resource: str, entity: CanonicalEntity) -> None:
    """POST of a new record."""
    writes = Depends(allowed(f"{resource}:write"))

    @router.post(
        f"/{resource}",
        name=f"create_{resource}",
        summary=f"Create a record of {entity.label.lower()} under your own reference; the pair carries it on.",
        responses={**_answers(201, _record(entity), "It stands there."), **PROBLEMS},
        openapi_extra=_body(entity, reference=True),
    )
    async def create(
        request: Request,
        runtime: Running,
        client: Client = writes,
        idempotency_key: str | None = Header(None, description=_IDEMPOTENT),
    ) -> Response:
        asked = await given(request)
        at = await standing(runtime, client, resource)
        reference, values = _parts(asked, reference=True)

        async def work(locks: clients.Locks) -> JSONResponse:
            done = await writing.create(at, reference, values, locks)
            place = {"Location": f"/api/v1/{resource}/{quote(done.key, safe='')}"}
            return JSONResponse(done.body, 201 if done.created else 200, place)

        return await once(runtime, client, asked, [f"client:{client.id}:{at.entity.name}:{reference}"], work)


def _changeable(resource: str, entity: CanonicalEntity) -> None:
    """PUT of what changes in a record."""
    writes = Depends(allowed(f"{resource}:write"))

    @router.put(
        f"/{resource}/{{key:path}}",
        name=f"change_{resource}",
        summary=f"Change a record of {entity.label.lower()}: what is left out stays, null empties.",
        responses={**_answers(200, _record(entity), "It stands there as wanted."), **PROBLEMS},
        openapi_extra=_body(entity, reference=False),
    )
    async def change(
        key: str,
        request: Request,
        runtime: Running,
        client: Client = writes,
        idempotency_key: str | None = Header(None, description=_IDEMPOTENT),
        if_match: str | None = Header(None, description="The version it has to have; 412 when it has another one."),
    ) -> Response:
        asked = await given(request)
        at = await standing(runtime, client, resource)
        _, values = _parts(asked, reference=False)
        expected = None if if_match in (None, "*") else str(if_match).strip('"')

        async def work(locks: clients.Locks) -> JSONResponse:
            await locks.also([f"client:{at.here.connection_id}:{at.here.entity}:{key}"])
            return JSONResponse((await writing.update(at, key, values, expected)).body)

        return await once(runtime, client, asked, [], work)


def _parts(asked: Given, *, reference: bool) -> tuple[str, dict[str, Any]]:
    """The client's own reference and the values of a body; the Idempotency-Key stands in for a missing reference."""
    known = ("reference", "values") if reference else ("values",)
    beyond = sorted(set(asked.body) - set(known))
    if beyond:
        raise _wrong(beyond[0], f"a body has {' and '.join(known)}; fields of the record go into values")
    values = asked.body.get("values")
    if not isinstance(values, dict):
        raise _wrong("values", "it has to be an object with the fields of the record")
    named = asked.body.get("reference", asked.key) if reference else ""
    if reference and not (isinstance(named, str) and 0 < len(named.strip()) <= _MOST_REFERENCE and named.isprintable()):
        raise _wrong("reference", "give what you call this record yourself: 1 to 120 printable characters")
    return str(named), values


def _wrong(field: str, message: str) -> Problem:
    errors = [{"field": field, "message": message}]
    return Problem(422, "bad_request", f"{field}: {message}", hint="Correct it, then send it again.", errors=errors)


# -- what OpenAPI says -----------------------------------------------------------------------------------------------


def _answers(status: int, shape: dict[str, Any], said: str) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": said, "content": {"application/json": {"schema": shape}}}}


def _record(entity: CanonicalEntity) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["key", "values"],
        "properties": {
            "key": {"type": "string", "description": "What the client's system calls it."},
            "reference": {"type": ["string", "null"], "description": "What this client called it when it made it."},
            "version": {"type": ["string", "null"], "description": "For If-Match."},
            "updated_at": {"type": ["string", "null"], "format": "date-time"},
            "active": {"type": "boolean"},
            "warnings": {"type": "array", "items": {"type": "string"}, "description": "Remarks on what was written."},
            "values": schema(entity),
        },
    }


def _listed(entity: CanonicalEntity) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {"items": {"type": "array", "items": _record(entity)}, "next": {"type": ["string", "null"]}},
    }


def _body(entity: CanonicalEntity, *, reference: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {"values": schema(entity)}
    if reference:
        said = "What you call it yourself: the same reference is the same record, however often it is sent."
        properties = {"reference": {"type": "string", "maxLength": _MOST_REFERENCE, "description": said}, **properties}
    shape = {"type": "object", "required": ["values"], "properties": properties, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": shape}}}}


for _resource, _name in RESOURCES.items():
    _readable(_resource, ENTITIES[_name])
    if "POST" in WRITABLE.get(_resource, ()):
        _creatable(_resource, ENTITIES[_name])
    if "PUT" in WRITABLE.get(_resource, ()):
        _changeable(_resource, ENTITIES[_name])
