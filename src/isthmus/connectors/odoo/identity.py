"""What tells this very database from a copy or an older restore of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import IsthmusError

COUNTER = "res.users.apikeys.description"
"""A model of throw-away records that every user may make; Odoo clears them away by itself after an hour."""


async def fingerprint(wire: Wire) -> Mapping[str, Any]:
    """Company and user as anchors with the moments they were made, and a number that Odoo never gives out twice.

    The highest id of a kind of record is no such number: it falls when somebody deletes the newest one. The number of
    a throw-away record only grows, and falls back exactly when an older state of the database was restored.
    """
    company, uid = await wire.company(), await wire.uid()
    out: dict[str, Any] = {}
    for name, model, one in (("company", "res.company", company), ("user", "res.users", uid)):
        rows = await wire.call(
            model, "read", doing=f"reading the {name} of this connection", ids=[one], reads=True, fields=["create_date"]
        )
        out[name] = {"id": one, "create_date": rows[0]["create_date"] if rows else None}
    number = await _next_number(wire)
    if number is not None:
        out["highest"] = {"number given out": number}
    return out


async def _next_number(wire: Wire) -> int | None:
    try:
        made = await wire.call(
            COUNTER, "create", doing="drawing a number that tells restored databases", vals_list=[{"name": "Isthmus"}]
        )
    except IsthmusError as error:
        if error.action == "retry":
            raise
        return None  # no right to it: then only the anchors tell
    return int(made[0])
