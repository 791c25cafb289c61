"""Queries on Links: find them by a side's key, make them, move their Bases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from isthmus.store.rows import as_json

_BY_KEYS = """
    select l.*, k.key as asked from link l
    join unnest(cast(:keys as text[])) as k(key) on l.{side}_key = k.key
    where l.pair_id = :pair_id and l.entity = :entity and l.state <> 'tombstone'
    union all
    select l.*, a.key as asked from link_alias a join link l on l.id = a.link_id
    where a.pair_id = :pair_id and a.entity = :entity and a.side = :side and a.key = any(cast(:keys as text[]))
      and l.state <> 'tombstone'
"""
_SQL = {side: text(_BY_KEYS.format(side=side)) for side in ("left", "right")}


def by_keys(conn: Connection, pair_id: int, entity: str, side: str, keys: Sequence[str]) -> dict[str, Any]:
    """The live Link of each key on one side (aliases of merged records included); unlinked keys are absent."""
    if not keys:
        return {}
    rows = conn.execute(_SQL[side], {"pair_id": pair_id, "entity": entity, "side": side, "keys": list(keys)})
    return {str(row.asked): row for row in rows}


def by_ids(conn: Connection, ids: Sequence[int]) -> list[Any]:
    """The live Links among these ids."""
    sql = "select * from link where id = any(:ids) and state <> 'tombstone'"
    return list(conn.execute(text(sql), {"ids": list(ids)})) if ids else []


@dataclass(frozen=True, slots=True)
class Released:
    """A key whose Link was released: the highest generation used, and whether it was left as it is since."""

    generation: int
    alone: bool


_TOMBSTONES = """
    select distinct on ({side}_key) {side}_key as key, generation, coalesce((note ->> 'alone')::boolean, false) as alone
    from link
    where pair_id = :pair_id and entity = :entity and state = 'tombstone' and {side}_key is not null
      and (cast(:keys as text[]) is null or {side}_key = any(cast(:keys as text[])))
    order by {side}_key, generation desc, id desc
"""


def tombstones(
    conn: Connection, pair_id: int, entity: str, side: str, keys: Sequence[str] | None = None
) -> dict[str, Released]:
    """Keys whose Link was released by a deletion, or of these keys those."""
    if keys is not None and not keys:
        return {}
    given = {"pair_id": pair_id, "entity": entity, "keys": None if keys is None else list(keys)}
    found = conn.execute(text(_TOMBSTONES.format(side=side)), given)
    return {str(r.key): Released(int(r.generation), bool(r.alone)) for r in found}


def returned(conn: Connection, pair_id: int, entity: str, records: Sequence[tuple[str, str]]) -> None:
    """These records (side, key) were archived since their Link was released: restored, they take part again."""
    for side, key in records:
        sql = f"""update link set note = note - 'alone' where pair_id = :pair_id and entity = :entity
                  and state = 'tombstone' and {side}_key = :key"""
        conn.execute(text(sql), {"pair_id": pair_id, "entity": entity, "key": key})


def released_keys(conn: Connection, ids: Sequence[int]) -> dict[int, tuple[str | None, str | None]]:
    """The left and right key of those of these Links that were released."""
    sql = "select id, left_key, right_key from link where id = any(:ids) and state = 'tombstone'"
    return {int(r.id): (r.left_key, r.right_key) for r in conn.execute(text(sql), {"ids": list(ids)})} if ids else {}


def linked_keys(conn: Connection, pair_id: int, entities: Sequence[str], side: str, keys: Sequence[str]) -> set[str]:
    """Which of these keys are linked under any of the Entities."""
    if not keys:
        return set()
    sql = f"""select {side}_key from link where pair_id = :pair_id and entity = any(cast(:entities as text[]))
              and state <> 'tombstone' and {side}_key = any(cast(:keys as text[]))"""
    return set(conn.execute(text(sql), {"pair_id": pair_id, "entities": list(entities), "keys": list(keys)}).scalars())


def holding(conn: Connection, pair_id: int, entity: str, side: str, field: str, values: Sequence[str]) -> set[str]:
    """Keys of linked records of a side whose Base has one of these values in a field.

    The field's name stands in the statement, not beside it, so that the indexes on match keys serve.
    """
    assert field.isidentifier(), field
    sql = f"""select {side}_key as key from link where pair_id = :pair_id and entity = :entity
              and state <> 'tombstone' and ({side}_base ->> '{field}') = any(cast(:values as text[]))"""
    given = {"pair_id": pair_id, "entity": entity, "values": list(values)}
    return {str(row.key) for row in conn.execute(text(sql), given)} if values else set()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink:
    """A Link to be made; Bases are encoded values."""

    left_key: str
    right_key: str
    left_base: Mapping[str, Any]
    right_base: Mapping[str, Any]
    left_version: str | None = None
    right_version: str | None = None
    left_seen_at: datetime | None = None
    right_seen_at: datetime | None = None
    left_created_at: datetime | None = None
    right_created_at: datetime | None = None
    generation: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUpdate:
    """What one look changed on a Link. None leaves a value as it is; Bases are replaced whole.

    `*_created_at` is kept only where none is known yet: it tells a record from another one with the same key.
    """

    id: int
    left_base: Mapping[str, Any] | None = None
    right_base: Mapping[str, Any] | None = None
    left_version: str | None = None
    right_version: str | None = None
    left_seen_at: datetime | None = None
    right_seen_at: datetime | None = None
    left_created_at: datetime | None = None
    right_created_at: datetime | None = None
    state: str | None = None
    note: Mapping[str, Any] | None = None
    wrote: int = 0
    agreed: bool = field(default=True)


def alias(conn: Connection, pair_id: int, entity: str, merged: Sequence[tuple[str, str, str]]) -> None:
    """Let the key of a record that was merged away lead to the survivor's Link; items are (side, key, survivor)."""
    for side, key, survivor in merged:
        sql = f"""insert into link_alias (pair_id, entity, side, key, link_id)
                  select pair_id, entity, :side, :key, id from link
                  where pair_id = :pair_id and entity = :entity and {side}_key = :survivor and state <> 'tombstone'
                  on conflict (pair_id, entity, side, key) do update set link_id = excluded.link_id"""
        given = {"pair_id": pair_id, "entity": entity, "side": side, "key": key, "survivor": survivor}
        conn.execute(text(sql), given)


