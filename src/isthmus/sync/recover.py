"""Writes whose outcome is not known: found by their external key they are confirmed, otherwise freed in due time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from isthmus.model.policy import Side, other
from isthmus.sdk.connector import ByExternalKeys, Record
from isthmus.store import auditlog, changes, intents, links
from isthmus.store.database import Database
from isthmus.sync.gather import EXTERNAL_KEY_PATH, read_all
from isthmus.sync.pair import EntityBinding
from isthmus.sync.settle import Fence

_SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(slots=True)
class Recovery:
    """What came of the look: `waiting` maps (source side, source key) to the seconds it still has to wait."""

    confirmed: int = 0
    freed: int = 0
    waiting: dict[tuple[Side, str], float] = field(default_factory=dict)


async def recover(db: Database, entity: EntityBinding, rows: Sequence[Any], fence: Fence, now: datetime) -> Recovery:
    """Resolve Intents left `sent` or `unknown`: by an earlier runner that died, or by an answer that never came.

    Creates are looked up by external key on their side. An update or delete needs no look-up here: both sides are
    read and merged again, and the expectation or version it carried keeps a late one from doing harm.
    """
    out = Recovery()
    found: dict[Side, dict[str, Record]] = {}
    for side in _SIDES:
        keys = [str(r.external_key) for r in rows if r.side == side and r.action == "create" and r.external_key]
        if keys:
            records = await read_all(entity.side(side), ByExternalKeys(keys), (EXTERNAL_KEY_PATH,))
            found[side] = {r.external_key: r for r in records.values() if r.external_key}

    def work(conn: Connection) -> None:
        fence(conn)
        for row in rows:
            _resolve(conn, entity, row, found, out, now)

    await db.run(work)
    return out


def _resolve(
    conn: Connection,
    entity: EntityBinding,
    row: Any,
    found: dict[Side, dict[str, Record]],
    out: Recovery,
    now: datetime,
) -> None:
    side: Side = "left" if row.side == "left" else "right"
    record = found.get(side, {}).get(str(row.external_key))
    if row.action == "create" and record is None:
        traits = entity.side(side).connector.traits
        left = 0.0 if traits.idempotent_creates else traits.ceiling_seconds - float(row.age)
        if left > 0:
            intents.end(conn, [intents.End(id=row.id, state="unknown", error=row.error)])
            out.waiting[other(side), str(row.source_key)] = left
            return
    if row.action == "create" and record is not None:
        _confirm_create(conn, entity, row, side, record, now)
        out.confirmed += 1
    else:
        intents.end(conn, [intents.End(id=row.id, state="dropped", error=row.error)])
        out.freed += 1
    if row.source_key:
        again = changes.NewEvent(
            pair_id=entity.pair_id, entity=entity.name, side=other(side), key=str(row.source_key), source="recovery"
        )
        changes.accept(conn, [again])


def _confirm_create(
    conn: Connection, entity: EntityBinding, row: Any, side: Side, record: Record, now: datetime
) -> None:
    """The write did take place: make the Link with the Bases the Intent foretold; the next look sees any later edit."""
    generation = entity.minted(str(row.external_key))
    keys = {side: record.key, other(side): str(row.source_key)}
    made = links.insert(
        conn,
        entity.pair_id,
        entity.name,
        [
            links.NewLink(
                left_key=keys["left"],
                right_key=keys["right"],
                left_base=row.bases.get("left") or {},
                right_base=row.bases.get("right") or {},
                left_seen_at=row.sent_at,
                right_seen_at=row.sent_at,
                generation=generation[1] if generation else 1,
                **{f"{side}_created_at": record.created_at},  # type: ignore[arg-type]  # one of two known names
            )
        ],
    )
    link_id = next(iter(made.values()), None)
    intents.end(conn, [intents.End(id=row.id, state="confirmed", key=record.key, link_id=link_id)])
    auditlog.append(
        conn,
        [
            auditlog.Entry(
                action="create",
                pair_id=entity.pair_id,
                entity=entity.name,
                link_id=link_id,
                side=side,
                key=record.key,
                why={"found": "by its external key after an answer that never came", "at": now.isoformat()},
                before=row.before,
                after=row.fields,
                intent_id=row.id,
                change_set_id=row.change_set_id,
            )
        ],
    )
