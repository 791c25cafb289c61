"""The guarded write: write on records only where they still hold what the caller last read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from . import crud, reading
from .environment import Env
from .errors import OdooError

MARKER = "# isthmus: guarded write"
CONTEXT_KEY = "isthmus_guarded_write"


def moment(stamp: str) -> datetime:
    """Return the naive UTC instant of a stored stamp."""
    return datetime.fromisoformat(stamp)


def run(env: Env) -> dict[str, Any]:
    """Write the items of the context key, all in this call's transaction.

    Each item gives `id`, `expect` and `values`; the answer tells per item `ok` (with the new write_date), `changed`
    (with the current values of the expected fields), `gone`, or `refused` in Odoo's words. One bad item stops no good
    one.
    """
    told = env.context.get(CONTEXT_KEY) or {}
    model, items = str(told.get("model", "")), told.get("items") or []
    inner = env.with_context(**{CONTEXT_KEY: False, "active_test": False})
    return {"type": "ir.actions.act_window_close", "isthmus": [_one(inner, model, item) for item in items]}


def _one(env: Env, model: str, item: dict[str, Any]) -> dict[str, Any]:
    record_id, expect = item["id"], item.get("expect") or {}
    if env.row(model, record_id) is None:
        return {"id": record_id, "outcome": "gone"}
    mark = env.database.savepoint()
    try:
        current = reading.read(env, model, [record_id], list(expect) or ["id"], None)[0]
        if any(not _same(current[name], value) for name, value in expect.items()):
            return {"id": record_id, "outcome": "changed", "current": {name: current[name] for name in expect}}
        if _rows_moved(env, model, record_id, item.get("rows") or {}):
            return {"id": record_id, "outcome": "changed", "current": {}}
        crud.write(env, model, [record_id], item.get("values") or {})
    except (OdooError, ValueError, TypeError) as error:
        env.database.rollback(mark)
        name = error.name.rpartition(".")[2] if isinstance(error, OdooError) else type(error).__name__
        return {"id": record_id, "outcome": "refused", "name": name, "message": str(error)}
    stamp = reading.read(env, model, [record_id], ["write_date"], None)[0]["write_date"]
    return {"id": record_id, "outcome": "ok", "write_date": str(stamp)[:19]}


def _rows_moved(env: Env, model: str, record_id: int, told: dict[str, Any]) -> bool:
    """Whether a child record that is expected is gone or not as expected."""
    for name, expected in told.items():
        if not expected:
            continue
        below = reading.read(env, model, [record_id], [name], None)[0][name]
        relation = env.model(model).fields[name].relation
        for one, values in expected.items():
            if int(one) not in below:
                return True
            current = reading.read(env, relation, [int(one)], list(values) or ["id"], None)[0]
            if any(not _same(current[field], value) for field, value in values.items()):
                return True
    return False


def _same(current: Any, expected: Any) -> bool:
    if isinstance(expected, list) and len(expected) == 2 and isinstance(expected[1], str):
        expected = expected[0]
    if isinstance(current, list) and isinstance(expected, list):
        return sorted(current) == sorted(expected)
    if isinstance(current, float) or isinstance(expected, float):
        one, two = float(current or 0), float(expected or 0)
        return abs(one - two) <= 1e-9 * max(1.0, abs(one), abs(two))
    return (current or False) == (expected or False)
