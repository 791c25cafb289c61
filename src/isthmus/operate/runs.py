"""The verbs on Runs, approvals and held items: list, show, cancel, resume, replay, decide, retry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import Contended, InvalidRecord, Misconfigured
from isthmus.flows.compiled import compile_flow
from isthmus.model.card import mask_all
from isthmus.operate.flowruntime import FlowRuntime
from isthmus.store import auditlog, flows, runs

_LIST = """
    select r.id, f.name as flow, r.version, r.key, r.state, r.events, r.replay_of, r.actor, r.started_at, r.ended_at,
           (select coalesce(jsonb_agg(distinct i.node), '[]') from run_item i
            where i.run_id = r.id and i.state in ('ready', 'waiting', 'held')) as at
    from run r join flow f on f.id = r.flow_id
"""


def listing(
    conn: Connection, *, flow: str = "", state: str = "", key: str = "", limit: int = 100, before: int | None = None
) -> list[dict[str, Any]]:
    """Runs, newest first, each with the nodes its items stand at; `before` pages on from a number."""
    wheres = ["true"]
    given = {"flow": flow, "state": state, "key": key, "limit": limit, "before": before}
    for name, clause in (("flow", "f.name = :flow"), ("state", "r.state = :state"), ("key", "r.key = :key"),
                         ("before", "r.id < :before")):  # fmt: skip
        if given[name]:
            wheres.append(clause)
    sql = f"{_LIST} where {' and '.join(wheres)} order by r.id desc limit :limit"
    return [dict(row._mapping) for row in conn.execute(text(sql), given)]


def show(conn: Connection, number: int) -> dict[str, Any]:
    """One Run whole: its items, and the path of each through the nodes with input, output, error and time."""
    row = conn.execute(text(f"{_LIST} where r.id = :id"), {"id": number}).one_or_none()
    if row is None:
        raise Misconfigured(
            f"showing run {number}",
            answered="there is none with this number",
            hint="`isthmus run list` shows them; old ones are deleted after the flow's `keep_days`.",
        )
    given = {"id": number}
    items = conn.execute(
        text("""select id, parent_id, place, key, node, state, data, memo, visit, attempts, wakes,
                       case when due_at < 'infinity' then due_at end as due_at
                from run_item where run_id = :id order by id"""),
        given,
    )
    steps = conn.execute(
        text("""select id, item_id, node, visit, outcome, port, input,
                       case when output is null and port is not null then input else output end as output,
                       error, ms, at from run_step where run_id = :id order by id"""),
        given,
    )
    intents = conn.execute(
        text("""select id, item_id, node, visit, action, state, sends, idempotency_key, external_key, payload, answer,
                       error, planned_at, sent_at, ended_at from run_intent where run_id = :id order by id"""),
        given,
    )
    return {
        **dict(row._mapping),
        "items": [dict(i._mapping) for i in items],
        "steps": [dict(s._mapping) for s in steps],
        "intents": [dict(i._mapping) for i in intents],
        "approvals": approvals(conn, "", run=number),
    }


def cancel(conn: Connection, lanes: FlowRuntime, number: int, actor: str, why: str = "") -> dict[str, Any]:
    """Stop a Run: its items move no more. What has taken place outside stays; effects under way are still recorded."""
    row = _run(conn, number)
    if row.state not in ("active", "held"):
        raise Misconfigured(f"cancelling run {number}", answered=f"it is {row.state} already", hint="Nothing to do.")
    sql = """update run_item set state = 'cancelled', rev = rev + 1, wakes = null
             where run_id = :id and state in ('ready', 'waiting', 'held', 'split') returning id"""
    gone = [int(r.id) for r in conn.execute(text(sql), {"id": number})]
    conn.execute(text("update run set state = 'cancelled', ended_at = now() where id = :id"), {"id": number})
    for sql in (
        "update approval set state = 'expired', decided_at = now() where run_id = :id and state = 'open'",
        """update dead_letter set state = 'closed', closed_at = now(), closed_by = :actor
           where run_item_id = any(cast(:gone as bigint[])) and state = 'open'""",
        """update flow_event e set state = 'pending' from run r
           where r.id = :id and e.flow_id = r.flow_id and e.key = r.key and e.state = 'parked'""",
    ):
        conn.execute(text(sql), {"id": number, "actor": actor, "gone": gone})
    ended = conn.execute(text("select id, flow_id, key, state, callers from run where id = :id"), {"id": number}).all()
    lanes.wake_all(conn, sorted({int(row.flow_id), *runs.answer_callers(conn, ended)}))
    _audit(conn, "cancel run", actor, run=number, flow=row.flow, key=row.key, note=why)
    return {"run": number, "state": "cancelled", "items": len(gone)}


def resume(conn: Connection, lanes: FlowRuntime, number: int, actor: str) -> dict[str, Any]:
    """Try again at once whatever is held or waits for its next try in a Run."""
    row = _run(conn, number)
    _make_active(conn, row)
    letters = [
        int(r.id)
        for r in conn.execute(
            text("""select d.id from dead_letter d join run_item i on i.id = d.run_item_id
                    where i.run_id = :id and d.state = 'open'"""),
            {"id": number},
        )
    ]
    for letter in letters:
        retry_letter(conn, lanes, letter, actor)
    sql = "update run_item set due_at = now() where run_id = :id and state = 'ready' and due_at > now()"
    hurried = conn.execute(text(sql), {"id": number}).rowcount
    lanes.wake(conn, int(row.flow_id))
    _audit(conn, "resume run", actor, run=number, flow=row.flow, key=row.key)
    return {"run": number, "retried": len(letters), "hurried": hurried}


def replay(conn: Connection, lanes: FlowRuntime, step: int, actor: str, *, latest: bool = False) -> int:
    """Begin a new Run at a step, with the item as that step saw it; returns its number.

    It keeps to the version of the old Run, or takes the published one with `latest`. Effects ask first whether they
    have taken place, so nothing is done twice.
    """
    seen = conn.execute(text("select * from run_step where id = :id"), {"id": step}).one_or_none()
    if seen is None:
        raise Misconfigured(
            f"replaying from step {step}",
            answered="there is none with this number",
            hint="`isthmus run show NUMBER` shows the steps of a Run.",
        )
    old = _run(conn, int(seen.run_id))
    flow = flows.by_id(conn, int(old.flow_id))
    assert flow is not None, "a Run belongs to a flow"
    version = int(flow.version if latest and flow.version is not None else old.version)
    compiled = compile_flow(flows.version(conn, flow.id, version).file, flow_id=flow.id, version=version)
    if seen.node not in compiled.nodes:
        raise Misconfigured(
            f"replaying from step {step}",
            answered=f"version {version} has no node {seen.node}",
            hint="Replay it with the version it ran with.",
        )
    _refuse_second(conn, int(flow.id), old.key, None)
    key = conn.execute(text("select key from run_item where id = :id"), {"id": seen.item_id}).scalar()
    sql = """insert into run (flow_id, version, key, node, events, replay_of, actor)
             values (:flow, :version, :key, :node, 0, :old, :actor) returning id"""
    given = {"flow": flow.id, "version": version, "key": old.key, "node": seen.node, "old": old.id, "actor": actor}
    number = int(conn.execute(text(sql), given).scalar_one())
    sql = """insert into run_item (run_id, flow_id, version, key, node, data)
             values (:run, :flow, :version, :key, :node, cast(:data as jsonb))"""
    conn.execute(text(sql), {**given, "run": number, "key": key or old.key, "data": json.dumps(seen.input or {})})
    lanes.wake(conn, int(flow.id))
    _audit(conn, "replay run", actor, run=number, of=int(old.id), step=step, flow=flow.name, key=old.key)
    return number


def signal(conn: Connection, lanes: FlowRuntime, event: str, key: str, data: Mapping[str, Any]) -> int:
    """Wake whatever waits for this Event with this key; returns how many items."""
    woken = runs.signal(conn, flows.named_signal(event, key), data)
    lanes.wake_all(conn, woken.flows)
    return woken.items


# -- approvals -----------------------------------------------------------------------------------------------------


def approvals(conn: Connection, state: str = "open", *, run: int | None = None) -> list[dict[str, Any]]:
    """Questions to people, oldest first."""
    sql = """select a.*, f.name as flow, r.key from approval a join run r on r.id = a.run_id
             join flow f on f.id = r.flow_id
             where (:state = '' or a.state = :state) and (cast(:run as bigint) is null or a.run_id = :run)
             order by a.id limit 1000"""
    return [dict(row._mapping) for row in conn.execute(text(sql), {"state": state, "run": run})]


def decide(
    conn: Connection, lanes: FlowRuntime, number: int, choice: str, actor: str, note: str = ""
) -> dict[str, Any]:
    """Answer a question; the item goes on by the port of the choice."""
    row = conn.execute(text("select * from approval where id = :id for update"), {"id": number}).one_or_none()
    if row is None:
        raise Misconfigured(
            f"deciding approval {number}", answered="there is none with this number",
            hint="`isthmus approvals list` shows the open ones.",
        )  # fmt: skip
    if row.state != "open":
        said = f"{row.choice} by {row.decided_by}" if row.choice else "without an answer"
        raise Contended(f"deciding approval {number}", answered=f"it is {row.state}: {said}")
    if choice not in row.choices:
        raise InvalidRecord(
            f"deciding approval {number}", answered=f"{choice} is no choice",
            hint=f"The choices are: {', '.join(row.choices)}.",
        )  # fmt: skip
    sql = """update approval set state = 'decided', choice = :choice, note = :note, decided_by = :actor,
                    decided_at = now() where id = :id returning decided_at"""
    given = {"id": number, "choice": choice, "note": mask_all(note), "actor": actor}
    at = conn.execute(text(sql), given).scalar_one()
    told = {"choice": choice, "by": actor, "note": mask_all(note), "at": at.isoformat()}
    sql = """update run_item set state = 'ready', rev = rev + 1, due_at = now(), wakes = null,
                    memo = memo || jsonb_build_object('decision', cast(:told as jsonb))
             where id = :item and state = 'waiting' returning flow_id"""
    flow_id = conn.execute(text(sql), {"item": row.item_id, "told": json.dumps(told)}).scalar()
    if flow_id is not None:
        lanes.wake(conn, int(flow_id))
    _audit(conn, "decide approval", actor, approval=number, run=int(row.run_id), choice=choice, note=mask_all(note))
    return {"approval": number, **told}


# -- dead letters of items -----------------------------------------------------------------------------------------


def edit_letter(conn: Connection, number: int, fields: Mapping[str, Any], actor: str) -> dict[str, Any]:
    """Put values into a held item, by path, for its next try."""
    letter = _letter(conn, number)
    override = {**(letter.override or {}), **fields}
    sql = "update dead_letter set override = cast(:override as jsonb) where id = :id"
    conn.execute(text(sql), {"id": number, "override": json.dumps(override)})
    _audit(conn, "edit dead letter", actor, letter=number, flow=letter.entity, fields=dict(fields))
    return {**dict(letter._mapping), "override": override}


def retry_letter(conn: Connection, lanes: FlowRuntime, number: int, actor: str) -> int:
    """Let a held item go on from where it stands; returns its Run.

    For an effect of unknown outcome this is a person's word that it may be sent again, if it is not found then.
    """
    from isthmus.flows.node import with_path

    letter = _letter(conn, number)
    item = conn.execute(text("select * from run_item where id = :id for update"), {"id": letter.run_item_id}).one()
    if item.state != "held":
        raise Contended(f"retrying dead letter {number}", answered=f"its item is {item.state}")
    row = _run(conn, int(item.run_id))
    _make_active(conn, row)
    data = dict(item.data)
    for path, value in (letter.override or {}).items():
        data = with_path(data, path, value)
    released = conn.execute(
        text("""update run_intent set state = 'dropped', ended_at = now() where item_id = :id and node = :node
                and state in ('planned', 'sent', 'unknown')"""),
        {"id": item.id, "node": item.node},
    ).rowcount
    sql = """update run_item set state = 'ready', rev = rev + 1, due_at = now(), attempts = 0, visit = visit + :more,
                    memo = memo - 'change', data = cast(:data as jsonb) where id = :id"""
    conn.execute(text(sql), {"id": item.id, "more": 1 if released else 0, "data": json.dumps(mask_all(data))})
    sql = "update dead_letter set state = 'closed', closed_at = now(), closed_by = :actor where id = :id"
    conn.execute(text(sql), {"id": number, "actor": actor})
    lanes.wake(conn, int(item.flow_id))
    _audit(conn, "retry dead letter", actor, letter=number, run=int(item.run_id), flow=letter.entity)
    return int(item.run_id)


def discard_letter(conn: Connection, lanes: FlowRuntime, number: int, actor: str, why: str = "") -> None:
    """Let a held item be: it ends here, the others of its Run go on without it."""
    letter = _letter(conn, number)
    sql = "update run_item set state = 'cancelled', rev = rev + 1 where id = :id and state = 'held' returning run_id"
    run = conn.execute(text(sql), {"id": letter.run_item_id}).scalar()
    sql = "update dead_letter set state = 'discarded', closed_at = now(), closed_by = :actor where id = :id"
    conn.execute(text(sql), {"id": number, "actor": actor})
    if run is not None:
        row = _run(conn, int(run))
        if runs.join_complete(conn, [int(run)]):
            _make_active(conn, row)
        elif row.state == "held":
            sql = """update run set state = 'done' where id = :id
                     and not exists (select 1 from run_item where run_id = :id and state = 'held')"""
            conn.execute(text(sql), {"id": run})
        lanes.wake(conn, int(row.flow_id))
    _audit(conn, "discard dead letter", actor, letter=number, flow=letter.entity, note=why)


def is_flow_letter(conn: Connection, numbers: Sequence[int]) -> set[int]:
    """Which of these dead letters hold an item of a flow."""
    sql = "select id from dead_letter where id = any(cast(:ids as bigint[])) and run_item_id is not null"
    return {int(r.id) for r in conn.execute(text(sql), {"ids": list(numbers)})}


# -- behind the verbs ----------------------------------------------------------------------------------------------


def _run(conn: Connection, number: int) -> Any:
    sql = "select r.*, f.name as flow from run r join flow f on f.id = r.flow_id where r.id = :id for update of r"
    row = conn.execute(text(sql), {"id": number}).one_or_none()
    if row is None:
        raise Misconfigured(
            f"looking for run {number}",
            answered="there is none with this number",
            hint="`isthmus run list` shows them.",
        )
    return row


def _refuse_second(conn: Connection, flow_id: int, key: str, own: int | None) -> None:
    sql = "select id from run where flow_id = :flow and key = :key and state = 'active' and id is distinct from :own"
    other = conn.execute(text(sql), {"flow": flow_id, "key": key, "own": own}).scalar()
    if other is not None:
        raise Contended(
            f"going on with {key}",
            answered=f"run {other} of the same key is under way",
            hint=f"Wait for it (`isthmus run show {other}`), or cancel it first.",
        )


def _make_active(conn: Connection, row: Any) -> None:
    if row.state == "active":
        return
    if row.state != "held":
        raise Misconfigured(
            f"going on with run {row.id}", answered=f"it is {row.state}", hint="Replay it from one of its steps."
        )
    _refuse_second(conn, int(row.flow_id), row.key, int(row.id))
    conn.execute(text("update run set state = 'active', ended_at = null where id = :id"), {"id": row.id})


def _letter(conn: Connection, number: int) -> Any:
    row = conn.execute(text("select * from dead_letter where id = :id"), {"id": number}).one_or_none()
    if row is None or row.run_item_id is None:
        raise Misconfigured(
            f"working on dead letter {number}", answered="it holds no item of a flow", hint="See `isthmus deadletters`."
        )
    if row.state != "open":
        raise Misconfigured(f"working on dead letter {number}", answered=f"it is {row.state}", hint="Nothing to do.")
    return row


def _audit(conn: Connection, action: str, actor: str, **why: Any) -> None:
    auditlog.append(conn, [auditlog.Entry(action=action, actor=actor, why=why)])
