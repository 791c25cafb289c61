"""What every benchmark needs: an installation of its own, the command line, a running service, figures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_NOT_OURS = ("DATABASE_URL", "ISTHMUS_HOME", "PYTHONDONTWRITEBYTECODE")
"""An installation is compiled once, as anywhere, also where the shell of whoever measures forbids that."""


@dataclass(frozen=True)
class Installation:
    """A home folder with its own embedded PostgreSQL, and the `isthmus` command in it."""

    home: Path
    env: dict[str, str]

    def run(self, *words: str) -> Any:
        """One command with --json; what it answered. Raises with its words when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "isthmus", *words, "--json"], env=self.env, capture_output=True, text=True
        )
        if done.returncode not in (0, 3):
            raise RuntimeError(f"isthmus {' '.join(words)}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout.strip().splitlines()[-1]) if done.stdout.strip() else None

    @contextmanager
    def serving(self) -> Iterator[tuple[str, int]]:
        """The service, running: its URL and its process id."""
        process = subprocess.Popen(
            [sys.executable, "-m", "isthmus", "serve", "--port", "0", "--json"],
            env=self.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"], process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@contextmanager
def installation(*more_paths: Path) -> Iterator[Installation]:
    """A fresh installation in a folder that goes away afterwards."""
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder:
        Path(folder).chmod(0o755)  # the embedded server may run as another user and must reach its folder
        paths = [str(p) for p in more_paths]
        env = {k: v for k, v in os.environ.items() if k not in _NOT_OURS}
        env |= {"ISTHMUS_HOME": folder, "PYTHONPATH": os.pathsep.join([*paths, env.get("PYTHONPATH", "")])}
        yield Installation(Path(folder), env)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie, by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def say(title: str, figures: dict[str, Any]) -> None:
    """One line of JSON with all figures of a benchmark, for a person and for a script."""
    print(json.dumps({"bench": title, **figures}), flush=True)
