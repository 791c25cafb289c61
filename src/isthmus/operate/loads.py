"""The initial load as a verb: predict for a person to look at, then commit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from isthmus.detect.poll import read_cursor, write_cursor
from isthmus.model.canonical import encode
from isthmus.model.policy import Side
from isthmus.operate.busy import busy, refuse_halted
from isthmus.operate.runtime import Progress, Runtime
from isthmus.sdk.together import together
from isthmus.store import pairs
from isthmus.sync.load import Loader, Prediction, figures, predict
from isthmus.sync.pair import PairRuntime
from isthmus.sync.settle import Context, Tally


@dataclass(slots=True)
class Load:
    """One initial load: its number, what it predicts, and what it did once committed."""

    id: int
    predictions: list[Prediction] = field(default_factory=list)
    figures: dict[str, dict[str, int]] = field(default_factory=dict)
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    change_set: int | None = None


async def stage(runtime: Runtime, name: str, progress: Progress, entities: Sequence[str] = ()) -> Load:
    """Read both sides and say what would happen to every record; writes nothing to either system."""
    row = await runtime.db.run(pairs.get, name)
    _, pair = await runtime.pair(row.id)
    loader = Loader(runtime.db, runtime.clock, runtime.rng)
    out = Load(id=await runtime.db.run(_new_load, row.id))
    for binding in _chosen(pair, entities):
        _, plans = await loader.look(binding, progress)
        out.predictions.extend(predict(binding, plans))
    out.figures = figures(out.predictions)
    await runtime.db.run(_store, out, "staged")
    return out


async def commit(
    runtime: Runtime, name: str, progress: Progress, entities: Sequence[str] = (), *, actor: str = "system"
) -> Load:
    """Load for real. Cursors are set before anything is read, so that no edit made meanwhile is missed.

    May be repeated at any time: what is linked and agrees already is left alone, what was interrupted is resolved.
    """
    row = await runtime.db.run(pairs.get, name)
    refuse_halted(row, f"loading pair {name}")
    _, pair = await runtime.pair(row.id)
    chosen = _chosen(pair, entities)
    loader = Loader(runtime.db, runtime.clock, runtime.rng)
    out = Load(id=await runtime.db.run(_new_load, row.id))
    out.change_set = await runtime.db.run(pairs.change_set, row.id, "load", actor)
    await start_cursors(runtime, pair)
    async with busy(runtime, row, [e.name for e in chosen], f"initial load {out.id}") as leases:
        for binding in chosen:
            lease = leases[binding.name]
            context = Context(
                fence=lease.fence,
                epoch=lease.epoch,
                change_set_id=out.change_set,
                why={"source": f"load {out.id}", "actor": actor},
                guarded=False,
            )
            await loader.settle_unknown(binding, context)
            found, tally = await loader.load(binding, context, progress)
            out.predictions.extend(found)
            out.done[binding.name] = _told(tally)
            out.figures = figures(out.predictions)
    await runtime.db.run(_store, out, "committed")
    await runtime.db.run(pairs.close_change_set, out.change_set, out.done)
    return out


async def start_cursors(runtime: Runtime, pair: PairRuntime) -> None:
    """Make sure that polling has a starting point no later than now, on both sides."""
    sides: tuple[Side, Side] = ("left", "right")

    async def start(side: Side, entity: str) -> None:
        if await runtime.db.run(read_cursor, pair.id, side, entity) is not None:
            return
        connector = pair.fan_out(side, entity)[0].side(side).connector
        async for page in connector.changes(entity, None):
            await runtime.db.run(write_cursor, pair.id, side, entity, page.cursor)

    names = {(side, e.side(side).entity) for side in sides for e in pair.entities.values()}
    await together(*(start(side, entity) for side, entity in sorted(names)))


def _chosen(pair: PairRuntime, entities: Sequence[str]) -> list[Any]:
    return [e for name, e in pair.entities.items() if not entities or name in entities]


def _told(tally: Tally) -> dict[str, Any]:
    kept = asdict(tally)
    return {
        name: kept[name]
        for name in ("created", "linked", "updated", "unchanged", "held", "conflicts", "writes", "kinds")
    }


def _new_load(conn: Connection, pair_id: int) -> int:
    sql = "insert into load (pair_id) values (:id) returning id"
    return int(conn.execute(text(sql), {"id": pair_id}).scalar_one())


def _store(conn: Connection, load: Load, state: str) -> None:
    sql = """update load set state = :state, figures = cast(:figures as jsonb), change_set_id = :set,
               committed_at = case when :state = 'committed' then now() end where id = :id"""
    given = {"id": load.id, "state": state, "figures": json.dumps(load.figures), "set": load.change_set}
    conn.execute(text(sql), given)
    if state != "staged":
        return
    rows = [
        {
            "load_id": load.id,
            "entity": p.entity,
            "side": p.side,
            "key": p.key,
            "record": {"name": p.name},
            "prediction": p.kind,
            "partner_key": p.partner,
            "detail": {"why": p.why, "writes": {side: encode(fields) for side, fields in p.writes.items()}},
        }
        for p in load.predictions
    ]
    insert = """insert into staged (load_id, entity, side, key, record, prediction, partner_key, detail)
                select load_id, entity, side, key, record, prediction, partner_key, detail
                from jsonb_to_recordset(cast(:rows as jsonb)) as r(load_id bigint, entity text, side text, key text,
                  record jsonb, prediction text, partner_key text, detail jsonb)"""
    for start in range(0, len(rows), 2000):
        conn.execute(text(insert), {"rows": json.dumps(rows[start : start + 2000], default=str)})
