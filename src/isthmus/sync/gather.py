"""Reading: turns claimed Changes into Items with both sides as they are now, in canonical values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from isthmus.errors import Ambiguous, InvalidRecord, MappingFailed, SafetyLimit
from isthmus.model.canonical import Ref, Value, decode
from isthmus.model.card import holds_card_number
from isthmus.model.clock import Clock
from isthmus.model.policy import Side, other
from isthmus.sdk.connector import ByExternalKeys, ByKeys, ByValues, Record, Selection
from isthmus.sdk.together import together
from isthmus.store import expected, letters, links
from isthmus.store.database import Database
from isthmus.sync.match import Candidate, Match, is_root, key_forms, match, strong_keys
from isthmus.sync.pair import EntityBinding, SideBinding
from isthmus.sync.references import refs_in, replaced
from isthmus.sync.work import Change, Item, Link, Seen

IDENTITY_MARGIN = timedelta(seconds=2)
"""Systems tell when a record was created to the second, some from another clock than they answer a write with."""

EXTERNAL_KEY_PATH = "@external_key"
"""Asks a connector to fill Record.external_key even where that costs a call of its own."""


def link_of(entity: EntityBinding, row: Any) -> Link:
    """A Link row with its Bases decoded."""
    return Link(
        id=int(row.id),
        left_key=row.left_key,
        right_key=row.right_key,
        state=row.state,
        left_base=decode(entity.canonical, row.left_base),
        right_base=decode(entity.canonical, row.right_base),
        left_version=row.left_version,
        right_version=row.right_version,
        left_seen_at=row.left_seen_at,
        right_seen_at=row.right_seen_at,
        left_created_at=row.left_created_at,
        right_created_at=row.right_created_at,
        generation=int(row.generation),
        our_writes=int(row.our_writes),
        our_writes_since=row.our_writes_since,
    )


class Gatherer:
    """Reads both sides of a batch of Changes: few calls, each as large as the system likes."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def begin(self, entity: EntityBinding, changes: Sequence[Change]) -> list[Item]:
        """One Item per Link or unlinked Record, nothing read from either side yet: `read` does that."""
        return await self._db.run(_with_links, entity, changes)

    async def read(self, entity: EntityBinding, items: Sequence[Item]) -> None:
        """Fill in both sides of Items whose keys are known; then match those without a Link."""
        linked = [item for item in items if item.link is not None]
        unlinked = [item for item in items if item.link is None]
        await together(
            self._fetch(entity.left, [i.left for i in linked]),
            self._fetch(entity.right, [i.right for i in linked]),
            self._fetch(entity.left, [i.left for i in unlinked if i.origin == "left"], new=True),
            self._fetch(entity.right, [i.right for i in unlinked if i.origin == "right"], new=True),
        )
        await self.find_survivors(entity, linked)
        for side in ("left", "right"):
            fresh = [i for i in unlinked if i.origin == side and i.seen(side).record is not None]
            if fresh:
                await self._match(entity, side, fresh)
        await self.resolve(entity, items)

    async def resolve(self, entity: EntityBinding, items: Sequence[Item]) -> None:
        """Map what was read, put people's overrides in, and turn references into Link ids.

        Raises SafetyLimit when a linked record is not the one that was linked: its system was restored or replaced.
        """
        for item in items:
            _check_identity(entity, item)
        overridden = await self._db.run(
            letters.overrides, entity.pair_id, entity.name, [k for i in items for k in (i.left.key, i.right.key) if k]
        )
        for item in items:
            for side in _SIDES:
                _map(entity.side(side), item, side)
                override = overridden.get((side, item.seen(side).key or ""))
                if override:
                    _override(item.seen(side), decode(entity.canonical, override))
        if entity.shares is not None:
            await self._db.run(_mark_foreign_owners, entity, items)
        await self._resolve_references(entity, items)

    async def _fetch(self, side: SideBinding, seen: Sequence[Seen], *, new: bool = False) -> None:
        wanted = {s.key: s for s in seen if s.key}
        if not wanted:
            return
        paths = (*side.mapping.paths, EXTERNAL_KEY_PATH) if new else side.mapping.paths
        read_at = self._clock.now()
        found = await read_all(side, ByKeys(sorted(wanted)), paths, side.scope if new else None)
        missing = [key for key in wanted if key not in found]
        exists: Mapping[str, bool] = {}
        if missing and not new:
            exists = await side.connector.exists(side.entity, missing)
        for key, one in wanted.items():
            one.record = found.get(key)
            one.read_at = read_at
            one.existence = True if one.record else exists.get(key)

    @staticmethod
    async def find_survivors(entity: EntityBinding, items: Sequence[Item]) -> None:
        """A record of ours that is gone may live on in the record it was merged into, which carries its key now."""
        for side in _SIDES:
            wanted: dict[str, Item] = {}
            for item in items:
                source = item.seen(other(side)).key
                if item.seen(side).existence is False and source and item.link:
                    wanted[entity.mint(source, item.link.generation)] = item
            if not wanted:
                continue
            here = entity.side(side)
            for external_key, record in (await by_external_keys(here, sorted(wanted), ())).items():
                loser = wanted.get(external_key)
                if loser is not None and record.key != loser.seen(side).key:
                    loser.survivor = (side, record.key)

    async def _match(self, entity: EntityBinding, side: Side, items: list[Item]) -> None:
        """Look for counterparts: our own external key first, then the match keys on both sides."""
        here, there = entity.side(side), entity.side(other(side))
        for item in items:
            item.seen(side).reading = here.mapping.read(item.seen(side).raw)
        values = {s.key or "": s.reading.values for i in items if (s := i.seen(side)).reading is not None}
        rivals = await self._db.run(letters.rivals, entity.pair_id, entity.name, side, list(values))
        candidates = await self._sharing(entity, there, values.values(), strong_only=False, rivals=rivals)
        twins = await self._sharing(entity, here, values.values(), strong_only=True)
        gone = await self._db.run(links.tombstones, entity.pair_id, entity.name, side, list(values))
        minted = [
            (item, entity.minted(record.external_key))
            for item in items
            if (record := item.seen(side).record) is not None and record.external_key
        ]
        ours = [(source[0], item) for item, source in minted if source]
        sources = sorted({key for key, _ in ours})
        owners = await self._db.run(links.by_keys, entity.pair_id, entity.name, other(side), sources)
        for item in items:
            me = item.seen(side)
            item.take_release(gone.get(me.key or ""))
            mine = values[me.key or ""]
            item.match = match(
                entity.canonical,
                mine,
                candidates,
                (c.key for c in twins if c.key != me.key and not c.linked and _share_strong(entity, mine, c.values)),
                display_name=display_name,
            )
        by_values = {id(item): item.match for _, item in ours}
        for source_key, item in ours:
            _adopt_by_external_key(item, side, source_key, owners.get(source_key))
        await self._take_named(entity, side, items)
        await self._fetch_counterparts(there, items)
        # What was made from a record that is deleted since, and released for that, stands for itself when it returns.
        orphans = [i for _, i in ours if i.generation > 1 and i.seen(other(side)).existence is False]
        for item in orphans:
            item.match = by_values[id(item)]
            item.seen(other(side)).forget()
        await self._fetch_counterparts(there, orphans)

    async def _take_named(self, entity: EntityBinding, side: Side, items: Iterable[Item]) -> None:
        """A counterpart that a flow has named is the one, whatever the keys say, unless another record has it."""
        by_key = {item.seen(side).key or "": item for item in items}
        named = await self._db.run(expected.of, entity.pair_id, entity.name, side, list(by_key))
        for key, told in named.items():
            said = f"named as its counterpart by {told.why.get('flow', 'a person')}"
            if told.taken:
                said = f"{said}, and linked to another record since"
                by_key[key].match = Match(verdict="uncertain", rivals=(told.key,), why=said)
            else:
                by_key[key].match = Match(verdict="certain", key=told.key, why=said, named=True)

    async def _fetch_counterparts(self, there: SideBinding, items: Iterable[Item]) -> None:
        chosen = [i for i in items if i.match and i.match.verdict == "certain"]
        for item in chosen:
            assert item.match is not None
            item.seen(there.side).key = item.match.key
        for named in (False, True):
            wanted = [i.seen(there.side) for i in chosen if i.match and i.match.named is named]
            await self._fetch(there, wanted, new=named)

    async def _sharing(
        self,
        entity: EntityBinding,
        side: SideBinding,
        records: Iterable[Mapping[str, Value]],
        *,
        strong_only: bool,
        rivals: Collection[str] = (),
    ) -> list[Candidate]:
        """Records on a side that carry any of the match-key values of `records`, and the `rivals` found before.

        A system finds a value only as it is typed there; our own books know it as the mappings read it.
        """
        records = list(records)
        found: dict[str, Record] = {}
        known = set(rivals)
        for key in entity.canonical.match:
            path = side.mapping.key_paths.get(key.field)
            if path is None or (strong_only and not key.strong):
                continue
            own = records if not key.strong else [r for r in records if is_root(entity.canonical, r)]
            wanted = sorted({form for r in own for form in key_forms(key, r)})
            if not wanted:
                continue
            if side.connector.traits.reads_by_value:
                found.update(await read_all(side, ByValues(path, wanted), side.mapping.paths))
            if key.strong:
                known |= await self._db.run(_known, entity, side.side, key.field, wanted)
        if known - found.keys():
            found.update(await read_all(side, ByKeys(sorted(known - found.keys())), side.mapping.paths))
        taken = await self._db.run(links.linked_keys, entity.pair_id, [entity.name], side.side, list(found))
        return [
            Candidate(
                key=key,
                values=side.mapping.read(record.values).values,
                linked=key in taken,
                external_key=record.external_key,
            )
            for key, record in found.items()
        ]

    async def _resolve_references(self, entity: EntityBinding, items: Sequence[Item]) -> None:
        wanted: dict[tuple[str, Side], set[str]] = {}
        for item in items:
            for side in _SIDES:
                for ref in (ref for value in item.seen(side).values.values() for ref in refs_in(value)):
                    wanted.setdefault((ref.entity, side), set()).add(ref.key)
        if not wanted:
            return
        rows = await self._db.run(_link_rows, entity.pair_id, wanted)
        partners = {int(row.id): (row.left_key, row.right_key) for row in rows.values()}
        for item in items:
            item.partners = partners
            for side in _SIDES:
                values = item.seen(side).values

                def link(ref: Ref, side: Side = side) -> Value:
                    row = rows.get((ref.entity, side, ref.key))
                    return ref if row is None else int(row.id)

                for name, value in values.items():
                    values[name] = replaced(value, link)
        await self._recognise_released(items)
        for name in entity.canonical.soft:
            for values in (item.seen(side).values for item in items for side in _SIDES):
                if isinstance(values.get(name), Ref):
                    del values[name]

    async def _recognise_released(self, items: Sequence[Item]) -> None:
        """A reference that leads where it always did was not edited because the Link there was released."""
        held = [
            (item.seen(side).values, name, value.key, side, base)
            for item in items
            if item.link is not None
            for side in _SIDES
            for name, value in item.seen(side).values.items()
            if isinstance(value, Ref) and isinstance(base := item.link.base(side).get(name), int)
        ]
        keys = await self._db.run(links.released_keys, sorted({base for *_, base in held})) if held else {}
        for values, name, key, side, base in held:
            if base in keys and keys[base][0 if side == "left" else 1] == key:
                values[name] = base


