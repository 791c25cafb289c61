"""`isthmus connection operations` and `isthmus connection call`: what a system can be asked to do with documents."""

from __future__ import annotations

import json
import sys
from typing import Any

import typer

from isthmus.cli.session import JSON, actor, err, grid, out, plain, print_rows, run, say_json


def operations(
    name: str = typer.Argument(help="The Connection."),
    operation: str = typer.Option("", "--operation", help="Only this one, with the fields of its input."),
    as_json: bool = JSON,
) -> None:
    """List what the system of a Connection can be asked to do with its documents."""
    from isthmus.operate import operations as verbs

    async def work(runtime: Any) -> Any:
        return await verbs.listing(runtime, name)

    found = [one for one in run(work, as_json=as_json) if operation in ("", one["name"])]
    if as_json:
        say_json(found)
        return
    if operation and found:
        _show_form(found[0])
        return
    table = grid("operation", "what it does", "input")
    for one in found:
        table.add_row(one["name"], one["summary"], ", ".join(_fields(one["input"])))
    print_rows(table, f"{name} has no operation{f' {operation}' if operation else ''}.")


def call(
    name: str = typer.Argument(help="The Connection."),
    operation: str = typer.Argument(help="The operation; `isthmus connection operations NAME` lists them."),
    input_: str = typer.Option(..., "--input", help="Its input as JSON, @FILE, or - for standard input."),
    key: str = typer.Option("", "--key", help="The key of the Act; unset, the input names it, so a repeat is safe."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only look whether it is done; nothing is written."),
    as_json: bool = JSON,
) -> None:
    """Have one operation done, or look whether it is. The same call again does nothing a second time."""
    from isthmus.operate import operations as verbs

    given = _input(input_)

    async def work(runtime: Any) -> Any:
        return await verbs.call(runtime, name, operation, given, actor=actor(), key=key, dry_run=dry_run)

    told = run(work, as_json=as_json)
    if as_json:
        say_json(told)
        return
    if told["state"] == "done":
        out.print(f"{operation}: done{' before' if told['repeated'] else ''} (Act {told['key']}).", highlight=False)
        for field, value in told["result"].items():
            out.print(f"  {field:<16}{plain(value)}", highlight=False)
        return
    blocked = told["blocked"]
    said = {"not_done": "not done", "undecided": "cannot be told"}[told["state"]]
    why = f": {blocked['answered']}. {blocked['hint']}" if blocked else "; nothing stands in its way."
    out.print(f"{operation}: {said}{why}", highlight=False, markup=False)


def _input(told: str) -> dict[str, Any]:
    if told == "-":
        told = sys.stdin.read()
    elif told.startswith("@"):
        with open(told[1:]) as file:
            told = file.read()
    try:
        found = json.loads(told)
    except ValueError as error:
        err.print(f"--input is no JSON: {error}", highlight=False, markup=False)
        raise typer.Exit(2) from None
    if not isinstance(found, dict):
        err.print('--input has to be a JSON object, like {"order": 42}.', highlight=False, markup=False)
        raise typer.Exit(2)
    return found


def _fields(schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", [])
    return [name if name in required else f"[{name}]" for name in schema.get("properties", {})]


def _show_form(one: dict[str, Any]) -> None:
    out.print(f"{one['name']}: {one['summary']}", highlight=False, markup=False)
    if one["needs"]:
        out.print(f"The login needs: {', '.join(one['needs'])}.", highlight=False, markup=False)
    table = grid("field", "what it is")
    required = one["input"].get("required", [])
    for name, spec in one["input"].get("properties", {}).items():
        table.add_row(name, f"{spec.get('description', '')}{' Required.' if name in required else ''}")
    print_rows(table, "It takes nothing.")
