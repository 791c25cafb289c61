"""The Sweep and the re-sync as verbs: compare everything or a part of it, then have the lanes look again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import Misconfigured
from isthmus.model.policy import Side
from isthmus.operate.runtime import Progress, Runtime
from isthmus.store import changes, letters, pairs
from isthmus.sync.load import Loader, Prediction, figures, predict
from isthmus.sync.sweep import Consistency, compare, repairs
from isthmus.sync.work import Item

SHOWN = 500
"""Differences kept with a report; the counts by cause are always complete."""


@dataclass(slots=True)
class SweepReport:
    """What a Sweep found, per Entity and as one figure, and how many records it had looked at again."""

    id: int
    pair: str
    figure: float
    records: int
    compared: int
    agreed: int
    entities: dict[str, dict[str, Any]] = field(default_factory=dict)
    differences: list[dict[str, Any]] = field(default_factory=list)
    repairing: int = 0


async def sweep(runtime: Runtime, name: str, progress: Progress, *, repair: bool = True) -> SweepReport:
    """Compare every Link and both sets of records; what differs is looked at again by its lane."""
    row = await runtime.db.run(pairs.get, name)
    _, pair = await runtime.pair(row.id)
    loader = Loader(runtime.db, runtime.clock, runtime.rng)
    out = SweepReport(id=0, pair=name, figure=1.0, records=0, compared=0, agreed=0)
    again: list[changes.NewEvent] = []
    waiting = await runtime.db.run(letters.waiting, row.id)
    for binding in pair.entities.values():
        _, plans = await loader.look(binding, progress)
        found = compare(binding, plans)
        out.entities[binding.name] = _figures(found)
        out.records, out.compared, out.agreed = (
            out.records + found.records,
            out.compared + found.compared,
            out.agreed + found.agreed,
        )
        out.differences.extend(asdict(d) for d in found.differences[: max(0, SHOWN - len(out.differences))])
        again.extend(repairs(binding, plans, waiting))
    out.figure = out.agreed / out.compared if out.compared else 1.0
    out.repairing = len(again) if repair else 0
    if repair:
        await _look_again(runtime, row.id, again)
    out.id = await runtime.db.run(_store, row.id, out)
    return out


def _figures(found: Consistency) -> dict[str, Any]:
    return {
        "figure": found.figure,
        "records": found.records,
        "compared": found.compared,
        "agreed": found.agreed,
        "causes": dict(found.causes),
    }


@dataclass(slots=True)
class Resync:
    """What a re-sync would do, or asked the lanes to do."""

    predictions: list[Prediction]
    figures: dict[str, dict[str, int]]
    events: int = 0


async def resync(
    runtime: Runtime,
    name: str,
    progress: Progress,
    *,
    entities: Sequence[str] = (),
    records: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    dry_run: bool = False,
) -> Resync:
    """Look again at chosen records: by key (`left:42`, `right:C-7`, `42`), by when they last changed, or at all.

    With `dry_run` nothing is written anywhere; the answer says what would be.
    """
    row = await runtime.db.run(pairs.get, name)
    _, pair = await runtime.pair(row.id)
    unknown = sorted(set(entities) - set(pair.entities))
    if unknown:
        raise Misconfigured(
            f"re-syncing {', '.join(unknown)} of pair {name}",
            answered="the pair has no such entity",
            hint=f"It has: {', '.join(pair.entities)}.",
        )
    loader = Loader(runtime.db, runtime.clock, runtime.rng)
    keep = _filter(records, since, until)
    out = Resync([], {})
    for binding in pair.entities.values():
        if entities and binding.name not in entities:
            continue
        _, plans = await loader.look(binding, progress, keep)
        out.predictions.extend(predict(binding, plans))
        if not dry_run:
            events = [_event(row.id, binding.name, p.item, "manual") for p in plans]
            out.events += len(events)
            await _look_again(runtime, row.id, events)
    out.figures = figures(out.predictions)
    return out


def _filter(records: Sequence[str], since: datetime | None, until: datetime | None) -> Callable[[Item], bool] | None:
    if not records and since is None and until is None:
        return None
    wanted = {tuple(r.split(":", 1)) if r.startswith(("left:", "right:")) else ("", r) for r in records}

    def keep(item: Item) -> bool:
        sides: tuple[Side, Side] = ("left", "right")
        if wanted and not any((s, item.seen(s).key) in wanted or ("", item.seen(s).key) in wanted for s in sides):
            return False
        moments = [r.changed_at for s in sides if (r := item.seen(s).record) is not None and r.changed_at is not None]
        if since is not None and not any(m >= since for m in moments):
            return False
        return until is None or any(m < until for m in moments)

    return keep


def _event(pair_id: int, entity: str, item: Item, source: str) -> changes.NewEvent:
    key = item.seen(item.origin).key or ""
    return changes.NewEvent(pair_id=pair_id, entity=entity, side=item.origin, key=key, source=source)


async def _look_again(runtime: Runtime, pair_id: int, events: Sequence[changes.NewEvent]) -> None:
    def work(conn: Connection) -> None:
        changes.accept(conn, events)
        for entity in sorted({e.entity for e in events}):
            runtime.wake(conn, pair_id, entity)

    if events:
        await runtime.db.run(work)
        runtime.nudge_pair(pair_id)


def _store(conn: Connection, pair_id: int, report: SweepReport) -> int:
    figures_ = {k: v for k, v in asdict(report).items() if k not in ("differences", "id")}
    sql = """insert into report (pair_id, kind, figures, differences, ended_at)
             values (:pair, 'sweep', cast(:figures as jsonb), cast(:differences as jsonb), now()) returning id"""
    given = {
        "pair": pair_id,
        "figures": json.dumps(figures_, default=str),
        "differences": json.dumps(report.differences, default=str),
    }
    return int(conn.execute(text(sql), given).scalar_one())
