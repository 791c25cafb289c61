"""`isthmus connector`: which systems can be connected, and the beginnings of a new one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from isthmus.cli.session import JSON, fail, out, say_json
from isthmus.errors import IsthmusError, Misconfigured

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Kinds of systems that can be connected.")


@app.command("list")
def listing(as_json: bool = JSON) -> None:
    """List connectors: those that are installed, and systems described by a manifest in the connectors folder."""
    from isthmus.sdk import registry

    try:
        found = [(kind, "installed") for kind in registry.installed()]
        found += [(kind, "described") for kind in registry.described()]
    except IsthmusError as error:
        fail(error, as_json=as_json)
    if as_json:
        say_json([told(kind, origin) for kind, origin in found])
        return
    table = Table("key", "name", "what it connects", "support", "from")
    for kind, origin in found:
        table.add_row(kind.key, kind.name, kind.summary, kind.support, origin)
    out.print(table)
    out.print(f"Manifests are looked for in {', '.join(map(str, registry.folders()))}.", highlight=False, markup=False)


@app.command()
def show(key: str = typer.Argument(help="The connector's key."), as_json: bool = JSON) -> None:
    """Show a connector's settings, secrets and known limits: what `isthmus connection add` takes."""
    from isthmus.sdk.registry import find

    try:
        kind = find(key)
    except IsthmusError as error:
        fail(error, as_json=as_json)
    facts = told(kind, "")
    if as_json:
        say_json(facts)
        return
    out.print(f"{kind.name}: {kind.summary}", highlight=False, markup=False)
    table = Table("setting", "needed", "what it is")
    for one in facts["settings"]:
        name = f"{one['name']} (secret)" if one["secret"] else one["name"]
        table.add_row(name, "yes" if one["required"] else "", one["help"])
    out.print(table)
    for limit in kind.known_limits:
        out.print(f"- {limit}", highlight=False, markup=False)


@app.command()
def new(
    name: str = typer.Argument(help="The key of the new connector: acme_crm."),
    openapi: Path = typer.Option(None, "--openapi", help="The system's OpenAPI 3 document, JSON or YAML."),
    into: Path = typer.Option(None, "--into", help="The folder to make; isthmus-NAME here when left out."),
    only_manifest: bool = typer.Option(
        False, "--only-manifest", help="No package: put a manifest into the connectors folder, ready to use."
    ),
    as_json: bool = JSON,
) -> None:
    """Make a connector package whose tests pass at once, or only a manifest; existing files are never overwritten."""
    from isthmus.sdk import registry

    try:
        made = _scaffold(name, openapi)
        if only_manifest:
            files = {f"{name}.yaml": next(t for p, t in made.files.items() if p.endswith("/manifest.yaml"))}
            folder = into or registry.folders()[0]
        else:
            files, folder = dict(made.files), into or Path(f"isthmus-{name.replace('_', '-')}")
        _write(folder, files)
    except IsthmusError as error:
        fail(error, as_json=as_json)
    if as_json:
        say_json({"folder": str(folder), "files": sorted(files), "doubts": list(made.doubts)})
        return
    for path in sorted(files):
        out.print(f"{folder / path}", highlight=False, markup=False)
    for doubt in made.doubts:
        out.print(f"look at: {doubt}", highlight=False, markup=False)
    following = f"isthmus connection add my-{name} --kind {name} --url https://…"
    if not only_manifest:
        following = f"cd {folder} && pip install -e . pytest pytest-asyncio && pytest"
    out.print(f"next: {following}", highlight=False, markup=False)


def told(kind: Any, origin: str) -> dict[str, Any]:
    """A connector as plain values."""
    secrets = set(kind.secret_names())
    settings = [
        {"name": n, "help": f.description or "", "required": f.is_required(), "secret": n in secrets}
        for n, f in kind.settings.model_fields.items()
    ]
    return {
        "key": kind.key,
        "name": kind.name,
        "summary": kind.summary,
        "support": kind.support,
        "known_limits": list(kind.known_limits),
        "from": origin,
        "settings": settings,
    }


def _scaffold(name: str, openapi: Path | None) -> Any:
    from isthmus.sdk import registry

    doing = f"making the connector {name!r}"
    known = [kind.key for kind in [*registry.installed(), *registry.described()]]
    if name in known:
        raise Misconfigured(f"{doing}: there is one with this key", hint=f"Taken are {', '.join(sorted(known))}.")
    general = next((kind.scaffold for kind in registry.installed() if kind.scaffold), None)
    if general is None:
        raise Misconfigured(f"{doing}: no installed connector makes new ones", hint="Install isthmus again.")
    return general(name, None if openapi is None else _document(openapi, doing))


def _document(path: Path, doing: str) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misconfigured(f"{doing}: {path} cannot be read: {error}", hint="Give an OpenAPI 3 document.") from error
    if not isinstance(found, Mapping):
        raise Misconfigured(f"{doing}: {path} holds no document", hint="Give an OpenAPI 3 document, JSON or YAML.")
    return found


def _write(folder: Path, files: Mapping[str, str]) -> None:
    there = [path for path in files if (folder / path).exists()]
    if there:
        raise Misconfigured(
            f"writing to {folder}: {', '.join(sorted(there))} is there already",
            hint="Give another folder with --into; nothing was written.",
        )
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
