"""The endpoints around the records: webhook subscriptions, and who this very system is."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from .gate import guarded
from .http import EXTRA_HEADERS, answer, answer_raw, read_json
from .listing import MOST_ROWS
from .openapi import encoded
from .service import Sandbox
from .tokens import Grant

_SCOPE = "webhooks:manage"
_PATH = "/api/v1/webhook_subscriptions"


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The routes."""
    return [
        web.get(_PATH, guarded(sandbox, _SCOPE, _list)),
        web.post(_PATH, guarded(sandbox, _SCOPE, _add)),
        web.get(_PATH + "/{key}", guarded(sandbox, _SCOPE, _read)),
        web.put(_PATH + "/{key}", guarded(sandbox, _SCOPE, _change)),
        web.delete(_PATH + "/{key}", guarded(sandbox, _SCOPE, _remove)),
        web.get(_PATH + "/{key}/deliveries", guarded(sandbox, _SCOPE, _deliveries)),
        web.post(_PATH + "/{key}/rotate_secret", guarded(sandbox, _SCOPE, _rotate)),
        web.get("/api/v1/system", guarded(sandbox, None, _system)),
        web.get("/openapi.json", partial(_openapi, sandbox)),
        web.get("/health", _health),
    ]


async def _list(sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
    found = [subscription.told() for subscription in sandbox.subscriptions.of(grant.client)]
    return answer(request, {"Data": found, "Paging": {"NextCursor": None, "HasMore": False}})


async def _add(sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
    added = sandbox.subscriptions.add(grant.client, await read_json(request))
    return answer(request, added.told(with_secret=True), 201, Location=f"{_PATH}/{added.id}")


async def _read(sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
    return answer(request, sandbox.subscriptions.owned(grant.client, request.match_info["key"]).told())


async def _change(sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
    given = await read_json(request)
    return answer(request, sandbox.subscriptions.change(grant.client, request.match_info["key"], given).told())


async def _deliveries(sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
    """The tries that are remembered, newest first."""
    subscription = sandbox.subscriptions.owned(grant.client, request.match_info["key"])
    tries = [attempt for attempt in reversed(sandbox.dispatcher.log) if attempt["SubscriptionID"] == subscription.id]
    return answer(request, {"Data": tries[:MOST_ROWS], "Paging": {"NextCursor": None, "HasMore": False}})


async def _remove(sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
    key = request.match_info["key"]
    with sandbox.store.transaction():
        sandbox.subscriptions.remove(grant.client, key)
        sandbox.outbox.drop_of(key)
    return web.Response(status=204, headers=request[EXTRA_HEADERS])


async def _rotate(sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
    given = await read_json(request) if request.can_read_body else {}
    overlap = sandbox.settings.webhooks.rotation
    rotated = sandbox.subscriptions.rotate(grant.client, request.match_info["key"], given, overlap)
    return answer(request, rotated.told(with_secret=True))


async def _system(sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
    """What tells this system from another one at the same address, whatever the token may do."""
    return answer(request, {"SystemID": sandbox.store.meta("system_id"), "Name": "BNG sandbox"})


async def _openapi(sandbox: Sandbox, request: web.Request) -> web.Response:
    return answer_raw(request, encoded(sandbox.switches.put, sandbox.switches.paging))


async def _health(request: web.Request) -> web.Response:
    return answer(request, {"status": "ok"})
