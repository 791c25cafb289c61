"""Dead letters as a workplace: list, show, edit, retry and discard what cannot pass without a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import InvalidRecord, Misconfigured
from isthmus.mapping.entityfile import entities_of
from isthmus.operate import runs
from isthmus.operate.assemble import mapping_file, parse_pair
from isthmus.operate.flowruntime import FlowRuntime
from isthmus.store import auditlog, changes, pairs
from isthmus.sync.inbox import Wake


def listing(
    conn: Connection,
    pair_id: int | None,
    *,
    state: str = "open",
    entity: str | None = None,
    kind: str | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[dict[str, Any]]:
    """Dead letters, newest first; `before` pages on from an id."""
    wheres = ["state = :state"]
    given: dict[str, Any] = {"state": state, "limit": limit, "pair_id": pair_id, "entity": entity, "kind": kind}
    given["before"] = before
    if pair_id is not None:
        wheres.append("pair_id = :pair_id")
    if entity:
        wheres.append("entity = :entity")
    if kind:
        wheres.append("kind = :kind")
    if before is not None:
        wheres.append("id < :before")
    sql = f"select * from dead_letter where {' and '.join(wheres)} order by id desc limit :limit"
    return [dict(row._mapping) for row in conn.execute(text(sql), given)]


def chosen(conn: Connection, numbers: Sequence[int], pair: str, kind: str) -> list[int]:
    """Dead letters by number, or every open one of a pair or flow (of one kind, if named)."""
    if not pair:
        return list(numbers)
    sql = """select id from dead_letter where entity = :flow and pair_id = 0 and state = 'open'
             and (:kind = '' or kind = :kind) order by id"""
    held = [int(r.id) for r in conn.execute(text(sql), {"flow": pair, "kind": kind})]
    if held:
        return [*numbers, *held]
    rows = listing(conn, pairs.get(conn, pair).id, kind=kind or None, limit=100_000)
    return [*numbers, *(int(row["id"]) for row in rows)]


def groups(conn: Connection, pair_id: int) -> list[dict[str, Any]]:
    """Open dead letters grouped by cause: kind and fingerprint, with a sample and how many there are."""
    sql = """select kind, fingerprint, count(*) as count, min(opened_at) as since, min(id) as sample_id,
                    (array_agg(error order by id))[1] as sample
             from dead_letter where pair_id = :pair_id and state = 'open' group by 1, 2 order by count(*) desc"""
    return [dict(row._mapping) for row in conn.execute(text(sql), {"pair_id": pair_id})]


def show(conn: Connection, letter_id: int) -> dict[str, Any]:
    """One dead letter whole."""
    row = conn.execute(text("select * from dead_letter where id = :id"), {"id": letter_id}).one_or_none()
    if row is None:
        raise Misconfigured(
            f"showing dead letter {letter_id}",
            answered="there is none with this number",
            hint="`isthmus deadletters list` shows the open ones.",
        )
    return dict(row._mapping)


def edit(conn: Connection, letter_id: int, fields: Mapping[str, Any], actor: str) -> dict[str, Any]:
    """Put canonical values in place of the record's own for the next try."""
    if runs.is_flow_letter(conn, [letter_id]):
        return runs.edit_letter(conn, letter_id, fields, actor)
    known = _fields(conn, show(conn, letter_id))
    unknown = sorted(set(fields) - known)
    if unknown:
        raise InvalidRecord(
            f"editing dead letter {letter_id}",
            answered=f"unknown field {', '.join(unknown)}",
            hint=f"The fields are: {', '.join(sorted(known))}.",
        )
    letter = _open(conn, letter_id)
    override = {**(letter["override"] or {}), **fields}
    sql = "update dead_letter set override = cast(:override as jsonb) where id = :id"
    conn.execute(text(sql), {"id": letter_id, "override": json.dumps(override)})
    _audit(conn, letter, "edit dead letter", actor, after=dict(fields))
    return {**letter, "override": override}


def _fields(conn: Connection, letter: Mapping[str, Any]) -> set[str]:
    """The canonical fields that the letter's Entity has in its pair: shipped ones, and those the pair describes."""
    row = pairs.by_id(conn, letter["pair_id"])
    files = pairs.files(conn, row.id, row.version) if row is not None else {}
    entity = entities_of(files).get(letter["entity"])
    known = set(entity.fields) if entity is not None else set()
    told = parse_pair(files["pair.yaml"]).entities.get(letter["entity"]) if "pair.yaml" in files else None
    for side in (told.left, told.right) if told is not None else ():
        known |= mapping_file(files, side.mapping).extra.keys()
    return known


def retry(conn: Connection, letter_ids: Sequence[int], wake: Wake, actor: str, lanes: FlowRuntime | None = None) -> int:
    """Look at these records again; a dead letter closes by itself when its record passes. Returns how many.

    Items of flows go on from where they stand; `lanes` wakes their flows.
    """
    events = []
    of_flows = runs.is_flow_letter(conn, letter_ids)
    for letter_id in letter_ids:
        letter = _open(conn, letter_id)
        if letter_id in of_flows and lanes is not None:
            runs.retry_letter(conn, lanes, letter_id, actor)
            continue
        events.append(
            changes.NewEvent(
                pair_id=letter["pair_id"],
                entity=letter["entity"],
                side=letter["side"],
                key=letter["key"],
                source="retry",
            )
        )
        _audit(conn, letter, "retry dead letter", actor)
    changes.accept(conn, events)
    for pair_id, entity in sorted({(e.pair_id, e.entity) for e in events}):
        wake(conn, pair_id, entity)
    return len(letter_ids)


def discard(
    conn: Connection, letter_ids: Sequence[int], actor: str, why: str = "", lanes: FlowRuntime | None = None
) -> int:
    """Close dead letters without passing their records; both sides stay as they are. Items of flows end there."""
    of_flows = runs.is_flow_letter(conn, letter_ids)
    for letter_id in letter_ids:
        letter = _open(conn, letter_id)
        if letter_id in of_flows and lanes is not None:
            runs.discard_letter(conn, lanes, letter_id, actor, why)
            continue
        sql = "update dead_letter set state = 'discarded', closed_at = now(), closed_by = :actor where id = :id"
        conn.execute(text(sql), {"id": letter_id, "actor": actor})
        _audit(conn, letter, "discard dead letter", actor, why=why)
    return len(letter_ids)


def _open(conn: Connection, letter_id: int) -> dict[str, Any]:
    letter = show(conn, letter_id)
    if letter["state"] != "open":
        raise Misconfigured(
            f"working on dead letter {letter_id}",
            answered=f"it is {letter['state']} since {letter['closed_at']:%Y-%m-%d %H:%M}",
            hint="Nothing to do; `isthmus trace` shows what became of the record.",
        )
    return letter


def _audit(
    conn: Connection,
    letter: Mapping[str, Any],
    action: str,
    actor: str,
    *,
    after: dict[str, Any] | None = None,
    why: str = "",
) -> None:
    entry = auditlog.Entry(
        action=action,
        pair_id=letter["pair_id"],
        entity=letter["entity"],
        side=letter["side"],
        key=letter["key"],
        link_id=letter["link_id"],
        actor=actor,
        why={"letter": letter["id"], "note": why},
        after=after,
    )
    auditlog.append(conn, [entry])
