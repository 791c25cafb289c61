"""`isthmus lookup`: the look-up tables that people edit."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from isthmus.cli.session import JSON, actor, fail, out, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Look-up tables: list, import, export.")


@app.command("list")
def listing(pair: str = typer.Argument(help="The pair."), as_json: bool = JSON) -> None:
    """List a pair's tables and which Mappings ask them."""
    from isthmus.operate import lookups

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(lookups.listing, pair)

    found = run(work, as_json=as_json)
    if as_json:
        say_json([asdict(one) for one in found])
        return
    shown = Table("table", "rows", "asked by")
    for one in found:
        shown.add_row(one.name, f"{one.rows:,}" if one.rows else "empty", ", ".join(one.mappings) or "no mapping")
    out.print(shown)


@app.command()
def show(
    pair: str = typer.Argument(help="The pair."),
    table: str = typer.Argument(help="The table."),
    as_json: bool = JSON,
) -> None:
    """Show the rows of a table."""
    from isthmus.operate import lookups

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(lookups.show, pair, table)

    systems, rows = run(work, as_json=as_json)
    if as_json:
        say_json([{"canonical": row.canonical, **row.values} for row in rows])
        return
    shown = Table("canonical", *systems, title=table)
    for row in rows:
        shown.add_row(row.canonical, *(row.values.get(system, "") for system in systems))
    out.print(shown)


@app.command("import")
def import_(
    pair: str = typer.Argument(help="The pair."),
    table: str = typer.Argument(help="The table, such as category or payment_terms."),
    file: Path = typer.Argument(help="CSV or Excel (.xlsx): a column `canonical` and one per system."),
    replace: bool = typer.Option(False, "--replace", help="Instead of what is there; otherwise beside it."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would change."),
    as_json: bool = JSON,
) -> None:
    """Import a table; one bad row, and nothing is imported."""
    from isthmus.errors import Misconfigured
    from isthmus.operate import lookups

    try:
        content = file.read_bytes()
    except OSError as error:
        hint = "Name a CSV or Excel file; `isthmus lookup export` writes one to start from."
        fail(Misconfigured(f"reading {file}", answered=error.strerror or str(error), hint=hint), as_json=as_json)

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(
            lambda conn: lookups.import_file(
                conn, pair, table, content, file.name, actor=actor(), replace=replace, dry_run=dry_run
            )
        )

    done = run(work, as_json=as_json)
    if as_json:
        say_json({**asdict(done), "dry_run": dry_run})
        return
    verb = "would be" if dry_run else "are"
    told = (
        f"{done.added:,} values {verb} added, {done.changed:,} changed, {done.removed:,} removed; {done.rows:,} in all."
    )
    out.print(told, highlight=False)
    if not done.used:
        out.print(f"No mapping of {pair} asks the table {table} yet.", highlight=False)
    elif not dry_run:
        out.print("Held records are looked at again with: isthmus deadletters retry", highlight=False)


@app.command()
def export(
    pair: str = typer.Argument(help="The pair."),
    table: str = typer.Argument(help="The table."),
    file: Path = typer.Argument(help="The file to write: .csv or .xlsx."),
    as_json: bool = JSON,
) -> None:
    """Write a table as CSV or Excel, in the form that import reads."""
    from isthmus.operate import lookups

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(lookups.export, pair, table, file.name)

    content = run(work, as_json=as_json)
    file.write_bytes(content)
    if as_json:
        say_json({"table": table, "file": str(file)})
    else:
        out.print(f"Wrote {table} to {file}.", highlight=False)
