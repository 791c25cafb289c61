"""Builds the virtual environment Odoo runs in, apart from the project's own."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from odoo_rig.layout import Layout
from odoo_rig.outcome import RigUnavailable, say

REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"


def ensure_environment(layout: Layout) -> None:
    """Has Odoo's Python libraries installed; does nothing when the requirements are the installed ones."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    marker = layout.environment / ".requirements"
    if marker.exists() and marker.read_text() == wanted:
        return
    say("installing the Python libraries of Odoo")
    shutil.rmtree(layout.environment, ignore_errors=True)
    python = layout.environment / "bin" / "python"
    uv = shutil.which("uv")
    if uv:
        create = [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(layout.environment)]
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        create = [sys.executable, "-m", "venv", str(layout.environment)]
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _require(create, "creating Odoo's virtual environment")
    if _run([*install, "-r", str(REQUIREMENTS)]).returncode != 0:
        say("the pinned versions cannot be had here; trying the newest of each")
        names = [
            re.split(r"[=<>]", line)[0]
            for line in REQUIREMENTS.read_text().splitlines()
            if line and not line.startswith("#")
        ]
        _require([*install, *names], "installing the Python libraries of Odoo")
    marker.write_text(wanted)


def _require(command: list[str], doing: str) -> None:
    done = _run(command)
    if done.returncode != 0:
        raise RigUnavailable(
            f"{doing}: {Path(command[0]).name} answered {done.returncode}: {done.stderr.strip()[-600:]}"
            " (check the network and the package index)"
        )


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    # a library the caller's Python path offers would count as installed and be missing later
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(command, env=own, capture_output=True, text=True, check=False)
