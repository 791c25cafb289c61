"""`isthmus pair`: two Connections kept in agreement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from isthmus.cli.session import JSON, actor, fail, grid, out, print_rows, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Two Connections kept in agreement.")


@app.command()
def add(
    name: str = typer.Argument(help="A name of your choice."),
    left: str = typer.Option(..., "--left", help="The left Connection, usually Odoo."),
    right: str = typer.Option(..., "--right", help="The right Connection."),
    template: str = typer.Option("odoo-bng", "--template", help="The template to start from."),
    production: bool = typer.Option(False, "--production", help="This pair is for production."),
    as_json: bool = JSON,
) -> None:
    """Add a pair from a template; it is checked against both systems before it is stored."""
    from isthmus.operate import pairs

    async def work(runtime: Any) -> Any:
        environment = "production" if production else "sandbox"
        return await pairs.add(
            runtime, name, left=left, right=right, shipped=template, environment=environment, actor=actor()
        )

    pair_id, version = run(work, as_json=as_json)
    if as_json:
        say_json({"pair": name, "id": pair_id, "version": version})
    else:
        out.print(f"Pair {name} is stored. Next: isthmus load {name}", highlight=False)


@app.command("list")
def listing(as_json: bool = JSON) -> None:
    """List pairs."""
    from isthmus.store import pairs

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(pairs.listing)

    rows = run(work, as_json=as_json)
    if as_json:
        names = ("id", "name", "left_name", "right_name", "environment", "state", "state_reason", "version")
        say_json([{n: getattr(row, n) for n in names} for row in rows])
        return
    table = grid("name", "left", "right", "environment", "state", "version", "entities")
    for row in rows:
        entities = ", ".join(row.settings.get("entities", {}))
        table.add_row(row.name, row.left_name, row.right_name, row.environment, row.state, str(row.version), entities)
    print_rows(table, "No pair yet. Add one: isthmus pair add --help")


@app.command()
def pause(name: str = typer.Argument(help="The pair."), as_json: bool = JSON) -> None:
    """Stop writing for this pair; events go on being accepted and nothing is lost."""
    _set_state(name, "paused", as_json)


@app.command()
def resume(
    name: str = typer.Argument(help="The pair."),
    allow: bool = typer.Option(False, "--allow", help="Let through once what the guard has stopped."),
    as_json: bool = JSON,
) -> None:
    """Make a paused or halted pair active again and work off what has come in."""
    _set_state(name, "active", as_json, allow=allow)


def _set_state(name: str, state: str, as_json: bool, *, allow: bool = False) -> None:
    from isthmus.operate import pairs

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(pairs.set_state, runtime, name, state, actor(), allow=allow)

    row = run(work, as_json=as_json)
    say_json({"pair": name, "state": row.state}) if as_json else out.print(f"Pair {name} is {row.state}.")


_FOLDER = typer.Argument(help="A folder that export wrote.")


@app.command()
def export(
    name: str = typer.Argument(help="The pair."),
    where: Path = typer.Argument(help="The folder to write to; of a pair exported there before, nothing stays."),
    as_json: bool = JSON,
) -> None:
    """Write the whole pair as one folder of files, without secrets, for git."""
    from isthmus.operate import folder

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(folder.export, name)

    files = run(work, as_json=as_json)
    folder.write_folder(files, where)
    if as_json:
        say_json({"pair": name, "files": sorted(files)})
    else:
        out.print(f"Wrote {len(files)} files to {where}.", highlight=False)


@app.command()
def diff(where: Path = _FOLDER, as_json: bool = JSON) -> None:
    """Show what applying a folder would change. Exits with 3 when anything would."""
    from isthmus.operate import pairs

    files = _read(where, as_json)

    async def work(runtime: Any) -> Any:
        return await runtime.db.run(pairs.diff, files)

    changed = str(run(work, as_json=as_json))
    say_json({"diff": changed}) if as_json else out.print(changed or "Nothing would change.", markup=False)
    if changed:
        raise typer.Exit(3)


@app.command()
def apply(where: Path = _FOLDER, as_json: bool = JSON) -> None:
    """Make a folder the pair's next version, once it is proven to fit both systems."""
    from isthmus.operate import pairs

    files = _read(where, as_json)

    async def work(runtime: Any) -> Any:
        return await pairs.apply(runtime, files, actor=actor())

    pair_id, version = run(work, as_json=as_json)
    say_json({"id": pair_id, "version": version}) if as_json else out.print(f"Applied: version {version} now.")


@app.command("custom-fields")
def custom_fields(
    name: str = typer.Argument(help="The pair."),
    entity: str = typer.Argument(help="The entity, such as customer."),
    map_: list[str] = typer.Option([], "--map", help="A field to map at once; may be given several times."),
    as_json: bool = JSON,
) -> None:
    """Show custom fields of both systems that belong together, and map them: they then travel both ways."""
    from dataclasses import asdict

    from rich.table import Table

    from isthmus.operate import customfields

    async def work(runtime: Any) -> Any:
        if not map_:
            return await customfields.offered(runtime, name, entity), None
        return await customfields.map_fields(runtime, name, entity, map_, actor=actor())

    found, version = run(work, as_json=as_json)
    if as_json:
        say_json({"version": version, "fields": [asdict(one) for one in found]})
        return
    if not found:
        out.print("No custom field of one system looks like one of the other.")
        return
    table = Table("name", "label", "left", "right", "type")
    for one in found:
        table.add_row(one.name, one.label, one.left, one.right if one.likeness else f"{one.right} (new)", one.type)
    out.print(table)
    if version is None:
        out.print(f"Map one with: isthmus pair custom-fields {name} {entity} --map {found[0].name}", highlight=False)
    else:
        out.print(f"Mapped: version {version} now.", highlight=False)


def _read(where: Path, as_json: bool) -> dict[str, str]:
    from isthmus.errors import IsthmusError
    from isthmus.operate import folder

    try:
        return folder.read_folder(where)
    except IsthmusError as error:
        fail(error, as_json=as_json)
