"""Queries on flows: drafts and published versions, what they listen to, and the triggers that wait for their Runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import Misconfigured
from isthmus.model.card import mask_all
from isthmus.store import runs
from isthmus.store.rows import as_json, as_kept_json

LISTENS = ("active", "paused", "halted")
"""States in which triggers are accepted; only an active flow works them off."""


def listing(conn: Connection) -> list[Any]:
    """All flows by name, with what is under way in each."""
    sql = """select f.*, (select count(*) from run r where r.flow_id = f.id and r.state = 'active') as active,
                    (select count(*) from run r where r.flow_id = f.id and r.state = 'held') as held,
                    (select count(*) from flow_event e where e.flow_id = f.id) as pending
             from flow f order by f.name"""
    return list(conn.execute(text(sql)))


def get(conn: Connection, name: str) -> Any:
    """One flow by name; raises Misconfigured naming the ones there are."""
    row = conn.execute(text("select * from flow where name = :name"), {"name": name}).one_or_none()
    if row is None:
        known = ", ".join(str(r) for r in conn.execute(text("select name from flow order by name")).scalars())
        raise Misconfigured(
            f"looking for the flow {name}",
            answered="there is none with this name",
            hint=f"Known flows: {known or 'none yet'}. Bring one in with `isthmus flow import FILE`.",
        )
    return row


def by_id(conn: Connection, flow_id: int) -> Any | None:
    """One flow by number, or None."""
    return conn.execute(text("select * from flow where id = :id"), {"id": flow_id}).one_or_none()


def save_draft(
    conn: Connection, name: str, title: str, file: str, layout: str | None, bindings: Mapping[str, str], keep_days: int
) -> int:
    """Store a flow's draft, made when there is none of this name; bindings are added to those it has."""
    sql = """insert into flow (name, title, draft, layout, bindings, keep_days)
             values (:name, :title, :file, coalesce(:layout, '{}'), cast(:bindings as jsonb), :keep)
             on conflict (name) do update set title = excluded.title, draft = excluded.draft,
               layout = coalesce(:layout, flow.layout), bindings = flow.bindings || excluded.bindings,
               keep_days = excluded.keep_days, updated_at = now()
             returning id"""
    given = {"name": name, "title": title, "file": file, "layout": layout, "keep": keep_days}
    return int(conn.execute(text(sql), {**given, "bindings": json.dumps(dict(bindings))}).scalar_one())


def version(conn: Connection, flow_id: int, number: int) -> Any:
    """One published version; Misconfigured names those there are."""
    sql = "select * from flow_version where flow_id = :id and version = :version"
    row = conn.execute(text(sql), {"id": flow_id, "version": number}).one_or_none()
    if row is None:
        known = ", ".join(str(v.version) for v in versions(conn, flow_id))
        raise Misconfigured(
            f"looking for version {number} of the flow",
            answered="there is none with this number",
            hint=f"Published versions: {known or 'none yet'}.",
        )
    return row


def versions(conn: Connection, flow_id: int) -> list[Any]:
    """Published versions, newest first."""
    sql = """select version, notes, author, created_at from flow_version where flow_id = :id order by version desc"""
    return list(conn.execute(text(sql), {"id": flow_id}))


def add_version(conn: Connection, flow_id: int, *, file: str, layout: str, notes: str, author: str) -> int:
    """Keep a file as the flow's next version."""
    sql = """insert into flow_version (flow_id, version, file, layout, notes, author)
             select :id, coalesce(max(version), 0) + 1, :file, :layout, :notes, :author
             from flow_version where flow_id = :id returning version"""
    given = {"id": flow_id, "file": file, "layout": layout, "notes": notes, "author": author}
    return int(conn.execute(text(sql), given).scalar_one())


def make_current(conn: Connection, flow_id: int, number: int) -> None:
    """Let a version begin the Runs from now on; those under way keep theirs."""
    sql = """update flow set version = :version, state = case when state in ('paused', 'halted') then state
             else 'active' end, updated_at = now() where id = :id"""
    conn.execute(text(sql), {"id": flow_id, "version": number})


