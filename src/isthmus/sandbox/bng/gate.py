"""The way into the API: faults first, then the token, its scopes, the rate limit; errors told in one form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from ..parts.spoiling import spoil
from .errors import ApiError
from .faults import Fault
from .http import EXTRA_HEADERS, answer_error, bearer, begin
from .service import Sandbox
from .tokens import Grant

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ApiHandler = Callable[[Sandbox, web.Request, Grant], Awaitable[web.Response]]

SPOILED = ("/api/", "/oauth/token")
"""The paths that fault switches act on."""

_log = logging.getLogger(__name__)


def front(sandbox: Sandbox) -> Middleware:
    """The middleware around everything."""

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        begin(request)
        if not request.path.startswith(SPOILED):
            return await _told(request, handler)
        if sandbox.switches.latency_ms:
            await asyncio.sleep(sandbox.switches.latency_ms / 1000)
        fault = sandbox.faults.on_request(request.path, request.method)
        if fault is None:
            return await _told(request, handler)
        return await _spoiled(sandbox, fault, request, handler)

    return around


async def _told(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return answer_error(request, error)
    except web.HTTPException as error:
        if error.status < 400 or request.path.startswith("/screens/"):
            raise
        return answer_error(request, _of_aiohttp(request, error))
    except Exception:
        _log.exception("answering %s %s: an error of the sandbox itself", request.method, request.path)
        return answer_error(request, ApiError(500, "InternalError", "The sandbox failed; its log says why."))


def _of_aiohttp(request: web.Request, error: web.HTTPException) -> ApiError:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{request.method} is not offered here, only {allowed}."
        if request.method == "DELETE":
            message += " Business records are never deleted; use Status."
        return ApiError(405, "MethodNotAllowed", message, headers={"Allow": allowed})
    if error.status == 404:
        return ApiError(404, "NotFound", f"There is nothing at {request.path}.")
    if error.status == 413:
        return ApiError(413, "PayloadTooLarge", "The body is too large.")
    return ApiError(error.status, "BadRequest", error.reason)


async def _spoiled(sandbox: Sandbox, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    if fault.kind == "expire_token" and (token := bearer(request)):
        sandbox.tokens.revoke(token)

    def refuse(status: int, retry_after: float | None) -> web.Response:
        headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        if status == 429:
            return answer_error(request, ApiError(429, "RateLimited", "Too many requests.", headers=headers))
        return answer_error(request, ApiError(status, "Unavailable", "BNG cannot answer right now."))

    return await spoil(fault, request, lambda: _told(request, handler), refuse)


def guarded(sandbox: Sandbox, scope: str | None, handler: ApiHandler) -> Handler:
    """The handler behind token, scope and rate limit; counted under its route."""

    async def respond(request: web.Request) -> web.Response:
        resource = request.match_info.route.resource
        sandbox.calls[f"{request.method} {resource.canonical if resource else request.path}"] += 1
        grant = _granted(sandbox, request)
        passes, headers = sandbox.limit.take(grant.client)
        request[EXTRA_HEADERS].update(headers)
        if not passes:
            raise ApiError(429, "RateLimited", f"Client {grant.client} sent too many requests.")
        if scope is not None and scope not in grant.scopes:
            challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
            raise ApiError(403, "Forbidden", f"The token lacks the scope {scope}.", headers=challenge)
        return await handler(sandbox, request, grant)

    return respond


def _granted(sandbox: Sandbox, request: web.Request) -> Grant:
    token = bearer(request)
    if token is None:
        message = "A bearer token is needed; get one from POST /oauth/token."
        raise ApiError(401, "Unauthorized", message, headers={"WWW-Authenticate": 'Bearer realm="BNG"'})
    grant = sandbox.tokens.check(token)
    if grant is None:
        message = "The token is expired or unknown; get a new one from POST /oauth/token."
        raise ApiError(
            401, "Unauthorized", message, headers={"WWW-Authenticate": 'Bearer realm="BNG", error="invalid_token"'}
        )
    return grant
