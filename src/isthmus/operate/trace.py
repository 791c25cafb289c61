"""Trace of one Record: everything that ever happened to it, in order, on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a trace."""

    at: datetime
    what: str
    side: str | None
    key: str | None
    detail: dict[str, Any]


def find(conn: Connection, pair_id: int, record: str, entity: str | None = None) -> list[dict[str, Any]]:
    """Records that `record` may mean: a key on either side, `left:KEY`, `right:KEY`, or `link:ID`."""
    side, _, key = record.rpartition(":")
    given = {"pair_id": pair_id, "key": key, "entity": entity}
    by_id = "id = cast(:key as bigint)" if side == "link" and key.isdigit() else None
    where = by_id or {"left": "left_key = :key", "right": "right_key = :key"}.get(
        side, "(left_key = :key or right_key = :key)"
    )
    only = " and entity = :entity" if entity else ""
    rows = conn.execute(text(f"select * from link where pair_id = :pair_id and {where}{only} order by id"), given).all()
    found = [
        {"link": int(r.id), "entity": r.entity, "left": r.left_key, "right": r.right_key, "state": r.state}
        for r in rows
    ]
    if found:
        return found
    seen = conn.execute(
        text(f"select distinct entity, side, key from event where pair_id = :pair_id and key = :key{only}"), given
    ).all()
    return [{"link": None, "entity": r.entity, r.side: r.key, "state": "not linked"} for r in seen]


def trace(conn: Connection, pair_id: int, record: dict[str, Any]) -> list[Moment]:
    """Events, Changes, Intents, audit entries, Conflicts and dead letters of one record, oldest first."""
    given = {
        "pair_id": pair_id,
        "entity": record["entity"],
        "left": record.get("left"),
        "right": record.get("right"),
        "link": record.get("link"),
    }
    return [
        Moment(at=row.at, what=row.what, side=row.side, key=row.key, detail=row.detail or {})
        for row in conn.execute(_TRACE, given)
    ]


_MINE = (
    "pair_id = :pair_id and entity = :entity and ((side = 'left' and key = :left) or (side = 'right' and key = :right))"
)

_TRACE = text(
    f"""
    select at, what, side, key, detail from (
      select received_at as at, 'event' as what, side, key, 1 as turn,
             jsonb_build_object('source', source, 'coalesced', coalesced, 'change', change_id) as detail
      from event where {_MINE}
      union all
      select coalesce(closed_at, last_at), 'change ' || coalesce(outcome, state), side, key, 4,
             jsonb_build_object('change', id, 'attempts', attempts, 'reason', reason)
      from change where {_MINE}
      union all
      select planned_at, 'intent ' || state, side, key, 2,
             jsonb_build_object('intent', id, 'action', action, 'from', source_key, 'fields', fields, 'error', error)
      from intent where pair_id = :pair_id and entity = :entity
        and ((side = 'left' and (key = :left or source_key = :right))
          or (side = 'right' and (key = :right or source_key = :left)))
      union all
      select a.at, case when a.action in ('create', 'update', 'delete') then 'wrote ' || a.action else a.action end,
             a.side, a.key, 3,
             jsonb_build_object('before', a.before, 'after', a.after, 'why', a.why, 'actor', a.actor)
      from audit a where {_MINE}
      union all
      select opened_at, 'conflict ' || state, null, field, 5,
             jsonb_build_object('left', left_value, 'right', right_value, 'choice', choice, 'settled_by', settled_by)
      from conflict where pair_id = :pair_id and link_id = :link
      union all
      select opened_at, 'dead letter ' || state, side, key, 6,
             jsonb_build_object('id', id, 'kind', kind, 'error', error, 'closed_by', closed_by)
      from dead_letter where {_MINE}
    ) as everything order by at, turn
    """
)
