"""`isthmus discover`: what a system has."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from isthmus.cli.session import JSON, grid, out, run, say_json

app = typer.Typer(add_completion=False)


@app.command()
def discover(
    connection: str = typer.Argument(help="The Connection."),
    entity: list[str] = typer.Argument(None, help="Entities; without them, all are listed with their counts."),
    as_json: bool = JSON,
) -> None:
    """Show Entities, custom ones included; with names, their fields."""
    from isthmus.store import connections

    async def work(runtime: Any) -> Any:
        row = await runtime.db.run(connections.get, connection)
        return await (await runtime.connector(row)).describe(entity or None)

    found = run(work, as_json=as_json)
    if as_json:
        say_json([asdict(one) for one in found])
        return
    if not entity:
        table = grid("entity", "label", "records", "fields")
        for one in found:
            table.add_row(
                one.name, one.label, "" if one.count is None else f"{one.count:,}", str(len(one.fields) or "")
            )
        out.print(table)
        return
    for one in found:
        table = grid("field", "type", "label", "required", "read-only", "custom", title=f"{one.name} ({one.label})")
        for f in one.fields.values():
            kind = f"{f.type} → {f.target}" if f.target else str(f.type)
            marks = ("yes" if flag else "" for flag in (f.required, f.readonly, f.custom))
            table.add_row(f.name, kind, f.label, *marks)
        out.print(table)
