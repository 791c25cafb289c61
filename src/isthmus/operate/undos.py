"""Undo as a verb: list change sets, show what an undo would write, and carry it out."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import Misconfigured
from isthmus.operate.busy import busy, refuse_halted
from isthmus.operate.runtime import Runtime
from isthmus.store import pairs
from isthmus.sync.settle import Context
from isthmus.sync.undo import Undoer, describe, entities_of


def change_sets(conn: Connection, name: str, limit: int = 50) -> list[dict[str, Any]]:
    """Change sets of a pair, newest first."""
    row = pairs.get(conn, name)
    return [dict(found._mapping) for found in pairs.change_sets(conn, row.id, limit)]


async def undo(runtime: Runtime, name: str, change_set_id: int, *, actor: str, dry_run: bool = False) -> dict[str, Any]:
    """Write back what a change set replaced, except where somebody has edited since; returns what was done.

    The undo is a change set of its own and can be undone in turn.
    """
    row = await runtime.db.run(pairs.get, name)
    refuse_halted(row, f"undoing change set {change_set_id}")
    await runtime.db.run(_belongs, row.id, change_set_id)
    _, pair = await runtime.pair(row.id)
    names = [e for e in await runtime.db.run(entities_of, change_set_id) if e in pair.entities]
    undoer = Undoer(runtime.db, runtime.clock, runtime.rng)
    out: dict[str, Any] = {"change_set": change_set_id, "writes": [], "kept": [], "undone": 0}
    if dry_run:
        for entity in names:
            told = describe(await undoer.plan(pair.entities[entity], change_set_id))
            out["writes"].extend(told["writes"])
            out["kept"].extend(told["kept"])
        return out
    own = await runtime.db.run(_new_set, row.id, change_set_id, actor)
    async with busy(runtime, row, names, f"undo of change set {change_set_id}") as leases:
        for entity in names:
            lease = leases[entity]
            context = Context(
                fence=lease.fence,
                epoch=lease.epoch,
                change_set_id=own,
                why={"source": f"undo of change set {change_set_id}", "actor": actor},
                guarded=False,
            )
            undoing = await undoer.plan(pair.entities[entity], change_set_id)
            told = describe(undoing)
            out["writes"].extend(told["writes"])
            out["kept"].extend(told["kept"])
            out["undone"] += (await undoer.carry_out(pair.entities[entity], undoing, context)).writes
    await runtime.db.run(pairs.close_change_set, own, {"undone": out["undone"], "kept": len(out["kept"])})
    out["own_change_set"] = own
    return out


def _belongs(conn: Connection, pair_id: int, change_set_id: int) -> None:
    sql = "select 1 from change_set where id = :id and pair_id = :pair"
    if conn.execute(text(sql), {"id": change_set_id, "pair": pair_id}).scalar() is None:
        raise Misconfigured(
            f"undoing change set {change_set_id}",
            answered="the pair has no change set with this number",
            hint="`isthmus undo PAIR --list` shows them.",
        )


def _new_set(conn: Connection, pair_id: int, undoes: int, actor: str) -> int:
    sql = "insert into change_set (pair_id, kind, actor, undoes) values (:pair, 'undo', :actor, :undoes) returning id"
    return int(conn.execute(text(sql), {"pair": pair_id, "actor": actor, "undoes": undoes}).scalar_one())
