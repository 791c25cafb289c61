"""`isthmus lint`: what is wrong with flow files, without an installation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from isthmus.cli.session import JSON, out, say_json

app = typer.Typer(add_completion=False)


@app.command()
def lint(
    files: list[Path] = typer.Argument(help="Flow files, or folders of them."),
    strict: bool = typer.Option(False, "--strict", help="Warnings count as errors."),
    as_json: bool = JSON,
) -> None:
    """Say what is wrong with flow files: file, line, node and fix. Exits with 1 when anything is."""
    from isthmus.flows.lint import lint as look

    found: list[dict[str, Any]] = []
    for path in flow_files(files):
        for mistake in look(path.read_text(encoding="utf-8"), path.name):
            found.append({"file": str(path), **asdict(mistake)})
    wrong = [m for m in found if strict or m["severity"] == "error"]
    if as_json:
        say_json({"mistakes": found, "errors": len(wrong)})
    else:
        for m in found:
            node = f" {m['node']}:" if m["node"] else ""
            out.print(f"{m['file']}:{m['line']}:{node} {m['severity']}: {m['message']}", highlight=False, markup=False)
            out.print(f"    {m['fix']}", highlight=False, markup=False)
        if not found:
            out.print("Nothing is wrong.")
    raise typer.Exit(1 if wrong else 0)


def flow_files(given: list[Path]) -> list[Path]:
    """The files named, and the YAML files of the folders named."""
    files: list[Path] = []
    for path in given:
        if not path.exists():
            raise typer.BadParameter(f"{path} is not there")
        files.extend(sorted(path.rglob("*.yaml")) if path.is_dir() else [path])
    return files
