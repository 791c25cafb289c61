"""Queries on the files that triggers of flows have seen: which are new, at rest, being moved, taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from isthmus.store.rows import as_json

KINDS = ("file_arrived", "document_arrived")
"""Triggers that watch for files."""

Seen = tuple[str, int, str]
"""(path, bytes, when it was changed, as text): what tells a file from an earlier one of its name."""


def watches(conn: Connection, states: Sequence[str]) -> list[tuple[int, str]]:
    """The (flow, node) that watch for files, of flows in these states."""
    sql = """select l.flow_id, l.node from flow_listener l join flow f on f.id = l.flow_id
             where l.kind = any(:kinds) and f.state = any(:states) order by 1, 2"""
    rows = conn.execute(text(sql), {"kinds": list(KINDS), "states": list(states)})
    return [(int(r.flow_id), str(r.node)) for r in rows]


def note(conn: Connection, flow_id: int, node: str, listed: Sequence[Seen], quiet: float) -> list[Any]:
    """Keep what is seen for the first time; returns the files that have been at rest for `quiet` seconds.

    What is not there any more, or has grown, is forgotten, unless it was taken: that is kept as long as the flow's
    Runs, so that a listing that was empty by mistake has nothing taken twice.
    """
    given = {"flow": flow_id, "node": node}
    known = conn.execute(
        text("select id, path, size, modified, state from flow_file where flow_id = :flow and node = :node"), given
    ).all()
    there = set(listed)
    kept = {(r.path, r.size, r.modified) for r in known}
    gone = [r.id for r in known if r.state == "new" and (r.path, r.size, r.modified) not in there]
    conn.execute(text("delete from flow_file where id = any(:ids)"), {"ids": gone})
    new = [{"path": p, "size": s, "modified": m} for p, s, m in listed if (p, s, m) not in kept]
    if new:
        sql = """insert into flow_file (flow_id, node, path, size, modified)
                 select :flow, :node, r.path, r.size, r.modified
                 from jsonb_to_recordset(cast(:rows as jsonb)) as r(path text, size bigint, modified text)
                 on conflict do nothing"""
        conn.execute(text(sql), {**given, "rows": as_json(new)})
    absent = [r.id for r in known if r.state not in ("new", "moving") and (r.path, r.size, r.modified) not in there]
    if absent:
        sql = """delete from flow_file x using flow f where f.id = x.flow_id and x.id = any(:ids)
                 and x.ended_at < now() - make_interval(days => f.keep_days)"""
        conn.execute(text(sql), {"ids": absent})
    sql = """select * from flow_file where flow_id = :flow and node = :node and state = 'new'
             and seen_at <= now() - make_interval(secs => :quiet) order by modified, path"""
    return list(conn.execute(text(sql), {**given, "quiet": quiet}))


def moving(conn: Connection, flow_id: int, node: str) -> list[Any]:
    """Files whose move was begun and whose Run was not."""
    sql = "select * from flow_file where flow_id = :flow and node = :node and state = 'moving' order by id"
    return list(conn.execute(text(sql), {"flow": flow_id, "node": node}))


def move_to(conn: Connection, file_id: int, path: str, digest: str | None) -> None:
    """Note where a file is about to be moved, before it is."""
    sql = "update flow_file set state = 'moving', moves_to = :path, digest = :digest where id = :id and state = 'new'"
    conn.execute(text(sql), {"id": file_id, "path": path, "digest": digest})


def end(
    conn: Connection, file_id: int, state: str, *, before: str, digest: str | None = None, reason: str | None = None
) -> bool:
    """Close a file that was in the state `before`; False when another worker has done so already."""
    sql = """update flow_file set state = :state, digest = coalesce(:digest, digest), reason = :reason, ended_at = now()
             where id = :id and state = :before"""
    given = {"id": file_id, "state": state, "before": before, "digest": digest, "reason": reason}
    return bool(conn.execute(text(sql), given).rowcount)


def taken_by_content(conn: Connection, flow_id: int, node: str, digest: str) -> str | None:
    """The path of a file of the same content that was taken before."""
    sql = """select path from flow_file where flow_id = :flow and node = :node and digest = :digest
             and state in ('taken', 'moving') limit 1"""
    found = conn.execute(text(sql), {"flow": flow_id, "node": node, "digest": digest}).scalar()
    return None if found is None else str(found)
