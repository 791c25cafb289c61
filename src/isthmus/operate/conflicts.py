"""Conflicts as a workplace: list them and settle them, one or all alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import Misconfigured
from isthmus.model.policy import Side
from isthmus.store import auditlog, changes, pairs
from isthmus.sync.inbox import Wake


def listing(conn: Connection, pair_id: int, *, state: str = "open", limit: int = 200) -> list[dict[str, Any]]:
    """Conflicts with both values, both Bases and both keys, oldest first."""
    sql = """select c.*, l.left_key, l.right_key from conflict c join link l on l.id = c.link_id
             where c.pair_id = :pair_id and c.state = :state order by c.id limit :limit"""
    given = {"pair_id": pair_id, "state": state, "limit": limit}
    return [dict(row._mapping) for row in conn.execute(text(sql), given)]


def show(conn: Connection, number: int) -> dict[str, Any]:
    """One Conflict whole, with both keys; raises Misconfigured when there is none with this number."""
    sql = "select c.*, l.left_key, l.right_key from conflict c join link l on l.id = c.link_id where c.id = :id"
    row = conn.execute(text(sql), {"id": number}).one_or_none()
    if row is None:
        raise Misconfigured(
            f"looking for conflict {number}",
            answered="there is none with this number",
            hint="`isthmus conflicts list PAIR` shows the open ones.",
        )
    return dict(row._mapping)


def chosen(conn: Connection, numbers: Sequence[int], pair: str, field: str) -> list[int]:
    """Conflicts by number, or every open one of a pair (of one field, if named)."""
    if not pair:
        return list(numbers)
    rows = listing(conn, pairs.get(conn, pair).id, limit=100_000)
    return [*numbers, *(int(r["id"]) for r in rows if not field or r["field"] == field)]


def settle(conn: Connection, conflict_ids: Sequence[int], winner: Side, wake: Wake, actor: str) -> int:
    """Choose whose value stands; it is written at the next look, which is asked for at once. Returns how many."""
    events = []
    for conflict_id in conflict_ids:
        row = conn.execute(
            text(
                """update conflict c set state = 'chosen', choice = :winner, settled_by = :actor
                   from link l where c.id = :id and l.id = c.link_id and c.state in ('open', 'chosen')
                   returning c.pair_id, c.entity, c.link_id, c.field, l.left_key, c.left_value, c.right_value"""
            ),
            {"id": conflict_id, "winner": winner, "actor": actor},
        ).one_or_none()
        if row is None:
            raise Misconfigured(
                f"settling conflict {conflict_id}",
                answered="there is no open one with this number",
                hint="`isthmus conflicts list` shows the open ones.",
            )
        events.append(
            changes.NewEvent(pair_id=row.pair_id, entity=row.entity, side="left", key=row.left_key, source="choice")
        )
        entry = auditlog.Entry(
            action="settle conflict",
            pair_id=row.pair_id,
            entity=row.entity,
            link_id=row.link_id,
            side="left",
            key=row.left_key,
            actor=actor,
            why={"conflict": conflict_id, "winner": winner},
            before={row.field: {"left": row.left_value, "right": row.right_value}},
        )
        auditlog.append(conn, [entry])
    changes.accept(conn, events)
    for pair_id, entity in sorted({(e.pair_id, e.entity) for e in events}):
        wake(conn, pair_id, entity)
    return len(events)
