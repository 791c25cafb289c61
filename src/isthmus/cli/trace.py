"""`isthmus trace`: the life of a record."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.table import Table

from isthmus.cli.session import JSON, out, run, say_json

app = typer.Typer(add_completion=False)


@app.command()
def trace(
    record: str = typer.Argument(help="A key (42), left:42, right:C-7 or link:9."),
    pair: str = typer.Option("", "--pair", help="The pair; not needed when there is only one."),
    entity: str = typer.Option("", "--entity", help="The entity, when the key is not unique."),
    as_json: bool = JSON,
) -> None:
    """Show everything that ever happened to a record, on both sides, in order."""
    from dataclasses import asdict

    from isthmus.errors import Misconfigured
    from isthmus.operate import trace as traces
    from isthmus.store import pairs

    async def work(runtime: Any) -> list[tuple[dict[str, Any], list[Any]]]:
        def read(conn: Any) -> list[tuple[dict[str, Any], list[Any]]]:
            rows = [pairs.get(conn, pair)] if pair else pairs.listing(conn)
            found = [(row, one) for row in rows for one in traces.find(conn, row.id, record, entity or None)]
            if not found:
                raise Misconfigured(
                    f"tracing {record}",
                    answered="nothing is known of this record",
                    hint=f"If it exists, ask for a look: isthmus sync PAIR {record}",
                )
            return [(one, traces.trace(conn, row.id, one)) for row, one in found]

        return list(await runtime.db.run(read))

    found = run(work, as_json=as_json)
    if as_json:
        say_json([{"record": one, "moments": [asdict(m) for m in moments]} for one, moments in found])
        return
    for one, moments in found:
        title = f"{one['entity']} left {one.get('left') or '—'} right {one.get('right') or '—'} ({one['state']})"
        table = Table("at (UTC)", "what", "side", "key", "detail", title=title)
        for m in moments:
            detail = {k: v for k, v in m.detail.items() if v not in (None, {}, "")}
            shown = json.dumps(detail, default=str, ensure_ascii=False)
            table.add_row(f"{m.at:%Y-%m-%d %H:%M:%S.%f}"[:-3], m.what, m.side or "", m.key or "", shown[:400])
        out.print(table)
