"""Odoo's current protocol: POST /json/2/<model>/<method> with a bearer key and named arguments."""

from __future__ import annotations

import html
import inspect
import json
import re
from typing import Any

import msgspec
from aiohttp import web

from . import methods
from .accounting import absent
from .environment import Env
from .errors import BadRequest, NotFound, Unauthorized, UnprocessableEntity, error_body
from .records import Records
from .server import Sandbox

VERSION_INFO = [19, 0, 0, "final", 0, ""]
_BEARER = re.compile(r"^bearer\s+(.+)$", re.I)
_NO_DATABASE = """<!DOCTYPE html>
<title>404 Not Found</title>
<h1>Not Found</h1>
<p>No database is selected and the requested URL was not found in the server-wide controllers.</p>
<p>Please verify the hostname, <a href=/web/login>login</a> and try again.</p>

<!-- Alternatively, use the X-Odoo-Database header. -->
"""


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON response."""
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type="application/json", charset="utf-8", headers=headers)


def page(status: int, text: str) -> web.Response:
    """Return an HTML response."""
    return web.Response(status=status, text=text, content_type="text/html")


def bearer_key(request: web.Request) -> str | None:
    """Return the key of the Authorization header."""
    match = _BEARER.match(request.headers.get("Authorization", ""))
    return match[1].strip() if match else None


def unsupported(route: str, kind: str) -> web.Response:
    """Return the page for a body of the wrong type."""
    return page(
        415,
        "<!doctype html>\n<html lang=en>\n<title>415 Unsupported Media Type</title>\n<h1>Unsupported Media Type</h1>\n"
        f"<p>Request inferred type is compatible with [&#39;http&#39;] but &#39;{html.escape(route)}&#39; is "
        f"type=&#39;{kind}&#39;.<br><br>Please verify the Content-Type request header and try again.</p>\n",
    )


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Return the routes of the protocol."""

    async def version(request: web.Request) -> web.Response:
        return answer({"version_info": VERSION_INFO, "version": "19.0"})

    async def nowhere(request: web.Request) -> web.Response:
        status, body = error_body(NotFound("Did you mean POST /json/2/<model>/<method>?"))
        return answer(body, status)

    async def method(request: web.Request) -> web.Response:
        if request.headers.get("X-Odoo-Database", sandbox.settings.database) != sandbox.settings.database:
            return page(404, _NO_DATABASE)
        body = await request.read()
        if body and request.content_type != "application/json":
            return unsupported("/json/2/<__model__>/<__method__>", "json2")
        try:
            return answer(await _dispatch(sandbox, request, body))
        except Exception as error:  # any error of a call is an answer, as in Odoo
            status, told = error_body(error)
            return answer(told, status, getattr(error, "headers", None))

    return [
        web.get("/json/version", version),
        web.post("/json/2/{model}/{method}", method),
        web.route("*", "/json/2", nowhere),
        web.route("*", "/json/2/{rest:.*}", nowhere),
    ]


async def _dispatch(sandbox: Sandbox, request: web.Request, body: bytes) -> Any:
    uid = _user(sandbox, request)
    told: Any = {}
    if body:
        try:
            told = json.loads(body)
        except ValueError as error:
            raise BadRequest(f"could not parse the body as json: {error.args[0]}") from error
    arguments = dict(told) if isinstance(told, dict) else {}
    ids, context = arguments.pop("ids", ()), arguments.pop("context", {})
    model, name = request.match_info["model"], request.match_info["method"]
    sandbox.calls[f"{model}.{name}"] += 1
    return await sandbox.call(uid, context, lambda env: _run(env, model, name, ids, arguments))


def _user(sandbox: Sandbox, request: web.Request) -> int:
    key = bearer_key(request)
    if key is None:
        raise Unauthorized("User not authenticated, use an API Key with a Bearer Authorization header.")
    uid = sandbox.user_of_key(key)
    if uid is None:
        raise Unauthorized("Invalid apikey")
    return uid


def _run(env: Env, model: str, name: str, ids: Any, arguments: dict[str, Any]) -> Any:
    if model not in env.schema:
        raise NotFound(absent(model))
    try:
        method, model_level = methods.find(env, model, name)
    except AttributeError as error:
        raise NotFound(error.args[0]) from error
    if model_level and ids:
        raise UnprocessableEntity(f"cannot call {model}.{name} with ids")
    records = Records(env, model, [ids] if isinstance(ids, int) else list(ids or ()))
    try:
        inspect.signature(method).bind(records, **arguments)
    except TypeError as error:
        raise UnprocessableEntity(error.args[0]) from error
    return method(records, **arguments)
