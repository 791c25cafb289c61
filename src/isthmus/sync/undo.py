"""Undoing a change set from its before-images; edits made since are kept."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from isthmus.model.canonical import Value, decode, encode
from isthmus.model.clock import Clock
from isthmus.model.policy import Side, other
from isthmus.sdk.connector import ByKeys
from isthmus.store import intents, links
from isthmus.store.database import Database
from isthmus.sync.gather import Gatherer, link_of, read_all
from isthmus.sync.merge import same
from isthmus.sync.pair import EntityBinding
from isthmus.sync.plan import Plan, Write
from isthmus.sync.settle import Context, Settler, Tally
from isthmus.sync.work import Item

_SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(slots=True)
class Undoing:
    """What an undo would do or did: plans to carry out, and what stays as it is with the reason."""

    plans: list[Plan] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)


class Undoer:
    """Plans and carries out the undo of one Entity's part of a change set."""

    def __init__(self, db: Database, clock: Clock, rng: random.Random) -> None:
        self._db = db
        self._clock = clock
        self._gatherer = Gatherer(db, clock)
        self._settler = Settler(db, clock, rng)

    async def plan(self, entity: EntityBinding, change_set_id: int) -> Undoing:
        """Compare each record of the change set with what was written then; only untouched fields go back.

        An update goes back to its before-image, field by field; a record that was created is archived and its Link
        released. A record deleted by the change set cannot be brought back by its id and is reported as kept.
        """
        rows = [r for r in await self._db.run(intents.of_change_set, change_set_id) if r.entity == entity.name]
        out = Undoing()
        for side in _SIDES:
            mine = [r for r in rows if r.side == side and r.key]
            if not mine:
                continue
            binding = entity.side(side)
            found = await read_all(binding, ByKeys(sorted({r.key for r in mine})), binding.mapping.paths)
            linked = await self._db.run(links.by_keys, entity.pair_id, entity.name, side, [r.key for r in mine])
            undone: dict[str, Plan] = {}
            for row in mine:
                record = found.get(row.key)
                if record is None or row.key not in linked:
                    out.kept.append(_kept(row, "it is no longer there, or no longer linked"))
                    continue
                item = undone[row.key].item if row.key in undone else self._item(entity, side, linked[row.key], record)
                before = _go_back(entity, side, item, row, out)
                if before:
                    one = undone.setdefault(row.key, Plan(item=item))
                    _add(entity, side, one, row, before)
            out.plans.extend(undone.values())
        return out

    async def carry_out(self, entity: EntityBinding, undoing: Undoing, context: Context) -> Tally:
        """Write the undo; the Bases then hold what stands on each side, so nothing flows back by itself."""
        await self._read_sources(entity, undoing.plans)
        return await self._settler.carry_out(entity, undoing.plans, context)

    def _item(self, entity: EntityBinding, side: Side, row: Any, record: Any) -> Item:
        item = Item(origin=other(side), link=link_of(entity, row), generation=int(row.generation))
        item.left.key, item.right.key = row.left_key, row.right_key
        seen = item.seen(side)
        seen.record, seen.read_at = record, self._clock.now()
        seen.values = dict(entity.side(side).mapping.read(record.values).values)
        return item

    async def _read_sources(self, entity: EntityBinding, plans: Sequence[Plan]) -> None:
        """Read the other side, whose present values become its Base: the difference is accepted by the undo."""
        for side in _SIDES:
            items = [p.item for p in plans if p.item.origin == side]
            binding = entity.side(side)
            keys = sorted({k for i in items if (k := i.seen(side).key)})
            found = await read_all(binding, ByKeys(keys), binding.mapping.paths) if keys else {}
            for item in items:
                seen = item.seen(side)
                seen.record, seen.read_at = found.get(seen.key or ""), self._clock.now()
                if seen.record is not None:
                    seen.values = dict(binding.mapping.read(seen.record.values).values)
        for one in plans:
            for write in one.writes:
                source = other(write.side)
                held = {n: one.item.seen(source).values.get(n) for n in write.fields}
                base = write.left_base if source == "left" else write.right_base
                if isinstance(base, dict):
                    base.update(held)


def _go_back(entity: EntityBinding, side: Side, item: Item, row: Any, out: Undoing) -> dict[str, Value]:
    """The fields of one Intent that still hold what it wrote, with what they held before."""
    status = entity.canonical.status_field
    if row.action == "create":
        return {status: False} if status and item.seen(side).record and item.seen(side).record.active else {}  # type: ignore[union-attr]  # checked just before
    wrote = decode(entity.canonical, row.fields)
    expected = decode(entity.canonical, (row.bases or {}).get(side) or row.fields)
    before = decode(entity.canonical, row.before)
    now = item.seen(side).values
    edited = [n for n in wrote if not same(now.get(n), expected.get(n, wrote[n]))]
    if edited:
        out.kept.append(_kept(row, f"edited since: {', '.join(sorted(edited))}"))
    return {n: before.get(n) for n in wrote if n not in edited}


def _add(entity: EntityBinding, side: Side, one: Plan, row: Any, before: dict[str, Value]) -> None:
    """Put one Intent's before-image into the plan of its record; older images win, as rows come newest first."""
    item, mapping = one.item, entity.side(side).mapping
    fields: dict[str, Value] = dict(one.writes[0].fields) if one.writes else {}
    fields.update(before)
    raw = item.seen(side).raw
    result = mapping.write({**item.seen(side).values, **fields}, list(fields), raw)
    payload = {p: v for p, v in result.values.items() if raw.get(p) != v}
    bases: dict[Side, dict[str, Value]] = {side: dict(fields), other(side): {}}
    one.alone = one.alone or row.action == "create"
    one.writes = (
        [
            Write(
                side=side,
                action="update",
                payload=payload,
                fields=fields,
                expect={p: raw.get(p) for p in payload},
                before={n: item.seen(side).values.get(n) for n in fields},
                left_base=bases["left"],
                right_base=bases["right"],
                tombstone=row.action == "create",
            )
        ]
        if payload
        else []
    )


def _kept(row: Any, why: str) -> dict[str, Any]:
    return {"side": row.side, "key": row.key, "action": row.action, "why": why, "fields": sorted(row.fields)}


def entities_of(conn: Connection, change_set_id: int) -> list[str]:
    """The Entities a change set wrote to."""
    sql = "select distinct entity from intent where change_set_id = :id and state = 'confirmed' order by 1"
    return [str(name) for name in conn.execute(text(sql), {"id": change_set_id}).scalars()]


def describe(undoing: Undoing) -> dict[str, Any]:
    """The dry run: what would be written back, and what would be kept."""
    return {
        "writes": [
            {"side": w.side, "key": p.item.seen(w.side).key, "fields": encode(w.fields), "now": encode(w.before)}
            for p in undoing.plans
            for w in p.writes
        ],
        "kept": undoing.kept,
    }
