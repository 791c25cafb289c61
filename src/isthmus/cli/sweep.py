"""`isthmus sweep`: compare everything."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.session import JSON, Bars, grid, out, run, say_json

app = typer.Typer(add_completion=False)


@app.command()
def sweep(
    pair: str = typer.Argument(help="The pair to compare."),
    repair: bool = typer.Option(True, "--repair/--no-repair", help="Have what differs looked at again."),
    as_json: bool = JSON,
) -> None:
    """Compare every Link and both sets of records, field by field. Exits with 3 when anything differs."""
    from dataclasses import asdict

    from isthmus.operate import sweeps

    async def work(runtime: Any) -> Any:
        with Bars(quiet=as_json) as bars:
            return await sweeps.sweep(runtime, pair, bars, repair=repair)

    report = run(work, as_json=as_json)
    if as_json:
        say_json(asdict(report))
    else:
        table = grid(
            "entity", "records", "fields compared", "in agreement", "causes", title=f"Sweep {report.id} of {pair}"
        )
        for name, told in report.entities.items():
            causes = ", ".join(f"{cause} {count:,}" for cause, count in sorted(told["causes"].items()))
            table.add_row(name, f"{told['records']:,}", f"{told['compared']:,}", f"{told['figure']:.4%}", causes)
        out.print(table)
        for d in report.differences[:20]:
            what = f"{d['field']}: {d['left_value']!r} / {d['right_value']!r}" if d["field"] else "the whole record"
            out.print(
                f"  {d['entity']} {d['name']} (left {d['left']}, right {d['right']}): {what}: {d['cause']}",
                highlight=False,
            )
        out.print(
            f"Consistency {report.figure:.4%}; {report.repairing:,} records are looked at again.", highlight=False
        )
    if report.figure < 1:
        raise typer.Exit(3)
