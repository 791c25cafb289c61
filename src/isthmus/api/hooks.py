"""Webhook intake: one address per Connection, answered once the Event is stored."""

from __future__ import annotations

import contextlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Connection, text

from isthmus.api.caller import runtime_of
from isthmus.detect.webhook import Outdated, receive
from isthmus.errors import AuthFailed, IsthmusError, Misconfigured
from isthmus.model.policy import Side
from isthmus.operate.connections import HOOK_SECRET
from isthmus.operate.runtime import Runtime
from isthmus.sdk.connector import Hint, WebhookRequest
from isthmus.store import connections, pairs, secrets
from isthmus.sync.pair import PairRuntime

router = APIRouter(tags=["webhooks"])

Held = tuple[Any, dict[str, Any]]
"""What is known of a Connection's address, behind the stamp of the rows it was read from."""

_STATUS = {"retry": 503, "reject": 400, "halt": 409}
"""Only what passes by itself is worth sending again."""

MOST_BYTES = 2_000_000
"""Larger bodies are refused unread."""


@router.post(
    "/hooks/{connection}/{secret}",
    summary="Receive a webhook of a Connection; 2xx only once it is stored.",
    responses={404: {"description": "No such address."}, 413: {"description": "The body is too large."}},
)
async def hook(connection: str, secret: str, request: Request) -> Response:
    """The secret in the address is compared in constant time; the connector then verifies its own signature.

    What is known of the Connection is used from memory, and proven current in the transaction that stores the
    delivery: a sender that waits for the answer, as Odoo does inside its user's request, waits for one transaction.
    """
    runtime = runtime_of(request)
    if int(request.headers.get("content-length") or 0) > MOST_BYTES:
        return JSONResponse({"error": "the body is too large"}, status_code=413)
    delivery = WebhookRequest(
        headers={k.lower(): v for k, v in request.headers.items()},
        body=await request.body(),
        query={**request.query_params, "secret": secret},
    )
    held = runtime.hook_targets.get(connection)
    if held is not None:
        with contextlib.suppress(Outdated, AuthFailed):
            if _opens(held[1], secret):
                return await _take(runtime, connection, held, delivery)
    held = await _target(runtime, connection)
    if held is None or not _opens(held[1], secret):
        return JSONResponse({"error": "no such address"}, status_code=404)
    try:
        return await _take(runtime, connection, held, delivery)
    except Outdated:
        return JSONResponse({"error": "the connection is being changed just now"}, status_code=503)
    except AuthFailed as error:
        return JSONResponse({"error": error.as_dict()}, status_code=401)


async def _take(runtime: Runtime, connection: str, held: Held, delivery: WebhookRequest) -> Response:
    stamp, target = held

    def current(conn: Connection) -> bool:
        return bool(_stamp(conn, connection) == stamp)

    def told(conn: Connection, hints: Sequence[Hint]) -> None:
        runtime.flows.hear(conn, target["id"], hints)

    try:
        done = await receive(
            runtime.db,
            target["id"],
            target["connector"],
            target["pairs"],
            delivery,
            runtime.wake,
            current=current,
            also=told if target["listened"] else None,
        )
    except AuthFailed:
        raise
    except IsthmusError as error:
        return JSONResponse({"error": error.as_dict()}, status_code=_STATUS[error.action])
    for pair, _ in target["pairs"]:
        runtime.nudge_pair(pair.id)
    return Response(
        json.dumps({"events": done.events, "coalesced": done.coalesced, "echoes": done.echoes}),
        media_type="application/json",
    )


def _opens(target: dict[str, Any], secret: str) -> bool:
    return hmac.compare_digest(target["secret"].encode(), secret.encode())


async def _target(runtime: Runtime, name: str) -> Held | None:
    """The Connection of this name with its connector and pairs; kept until anything about it changes."""
    stamp = await runtime.db.run(_stamp, name)
    if stamp is None:
        return None
    cache: dict[str, Held] = runtime.hook_targets
    held = cache.get(name)
    if held is not None and held[0] == stamp:
        return held
    row = await runtime.db.run(connections.get, name)
    stored = await runtime.db.run(secrets.get_all, runtime.keys, row.id, HOOK_SECRET)
    found: list[tuple[PairRuntime, Side]] = []
    broken = False
    for pair in await runtime.db.run(pairs.listing):
        for side, connection_id in (("left", pair.left_id), ("right", pair.right_id)):
            if connection_id == row.id:
                try:
                    _, assembled = await runtime.pair(pair.id)
                except Misconfigured:
                    broken = True
                    continue  # a broken pair takes no part; polling finds what it missed once it is mended
                which: Side = "left" if side == "left" else "right"
                found.append((assembled, which))
    target = {
        "id": row.id,
        "secret": stored[HOOK_SECRET].reveal() if HOOK_SECRET in stored else "",
        "connector": await runtime.connector(row),
        "pairs": found,
        "listened": bool(stamp[-1]),
    }
    if broken:
        cache.pop(name, None)  # it may be mended without anything here changing
    else:
        cache[name] = (stamp, target)
    return stamp, target


def _stamp(conn: Connection, name: str) -> Any:
    sql = """select c.id, c.updated_at, (select array_agg((p.id, p.version)::text order by p.id) from pair p
                                         where c.id in (p.left_id, p.right_id)) as pairs,
                    exists (select 1 from flow_listener o where o.connection_id = c.id) as listened
             from connection c where c.name = :name"""
    row = conn.execute(text(sql), {"name": name}).one_or_none()
    return None if row is None else tuple(row)
