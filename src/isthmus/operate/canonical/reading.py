"""Reading for clients: records as their system has them now, through the side's Mapping, page by page."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from isthmus.errors import InvalidRecord
from isthmus.operate.canonical.place import Standing, not_there, written_out
from isthmus.sdk.connector import ByKeys, ByValues, Everything, Record, Records
from isthmus.store import clients
from isthmus.sync.match import key_forms, key_value

MOST = 200
"""Records in one page."""
MOST_LOOKED_AT = 5_000
"""Records that are read for one page at most; a page may then hold fewer than asked for, and goes on behind them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a list is asked for. `keys` are match keys of the Entity with the value each has to have."""

    limit: int = 50
    cursor: str | None = None
    updated_since: datetime | None = None
    active: bool | None = None
    keys: Mapping[str, str] | None = None


async def one(at: Standing, key: str) -> tuple[Record, dict[str, Any]]:
    """A record by its key, in and out of the pair's scope alike; raises InvalidRecord when the system has none."""
    records = await _by_keys(at, [key])
    if key not in records:
        raise not_there(f"reading {at.name(key)} of {at.here.connection}", record=key, answered="it is not there")
    return records[key], (await _shown(at, [records[key]]))[0]


async def current(at: Standing, key: str) -> Record | None:
    """A record as it is now, or None."""
    return (await _by_keys(at, [key])).get(key)


async def missing(at: Standing, entity: str, keys: Iterable[str]) -> list[str] | None:
    """Which of these keys of another Entity the client's system does not have; None when the pair has no such one."""
    target = at.pair.entities.get(entity) or next(
        (e for e in at.pair.entities.values() if e.canonical.is_kind_of(entity)), None
    )
    if target is None:
        return None
    side, wanted = target.side(at.client.side), sorted(set(keys))
    found: set[str] = set()
    try:
        async for page in side.connector.read(side.entity, ByKeys(wanted), ()):
            found.update(record.key for record in page)
    except ValueError:
        return wanted  # keys that are none in that system at all
    return [key for key in wanted if key not in found]


async def page(at: Standing, wanted: Wanted) -> dict[str, Any]:
    """A page of records and the cursor behind it (`next`, null at the end)."""
    if wanted.keys:
        records = [r for r in await _by_match_keys(at, wanted.keys) if _fits(r, wanted)]
        return {"items": await _shown(at, records[: wanted.limit]), "next": None}
    records, following = await _walk(at, wanted)
    return {"items": await _shown(at, records), "next": following}


async def _walk(at: Standing, wanted: Wanted) -> tuple[list[Record], str | None]:
    """Records behind the cursor. A system that can go on neither behind a key nor at a page of its own is read again
    up to there. `first`, `last` and `passed` are those of its page in which we stopped.
    """
    begun = _opened(wanted.cursor) if wanted.cursor else {}
    out: list[Record] = []
    first, last, passed, looked = begun.get("first"), begun.get("last"), int(begun.get("passed", 0)), 0
    place = str(begun.get("page", ""))
    skipping: bool | None = None if begun else False
    skipped = 0
    here = at.here
    async for records in here.connector.read(here.entity, Everything(place or last), here.mapping.paths, here.scope):
        begins = records.begins if isinstance(records, Records) else ""
        for n, record in enumerate(records):
            if n == 0 and begins and begins != place and len(out) < wanted.limit and looked < MOST_LOOKED_AT:
                place, first, passed, skipping = begins, None, 0, False
            if skipping is None:
                skipping = record.key == first
            if skipping:
                skipped += 1
                skipping = record.key != last and skipped < passed
                continue
            if len(out) == wanted.limit or looked == MOST_LOOKED_AT:
                return out, _sealed({"first": first, "last": last, "passed": passed, "page": place})
            looked, passed, first, last = looked + 1, passed + 1, first or record.key, record.key
            if _fits(record, wanted):
                out.append(record)
    return out, None


def _fits(record: Record, wanted: Wanted) -> bool:
    if wanted.active is not None and record.active is not wanted.active:
        return False
    since = wanted.updated_since
    return since is None or (record.changed_at is not None and record.changed_at >= since)


async def _by_match_keys(at: Standing, keys: Mapping[str, str]) -> list[Record]:
    """Records whose match keys have these values, compared in their comparable form."""
    described = {key.field: key for key in at.entity.canonical.match}
    name = next(iter(keys))
    paths = at.here.mapping.key_paths
    if any(k not in described or k not in paths for k in keys):
        known = ", ".join(sorted(set(described) & set(paths))) or "none"
        raise InvalidRecord(
            f"looking for {at.resource} by {', '.join(keys)}",
            answered="records are not found by that here",
            hint=f"Filters are updated_since, active, and: {known}.",
            facts={"problems": [{"field": k, "message": f"no filter; {known}", "value": keys[k]} for k in keys]},
        )
    forms = sorted(key_forms(described[name], {name: keys[name]}))
    return await holding(at, name, forms, keys) if forms else []


async def holding(at: Standing, name: str, forms: Sequence[str], keys: Mapping[str, str]) -> list[Record]:
    """Records of the client's side whose match key `name` is one of `forms`, and that agree in all `keys`."""
    described = {key.field: key for key in at.entity.canonical.match}
    here = at.here
    selection = ByValues(here.mapping.key_paths[name], list(forms))
    out: dict[str, Record] = {}
    async for records in here.connector.read(here.entity, selection, here.mapping.paths, here.scope):
        for record in records:
            values = here.mapping.read(record.values).values
            if all(key_value(described[k], values) == key_value(described[k], {k: v}) for k, v in keys.items()):
                out[record.key] = record
    return list(out.values())


async def _by_keys(at: Standing, keys: Sequence[str]) -> dict[str, Record]:
    here = at.here
    out: dict[str, Record] = {}
    try:
        async for records in here.connector.read(here.entity, ByKeys(list(keys)), here.mapping.paths):
            out.update((record.key, record) for record in records)
    except ValueError:
        return {}  # a key that is none in that system at all
    return out


async def _shown(at: Standing, records: Sequence[Record]) -> list[dict[str, Any]]:
    named = await at.runtime.db.run(clients.references, at.client.id, at.entity.name, [r.key for r in records])
    return [written_out(r.key, at.here.mapping.read(r.values).values, r, named.get(r.key)) for r in records]


def _sealed(position: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _opened(cursor: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(found, dict) and isinstance(found["first"], str) and isinstance(found["last"], str):
            place = str(found.get("page", ""))
            return {"first": found["first"], "last": found["last"], "passed": int(found["passed"]), "page": place}
    except (ValueError, KeyError, TypeError):
        pass
    raise InvalidRecord(
        "reading a page",
        answered="the cursor is none of ours",
        hint="Give `cursor` exactly as `next` was answered, or leave it out to begin at the beginning.",
        facts={"problems": [{"field": "cursor", "message": "it is none of ours", "value": ""}]},
    )
