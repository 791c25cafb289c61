"""Intake: fans hints out to (pair, entity, root record) and makes them durable before anybody is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from isthmus.model.policy import Side
from isthmus.sdk.connector import Hint
from isthmus.store import changes, links
from isthmus.sync.pair import EntityBinding, PairRuntime

Wake = Callable[[Connection, int, str], None]
"""Wakes the lane of (pair id, entity) inside the caller's transaction."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What intake did: Events stored, how many joined a Change that was open already, how many were our own echo."""

    events: int = 0
    coalesced: int = 0
    echoes: int = 0


def accept(
    conn: Connection,
    pair: PairRuntime,
    side: Side,
    hints: Sequence[Hint],
    *,
    source: str,
    wake: Wake,
    delivery_id: int | None = None,
) -> Accepted:
    """Store the Events of these hints, one Change per (entity, record), and wake the lanes concerned."""
    events: list[changes.NewEvent] = []
    echoes = 0
    for system_entity in sorted({h.entity for h in hints}):
        group = [h for h in hints if h.entity == system_entity]
        bindings = pair.fan_out(side, system_entity)
        picked = _reserved(conn, pair, side, bindings, [h.key for h in group])
        for binding in bindings:
            # What a won lead became is a customer like any other: an Entity that extends this one reserves nothing.
            reserved = {b.name: picked[b.name] for b in bindings if b.name in picked and _apart(binding, b)}
            agreed = _agreed(conn, pair, binding, side, [h.key for h in group])
            mine = [h for h in group if _concerns(binding, side, h.key, reserved, agreed)]
            known = _known_versions(conn, binding, side, mine)
            for hint in mine:
                if not hint.gone and hint.version is not None and known.get(hint.key) == hint.version:
                    echoes += 1
                    continue
                events.append(
                    changes.NewEvent(
                        pair_id=pair.id,
                        entity=binding.name,
                        side=side,
                        key=hint.key,
                        source=source,
                        occurred_at=hint.occurred_at,
                        delivery_id=delivery_id,
                    )
                )
    stored, coalesced = changes.accept(conn, events)
    for name in sorted({e.entity for e in events}):
        wake(conn, pair.id, name)
    return Accepted(stored, coalesced, echoes)


def _reserved(
    conn: Connection, pair: PairRuntime, side: Side, bindings: Iterable[EntityBinding], keys: Sequence[str]
) -> dict[str, set[str]]:
    """Keys that belong to an Entity which only takes linked records; no sibling Entity may adopt those."""
    picky = [b for b in bindings if b.side(side).adopt == "linked"]
    return {b.name: links.linked_keys(conn, pair.id, [b.name], side, keys) for b in picky}


def _apart(binding: EntityBinding, sibling: EntityBinding) -> bool:
    return sibling.canonical.extends is None or sibling.canonical.extends != binding.name


def _concerns(
    binding: EntityBinding, side: Side, key: str, reserved: dict[str, set[str]], agreed: set[str] | None
) -> bool:
    if binding.side(side).adopt == "linked":
        return key in reserved[binding.name]
    if agreed is not None and key not in agreed:
        return False
    return not any(key in keys for keys in reserved.values())


def _agreed(
    conn: Connection, pair: PairRuntime, binding: EntityBinding, side: Side, keys: Sequence[str]
) -> set[str] | None:
    """Of an Entity whose new records have to be asked for: the keys that are linked already; None for any other."""
    if binding.side(side).adopt != "asked":
        return None
    return links.linked_keys(conn, pair.id, [binding.name], side, keys)


def _known_versions(
    conn: Connection, binding: EntityBinding, side: Side, hints: Sequence[Hint]
) -> dict[str, str | None]:
    """The version each linked record had when we last agreed, where equal versions mean equal content."""
    if not binding.side(side).connector.traits.exact_versions:
        return {}
    rows = links.by_keys(conn, binding.pair_id, binding.name, side, [h.key for h in hints if h.version is not None])
    return {key: getattr(row, f"{side}_version") for key, row in rows.items()}
