"""Queries on Runs: begin them, find what is due, and write down in one transaction what a segment came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from isthmus.store.rows import as_kept_json

_PARK = text(
    """
    update flow_event e set state = 'parked'
    where e.flow_id = :flow and e.state = 'pending'
      and exists (select 1 from run r where r.flow_id = e.flow_id and r.key = e.key and r.state = 'active')
    """
)

_BEGIN = text(
    """
    with due as (
      select distinct on (key) id from flow_event e
      where flow_id = :flow and state = 'pending'
        and not exists (select 1 from run r where r.flow_id = e.flow_id and r.key = e.key and r.state = 'active')
      order by key, id limit :most
    ), taken as (
      delete from flow_event e using due where e.id = due.id returning e.*
    ), begun as (
      insert into run (flow_id, version, key, node, events, callers, heard_at, actor)
      select t.flow_id, :version, t.key, t.node, t.events, t.callers, t.first_at, coalesce(t.data ->> 'actor', 'system')
      from taken t order by t.id
      returning id, key
    )
    insert into run_item (run_id, flow_id, version, key, node, data, due_at)
    select b.id, :flow, :version, b.key, t.node, coalesce(t.data -> 'item', '{}'), now()
    from begun b join taken t using (key)
    returning run_id
    """
)


def begin(conn: Connection, flow_id: int, version: int, most: int) -> int:
    """Begin Runs for pending triggers, one per key; triggers of keys that have an active Run wait for its end."""
    given = {"flow": flow_id, "version": version, "most": most}
    if conn.execute(_ANY_EVENT, given).scalar() is None:
        return 0
    conn.execute(_PARK, given)
    return conn.execute(_BEGIN, given).rowcount


_ANY_EVENT = text("select 1 from flow_event where flow_id = :flow and state = 'pending' limit 1")

_DUE = text(
    """
    select id, version, node from run_item
    where flow_id = :flow and state in ('ready', 'waiting') and due_at <= now() and id <> all(cast(:busy as bigint[]))
    order by due_at, id limit :most
    """
)


def due(conn: Connection, flow_id: int, busy: Sequence[int], most: int) -> list[Any]:
    """Items that can be worked on now and are not, oldest first."""
    return list(conn.execute(_DUE, {"flow": flow_id, "busy": list(busy), "most": most}))


_TAKE = text(
    """
    select i.id, i.run_id, i.parent_id, i.place, i.key, i.node, i.state, i.data, i.memo, i.visit, i.attempts, i.rev,
           i.wakes, r.key as run_key, r.started_at
    from run_item i join run r on r.id = i.run_id
    where i.id = any(cast(:ids as bigint[])) order by i.id
    """
)


def take(conn: Connection, ids: Sequence[int]) -> list[Any]:
    """Items whole, with their Runs."""
    return list(conn.execute(_TAKE, {"ids": list(ids)}))


def open_intents(conn: Connection, ids: Sequence[int], node: str) -> dict[int, Any]:
    """Effects of these items at this node whose outcome is not known; `age` is seconds since they were sent."""
    sql = """select *, extract(epoch from (now() - sent_at)) as age from run_intent
             where item_id = any(cast(:ids as bigint[])) and node = :node and state in ('planned', 'sent', 'unknown')
             order by id"""
    return {int(r.item_id): r for r in conn.execute(text(sql), {"ids": list(ids), "node": node})}


def children(conn: Connection, ids: Sequence[int], node: str) -> dict[int, list[Any]]:
    """The data of the items that were joined into these at a node, in order."""
    sql = """select parent_id, data from run_item where parent_id = any(cast(:ids as bigint[])) and node = :node
             and state = 'joined' order by parent_id, place, id"""
    found: dict[int, list[Any]] = {}
    for row in conn.execute(text(sql), {"ids": list(ids), "node": node}):
        found.setdefault(int(row.parent_id), []).append(row.data)
    return found


_SEND = text(
    """
    insert into run_intent (run_id, item_id, node, visit, action, idempotency_key, external_key, payload, epoch, state,
                            sends, sent_at)
    select r.run_id, r.item_id, r.node, r.visit, r.action, r.idempotency_key, r.external_key, r.payload, :epoch,
           'sent', 1, now()
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(run_id bigint, item_id bigint, node text, visit int,
         action text, idempotency_key text, external_key text, payload jsonb)
    on conflict (item_id, node, visit) do update set state = 'sent', sends = run_intent.sends + 1, sent_at = now(),
      epoch = excluded.epoch
    returning id, item_id, state, idempotency_key, external_key, payload
    """
)


def send_intents(conn: Connection, rows: Sequence[Mapping[str, Any]], epoch: int) -> dict[int, Any]:
    """Store effects as sent, by item; one that stands already keeps its keys. The caller has checked its lease."""
    found = conn.execute(_SEND, {"rows": as_kept_json(list(rows)), "epoch": epoch})
    return {int(r.item_id): r for r in found}


_END = text(
    """
    update run_intent i set state = r.state, answer = coalesce(r.answer, i.answer), error = r.error,
           ended_at = case when r.state = 'unknown' then null else now() end
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(id bigint, state text, answer jsonb, error jsonb)
    where i.id = r.id
    """
)


def end_intents(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write down how effects ended."""
    if rows:
        conn.execute(_END, {"rows": as_kept_json(list(rows))})


