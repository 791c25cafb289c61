"""Runs the sandbox from the command line: `python -m isthmus.sandbox.odoo --port 0 --print-ready`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from .app import Running, running
from .settings import Settings


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="isthmus.sandbox.odoo", description="An Odoo-compatible sandbox server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, help="append-only file that keeps the rows; in memory without it")
    parser.add_argument("--database", default="sandbox")
    parser.add_argument("--login", default="sync@example.test", help="the integration user's login")
    parser.add_argument("--password", help="the integration user's password")
    parser.add_argument("--api-key", help="the integration user's key; made up when left out")
    parser.add_argument("--low-key", help="the key of the user without rights on master data")
    parser.add_argument("--odoo-admin-key", help="the key of Odoo's administrator")
    parser.add_argument("--admin-key", help="opens the sandbox's own /sandbox switches")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every call, to imitate Odoo's cost")
    parser.add_argument("--print-ready", action="store_true", help="print one JSON line when it answers")
    return parser.parse_args()


def ready_line(up: Running) -> str:
    """Return what a starter needs to know, keys included, as one JSON line."""
    told = up.settings
    return json.dumps(
        {
            "url": up.url,
            "database": told.database,
            "login": told.login,
            "password": told.password,
            "api_key": told.api_key,
            "low_login": told.low_login,
            "low_key": told.low_key,
            "odoo_admin_login": told.odoo_admin_login,
            "odoo_admin_key": told.odoo_admin_key,
            "admin_key": told.admin_key,
            "pid": os.getpid(),
        }
    )


async def _serve(settings: Settings, print_ready: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as up:
        if print_ready:
            sys.stdout.write(ready_line(up) + "\n")
            sys.stdout.flush()
        await stop.wait()


def main() -> None:
    """Serve until told to stop."""
    told = vars(_arguments())
    print_ready = told.pop("print_ready")
    given: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    asyncio.run(_serve(Settings(**given), print_ready))


if __name__ == "__main__":
    main()
