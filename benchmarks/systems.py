"""The systems that benchmarks run against: a real Odoo 19, a BNG sandbox, and an installation between them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handwritten import Bng, Odoo
from harness import Installation, installation

ROOT = Path(__file__).parent.parent
RIG = ROOT / "tools" / "odoo" / "rig.py"


def rig(*words: str) -> dict[str, Any]:
    """One command of the Odoo rig."""
    done = subprocess.run([sys.executable, str(RIG), *words, "--json"], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@contextmanager
def odoo_database(name: str) -> Iterator[Odoo]:
    """A clean database of the real Odoo, dropped afterwards."""
    rig("drop", name)
    told = rig("fresh", name)
    try:
        yield Odoo(told["url"], name, told["api_key"], told)
    finally:
        rig("drop", name)


@contextmanager
def bng_sandbox() -> Iterator[tuple[Bng, str]]:
    """A BNG sandbox of its own process, and the key to its switches."""
    command = [sys.executable, "-m", "isthmus.sandbox.bng", "--print-ready"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield Bng(told["url"], told["client_id"], told["client_secret"]), told["admin_key"]
    finally:
        process.terminate()
        process.wait(20)


def switch(bng: Bng, admin_key: str, verb: str, told: dict[str, Any], method: str = "POST") -> Any:
    """Turn a switch of the sandbox."""
    request = urllib.request.Request(
        f"{bng.url}/sandbox/{verb}",
        data=json.dumps(told).encode(),
        method=method,
        headers={"Authorization": f"Bearer {admin_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


@contextmanager
def between(odoo: Odoo, bng: Bng, *, paced: bool = False, template: str = "odoo-bng") -> Iterator[Installation]:
    """An installation with both connections and a pair; `paced`: it keeps to the calls that BNG's contract allows."""
    with installation() as home:
        home.run("connection", "add", "odoo", "--kind", "odoo", "--url", odoo.url, "--set", f"database={odoo.database}",
                 "--set", "allow_loopback=true", "--secret", f"api_key={odoo.key}", "--no-check")  # fmt: skip
        home.run("connection", "add", "bng", "--kind", "bng", "--url", bng.url, "--set", f"client_id={bng.client_id}",
                 "--set", "allow_loopback=true", *([] if paced else ["--set", "calls_per_second=0"]),
                 "--secret", f"client_secret={bng.client_secret}", "--no-check")  # fmt: skip
        home.run("pair", "add", "main", "--left", "odoo", "--right", "bng", "--template", template)
        yield home


def load(home: Installation) -> tuple[float, dict[str, Any]]:
    """The initial load of customers: seconds, and what it did."""
    started = time.perf_counter()
    done = home.run("load", "main", "--entity", "customer", "--yes")
    return time.perf_counter() - started, done["done"]["customer"]
