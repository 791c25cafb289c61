"""The bank or cash journal that somebody means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isthmus.connectors.odoo.operations.desk import Desk
from isthmus.connectors.odoo.operations.method import Work
from isthmus.sdk import InvalidRecord


async def journals(desk: Desk, works: Sequence[Work[Any]]) -> dict[str, int]:
    """The journal of each wish: its key, code or name, or nothing for the first one. What nothing fits is blocked."""
    if not works:
        return {}
    rows = await desk.search(
        "account.journal",
        [
            ["type", "in", ["bank", "cash", "credit"]],
            ["active", "=", True],
            ["company_id", "=", await desk.wire.company()],
        ],
        ["name", "code"],
        doing="reading the journals",
        order="sequence, id",
    )
    found: dict[str, int] = {}
    for wish in {work.form.journal for work in works}:
        fits = [row for row in rows if wish in ("", str(row["id"]), row["code"], row["name"])]
        if fits:
            found[wish] = int(fits[0]["id"])
    listed = ", ".join(f"{row['code']} ({row['name']})" for row in rows) or "none"
    for work in works:
        if work.open and work.form.journal not in found:
            named = f" {work.form.journal}" if work.form.journal else ""
            work.block(f"there is no bank or cash journal{named}", f"The journals are: {listed}.", kind=InvalidRecord)
    return found
