"""Queries on Connections: one configured login each; their secrets are in `store.secrets`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import Misconfigured


def add(conn: Connection, *, name: str, kind: str, environment: str, settings: Mapping[str, Any]) -> int:
    """Store a Connection, or replace the settings of the one with this name; returns its id."""
    sql = """insert into connection (name, kind, environment, settings)
             values (:name, :kind, :environment, cast(:settings as jsonb))
             on conflict (name) do update set settings = excluded.settings, environment = excluded.environment,
               state = 'ok', state_reason = null, updated_at = now()
             where connection.kind = excluded.kind
             returning id"""
    given = {"name": name, "kind": kind, "environment": environment, "settings": json.dumps(settings)}
    found = conn.execute(text(sql), given).scalar()
    if found is None:
        raise Misconfigured(
            f"adding connection {name}",
            answered="a connection of another kind has this name",
            hint="Choose another name; `isthmus connection list` shows them all.",
        )
    return int(found)


def listing(conn: Connection) -> list[Any]:
    """All Connections by name."""
    return list(conn.execute(text("select * from connection order by name")))


def get(conn: Connection, name: str) -> Any:
    """One Connection by name; raises Misconfigured naming the ones there are."""
    row = conn.execute(text("select * from connection where name = :name"), {"name": name}).one_or_none()
    if row is None:
        known = ", ".join(str(r.name) for r in listing(conn)) or "none yet"
        raise Misconfigured(
            f"looking for connection {name}",
            answered="there is none with this name",
            hint=f"Known connections: {known}. Add it with `isthmus connection add`.",
        )
    return row


def by_id(conn: Connection, connection_id: int) -> Any:
    """One Connection by id."""
    return conn.execute(text("select * from connection where id = :id"), {"id": connection_id}).one()


def set_state(conn: Connection, connection_id: int, state: str, reason: Mapping[str, Any] | None = None) -> None:
    """Record that a Connection works, or why it does not."""
    sql = """update connection set state = :state, state_reason = cast(:reason as jsonb), updated_at = now()
             where id = :id and (state <> :state or state_reason is distinct from cast(:reason as jsonb))"""
    given = {"id": connection_id, "state": state, "reason": json.dumps(reason) if reason else None}
    conn.execute(text(sql), given)


def set_fingerprint(conn: Connection, connection_id: int, fingerprint: Mapping[str, Any]) -> None:
    """Keep what tells the system behind a Connection from a copy of it."""
    sql = "update connection set fingerprint = cast(:value as jsonb) where id = :id"
    conn.execute(text(sql), {"id": connection_id, "value": json.dumps(fingerprint, default=str)})


def remove(conn: Connection, name: str) -> None:
    """Remove a Connection that no pair uses."""
    row = get(conn, name)
    used = conn.execute(
        text("select name from pair where left_id = :id or right_id = :id order by 1"), {"id": row.id}
    ).scalars()
    pairs = [str(p) for p in used]
    if pairs:
        raise Misconfigured(
            f"removing connection {name}",
            answered=f"it is used by pair {', '.join(pairs)}",
            hint="Remove or re-point the pair first.",
        )
    conn.execute(text("delete from connection where id = :id"), {"id": row.id})
