"""Restored or copied systems: a Connection keeps a fingerprint, and a mismatch halts before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.errors import Misconfigured
from isthmus.sdk.connector import Connector
from isthmus.store import connections
from isthmus.store.database import Database

HIGHEST = "highest"
"""Fingerprint entries under this name are numbers that only ever grow; everything else has to stay equal."""


async def check_fingerprint(db: Database, row: Any, connector: Connector) -> None:
    """Compare what the system says of itself now with what it said last; keep the first, and whatever has grown."""
    now = dict(await connector.fingerprint())
    if not now:
        return
    before: Mapping[str, Any] | None = row.fingerprint
    if before is not None:
        told = mismatch(before, now)
        if told:
            raise Misconfigured(
                f"opening connection {row.name}",
                answered=told,
                hint=(
                    "This is a copy or an older restore of the system that was linked. If that is meant, run "
                    "`isthmus connection accept` and then a Sweep; otherwise correct the URL or database."
                ),
                facts={"before": dict(before), "now": now},
            )
    if before != now:
        await db.run(connections.set_fingerprint, row.id, now)


def mismatch(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """A sentence on what does not fit, or nothing."""
    for name, value in before.items():
        if name == HIGHEST or name not in now:
            continue
        if now[name] != value:
            return f"its {name} was {value} and is {now[name]} now"
    grown: Mapping[str, Any] = now.get(HIGHEST) or {}
    for name, value in (before.get(HIGHEST) or {}).items():
        if name in grown and grown[name] < value:
            return f"the highest number of {name} was {value} and is {grown[name]} now, so records were lost"
    return ""
