"""Held records that another one's progress sets free: they are looked at again without anybody asking."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from isthmus.store import changes, letters, links
from isthmus.sync.pair import EntityBinding


def dependants(conn: Connection, entity: EntityBinding, linked: Sequence[tuple[str, str]]) -> list[changes.NewEvent]:
    """Records that refer to one of these (side, key), which are linked now: held for it, or the very same records as
    another Entity, written without that reference.
    """
    if not linked:
        return []
    sql = text(
        """select entity, side, key from dead_letter where pair_id = :pair_id and state = 'open'
           and kind = 'DependencyMissing' and error -> 'facts' ->> 'needs' = any(cast(:needs as text[]))"""
    )
    needs = [f"{entity.name}:{side}:{key}" for side, key in linked]
    found = conn.execute(sql, {"pair_id": entity.pair_id, "needs": needs})
    held = [_event(entity, row.entity, row.side, row.key, "dependency") for row in found]
    return held + _extending(conn, entity, linked)


def _extending(conn: Connection, entity: EntityBinding, linked: Sequence[tuple[str, str]]) -> list[changes.NewEvent]:
    out: list[changes.NewEvent] = []
    for side, names in entity.extensions.items():
        keys = [key for at, key in linked if at == side]
        for name in names:
            found = links.linked_keys(conn, entity.pair_id, [name], side, keys)
            out.extend(_event(entity, name, side, key, "dependency") for key in sorted(found))
    return out


def just_linked(conn: Connection, entity: EntityBinding, held: Sequence[letters.NewLetter]) -> list[changes.NewEvent]:
    """Of the records held just now those that need one which another lane has linked in the meantime."""
    out = []
    for letter in held:
        needs = str(letter.error.get("facts", {}).get("needs") or "")
        if letter.error.get("kind") != "DependencyMissing" or not needs:
            continue
        needed, side, key = needs.split(":", 2)
        if links.by_keys(conn, entity.pair_id, needed, side, [key]):
            out.append(_event(entity, entity.name, letter.side, letter.key, "dependency"))
    return out


def rivals(conn: Connection, entity: EntityBinding, keys: Sequence[str]) -> list[changes.NewEvent]:
    """Records held because they could not be told from one of these, which are linked, gone or another one now."""
    found = letters.rivals_of(conn, entity.pair_id, entity.name, keys)
    return [_event(entity, entity.name, side, key, "rival") for side, key in found]


def _event(entity: EntityBinding, name: str, side: str, key: str, source: str) -> changes.NewEvent:
    return changes.NewEvent(pair_id=entity.pair_id, entity=name, side=side, key=key, source=source)
