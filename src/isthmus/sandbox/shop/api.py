"""The Admin API itself: one address, queries validated against the schema, costs counted, errors in Shopify's form."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
)

from ..parts.spoiling import spoil
from .cost import Meter, actual
from .mutations import MUTATIONS, resolve_mutation
from .resolving import resolve_field, type_of
from .service import Shop
from .settings import VERSION

PATH = "/admin/api/{version}/graphql.json"
_VERSION = re.compile(r"20[0-9]{2}-(01|04|07|10)|unstable")
_STATES = {
    "frozen": (402, "Unavailable Shop"),
    "locked": (423, "Locked"),
    "forbidden": (403, "Forbidden"),
}


@lru_cache(maxsize=1)
def schema() -> GraphQLSchema:
    """The part of Shopify's schema that is spoken."""
    built = build_schema(Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))
    mutation = built.mutation_type
    assert mutation is not None  # the schema has one
    for name, field in mutation.fields.items():
        assert name in MUTATIONS, f"{name} is in the schema and does nothing"
        field.resolve = resolve_mutation
    return built


def routes(shop: Shop) -> list[web.RouteDef]:
    """The routes."""

    async def respond(request: web.Request) -> web.StreamResponse:
        return await _respond(shop, request)

    return [web.post(PATH, respond)]


async def _respond(shop: Shop, request: web.Request) -> web.StreamResponse:
    version = request.match_info["version"]
    if not _VERSION.fullmatch(version):
        return _plain(404, "Not Found")
    given = request.headers.get("X-Shopify-Access-Token", "")
    if not hmac.compare_digest(given.encode(), shop.settings.access_token.encode()):
        return _plain(401, "[API] Invalid API key or access token (unrecognized login or wrong password)")
    if shop.switches.state != "open":
        return _plain(*_STATES[shop.switches.state])
    asked = _asked(await request.read())
    if asked is None:
        return _plain(400, "Required parameter missing or invalid")
    query, variables, operation = asked
    names, mutating = _roots(query, operation)
    for name in names:
        shop.calls[name] += 1
    if shop.switches.latency_ms:
        await asyncio.sleep(shop.switches.latency_ms / 1000)

    async def work() -> web.StreamResponse:
        return _json(answer(shop, query, variables, operation))

    fault = shop.faults.on_request(" ".join(names), "mutation" if mutating else "query")
    if fault is None:
        return await work()
    if fault.kind in ("graphql_throttle", "graphql_error"):
        if fault.after:
            await work()
        code = "THROTTLED" if fault.kind == "graphql_throttle" else "INTERNAL_SERVER_ERROR"
        return _json(
            _only_error(
                "Throttled" if code == "THROTTLED" else "Internal error. Looks like something went wrong on our end.",
                code,
                shop,
                10,
            )
        )
    return await spoil(fault, request, work, _refuse)


