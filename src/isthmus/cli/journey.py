"""`isthmus journey`: a document across systems, money and Runs."""

from __future__ import annotations

from typing import Any

import typer
from rich.markup import escape

from isthmus.cli.session import JSON, fail, grid, out, plain, run, say_json

app = typer.Typer(add_completion=False)


@app.command()
def journey(
    key: str = typer.Argument(help="An order, invoice or payment: its number, a reference, or its key on either side."),
    steps: bool = typer.Option(False, "--steps", help="Show the steps of Runs too, one line each."),
    as_json: bool = JSON,
) -> None:
    """Show an order across systems: its documents, their money, what happened to them, and the Runs it went through."""
    from dataclasses import asdict

    from isthmus.errors import Misconfigured
    from isthmus.operate.journey import journey as travelled

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(travelled, key)

    found = run(work, as_json=as_json)
    if not found.documents and not found.runs:
        fail(
            Misconfigured(
                f"looking for the journey of {key}",
                answered="no document and no Run is known by this number or key",
                hint="Give the number shown on the document, or its key in either system.",
            ),
            as_json=as_json,
        )
    if as_json:
        say_json(asdict(found))
        return
    table = grid("document", "number", "left", "right", "status", "amount", title=f"Journey of {key}")
    for one in found.documents:
        status = one.status if one.state == "active" else f"{one.status} ({one.state})".strip()
        name = one.entity.replace("_", " ") + (f" ({one.kind.replace('_', ' ')})" if one.kind else "")
        amount = f"{one.amount} {one.currency}".strip()
        table.add_row(name, one.number, one.left or "—", one.right or "—", status, amount)
    if found.documents:
        out.print(table, highlight=False)
    for currency, sums in found.money.items():
        out.print(", ".join(f"{name} {amount} {currency}" for name, amount in sums.items()), highlight=False)
    for one in found.runs:
        told = f"Run {one['id']} of {one['flow']} (version {one['version']}), {one['key']}: {one['state']}"
        out.print(told, highlight=False)
    out.print()
    for passage in found.passages:
        if passage.what.startswith("step") and not steps and passage.what == "step done":
            continue
        _say(passage)


def _say(passage: Any) -> None:
    out.print(
        f"{passage.at:%Y-%m-%d %H:%M:%S}  [bold]{escape(passage.what)}[/]  {escape(passage.where)}", highlight=False
    )
    detail = passage.detail
    if "node" in detail:
        said = f"{detail['node']}" + (f" → {detail['port']}" if detail.get("port") else "")
        out.print(f"    {escape(said)}  {detail['ms']} ms", highlight=False)
    after = detail.get("after") or {}
    if after:
        shown = ", ".join(f"{name} {plain(value)}" for name, value in list(after.items())[:6])
        more = f" and {len(after) - 6} more" if len(after) > 6 else ""
        out.print(f"    {escape(shown)}{more}", highlight=False)
    error = detail.get("error") or {}
    if isinstance(error, dict) and error.get("answered"):
        out.print(f"    {escape(str(error['answered']))}", highlight=False)
