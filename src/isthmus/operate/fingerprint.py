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


SUSPECT = "suspect"
"""What did not fit at the last look. It stands until a person corrects or accepts the system: a copy's own numbers
grow with every look at it, and would fit in the end.
"""


async def check_fingerprint(db: Database, row: Any, connector: Connector) -> None:
    """Compare what the system says of itself now with what it said last; keep the first, and whatever has grown.

    Raises Misconfigured when it is another system than the one that was linked.
    """
    told = await told_apart(db, row, connector)
    if told:
        raise Misconfigured(
            f"opening connection {row.name}",
            answered=told,
            hint=(
                "This is a copy or an older restore of the system that was linked. If that is meant, run "
                f"`isthmus connection accept {row.name}` and then a Sweep; otherwise correct the URL or database."
            ),
            facts={"before": dict(row.fingerprint)},
        )


async def told_apart(db: Database, row: Any, connector: Connector) -> str:
    """What tells the system from the one that was linked, in a sentence; nothing when it is the same."""
    before: Mapping[str, Any] | None = row.fingerprint
    if before is not None and before.get(SUSPECT):
        return str(before[SUSPECT])
    now = dict(await connector.fingerprint())
    if not now:
        return ""
    told = mismatch(before, now) if before is not None else ""
    if told:
        await db.run(connections.set_fingerprint, row.id, {**(before or {}), SUSPECT: told})
    elif before != now:
        await db.run(connections.set_fingerprint, row.id, now)
    return told


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
            return f"its highest {name} was {value} and is {grown[name]} now, so this is an older state"
    return ""
