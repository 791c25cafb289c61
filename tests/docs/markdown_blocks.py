"""Reads the code blocks of the project's documents, and runs the commands among them as a reader would."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
WARM = Path(__file__).parent / "warm_isthmus.py"
FENCE = re.compile(r"(?:<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<lang>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and the mark in the comment above it."""

    language: str
    code: str
    mark: str
    line: int


def documents() -> list[Path]:
    """Every document that people write."""
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    return [page for page in pages if page.exists() and "reference" not in page.parts]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text()
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(found["lang"], found["code"], found["mark"] or "", line)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Reader:
    """Follows a page's commands in a folder of its own, on free ports instead of those in the text."""

    PORTS = ("8420", "8430", "8431")

    def __init__(self, folder: Path, environment: dict[str, str], warm: Path) -> None:
        self.folder = folder
        self.warm = warm
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, **environment}
        self.ports = {port: str(free_port()) for port in self.PORTS}
        self.running: list[subprocess.Popen[str]] = []

    def follow(self, page: Path) -> None:
        """Run every shell block in order; the first that fails ends it."""
        for block in blocks(page):
            if block.language != "sh" or block.mark.startswith("not run: "):
                continue
            if block.mark == "background":
                self.start(block.code)
            else:
                ended = self.run(block.code)
                where = f"{page.relative_to(ROOT)}:{block.line}"
                assert ended.returncode == 0, f"{where}\n{block.code}\n{ended.stdout}\n{ended.stderr}"

    def run(self, code: str) -> subprocess.CompletedProcess[str]:
        """One block, stopped at the first command that fails; 3 means done, something differs."""
        program = f"{sys.executable} -S {WARM} call {self.warm}"
        script = f'set -eo pipefail\nisthmus() {{ {program} "$@" || [ $? = 3 ]; }}\n{self.own_ports(code)}'
        return subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip

    def start(self, code: str) -> None:
        """A command that goes on running, waited for until its port answers."""
        code = self.own_ports(code)
        port = re.search(r"--port (\d+)", code)
        self.running.append(
            subprocess.Popen(
                ["bash", "-c", f"exec {code}"], cwd=self.folder, env=self.environment, start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
            )
        )  # fmt: skip
        until = time.monotonic() + 60
        while port and time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(port[1]))) == 0:
                    return
            assert self.running[-1].poll() is None, f"it ended: {code}"
            time.sleep(0.05)
        raise AssertionError(f"it did not answer: {code}")

    def own_ports(self, code: str) -> str:
        """The same with free ports."""
        for port, free in self.ports.items():
            code = re.sub(rf"\b{port}\b", free, code)
        return code

    def close(self) -> None:
        """End what was started."""
        for process in self.running:
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.running:
            process.wait(timeout=60)
