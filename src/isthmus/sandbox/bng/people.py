"""What people at BNG do behind the API's back: seed records in bulk, merge duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .errors import Problem, invalid
from .schema import Catalogue, Doc, Entity
from .service import Sandbox


def seed(sandbox: Sandbox, entity: Entity, records: Sequence[Any], *, quiet: bool) -> list[str]:
    """Store records, all or none; a record may bring its own id. Returns the ids in order."""
    out: list[str] = []
    before, sandbox.writer.quiet = sandbox.writer.quiet, quiet
    try:
        with sandbox.store.transaction():
            for record in records:
                key = record.get(entity.id) if isinstance(record, dict) else None
                if key is not None and not (isinstance(key, str) and 0 < len(key) <= 36):
                    raise invalid([Problem(entity.id, "WrongType", "must be a string of 1 to 36 characters")])
                if key is not None and sandbox.store.exists(entity.name, key):
                    raise invalid([Problem(entity.id, "Duplicate", f"there is a {entity.label} {key} already")])
                out.append(sandbox.writer.create(entity, record, origin="people", key=key).key)
    finally:
        sandbox.writer.quiet = before
    return out


def merge(sandbox: Sandbox, entity: Entity, survivor: str, losers: Sequence[str]) -> None:
    """Take the losers away and point what pointed to them to the survivor; its update tells."""
    store, writer = sandbox.store, sandbox.writer
    with store.transaction():
        kept = old = writer.current(entity, survivor)
        for loser in dict.fromkeys(losers):
            if loser == survivor:
                raise invalid([Problem("losers", "SelfReference", "a record cannot be merged into itself")])
            writer.current(entity, loser)
            store.delete(entity.name, loser)
            store.keep_merged(entity.name, loser, survivor)
            kept = _repointed(sandbox.catalogue, entity.fields, kept, entity.name, loser, None)
            for other in sandbox.catalogue.roots:
                for doc in store.docs_holding(other.name, loser):
                    changed = _repointed(sandbox.catalogue, other.fields, doc, entity.name, loser, survivor)
                    if changed != doc and doc[other.id] != survivor:
                        writer.rewrite(other.name, doc, changed)
        writer.rewrite(entity.name, old, kept)


def _repointed(known: Catalogue, fields: Any, doc: Doc, target: str, loser: str, survivor: str | None) -> Doc:
    """The document with every reference to the loser turned to the survivor."""
    out = dict(doc)
    for field in fields.values():
        value = out.get(field.name)
        if field.ref == target and value == loser:
            out[field.name] = survivor
        elif field.type == "list" and field.of != "string" and value:
            inner = known.fields_of(str(field.of))
            out[field.name] = [_repointed(known, inner, item, target, loser, survivor) for item in value]
    return out
