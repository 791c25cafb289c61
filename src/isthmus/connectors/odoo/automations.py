"""The automation rules of ours as they should be, as they are found, and how one becomes the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from isthmus.connectors.odoo.actions import ACTIONS, TECHNICAL, OwnAction, field_ids, model_id
from isthmus.connectors.odoo.watching import Watch
from isthmus.connectors.odoo.wire import Wire

RULES = "base.automation"
CHANGED = "on_create_or_write"
DELETED = "on_unlink"

_CODE = """
asked = env.context.get('isthmus_installed') or {}
url = asked.get('url') or ''
found = []
rules = []
try:
    rules = env['base.automation'].sudo().with_context(active_test=False, lang='en_US').search([])
except KeyError:
    pass
for rule in rules:
    if not (rule.name or '').startswith(asked['prefix']):
        continue
    actions = rule.action_server_ids
    act = actions[:1]
    there = act.webhook_url or ''
    found.append({
        'id': rule.id,
        'action': act.id or 0,
        'name': rule.name,
        'model': rule.model_name,
        'trigger': rule.trigger,
        'active': rule.active,
        'filter': rule.filter_domain or '',
        'fields': sorted(rule.trigger_field_ids.mapped('name')),
        'posted': sorted(act.webhook_field_ids.mapped('name')) if act else [],
        'query': there[len(url):] if url and there.startswith(url) else 'elsewhere',
        'sends': len(actions) == 1 and act.state == 'webhook',
    })
action = {'type': 'ir.actions.act_window_close', 'isthmus': found}
"""

WHAT_IS_INSTALLED = OwnAction(
    name="Isthmus: what is installed", version=1, marker="# isthmus: what is installed", body=_CODE
)
"""Lets the sync user see our own rules, which Odoo shows to administrators only; it never tells a secret URL."""

REQUEST_KEY = "isthmus_installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One automation rule of ours: when it fires, and what it posts where. `query` follows the hook's address."""

    name: str
    model: str
    trigger: str
    fields: tuple[str, ...]
    filter: str
    query: str
    posted: tuple[str, ...]

    def stands(self, found: Mapping[str, Any]) -> bool:
        """Whether a rule as found is exactly this one and at work."""
        return self.fires(found) and self.sends(found)

    def fires(self, found: Mapping[str, Any]) -> bool:
        """Whether a rule as found fires when this one should."""
        same = all(found[name] == getattr(self, name) for name in ("name", "model", "trigger", "filter"))
        return bool(found["active"] and same and tuple(found["fields"]) == self.fields)

    def sends(self, found: Mapping[str, Any]) -> bool:
        """Whether a rule as found posts what this one should, to where it should."""
        return bool(found["sends"] and found["query"] == self.query and tuple(found["posted"]) == self.posted)


def prefix(installation: str, connection: str) -> str:
    """How the names of all rules of one Connection begin."""
    return f"Isthmus {installation}/{connection}: "


def rules_for(watch: Watch, sync_user: int, begin: str) -> list[Rule]:
    """The two rules of one watched model. What the sync user itself wrote is not told: it would only echo."""
    what = watch.model if watch.model == watch.entity else f"{watch.model} for {watch.entity}"
    query = {
        "entity": watch.entity,
        **({"via": watch.via} if watch.via else {}),
        **({"up": watch.up} if watch.up else {}),
    }
    leading = (*watch.via.split("+"), watch.up, *(["type"] if watch.up else []))
    posted = {"write_date", *(name for name in leading if name)}
    return [
        Rule(
            name=f"{begin}{what} changed",
            model=watch.model,
            trigger=CHANGED,
            fields=watch.fields,
            filter=f"[('write_uid', '!=', {sync_user})]",
            query=f"?{urlencode(query)}",
            posted=tuple(sorted(posted)),
        ),
        Rule(
            name=f"{begin}{what} deleted",
            model=watch.model,
            trigger=DELETED,
            fields=(),
            filter="",
            query=f"?{urlencode({**query, 'gone': 1})}",
            posted=tuple(sorted(posted)),
        ),
    ]


async def put(admin: Wire, wanted: Sequence[Rule], url: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Make the rules that are missing, in one call, and bring those found back to what they should be.

    Every touched rule makes Odoo reload its models, so only what differs is written.
    """
    doing = "installing our automations in Odoo"
    created = []
    for rule in wanted:
        there = found.get(rule.name)
        if there is not None and (not there["sends"] or there["model"] != rule.model):
            await drop(admin, [int(there["id"])])
            there = None
        if there is None:
            created.append({**await _rule(admin, rule), "action_server_ids": [[0, 0, await _action(admin, rule, url)]]})
            continue
        if not rule.sends(there):
            values = await _action(admin, rule, url)
            await admin.call(ACTIONS, "write", doing=doing, ids=[there["action"]], context=TECHNICAL, vals=values)
        if not rule.fires(there):
            values = await _rule(admin, rule)
            await admin.call(RULES, "write", doing=doing, ids=[there["id"]], context=TECHNICAL, vals=values)
    if created:
        await admin.call(RULES, "create", doing=doing, context=TECHNICAL, vals_list=created)


async def _rule(admin: Wire, rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "model_id": await model_id(admin, rule.model),
        "trigger": rule.trigger,
        "filter_domain": rule.filter or False,
        "trigger_field_ids": [[6, 0, await field_ids(admin, rule.model, rule.fields)]],
        "active": True,
    }


async def _action(admin: Wire, rule: Rule, url: str) -> dict[str, Any]:
    return {
        "name": rule.name,
        "model_id": await model_id(admin, rule.model),
        "state": "webhook",
        "webhook_url": f"{url}{rule.query}",
        "webhook_field_ids": [[6, 0, await field_ids(admin, rule.model, rule.posted)]],
    }


async def drop(admin: Wire, ids: Sequence[int]) -> None:
    """Take rules out of Odoo, with the actions below them."""
    if ids:
        doing = "removing automations from Odoo"
        await admin.call(RULES, "unlink", doing=doing, ids=list(ids), context=TECHNICAL)


def steps(rule: Rule, url: str, labels: Mapping[str, str]) -> str:
    """How a person makes this rule by hand in Odoo 17 or newer, field labels as shown on the screen."""
    shown = [f"{labels.get(name, name)} ({name})" for name in rule.fields]
    told = [f"New, name: {rule.name}", f"Model: {labels.get('', rule.model)} ({rule.model})"]
    if rule.trigger == CHANGED:
        told += ["Trigger: On create and edit", f"When updating: {', '.join(shown)}"]
        told.append(f"Apply on: Edit Domain, as code: {rule.filter}")
    else:
        told.append("Trigger: On deletion")
    posted = ", ".join(f"{labels.get(name, name)} ({name})" for name in rule.posted)
    told += ["Add an action: Send Webhook Notification", f"URL: {url}{rule.query}", f"Fields: {posted}", "Save"]
    return "\n".join(f"   - {line}" for line in told)
