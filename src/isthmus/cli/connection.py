"""`isthmus connection`: logins to systems."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer

from isthmus.cli.session import JSON, actor, err, grid, out, print_rows, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Configured logins to systems.")

_SET = typer.Option([], "--set", help="A setting: name=value; may be given several times.")
_SECRET = typer.Option([], "--secret", help="A secret: name=value, name=@FILE, name=$VARIABLE or name (asks).")


@app.command()
def add(
    name: str = typer.Argument(help="A name of your choice."),
    kind: str = typer.Option(..., "--kind", help="The connector: odoo, bng, or another that is installed."),
    url: str = typer.Option("", "--url", help="The address of the system."),
    set_: list[str] = _SET,
    secret: list[str] = _SECRET,
    production: bool = typer.Option(False, "--production", help="This is a production system."),
    check: bool = typer.Option(True, "--check/--no-check", help="Run the doctor afterwards."),
    as_json: bool = JSON,
) -> None:
    """Add a Connection, or change its settings. Secrets are encrypted before they rest anywhere."""
    from isthmus.operate import connections

    settings = dict(assignment(text) for text in set_)
    if url:
        settings["url"] = url
    given = dict(secret_of(text) for text in secret)

    async def work(runtime: Any) -> tuple[int, Any]:
        environment = "production" if production else "sandbox"
        made = await connections.add(
            runtime, name, kind=kind, environment=environment, settings=settings, given=given, actor=actor()
        )
        return made, await connections.doctor(runtime, name) if check else []

    made, findings = run(work, as_json=as_json)
    if as_json:
        say_json({"connection": name, "id": made, "findings": [told(f) for f in findings]})
        return
    out.print(f"Connection {name} is stored.", highlight=False)
    show(findings)


@app.command("list")
def listing(as_json: bool = JSON) -> None:
    """List Connections; secrets are never shown."""
    from isthmus.store import connections

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(connections.listing)

    rows = run(work, as_json=as_json)
    if as_json:
        say_json([{k: getattr(r, k) for k in ("id", "name", "kind", "environment", "settings", "state")} for r in rows])
        return
    table = grid("name", "kind", "environment", "state", "url")
    for row in rows:
        url = row.settings.get("url") or row.settings.get("base_url") or ""
        table.add_row(row.name, row.kind, row.environment, row.state, str(url))
    print_rows(table, "No Connection yet. Add one: isthmus connection add --help")


@app.command()
def doctor(name: str = typer.Argument(help="The Connection."), as_json: bool = JSON) -> None:
    """Check a Connection from end to end: each finding in plain words, with the fix. Exits with 3 on a problem."""
    from isthmus.operate import connections

    async def work(runtime: Any) -> Any:
        return await connections.doctor(runtime, name)

    findings = run(work, as_json=as_json)
    if as_json:
        say_json([told(f) for f in findings])
    else:
        show(findings)
    if any(f.status == "problem" for f in findings):
        raise typer.Exit(3)


@app.command()
def rotate(
    name: str = typer.Argument(help="The Connection."),
    secret: list[str] = _SECRET,
    as_json: bool = JSON,
) -> None:
    """Replace secrets, once the new ones are proven to work."""
    from isthmus.operate import connections

    given = dict(secret_of(text) for text in secret)
    if not given:
        raise typer.BadParameter("name at least one --secret")

    async def work(runtime: Any) -> Any:
        return await connections.rotate(runtime, name, given, actor())

    findings = run(work, as_json=as_json)
    say_json([told(f) for f in findings]) if as_json else out.print("The new secrets work and are in use.")


@app.command()
def accept(name: str = typer.Argument(help="The Connection."), as_json: bool = JSON) -> None:
    """Take a copied or restored system as the one that is meant from now on."""
    from isthmus.operate import connections

    async def work(runtime: Any) -> None:
        await connections.accept(runtime, name, actor())

    run(work, as_json=as_json)
    say_json({"accepted": name}) if as_json else out.print("Accepted. Run a Sweep next: isthmus sweep PAIR")


@app.command()
def hooks(
    name: str = typer.Argument(help="The Connection."),
    base_url: str = typer.Option(..., "--base-url", help="Where the other system reaches this service."),
    admin: list[str] = typer.Option([], "--admin", help="A temporary administrator secret; used once, never stored."),
    as_json: bool = JSON,
) -> None:
    """Register webhooks for every Entity that the pairs of this Connection use; repairs what is missing."""
    from isthmus.operate import connections

    given = dict(secret_of(text) for text in admin)

    async def work(runtime: Any) -> Any:
        return await connections.install_hooks(runtime, name, base_url, admin=given or None)

    found = run(work, as_json=as_json)
    if as_json:
        say_json([{"entity": h.entity, "installed": h.installed, "detail": h.detail} for h in found])
        return
    for hook in found:
        mark = "[green]installed[/]" if hook.installed else "[yellow]not installed[/]"
        out.print(f"{hook.entity}: {mark} {hook.detail}", highlight=False)


def told(finding: Any) -> dict[str, Any]:
    """A finding as plain values."""
    return {n: getattr(finding, n) for n in ("check", "status", "message", "fix")}


def show(findings: Any) -> None:
    """Print findings, the fix below each."""
    marks = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "problem": "[bold red]problem[/]"}
    for f in findings:
        out.print(f"{marks[f.status]} {f.check}: ", end="")
        out.print(f.message, highlight=False, markup=False)
        if f.fix and f.status != "ok":
            out.print(f"    fix: {f.fix}", highlight=False, markup=False)


def assignment(text: str) -> tuple[str, Any]:
    """`name=value`, the value read as YAML so that numbers and true/false are themselves."""
    import yaml

    name, found, value = text.partition("=")
    if not found:
        raise typer.BadParameter(f"{text!r} is not name=value")
    try:
        return name, yaml.safe_load(value) if value else ""
    except yaml.YAMLError:
        return name, value


def secret_of(text: str) -> tuple[str, Any]:
    """A secret by value, from a file (@), from a variable ($), or asked for."""
    from isthmus.model.secret import Secret

    name, found, value = text.partition("=")
    if not found:
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"{name}: give name=value, name=@FILE or name=$VARIABLE")
        return name, Secret(typer.prompt(name, hide_input=True, err=True))
    if value.startswith("@"):
        with open(value[1:]) as file:
            return name, Secret(file.read().strip())
    if value.startswith("$"):
        if value[1:] not in os.environ:
            err.print(f"The environment has no {value[1:]}.")
            raise typer.Exit(2)
        return name, Secret(os.environ[value[1:]])
    return name, Secret(value)
