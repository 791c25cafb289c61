"""The demo's own folder: made, locked while the demo runs, and emptied only when it is surely a demo's."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from isthmus.errors import Misconfigured
from isthmus.store.postgres import stop_embedded

MARK = "demo.json"
"""The file by which a folder is known as a demo's; it holds how people get into both systems."""
DEFAULT = Path(".isthmus") / "demo"


class Home:
    """One demo folder: database, keys, and both sandboxes' records."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for the time of the block; raises Misconfigured while another demo runs in it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with (self.path.parent / f"{self.path.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Misconfigured(
                    f"starting the demo in {self.path}",
                    answered="another demo is running there",
                    hint="Use that one, end it with Ctrl-C, or give this one a folder of its own with --home.",
                ) from error
            yield

    def empty(self) -> None:
        """Start anew: remove everything a demo left here. Refuses a folder that no demo has made."""
        if self.path.exists() and any(self.path.iterdir()):
            if not (self.path / MARK).is_file():
                raise Misconfigured(
                    f"starting the demo in {self.path}",
                    answered="the folder holds other files",
                    hint="Name an empty folder, or one that a demo has made, with --home.",
                )
            _stop_left_over(self.path / "postgres")
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.keep({})

    @property
    def continues(self) -> bool:
        """Whether a whole demo was started here before."""
        return bool(self.told())

    def told(self) -> dict[str, Any]:
        """What `keep` kept; empty when there is nothing."""
        try:
            return dict(json.loads((self.path / MARK).read_text()))
        except (OSError, ValueError):
            return {}

    def keep(self, told: dict[str, Any]) -> None:
        """Keep how people get into both systems, readable by the owner only."""
        file = self.path / MARK
        file.touch(mode=0o600)
        file.write_text(json.dumps(told, indent=1))

    def enter(self) -> None:
        """Have this process use the folder as its installation, with the embedded PostgreSQL."""
        os.environ["ISTHMUS_HOME"] = str(self.path)
        os.environ.pop("DATABASE_URL", None)


def _stop_left_over(data: Path) -> None:
    """End the PostgreSQL of a demo that was killed: its files must not vanish under it."""
    with suppress(OSError, ValueError, IndexError, psutil.Error):
        server = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
        if "postgres" in server.name() and Path(server.cwd()) == data.resolve():
            server.terminate()
            server.wait(10)


@contextmanager
def temporary() -> Iterator[Path]:
    """A folder for one demo, removed afterwards; the embedded PostgreSQL may run as another user and reaches it."""
    with tempfile.TemporaryDirectory(prefix="isthmus-demo-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        home = Path(name) / "home"
        try:
            yield home
        finally:
            if (home / "postgres").exists():
                stop_embedded(home / "postgres")
