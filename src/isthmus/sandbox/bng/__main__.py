"""Runs the sandbox from the command line: `python -m isthmus.sandbox.bng --port 0 --print-ready`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from .app import Running, running
from .settings import Settings


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="isthmus.sandbox.bng", description="A stand-in for the BNG Business API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, help="SQLite file that keeps everything; in memory without it")
    parser.add_argument("--client-id", help="the service account's id")
    parser.add_argument("--client-secret", help="the service account's secret; new at every start without")
    parser.add_argument("--admin-key", help="opens the sandbox's own /sandbox switches; new at every start without")
    parser.add_argument("--webhook-secret", help="the secret to register webhooks with; new at every start without")
    parser.add_argument("--print-ready", action="store_true", help="print one JSON line when it answers")
    return parser.parse_args()


def ready_line(up: Running) -> str:
    """What a starter needs to know, secrets included, as one JSON line."""
    told = up.settings
    return json.dumps(
        {
            "url": up.url,
            "client_id": told.client_id,
            "client_secret": told.client_secret,
            "admin_key": told.admin_key,
            "webhook_secret": told.webhook_secret,
            "pid": os.getpid(),
        }
    )


async def serve(settings: Settings, ready: Callable[[Running], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called once the server answers."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as up:
        ready(up)
        await stop.wait()


def _print_ready(up: Running) -> None:
    sys.stdout.write(ready_line(up) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until told to stop."""
    told = vars(_arguments())
    print_ready = told.pop("print_ready")
    given: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    try:
        uvloop.run(serve(Settings(**given), _print_ready if print_ready else lambda _: None))
    except (OSError, ValueError) as error:
        sys.exit(f"The sandbox cannot start. {error}")


if __name__ == "__main__":
    main()
