"""`isthmus load`: predict, show, ask, commit."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.predictions import rows, show_causes, show_figures
from isthmus.cli.session import JSON, Bars, actor, grid, out, run, say_json

app = typer.Typer(add_completion=False)


@app.command()
def load(
    pair: str = typer.Argument(help="The pair to load."),
    entity: list[str] = typer.Option([], "--entity", help="Only this entity; may be given several times."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Commit without asking."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only predict; write nothing."),
    show: str = typer.Option("hold,conflict", "--show", help="Kinds of prediction to look at."),
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
            return await loads.commit(runtime, pair, bars, entity, actor=actor())

    if not yes:
        staged = run(predict, as_json=as_json)
        found = rows(staged.predictions, {kind.strip() for kind in show.split(",")})
        if as_json:
            say_json({"load": staged.id, "predicted": staged.figures, "records": found})
        else:
            show_figures(staged.figures, "What would happen")
            show_causes(found)
        if dry_run or as_json or not typer.confirm("Write this to both systems?"):
            return
    done = run(commit, as_json=as_json)
    if as_json:
        say_json({"load": done.id, "predicted": done.figures, "done": done.done, "change_set": done.change_set})
        return
    title = f"Load {done.id} of {pair}"
    columns = ("created", "linked", "updated", "held", "conflicts")
    table = grid("entity", *columns, title=title)
    for name, told in done.done.items():
        table.add_row(name, *(f"{told[k]:,}" for k in columns))
    out.print(table)
    if any(told["held"] for told in done.done.values()):
        out.print(f"What is held waits for you: isthmus deadletters list {pair}", highlight=False)
    out.print(f"Undo it with: isthmus undo {pair} {done.change_set}", highlight=False)
