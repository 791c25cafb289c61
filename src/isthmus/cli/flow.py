"""`isthmus flow`: designed processes as files, published as versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from isthmus.cli.session import JSON, actor, fail, grid, out, plain, print_rows, run, say_json
from isthmus.errors import IsthmusError, Misconfigured

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Processes as files, published as versions.")

_NAME = typer.Argument(help="The flow.")


@app.command("list")
def listing(as_json: bool = JSON) -> None:
    """List flows with their state and what is under way."""
    from isthmus.operate import flows

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(flows.listing)

    rows = run(work, as_json=as_json)
    if as_json:
        say_json(rows)
        return
    table = grid("name", "title", "state", "version", "under way", "held", "waiting to begin")
    for row in rows:
        figures = (row["active"], row["held"], row["pending"])
        table.add_row(row["name"], row["title"], row["state"], plain(row["version"]), *(f"{n:,}" for n in figures))
    print_rows(table, "No flow yet. Bring one in: isthmus flow import FILE")


@app.command()
def templates(
    name: str = typer.Argument("", help="One of them, to be printed as a file; without it they are listed."),
    as_json: bool = JSON,
) -> None:
    """List the flows that ship, or print one to be brought in."""
    from isthmus.operate import flowtemplates

    if name:
        try:
            text = flowtemplates.file(name)
        except IsthmusError as error:
            fail(error, as_json=as_json)
        say_json({"file": text}) if as_json else typer.echo(text, nl=False)
        return
    rows = flowtemplates.listing()
    if as_json:
        say_json(rows)
        return
    table = grid("name", "title", "roles to bind", "tests")
    for row in rows:
        table.add_row(row["name"], row["title"], ", ".join(row["roles"]), str(row["tests"]))
    print_rows(table, "No flow ships with this version.")


@app.command()
def show(name: str = _NAME, as_json: bool = JSON) -> None:
    """Show one flow: state, roles, what it listens to, versions."""
    from isthmus.operate import flows

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(flows.show, name)

    told = run(work, as_json=as_json)
    if as_json:
        say_json(told)
        return
    out.print(f"[bold]{told['name']}[/] {told['title']}", highlight=False)
    out.print(f"  state {told['state']}, version {plain(told['version'])}", highlight=False)
    if told["state_reason"]:
        out.print(f"  {plain(told['state_reason'].get('doing'))}: {plain(told['state_reason'].get('answered'))}")
        out.print(f"  next: {plain(told['state_reason'].get('hint'))}")
    for role in told["roles"]:
        out.print(f"  role {role}: {told['bindings'].get(role, 'bound to nothing')}", highlight=False)
    table = grid("version", "published (UTC)", "by", "notes")
    for row in told["versions"]:
        table.add_row(str(row["version"]), f"{row['created_at']:%Y-%m-%d %H:%M}", row["author"], row["notes"])
    print_rows(table, "No version is published yet.")


@app.command("import")
def import_(
    file: Path = typer.Argument(help="The flow's file."),
    bindings: list[str] = typer.Option([], "--bind", help="role=NAME: what a role is bound to here."),
    layout: Path = typer.Option(None, "--layout", help="The file of positions; NAME.layout.json beside it is found."),
    as_json: bool = JSON,
) -> None:
    """Make a file the draft of its flow; nothing runs by it before it is published."""
    from isthmus.operate import flows

    text = _read(file, as_json)
    beside = layout or file.with_suffix("").with_suffix(".layout.json")
    told = _pairs(bindings)

    async def work(runtime: Any) -> Any:
        positions = beside.read_text() if beside.is_file() else None
        return await flows.bring_in(runtime, text, layout=positions, bindings=told, actor=actor())

    found = run(work, as_json=as_json)
    if as_json:
        say_json(found)
        return
    out.print(f"Flow {found['flow']} is a draft.", highlight=False)
    if found["unbound"]:
        roles = " ".join(f"{role}=NAME" for role in found["unbound"])
        out.print(f"Next: isthmus flow bind {found['flow']} {roles}", highlight=False)
    else:
        out.print(f"Next: isthmus flow publish {found['flow']}", highlight=False)


@app.command()
def export(
    name: str = _NAME,
    where: Path = typer.Argument(Path("."), help="The folder to write to."),
    version: int = typer.Option(None, "--version", help="A published version, in place of the draft."),
    as_json: bool = JSON,
) -> None:
    """Write a flow as files, for git; bringing them in again changes nothing."""
    from isthmus.operate import flows

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(flows.export, name, version)

    files = run(work, as_json=as_json)
    where.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (where / path).write_text(text)
    say_json({"files": sorted(files)}) if as_json else out.print(f"Wrote {', '.join(files)} to {where}.")


@app.command()
def bind(
    name: str = _NAME,
    bindings: list[str] = typer.Argument(help="role=NAME of a Connection or pair; allow_loopback=true for tests."),
    as_json: bool = JSON,
) -> None:
    """Say which Connections and pairs of this installation the flow's roles are."""
    from isthmus.operate import flows

    told = _pairs(bindings)

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(flows.bind, name, told, actor())

    found = run(work, as_json=as_json)
    say_json(found) if as_json else out.print(", ".join(f"{r} is {n}" for r, n in found.items()), highlight=False)


