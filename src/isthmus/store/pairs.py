"""Queries on Pairs: their files, versions, state, look-up tables and rates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import Misconfigured


def listing(conn: Connection) -> list[Any]:
    """All pairs by name, with the names of their Connections."""
    sql = """select p.*, (select array_agg(distinct o.entity) from flow_listener o where o.pair_id = p.id) as listened,
                    l.name as left_name, l.kind as left_kind, r.name as right_name, r.kind as right_kind
             from pair p join connection l on l.id = p.left_id join connection r on r.id = p.right_id order by p.name"""
    return list(conn.execute(text(sql)))


def get(conn: Connection, name: str) -> Any:
    """One pair by name; raises Misconfigured naming the ones there are."""
    rows = listing(conn)
    found = next((row for row in rows if row.name == name), None)
    if found is None:
        known = ", ".join(str(r.name) for r in rows) or "none yet"
        raise Misconfigured(
            f"looking for pair {name}",
            answered="there is none with this name",
            hint=f"Known pairs: {known}. Add one with `isthmus pair add`.",
        )
    return found


def by_id(conn: Connection, pair_id: int) -> Any | None:
    """One pair by id, or None."""
    return next((row for row in listing(conn) if row.id == pair_id), None)


def apply(
    conn: Connection,
    *,
    name: str,
    left_id: int,
    right_id: int,
    environment: str,
    settings: Mapping[str, Any],
    files: Mapping[str, str],
    author: str,
) -> tuple[int, int]:
    """Store a configuration as the pair's next version, unless nothing changed; returns (id, version)."""
    given = {
        "name": name,
        "left": left_id,
        "right": right_id,
        "environment": environment,
        "settings": json.dumps(settings, sort_keys=True),
    }
    row = conn.execute(
        text(
            """insert into pair (name, left_id, right_id, environment, settings, version)
               values (:name, :left, :right, :environment, cast(:settings as jsonb), 0)
               on conflict (name) do update set left_id = excluded.left_id, right_id = excluded.right_id,
                 environment = excluded.environment, settings = excluded.settings, updated_at = now()
               returning id, version"""
        ),
        given,
    ).one()
    current = conn.execute(
        text("select files from pair_version where pair_id = :id and version = :version"),
        {"id": row.id, "version": row.version},
    ).scalar()
    if current == dict(files):
        return int(row.id), int(row.version)
    version = int(row.version) + 1
    conn.execute(
        text(
            """insert into pair_version (pair_id, version, files, author)
               values (:id, :version, cast(:files as jsonb), :author)"""
        ),
        {"id": row.id, "version": version, "files": json.dumps(dict(files)), "author": author},
    )
    conn.execute(text("update pair set version = :version where id = :id"), {"id": row.id, "version": version})
    return int(row.id), version


def files(conn: Connection, pair_id: int, version: int) -> dict[str, str]:
    """The files of one version of a pair's configuration."""
    sql = "select files from pair_version where pair_id = :id and version = :version"
    return dict(conn.execute(text(sql), {"id": pair_id, "version": version}).scalar_one())


def set_state(conn: Connection, pair_id: int, state: str, reason: Mapping[str, Any] | None = None) -> None:
    """Make a pair active, paused or halted, with the reason."""
    sql = """update pair set state = :state, state_reason = cast(:reason as jsonb), updated_at = now() where id = :id"""
    conn.execute(
        text(sql), {"id": pair_id, "state": state, "reason": json.dumps(reason, default=str) if reason else None}
    )


def guard_again(conn: Connection, pair_id: int) -> None:
    """Once everything a person let through is worked off, the guard counts again."""
    sql = """update pair set state_reason = null where id = :id and state = 'active' and state_reason ? 'allowed'
             and not exists (select 1 from change where pair_id = :id and state <> 'closed')"""
    conn.execute(text(sql.replace(" ? ", " operator(pg_catalog.?) ")), {"id": pair_id})


def lookups(conn: Connection, pair_id: int) -> list[tuple[str, str, str, str]]:
    """Every look-up row of a pair in its order: (table, system, the system's value, canonical value)."""
    sql = "select name, system, value, canonical from lookup where pair_id = :id order by name, position, system, value"
    found = conn.execute(text(sql), {"id": pair_id})
    return [(str(r.name), str(r.system), str(r.value), str(r.canonical)) for r in found]


def replace_lookup(conn: Connection, pair_id: int, name: str, rows: Iterable[tuple[str, str, str]]) -> int:
    """Replace one look-up table; rows are (system, value, canonical). Returns how many rows it has now."""
    conn.execute(text("delete from lookup where pair_id = :id and name = :name"), {"id": pair_id, "name": name})
    given = [
        {"id": pair_id, "name": name, "system": s, "value": v, "canonical": c, "position": n}
        for n, (s, v, c) in enumerate(rows)
    ]
    if given:
        sql = """insert into lookup (pair_id, name, system, value, canonical, position)
                 values (:id, :name, :system, :value, :canonical, :position)"""
        conn.execute(text(sql), given)
    return len(given)


def rates(conn: Connection, pair_id: int) -> list[tuple[date, str, str, Decimal]]:
    """Dated exchange rates: (valid from, base, quote, what one base is worth in quote)."""
    sql = "select valid_from, base, quote, rate from rate where pair_id = :id order by base, quote, valid_from"
    return [
        (r.valid_from, str(r.base), str(r.quote), Decimal(r.rate)) for r in conn.execute(text(sql), {"id": pair_id})
    ]


def replace_rates(conn: Connection, pair_id: int, rows: Sequence[tuple[date, str, str, Decimal]]) -> None:
    """Replace the table of dated exchange rates."""
    conn.execute(text("delete from rate where pair_id = :id"), {"id": pair_id})
    given = [{"id": pair_id, "day": d, "base": b, "quote": q, "rate": r} for d, b, q, r in rows]
    if given:
        sql = "insert into rate (pair_id, base, quote, valid_from, rate) values (:id, :base, :quote, :day, :rate)"
        conn.execute(text(sql), given)


def change_set(conn: Connection, pair_id: int, kind: str, actor: str = "system") -> int:
    """A new change set: writes that can be undone together."""
    sql = "insert into change_set (pair_id, kind, actor) values (:id, :kind, :actor) returning id"
    return int(conn.execute(text(sql), {"id": pair_id, "kind": kind, "actor": actor}).scalar_one())


def live_change_set(conn: Connection, pair_id: int) -> int:
    """Today's change set of live sync (days in UTC), made when there is none yet."""
    sql = """select id from change_set where pair_id = :id and kind = 'live' and created_at >= date_trunc('day', now())
             order by id desc limit 1"""
    found = conn.execute(text(sql), {"id": pair_id}).scalar()
    return int(found) if found is not None else change_set(conn, pair_id, "live")


def close_change_set(conn: Connection, change_set_id: int, summary: Mapping[str, Any]) -> None:
    """End a change set with what it did."""
    sql = """update change_set set state = 'closed', closed_at = now(), summary = cast(:summary as jsonb)
             where id = :id"""
    conn.execute(text(sql), {"id": change_set_id, "summary": json.dumps(summary, default=str)})


def change_sets(conn: Connection, pair_id: int, limit: int = 50) -> list[Any]:
    """Change sets of a pair, newest first, with how many writes each confirmed."""
    sql = """select s.*, (select count(*) from intent i
                          where i.change_set_id = s.id and i.state = 'confirmed') as writes
             from change_set s where s.pair_id = :id order by s.id desc limit :limit"""
    return list(conn.execute(text(sql), {"id": pair_id, "limit": limit}))
