"""The live feed of a running demo: every write of the product as it happens, many of one kind told as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from sqlalchemy import Connection, text

from isthmus.operate.runtime import Runtime

FEW = 5
"""So many writes of one kind are told one by one; more of them at once would push everything else off the screen."""
TURN_SECONDS = 0.5


class Write(Protocol):
    """One write of the product, as the audit log keeps it; `ms` runs from its Event to its end."""

    id: int
    action: str
    entity: str
    side: str
    key: str
    after: Mapping[str, Any] | None
    ms: float | None


async def watch(runtime: Runtime, pair_id: int, say: Callable[[str], None], stop: asyncio.Event) -> None:
    """Say every write of a pair as it happens, until `stop`."""
    newest = text("select coalesce(max(id), 0) from audit")
    last = await runtime.db.run(lambda conn: int(conn.execute(newest).scalar_one()))
    while not stop.is_set():
        rows = await runtime.db.run(_written_since, pair_id, last)
        last = max((int(row.id) for row in rows), default=last)
        for line in told(rows):
            say(line)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TURN_SECONDS)


def told(rows: Iterable[Write]) -> Iterator[str]:
    """Writes as lines: those of the same kind, to the same fields of the same side, in one where they are many."""
    kinds: dict[tuple[Any, ...], list[Write]] = {}
    for row in rows:
        kinds.setdefault((row.action, row.entity, row.side, *sorted(row.after or ())), []).append(row)
    for same in kinds.values():
        first = same[0]
        to = f"{first.action} in {'BNG' if first.side == 'right' else 'Odoo'}"
        if len(same) > FEW:
            yield f"{to}: {len(same):,} records of {first.entity}  {', '.join(first.after or ())}"[:160]
            continue
        for row in same:
            fields = ", ".join(f"{name} = {value}" for name, value in (row.after or {}).items())
            took = f" after {row.ms:.0f} ms" if row.ms is not None else ""
            yield f"{to}{took}: {row.entity} {row.side}:{row.key}  {fields[:120]}"


def _written_since(conn: Connection, pair_id: int, last: int) -> Sequence[Any]:
    sql = """select a.id, a.action, a.entity, a.side, a.key, a.after,
                    extract(epoch from i.ended_at - c.first_at) * 1000 as ms
             from audit a left join intent i on i.id = a.intent_id left join change c on c.id = i.change_id
             where a.pair_id = :pair and a.id > :last and a.action in ('create', 'update', 'delete')
             order by a.id limit 1000"""
    return conn.execute(text(sql), {"pair": pair_id, "last": last}).all()