def set_state(conn: Connection, flow_id: int, state: str, reason: Mapping[str, Any] | None = None) -> None:
    """Make a flow active, paused or halted, with the reason."""
    sql = """update flow set state = :state, state_reason = cast(:reason as jsonb), updated_at = now() where id = :id"""
    given = {"id": flow_id, "state": state, "reason": json.dumps(mask_all(reason), default=str) if reason else None}
    conn.execute(text(sql), given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What one node of a published flow listens to."""

    node: str
    kind: str
    pair_id: int | None = None
    connection_id: int | None = None
    entity: str | None = None
    side: str | None = None
    schedule: str | None = None
    due_at: Any = None


def listen(conn: Connection, flow_id: int, listeners: Sequence[Listener]) -> None:
    """Replace what a flow listens to."""
    conn.execute(text("delete from flow_listener where flow_id = :id"), {"id": flow_id})
    if listeners:
        rows = [{name: getattr(one, name) for name in Listener.__slots__} for one in listeners]
        sql = f"""insert into flow_listener (flow_id, {", ".join(Listener.__slots__)})
                  select :id, {", ".join("r." + name for name in Listener.__slots__)}
                  from jsonb_to_recordset(cast(:rows as jsonb)) as r(node text, kind text, pair_id bigint,
                       connection_id bigint, entity text, side text, schedule text, due_at timestamptz)"""
        conn.execute(text(sql), {"id": flow_id, "rows": as_json(rows)})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrigger:
    """A trigger about to be accepted: this node of this flow shall begin a Run for this key."""

    flow_id: int
    node: str
    key: str
    data: Mapping[str, Any] = field(default_factory=dict)
    caller: int | None = None


_ACCEPT = text(
    """
    insert into flow_event as e (flow_id, node, key, data, callers, events)
    select flow_id, node, key, (array_agg(data order by ord desc))[1],
           coalesce(array_agg(caller) filter (where caller is not null), '{}'), count(*)
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(ord int, flow_id bigint, node text, key text, data jsonb,
         caller bigint)
    group by flow_id, node, key order by flow_id, node, key
    on conflict (flow_id, node, key) do update set data = excluded.data, last_at = now(),
      events = e.events + excluded.events, callers = e.callers || excluded.callers
    """
)


def accept(conn: Connection, triggers: Sequence[NewTrigger]) -> tuple[int, ...]:
    """Store triggers, one row per flow, node and key; returns the flows to be woken."""
    if not triggers:
        return ()
    rows = [
        {
            "ord": n,
            "flow_id": t.flow_id,
            "node": t.node,
            "key": t.key,
            "data": {"item": dict(t.data)},
            "caller": t.caller,
        }
        for n, t in enumerate(triggers)
    ]
    conn.execute(_ACCEPT, {"rows": as_kept_json(rows)})
    return tuple(sorted({t.flow_id for t in triggers}))


_OF_PAIR = text(
    """select l.*, f.name from flow_listener l join flow f on f.id = l.flow_id
       where l.pair_id = :pair_id and l.entity = :entity and f.state = any(:states)"""
)
_OF_CONNECTION = text(
    """select l.*, f.name from flow_listener l join flow f on f.id = l.flow_id
       where l.connection_id = :connection_id and l.entity = any(cast(:entities as text[]))
         and f.state = any(:states)"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A Record of a pair whose Change closed as applied: both keys, as far as they are known."""

    left: str | None
    right: str | None
    side: str


def hear_pair(conn: Connection, pair_id: int, entity: str, applied: Sequence[Applied]) -> tuple[int, ...]:
    """Tell the flows that listen to an Entity of a pair; returns those to be woken."""
    found = conn.execute(_OF_PAIR, {"pair_id": pair_id, "entity": entity, "states": list(LISTENS)}).all()
    triggers: list[NewTrigger] = []
    flows: set[int] = set()
    for row in found:
        for one in applied:
            key = one.right if row.side == "right" else one.left or one.right
            if not key:
                continue
            if row.kind == "wait":
                told = {"entity": entity, "key": key, "left": one.left, "right": one.right}
                flows |= set(runs.signal(conn, pair_signal(pair_id, entity, row.side or "left", key), told).flows)
                continue
            data = {"entity": entity, "key": key, "left": one.left, "right": one.right, "side": one.side}
            triggers.append(NewTrigger(flow_id=row.flow_id, node=row.node, key=key, data=data))
    return tuple(sorted({*flows, *accept(conn, triggers)}))


def hear_connection(
    conn: Connection,
    connection_id: int,
    hints: Mapping[str, Sequence[str]],
    told: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
) -> tuple[int, ...]:
    """Tell the flows that listen to records of a Connection (entity → keys); returns those to be woken.

    `told` are the values of records, by entity and key, that came with an Event and cannot be read later.
    """
    given = {"connection_id": connection_id, "entities": list(hints), "states": list(LISTENS)}
    found = conn.execute(_OF_CONNECTION, given).all() if hints else []
    triggers: list[NewTrigger] = []
    flows: set[int] = set()
    for row in found:
        for key in dict.fromkeys(hints[row.entity]):
            if row.kind == "wait":
                name = connection_signal(connection_id, row.entity, key)
                flows |= set(runs.signal(conn, name, {"entity": row.entity, "key": key}).flows)
            else:
                data: dict[str, Any] = {"entity": row.entity, "key": key}
                if told is not None and (row.entity, key) in told:
                    data["record"] = dict(told[row.entity, key])
                triggers.append(NewTrigger(flow_id=row.flow_id, node=row.node, key=key, data=data))
    return tuple(sorted({*flows, *accept(conn, triggers)}))


def pair_signal(pair_id: int, entity: str, side: str, key: str) -> str:
    """What wakes an item that waits for a Record of a pair."""
    return f"pair:{pair_id}:{entity}:{side}:{key}"


def connection_signal(connection_id: int, entity: str, key: str) -> str:
    """What wakes an item that waits for a Record of a Connection."""
    return f"connection:{connection_id}:{entity}:{key}"


def named_signal(name: str, key: str) -> str:
    """What wakes an item that waits for an Event by name and correlation key."""
    return f"event:{name}:{key}"


def watched(conn: Connection) -> list[tuple[int, str]]:
    """The (Connection, entity) that published flows listen to without a pair."""
    sql = """select distinct l.connection_id, l.entity from flow_listener l join flow f on f.id = l.flow_id
             where l.connection_id is not null and f.state = any(:states)"""
    return [(int(r.connection_id), str(r.entity)) for r in conn.execute(text(sql), {"states": list(LISTENS)})]


def due_schedules(conn: Connection) -> list[Any]:
    """Schedules whose time has come; the rows stay locked until the caller has set the next time."""
    sql = """select l.flow_id, l.node, l.schedule, l.due_at from flow_listener l join flow f on f.id = l.flow_id
             where l.kind = 'schedule' and l.due_at <= now() and f.state = any(:states) for update of l skip locked"""
    return list(conn.execute(text(sql), {"states": list(LISTENS)}))


def set_due(conn: Connection, flow_id: int, node: str, due_at: Any) -> None:
    """When a schedule fires next."""
    sql = "update flow_listener set due_at = :due_at where flow_id = :id and node = :node"
    conn.execute(text(sql), {"id": flow_id, "node": node, "due_at": due_at})


def unattended(conn: Connection, seconds: float) -> list[int]:
    """Active flows with triggers or items that have been due this long: a wake-up was lost.

    Triggers that are parked though nothing of their key is active any more are freed on the way.
    """
    freed = """update flow_event e set state = 'pending' where e.state = 'parked' and not exists (
                 select 1 from run r where r.flow_id = e.flow_id and r.key = e.key and r.state = 'active')"""
    conn.execute(text(freed))
    sql = """select f.id from flow f where f.state = 'active' and (
               exists (select 1 from flow_event e where e.flow_id = f.id and e.state = 'pending'
                       and e.last_at < now() - make_interval(secs => :seconds))
               or exists (select 1 from run_item i where i.flow_id = f.id and i.state in ('ready', 'waiting')
                          and i.due_at < now() - make_interval(secs => :seconds)))"""
    return [int(r.id) for r in conn.execute(text(sql), {"seconds": seconds})]
