"""`isthmus run`: what flows did and do, item by item."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.session import JSON, actor, grid, out, plain, print_rows, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="What flows did and do, item by item.")

_NUMBER = typer.Argument(help="The Run.")


@app.command("list")
def listing(
    flow: str = typer.Argument("", help="The flow; without it, all of them."),
    state: str = typer.Option("", "--state", help="active, held, done or cancelled."),
    key: str = typer.Option("", "--key", help="Only Runs of this business key."),
    limit: int = typer.Option(50, "--limit", help="At most this many."),
    as_json: bool = JSON,
) -> None:
    """List Runs, newest first, with where their items stand."""
    from isthmus.operate import runs

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(runs.listing, flow=flow, state=state, key=key, limit=limit)

    rows = run(work, as_json=as_json)
    if as_json:
        say_json(rows)
        return
    table = grid("run", "flow", "version", "key", "state", "stands at", "begun (UTC)")
    for row in rows:
        begun = f"{row['started_at']:%Y-%m-%d %H:%M:%S}"
        table.add_row(
            str(row["id"]), row["flow"], str(row["version"]), row["key"], row["state"], ", ".join(row["at"]), begun
        )
    print_rows(table, "No Run.")


@app.command()
def show(number: int = _NUMBER, as_json: bool = JSON) -> None:
    """Show the path of each item through each node, with input, output and time."""
    from isthmus.operate import runs

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(runs.show, number)

    told = run(work, as_json=as_json)
    if as_json:
        say_json(told)
        return
    out.print(f"[bold]Run {number}[/] of {told['flow']} version {told['version']}, key {told['key']}: {told['state']}")
    table = grid("step", "item", "node", "outcome", "port", "saw", "gave", "ms")
    for step in told["steps"]:
        error = step["error"] or {}
        gave = error.get("answered") or error.get("doing") if step["outcome"] in ("held", "again") else step["output"]
        table.add_row(
            str(step["id"]), str(step["item_id"]), step["node"], step["outcome"], step["port"] or "",
            plain(step["input"]), plain(gave), f"{step['ms']:.1f}",
        )  # fmt: skip
    print_rows(table, "No step yet.")
    table = grid("item", "key", "stands at", "state", "due (UTC)")
    for item in told["items"]:
        due = f"{item['due_at']:%Y-%m-%d %H:%M:%S}" if item["due_at"] and item["state"] in ("ready", "waiting") else ""
        table.add_row(str(item["id"]), item["key"], item["node"], item["state"], due)
    print_rows(table, "No item.")


@app.command()
def cancel(
    number: int = _NUMBER,
    why: str = typer.Option("", "--why", help="The reason, for the audit log."),
    as_json: bool = JSON,
) -> None:
    """Stop a Run; what has taken place outside stays."""
    from isthmus.operate import runs

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(runs.cancel, runtime.flows, number, actor(), why)

    done = run(work, as_json=as_json)
    say_json(done) if as_json else out.print(f"Run {number} is cancelled.", highlight=False)


@app.command()
def resume(number: int = _NUMBER, as_json: bool = JSON) -> None:
    """Try again at once whatever is held or waits for its next try in a Run."""
    from isthmus.operate import runs

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(runs.resume, runtime.flows, number, actor())

    done = run(work, as_json=as_json)
    say_json(done) if as_json else out.print(f"Retried {done['retried']}, hurried {done['hurried']}.", highlight=False)


@app.command()
def replay(
    step: int = typer.Argument(help="The step, as `run show` numbers it."),
    latest: bool = typer.Option(False, "--latest", help="With the published version, not the Run's own."),
    as_json: bool = JSON,
) -> None:
    """Begin a new Run at a step, with what that step saw."""
    from isthmus.operate import runs

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(runs.replay, runtime.flows, step, actor(), latest=latest)

    number = run(work, as_json=as_json)
    say_json({"run": number}) if as_json else out.print(f"Run {number} begins there.", highlight=False)


@app.command()
def signal(
    event: str = typer.Argument(help="The name of the Event."),
    key: str = typer.Argument(help="Its correlation key."),
    data: str = typer.Option("{}", "--data", help="What it says, as JSON."),
    as_json: bool = JSON,
) -> None:
    """Tell an Event that items may wait for."""
    from isthmus.cli.flow import _json
    from isthmus.operate import runs

    told = _json(data)

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(runs.signal, runtime.flows, event, key, told)

    woken = run(work, as_json=as_json)
    say_json({"woken": woken}) if as_json else out.print(f"Woke {woken} items.", highlight=False)
