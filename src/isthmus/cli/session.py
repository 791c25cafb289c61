"""One command's session: database, keys and runtime opened and closed, errors told as sentences."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from isthmus.errors import IsthmusError

T = TypeVar("T")

out = Console(soft_wrap=True)
err = Console(stderr=True)

JSON = typer.Option(False, "--json", help="Answer with JSON on standard output, nothing else.")


def actor() -> str:
    """Who gave the command, for the audit log."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return "command line"


def run(work: Callable[[Any], Awaitable[T]], *, as_json: bool = False) -> T:
    """Open the installation, do the work, close it again; an IsthmusError ends the command with exit code 1."""
    try:
        return asyncio.run(_run(work))
    except IsthmusError as error:
        fail(error, as_json=as_json)


def fail(error: IsthmusError, *, as_json: bool = False) -> NoReturn:
    """Tell an error: what was being done, what was answered, what to do next. Exits with 1."""
    if as_json:
        typer.echo(json.dumps({"error": error.as_dict()}, default=str))
    else:
        err.print(f"[bold red]{error.kind}[/] {error.doing}", highlight=False)
        if error.answered:
            err.print(f"  answered: {error.answered}", highlight=False, markup=False)
        if error.hint:
            err.print(f"  next: {error.hint}", highlight=False, markup=False)
    raise typer.Exit(1)


async def _run(work: Callable[[Any], Awaitable[T]]) -> T:
    from isthmus.operate.opening import opened

    async with opened() as runtime:
        return await work(runtime)


def say_json(value: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


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
