"""Queries on what waits for a person: dead letters and Conflicts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from isthmus.model.card import mask_all


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLetter:
    """A record that cannot pass: its error as `IsthmusError.as_dict`, and the values it had."""

    entity: str
    side: str
    key: str
    error: Mapping[str, Any]
    payload: Mapping[str, Any]
    link_id: int | None = None
    change_id: int | None = None


def fingerprint(error: Mapping[str, Any]) -> str:
    """The same for errors of the same cause: kind and words, with ids, numbers and quoted values taken out."""
    words = f"{error.get('kind')} {error.get('answered') or error.get('doing')}"
    shape = re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "#", words)
    return hashlib.sha256(shape.encode()).hexdigest()[:16]


_OPEN = text(
    """
    insert into dead_letter (pair_id, entity, side, key, link_id, change_id, kind, fingerprint, error, payload)
    select :pair_id, r.entity, r.side, r.key, r.link_id, r.change_id, r.kind, r.fingerprint, r.error, r.payload
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(entity text, side text, key text, link_id bigint,
         change_id bigint, kind text, fingerprint text, error jsonb, payload jsonb)
    on conflict (pair_id, entity, side, key) where state = 'open'
    do update set kind = excluded.kind, fingerprint = excluded.fingerprint, error = excluded.error,
      payload = excluded.payload, change_id = excluded.change_id, link_id = excluded.link_id,
      seen = dead_letter.seen + 1, last_at = now()
    """
)


def open_letters(conn: Connection, pair_id: int, letters: Sequence[NewLetter]) -> None:
    """Open dead letters; one record has at most one open, a repeat renews it."""
    if not letters:
        return
    latest = {(letter.entity, letter.side, letter.key): letter for letter in letters}
    rows = [
        {
            **{name: mask_all(getattr(letter, name)) for name in NewLetter.__slots__},
            "kind": letter.error.get("kind"),
            "fingerprint": fingerprint(letter.error),
        }
        for letter in latest.values()
    ]
    conn.execute(_OPEN, {"pair_id": pair_id, "rows": json.dumps(rows, default=str)})


_CLOSE = text(
    """
    update dead_letter d set state = 'closed', closed_at = now(), closed_by = :by
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(entity text, side text, key text)
    where d.pair_id = :pair_id and d.entity = r.entity and d.side = r.side and d.key = r.key and d.state = 'open'
    """
)


def close_letters(conn: Connection, pair_id: int, records: Sequence[tuple[str, str, str]], by: str) -> None:
    """Close the open dead letters of records (entity, side, key) that have passed since."""
    if records:
        rows = [{"entity": e, "side": s, "key": k} for e, s, k in records]
        conn.execute(_CLOSE, {"pair_id": pair_id, "rows": json.dumps(rows), "by": by})


_OVERRIDES = text(
    """
    select side, key, override from dead_letter
    where pair_id = :pair_id and entity = :entity and state = 'open' and override is not null
      and key = any(cast(:keys as text[]))
    """
)


def overrides(
    conn: Connection, pair_id: int, entity: str, keys: Sequence[str]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Canonical values a person has put in place of the record's own, by (side, key)."""
    if not keys:
        return {}
    found = conn.execute(_OVERRIDES, {"pair_id": pair_id, "entity": entity, "keys": list(keys)})
    return {(str(r.side), str(r.key)): dict(r.override) for r in found}


def holding(conn: Connection, pair_id: int, entity: str, side: str, field: str, values: Sequence[str]) -> set[str]:
    """Keys of held records of a side whose canonical field has one of these values, as they were when held."""
    sql = """select distinct key from dead_letter
             where pair_id = :pair_id and entity = :entity and state = 'open' and side = :side
               and payload -> cast(:side as text) ->> cast(:field as text) = any(cast(:values as text[]))"""
    given = {"pair_id": pair_id, "entity": entity, "side": side, "field": field, "values": list(values)}
    return {str(row.key) for row in conn.execute(text(sql), given)} if values else set()


def rivals(conn: Connection, pair_id: int, entity: str, side: str, keys: Sequence[str]) -> set[str]:
    """The records of either side that these held records could be the counterpart or a duplicate of."""
    sql = """select distinct jsonb_array_elements_text(error -> 'facts' -> 'rivals') as rival from dead_letter
             where pair_id = :pair_id and entity = :entity and side = :side and state = 'open' and kind = 'Ambiguous'
               and key = any(cast(:keys as text[])) and jsonb_typeof(error -> 'facts' -> 'rivals') = 'array'"""
    given = {"pair_id": pair_id, "entity": entity, "side": side, "keys": list(keys)}
    return {str(row.rival) for row in conn.execute(text(sql), given)} if keys else set()


