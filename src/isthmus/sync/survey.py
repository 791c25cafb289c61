"""Reading an Entity whole on both sides: every Link and every unlinked Record as an Item, matched in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, text

from isthmus.mapping.compiled import ReadResult
from isthmus.model.canonical import CanonicalEntity, Value
from isthmus.model.clock import Clock
from isthmus.model.policy import Side, other
from isthmus.sdk.connector import ByKeys, Everything, Record
from isthmus.sdk.together import together
from isthmus.store import expected, letters
from isthmus.store.database import Database
from isthmus.store.links import Released, tombstones
from isthmus.sync.gather import EXTERNAL_KEY_PATH, Gatherer, carries_anothers_key, display_name, link_of, read_all
from isthmus.sync.match import Candidate, Match, is_root, key_value, match
from isthmus.sync.pair import EntityBinding, SideBinding
from isthmus.sync.work import Item, Link, Seen

Progress = Callable[[str, str, int, int | None], None]
"""Called with (entity, stage, done, total or None when unknown)."""

PART = 500
"""Items that are matched and resolved at a time, while others are on their way."""

_SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(slots=True)
class Survey:
    """Both sides of one Entity at one moment: `items` so far, and how many records each side has."""

    entity: EntityBinding
    items: list[Item] = field(default_factory=list)
    records: dict[Side, int] = field(default_factory=dict)
    most: int = 0
    _new: Iterator[Item] = field(default_factory=lambda: iter(()))
    _gatherer: Gatherer | None = None
    _read_at: datetime | None = None

    async def more(self, size: int = PART) -> list[Item]:
        """The next Items of records without a Link, matched and resolved; none when there are no more."""
        found = list(islice(self._new, size))
        if found:
            await self._resolved(found)
            self.items.extend(found)
        return found

    async def _resolved(self, items: Sequence[Item]) -> None:
        assert self._gatherer is not None
        for item in items:
            item.left.read_at = item.right.read_at = self._read_at
        await self._gatherer.resolve(self.entity, items)


async def survey(db: Database, clock: Clock, entity: EntityBinding, progress: Progress) -> Survey:
    """Read every Record in scope and every linked one, on both sides, and match what has no Link."""
    out = await begin(db, clock, entity, progress)
    await out.more(out.most)
    return out


async def begin(db: Database, clock: Clock, entity: EntityBinding, progress: Progress) -> Survey:
    """Read everything, and look at what is linked; `more` matches the rest part by part.

    Every Link is looked at first, so that a restored system is noticed before anything is written. `most` is how many
    Items there can be. Two full reads in memory: about 2 kB per record for the time of the survey.
    """
    read_at = clock.now()
    readings: dict[Side, dict[str, ReadResult]] = {"left": {}, "right": {}}
    left, right = await together(*(_everything(entity.side(side), entity, readings[side], progress) for side in _SIDES))
    records: dict[Side, dict[str, Record]] = {"left": left, "right": right}
    rows, reserved, released, chosen = await db.run(_stored, entity)
    links = [link_of(entity, row) for row in rows]
    for side in _SIDES:
        missing = [k for link in links if (k := link.key(side)) and k not in records[side]]
        if missing:
            binding = entity.side(side)
            more = await read_all(binding, ByKeys(missing), binding.mapping.paths)
            records[side].update(more)
            readings[side].update((key, binding.mapping.read(record.values)) for key, record in more.items())
    out = Survey(entity=entity, records={s: len(records[s]) for s in _SIDES}, _read_at=read_at)
    out._gatherer = Gatherer(db, clock)
    taken: dict[Side, set[str]] = {s: {k for link in links if (k := link.key(s))} for s in _SIDES}
    for link in links:
        item = _linked(link, records)
        if link.id in chosen:
            item.take_choices(chosen[link.id])
        out.items.append(item)
    await _prove_missing(entity, out.items)
    free = {
        s: {k: r for k, r in records[s].items() if k not in taken[s] and k not in reserved[s]}
        if entity.side(s).adopt == "scope"
        else {}
        for s in _SIDES
    }
    out.most = len(out.items) + sum(len(free[s]) for s in _SIDES)
    out._new = _matched(entity, free, records, readings, links, released, progress)
    await out._resolved(out.items)
    return out


async def _everything(
    side: SideBinding, entity: EntityBinding, readings: dict[str, ReadResult], progress: Progress
) -> dict[str, Record]:
    """Every Record in scope; each page is mapped into `readings` while the system looks for the next one."""
    found: dict[str, Record] = {}
    paths = (*side.mapping.paths, EXTERNAL_KEY_PATH)
    async for page in side.connector.read(side.entity, Everything(), paths, side.scope):
        found.update((record.key, record) for record in page)
        readings.update((record.key, side.mapping.read(record.values)) for record in page)
        progress(entity.name, f"reading {side.connection}", len(found), None)
    progress(entity.name, f"reading {side.connection}", len(found), len(found))
    return found


def _stored(
    conn: Connection, entity: EntityBinding
) -> tuple[list[Any], dict[Side, set[str]], dict[Side, dict[str, Released]], dict[int, dict[str, letters.Choice]]]:
    """Live Links, keys that a sibling Entity has reserved, keys released by deletions, and people's choices."""
    given = {"pair_id": entity.pair_id, "entity": entity.name}
    rows = conn.execute(
        text("select * from link where pair_id = :pair_id and entity = :entity and state <> 'tombstone' order by id"),
        given,
    ).all()
    released: dict[Side, dict[str, Released]] = {
        side: tombstones(conn, entity.pair_id, entity.name, side) for side in _SIDES
    }
    reserved: dict[Side, set[str]] = {s: set() for s in _SIDES}
    for side in _SIDES:
        # Its counterpart was named: the lane links it, nothing is made for it here.
        reserved[side].update(expected.keys(conn, entity.pair_id, entity.name, side))
        for sibling in entity.siblings.get(side, ()):
            sql = f"""select {side}_key from link where pair_id = :pair_id and entity = :entity
                      and state <> 'tombstone'"""
            found = conn.execute(text(sql), {"pair_id": entity.pair_id, "entity": sibling}).scalars()
            reserved[side].update(k for k in found if k)
    return list(rows), reserved, released, letters.choices(conn, [int(r.id) for r in rows])


