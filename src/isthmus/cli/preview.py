"""`isthmus preview`: a record through its Mapping, step by step."""

from __future__ import annotations

from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from isthmus.cli.session import JSON, out, run, say_json

app = typer.Typer(add_completion=False)

_COLOURS = {"create": "green", "update": "yellow", "held": "red"}


@app.command()
def preview(
    pair: str = typer.Argument(help="The pair."),
    entity: str = typer.Argument(help="The Entity, such as customer."),
    key: str = typer.Argument(help="The record's key, as that side writes it."),
    side: str = typer.Option("left", "--side", help="Where the record is: left or right."),
    as_json: bool = JSON,
) -> None:
    """Show what every step makes of a record, which rules hold, and what the other side would get; writes nothing."""
    from isthmus.operate import preview as previews

    if side not in ("left", "right"):
        raise typer.BadParameter("say left or right", param_hint="--side")
    where: Any = side

    async def work(runtime: Any) -> Any:
        return await previews.preview(runtime, pair, entity, where, key)

    found = run(work, as_json=as_json)
    if as_json:
        say_json(found.as_dict())
        return
    told = found.as_dict()
    out.print(f"[bold]{escape(entity)} {escape(key)}[/] of {escape(found.connection)}", highlight=False)
    out.print(_steps(f"read from {found.connection}", told["reading"], "canonical"))
    out.print(_rules(told["rules"]))
    out.print(_steps(f"written to {found.other_connection}", told["writing"], "value there"))
    _outcome(found, told)


def _steps(title: str, traces: list[dict[str, Any]], last: str) -> Table:
    table = Table("field", "path", "given", "steps", last, title=title, title_justify="left")
    for trace in traces:
        names = ", ".join(trace["fields"])
        steps = "\n".join(_step(step) for step in trace["steps"])
        told = f"[dim]left out: {escape(trace['problem'])}[/]" if trace["skipped"] else _value(trace["result"])
        if trace["problem"] and not trace["skipped"]:
            told = f"[red]{escape(trace['problem'])}[/]"
        table.add_row(names, escape("\n".join(trace["paths"])), _value(trace["given"]), steps, told)
    return table


def _step(step: dict[str, Any]) -> str:
    if step["problem"]:
        return f"{step['step']}: [red]{escape(step['problem'])}[/]"
    if step["before"] == step["after"]:
        return f"[dim]{step['step']}[/]"
    return f"{step['step']} → {_value(step['after'])}"


def _value(value: Any) -> str:
    if value is None:
        return "[dim]–[/]"
    if isinstance(value, dict):
        return escape("\n".join(f"{name}: {one}" for name, one in value.items() if one is not None) or "–")
    return escape(str(value))


def _rules(rules: list[dict[str, Any]]) -> Table:
    table = Table("rule", "field", "", title="rules", title_justify="left")
    for rule in rules:
        colour = "red" if rule["severity"] == "block" else "yellow"
        told = "[green]holds[/]" if rule["holds"] else f"[{colour}]{rule['severity']}: {escape(rule['message'])}[/]"
        table.add_row(rule["rule"], rule["field"], told)
    return table


def _outcome(found: Any, told: dict[str, Any]) -> None:
    colour = _COLOURS.get(found.outcome, "dim")
    there = f" {escape(found.counterpart)}" if found.counterpart else ""
    out.print(f"[{colour}]{found.outcome}[/]{there} on {escape(found.other_connection)}", highlight=False)
    if found.reason:
        out.print(f"  {found.reason}", markup=False, highlight=False)
    for path, value in told["payload"].items():
        out.print(f"  {path} = {value}", markup=False, highlight=False)
    for warning in found.warnings:
        out.print(f"  note: {warning}", markup=False, highlight=False)
