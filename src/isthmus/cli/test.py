"""`isthmus test`: the tests that flow files carry, without an installation."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import typer

from isthmus.cli.lint import flow_files
from isthmus.cli.session import JSON, out, print_error, say_json
from isthmus.errors import IsthmusError

app = typer.Typer(add_completion=False)


@app.command()
def run_files(
    files: list[Path] = typer.Argument(help="Flow files, or folders of them."),
    as_json: bool = JSON,
) -> None:
    """Run the tests that flow files carry; effects answer what the test says. Exits with 1 when one fails."""
    from isthmus.flows.compiled import compile_flow
    from isthmus.flows.trial import run_test
    from isthmus.model.clock import SystemClock

    told: list[dict[str, Any]] = []
    broken = False
    for path in flow_files(files):
        try:
            flow = compile_flow(path.read_text(encoding="utf-8"), where=path.name)
        except IsthmusError as error:
            broken = True
            if as_json:
                told.append({"file": str(path), "test": "", "passed": False, "why": [str(error)]})
            else:
                print_error(error)
            continue
        for case in flow.file.tests:
            verdict = asyncio.run(run_test(flow, case, SystemClock()))
            told.append({"file": str(path), "test": verdict.name, "passed": verdict.passed, "why": list(verdict.why)})
    failed = [t for t in told if not t["passed"]]
    if as_json:
        say_json({"tests": told, "failed": len(failed)})
    else:
        for one in told:
            mark = "[green]passed[/]" if one["passed"] else "[red]failed[/]"
            out.print(f"{mark} {one['file']}: {one['test']}", highlight=False)
            for line in one["why"]:
                out.print(f"    {line}", highlight=False, markup=False)
        if not told and not broken:
            out.print("These files carry no tests.")
    raise typer.Exit(1 if failed or broken else 0)
