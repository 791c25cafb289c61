"""What a load or a re-sync would do, as a person reads it: figures per entity, then what to look at by cause."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from isthmus.cli.session import grid, out

KINDS = ("create", "link", "link and update", "update", "nothing", "wait", "conflict", "release", "hold")
"""Predictions in the order of the table, quiet ones first."""

MOST_CAUSES = 25
MOST_RECORDS = 40


def show_figures(figures: Mapping[str, Mapping[str, int]], title: str) -> None:
    """How many records of each entity are created, linked, held and so on."""
    kinds = [kind for kind in KINDS if any(kind in told for told in figures.values())]
    table = grid("entity", *kinds, title=title)
    for name, told in figures.items():
        table.add_row(name, *(f"{told.get(kind, 0):,}" for kind in kinds))
    out.print(table)


def rows(predictions: Sequence[Any], kinds: set[str]) -> list[dict[str, Any]]:
    """Predictions of these kinds as plain values."""
    names = ("entity", "side", "key", "name", "kind", "why")
    return [{n: getattr(p, n) for n in names} for p in predictions if p.kind in kinds]


def show_causes(found: list[dict[str, Any]]) -> None:
    """What to look at, one line for a cause however many records share it."""
    if not found:
        return
    table = grid("entity", "what", "why", "records", "for example", title="To look at")
    causes = by_cause(found)
    for (entity, kind, why), same in causes[:MOST_CAUSES]:
        examples = ", ".join(f"{r['side']}:{r['key']} {r['name']}".strip() for r in same[:3])
        table.add_row(entity, kind, escape(why), f"{len(same):,}", escape(examples))
    out.print(table)
    if len(causes) > MOST_CAUSES:
        out.print(f"… and {len(causes) - MOST_CAUSES:,} more causes.", highlight=False)
    out.print("With --dry-run --json they are listed one by one.", highlight=False)


def show_records(found: list[dict[str, Any]]) -> None:
    """The first records one by one."""
    if not found:
        return
    table = grid("entity", "record", "name", "what", "why")
    for row in found[:MOST_RECORDS]:
        record = f"{row['side']}:{row['key']}"
        table.add_row(row["entity"], record, escape(row["name"]), row["kind"], escape(reason(row["why"])))
    out.print(table)
    if len(found) > MOST_RECORDS:
        out.print(f"… and {len(found) - MOST_RECORDS:,} more.", highlight=False)


def reason(why: str) -> str:
    """What was answered; what was being done names the record, which stands beside it already."""
    return why.partition(": answered ")[2] or why


def by_cause(found: list[dict[str, Any]]) -> list[tuple[tuple[str, str, str], list[dict[str, Any]]]]:
    """Predictions grouped by entity, kind and reason, most records first; names and numbers make no difference."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in found:
        shape = re.sub(r"\([^)]*\)|\d+|'[^']*'", "…", reason(row["why"])).strip()
        groups.setdefault((row["entity"], row["kind"], shape), []).append(row)
    return sorted(groups.items(), key=lambda group: -len(group[1]))
