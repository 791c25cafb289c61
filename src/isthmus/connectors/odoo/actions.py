"""Server actions of ours in Odoo: installed and repaired by an administrator, found and run by the sync user."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import IsthmusError, Misconfigured

ACTIONS = "ir.actions.server"
BOUND_TO = "res.users.log"
"""An action bound to a model is told to every user by `get_bindings`; this model has no screen, so nobody sees it."""

TECHNICAL: Mapping[str, Any] = {"lang": "en_US", "allowed_company_ids": [], "active_test": False}
"""The context for Odoo's own tables: names in English, no company, archived ones included."""

_TITLE = re.compile(r"^(?P<name>.*?) v(?P<version>\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAction:
    """Code that is kept in Odoo. `marker` is its first line and tells it from any other action."""

    name: str
    version: int
    marker: str
    body: str

    @property
    def title(self) -> str:
        """What it is called in Odoo: the version is part of it, so that the sync user can see it."""
        return f"{self.name} v{self.version}"

    @property
    def code(self) -> str:
        """The whole code as stored in Odoo."""
        return f"{self.marker}\n# version: {self.version}\n{self.body.strip()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One of our actions as the sync user sees it; `version` 0 when its name tells none."""

    id: int
    version: int


async def find(wire: Wire, action: OwnAction) -> Installed | None:
    """The action as installed, newest version first, or None when this user has none."""
    doing = f"looking for {action.name!r} in Odoo"
    try:
        told = await wire.call(
            "ir.actions.actions", "get_bindings", doing=doing, reads=True, context=TECHNICAL, model_name=BOUND_TO
        )
        rows: Sequence[Mapping[str, Any]] = told.get("action", ()) if isinstance(told, Mapping) else ()
    except IsthmusError as error:
        if error.action == "retry":
            raise
        rows = await _by_name(wire, action, doing)
    found = [one for row in rows if (one := _installed(action, row)) is not None]
    return max(found, key=lambda one: (one.version, -one.id), default=None)


async def run(wire: Wire, action_id: int, *, doing: str, request: Mapping[str, Any], key: str, reads: bool) -> Any:
    """Run an action with a request in the context under `key`; gives what it put into its answer, or None."""
    told = await wire.call(ACTIONS, "run", doing=doing, ids=[action_id], reads=reads, context={key: request})
    return told.get("isthmus") if isinstance(told, Mapping) else None


async def install(admin: Wire, action: OwnAction, group: str = "base.group_user") -> bool:
    """Put the action into Odoo or repair it; True when something was changed. Needs an administrator's key."""
    values = await _values(admin, action, group)
    found = await _ours(admin, action, [*values])
    doing = f"installing {action.name!r} in Odoo"
    extra = [row["id"] for row in found[1:]]
    if extra:
        await admin.call(ACTIONS, "unlink", doing=doing, ids=extra, context=TECHNICAL)
    if not found:
        created = {name: _command(value) for name, value in values.items()}
        await admin.call(ACTIONS, "create", doing=doing, context=TECHNICAL, vals_list=[created])
        return True
    kept = found[0]
    moved = {name: _command(value) for name, value in values.items() if not _equal(kept.get(name), value)}
    if moved:
        await admin.call(ACTIONS, "write", doing=doing, ids=[kept["id"]], context=TECHNICAL, vals=moved)
    return bool(moved or extra)


async def remove(admin: Wire, action: OwnAction) -> int:
    """Take every version of the action out of Odoo; says how many there were."""
    ids = [row["id"] for row in await _ours(admin, action, ["name"])]
    if ids:
        doing = f"removing {action.name!r} from Odoo"
        await admin.call(ACTIONS, "unlink", doing=doing, ids=ids, context=TECHNICAL)
    return len(ids)


async def model_id(admin: Wire, model: str) -> int:
    """The database id of a model; raises Misconfigured where Odoo has no such model."""
    doing = f"looking for the model {model} in Odoo"
    domain = [["model", "=", model]]
    rows = await admin.call(
        "ir.model", "search_read", doing=doing, reads=True, context=TECHNICAL, domain=domain, fields=["id"]
    )
    if not rows:
        raise Misconfigured(
            doing, answered="there is none", hint=f"Install the app that brings {model}, or leave that entity out."
        )
    return int(rows[0]["id"])


async def field_ids(admin: Wire, model: str, names: Sequence[str]) -> list[int]:
    """The database ids of fields, sorted."""
    doing = f"looking for fields of {model} in Odoo"
    domain = [["model", "=", model], ["name", "in", list(names)]]
    rows = await admin.call(
        "ir.model.fields", "search_read", doing=doing, reads=True, context=TECHNICAL, domain=domain, fields=["id"]
    )
    return sorted(int(row["id"]) for row in rows)


async def _by_name(wire: Wire, action: OwnAction, doing: str) -> Sequence[Mapping[str, Any]]:
    """A server without bindings may let us look among the actions themselves."""
    domain = [["name", "=like", f"{action.name}%"], ["state", "=", "code"]]
    try:
        rows = await wire.call(
            ACTIONS, "search_read", doing=doing, reads=True, context=TECHNICAL, domain=domain, fields=["name"]
        )
    except IsthmusError as error:
        if error.action == "retry":
            raise
        return ()
    return list(rows)


def _installed(action: OwnAction, row: Mapping[str, Any]) -> Installed | None:
    name = str(row.get("name") or "")
    if name == action.name:
        return Installed(id=int(row["id"]), version=0)
    told = _TITLE.match(name)
    if told is None or told["name"] != action.name:
        return None
    return Installed(id=int(row["id"]), version=int(told["version"]))


async def _values(admin: Wire, action: OwnAction, group: str) -> dict[str, Any]:
    doing = "reading how server actions look in this Odoo"
    known = await admin.call(ACTIONS, "fields_get", doing=doing, reads=True, context=TECHNICAL, attributes=["type"])
    groups = "group_ids" if "group_ids" in known else "groups_id"
    return {
        "name": action.title,
        "state": "code",
        "model_id": await model_id(admin, "res.partner"),
        "binding_model_id": await model_id(admin, BOUND_TO),
        "code": action.code,
        groups: [await _group_id(admin, group)],
    }


async def _group_id(admin: Wire, group: str) -> int:
    module, _, name = group.partition(".")
    rows = await admin.call(
        "ir.model.data",
        "search_read",
        doing=f"looking for the group {group} in Odoo",
        reads=True,
        context=TECHNICAL,
        domain=[["module", "=", module], ["name", "=", name]],
        fields=["res_id"],
    )
    if not rows:
        raise Misconfigured(f"looking for the group {group} in Odoo", answered="there is none")
    return int(rows[0]["res_id"])


async def _ours(admin: Wire, action: OwnAction, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The administrator's view, found by the marker: a renamed action is still ours."""
    rows = await admin.call(
        ACTIONS,
        "search_read",
        doing=f"looking for {action.name!r} in Odoo",
        reads=True,
        context=TECHNICAL,
        domain=[["state", "=", "code"], ["code", "=like", f"{action.marker}%"]],
        fields=list(names),
        order="id",
    )
    return list(rows)


def _equal(now: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return sorted(now or []) == wanted
    if isinstance(wanted, int):
        return bool((now[0] if isinstance(now, list | tuple) and now else now) == wanted)
    return str(now or "").strip() == str(wanted or "").strip()


def _command(value: Any) -> Any:
    return [[6, 0, value]] if isinstance(value, list) else value
