"""Writes docs/reference from the code; with --check it only says what is out of date, and ends with 1.

python tools/docs.py
python tools/docs.py --check
"""

import argparse
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from isthmus import errors
from isthmus.cli.main import COMMANDS, EXIT_CODES, GROUPS
from isthmus.flows.node import node_types
from isthmus.mapping.model import Clear, FieldMap, Instead, Mapping
from isthmus.mapping.transform import catalogue
from isthmus.model.entities import ENTITIES
from isthmus.model.pairfile import EntityFile, FieldPolicyFile, GuardFile, PairFile, SideFile
from isthmus.model.policy import Deletes, Empties, FieldPolicy, Rule
from isthmus.sdk.registry import installed

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Written by `make docs` from the code; edit the code. -->"

ENVIRONMENT = {
    "DATABASE_URL": "Your PostgreSQL 14 or newer; without it an embedded one is started.",
    "ISTHMUS_FOLDERS": "Folders that `folder` connections may use, divided by `:`. Default `files` in the home.",
    "ISTHMUS_HOME": "The folder of the installation: embedded database, master key, local token. Default `~/.isthmus`.",
    "ISTHMUS_MASTER_KEY": "The master key as 64 hexadecimal digits, in place of the file `master.key`.",
    "ISTHMUS_MASTER_KEY_COMMAND": "A command that prints the master key: the client of a key service.",
    "ISTHMUS_MASTER_KEY_OLD": "Older master keys, separated by spaces, still readable while a rotation is under way.",
}
"""Environment variables that the product reads; a test compares them with the code."""


