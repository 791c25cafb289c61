"""Webhook intake: verified, stored raw and fanned out in one transaction, before the sender gets its 2xx."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import AuthFailed
from isthmus.model.card import holds_card_number, mask, mask_all
from isthmus.model.policy import Side
from isthmus.sdk.connector import Connector, Delivery, Hint, WebhookRequest
from isthmus.store.database import Database
from isthmus.sync.inbox import Accepted, Wake, accept
from isthmus.sync.pair import PairRuntime

KEPT_HEADERS = ("content-type", "user-agent", "date", "x-request-id")
"""Headers stored with a delivery; signatures and authorisation are not."""


class Outdated(Exception):
    """The Connection or its pairs were changed since the caller read them."""


async def receive(
    db: Database,
    connection_id: int,
    connector: Connector,
    pairs: Sequence[tuple[PairRuntime, Side]],
    request: WebhookRequest,
    wake: Wake,
    *,
    current: Callable[[Connection], bool] | None = None,
    also: Callable[[Connection, Sequence[Hint]], None] | None = None,
) -> Accepted:
    """Take one delivery in. A repeated delivery is answered like the first and changes nothing.

    Raises AuthFailed when the signature or secret is wrong, Outdated when `current` says that what is handed in here
    is not what the database has (any more); nothing is stored then. `also` hears of the hints in the same transaction.
    """
    delivery = connector.receive(request)
    return await db.run(_store, connection_id, pairs, request, delivery, wake, current, also)


def _store(
    conn: Connection,
    connection_id: int,
    pairs: Sequence[tuple[PairRuntime, Side]],
    request: WebhookRequest,
    delivery: Delivery,
    wake: Wake,
    current: Callable[[Connection], bool] | None,
    also: Callable[[Connection, Sequence[Hint]], None] | None,
) -> Accepted:
    if current is not None and not current(conn):
        raise Outdated
    delivery_id = _keep(conn, connection_id, request.headers, request.body, delivery.delivery_id)
    if delivery_id is None:
        return Accepted()
    events = coalesced = echoes = 0
    for pair, side in pairs:
        done = accept(conn, pair, side, delivery.hints, source="webhook", wake=wake, delivery_id=delivery_id)
        events, coalesced, echoes = events + done.events, coalesced + done.coalesced, echoes + done.echoes
    if also is not None:
        also(conn, delivery.hints)
    return Accepted(events, coalesced, echoes)


def _keep(conn: Connection, connection_id: int, headers: Mapping[str, str], body: bytes, key: str | None) -> int | None:
    """Store the delivery as it came, but for card numbers; None when one with this id is there already."""
    sql = """insert into delivery (connection_id, delivery_key, headers, body)
             values (:connection_id, :key, cast(:headers as jsonb), :body)
             on conflict (connection_id, delivery_key) do nothing returning id"""
    kept: dict[str, Any] = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    given = {"connection_id": connection_id, "key": key, "headers": json.dumps(kept), "body": _masked(body)}
    found = conn.execute(text(sql), given).scalar()
    return None if found is None else int(found)


def _masked(body: bytes) -> bytes:
    """The body as it came, without card numbers, those too whose digits are written as escapes of JSON."""
    shown = mask(body.decode(errors="surrogateescape"))
    if "\\" in shown:
        try:
            decoded = json.loads(shown)
        except (ValueError, RecursionError):
            decoded = None
        if holds_card_number(decoded):
            shown = json.dumps(mask_all(decoded), ensure_ascii=False)
    return shown.encode(errors="surrogateescape")


__all__ = ["AuthFailed", "Outdated", "receive"]