def _linked(link: Link, records: Mapping[Side, Mapping[str, Record]]) -> Item:
    item = Item(origin="left", link=link, generation=link.generation)
    for side in _SIDES:
        seen = item.seen(side)
        seen.key = link.key(side)
        seen.record = records[side].get(seen.key or "")
        seen.existence = True if seen.record else None
    if item.left.record is None and item.right.record is not None:
        item.origin = "right"
    return item


async def _prove_missing(entity: EntityBinding, items: Iterable[Item]) -> None:
    for side in _SIDES:
        lost = {i.seen(side).key: i for i in items if i.seen(side).record is None}
        if lost:
            keys = [k for k in lost if k]
            proof = await entity.side(side).connector.exists(entity.side(side).entity, keys)
            for key in keys:
                lost[key].seen(side).existence = proof.get(key)
    await Gatherer.find_survivors(entity, [i for i in items if i.link is not None])


def _matched(
    entity: EntityBinding,
    free: Mapping[Side, Mapping[str, Record]],
    records: Mapping[Side, Mapping[str, Record]],
    readings: Mapping[Side, Mapping[str, ReadResult]],
    links: Sequence[Link],
    released: Mapping[Side, Mapping[str, Released]],
    progress: Progress,
) -> Iterator[Item]:
    """One Item per unlinked record, or per pair of records that surely belong together."""
    values = {s: {k: reading.values for k, reading in readings[s].items()} for s in _SIDES}
    index = {s: _Index(entity.canonical, values[s]) for s in _SIDES}
    paired: dict[Side, set[str]] = {"left": set(), "right": set()}
    owners = {s: {k: link for link in links if (k := link.key(s))} for s in _SIDES}
    for side in _SIDES:
        there = other(side)
        total = len(free[side])
        for n, (key, record) in enumerate(sorted(free[side].items(), key=lambda pair: _order(pair[0]))):
            if key in paired[side]:
                continue
            item = Item(origin=side)
            item.take_release(released[side].get(key))
            _found(item.seen(side), key, record, readings[side][key])
            source = entity.minted(record.external_key)
            owner = owners[there].get(source[0]) if source is not None else None
            if source is not None and source[0] in free[there]:
                item.match = Match(verdict="certain", key=source[0], why="it carries the external key we gave it")
            elif source is not None and owner is not None:
                item.trouble = carries_anothers_key(side, key, source[0], owner.key(side))
                yield item
                continue
            else:
                mine = values[side][key]
                item.match = match(
                    entity.canonical,
                    mine,
                    [
                        Candidate(key=k, values=values[there][k], linked=k in owners[there] or k in paired[there])
                        for k in index[there].sharing(mine)
                    ],
                    [k for k in index[side].sharing(mine, strong_only=True) if k != key and k in free[side]],
                    display_name=display_name,
                )
            if item.match.verdict == "certain" and item.match.key is not None:
                partner = item.match.key
                _found(item.seen(there), partner, records[there][partner], readings[there][partner])
                paired[side].add(key)
                paired[there].add(item.match.key)
            yield item
            if n % 500 == 499 or n + 1 == total:
                progress(entity.name, f"matching {side}", n + 1, total)


def _found(seen: Seen, key: str, record: Record, reading: ReadResult) -> None:
    seen.key, seen.record, seen.existence, seen.reading = key, record, True, reading


def _order(key: str) -> tuple[int, int, str]:
    return (0, int(key), "") if key.isdigit() else (1, 0, key)


class _Index:
    """Keys of records by each match-key value, and by the start of their name for near-equal names."""

    def __init__(self, entity: CanonicalEntity, records: Mapping[str, Mapping[str, Value]]) -> None:
        self._entity = entity
        self._by_value: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for key, values in records.items():
            root = is_root(entity, values)
            for match_key in entity.match:
                value = key_value(match_key, values) if root or not match_key.strong else None
                if value is not None:
                    self._by_value[match_key.field, value].append(key)
            block = _name_block(values)
            if block:
                self._by_name[block].append(key)

    def sharing(self, values: Mapping[str, Value], *, strong_only: bool = False) -> list[str]:
        found: dict[str, None] = {}
        root = is_root(self._entity, values)
        for match_key in self._entity.match:
            if match_key.strong < strong_only or (match_key.strong and not root):
                continue
            value = key_value(match_key, values)
            if value is not None:
                found.update(dict.fromkeys(self._by_value.get((match_key.field, value), ())))
        if not strong_only:
            found.update(dict.fromkeys(self._by_name.get(_name_block(values), ())))
        return list(found)


def _name_block(values: Mapping[str, Value]) -> str:
    """Names that begin with the same five letters and belong to the same country are compared as wholes."""
    name = "".join(ch for ch in display_name(values).casefold() if ch.isalnum())
    address = values.get("billing")
    country = address.get("country") if isinstance(address, dict) else ""
    return f"{name[:5]}|{country or ''}" if len(name) >= 5 else ""