@app.command()
def publish(
    name: str = _NAME,
    notes: str = typer.Option("", "--notes", help="What is new, for whoever looks at the versions."),
    as_json: bool = JSON,
) -> None:
    """Make the draft the next version, once its own tests pass. Runs under way keep the version they began with."""
    from isthmus.operate import flows

    async def work(runtime: Any) -> Any:
        return await flows.publish(runtime, name, notes=notes, actor=actor())

    number = run(work, as_json=as_json)
    say_json({"flow": name, "version": number}) if as_json else out.print(f"{name} runs as version {number} now.")


@app.command()
def rollback(
    name: str = _NAME,
    version: int = typer.Option(None, "--to", help="The version; without it, the one before."),
    as_json: bool = JSON,
) -> None:
    """Let an earlier version begin the Runs again. Runs under way keep theirs."""
    from isthmus.operate import flows

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(flows.roll_back, runtime, name, version, actor())

    number = run(work, as_json=as_json)
    say_json({"flow": name, "version": number}) if as_json else out.print(f"{name} runs as version {number} now.")


@app.command()
def pause(name: str = _NAME, as_json: bool = JSON) -> None:
    """Stop a flow; triggers go on being accepted and nothing is lost."""
    _set_state(name, "paused", as_json)


@app.command()
def resume(name: str = _NAME, as_json: bool = JSON) -> None:
    """Make a paused or halted flow active again and work off what has come in."""
    _set_state(name, "active", as_json)


def _set_state(name: str, state: str, as_json: bool) -> None:
    from isthmus.operate import flows

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(flows.set_state, runtime, name, state, actor())

    run(work, as_json=as_json)
    say_json({"flow": name, "state": state}) if as_json else out.print(f"Flow {name} is {state}.", highlight=False)


@app.command("run")
def begin(
    name: str = _NAME,
    key: str = typer.Option(..., "--key", help="The business key of the Run."),
    item: str = typer.Option("{}", "--item", help="The item as JSON."),
    node: str = typer.Option("", "--at", help="The trigger to begin at, when there are several."),
    dry: bool = typer.Option(False, "--dry-run", help="Try the draft: reads are real, nothing is written."),
    as_json: bool = JSON,
) -> None:
    """Begin a Run by hand; with --dry-run, say what would happen. The service does the work."""
    from isthmus.operate import flows

    data = _json(item)

    async def work(runtime: Any) -> Any:
        if dry:
            return await flows.dry_run(runtime, name, [data], key=key, node=node)
        return await flows.begin(runtime, name, [(key, data)], node=node, actor=actor())

    done = run(work, as_json=as_json)
    if not dry:
        say_json({"begun": done}) if as_json else out.print("Accepted. See: isthmus run list", highlight=False)
        return
    if as_json:
        say_json({"steps": [step.as_dict() for step in done.steps], "ends": done.ends})
        return
    table = grid("node", "item", "outcome", "port", "gives", "would")
    for step in done.steps:
        error = step.error or {}
        gives = step.output if step.outcome != "held" else error.get("answered") or error.get("doing")
        table.add_row(step.node, step.key, step.outcome, step.port or "", plain(gives), plain(step.would or None))
    print_rows(table, "Nothing happened.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of flow files, over every node that is installed."""
    from isthmus.flows.definition import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command()
def hook(name: str = _NAME, as_json: bool = JSON) -> None:
    """Give a new address for the flow's webhook trigger; an older one is worth nothing from now on."""
    from isthmus.operate import flows

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(flows.new_hook, name, actor())

    path = run(work, as_json=as_json)
    if as_json:
        say_json({"path": path})
    else:
        out.print(f"POST to {path} of this service. It is shown only now.", highlight=False)


@app.command()
def secret(
    name: str = _NAME,
    secret: str = typer.Argument(help="The secret's name, as the flow's nodes call it."),
    as_json: bool = JSON,
) -> None:
    """Store a secret that the flow's own requests use; it is read from standard input, never from the command."""
    from isthmus.operate import flows

    value = typer.prompt(f"{secret}", hide_input=True, err=True).strip()

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(flows.set_secret, runtime, name, secret, value, actor())

    run(work, as_json=as_json)
    say_json({"flow": name, "secret": secret}) if as_json else out.print(f"{secret} is stored.", highlight=False)


def _pairs(told: list[str]) -> dict[str, str]:
    wrong = [one for one in told if "=" not in one]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not role=NAME")
    return dict(one.split("=", 1) for one in told)


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"--item is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise typer.BadParameter("--item is a JSON object")
    return found


def _read(file: Path, as_json: bool) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told: IsthmusError = Misconfigured(f"reading {file}", answered=str(error), hint="Name a flow's YAML file.")
        fail(told, as_json=as_json)
