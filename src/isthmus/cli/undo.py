"""`isthmus undo`: take a change set back."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.session import JSON, actor, grid, out, print_rows, run, say_json

app = typer.Typer(add_completion=False)


@app.command()
def undo(
    pair: str = typer.Argument(help="The pair."),
    change_set: int = typer.Argument(0, help="Number of the change set; without it they are listed."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be written back."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do it without asking."),
    as_json: bool = JSON,
) -> None:
    """Write back what a change set replaced, except where somebody has edited since."""
    from isthmus.operate import undos

    if not change_set:

        async def listing(runtime: Any) -> Any:
            return await runtime.db.run(undos.change_sets, pair)

        rows = run(listing, as_json=as_json)
        if as_json:
            say_json(rows)
            return
        table = grid("number", "kind", "by", "writes", "state", "at (UTC)", "undoes")
        for row in rows:
            at = f"{row['created_at']:%Y-%m-%d %H:%M}"
            undoes = str(row["undoes"] or "")
            table.add_row(str(row["id"]), row["kind"], row["actor"], f"{row['writes']:,}", row["state"], at, undoes)
        print_rows(table, "Nothing has been written yet.")
        return

    async def dry(runtime: Any) -> Any:
        return await undos.undo(runtime, pair, change_set, actor=actor(), dry_run=True)

    async def wet(runtime: Any) -> Any:
        return await undos.undo(runtime, pair, change_set, actor=actor())

    if dry_run or not yes:
        would = run(dry, as_json=as_json)
        if as_json:
            say_json(would)
            return
        out.print(
            f"Would write back {len(would['writes']):,} records; {len(would['kept']):,} stay as they are.",
            highlight=False,
        )
        for kept in would["kept"][:20]:
            out.print(f"  kept {kept['side']} {kept['key']}: {kept['why']}", highlight=False)
        if dry_run or not typer.confirm("Write this back?"):
            return
    done = run(wet, as_json=as_json)
    if as_json:
        say_json(done)
    else:
        out.print(f"Undone: {done['undone']:,} writes; kept {len(done['kept']):,}.", highlight=False)
