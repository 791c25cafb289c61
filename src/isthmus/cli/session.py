"""One command's session: database, keys and runtime opened and closed, errors told as sentences."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from isthmus.errors import IsthmusError

T = TypeVar("T")

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

JSON = typer.Option(False, "--json", help="Answer with JSON on standard output, nothing else.")


def actor() -> str:
    """Who gave the command, for the audit log."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return "command line"


def run(work: Callable[[Any], Awaitable[T]], *, as_json: bool = False) -> T:
    """Open the installation, do the work, close it again; an IsthmusError ends the command with exit code 1."""
    done: list[T] = []
    try:
        asyncio.run(_run(work, done))
        return done[0]
    except IsthmusError as error:
        fail(error, as_json=as_json)


def fail(error: IsthmusError, *, as_json: bool = False) -> NoReturn:
    """Tell an error, then end with exit code 1."""
    print_error(error, as_json=as_json)
    raise typer.Exit(1)


def print_error(error: IsthmusError, *, as_json: bool = False) -> None:
    """One block: what was being done, what was answered, what to do next. With JSON, one document."""
    if as_json:
        say_json({"error": error.as_dict()})
        return
    err.print(f"[bold red]{_TITLES[error.action]}[/] [dim]({error.kind})[/]", highlight=False)
    for name, said in (("doing", error.doing), ("answered", error.answered), ("next", error.hint)):
        if said:
            err.print(f"  {name:<9}{said}", highlight=False, markup=False)


_TITLES = {
    "retry": "Not just now",
    "reject": "This record cannot pass",
    "halt": "This needs you",
}


async def _run(work: Callable[[Any], Awaitable[T]], done: list[T]) -> None:
    """What comes of it is put into `done`: asyncio writes out whatever its main task returns when it ends."""
    from isthmus.operate.opening import opened

    async with opened() as runtime:
        done.append(await work(runtime))


def say_json(value: Any) -> None:
    """Print one JSON document."""
    import json

    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False))


def plain(value: Any) -> str:
    """A stored value as a person reads it: empty as a dash, text without quotes, the rest as JSON."""
    import json

    from rich.markup import escape

    if value is None or value == "":
        return "—"
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def grid(*columns: str, title: str = "") -> Table:
    """An empty table that spends its width on what it holds."""
    return Table(*columns, title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def print_rows(table: Table, otherwise: str) -> None:
    """Print a table, or a sentence where it has no rows."""
    out.print(table if table.row_count else otherwise, highlight=False)


class Bars:
    """Progress bars on standard error, one per (entity, stage); silent with --json or without a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=err,
            disable=quiet or not err.is_terminal,
            transient=True,
        )
        self._tasks: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def __call__(self, entity: str, stage: str, done: int, total: int | None) -> None:
        task = self._tasks.get((entity, stage))
        if task is None:
            task = self._tasks[entity, stage] = self._progress.add_task(f"{entity}: {stage}", total=total)
        self._progress.update(task, completed=done, total=total)