_INSERT = text(
    """
    insert into link (pair_id, entity, left_key, right_key, left_base, right_base, left_version, right_version,
                      left_seen_at, right_seen_at, left_created_at, right_created_at, generation)
    select :pair_id, :entity, r.left_key, r.right_key, r.left_base, r.right_base, r.left_version, r.right_version,
           r.left_seen_at, r.right_seen_at, r.left_created_at, r.right_created_at, r.generation
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(left_key text, right_key text, left_base jsonb,
         right_base jsonb, left_version text, right_version text, left_seen_at timestamptz, right_seen_at timestamptz,
         left_created_at timestamptz, right_created_at timestamptz, generation int)
    on conflict do nothing
    returning id, left_key, right_key
    """
)


def insert(conn: Connection, pair_id: int, entity: str, links: Sequence[NewLink]) -> dict[tuple[str, str], int]:
    """Make Links; returns id by (left key, right key). A key that is linked already makes none and is absent."""
    if not links:
        return {}
    rows = [{name: getattr(link, name) for name in NewLink.__slots__} for link in links]
    given = {"pair_id": pair_id, "entity": entity, "rows": as_json(rows)}
    return {(str(r.left_key), str(r.right_key)): int(r.id) for r in conn.execute(_INSERT, given)}


_UPDATE = text(
    """
    update link l set
      left_base = coalesce(r.left_base, l.left_base), right_base = coalesce(r.right_base, l.right_base),
      left_version = coalesce(r.left_version, l.left_version),
      right_version = coalesce(r.right_version, l.right_version),
      left_seen_at = coalesce(r.left_seen_at, l.left_seen_at),
      right_seen_at = coalesce(r.right_seen_at, l.right_seen_at),
      left_created_at = coalesce(l.left_created_at, r.left_created_at),
      right_created_at = coalesce(l.right_created_at, r.right_created_at),
      state = coalesce(r.state, l.state), note = coalesce(r.note, l.note),
      our_writes = case when r.wrote = 0 then l.our_writes
                        when l.our_writes_since is null or l.our_writes_since < now() - make_interval(mins => :minutes)
                        then r.wrote else l.our_writes + r.wrote end,
      our_writes_since = case when r.wrote > 0 and (l.our_writes_since is null
                              or l.our_writes_since < now() - make_interval(mins => :minutes))
                              then now() else l.our_writes_since end,
      agreed_at = case when r.agreed then now() else l.agreed_at end
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(id bigint, left_base jsonb, right_base jsonb,
         left_version text, right_version text, left_seen_at timestamptz, right_seen_at timestamptz,
         left_created_at timestamptz, right_created_at timestamptz, state text, note jsonb, wrote int, agreed boolean)
    where l.id = r.id
    """
)


def update(conn: Connection, updates: Sequence[LinkUpdate], *, loop_minutes: int = 10) -> None:
    """Move Bases, versions and states of Links in one statement."""
    if not updates:
        return
    rows = [{name: getattr(u, name) for name in LinkUpdate.__slots__} for u in updates]
    conn.execute(_UPDATE, {"rows": as_json(rows), "minutes": loop_minutes})