def answer(shop: Shop, query: str, variables: dict[str, Any], operation: str | None) -> dict[str, Any]:
    """The body of an answer to one document."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return {"errors": [_told(error)]}
    problems = validate(schema(), document)
    if problems:
        return {"errors": [_told(error) for error in problems]}
    chosen = get_operation_ast(document, operation)
    if chosen is None:
        return {"errors": [{"message": "An operation name is required"}]}
    requested = Meter(schema(), document, variables).requested(chosen)
    if requested > shop.switches.most_cost:
        message = (
            f"Query cost is {requested}, which exceeds the single query max cost limit ({shop.switches.most_cost})."
        )
        return {
            "errors": [
                {
                    "message": message,
                    "extensions": {"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": shop.switches.most_cost},
                }
            ]
        }
    if not shop.bucket.holds(requested):
        return _only_error("Throttled", "THROTTLED", shop, requested)
    result = _run(shop, document, variables, operation)
    mutating = chosen.operation is OperationType.MUTATION
    spent = actual(result.data, requested, mutating=mutating)
    shop.bucket.pay(spent)
    body: dict[str, Any] = {}
    if result.data is not None:
        body["data"] = result.data
    if result.errors:
        body["errors"] = [_told(error) for error in result.errors]
    return body | {"extensions": _costs(shop, requested, spent)}


def _run(shop: Shop, document: DocumentNode, variables: dict[str, Any], operation: str | None) -> ExecutionResult:
    return execute_sync(
        schema(),
        document,
        context_value=shop,
        root_value={},
        variable_values=variables,
        operation_name=operation,
        field_resolver=resolve_field,
        type_resolver=type_of,
    )


def _only_error(message: str, code: str, shop: Shop, requested: int) -> dict[str, Any]:
    error = {"message": message, "extensions": {"code": code, "documentation": "https://shopify.dev/api/usage/limits"}}
    return {"errors": [error], "extensions": _costs(shop, requested, None)}


def _costs(shop: Shop, requested: int, spent: int | None) -> dict[str, Any]:
    return {
        "cost": {
            "requestedQueryCost": requested,
            "actualQueryCost": spent,
            "throttleStatus": shop.bucket.status(),
        }
    }


def _asked(body: bytes) -> tuple[str, dict[str, Any], str | None] | None:
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if not isinstance(told, dict) or not isinstance(told.get("query"), str):
        return None
    variables = told.get("variables") or {}
    return (told["query"], variables, told.get("operationName")) if isinstance(variables, dict) else None


def _roots(query: str, operation: str | None) -> tuple[list[str], bool]:
    """The root fields of a document and whether it changes anything; empty when it cannot be read."""
    try:
        chosen = get_operation_ast(parse(query), operation)
    except GraphQLError:
        return [], False
    if not isinstance(chosen, OperationDefinitionNode):
        return [], False
    names = [node.name.value for node in chosen.selection_set.selections if hasattr(node, "name")]
    return names, chosen.operation is OperationType.MUTATION


_log = logging.getLogger(__name__)
_UNDEFINED = re.compile(r"Cannot query field '(?P<field>[^']+)' on type '(?P<type>[^']+)'")
_CODES = (
    (re.compile(r"^Variable '\$"), "INVALID_VARIABLE"),
    (re.compile(r"Field '.*' of required type .* was not provided"), "missingRequiredInputObjectAttribute"),
    (re.compile(r"Unknown argument"), "argumentNotAccepted"),
    (re.compile(r"argument .* is required|was not provided"), "missingRequiredArguments"),
    (re.compile(r"must have a selection|must not have a selection"), "selectionMismatch"),
    (
        re.compile(r"Expected value of type|cannot represent|is not defined by type|does not exist in"),
        "argumentLiteralsIncompatible",
    ),
)


def _told(error: GraphQLError) -> dict[str, Any]:
    """An error as Shopify tells it, with a code."""
    told: dict[str, Any] = {"message": error.message}
    if error.locations:
        told["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        told["path"] = list(error.path)
    extensions = dict(error.extensions or {})
    undefined = _UNDEFINED.search(error.message)
    if undefined:
        told["message"] = f"Field '{undefined['field']}' doesn't exist on type '{undefined['type']}'"
        extensions = {"code": "undefinedField", "typeName": undefined["type"], "fieldName": undefined["field"]}
    if "code" not in extensions:
        # What has a place in the answer was raised while it was made: the sandbox itself failed.
        found = next((code for form, code in _CODES if form.search(error.message)), "BAD_REQUEST")
        extensions["code"] = "INTERNAL_SERVER_ERROR" if error.path and error.original_error else found
        if extensions["code"] == "INTERNAL_SERVER_ERROR":
            _log.error("answering a query: an error of the sandbox itself", exc_info=error.original_error)
    return told | {"extensions": extensions}


def _json(body: Any, status: int = 200, **headers: str) -> web.Response:
    raw = msgspec.json.encode(body)
    return web.Response(
        body=raw, status=status, content_type="application/json", headers={"X-Shopify-API-Version": VERSION, **headers}
    )


def _plain(status: int, message: str) -> web.Response:
    return _json({"errors": message}, status)


def _refuse(status: int, retry_after: float | None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return _json({"errors": "Exceeded rate limit." if status == 429 else "Service unavailable"}, status, **headers)
