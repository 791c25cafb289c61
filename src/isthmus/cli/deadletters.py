"""`isthmus deadletters`: what needs a person."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.markup import escape

from isthmus.cli.session import JSON, actor, grid, out, plain, print_rows, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Records that cannot pass without a person.")


@app.command("list")
def listing(
    pair: str = typer.Argument("", help="The pair; without it, all of them."),
    kind: str = typer.Option("", "--kind", help="Only this kind of error."),
    entity: str = typer.Option("", "--entity", help="Only this entity."),
    state: str = typer.Option("open", "--state", help="open, closed or discarded."),
    limit: int = typer.Option(100, "--limit", help="At most this many."),
    as_json: bool = JSON,
) -> None:
    """List dead letters, newest first."""
    from isthmus.operate import deadletters
    from isthmus.store import pairs

    async def work(runtime: Any) -> Any:
        def read(conn: Any) -> Any:
            pair_id = pairs.get(conn, pair).id if pair else None
            return deadletters.listing(
                conn, pair_id, state=state, kind=kind or None, entity=entity or None, limit=limit
            )

        return await runtime.db.run(read)

    rows = run(work, as_json=as_json)
    if as_json:
        say_json(rows)
        return
    table = grid("number", "entity", "record", "kind", "what happened", "since (UTC)", "seen")
    for row in rows:
        said = escape(str(row["error"].get("answered") or row["error"].get("doing")))
        since = f"{row['opened_at']:%Y-%m-%d %H:%M}"
        record = f"{row['side']}:{row['key']}"
        table.add_row(str(row["id"]), row["entity"], record, row["kind"], said, since, str(row["seen"]))
    for name in (0, 3, 5):
        table.columns[name].no_wrap = True
    print_rows(table, f"No dead letter is {state}." if state != "open" else "Nothing waits for a person.")


@app.command()
def show(number: int = typer.Argument(help="The dead letter."), as_json: bool = JSON) -> None:
    """Show one whole: error, next step, and the record's values on both sides."""
    from isthmus.operate import deadletters

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(deadletters.show, number)

    row = run(work, as_json=as_json)
    if as_json:
        say_json(row)
        return
    error = row["error"]
    out.print(f"[bold]{row['kind']}[/] {row['entity']} {row['side']}:{row['key']}", highlight=False)
    for name, said in (("doing", "doing"), ("answered", "answered"), ("next", "hint")):
        if error.get(said):
            out.print(f"  {name:<9}{error[said]}", highlight=False, markup=False)
    out.print(
        f"  state {row['state']}, seen {row['seen']} times since {row['opened_at']:%Y-%m-%d %H:%M} UTC", highlight=False
    )
    table = grid("field", *row["payload"])
    for name in sorted({f for values in row["payload"].values() for f in values}):
        table.add_row(name, *(plain(values.get(name)) for values in row["payload"].values()))
    out.print(table)
    if row["override"]:
        told = ", ".join(f"{field} = {plain(value)}" for field, value in row["override"].items())
        out.print(f"Next try with: {told}", highlight=False)
    if row["state"] == "open":
        out.print(f"isthmus deadletters edit {number} --set FIELD=VALUE, retry {number}, or discard {number}")


@app.command()
def edit(
    number: int = typer.Argument(help="The dead letter."),
    set_: list[str] = typer.Option(..., "--set", help="field=value, in canonical terms; JSON or plain text."),
    retry: bool = typer.Option(True, "--retry/--no-retry", help="Try again at once."),
    as_json: bool = JSON,
) -> None:
    """Put values in place of the record's own for the next try."""
    from isthmus.operate import deadletters

    fields = dict(_assignment(text) for text in set_)

    async def work(runtime: Any) -> Any:
        def change(conn: Any) -> Any:
            edited = deadletters.edit(conn, number, fields, actor())
            if retry:
                deadletters.retry(conn, [number], runtime.wake, actor(), runtime.flows)
            return edited

        return await runtime.db.run(change)

    row = run(work, as_json=as_json)
    say_json(row) if as_json else out.print(f"Dead letter {number} will be tried with {fields}.", highlight=False)


def _assignment(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found:
        raise typer.BadParameter(f"{text!r} is not field=value")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


@app.command("retry")
def retry_(
    number: list[int] = typer.Argument(None, help="Dead letters by number."),
    pair: str = typer.Option("", "--all-of", help="All open ones of this pair or flow."),
    kind: str = typer.Option("", "--kind", help="With --all-of: only this kind."),
    as_json: bool = JSON,
) -> None:
    """Look at these records again; a dead letter closes by itself when its record passes."""
    _on_many(number, pair, kind, as_json, "retried")


@app.command()
def discard(
    number: list[int] = typer.Argument(None, help="Dead letters by number."),
    pair: str = typer.Option("", "--all-of", help="All open ones of this pair or flow."),
    kind: str = typer.Option("", "--kind", help="With --all-of: only this kind."),
    why: str = typer.Option("", "--why", help="The reason, for the audit log."),
    as_json: bool = JSON,
) -> None:
    """Close dead letters without passing their records; both sides stay as they are."""
    _on_many(number, pair, kind, as_json, "discarded", why)


def _on_many(number: list[int] | None, pair: str, kind: str, as_json: bool, verb: str, why: str = "") -> None:
    from isthmus.operate import deadletters

    if not number and not pair:
        raise typer.BadParameter("name dead letters by number, or give --all-of PAIR")

    async def work(runtime: Any) -> int:
        def change(conn: Any) -> int:
            ids = deadletters.chosen(conn, number or [], pair, kind)
            if verb == "retried":
                return deadletters.retry(conn, ids, runtime.wake, actor(), runtime.flows)
            return deadletters.discard(conn, ids, actor(), why, runtime.flows)

        return int(await runtime.db.run(change))

    done = run(work, as_json=as_json)
    say_json({verb: done}) if as_json else out.print(f"{done:,} {verb}.", highlight=False)