_SIDES: tuple[Side, Side] = ("left", "right")


async def read_all(
    side: SideBinding, selection: Selection, paths: Sequence[str], scope: Any = None
) -> dict[str, Record]:
    """Every Record of a selection by key."""
    found: dict[str, Record] = {}
    async for page in side.connector.read(side.entity, selection, paths, scope):
        found.update((record.key, record) for record in page)
    return found


async def by_external_keys(side: SideBinding, keys: Sequence[str], paths: Sequence[str]) -> dict[str, Record]:
    """The Record that carries each external key: after a merge one Record carries several."""
    found: dict[str, Record] = {}
    async for page in side.connector.read(side.entity, ByExternalKeys(keys), (*paths, EXTERNAL_KEY_PATH)):
        found.update((record.external_key, record) for record in page if record.external_key)
    return found


def display_name(values: Mapping[str, Value]) -> str:
    """What a person would call the record."""
    company = values.get("company_name") or values.get("name")
    return str(company or f"{values.get('first_name') or ''} {values.get('last_name') or ''}".strip())


def _with_links(conn: Connection, entity: EntityBinding, changes: Sequence[Change]) -> list[Item]:
    """Group Changes by Link, or by Record where there is none."""
    rows: dict[tuple[Side, str], Any] = {}
    for side in _SIDES:
        keys = sorted({c.key for c in changes if c.side == side})
        rows.update(((side, k), row) for k, row in links.by_keys(conn, entity.pair_id, entity.name, side, keys).items())
    items: dict[object, Item] = {}
    for change in changes:
        row = rows.get((change.side, change.key))
        identity: object = int(row.id) if row is not None else (change.side, change.key)
        item = items.get(identity)
        if item is None:
            item = items[identity] = Item(origin=change.side)
            if row is None:
                item.seen(change.side).key = change.key
            else:
                item.link = link_of(entity, row)
                item.left.key, item.right.key = item.link.left_key, item.link.right_key
                item.generation = item.link.generation
        item.changes.append(change)
    chosen = letters.choices(conn, [i.link.id for i in items.values() if i.link])
    for item in items.values():
        if item.link and item.link.id in chosen:
            item.take_choices(chosen[item.link.id])
    return list(items.values())


