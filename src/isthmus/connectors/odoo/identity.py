"""What tells this very database from a copy or an older restore of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.connectors.odoo.wire import Wire

_GROWING = ("res.partner", "product.product", "product.template", "mail.message")


async def fingerprint(wire: Wire) -> Mapping[str, Any]:
    """The company and our own user as anchors with the moments they were made, and the highest ids."""
    company, uid = await wire.company(), await wire.uid()
    out: dict[str, Any] = {}
    for name, model, one in (("company", "res.company", company), ("user", "res.users", uid)):
        rows = await wire.call(
            model, "read", doing=f"reading the {name} of this connection", ids=[one], reads=True, fields=["create_date"]
        )
        out[name] = {"id": one, "create_date": rows[0]["create_date"] if rows else None}
    highest: dict[str, int] = {}
    for model in _GROWING[:3]:
        newest = await wire.call(
            model, "search", doing=f"looking for the newest {model}", reads=True, domain=[], order="id desc", limit=1
        )
        if newest:
            highest[model] = int(newest[0])
    out["highest"] = highest
    return out
