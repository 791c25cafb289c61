"""`isthmus load`: predict, show, ask, commit."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Table

from isthmus.cli.session import JSON, Bars, out, run, say_json

app = typer.Typer(add_completion=False)


@app.command()
def load(
    pair: str = typer.Argument(help="The pair to load."),
    entity: list[str] = typer.Option([], "--entity", help="Only this entity; may be given several times."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Commit without asking."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only predict; write nothing."),
    show: str = typer.Option("hold,conflict", "--show", help="Kinds of prediction to list one by one."),
    as_json: bool = JSON,
) -> None:
    """Read both sides, predict what would happen to every record, then do it.

    Nothing is written before you agree. The load can be interrupted and repeated at any time.
    """
    from isthmus.operate import loads

    async def predict(runtime: Any) -> Any:
        with Bars(quiet=as_json) as bars:
            return await loads.stage(runtime, pair, bars, entity)

    async def commit(runtime: Any) -> Any:
        with Bars(quiet=as_json) as bars:
            return await loads.commit(runtime, pair, bars, entity)

    if not yes:
        staged = run(predict, as_json=as_json)
        if as_json:
            say_json({"load": staged.id, "predicted": staged.figures, "records": _rows(staged, show)})
        else:
            _show(staged, show)
        if dry_run or as_json or not typer.confirm("Write this to both systems?"):
            return
    done = run(commit, as_json=as_json)
    if as_json:
        say_json({"load": done.id, "predicted": done.figures, "done": done.done, "change_set": done.change_set})
        return
    table = Table("entity", "created", "linked", "updated", "held", "conflicts", title=f"Load {done.id} of {pair}")
    for name, told in done.done.items():
        table.add_row(name, *(f"{told[k]:,}" for k in ("created", "linked", "updated", "held", "conflicts")))
    out.print(table)
    out.print(f"Undo it with: isthmus undo {pair} {done.change_set}", highlight=False)


def _rows(staged: Any, show: str) -> list[dict[str, Any]]:
    kinds = {k.strip() for k in show.split(",")}
    return [
        {"entity": p.entity, "side": p.side, "key": p.key, "name": p.name, "kind": p.kind, "why": p.why}
        for p in staged.predictions
        if p.kind in kinds
    ]


def _show(staged: Any, show: str) -> None:
    kinds = sorted({kind for told in staged.figures.values() for kind in told})
    table = Table("entity", *kinds, title="What would happen")
    for name, told in staged.figures.items():
        table.add_row(name, *(f"{told.get(kind, 0):,}" for kind in kinds))
    out.print(table)
    rows = _rows(staged, show)
    if rows:
        held = Table("entity", "record", "name", "what", "why", title="To look at")
        for row in rows[:40]:
            held.add_row(row["entity"], f"{row['side']}:{row['key']}", row["name"], row["kind"], row["why"])
        out.print(held)
        if len(rows) > 40:
            out.print(f"… and {len(rows) - 40:,} more; --json lists them all.", highlight=False)