def _known(conn: Connection, entity: EntityBinding, side: Side, field: str, values: Sequence[str]) -> set[str]:
    """Records of a side that we know by a match-key value: linked ones by their Base, held ones by what they had."""
    given = (entity.pair_id, entity.name, side, field, values)
    return links.holding(conn, *given) | letters.holding(conn, *given)


def _mark_foreign_owners(conn: Connection, entity: EntityBinding, items: Iterable[Item]) -> None:
    """Where one physical record also serves the owning Entity, its shared fields are only projected here."""
    if entity.shares is None:
        return
    by_key = {i.left.key: i for i in items if i.left.key}
    for key in links.linked_keys(conn, entity.pair_id, [entity.shares], "left", list(by_key)):
        by_key[key].foreign_owner = True


def _map(side: SideBinding, item: Item, which: Side) -> None:
    seen = item.seen(which)
    if seen.record is None:
        return
    result = seen.reading or side.mapping.read(seen.record.values)
    seen.values = dict(result.values)
    blocking = [p for p in result.problems if p.severity == "block"]
    seen.blocked = [p.field for p in blocking]
    if blocking and item.trouble is None:
        first = blocking[0]
        item.trouble = MappingFailed(
            f"reading {first.field} of {side.entity} {seen.key} from {side.connection}",
            record=seen.key,
            answered="; ".join(f"{p.field}: {p.message}" for p in blocking),
            facts={"fields": {p.field: p.shown for p in blocking}, "side": which},
        )
    cards = [] if item.trouble else sorted(name for name, value in seen.values.items() if holds_card_number(value))
    if cards:
        item.trouble = InvalidRecord(
            f"reading {side.entity} {seen.key} from {side.connection}",
            record=seen.key,
            answered=f"{', '.join(cards)} holds what looks like a card number; nothing of the record is taken over",
            hint=f"Remove the number in {side.connection} and keep a token there instead; the record then follows.",
            facts={"fields": cards, "side": which},
        )


