"""Writes whose outcome is not known: seen to have taken place they are confirmed, otherwise freed in due time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from isthmus.model.canonical import decode, encode
from isthmus.model.clock import Clock
from isthmus.model.policy import Side, other
from isthmus.sdk.connector import Record
from isthmus.store import auditlog, changes, intents, links
from isthmus.store.database import Database
from isthmus.sync.gather import Gatherer, by_external_keys, link_of
from isthmus.sync.merge import is_empty, same
from isthmus.sync.pair import EntityBinding
from isthmus.sync.settle import Fence
from isthmus.sync.work import Item, Seen

_SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(slots=True)
class Recovery:
    """What came of the look: `waiting` maps (source side, source key) to the seconds it still has to wait."""

    confirmed: int = 0
    freed: int = 0
    waiting: dict[tuple[Side, str], float] = field(default_factory=dict)


async def recover(db: Database, clock: Clock, entity: EntityBinding, rows: Sequence[Any], fence: Fence) -> Recovery:
    """Resolve Intents left `sent` or `unknown`: by an earlier runner that died, or by an answer that never came.

    Creates are looked up by external key on their side. An update is read back: if what it carried stands there, the
    Bases move as they would have, so that a later edit of the source is not taken for a conflict with our own write.
    Otherwise it is merged and planned anew, and the expectation or version it carried keeps a late one from doing harm.
    """
    found: dict[Side, dict[str, Record]] = {}
    for side in _SIDES:
        keys = [str(r.external_key) for r in rows if r.side == side and r.action == "create" and r.external_key]
        if keys:
            found[side] = await by_external_keys(entity.side(side), keys, entity.side(side).mapping.paths)
    linked = await db.run(_links_of, entity, [int(r.link_id) for r in rows if r.action != "create" and r.link_id])
    await Gatherer(db, clock).read(entity, list(linked.values()))

    def work(conn: Connection) -> Recovery:
        fence(conn)
        out = Recovery()
        for row in rows:
            if row.action == "create":
                _resolve_create(conn, entity, row, found, out, clock.now())
            else:
                _resolve_update(conn, entity, row, linked.get(int(row.link_id or 0)), out, clock.now())
        return out

    return await db.run(work)


def _links_of(conn: Connection, entity: EntityBinding, ids: Sequence[int]) -> dict[int, Item]:
    """An Item for each live Link that an update was meant for."""
    items: dict[int, Item] = {}
    for row in links.by_ids(conn, ids):
        item = Item(origin="left", link=link_of(entity, row), generation=int(row.generation))
        item.left.key, item.right.key = row.left_key, row.right_key
        items[int(row.id)] = item
    return items


def _resolve_create(
    conn: Connection,
    entity: EntityBinding,
    row: Any,
    found: dict[Side, dict[str, Record]],
    out: Recovery,
    now: datetime,
) -> None:
    side: Side = "left" if row.side == "left" else "right"
    record = found.get(side, {}).get(str(row.external_key))
    if record is None:
        traits = entity.side(side).connector.traits
        left = 0.0 if traits.idempotent_creates else traits.ceiling_seconds - float(row.age)
        if left > 0:
            intents.end(conn, [intents.End(id=row.id, state="unknown", error=row.error)])
            out.waiting[other(side), str(row.source_key)] = left
            return
        _free(conn, entity, row, out)
        return
    _confirm_create(conn, entity, row, side, record, now)
    out.confirmed += 1
    _look_again(conn, entity, row)


def _resolve_update(
    conn: Connection, entity: EntityBinding, row: Any, item: Item | None, out: Recovery, now: datetime
) -> None:
    side: Side = "left" if row.side == "left" else "right"
    written = None if item is None or item.link is None else _written(entity, row, item.seen(side), side)
    if item is None or item.link is None or written is None:
        _free(conn, entity, row, out)
        return
    bases = _bases_of(row, written)
    links.update(
        conn,
        [
            links.LinkUpdate(
                id=item.link.id,
                left_base={**encode(item.link.left_base), **bases["left"]},
                right_base={**encode(item.link.right_base), **bases["right"]},
                state="tombstone" if (row.bases or {}).get("tombstone") else None,
                note={"alone": True} if (row.bases or {}).get("alone") else None,
                wrote=1,
                agreed=False,
            )
        ],
    )
    # Several Intents of one Link may be open: the next one starts from the Bases as they stand now.
    item.link.left_base.update(decode(entity.canonical, bases["left"]))
    item.link.right_base.update(decode(entity.canonical, bases["right"]))
    intents.end(conn, [intents.End(id=row.id, state="confirmed", key=row.key)])
    auditlog.append(conn, [_entry(entity, row, row.key, item.link.id, now)])
    out.confirmed += 1
    _look_again(conn, entity, row)


def _written(entity: EntityBinding, row: Any, seen: Seen, side: Side) -> set[str] | None:
    """The fields that a write of unknown outcome is seen to have reached; None when it did not take place.

    One field that it changed has to hold what it carried. A field that still stands as before was not reached: a
    write may take several calls, of which the last were never made. One that stands otherwise was edited afterwards.
    """
    if row.action == "delete":
        return set() if seen.existence is False else None
    if seen.record is None:
        return None
    expected = decode(entity.canonical, (row.bases or {}).get(side) or row.fields)
    before = decode(entity.canonical, row.before or {})
    changed = {n for n, value in expected.items() if n in seen.values and not same(before.get(n), value)}
    if not any(same(seen.values[n], expected[n]) for n in changed):
        return None
    return {n for n in expected if n not in changed or not same(seen.values[n], before.get(n))}


def _bases_of(row: Any, fields: Collection[str]) -> dict[str, dict[str, Any]]:
    """The Bases that an Intent foretold, of these fields."""
    return {s: {n: v for n, v in ((row.bases or {}).get(s) or {}).items() if n in fields} for s in _SIDES}


def _free(conn: Connection, entity: EntityBinding, row: Any, out: Recovery) -> None:
    intents.end(conn, [intents.End(id=row.id, state="dropped", error=row.error)])
    out.freed += 1
    _look_again(conn, entity, row)


def _look_again(conn: Connection, entity: EntityBinding, row: Any) -> None:
    if row.source_key:
        side: Side = "left" if row.side == "left" else "right"
        again = changes.NewEvent(
            pair_id=entity.pair_id, entity=entity.name, side=other(side), key=str(row.source_key), source="recovery"
        )
        changes.accept(conn, [again])


def _entry(entity: EntityBinding, row: Any, key: str | None, link_id: int | None, now: datetime) -> auditlog.Entry:
    return auditlog.Entry(
        action=row.action,
        pair_id=entity.pair_id,
        entity=entity.name,
        link_id=link_id,
        side=row.side,
        key=key,
        why={"found": "read back after an answer that never came", "at": now.isoformat()},
        before=row.before,
        after=row.fields,
        intent_id=row.id,
        change_set_id=row.change_set_id,
    )


def _confirm_create(
    conn: Connection, entity: EntityBinding, row: Any, side: Side, record: Record, now: datetime
) -> None:
    """The write did take place: make the Link with the Bases the Intent foretold; the next look sees any later edit.

    A field that is empty though the Intent filled it was not reached, like a child record made by a further call.
    """
    read = entity.side(side).mapping.read(record.values).values
    foretold = decode(entity.canonical, (row.bases or {}).get(side) or {})
    bases = _bases_of(row, {n for n, v in foretold.items() if is_empty(v) or not is_empty(read.get(n))})
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
                left_base=bases["left"],
                right_base=bases["right"],
                left_seen_at=row.sent_at,
                right_seen_at=row.sent_at,
                generation=generation[1] if generation else 1,
                **{f"{side}_created_at": record.created_at},  # type: ignore[arg-type]  # one of two known names
            )
        ],
    )
    link_id = next(iter(made.values()), None)
    intents.end(conn, [intents.End(id=row.id, state="confirmed", key=record.key, link_id=link_id)])
    auditlog.append(conn, [_entry(entity, row, record.key, link_id, now)])
