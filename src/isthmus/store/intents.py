"""Queries on Intents: stored before anything is sent, ended when the outcome is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from isthmus.store.rows import as_json

OPEN = ("planned", "sent", "unknown")
"""States in which a write may still take place or may have taken place without our knowing."""


@dataclass(slots=True, kw_only=True)
class Intent:
    """A planned write. Values are encoded JSON: `payload` raw path → value, `fields` the canonical values carried.

    `before` holds the target's canonical values that the write replaces (for undo), `bases` the Base of each side
    as it will stand once the write is confirmed.
    """

    pair_id: int
    entity: str
    side: str
    action: str
    idempotency_key: str
    payload: Mapping[str, Any]
    fields: Mapping[str, Any]
    key: str | None = None
    source_key: str | None = None
    link_id: int | None = None
    change_id: int | None = None
    change_set_id: int | None = None
    external_key: str | None = None
    expect: Mapping[str, Any] | None = None
    before: Mapping[str, Any] = field(default_factory=dict)
    bases: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None
    epoch: int | None = None
    id: int = 0


_COLUMNS = [name for name in Intent.__slots__ if name != "id"]

_STORE = text(
    f"""
    insert into intent ({", ".join(_COLUMNS)}, state, sent_at)
    select {", ".join("r." + name for name in _COLUMNS)}, 'sent', now()
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(pair_id bigint, entity text, side text, action text,
         idempotency_key text, payload jsonb, fields jsonb, key text, source_key text, link_id bigint,
         change_id bigint, change_set_id bigint, external_key text, expect jsonb, before jsonb, bases jsonb,
         version text, epoch bigint, ord int)
    order by r.ord
    returning id, idempotency_key
    """
)


def store_sent(conn: Connection, intents: Sequence[Intent]) -> None:
    """Store Intents as `sent`, right before they are; fills in their ids. The caller has checked its lease."""
    if not intents:
        return
    rows = [{**{name: getattr(i, name) for name in _COLUMNS}, "ord": n} for n, i in enumerate(intents)]
    found = {str(r.idempotency_key): int(r.id) for r in conn.execute(_STORE, {"rows": as_json(rows)})}
    for intent in intents:
        intent.id = found[intent.idempotency_key]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an Intent stands now: confirmed, unknown, refused or dropped."""

    id: int
    state: str
    key: str | None = None
    link_id: int | None = None
    error: Mapping[str, Any] | None = None


_END = text(
    """
    update intent i set state = r.state, key = coalesce(r.key, i.key), link_id = coalesce(r.link_id, i.link_id),
           error = r.error, ended_at = case when r.state = 'unknown' then null else now() end
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(id bigint, state text, key text, link_id bigint, error jsonb)
    where i.id = r.id
    """
)


def end(conn: Connection, ends: Sequence[End]) -> None:
    """Record how Intents ended."""
    if ends:
        rows = [{name: getattr(e, name) for name in End.__slots__} for e in ends]
        conn.execute(_END, {"rows": as_json(rows)})


_UNRESOLVED = text(
    """
    select *, extract(epoch from (now() - sent_at)) as age from intent
    where pair_id = :pair_id and entity = :entity and state in ('planned', 'sent', 'unknown')
    order by id
    """
)


def unresolved(conn: Connection, pair_id: int, entity: str) -> list[Any]:
    """Intents of an Entity whose outcome is not known; `age` is seconds since they were sent."""
    return list(conn.execute(_UNRESOLVED, {"pair_id": pair_id, "entity": entity}))


def of_change_set(conn: Connection, change_set_id: int) -> list[Any]:
    """The confirmed Intents of a change set, newest first."""
    sql = "select * from intent where change_set_id = :id and state = 'confirmed' order by id desc"
    return list(conn.execute(text(sql), {"id": change_set_id}))