def _override(seen: Seen, values: Mapping[str, Value]) -> None:
    """Let a person's values count instead of the record's own, and keep what the record itself says."""
    seen.told = {name: seen.values.get(name) for name in values}
    seen.values.update(values)


def _check_identity(entity: EntityBinding, item: Item) -> None:
    for side in _SIDES:
        known = item.link.created_at(side) if item.link else None
        record = item.seen(side).record
        if known is None or record is None or record.created_at is None:
            continue
        if abs(record.created_at - known) > IDENTITY_MARGIN:
            raise SafetyLimit(
                f"reading {entity.name} {record.key} from {entity.side(side).connection}",
                record=record.key,
                answered=(
                    f"it was created at {record.created_at:%Y-%m-%d %H:%M:%S} UTC, but the record that was linked "
                    f"at {known:%Y-%m-%d %H:%M:%S}: this is another record with the same id"
                ),
                hint=(
                    "That system was restored from a backup or replaced by a copy. Nothing was written. Point the "
                    "connection at the right system, or run `isthmus connection accept` and a Sweep if that is meant."
                ),
                facts={"side": side, "linked_created_at": known.isoformat()},
            )


def _link_rows(
    conn: Connection, pair_id: int, wanted: Mapping[tuple[str, Side], set[str]]
) -> dict[tuple[str, Side, str], Any]:
    out: dict[tuple[str, Side, str], Any] = {}
    for (entity, side), keys in wanted.items():
        for key, row in links.by_keys(conn, pair_id, entity, side, sorted(keys)).items():
            out[entity, side, key] = row
    return out


def _share_strong(entity: EntityBinding, mine: Mapping[str, Value], theirs: Mapping[str, Value]) -> bool:
    other_keys = strong_keys(entity.canonical, theirs)
    return any(other_keys.get(name) == value for name, value in strong_keys(entity.canonical, mine).items())


def _adopt_by_external_key(item: Item, side: Side, source_key: str, owner: Any) -> None:
    """A record that carries an external key of ours was made by us: its source is the counterpart."""
    me = item.seen(side)
    if owner is None:
        item.match = Match(verdict="certain", key=source_key, why="it carries the external key we gave it")
    elif getattr(owner, f"{side}_key") != me.key:
        item.trouble = carries_anothers_key(side, me.key, source_key, getattr(owner, f"{side}_key"))


def carries_anothers_key(side: Side, key: str | None, source_key: str, owner: str | None) -> Ambiguous:
    """A record that has the external key we gave to another one: it was copied or merged over there."""
    return Ambiguous(
        f"linking {side} record {key}",
        record=key,
        answered=f"it carries the external key of {source_key}, which is linked to {owner}",
        hint="The records were copied or merged there: keep one, clear the external key of the other, then retry.",
    )
