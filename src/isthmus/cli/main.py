"""The command `isthmus`: every verb is loaded only when it is used, so that help comes at once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Set up": {
        "connection": ("isthmus.cli.connection", "Connections: add, list, doctor, rotate, accept, hooks."),
        "pair": ("isthmus.cli.pair", "Pairs: add, list, pause, resume, export, diff, apply."),
        "lookup": ("isthmus.cli.lookup", "Look-up tables: list, import from CSV or Excel, export."),
        "discover": ("isthmus.cli.discover", "What a system has: entities, fields, counts."),
        "preview": ("isthmus.cli.preview", "A record through its Mapping, step by step; writes nothing."),
    },
    "Keep in agreement": {
        "load": ("isthmus.cli.load", "The initial load: predicted first, then committed."),
        "serve": ("isthmus.cli.serve", "Run the service: API, webhooks, lanes and pollers."),
        "sync": ("isthmus.cli.sync", "Look again at records by key, filter or date; dry run first."),
        "sweep": ("isthmus.cli.sweep", "Compare everything and have what differs looked at again."),
    },
    "Run processes": {
        "flow": ("isthmus.cli.flow", "Flows: list, show, run, import, export, bind, publish, rollback, schema."),
        "run": ("isthmus.cli.run", "Runs: list, show each item's path, cancel, resume, replay, signal."),
        "approvals": ("isthmus.cli.approvals", "What flows ask people: list, decide."),
        "lint": ("isthmus.cli.lint", "What is wrong with flow files: file, line, node and fix."),
        "test": ("isthmus.cli.test", "The tests that flow files carry."),
    },
    "See and decide": {
        "status": ("isthmus.cli.status", "How the pairs stand: books, what is open, how fresh."),
        "trace": ("isthmus.cli.trace", "Everything that ever happened to a record, with the reasons."),
        "journey": ("isthmus.cli.journey", "An order across systems: documents, money, and the Runs it went through."),
        "conflicts": ("isthmus.cli.conflicts", "Fields both sides changed: list, show, settle."),
        "deadletters": ("isthmus.cli.deadletters", "What needs a person: list, show, edit, retry, discard."),
        "undo": ("isthmus.cli.undo", "Undo a change set from its before-images; newer edits are kept."),
    },
    "Administer": {
        "token": ("isthmus.cli.token", "API tokens: add, list, revoke."),
        "client": ("isthmus.cli.client", "Clients of the canonical REST API: add, list, revoke."),
        "key": ("isthmus.cli.key", "The master key: show its id, rotate it while everything runs."),
        "connector": ("isthmus.cli.connector", "Connectors: list, and scaffold a new one."),
    },
    "Try": {
        "demo": ("isthmus.cli.demo", "Two sandboxes, 1,600 records and a running pair, ready to edit."),
        "sandbox": ("isthmus.cli.sandbox", "Run a stand-in: BNG, its gateway, a shop, or an Odoo-compatible server."),
    },
}
"""Every command in the order a person meets them: its module and its sentence."""

COMMANDS: dict[str, tuple[str, str]] = {name: entry for group in GROUPS.values() for name, entry in group.items()}

EXIT_CODES = {
    0: "done",
    1: "an error: one block says what was being done, what was answered, and what to do next",
    2: "the command was not written as it has to be",
    3: "done, and something differs, would change or is a problem (sweep, pair diff, connection doctor)",
}


class _Group(TyperGroup):
    """Lists every command from the table, without loading any; imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        command = typer.main.get_command(importlib.import_module(COMMANDS[cmd_name][0]).app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, summary) for name, (_, summary) in commands.items()], col_max=12)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), said) for code, said in EXIT_CODES.items()], col_max=12)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich takes 0.2 s to load, more than the rest of the help together
    help="Isthmus keeps Odoo ERP and BNG in agreement, and proves it. `isthmus COMMAND --help` tells the rest.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Show the version and exit.")) -> None:
    if version:
        from isthmus import __version__

        typer.echo(f"isthmus {__version__}")
        raise typer.Exit


def main(argv: Sequence[str] | None = None) -> Any:
    """Entry point; the exit codes are those of EXIT_CODES. Nothing ends in a traceback on the screen."""
    arguments = list(argv) if argv is not None else sys.argv[1:]
    try:
        return app(args=arguments)
    except Exception as error:
        from isthmus.cli.unexpected import tell

        tell(error, arguments)
        sys.exit(1)
