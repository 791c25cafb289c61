"""The guarded write: write on records only where they still hold what the caller last read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from . import crud, reading
from .database import Row
from .environment import Env

MARKER = "# isthmus: guarded write"
CONTEXT_KEY = "isthmus_guarded_write"


def moment(stamp: str) -> datetime:
    """Return the naive UTC instant of a stored stamp."""
    return datetime.fromisoformat(stamp)


def recognised(action: Row) -> bool:
    """Say whether a server action is the guarded write: its code begins with the marker line."""
    code = str(action.get("code") or "")
    return action.get("state") == "code" and code.lstrip().partition("\n")[0].strip() == MARKER


def run(env: Env) -> dict[str, Any]:
    """Write the items of the context key, all in this call's transaction.

    Each item gives `id`, `expect` and `values`; the answer tells per item `ok`, `changed` (with the current values of
    the expected fields) or `gone`.
    """
    told = env.context.get(CONTEXT_KEY) or {}
    model, items = str(told.get("model", "")), told.get("items") or []
    inner = env.with_context(**{CONTEXT_KEY: False, "active_test": False})
    return {"type": "ir.actions.act_window_close", "isthmus": [_one(inner, model, item) for item in items]}


def _one(env: Env, model: str, item: dict[str, Any]) -> dict[str, Any]:
    record_id, expect = item["id"], item.get("expect") or {}
    if env.row(model, record_id) is None:
        return {"id": record_id, "outcome": "gone", "current": {}}
    current = reading.read(env, model, [record_id], list(expect) or ["id"], None)[0]
    current.pop("id", None)
    if any(not _same(current[name], value) for name, value in expect.items()):
        return {"id": record_id, "outcome": "changed", "current": current}
    crud.write(env, model, [record_id], item.get("values") or {})
    return {"id": record_id, "outcome": "ok", "current": current}


def _same(current: Any, expected: Any) -> bool:
    if isinstance(expected, list) and len(expected) == 2 and isinstance(expected[1], str):
        expected = expected[0]
    if isinstance(current, list) and isinstance(expected, list):
        return sorted(current) == sorted(expected)
    return (current or False) == (expected or False)
