"""The sandbox's own switches under /sandbox, behind the admin key: reset, snapshot, edits by others, faults."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
from aiohttp import web

from . import crud, platform
from .environment import SUPERUSER, Env
from .errors import OdooError, error_body, missing
from .faults import Fault
from .guarded_write import moment
from .json2 import answer, bearer_key
from .merge import merge
from .server import Sandbox

Switch = Callable[[Sandbox, dict[str, Any]], Awaitable[Any]]


async def _reset(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    sandbox.reset()
    return {"ok": True}


async def _snapshot(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """All stored rows by model, raw: translations by language, company-dependent values by company, no secrets."""
    wanted = str(told.get("models") or "").split(",") if told.get("models") else list(sandbox.database.tables)
    return {
        name: [
            {k: v for k, v in row.items() if not k.startswith("_")}
            for row in sandbox.database.table(name).rows.values()
        ]
        for name in wanted
    }


def _user(sandbox: Sandbox, told: dict[str, Any]) -> int:
    login = str(told.get("login") or sandbox.settings.odoo_admin_login)
    uid = sandbox.user_of_login(login)
    if uid is None:
        raise ValueError(f"acting as {login}: there is no such user; use one of {', '.join(sandbox.rights)}")
    return uid


def _ids(told: dict[str, Any]) -> list[int]:
    ids = told.get("ids") or [told["id"]]
    return [int(i) for i in ids]


async def _edit(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Create (no id) or write as another user, by the same rules as any call."""
    model, values = told["model"], told["values"]
    uid, context = _user(sandbox, told), told.get("context") or {}
    if "id" in told or "ids" in told:
        ids = _ids(told)
        await sandbox.call(uid, context, lambda env: crud.write(env, model, ids, values))
        return {"ids": ids}
    return {"ids": await sandbox.call(uid, context, lambda env: crud.create(env, model, [values]))}


async def _delete(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    ids = _ids(told)
    await sandbox.call(SUPERUSER, {}, lambda env: crud.unlink(env, told["model"], ids))
    return {"ids": ids}


async def _merge(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    survivor, losers = int(told["survivor"]), [int(i) for i in told["losers"]]
    await sandbox.call(_user(sandbox, told), {}, lambda env: merge(env, survivor, losers))
    return {"survivor": survivor}


async def _late(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Write with a write_date `seconds` ago: a transaction that began then and commits now."""
    began = moment(sandbox.now()) - timedelta(seconds=float(told["seconds"]))
    stamp = began.strftime("%Y-%m-%d %H:%M:%S.%f")
    ids = _ids(told)
    await sandbox.call(
        _user(sandbox, told), {}, lambda env: crud.write(env, told["model"], ids, told["values"]), now=stamp
    )
    return {"ids": ids, "write_date": stamp}


async def _key(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Make an API key: `days` until it expires (negative: expired already), null for never."""
    uid, key = _user(sandbox, told), secrets.token_hex(20)
    name, days = str(told.get("name", "made by the sandbox")), told.get("days")
    made = await sandbox.call(SUPERUSER, {}, lambda env: platform.generate_key(env, uid, name, key, days))
    return {"id": made, "key": key}


async def _revoke(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    await sandbox.call(SUPERUSER, {}, lambda env: _drop_key(env, int(told["id"])))
    return {"ok": True}


def _drop_key(env: Env, key_id: int) -> None:
    if env.row(platform.KEYS, key_id) is None:
        raise missing(platform.KEYS, key_id, env.uid)
    env.database.drop(platform.KEYS, key_id)


async def _rights(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Set what a user may do on a model: letters of `rwcu`."""
    sandbox.rights.setdefault(str(told["login"]), {})[str(told["model"])] = str(told["rights"])
    return sandbox.rights[str(told["login"])]


async def _add_fault(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    sandbox.faults.add(Fault(**told))
    return sandbox.faults.told()


async def _faults(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    return sandbox.faults.told()


async def _no_faults(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    sandbox.faults.clear()
    return sandbox.faults.told()


async def _latency(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    sandbox.latency_ms = float(told["ms"])
    return {"ms": sandbox.latency_ms}


async def _calls(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    return {"calls": dict(sandbox.calls), "webhooks": list(sandbox.posted)}


_SWITCHES: tuple[tuple[str, str, Switch], ...] = (
    ("POST", "reset", _reset),
    ("GET", "snapshot", _snapshot),
    ("POST", "edit", _edit),
    ("POST", "delete", _delete),
    ("POST", "merge", _merge),
    ("POST", "late", _late),
    ("POST", "keys", _key),
    ("DELETE", "keys", _revoke),
    ("PUT", "rights", _rights),
    ("GET", "faults", _faults),
    ("POST", "faults", _add_fault),
    ("DELETE", "faults", _no_faults),
    ("PUT", "latency", _latency),
    ("GET", "calls", _calls),
)


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Return the routes; arguments come as a JSON object, for GET as query parameters."""
    return [web.route(verb, f"/sandbox/{name}", _guarded(sandbox, switch)) for verb, name, switch in _SWITCHES]


def _guarded(sandbox: Sandbox, switch: Switch) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def respond(request: web.Request) -> web.Response:
        if not hmac.compare_digest((bearer_key(request) or "").encode(), sandbox.settings.admin_key.encode()):
            return answer({"error": "The sandbox's admin key is needed as a bearer token."}, 401)
        body = await request.read()
        try:
            told = msgspec.json.decode(body) if body else dict(request.query)
            return answer(await switch(sandbox, told))
        except OdooError as error:
            status, shown = error_body(error)
            return answer(shown, status)
        except (KeyError, ValueError, TypeError, msgspec.DecodeError) as error:
            return answer({"error": f"{type(error).__name__}: {error}"}, 400)

    return respond
