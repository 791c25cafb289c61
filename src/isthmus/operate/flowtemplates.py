"""The flows that ship: ready processes with their own tests, brought in and bound like any other."""

from __future__ import annotations

from importlib import resources
from typing import Any

from isthmus.flows.definition import parse
from isthmus.operate.assemble import template


def listing() -> list[dict[str, Any]]:
    """Every flow that ships: name, title, summary, the roles to bind, and how many tests it carries."""
    folder = resources.files("isthmus") / "templates" / "flows"
    out = []
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if path.name.endswith(".yaml"):
            flow = parse(path.read_text(encoding="utf-8"), path.name)
            roles = [*flow.connections, *flow.pairs]
            out.append(
                {
                    "name": flow.flow,
                    "title": flow.title,
                    "summary": flow.summary,
                    "roles": roles,
                    "tests": len(flow.tests),
                }
            )
    return out


def file(name: str) -> str:
    """The file of a flow that ships; Misconfigured tells which there are."""
    return template("flows", name)
