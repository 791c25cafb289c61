"""Which events a write causes, by the rules that stand with each entity."""

from __future__ import annotations

from .schema import Doc, Entity


def events_of(entity: Entity, doc: Doc, old: Doc | None) -> list[str]:
    """The full names of the events, the general one first; `old` is None for a new record."""
    verb = "create" if old is None else "update"
    out = []
    for name, rule in entity.events.items():
        if verb not in rule.on:
            continue
        if rule.changes and old is not None and all(doc[field] == old[field] for field in rule.changes):
            continue
        if rule.becomes and doc[rule.changes[0]] not in rule.becomes:
            continue
        out.append(f"{entity.name}.{name}")
    return out
