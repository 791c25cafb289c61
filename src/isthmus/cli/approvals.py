"""`isthmus approvals`: what flows ask people."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.session import JSON, actor, grid, out, plain, print_rows, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="What flows ask people.")


@app.command("list")
def listing(
    state: str = typer.Option("open", "--state", help="open, decided or expired."), as_json: bool = JSON
) -> None:
    """List questions, oldest first."""
    from isthmus.operate import runs

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(runs.approvals, state)

    rows = run(work, as_json=as_json)
    if as_json:
        say_json(rows)
        return
    table = grid("number", "flow", "key", "question", "shown", "choices", "asked of", "until (UTC)")
    for row in rows:
        shown = ", ".join(f"{label}: {plain(value)}" for label, value in row["shown"].items())
        due = f"{row['due_at']:%Y-%m-%d %H:%M}" if row["due_at"] else ""
        table.add_row(
            str(row["id"]), row["flow"], row["key"], row["question"], shown, ", ".join(row["choices"]),
            row["asked_of"], due,
        )  # fmt: skip
    print_rows(table, "Nobody is asked anything." if state == "open" else f"No question is {state}.")


@app.command()
def decide(
    number: int = typer.Argument(help="The question."),
    choice: str = typer.Argument(help="One of its choices."),
    note: str = typer.Option("", "--note", help="Why; it is kept with the decision."),
    as_json: bool = JSON,
) -> None:
    """Answer a question; the flow goes on by that choice."""
    from isthmus.operate import runs

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(runs.decide, runtime.flows, number, choice, actor(), note)

    done = run(work, as_json=as_json)
    say_json(done) if as_json else out.print(f"Decided: {choice}.", highlight=False)
