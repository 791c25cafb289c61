"""Finding records by their name for people, and by their external id."""

from __future__ import annotations

from typing import Any

from . import domain
from .database import Row
from .environment import Env


def name_search(env: Env, model: str, name: str, asked: list[Any], operator: str, limit: int | None) -> list[int]:
    """Return the ids whose display name matches, best first."""
    found = env.behaviour(model).name_search(env, name, asked, operator, limit)
    if found is None:
        found = domain.search(env, model, [*asked, ["display_name", operator, name]], limit=limit)
    return found


def lookup(env: Env, external_id: str) -> Row | None:
    """Return the `ir.model.data` row of a full external id, or None."""
    table = env.database.table("ir.model.data")
    found = table.having("complete_name", (external_id,))
    return table.rows[found[0]] if found else None


def external_ids(env: Env, model: str, record_id: int) -> list[Row]:
    """Return the `ir.model.data` rows of a record, oldest first."""
    table = env.database.table("ir.model.data")
    return [table.rows[i] for i in table.having("_target", (f"{model},{record_id}",)) or ()]


def remember(env: Env, external_id: str, model: str, record_id: int, *, noupdate: bool = False) -> None:
    """Store an external id, without needing rights on `ir.model.data`; a variant's template gets one beside it."""
    if model == "product.product":
        template = (env.database.row(model, record_id) or {}).get("product_tmpl_id")
        if template and not external_ids(env, "product.template", template):
            remember(env, f"{external_id}_product_template", "product.template", template)
    module, _, name = external_id.partition(".")
    row_id = env.database.take_id("ir.model.data")
    row: Row = {
        "id": row_id,
        "module": module,
        "name": name,
        "model": model,
        "res_id": record_id,
        "noupdate": noupdate or None,
        "complete_name": external_id,
        "_target": f"{model},{record_id}",
        "create_uid": env.uid,
        "write_uid": env.uid,
        "create_date": env.now,
        "write_date": env.now,
    }
    env.database.put("ir.model.data", row_id, {k: v for k, v in row.items() if v is not None})
