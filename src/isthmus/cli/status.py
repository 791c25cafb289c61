"""`isthmus status`: how the pairs stand."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.session import JSON, grid, out, run, say_json

app = typer.Typer(add_completion=False)


@app.command()
def status(
    pair: str = typer.Argument("", help="One pair; without it, all of them."),
    as_json: bool = JSON,
) -> None:
    """Show the books of each pair (they always balance), what is open, and how long edits take to arrive."""
    from isthmus.operate.status import status as of_pair
    from isthmus.store import pairs

    async def work(runtime: Any) -> list[Any]:
        def read(conn: Any) -> list[Any]:
            rows = [pairs.get(conn, pair)] if pair else pairs.listing(conn)
            return [of_pair(conn, row) for row in rows]

        return list(await runtime.db.run(read))

    found = run(work, as_json=as_json)
    if as_json:
        say_json(found[0].as_dict() if pair else [one.as_dict() for one in found])
        return
    if not found:
        out.print("No pair yet. Start with: isthmus connection add, then isthmus pair add.", highlight=False)
    for one in found:
        colour = {"active": "green", "paused": "yellow", "busy": "yellow"}.get(one.state, "red")
        out.print(f"[bold]{one.pair}[/] ({one.environment}, version {one.version}): [{colour}]{one.state}[/]")
        if one.reason:
            said = [str(one.reason[k]) for k in ("doing", "answered", "hint") if one.reason.get(k)]
            out.print("  " + ". ".join(said), highlight=False)
        books = one.books
        out.print(
            f"  events {books['events']:,} = coalesced {books['coalesced']:,} + changes {books['changes']:,};  changes"
            f" = applied {books['applied']:,} + no change needed {books['unchanged']:,} + held {books['held']:,}"
            f" + in flight {books['in_flight']:,}",
            highlight=False,
        )
        if books["applied"]:
            p50, p95 = one.latency_ms["p50"], one.latency_ms["p95"]
            out.print(f"  event to written: p50 {p50:,.0f} ms, p95 {p95:,.0f} ms (last 1,000)", highlight=False)
        if not one.entities:
            out.print(f"  Nothing is linked yet. Next: isthmus load {one.pair}", highlight=False)
            continue
        table = grid("entity", "links", "in flight", "oldest", "dead letters", "conflicts")
        for e in one.entities:
            table.add_row(
                e.entity,
                f"{e.links:,}",
                f"{e.in_flight:,}",
                f"{e.oldest_seconds:,.0f} s",
                str(e.dead_letters),
                str(e.conflicts),
            )
        out.print(table)
