"""`isthmus trace`: the life of a record."""

from __future__ import annotations

from typing import Any

import typer
from rich.markup import escape

from isthmus.cli.session import JSON, out, plain, run, say_json

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
        out.print(
            f"[bold]{one['entity']}[/] left {one.get('left') or '—'}, right {one.get('right') or '—'} ({one['state']})",
            highlight=False,
        )
        for m in moments:
            where = f"{m.side}:{m.key}" if m.side else (m.key or "")
            out.print(f"{m.at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f"  [bold]{m.what}[/]  {escape(where)}", highlight=False)
            for line in _lines(m.detail):
                out.print(f"    {line}", highlight=False)


def _lines(detail: dict[str, Any]) -> list[str]:
    """What a moment says, a line each: for a write every field with its old and new value and the reason."""
    if "after" in detail:
        return _write(detail)
    error = detail.get("error") or {}
    reason = detail.get("reason") or {}
    said = [str(told[k]) for told in (error, reason) for k in ("answered", "note") if told.get(k)]
    shown = [f"{name} {plain(value)}" for name, value in detail.items() if name in _SHOWN and value not in (None, "")]
    return [", ".join(shown), *map(escape, said)] if shown else [escape(line) for line in said]


_SHOWN = ("source", "id", "kind", "left", "right", "choice", "settled_by", "closed_by", "action", "from")


def _write(detail: dict[str, Any]) -> list[str]:
    why, before, after = detail.get("why") or {}, detail.get("before") or {}, detail.get("after") or {}
    reasons = why.get("fields") or {}
    told = [str(why[k]) for k in ("from", "source") if why.get(k)]
    lines = [escape(f"from {', '.join(told)}")] if told else []
    if reasons and len(set(reasons.values())) == 1 and len(reasons) > 3:
        lines.append(escape(next(iter(reasons.values()))))
        reasons = {}
    for name in after:
        old = f"{plain(before[name])} → " if name in before else ""
        because = f"  [dim]({escape(reasons[name])})[/]" if name in reasons else ""
        lines.append(f"{escape(name)}: {old}{plain(after[name])}{because}")
    return lines
