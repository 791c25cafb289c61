"""Odoo's older protocols, JSON-RPC at /jsonrpc and XML-RPC at /xmlrpc/<service>, with a password or key per call."""

from __future__ import annotations

import json
import traceback
import xmlrpc.client
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from . import methods, platform
from .environment import SUPERUSER, Env
from .errors import AccessDenied, AccessError, DatabaseUnreachable, OdooError, UserError, error_body
from .json2 import VERSION_INFO, answer, page, unsupported
from .records import Records
from .server import Sandbox

_CONTROL = dict.fromkeys(set(range(32)) - {9, 10, 13})
_VERSION = {
    "server_version": "19.0",
    "server_version_info": VERSION_INFO,
    "server_serie": "19.0",
    "protocol_version": 1,
}


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Return the routes of both protocols."""

    async def jsonrpc(request: web.Request) -> web.Response:
        if request.content_type not in ("application/json", "application/json-rpc"):
            return unsupported("/jsonrpc", "jsonrpc")
        try:
            told = json.loads(await request.read())
        except ValueError:
            return page(400, "Invalid JSON data")
        if not isinstance(told, dict):
            return page(400, "Invalid JSON-RPC data")
        envelope: dict[str, Any] = {"jsonrpc": "2.0", "id": told.get("id")}
        params = told.get("params") or {}
        try:
            result = await _dispatch(sandbox, params["service"], params["method"], params.get("args") or [])
        except Exception as error:  # any error of a call is an answer, as in Odoo
            _, data = error_body(error)
            return answer(envelope | {"error": {"code": 0, "message": "Odoo Server Error", "data": data}})
        return answer(envelope | ({} if result is None else {"result": result}))

    async def xml(request: web.Request) -> web.Response:
        told = _fault if request.path.startswith("/xmlrpc/2/") else _named_fault
        try:
            params, method = xmlrpc.client.loads(await request.read())
            result = await _dispatch(sandbox, request.match_info["service"], method or "", params)
            text = xmlrpc.client.dumps((result,), methodresponse=True)
        except Exception as error:  # any error of a call is a fault, as in Odoo
            text = xmlrpc.client.dumps(told(error), methodresponse=True)
        return web.Response(text=text.translate(_CONTROL), content_type="text/xml", charset="utf-8")

    doors = ("/xmlrpc/{service}", "/xmlrpc/2/{service}")
    return [web.post("/jsonrpc", jsonrpc), *(web.post(door, xml) for door in doors)]


def _fault(error: Exception) -> xmlrpc.client.Fault:
    if isinstance(error, AccessError):
        return xmlrpc.client.Fault(4, error.message)
    if isinstance(error, AccessDenied):
        return xmlrpc.client.Fault(3, error.message)
    if isinstance(error, OdooError):
        return xmlrpc.client.Fault(2, error.message)
    return xmlrpc.client.Fault(1, "".join(traceback.format_exception(error)))


def _named_fault(error: Exception) -> xmlrpc.client.Fault:
    """A fault of the older door: its code is a text that begins with the exception's name."""
    if isinstance(error, AccessDenied):
        return xmlrpc.client.Fault("AccessDenied", error.message)  # type: ignore[arg-type]  # Odoo sends text here
    if isinstance(error, OdooError):
        name = str(error_body(error)[1]["name"]).rpartition(".")[2]
        known = name if name in ("MissingError", "AccessError") else "UserError"
        return xmlrpc.client.Fault(f"warning -- {known}\n\n{error.message}", "")  # type: ignore[arg-type]  # likewise
    return xmlrpc.client.Fault(str(error), "".join(traceback.format_exception(error)))  # type: ignore[arg-type]  # likewise


async def _dispatch(sandbox: Sandbox, service: str, method: str, args: Sequence[Any]) -> Any:
    if service == "common":
        return _common(sandbox, method, args)
    if service == "db" and method == "list":
        return [sandbox.settings.database]
    if service == "object":
        return await _object(sandbox, method, args)
    raise KeyError(service)


def _common(sandbox: Sandbox, method: str, args: Sequence[Any]) -> Any:
    if method == "version":
        return _VERSION
    if method not in ("login", "authenticate"):
        raise Exception(f"Method not found: {method}")
    database, login, secret = args[:3]
    _check_database(sandbox, database)
    return platform.user_of_password(sandbox.env(SUPERUSER), login, secret) or False


def _check_database(sandbox: Sandbox, database: str) -> None:
    if database != sandbox.settings.database:
        raise DatabaseUnreachable(database)


async def _object(sandbox: Sandbox, method: str, args: Sequence[Any]) -> Any:
    database, uid, secret, model, name, *rest = args
    if not secret:
        raise AccessDenied
    if method == "execute_kw":
        positional, keywords = list(rest[0]), dict(rest[1] or {}) if len(rest) > 1 else {}
    elif method == "execute":
        positional, keywords = list(rest), {}
    else:
        raise NameError(f"Method not available {method}")
    _check_database(sandbox, database)
    user = sandbox.database.row("res.users", int(uid)) or {}
    if platform.user_of_password(sandbox.env(SUPERUSER), str(user.get("login")), secret) != int(uid):
        raise AccessDenied
    sandbox.calls[f"{model}.{name}"] += 1
    context = keywords.pop("context", None) or {}
    return await sandbox.call(int(uid), context, lambda env: _run(env, model, name, positional, keywords))


def _run(env: Env, model: str, name: str, positional: list[Any], keywords: dict[str, Any]) -> Any:
    if model not in env.schema:
        raise UserError(f"Object {model} doesn't exist")
    method, model_level = methods.find(env, model, name)
    ids: list[int] = []
    if not model_level:
        first, *positional = positional
        ids = [first] if isinstance(first, int) and first else list(first or ())
    result = method(Records(env, model, ids), *positional, **keywords)
    if name == "create":
        given = positional[0] if positional else keywords.get("vals_list")
        return result[0] if isinstance(given, Mapping) else result
    return result
