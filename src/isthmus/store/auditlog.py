"""Queries on the audit log: append what was changed, before and after, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from isthmus.model.card import mask_all, may_hold_card_number
from isthmus.store.rows import as_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the audit log; `why` names the Event, rule or person behind it."""

    action: str
    pair_id: int | None = None
    entity: str | None = None
    link_id: int | None = None
    side: str | None = None
    key: str | None = None
    actor: str = "system"
    why: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    intent_id: int | None = None
    change_set_id: int | None = None


_APPEND = text(
    f"""
    insert into audit ({", ".join(Entry.__slots__)})
    select {", ".join("r." + name for name in Entry.__slots__)}
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(action text, pair_id bigint, entity text, link_id bigint,
         side text, key text, actor text, why jsonb, before jsonb, after jsonb, intent_id bigint, change_set_id bigint)
    """
)


def append(conn: Connection, entries: Sequence[Entry]) -> None:
    """Append entries to the audit log in the caller's transaction."""
    if entries:
        rows = [{name: getattr(e, name) for name in Entry.__slots__} for e in entries]
        told = as_json(rows)
        conn.execute(_APPEND, {"rows": as_json(mask_all(rows)) if may_hold_card_number(told) else told})
