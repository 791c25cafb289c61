"""`isthmus client`: systems without a connector that speak the canonical API."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.session import JSON, actor, grid, out, print_rows, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Clients of the canonical REST API.")


@app.command()
def add(
    name: str = typer.Argument(help="What the client is called in the audit log."),
    pair: str = typer.Option(..., "--pair", help="The pair that carries what it writes."),
    side: str = typer.Option("left", "--side", help="Where it writes and reads: left or right."),
    scope: list[str] = typer.Option(..., "--scope", help="What it may, like customers:write; repeat for more."),
    per_minute: int = typer.Option(300, "--per-minute", min=1, help="Most requests in a minute."),
    as_json: bool = JSON,
) -> None:
    """Add a client. Its secret is shown this once and kept only as a digest."""
    from isthmus.operate import clients

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(
            clients.add, name, pair=pair, side=side, scopes=scope, per_minute=per_minute, actor=actor()
        )

    made = run(work, as_json=as_json)
    if as_json:
        say_json({"name": name, "client_id": made.client_id, "client_secret": made.secret.reveal()})
    else:
        out.print(f"client_id      {made.client_id}", highlight=False, markup=False)
        out.print(f"client_secret  {made.secret.reveal()}", highlight=False, markup=False)


@app.command("list")
def listing(as_json: bool = JSON) -> None:
    """List clients with pair, side, scopes, pace and last use; never their secrets."""
    from isthmus.operate import clients

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(clients.listing)

    rows = run(work, as_json=as_json)
    if as_json:
        say_json(rows)
        return
    table = grid("name", "client id", "pair", "side", "scopes", "per minute", "state", "last used (UTC)")
    for row in rows:
        used = f"{row['last_used_at']:%Y-%m-%d %H:%M}" if row["last_used_at"] else "never"
        shown = (row["name"], row["client_id"], row["pair"], row["side"], " ".join(row["scopes"]))
        table.add_row(*shown, f"{row['per_minute']:,}", row["state"], used)
    print_rows(table, "No client yet.")


@app.command()
def revoke(name: str = typer.Argument(help="Which client ends."), as_json: bool = JSON) -> None:
    """End a client and all its tokens, at once."""
    from isthmus.operate import clients

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(clients.revoke, name, actor())

    ended = run(work, as_json=as_json)
    say_json({"revoked": ended}) if as_json else out.print(f"Ended: {ended:,}.", highlight=False)