def rivals_of(conn: Connection, pair_id: int, entity: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    """The held records (side, key) that could be the counterpart or a duplicate of one of these records."""
    sql = """select side, key from dead_letter where pair_id = :pair_id and entity = :entity and state = 'open'
             and kind = 'Ambiguous' and jsonb_exists_any(error -> 'facts' -> 'rivals', cast(:keys as text[]))"""
    given = {"pair_id": pair_id, "entity": entity, "keys": list(keys)}
    return [(str(row.side), str(row.key)) for row in conn.execute(text(sql), given)] if keys else []


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConflict:
    """A field both sides changed differently; values are encoded."""

    link_id: int
    field: str
    left_value: Any
    right_value: Any
    left_base: Any
    right_base: Any


_CONFLICT = text(
    """
    insert into conflict (pair_id, entity, link_id, field, left_value, right_value, left_base, right_base)
    select :pair_id, :entity, r.link_id, r.field, r.left_value, r.right_value, r.left_base, r.right_base
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(link_id bigint, field text, left_value jsonb,
         right_value jsonb, left_base jsonb, right_base jsonb)
    on conflict (link_id, field) where state <> 'closed'
    do update set left_value = excluded.left_value, right_value = excluded.right_value, state = 'open', choice = null
    """
)


def open_conflicts(conn: Connection, pair_id: int, entity: str, conflicts: Sequence[NewConflict]) -> None:
    """Open Conflicts, or renew the values of one that is open already."""
    if conflicts:
        rows = [{name: mask_all(getattr(c, name)) for name in NewConflict.__slots__} for c in conflicts]
        given = {"pair_id": pair_id, "entity": entity, "rows": json.dumps(rows, default=str)}
        conn.execute(_CONFLICT, given)


def close_conflicts(conn: Connection, still_open: Mapping[int, Sequence[str]]) -> None:
    """For each Link, close every Conflict whose field is not in its list any more."""
    if not still_open:
        return
    rows = [{"link_id": link, "fields": list(fields)} for link, fields in still_open.items()]
    sql = """update conflict c set state = 'closed', settled_at = now(), settled_by = coalesce(settled_by, 'agreement')
             from jsonb_to_recordset(cast(:rows as jsonb)) as r(link_id bigint, fields jsonb)
             where c.link_id = r.link_id and c.state <> 'closed' and not r.fields ? c.field"""
    conn.execute(text(sql.replace(" ? ", " operator(pg_catalog.?) ")), {"rows": json.dumps(rows)})


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person decided of one Conflict: the side that stands (None: not yet), and the other's value then."""

    winner: str | None
    given_up: Any


def choices(conn: Connection, link_ids: Sequence[int]) -> dict[int, dict[str, Choice]]:
    """Links with open Conflicts: Link → field → what a person has decided; values are encoded."""
    if not link_ids:
        return {}
    sql = """select link_id, field, choice, case choice when 'left' then right_value else left_value end as given_up
             from conflict where link_id = any(:ids) and state <> 'closed'"""
    out: dict[int, dict[str, Choice]] = {}
    for row in conn.execute(text(sql), {"ids": list(link_ids)}):
        out.setdefault(int(row.link_id), {})[str(row.field)] = Choice(row.choice, row.given_up)
    return out


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a person: (entity, side, key) of open dead letters, (Link id, field) of open Conflicts."""

    held: frozenset[tuple[str, str, str | None]]
    disputed: frozenset[tuple[int, str]]


def waiting(conn: Connection, pair_id: int) -> Waiting:
    """Everything of a pair that waits for a person now."""
    given = {"pair_id": pair_id}
    held = conn.execute(
        text("select entity, side, key from dead_letter where pair_id = :pair_id and state = 'open'"), given
    )
    disputed = conn.execute(
        text("select link_id, field from conflict where pair_id = :pair_id and state <> 'closed'"), given
    )
    return Waiting(
        frozenset((r.entity, r.side, r.key) for r in held), frozenset((int(r.link_id), r.field) for r in disputed)
    )
