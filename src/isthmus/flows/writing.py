"""One transaction that makes a segment true: items, steps, ends of effects, questions, calls, what they set free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import IsthmusError
from isthmus.flows.advance import Segment, Step
from isthmus.flows.compiled import CompiledFlow
from isthmus.flows.item import ACTIVE, JOIN, Item
from isthmus.model.card import mask_all
from isthmus.store import changes, flows, letters, runs
from isthmus.store.rows import as_json, as_kept_json


@dataclass(slots=True)
class Written:
    """What came of it for others: flows to wake, and how many items, Runs and dead letters."""

    wake: set[int] = field(default_factory=set)
    items: int = 0
    ended: int = 0
    held: int = 0


def write(conn: Connection, flow: CompiledFlow, segment: Segment, fence: Callable[[Connection], None]) -> Written:
    """Write a segment down. Items that were changed from outside meanwhile stay as they are, with their steps untold;
    how their effects ended is written in any case.
    """
    fence(conn)
    out = Written()
    runs.end_intents(conn, [{name: getattr(e, name) for name in e.__slots__} for e in segment.ends])
    changed = {id(step.item) for step in segment.steps if step.output is not None}
    awaited = [i.wakes for i in (*segment.items.values(), *segment.made) if i.wakes and ":" in i.wakes]
    runs.lock_signals(conn, [name for name in awaited if not name.startswith(runs.CHANGE)])
    settled = _settled(conn, [name for name in awaited if name.startswith(runs.CHANGE)])
    moved = runs.move(conn, [_moved(item, id(item) in changed) for item in segment.items.values()])
    lost = {id(item) for item in segment.items.values() if item.id not in moved}
    made = [item for item in segment.made if not _of_lost(item, lost)]
    for item, number in zip(made, runs.numbers(conn, len(made)), strict=True):
        item.id = number
    runs.make(conn, flow.id, [_made(item) for item in made])
    standing = {id(item) for item in (*segment.items.values(), *made)} - lost
    runs.add_steps(conn, [_step(step) for step in segment.steps if id(step.item) in standing])
    _hold(conn, flow, [(item, error) for item, error in segment.letters if id(item) in standing])
    _ask(conn, segment, standing)
    if flow.asks:
        _close_questions(conn, moved)
    out.wake |= _call(conn, segment, standing)
    _listen(conn, [item for item in (*segment.items.values(), *made) if id(item) in standing])
    runs.wake_settled(conn, settled)
    touched = sorted({item.run.id for item in segment.items.values()})
    family = sorted({i.run.id for i in segment.items.values() if i.has_parent or i.state == "split"})
    if flow.has_joins and family:
        runs.join_complete(conn, family)
    still = {item.run.id for item in (*segment.items.values(), *made) if _moves(item) and id(item) in standing}
    ended = runs.close_finished(conn, [run for run in touched if run not in still])
    out.wake |= runs.answer_callers(conn, ended)
    _close_letters(conn, flow, [r for r in ended if r.state == "done"])
    out.items, out.ended, out.held = len(moved), len(ended), len(segment.letters)
    return out


def _moves(item: Item) -> bool:
    """Whether it goes on by itself; at a join it only waits for its siblings."""
    return item.state in ACTIVE and item.wakes != JOIN


def _of_lost(item: Item, lost: set[int]) -> bool:
    parent = item.parent
    while parent is not None:
        if id(parent) in lost:
            return True
        parent = parent.parent
    return False


def _moved(item: Item, changed: bool) -> dict[str, Any]:
    return {
        "id": item.id,
        "rev": item.rev,
        "node": item.node,
        "state": item.state,
        "key": item.key,
        "visit": item.visit,
        "attempts": item.attempts,
        "data": item.data if changed else None,
        "memo": item.memo or None,
        "wakes": item.wakes,
        "due_at": item.due_at.isoformat() if item.due_at else None,
    }


def _made(item: Item) -> dict[str, Any]:
    assert item.parent is not None
    return {
        "id": item.id,
        "run_id": item.run.id,
        "version": item.run.version,
        "parent_id": item.parent.id,
        "place": item.place,
        "key": item.key,
        "node": item.node,
        "state": item.state,
        "data": item.data,
        "memo": item.memo or None,
        "wakes": item.wakes,
        "due_at": item.due_at.isoformat() if item.due_at else None,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "run_id": step.item.run.id,
        "item_id": step.item.id,
        "node": step.node,
        "visit": step.visit,
        "outcome": step.outcome,
        "port": step.port,
        "input": step.input,
        "output": step.output,
        "error": step.error,
        "ms": round(step.ms, 3),
        "at": step.at.isoformat(),
    }


def letter_key(item_id: int, key: str) -> str:
    """What a held item is called in dead letters; its number tells it from others of the same key."""
    return f"{key} #{item_id}"


def _hold(conn: Connection, flow: CompiledFlow, held: list[tuple[Item, IsthmusError]]) -> None:
    if not held:
        return
    new = [
        letters.NewLetter(
            entity=flow.name,
            side=item.node,
            key=letter_key(item.id, item.key),
            error=error.as_dict(),
            payload={"item": item.data},
        )
        for item, error in held
    ]
    letters.open_letters(conn, 0, new)
    sql = """update dead_letter d set run_item_id = r.id
             from jsonb_to_recordset(cast(:rows as jsonb)) as r(id bigint, side text, key text)
             where d.pair_id = 0 and d.entity = :flow and d.side = r.side and d.key = r.key and d.state = 'open'"""
    rows = [{"id": item.id, "side": item.node, "key": mask_all(letter_key(item.id, item.key))} for item, _ in held]
    conn.execute(text(sql), {"rows": as_json(rows), "flow": flow.name})


def _ask(conn: Connection, segment: Segment, standing: set[int]) -> None:
    rows = [
        {
            "run_id": item.run.id,
            "item_id": item.id,
            "node": item.node,
            "question": question.text,
            "shown": dict(question.shown),
            "choices": list(question.choices),
            "asked_of": question.asked_of,
            "due_at": question.due_at.isoformat() if question.due_at else None,
            "escalated": question.escalated,
        }
        for item, question in segment.questions
        if id(item) in standing
    ]
    if not rows:
        return
    sql = """insert into approval (run_id, item_id, node, question, shown, choices, asked_of, due_at)
             select r.run_id, r.item_id, r.node, r.question, r.shown,
                    array(select jsonb_array_elements_text(r.choices)), r.asked_of, r.due_at
             from jsonb_to_recordset(cast(:rows as jsonb)) as r(run_id bigint, item_id bigint, node text,
                  question text, shown jsonb, choices jsonb, asked_of text, due_at timestamptz)
             on conflict (item_id) where state = 'open' do update set asked_of = excluded.asked_of,
               due_at = excluded.due_at, escalated_at = now()"""
    conn.execute(text(sql), {"rows": as_kept_json(rows)})


def _close_questions(conn: Connection, item_ids: set[int]) -> None:
    """Nobody answers a question any more whose item has gone on."""
    sql = """update approval a set state = 'expired', decided_at = now() from run_item i
             where a.item_id = any(cast(:ids as bigint[])) and a.state = 'open' and i.id = a.item_id
               and not (i.node = a.node and i.state = 'waiting')"""
    conn.execute(text(sql), {"ids": list(item_ids)})


def _call(conn: Connection, segment: Segment, standing: set[int]) -> set[int]:
    """Ask for the Runs of other flows; a flow that is not there holds nothing up here: it was checked before."""
    calls = [(item, call, waits) for item, call, waits in segment.calls if id(item) in standing]
    if not calls:
        return set()
    found = {name: flows.get(conn, name) for name in {call.flow for _, call, _ in calls}}
    listening = {
        name: conn.execute(
            text("select node from flow_listener where flow_id = :id and kind = 'manual' order by node limit 1"),
            {"id": row.id},
        ).scalar()
        for name, row in found.items()
    }
    return set(
        flows.accept(
            conn,
            [
                flows.NewTrigger(
                    flow_id=int(found[call.flow].id),
                    node=str(listening[call.flow] or "start"),
                    key=call.key,
                    data=call.data,
                    caller=item.id if waits else None,
                )
                for item, call, waits in calls
            ],
        )
    )


def _listen(conn: Connection, items: list[Item]) -> None:
    """Items that begin to wait for a signal may have missed it by a moment."""
    waiting = [i for i in items if i.state == "waiting" and i.wakes is not None and ":" in i.wakes]
    if waiting:
        runs.wake_by_past_signals(conn, [i.id for i in waiting])


def _settled(conn: Connection, awaited: list[str]) -> list[int]:
    """Of the Changes that items begin to wait for, those that are settled; the others cannot be before they wait."""
    numbers = [int(name.removeprefix(runs.CHANGE)) for name in awaited]
    return sorted(set(numbers) - changes.still_open(conn, numbers))


def _close_letters(conn: Connection, flow: CompiledFlow, ended: list[Any]) -> None:
    """A later success of the same key ends what an earlier Run of it left held."""
    if not ended:
        return
    sql = """with over as (
               select r.id from run r where r.flow_id = :flow and r.state = 'held'
                 and r.key = any(cast(:keys as text[])) and r.id <> all(cast(:ids as bigint[]))
             ), gone as (
               update run_item i set state = 'cancelled', rev = i.rev + 1 from over o
               where i.run_id = o.id and i.state in ('held', 'waiting', 'split') returning i.id
             ), closed as (
               update dead_letter d set state = 'closed', closed_at = now(), closed_by = 'a later success'
               from gone g where d.run_item_id = g.id and d.state = 'open'
             )
             update run r set state = 'cancelled' from over o where r.id = o.id"""
    given = {"flow": flow.id, "keys": [r.key for r in ended], "ids": [int(r.id) for r in ended]}
    conn.execute(text(sql), given)
