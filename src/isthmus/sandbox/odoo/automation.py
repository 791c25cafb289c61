"""Automation rules: which records they fire for, and the webhook payloads to post once the call has committed."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import domain, raw, reading
from .database import Row
from .environment import Env

_ON_CREATE = frozenset({"on_create", "on_create_or_write"})
_ON_WRITE = frozenset({"on_write", "on_create_or_write", "on_archive", "on_unarchive"})


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook to post after the commit."""

    url: str
    payload: dict[str, Any]


@dataclass(slots=True)
class _Rule:
    row: Row
    trigger: str
    fields: tuple[str, ...]
    old: dict[int, dict[str, Any]] = field(default_factory=dict)


class Watch:
    """The rules of one model during one operation; remembers old values of trigger fields before a write."""

    def __init__(self, model: str, rules: list[_Rule]) -> None:
        self._model = model
        self._rules = rules

    def before(self, env: Env, ids: Sequence[int]) -> None:
        """Note what trigger fields hold before a write."""
        for rule in self._rules:
            if rule.trigger in _ON_WRITE:
                rule.old = {
                    i: self._told(env, rule, i) for i in ids if self._matches(env, rule, i, "filter_pre_domain")
                }

    def created(self, env: Env, ids: Sequence[int]) -> None:
        """Fire the rules on creation."""
        for rule in self._rules:
            if rule.trigger in _ON_CREATE:
                self._fire(env, rule, [i for i in ids if self._matches(env, rule, i, "filter_domain")])

    def written(self, env: Env, ids: Sequence[int]) -> None:
        """Fire the rules on change: those with trigger fields only where one of them changed."""
        for rule in self._rules:
            if rule.trigger in _ON_WRITE:
                moved = [i for i in ids if i in rule.old and self._changed(env, rule, i)]
                self._fire(env, rule, [i for i in moved if self._matches(env, rule, i, "filter_domain")])

    def unlinked(self, env: Env, ids: Sequence[int]) -> None:
        """Fire the rules on deletion, while the records can still be read."""
        for rule in self._rules:
            if rule.trigger == "on_unlink":
                self._fire(env, rule, [i for i in ids if self._matches(env, rule, i, "filter_domain")])

    def _told(self, env: Env, rule: _Rule, record_id: int) -> dict[str, Any]:
        row = env.row(self._model, record_id)
        fields = env.model(self._model).fields
        names = rule.fields or (("active",) if rule.trigger in ("on_archive", "on_unarchive") else ())
        return {} if row is None else {n: raw.getter(env.sudo(), fields[n])(row) for n in names if n in fields}

    def _changed(self, env: Env, rule: _Rule, record_id: int) -> bool:
        old, new = rule.old[record_id], self._told(env, rule, record_id)
        if rule.trigger in ("on_archive", "on_unarchive"):
            return old.get("active") != new.get("active") and bool(new.get("active")) == (
                rule.trigger == "on_unarchive"
            )
        return not rule.fields or any(_differ(old.get(name), new[name]) for name in new)

    def _matches(self, env: Env, rule: _Rule, record_id: int, column: str) -> bool:
        told = rule.row.get(column)
        if not told:
            return True
        inner = env.sudo().with_context(active_test=False)
        test, _ = domain.compile_domain(inner, self._model, ast.literal_eval(told))
        row = env.row(self._model, record_id)
        return row is not None and test(row)

    def _fire(self, env: Env, rule: _Rule, ids: Sequence[int]) -> None:
        table = env.database.table("ir.actions.server")
        actions = [table.rows[i] for i in table.having("base_automation_id", (rule.row["id"],)) or ()]
        for action in sorted(actions, key=lambda a: (a.get("sequence") or 0, a["id"])):
            if action.get("state") == "webhook" and action.get("webhook_url"):
                for record_id in ids:
                    env.after_commit.append(
                        Delivery(action["webhook_url"], payload(env, self._model, action, record_id))
                    )


def _differ(old: Any, new: Any) -> bool:
    return (old or None) != (new or None)


_NOTHING_WATCHED: dict[str, Watch] = {}


def watch(env: Env, model: str) -> Watch:
    """Return the active rules of a model."""
    rows = env.database.table("base.automation").rows
    if not rows:
        return _NOTHING_WATCHED.setdefault(model, Watch(model, []))
    rules = []
    for row in rows.values():
        if row.get("active") and _model_name(env, row.get("model_id")) == model:
            names = tuple(_field_name(env, i) for i in row.get("trigger_field_ids") or ())
            rules.append(_Rule(row, row.get("trigger") or "", names))
    return Watch(model, rules)


def _model_name(env: Env, model_id: int | None) -> str:
    return str((env.row("ir.model", model_id) or {}).get("model", ""))


def _field_name(env: Env, field_id: int) -> str:
    return str((env.row("ir.model.fields", field_id) or {}).get("name", ""))


def payload(env: Env, model: str, action: Row, record_id: int) -> dict[str, Any]:
    """Return what Odoo posts: action, id, model, and the chosen fields (bare ids, write_date with microseconds)."""
    told: dict[str, Any] = {"_action": f"{_text(action['name'])}(#{action['id']})", "_id": record_id, "_model": model}
    names = [_field_name(env, i) for i in action.get("webhook_field_ids") or ()]
    if names:
        row = env.row(model, record_id)
        if row is not None:
            inner = env.sudo()
            told |= reading.read_rows(inner, model, [row], names, None)[0]
            for name in names:
                if env.model(model).fields[name].type == "datetime":
                    told[name] = raw.getter(inner, env.model(model).fields[name])(row) or False
    return dict(sorted(told.items()))


def _text(value: Any) -> str:
    return str(value.get("en_US", "")) if isinstance(value, dict) else str(value)
