"""`isthmus token`: who may call the API."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.session import JSON, actor, grid, out, print_rows, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Tokens for the HTTP API.")


@app.command()
def add(
    name: str = typer.Argument(help="Whose token it is; shown in the audit log."),
    role: str = typer.Option("viewer", "--role", help="viewer, operator, designer or admin; each may more."),
    days: int = typer.Option(365, "--days", min=0, help="Days until it ends; 0 for never."),
    as_json: bool = JSON,
) -> None:
    """Make a token. It is shown this once and kept only as a digest."""
    from isthmus.operate import tokens

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(tokens.add, name, role, days or None, actor())

    token = run(work, as_json=as_json).reveal()
    if as_json:
        say_json({"name": name, "role": role, "token": token})
    else:
        out.print(token, highlight=False, markup=False)


@app.command("list")
def listing(as_json: bool = JSON) -> None:
    """List tokens with role, end and last use; never the tokens themselves."""
    from isthmus.security import tokens

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(tokens.listing)

    rows = run(work, as_json=as_json)
    if as_json:
        say_json(rows)
        return
    table = grid("name", "role", "state", "ends (UTC)", "last used (UTC)")
    for row in rows:
        moments = (f"{row[k]:%Y-%m-%d %H:%M}" if row[k] else "never" for k in ("expires_at", "last_used_at"))
        table.add_row(row["name"], row["role"], row["state"], *moments)
    print_rows(table, "No token yet.")


@app.command()
def revoke(name: str = typer.Argument(help="Whose tokens end."), as_json: bool = JSON) -> None:
    """End every token of this name, at once."""
    from isthmus.operate import tokens

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(tokens.revoke, name, actor())

    ended = run(work, as_json=as_json)
    say_json({"revoked": ended}) if as_json else out.print(f"Ended: {ended:,}.", highlight=False)
