"""Runs the gateway from the command line: `python -m isthmus.sandbox.gateway --port 0 --print-ready`."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ..parts.starting import serve_or_exit
from .app import Running, running
from .settings import Settings


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="isthmus.sandbox.gateway", description="A stand-in for the BNG Gateway.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, help="SQLite file that keeps everything; in memory without it")
    parser.add_argument("--security-key", help="the merchant account's key; new at every start without")
    parser.add_argument("--signing-key", help="signs webhooks; new at every start without")
    parser.add_argument("--admin-key", help="opens the sandbox's own /sandbox switches; new at every start without")
    parser.add_argument("--print-ready", action="store_true", help="print one JSON line when it answers")
    return parser.parse_args()


def ready_line(up: Running) -> str:
    """What a starter needs to know, secrets included, as one JSON line."""
    told = up.settings
    return json.dumps(
        {
            "url": up.url,
            "security_key": told.security_key,
            "signing_key": told.signing_key,
            "admin_key": told.admin_key,
            "pid": os.getpid(),
        }
    )


def main() -> None:
    """Serve until told to stop."""
    told = vars(_arguments())
    print_ready = told.pop("print_ready")
    given: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    serve_or_exit(running(Settings(**given)), ready_line if print_ready else None)


if __name__ == "__main__":
    main()
