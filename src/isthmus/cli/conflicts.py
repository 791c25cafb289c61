"""`isthmus conflicts`: fields both sides changed."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.session import JSON, actor, grid, out, plain, print_rows, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Fields both sides changed differently.")


@app.command("list")
def listing(pair: str = typer.Argument(help="The pair."), as_json: bool = JSON) -> None:
    """List open Conflicts with both values."""
    from isthmus.operate import conflicts
    from isthmus.store import pairs

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(lambda conn: conflicts.listing(conn, pairs.get(conn, pair).id))

    rows = run(work, as_json=as_json)
    if as_json:
        say_json(rows)
        return
    table = grid("number", "entity", "left", "right", "field", "left says", "right says", "both had")
    for row in rows:
        values = (plain(row[k]) for k in ("left_value", "right_value", "left_base"))
        table.add_row(str(row["id"]), row["entity"], row["left_key"], row["right_key"], row["field"], *values)
    print_rows(table, "No open Conflict.")


@app.command()
def show(number: int = typer.Argument(help="The Conflict."), as_json: bool = JSON) -> None:
    """Show one whole: what each side says, what both had last agreed on, and how to settle it."""
    from isthmus.operate import conflicts

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(conflicts.show, number)

    row = run(work, as_json=as_json)
    if as_json:
        say_json(row)
        return
    out.print(f"[bold]{row['entity']} {row['field']}[/] of left {row['left_key']}, right {row['right_key']}")
    table = grid("", "left", "right")
    table.add_row("had", plain(row["left_base"]), plain(row["right_base"]))
    table.add_row("says now", plain(row["left_value"]), plain(row["right_value"]))
    out.print(table)
    since = f"{row['opened_at']:%Y-%m-%d %H:%M} UTC"
    if row["state"] == "open":
        out.print(f"Open since {since}. Settle it: isthmus conflicts settle left|right {number}", highlight=False)
    else:
        out.print(f"Opened {since}; {row['state']}, by {row['settled_by'] or 'nobody yet'}.", highlight=False)


@app.command()
def settle(
    winner: str = typer.Argument(help="Whose value stands: left or right."),
    number: list[int] = typer.Argument(None, help="Conflicts by number."),
    pair: str = typer.Option("", "--all-of", help="All open Conflicts of this pair alike."),
    field: str = typer.Option("", "--field", help="With --all-of: only this field."),
    as_json: bool = JSON,
) -> None:
    """Choose whose value stands; it is written at once."""
    from isthmus.operate import conflicts

    if winner not in ("left", "right"):
        raise typer.BadParameter("say left or right")
    if not number and not pair:
        raise typer.BadParameter("name Conflicts by number, or give --all-of PAIR")

    async def work(runtime: Any) -> int:
        def choose(conn: Any) -> int:
            ids = conflicts.chosen(conn, number or [], pair, field)
            side: Any = winner
            return conflicts.settle(conn, ids, side, runtime.wake, actor())

        return int(await runtime.db.run(choose))

    done = run(work, as_json=as_json)
    say_json({"settled": done}) if as_json else out.print(f"Settled {done:,}: the {winner} value is written.")
