"""Queries on Links that are expected: counterparts somebody named before the lane has linked them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from isthmus.store.intents import OPEN
from isthmus.store.rows import as_json

_CONFIRM = text("select pg_advisory_xact_lock(hashtextextended(:key, 0))")


@dataclass(frozen=True, slots=True)
class Expected:
    """The counterpart that was named for a key, who named it, and whether another record has it by now."""

    key: str
    why: Mapping[str, Any]
    taken: bool


def of(conn: Connection, pair_id: int, entity: str, side: str, keys: Sequence[str]) -> dict[str, Expected]:
    """The counterparts that are expected for these keys of a side."""
    if not keys:
        return {}
    there = "right" if side == "left" else "left"
    sql = f"""select e.{side}_key as mine, e.{there}_key as theirs, e.why, exists (
                  select from link l where l.pair_id = e.pair_id and l.entity = e.entity and l.state <> 'tombstone'
                  and l.{there}_key = e.{there}_key) as taken
              from expected_link e
              where e.pair_id = :pair_id and e.entity = :entity and e.{side}_key = any(cast(:keys as text[]))"""
    rows = conn.execute(text(sql), {"pair_id": pair_id, "entity": entity, "keys": list(keys)})
    return {str(r.mine): Expected(str(r.theirs), r.why, bool(r.taken)) for r in rows}


def keys(conn: Connection, pair_id: int, entity: str, side: str) -> set[str]:
    """All keys of a side whose Link is expected."""
    sql = f"select {side}_key from expected_link where pair_id = :pair_id and entity = :entity"
    return set(conn.execute(text(sql), {"pair_id": pair_id, "entity": entity}).scalars())


def stands(conn: Connection, pair_id: int, entity: str, left: str, right: str) -> list[Any]:
    """Live and expected Links of either record, as rows of left_key, right_key and `linked`.

    Locks out lanes of the pair that are about to link something, until the caller's transaction ends.
    """
    conn.execute(_CONFIRM, {"key": f"confirm:{pair_id}"})
    sql = """select left_key, right_key, true as linked from link
             where pair_id = :pair_id and entity = :entity and state <> 'tombstone'
               and (left_key = :left or right_key = :right)
             union all
             select left_key, right_key, false from expected_link
             where pair_id = :pair_id and entity = :entity and (left_key = :left or right_key = :right)"""
    given = {"pair_id": pair_id, "entity": entity, "left": left, "right": right}
    return list(conn.execute(text(sql), given))


def being_made(conn: Connection, pair_id: int, entity: str, left: str, right: str) -> bool:
    """Whether a counterpart of either record is being made at this moment, or may have been."""
    sql = """select exists (select from intent where pair_id = :pair_id and entity = :entity and action = 'create'
             and state = any(cast(:open as text[]))
             and ((side = 'right' and source_key = :left) or (side = 'left' and source_key = :right)))"""
    given = {"pair_id": pair_id, "entity": entity, "left": left, "right": right, "open": list(OPEN)}
    return bool(conn.execute(text(sql), given).scalar())


def add(conn: Connection, pair_id: int, entity: str, left: str, right: str, why: Mapping[str, Any]) -> None:
    """Expect a Link; the caller has made sure that neither record has one."""
    sql = """insert into expected_link (pair_id, entity, left_key, right_key, why)
             values (:pair_id, :entity, :left, :right, cast(:why as jsonb))"""
    given = {"pair_id": pair_id, "entity": entity, "left": left, "right": right, "why": as_json(dict(why))}
    conn.execute(text(sql), given)


def met(conn: Connection, pair_id: int, entity: str, left_keys: Sequence[str]) -> None:
    """Forget what was expected of records that are linked now."""
    sql = """delete from expected_link where pair_id = :pair_id and entity = :entity
             and left_key = any(cast(:keys as text[]))"""
    if left_keys:
        conn.execute(text(sql), {"pair_id": pair_id, "entity": entity, "keys": list(left_keys)})