_MOVE = text(
    """
    update run_item i set node = r.node, state = r.state, key = r.key, visit = r.visit, attempts = r.attempts,
           data = coalesce(r.data, i.data), memo = coalesce(r.memo, '{}'), wakes = r.wakes, rev = i.rev + 1,
           due_at = case when r.state = 'waiting' then coalesce(r.due_at, 'infinity') else coalesce(r.due_at, now()) end
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(id bigint, rev int, node text, state text, key text, visit int,
         attempts int, data jsonb, memo jsonb, wakes text, due_at timestamptz)
    where i.id = r.id and i.rev = r.rev and i.state in ('ready', 'waiting')
    returning i.id
    """
)


def move(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    """Move items; one that was changed from outside meanwhile (cancelled, woken) stays, and is not in the answer."""
    if not rows:
        return set()
    return {int(r.id) for r in conn.execute(_MOVE, {"rows": as_kept_json(list(rows))})}


_MAKE = text(
    """
    insert into run_item (id, run_id, flow_id, version, parent_id, place, key, node, state, data, memo, wakes, due_at)
    overriding system value
    select r.id, r.run_id, :flow, r.version, r.parent_id, r.place, r.key, r.node, r.state, r.data,
           coalesce(r.memo, '{}'), r.wakes,
           case when r.state = 'waiting' then coalesce(r.due_at, 'infinity') else coalesce(r.due_at, now()) end
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(id bigint, run_id bigint, version int, parent_id bigint,
         place int, key text, node text, state text, data jsonb, memo jsonb, wakes text, due_at timestamptz)
    """
)


def numbers(conn: Connection, count: int) -> list[int]:
    """Ids for items about to be made."""
    if not count:
        return []
    sql = "select nextval(pg_get_serial_sequence('run_item', 'id')) as id from generate_series(1, :count)"
    return [int(r.id) for r in conn.execute(text(sql), {"count": count})]


def make(conn: Connection, flow_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store new items under ids of `numbers`."""
    if rows:
        conn.execute(_MAKE, {"flow": flow_id, "rows": as_kept_json(list(rows))})


_STEPS = text(
    """
    insert into run_step (run_id, item_id, node, visit, outcome, port, input, output, error, ms, at)
    select r.run_id, r.item_id, r.node, r.visit, r.outcome, r.port, r.input, r.output, r.error, r.ms, r.at
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(run_id bigint, item_id bigint, node text, visit int,
         outcome text, port text, input jsonb, output jsonb, error jsonb, ms float8, at timestamptz)
    """
)


def add_steps(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append to the trace."""
    if rows:
        conn.execute(_STEPS, {"rows": as_kept_json(list(rows))})


_JOINED = text(
    """
    with recursive groups as (
      select distinct parent_id as top from run_item
      where run_id = any(cast(:runs as bigint[])) and state = 'waiting' and wakes = 'join'
    ), tree as (
      select g.top, i.id, i.state, i.node, i.wakes, i.parent_id from groups g join run_item i on i.parent_id = g.top
      union all
      select t.top, i.id, i.state, i.node, i.wakes, i.parent_id
      from tree t join run_item i on i.parent_id = t.id where t.state = 'split'
    ), whole as (
      select top, min(node) filter (where state = 'waiting' and parent_id = top) as node from tree group by top
      having not bool_or(state in ('ready', 'held')
                         or (state = 'waiting' and not (coalesce(wakes, '') = 'join' and parent_id = top)))
    ), raised as (
      update run_item i set state = 'ready', node = w.node, visit = 1, attempts = 0, memo = '{}', rev = i.rev + 1,
             wakes = null, due_at = now()
      from whole w where i.id = w.top and i.state = 'split' returning i.id, w.node
    )
    update run_item i set state = 'joined', node = r.node, wakes = null, rev = i.rev + 1
    from raised r where i.parent_id = r.id and i.state = 'waiting' and i.wakes = 'join'
    """
)


def join_complete(conn: Connection, run_ids: Sequence[int]) -> int:
    """Let the parents go on whose children have all come to the join, or ended; returns how many children."""
    return conn.execute(_JOINED, {"runs": list(run_ids)}).rowcount


_CLOSE = text(
    """
    with over as (
      update run r set ended_at = now(),
             state = case when exists (select 1 from run_item i where i.run_id = r.id and i.state = 'held') then 'held'
                          else 'done' end
      where r.id = any(cast(:runs as bigint[])) and r.state = 'active'
        and not exists (select 1 from run_item i where i.run_id = r.id
                        and (i.state = 'ready' or (i.state = 'waiting' and i.wakes is distinct from 'join')))
      returning id, flow_id, key, state, callers
    ), freed as (
      update flow_event e set state = 'pending' from over o
      where e.flow_id = o.flow_id and e.key = o.key and e.state = 'parked'
    )
    select id, flow_id, key, state, callers from over
    """
)


def close_finished(conn: Connection, run_ids: Sequence[int]) -> list[Any]:
    """End the Runs in which nothing moves any more: done, or held when an item waits for a person."""
    return list(conn.execute(_CLOSE, {"runs": list(run_ids)})) if run_ids else []


_NEXT = text(
    """
    select extract(epoch from (min(due_at) - now())) from run_item
    where flow_id = :flow and state in ('ready', 'waiting') and due_at < 'infinity'
    """
)


def seconds_until_due(conn: Connection, flow_id: int) -> float | None:
    """How long until the next item of a flow is due, 0 when one is; None when nothing is."""
    found = conn.execute(_NEXT, {"flow": flow_id}).scalar()
    return None if found is None else max(0.0, float(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Woken:
    """What a signal or a decision woke: items of these flows."""

    items: int
    flows: tuple[int, ...]


def signal(conn: Connection, wakes: str, data: Mapping[str, Any]) -> Woken:
    """Wake whatever waits for this, now or when it begins to wait later in a Run that is under way."""
    conn.execute(_ONE_BY_ONE, {"key": f"signal:{wakes}"})
    given = {"wakes": wakes, "data": as_kept_json(dict(data))}
    conn.execute(text("insert into flow_signal (wakes, data) values (:wakes, cast(:data as jsonb))"), given)
    sql = """update run_item set state = 'ready', rev = rev + 1, due_at = now(), wakes = null,
                    memo = memo || jsonb_build_object('woken', cast(:data as jsonb))
             where state = 'waiting' and wakes = :wakes returning flow_id"""
    rows = conn.execute(text(sql), given).all()
    return Woken(items=len(rows), flows=tuple(sorted({int(r.flow_id) for r in rows})))


CHANGE = "change:"


def settled_signal(change_id: int) -> str:
    """What wakes an item that waits for a lane to have settled a Change."""
    return f"{CHANGE}{change_id}"


def wake_settled(conn: Connection, change_ids: Sequence[int]) -> tuple[int, ...]:
    """Wake the items that wait for these Changes, which are closed; returns the flows concerned."""
    if not change_ids:
        return ()
    sql = """update run_item set state = 'ready', rev = rev + 1, due_at = now(), wakes = null
             where state = 'waiting' and wakes = any(cast(:wakes as text[])) returning flow_id"""
    rows = conn.execute(text(sql), {"wakes": [settled_signal(number) for number in change_ids]})
    return tuple(sorted({int(row.flow_id) for row in rows}))


_ONE_BY_ONE = text("select pg_advisory_xact_lock(hashtextextended(:key, 0))")


def lock_signals(conn: Connection, wakes: Sequence[str]) -> None:
    """Before items begin to wait: nobody may signal them until they do."""
    for name in sorted(set(wakes)):
        conn.execute(_ONE_BY_ONE, {"key": f"signal:{name}"})


def wake_by_past_signals(conn: Connection, ids: Sequence[int]) -> int:
    """Wake items whose signal came after their Run began, but before they waited for it."""
    sql = """with found as (
               select i.id, (select s.data from flow_signal s where s.wakes = i.wakes and s.at >= r.started_at
                             order by s.at desc limit 1) as data
               from run_item i join run r on r.id = i.run_id
               where i.id = any(cast(:ids as bigint[])) and i.state = 'waiting' and i.wakes is not null)
             update run_item i set state = 'ready', rev = i.rev + 1, due_at = now(), wakes = null,
                    memo = i.memo || jsonb_build_object('woken', f.data)
             from found f where i.id = f.id and f.data is not null"""
    return conn.execute(text(sql), {"ids": list(ids)}).rowcount if ids else 0


def answer_callers(conn: Connection, ended: Sequence[Any]) -> set[int]:
    """Wake the items that waited for these Runs, with what came of them; returns the flows concerned.

    A held Run is not over for its callers: they go on once a person has helped it.
    """
    flows: set[int] = set()
    for run in ended:
        if not run.callers or run.state not in ("done", "cancelled"):
            continue
        sql = """update run_item c set state = 'ready', rev = c.rev + 1, due_at = now(), wakes = null,
                        memo = c.memo || jsonb_build_object('sub', jsonb_build_object('run', cast(:run as bigint),
                          'state', cast(:state as text), 'items',
                          (select coalesce(jsonb_agg(i.data order by i.id), '[]') from run_item i
                           where i.run_id = :run and i.state = 'done')))
                 where c.id = any(:callers) and c.state = 'waiting' returning c.flow_id"""
        given = {"run": run.id, "state": run.state, "callers": list(run.callers)}
        flows |= {int(r.flow_id) for r in conn.execute(text(sql), given)}
    return flows


def forget_old(conn: Connection, most: int = 5000) -> int:
    """Delete Runs that ended longer ago than their flow keeps them, and signals of a week ago; returns how many."""
    sql = """delete from run where id in (
               select r.id from run r join flow f on f.id = r.flow_id
               where r.state in ('done', 'cancelled') and r.ended_at < now() - make_interval(days => f.keep_days)
               limit :most)"""
    count = conn.execute(text(sql), {"most": most}).rowcount
    conn.execute(text("delete from flow_signal where at < now() - interval '30 days'"))
    return count
