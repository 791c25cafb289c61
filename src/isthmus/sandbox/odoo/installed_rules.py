"""What is installed: the automation rules whose names begin as asked, without their secret URLs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .database import Row
from .environment import Env

MARKER = "# isthmus: what is installed"
CONTEXT_KEY = "isthmus_installed"


def run(env: Env) -> dict[str, Any]:
    """Tell the rules of the context key's `prefix`; `url` is the address below which they should post."""
    told = env.context.get(CONTEXT_KEY) or {}
    prefix, url = str(told.get("prefix", "")), str(told.get("url") or "")
    rules = [
        row for row in env.database.table("base.automation").rows.values() if _text(row["name"]).startswith(prefix)
    ]
    return {"type": "ir.actions.act_window_close", "isthmus": [_told(env, rule, url) for rule in rules]}


def _told(env: Env, rule: Row, url: str) -> dict[str, Any]:
    table = env.database.table("ir.actions.server")
    actions = [table.rows[i] for i in table.having("base_automation_id", (rule["id"],)) or ()]
    first = actions[0] if actions else {}
    there = str(first.get("webhook_url") or "")
    return {
        "id": rule["id"],
        "action": first.get("id", 0),
        "name": _text(rule["name"]),
        "model": (env.row("ir.model", rule.get("model_id")) or {}).get("model", ""),
        "trigger": rule.get("trigger") or False,
        "active": bool(rule.get("active")),
        "filter": rule.get("filter_domain") or "",
        "fields": _names(env, rule.get("trigger_field_ids") or ()),
        "posted": _names(env, first.get("webhook_field_ids") or ()),
        "query": there[len(url) :] if url and there.startswith(url) else "elsewhere",
        "sends": len(actions) == 1 and first.get("state") == "webhook",
    }


def _names(env: Env, ids: Iterable[int]) -> list[str]:
    return sorted(str((env.row("ir.model.fields", i) or {}).get("name", "")) for i in ids)


def _text(value: Any) -> str:
    return str(value.get("en_US", "")) if isinstance(value, dict) else str(value)
