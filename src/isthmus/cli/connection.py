"""`isthmus connection`: logins to systems."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

import typer

from isthmus.cli.consent import authorize
from isthmus.cli.operations import call, operations
from isthmus.cli.session import JSON, actor, err, grid, out, print_rows, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Configured logins to systems.")
app.command()(authorize)
app.command()(operations)
app.command()(call)

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
    proof: list[str] = typer.Option(
        [], "--proof", help="What the system wants to see before it makes a new secret, like password; used once."
    ),
    as_json: bool = JSON,
) -> None:
    """Replace secrets, once the new ones are proven to work; without --secret the system is asked to make them."""
    from isthmus.operate import connections

    given = dict(secret_of(text) for text in secret)
    shown = dict(secret_of(text) for text in proof)

    async def work(runtime: Any) -> Any:
        return await connections.rotate(runtime, name, given, actor(), proof=shown)

    findings = run(work, as_json=as_json)
    if as_json:
        say_json([told(f) for f in findings])
        return
    out.print("The new secrets work and are in use.")
    show(f for f in findings if f.status == "problem" or f.check in ("key", "old secrets"))


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
    remove: bool = typer.Option(False, "--remove", help="Take them away again."),
    as_json: bool = JSON,
) -> None:
    """Register webhooks for every Entity that the pairs of this Connection use; repairs what is missing."""
    from isthmus.operate import connections

    given = dict(secret_of(text) for text in admin)

    async def work(runtime: Any) -> Any:
        if remove:
            return await connections.remove_hooks(runtime, name, base_url, admin=given or None)
        return await connections.install_hooks(runtime, name, base_url, admin=given or None)

    found = run(work, as_json=as_json) or ()
    if as_json:
        say_json([{"entity": h.entity, "installed": h.installed, "detail": h.detail} for h in found])
        return
    if remove:
        out.print(f"The webhooks of {name} are removed.", highlight=False)
    elif not found:
        out.print(f"No pair uses {name} yet: run this again when one does.", highlight=False)
    for hook in found:
        mark = "[green]installed[/]" if hook.installed else "[yellow]not installed[/]"
        out.print(f"{mark} [bold]{hook.entity}[/]: ", end="", highlight=False)
        out.print(hook.detail, highlight=False, markup=False)


def told(finding: Any) -> dict[str, Any]:
    """A finding as plain values."""
    return {n: getattr(finding, n) for n in ("check", "status", "message", "fix")}


def show(findings: Iterable[Any]) -> None:
    """Print findings below each other, the fix below what is wrong, and how many of each there are."""
    from rich.table import Table
    from rich.text import Text

    found = list(findings)
    marks = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "problem": "[bold red]problem[/]"}
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for f in found:
        text = Text(f.message)
        if f.fix:
            text.append(
                f"\n{'fix' if f.status != 'ok' else 'more'}: {f.fix}", style="dim" if f.status == "ok" else "cyan"
            )
        table.add_row(marks[f.status], f.check, text)
    out.print(table, soft_wrap=False)
    counts = {status: sum(f.status == status for f in found) for status in marks}
    if len(found) > 1:
        out.print(f"{counts['ok']} ok, {counts['warning']} to look at, {counts['problem']} to correct", style="dim")


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
