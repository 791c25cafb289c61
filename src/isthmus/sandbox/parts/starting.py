"""Runs a stand-in from the shell: until a signal, with a line for the program that started it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import uvloop

Up = TypeVar("Up")


def serve(context: AbstractAsyncContextManager[Up], ready: Callable[[Up], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called once the server answers. Raises OSError and ValueError."""

    async def whole() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with context as up:
            ready(up)
            await stop.wait()

    uvloop.run(whole())


def serve_or_exit(context: AbstractAsyncContextManager[Up], line: Callable[[Up], str] | None) -> None:
    """The same for `python -m`: `line` is printed when it answers; a start that fails ends with a sentence."""

    def ready(up: Up) -> None:
        if line is not None:
            sys.stdout.write(line(up) + "\n")
            sys.stdout.flush()

    try:
        serve(context, ready)
    except (OSError, ValueError) as error:
        sys.exit(f"The sandbox cannot start. {error}")
