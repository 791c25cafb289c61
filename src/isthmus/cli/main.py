"""The command `isthmus`: every verb is loaded only when it is used, so that help comes at once."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("isthmus.cli.serve", "Run the service: API, webhooks, lanes and pollers."),
    "demo": ("isthmus.cli.demo", "Two sandboxes, 1,600 records and a running pair, ready to edit."),
    "connection": ("isthmus.cli.connection", "Connections: add, list, doctor, rotate, hooks."),
    "pair": ("isthmus.cli.pair", "Pairs: add, list, pause, resume, export, diff, apply."),
    "discover": ("isthmus.cli.discover", "What a system has: entities, fields, counts."),
    "preview": ("isthmus.cli.preview", "A record through its Mapping, step by step; writes nothing."),
    "lookup": ("isthmus.cli.lookup", "Look-up tables: list, import from CSV or Excel, export."),
    "load": ("isthmus.cli.load", "The initial load: predicted first, then committed."),
    "sync": ("isthmus.cli.sync", "Look again at records by key, filter or date; dry run first."),
    "sweep": ("isthmus.cli.sweep", "Compare everything and have what differs looked at again."),
    "status": ("isthmus.cli.status", "How the pairs stand: books, what is open, how fresh."),
    "trace": ("isthmus.cli.trace", "Everything that ever happened to a record."),
    "undo": ("isthmus.cli.undo", "Undo a change set from its before-images; newer edits are kept."),
    "conflicts": ("isthmus.cli.conflicts", "Fields both sides changed: list and settle."),
    "deadletters": ("isthmus.cli.deadletters", "What needs a person: list, show, edit, retry, discard."),
    "connector": ("isthmus.cli.connector", "Connectors: list, and scaffold a new one."),
    "key": ("isthmus.cli.key", "The master key: show its id, rotate it while everything runs."),
    "sandbox": ("isthmus.cli.sandbox", "Run a stand-in: BNG Business API, or an Odoo-compatible server."),
}


class _Group(TyperGroup):
    """Lists every command from the table; imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, summary = COMMANDS[cmd_name]
        if not _called(cmd_name):
            return TyperCommand(cmd_name, help=summary, short_help=summary)
        command = typer.main.get_command(importlib.import_module(module).app)
        command.name = cmd_name
        return command


def _called(name: str) -> bool:
    """Whether this run is about that command, rather than listing all of them."""
    return name in sys.argv[1:] or bool(os.environ.get("_ISTHMUS_COMPLETE"))


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Isthmus keeps Odoo ERP and BNG in agreement, and proves it.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Show the version and exit.")) -> None:
    if version:
        from isthmus import __version__

        typer.echo(f"isthmus {__version__}")
        raise typer.Exit


def main(argv: Sequence[str] | None = None) -> Any:
    """Entry point: exit 0 done, 1 a clear error, 2 wrong usage, 3 done but something differs."""
    return app(args=list(argv) if argv is not None else None)
