"""The sandbox's own switches under /sandbox, behind the admin key: seeds, edits by people, faults, counts."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from . import people, shipping
from .errors import ApiError, Problem, invalid, not_found
from .faults import Fault
from .http import answer, answer_raw, bearer, decoded
from .schema import Entity
from .service import Sandbox
from .tokens import Client
from .values import encode

Switch = Callable[[Sandbox, dict[str, Any]], Awaitable[Any]]


class Raw(bytes):
    """An answer that is JSON already."""


def _entity(sandbox: Sandbox, told: dict[str, Any]) -> Entity:
    name = str(told.get("entity", ""))
    found = sandbox.entity(name)
    if found is None:
        known = ", ".join(entity.name for entity in sandbox.catalogue.roots)
        raise invalid([Problem("entity", "NotInList", f"{name!r} is no entity; use one of {known}")])
    return found


async def _reset(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Empty everything; `new_system`: it takes itself for another system from now on."""
    sandbox.reset(new_system=bool(told.get("new_system")))
    return {"ok": True}


async def _counts(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """How many records there are of every entity."""
    return {entity.name: sandbox.store.count(entity.name) for entity in sandbox.catalogue.roots}


async def _snapshot(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """All records by entity, oldest change first; `entities` names some, comma-separated."""
    wanted = [n for n in str(told.get("entities") or "").split(",") if n]
    entities = [_entity(sandbox, {"entity": name}) for name in wanted] or list(sandbox.catalogue.roots)
    parts = [encode(entity.name) + b":[" + b",".join(sandbox.store.all_raw(entity.name)) + b"]" for entity in entities]
    return Raw(b"{" + b",".join(parts) + b"}")


async def _seed(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Store `records` of one `entity` at once, all or none, as people at BNG would have; ids may be given.

    No webhooks go out unless `quiet` is false. Answers the ids in order.
    """
    entity, records = _entity(sandbox, told), told.get("records")
    if not isinstance(records, list):
        raise invalid([Problem("records", "Required", "must list the records")])
    return {"ids": people.seed(sandbox, entity, records, quiet=bool(told.get("quiet", True)))}


async def _edit(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Create (no `id`) or change a record as people at BNG do; webhooks go out. Answers the record."""
    entity, key, values = _entity(sandbox, told), told.get("id"), told.get("values")
    if key is None:
        return Raw(sandbox.writer.create(entity, values, origin="people").raw)
    return Raw(sandbox.writer.update(entity, str(key), values, origin="people").raw)


async def _delete(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Remove records for good, as no API call can; no webhook tells."""
    entity, keys = _entity(sandbox, told), [str(key) for key in told["ids"]]
    with sandbox.store.transaction():
        for key in keys:
            if not sandbox.store.exists(entity.name, key):
                raise not_found(entity.label, key)
            sandbox.store.delete(entity.name, key)
    return {"ids": keys}


async def _merge(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Merge `losers` into the `survivor`: they are gone, what pointed to them points to it."""
    entity, survivor = _entity(sandbox, told), str(told["survivor"])
    people.merge(sandbox, entity, survivor, [str(key) for key in told["losers"]])
    return {"survivor": survivor}


async def _receive(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Take in goods on the purchase order `id`; `receipt` as in its Receipts."""
    return shipping.receive(sandbox, str(told["id"]), told["receipt"])


async def _settings(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    return msgspec.to_builtins(sandbox.switches)


async def _switch(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    return msgspec.to_builtins(sandbox.switch(told))


async def _faults(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    return sandbox.faults.told()


async def _add_fault(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    return msgspec.to_builtins(sandbox.faults.add(msgspec.convert(told, Fault)))


async def _drop_faults(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Switch the fault `id` off, its count stays; all of them and their counts without an id."""
    if "id" not in told:
        sandbox.faults.clear()
    elif not sandbox.faults.remove(int(told["id"])):
        raise not_found("fault", str(told["id"]))
    return sandbox.faults.told()


async def _calls(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    return sandbox.counters()


async def _deliveries(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """The last tries of webhook deliveries, oldest first, and what still waits."""
    return {"log": list(sandbox.dispatcher.log), **sandbox.outbox.counts()}


async def _revive(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Send again what was given up."""
    return {"revived": sandbox.dispatcher.revive()}


async def _expire_tokens(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """End all access tokens, with `refresh` the refresh tokens too."""
    ended = sandbox.tokens.revoke_all("access")
    return {"access": ended, "refresh": sandbox.tokens.revoke_all("refresh") if told.get("refresh") else 0}


async def _client(sandbox: Sandbox, told: dict[str, Any]) -> Any:
    """Register a client: `id`, `secret` (null: a public one), `scopes` (all when left out), `redirect_uris`."""
    secret, known = told.get("secret"), sandbox.catalogue.scopes
    scopes = tuple(str(scope) for scope in told.get("scopes") or known)
    if unknown := sorted(set(scopes) - set(known)):
        raise invalid([Problem("scopes", "NotInList", f"unknown: {', '.join(unknown)}; use {', '.join(known)}")])
    uris = tuple(str(uri) for uri in told.get("redirect_uris") or ())
    client = Client(str(told["id"]), scopes, uris, public=secret is None)
    sandbox.tokens.register(client, str(secret or ""))
    return {"id": client.id, "scopes": list(scopes), "redirect_uris": list(uris), "public": client.public}


SWITCHES: tuple[tuple[str, str, Switch], ...] = (
    ("POST", "reset", _reset),
    ("GET", "counts", _counts),
    ("GET", "snapshot", _snapshot),
    ("POST", "seed", _seed),
    ("POST", "edit", _edit),
    ("POST", "delete", _delete),
    ("POST", "merge", _merge),
    ("POST", "receive", _receive),
    ("GET", "settings", _settings),
    ("PUT", "settings", _switch),
    ("GET", "faults", _faults),
    ("POST", "faults", _add_fault),
    ("DELETE", "faults", _drop_faults),
    ("GET", "calls", _calls),
    ("GET", "deliveries", _deliveries),
    ("POST", "deliveries/revive", _revive),
    ("POST", "tokens/expire", _expire_tokens),
    ("POST", "clients", _client),
)


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The routes; arguments come as a JSON object, for GET and DELETE as query parameters too."""
    return [web.route(verb, f"/sandbox/{name}", _guarded(sandbox, switch)) for verb, name, switch in SWITCHES]


def _guarded(sandbox: Sandbox, switch: Switch) -> Callable[[web.Request], Awaitable[web.Response]]:
    expected = sandbox.settings.admin_key.encode()

    async def respond(request: web.Request) -> web.Response:
        if not hmac.compare_digest((bearer(request) or "").encode(), expected):
            raise ApiError(401, "Unauthorized", "The sandbox's admin key is needed as a bearer token.")
        body = await request.read()
        told = decoded(body) if body else dict(request.query)
        if not isinstance(told, dict):
            raise invalid([Problem("body", "WrongType", "must be an object")])
        try:
            found = await switch(sandbox, told)
        except (KeyError, TypeError, ValueError) as error:
            missing = isinstance(error, KeyError)
            message = f"{error.args[0]} must be given" if missing else str(error)
            raise ApiError(400, "ValidationFailed", message) from error
        return answer_raw(request, found) if isinstance(found, Raw) else answer(request, found)

    return respond
