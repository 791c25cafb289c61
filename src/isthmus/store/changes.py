"""Queries on the inbox: accept Events, claim a lane's batch, close what was looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from isthmus.model.card import mask_all


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An Event about to be accepted: look at this record of this Entity of this pair."""

    pair_id: int
    entity: str
    side: str
    key: str
    source: str
    lane: int = 0
    occurred_at: datetime | None = None
    delivery_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """How a look at a Change ended. `outcome` None puts it back until `delay` seconds from now."""

    change_id: int
    outcome: str | None
    reason: Mapping[str, Any] | None = None
    delay: float = 0.0


_ACCEPT = text(
    """
    with incoming as (
      select r.*, row_number() over (partition by pair_id, entity, side, key order by ord) as turn
      from jsonb_to_recordset(cast(:rows as jsonb)) as r(ord int, pair_id bigint, entity text, side text, key text,
           lane int, source text, occurred_at timestamptz, delivery_id bigint)
    ), noted as (
      insert into change (pair_id, entity, side, key, lane)
      select pair_id, entity, side, key, lane from incoming where turn = 1 order by pair_id, entity, side, key
      on conflict (pair_id, entity, side, key) where state <> 'closed'
      do update set seq = change.seq + 1, last_at = now(), not_before = least(change.not_before, now())
      returning id, pair_id, entity, side, key, (xmax = 0) as fresh
    ), written as (
      insert into event (pair_id, entity, side, key, source, change_id, coalesced, delivery_id, occurred_at)
      select i.pair_id, i.entity, i.side, i.key, i.source, n.id, not (n.fresh and i.turn = 1), i.delivery_id,
             i.occurred_at
      from incoming i join noted n using (pair_id, entity, side, key)
      returning coalesced
    )
    select count(*) as events, count(*) filter (where coalesced) as coalesced from written
    """
)


def accept(conn: Connection, events: Sequence[NewEvent]) -> tuple[int, int]:
    """Store Events and the Changes they become or join; returns (events, of which coalesced)."""
    if not events:
        return 0, 0
    rows = [
        {
            "ord": n,
            "pair_id": e.pair_id,
            "entity": e.entity,
            "side": e.side,
            "key": e.key,
            "lane": e.lane,
            "source": e.source,
            "occurred_at": e.occurred_at.isoformat() if e.occurred_at else None,
            "delivery_id": e.delivery_id,
        }
        for n, e in enumerate(events)
    ]
    row = conn.execute(_ACCEPT, {"rows": json.dumps(rows)}).one()
    return int(row.events), int(row.coalesced)


_RECLAIM = text(
    """
    update change set state = 'pending', epoch = null
    where pair_id = :pair_id and entity = :entity and lane = :lane and state = 'claimed'
      and epoch is distinct from :epoch
    """
)


def reclaim(conn: Connection, pair_id: int, entity: str, lane: int, epoch: int) -> int:
    """Take back what an earlier runner of the lane had claimed; the caller holds the lane's lease."""
    return conn.execute(_RECLAIM, {"pair_id": pair_id, "entity": entity, "lane": lane, "epoch": epoch}).rowcount


_CLAIM = text(
    """
    update change set state = 'claimed', claimed_seq = seq, epoch = :epoch, attempts = attempts + 1
    where id in (
      select id from change
      where pair_id = :pair_id and entity = :entity and lane = :lane and state = 'pending' and not_before <= now()
      order by id limit :most for update skip locked)
    returning id, side, key, claimed_seq, attempts, first_at
    """
)


def claim(conn: Connection, pair_id: int, entity: str, lane: int, epoch: int, most: int) -> list[Any]:
    """Claim up to `most` due Changes of a lane, oldest first."""
    given = {"pair_id": pair_id, "entity": entity, "lane": lane, "epoch": epoch, "most": most}
    return sorted(conn.execute(_CLAIM, given).all(), key=lambda row: int(row.id))


_CLOSE = text(
    """
    with r as materialized (
      select c.id, r.outcome, r.reason, r.delay
      from change c join jsonb_to_recordset(cast(:rows as jsonb)) as r(id bigint, outcome text, reason jsonb,
           delay float8) on c.id = r.id
      where c.state = 'claimed' and (cast(:epoch as bigint) is null or c.epoch = :epoch)
      order by c.pair_id, c.entity, c.side, c.key for update of c)
    update change c set
      state = case when r.outcome is null or c.seq <> c.claimed_seq then 'pending' else 'closed' end,
      outcome = case when c.seq <> c.claimed_seq then null else r.outcome end,
      closed_at = case when r.outcome is null or c.seq <> c.claimed_seq then null else now() end,
      not_before = case when r.outcome is null and c.seq = c.claimed_seq
                        then now() + make_interval(secs => r.delay) else now() end,
      attempts = case when c.seq <> c.claimed_seq then 0 else c.attempts end,
      reason = r.reason, epoch = null
    from r where c.id = r.id
    returning c.id, c.state
    """
)


def close(conn: Connection, closes: Sequence[Close], *, epoch: int | None = None) -> dict[int, str]:
    """Close Changes, only where no newer Event came meanwhile; returns each one's state afterwards.

    `epoch` leaves alone what another runner has claimed since. Rows are locked in the order of `accept`.
    """
    if not closes:
        return {}
    rows = [{"id": c.change_id, "outcome": c.outcome, "reason": mask_all(c.reason), "delay": c.delay} for c in closes]
    given = {"rows": json.dumps(rows, default=str), "epoch": epoch}
    return {int(row.id): str(row.state) for row in conn.execute(_CLOSE, given)}


_STAND = text(
    """
    select id from change where id = any(cast(:ids as bigint[])) and state <> 'closed'
    order by pair_id, entity, side, key for share
    """
)


def still_open(conn: Connection, ids: Sequence[int]) -> set[int]:
    """Which of these Changes are open, and stay so until the caller's transaction ends. Locked as `accept` does."""
    return {int(row.id) for row in conn.execute(_STAND, {"ids": list(ids)})} if ids else set()


_NEXT = text(
    """
    select extract(epoch from (min(not_before) - now())) as seconds from change
    where pair_id = :pair_id and entity = :entity and lane = :lane and state = 'pending'
    """
)


def seconds_until_due(conn: Connection, pair_id: int, entity: str, lane: int) -> float | None:
    """How long until the lane's next pending Change is due, 0 when one is; None when nothing is pending."""
    found = conn.execute(_NEXT, {"pair_id": pair_id, "entity": entity, "lane": lane}).scalar()
    return None if found is None else max(0.0, float(found))


_BALANCE = text(
    """
    select (select count(*) from event where pair_id = :pair_id) as events,
           (select count(*) from event where pair_id = :pair_id and coalesced) as coalesced,
           count(*) as changes,
           count(*) filter (where outcome = 'applied') as applied,
           count(*) filter (where outcome = 'unchanged') as unchanged,
           count(*) filter (where outcome = 'held') as held,
           count(*) filter (where state <> 'closed') as in_flight
    from change where pair_id = :pair_id
    """
)


def balance(conn: Connection, pair_id: int) -> dict[str, int]:
    """The books: events = coalesced + changes, and changes = applied + unchanged + held + in flight."""
    row = conn.execute(_BALANCE, {"pair_id": pair_id}).one()
    return {name: int(value) for name, value in row._mapping.items()}
