"""Proves `isthmus sandbox`: a screen that says how to connect, a line for programs, a clean end."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from isthmus.sdk.registry import find


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    call = [sys.executable, "-c", "from isthmus.cli.main import main; main()", "sandbox", *arguments]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


STANDS_FOR = {"bng": "bng", "odoo": "odoo", "gateway": "bng_gateway", "shop": "shopify"}
"""Each stand-in and the connector that speaks to it."""


@pytest.mark.parametrize("name", STANDS_FOR)
def test_the_screen_says_where_it_is_and_how_to_connect(name: str) -> None:
    kind = STANDS_FOR[name]
    with command(name, "--port", "0") as process:
        assert process.stdout is not None
        shown = ""
        while "Ctrl-C" not in shown:
            line = process.stdout.readline()
            assert line, shown
            shown += line
        code, rest, err = ended(process)
    assert (code, rest, err) == (0, "", "")
    found = re.search(r"http://127\.0\.0\.1:\d+", shown)
    assert found
    told = shlex.split(shown[shown.index("isthmus connection add") : shown.index("Ctrl-C")].replace("\\\n", " "))
    assert told[:7] == ["isthmus", "connection", "add", f"{kind.replace('_', '-')}-sandbox", "--kind", kind, "--url"]
    assert told[7] == found.group()
    given = {value.partition("=")[0] for flag, value in zip(told[8::2], told[9::2], strict=True) if flag}
    known = find(kind)
    assert given - {"allow_loopback"} <= set(known.settings.model_fields)
    secrets = {v.partition("=")[0] for f, v in zip(told[8::2], told[9::2], strict=True) if f == "--secret"}
    assert secrets <= set(known.secret_names())


@pytest.mark.parametrize("name", STANDS_FOR)
def test_the_ready_line_is_all_that_a_program_gets_to_read(name: str) -> None:
    with command(name, "--port", "0", "--print-ready", "--admin-key", "k" * 20) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert facts["admin_key"] == "k" * 20
        request = urllib.request.Request(
            f"{facts['url']}/sandbox/calls", headers={"Authorization": f"Bearer {'k' * 20}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        assert ended(process) == (0, "", "")


def test_a_sandbox_that_cannot_start_says_why_in_a_sentence(tmp_path: Path) -> None:
    with command("bng", "--port", "0", "--data", str(tmp_path / "nowhere" / "x")) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("The sandbox cannot start.")
    assert "Traceback" not in err
