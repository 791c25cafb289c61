"""`isthmus sync`: look again at chosen records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import typer

from isthmus.cli.predictions import KINDS, rows, show_figures, show_records
from isthmus.cli.session import JSON, Bars, run, say_json

app = typer.Typer(add_completion=False)


@app.command()
def sync(
    pair: str = typer.Argument(help="The pair."),
    record: list[str] = typer.Argument(None, help="Keys: 42, left:42 or right:C-7."),
    entity: list[str] = typer.Option([], "--entity", help="Only this entity; may be given several times."),
    all_: bool = typer.Option(False, "--all", help="Every record in scope on both sides."),
    since: datetime = typer.Option(None, "--since", help="Changed at or after this moment (UTC)."),
    until: datetime = typer.Option(None, "--until", help="Changed before this moment (UTC)."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would happen."),
    as_json: bool = JSON,
) -> None:
    """Have records looked at again: by key, by when they changed, or all of them."""
    from isthmus.operate import sweeps

    if not record and not all_ and since is None and until is None:
        raise typer.BadParameter("name records, or give --since, --until or --all")

    async def work(runtime: Any) -> Any:
        with Bars(quiet=as_json) as bars:
            return await sweeps.resync(
                runtime,
                pair,
                bars,
                entities=entity,
                records=record or [],
                since=since.replace(tzinfo=UTC) if since else None,
                until=until.replace(tzinfo=UTC) if until else None,
                dry_run=dry_run,
            )

    done = run(work, as_json=as_json)
    if as_json:
        found = rows(done.predictions, set(KINDS) - {"nothing"}) if dry_run else []
        say_json({"predicted": done.figures, "events": done.events, "records": found})
        return
    show_records(rows(done.predictions, set(KINDS) - {"nothing"}))
    show_figures(done.figures, "What would happen" if dry_run else "Asked for; the service does it at once")
