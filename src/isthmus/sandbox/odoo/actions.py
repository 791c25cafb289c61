"""Server actions with code: which are known by their first line, who sees them, and what running one does."""

from __future__ import annotations

from typing import Any

from . import guarded_write, installed_rules
from .database import Row
from .environment import Behaviour, Env, Values
from .records import Records

ACTIONS = "ir.actions.server"
_KNOWN = {guarded_write.MARKER: guarded_write.run, installed_rules.MARKER: installed_rules.run}
"""The first line of an action's code -> what the code does. The sandbox runs no Python that it is sent."""


def run(records: Records) -> Any:
    """Run server actions; the last one's answer is returned. Code that is not known does nothing."""
    result: Any = False
    for i in records.ids:
        row = records.env.row(ACTIONS, i)
        if row is not None and row.get("state") == "code" and (known := _KNOWN.get(_first_line(row))):
            result = known(records.env)
    return result


def _first_line(action: Row) -> str:
    return str(action.get("code") or "").lstrip().partition("\n")[0].strip()


def get_bindings(records: Records, model_name: str) -> dict[str, list[Values]]:
    """Return what is bound to a model and allowed to the user, by kind; every user may ask."""
    env = records.env
    found: dict[str, list[Values]] = {}
    for row in env.database.table(ACTIONS).rows.values():
        bound = env.row("ir.model", row.get("binding_model_id")) or {}
        if bound.get("model") == model_name and _allowed(env, row):
            told = {"id": row["id"], "name": _english(row["name"]), "binding_view_types": row["binding_view_types"]}
            found.setdefault(str(row["binding_type"]), []).append(told)
    return found


get_bindings.model_level = True  # type: ignore[attr-defined]  # functions take any mark


def _allowed(env: Env, action: Row) -> bool:
    mine = env.user_row.get("_groups") or ("base.group_user",)
    needed = [row["complete_name"] for row in env.database.table("ir.model.data").rows.values()
              if row.get("model") == "res.groups" and row.get("res_id") in (action.get("group_ids") or ())]  # fmt: skip
    return not needed or any(name in mine for name in needed)


def _english(value: Any) -> str:
    return str(value.get("en_US", "")) if isinstance(value, dict) else str(value)


class Actions(Behaviour):
    """ir.actions.actions: every kind of action; here only asked what is bound to a model."""

    methods = {"get_bindings": get_bindings}