def cell(text: Any) -> str:
    """A text as it may stand in a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join(lines + [f"| {' | '.join(cell(value) for value in row)} |" for row in rows])


def type_of(annotation: Any) -> str:
    """A type as a person writes it."""
    text = inspect.formatannotation(annotation) if not isinstance(annotation, str) else annotation
    text = text.replace("isthmus.model.secret.Secret", "secret")
    for long in ("typing.", "isthmus.model.policy.", "isthmus.mapping.model.", "isthmus.model.pairfile.", "isthmus."):
        text = text.replace(long, "")
    return text


def form(model: type[BaseModel]) -> str:
    """The fields of a form: name, type, default, sentence."""
    rows = []
    for name, field in model.model_fields.items():
        default = "" if field.default is PydanticUndefined or field.default is None else field.default
        if isinstance(default, BaseModel):
            default = "as below"
        needed = "required" if field.is_required() else f"`{default}`" if default not in ("", [], {}) else ""
        rows.append((f"`{field.alias or name}`", f"`{type_of(field.annotation)}`", needed, field.description or ""))
    return table(("name", "type", "default", "what it is"), rows)


def error_page() -> str:
    """Every error, grouped by what happens next."""
    out = [NOTE, "# Errors", "", "Grouped by what happens next. Each says what was being done, with which record,"]
    out += ["what the system answered, and what to do. Anything else halts; it never loops.", ""]
    for group in (errors.Retry, errors.Reject, errors.Halt):
        out += [f"## {group.__name__}", "", inspect.getdoc(group) or "", ""]
        rows = [(f"`{kind.__name__}`", inspect.getdoc(kind), kind.default_hint) for kind in group.__subclasses__()]
        out += [table(("kind", "what happened", "what to do"), rows), ""]
    return "\n".join(out)


def option(parameter: Any) -> tuple[str, str]:
    """An option or argument as it is typed, and its sentence."""
    names = sorted({*parameter.opts, *parameter.secondary_opts}, key=lambda name: (-len(name), name))
    if parameter.param_type_name == "argument":
        shown = parameter.name.upper()
        return f"`{shown}`" if parameter.required else f"`[{shown}]`", getattr(parameter, "help", "") or ""
    many = " (several)" if parameter.multiple else ""
    default = parameter.default
    told = (
        f" Default `{default}`." if isinstance(default, str | int | float) and default not in ("", False, True) else ""
    )
    need = " Required." if parameter.required else ""
    return f"`{'` `'.join(names)}`{many}", f"{getattr(parameter, 'help', '') or ''}{need}{told}"


def command_text(path: str, command: Any) -> list[str]:
    """One command that can be given."""
    shown = [p for p in command.params if p.name != "help"]
    usage = " ".join([path, *(f"[{p.name.upper()}]" if not p.required else p.name.upper()
                              for p in shown if p.param_type_name == "argument")])  # fmt: skip
    out = [f"### {path.removeprefix('isthmus ')}", "", inspect.cleandoc(command.help or ""), "", f"    {usage}", ""]
    if shown:
        out += [table(("argument", "what it is"), [option(p) for p in shown]), ""]
    return out


def cli_page() -> str:
    """Every command of the command line."""
    out = [
        NOTE,
        "# Command line",
        "",
        "Every command answers `--help`; every command that answers at all takes `--json`.",
    ]
    out += ["", table(("exit code", "meaning"), EXIT_CODES.items()), ""]
    for title, commands in GROUPS.items():
        out += [f"## {title}", ""]
        for name in commands:
            found = typer.main.get_command(importlib.import_module(COMMANDS[name][0]).app)
            parts = getattr(found, "commands", None)
            for verb, part in (parts or {"": found}).items():
                out += command_text(f"isthmus {name} {verb}".strip(), part)
    return "\n".join(out)


def settings_page() -> str:
    """Every setting: of the environment, of a pair, of a Mapping, of each connector."""
    out = [NOTE, "# Settings", "", "## Environment", ""]
    out += [table(("variable", "what it is"), ((f"`{n}`", told) for n, told in ENVIRONMENT.items())), ""]
    out += ["## Every Connection", "", "Beside the settings of its connector:", ""]
    out += [table(("name", "what it is"), (
        ("`allow_loopback`", "Whether addresses of this machine may be called; for stand-ins."),
        ("`allow_private_network`", "Whether private addresses may be called; for systems of your own network."),
    )), ""]  # fmt: skip
    for kind in installed():
        out += [f"## Connector `{kind.key}`: {kind.name}", "", kind.summary, "", form(kind.settings), ""]
        out += [*(f"- Known limit: {limit}" for limit in kind.known_limits), ""]
    pages: tuple[tuple[str, type[BaseModel]], ...] = (
        ("The pair file", PairFile), ("An entity of a pair", EntityFile), ("One side of an entity", SideFile),
        ("The Policy of a field", FieldPolicyFile), ("The guard", GuardFile), ("A Mapping", Mapping),
        ("A field of a Mapping", FieldMap), ("`instead`", Instead), ("`clear`", Clear),
    )  # fmt: skip
    for title, model in pages:
        out += [f"## {title}", "", inspect.getdoc(model) or "", "", form(model), ""]
    return "\n".join(out)


def transform_page() -> str:
    """The catalogue of transforms with options and examples."""
    out = [
        NOTE,
        "# Transforms",
        "",
        "Steps of a Mapping, from a system's value to the canonical one; most have an inverse.",
    ]
    out += ["Every example runs as a test.", ""]
    for group in sorted({one.group for one in catalogue()}):
        out += [f"## {group}", ""]
        for one in (found for found in catalogue() if found.group == group):
            out += [f"### {one.name}: {one.label}", "", one.help, ""]
            options = one.options.get("properties", {})
            if options:
                out += [
                    table(("option", "what it is"), ((f"`{n}`", o.get("description", "")) for n, o in options.items())),
                    "",
                ]
            rows = [
                (f"`{json.dumps(e.raw, default=str, ensure_ascii=False)}`",
                 f"`{json.dumps(dict(e.options), default=str, ensure_ascii=False)}`" if e.options else "",
                 e.problem or f"`{json.dumps(e.value, default=str, ensure_ascii=False)}`")
                for e in one.examples
            ]  # fmt: skip
            out += [table(("read", "with", "gives"), rows), ""]
    return "\n".join(out)


def policy_words(policy: FieldPolicy) -> str:
    """A default Policy in one line."""
    told = str(policy.rule)
    if policy.rule is Rule.NEWEST:
        told += f", else {policy.otherwise}"
    if policy.empties is Empties.KEEP:
        told += ", empties stay"
    return told + (", strict" if policy.strict else "")


def entity_page() -> str:
    """The canonical entities, field by field, with their default Policies."""
    out = [
        NOTE,
        "# Entities",
        "",
        "The neutral form in the middle. The Policy is the one a field has unless the pair says",
    ]
    out += [f"otherwise: {', '.join(Rule)}; deletes are {', '.join(Deletes)}.", ""]
    for entity in ENTITIES.values():
        keys = ", ".join(f"{key.field}{'' if key.strong else ' (proposes only)'}" for key in entity.match)
        out += [f"## {entity.name}", "", f"{entity.label}. Found again by: {keys or 'nothing but its Link'}.", ""]
        rows = [
            (f"`{f.name}`", str(f.type) + (f" → {f.target}" if f.target else ""), policy_words(f.policy), f.help)
            for f in entity.fields.values()
        ]
        out += [table(("field", "type", "Policy", "what it is"), rows), ""]
    return "\n".join(out)


def schema_rows(schema: dict[str, Any], known: dict[str, Any], before: str = "") -> list[tuple[str, str, str, str]]:
    """The fields of a JSON Schema, those of lists of rows below their list."""
    rows = []
    for name, spec in schema.get("properties", {}).items():
        kinds = [one.get("format") or one.get("type", "") for one in spec.get("anyOf", [spec])]
        kind = "decimal" if "number" in kinds else " or ".join(one for one in kinds if one and one != "null")
        if "enum" in spec:
            kind = " or ".join(f"`{one}`" for one in spec["enum"])
        need = "required" if name in schema.get("required", ()) else ""
        rows.append((f"`{before}{name}`", kind, need, spec.get("description", "")))
        inner = spec.get("items", {}).get("$ref", "").rpartition("/")[2]
        if inner:
            rows += schema_rows(known[inner], known, f"{before}{name}[].")
    return rows


def operations_page() -> str:
    """The operations of every connector that has some, with their forms."""
    out = [NOTE, "# Operations", ""]
    out += [
        "What a system can be asked to do with its documents, beyond writing their fields. Flows call them by name;"
    ]
    out += [
        "`isthmus connection call` tries one. Each is safe to repeat under the same key: what is done is found, and"
    ]
    out += ["not done again. Held meanwhile is the document whose other operations wait until this one has ended.", ""]
    for kind in installed():
        try:
            found = importlib.import_module(f"isthmus.connectors.{kind.key}.operations").OPERATIONS
        except ModuleNotFoundError:
            continue
        out += [f"## {kind.name}", ""]
        for one in found:
            held = ", ".join(f"{entity} by `{name}`" for name, entity in one.lease.items())
            schema = one.input.model_json_schema()
            rows = schema_rows(schema, schema.get("$defs", {}))
            out += [f"### {one.name}", "", one.summary, "", table(("field", "type", "", "what it is"), rows), ""]
            out += [
                *(f"- Held meanwhile: {held}." for _ in [held] if held),
                *(["- It books money."] if one.money else []),
            ]
            out += [f"- The login needs: {', '.join(one.needs)}." for _ in [one.needs] if one.needs]
            out += ["- It gives: " + ", ".join(f"`{name}`" for name in one.result.model_fields) + ".", ""]
    return "\n".join(out)


def node_page() -> str:
    """Every node of flows that ships: its ports, its fields, its sample."""
    out = [
        NOTE,
        "# Nodes",
        "",
        "What a flow is made of. `isthmus flow schema` gives the same as a JSON Schema, with the",
    ]
    out += [
        "nodes of installed packages. Every node may have `title`, `note`, `to` and `retry`, and the port `error`.",
        "",
    ]
    kinds = list(dict.fromkeys(node_types().values()))
    for group in dict.fromkeys(str(kind.GROUP) for kind in sorted(kinds, key=lambda k: str(k.GROUP))):
        out += [f"## {group}", ""]
        for kind in (one for one in kinds if str(one.GROUP) == group):
            out += [f"### {kind.kind()}: {kind.LABEL}", "", inspect.getdoc(kind) or "", ""]
            out += [f"- Port `{port}`: {told}" for port, told in kind.PORTS.items()] + [""]
            rows = [
                (f"`{field.alias or name}`", "required" if field.is_required() else "", field.description or "")
                for name, field in kind.model_fields.items()
                if name not in ("type", "title", "note", "to", "retry")
            ]
            out += [table(("field", "", "what it is"), rows), ""] if rows else []
            sample = kind.SAMPLE
            told = ((name, json.dumps(dict(value), ensure_ascii=False)) for name, value in (
                ("with", sample.config), ("takes", sample.input), ("gives", sample.output)))  # fmt: skip
            out += [table(("sample", ""), ((name, f"`{value}`") for name, value in told)), ""]
    return "\n".join(out)


def entity_file() -> str:
    """The schema of the files that describe a pair's own Entities."""
    from isthmus.mapping.entityfile import EntityDescription

    return json.dumps(EntityDescription.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def openapi() -> str:
    """The description of the management API."""
    from isthmus.api.app import create_app

    return json.dumps(create_app(SimpleNamespace()).openapi(), indent=1, ensure_ascii=False) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "errors.md": error_page,
    "cli.md": cli_page,
    "settings.md": settings_page,
    "transforms.md": transform_page,
    "entities.md": entity_page,
    "entity-file.json": entity_file,
    "operations.md": operations_page,
    "nodes.md": node_page,
    "openapi.json": openapi,
}


def written() -> dict[str, str]:
    """Every page as it has to be."""
    return {name: page().rstrip() + "\n" for name, page in PAGES.items()}


def main() -> int:
    """Writes or checks the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; say what is out of date")
    only_check = parser.parse_args().check
    REFERENCE.mkdir(parents=True, exist_ok=True)
    stale = [n for n, t in written().items() if not (REFERENCE / n).exists() or (REFERENCE / n).read_text() != t]
    for name in stale:
        if not only_check:
            (REFERENCE / name).write_text(written()[name])
        sys.stdout.write(f"{'out of date' if only_check else 'wrote'} docs/reference/{name}\n")
    return 1 if only_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
