"""Odoo tells of changes by automation rules that post to us: installed, repaired, listed, removed, and understood."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from isthmus.connectors.odoo import actions, automations
from isthmus.connectors.odoo.actions import TECHNICAL
from isthmus.connectors.odoo.automations import WHAT_IS_INSTALLED, Rule
from isthmus.connectors.odoo.grouped import key_of, model_of
from isthmus.connectors.odoo.guarded import GUARDED_WRITE
from isthmus.connectors.odoo.watching import SPEC_ATTRIBUTES, Spec, watches
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import (
    AuthFailed,
    Delivery,
    Hint,
    HookStatus,
    InvalidRecord,
    IsthmusError,
    Misconfigured,
    WebhookRequest,
)
from isthmus.sdk.answers import decode_json

OLDEST = 17
"""Odoo's automations can send webhooks since this version."""

APP = "base_automation"


class Hooks:
    """The automations of one Connection. `owner` names it: installation and connection."""

    def __init__(self, wire: Wire, *, installation: str, connection: str) -> None:
        self._wire = wire
        self._prefix = automations.prefix(installation, connection)
        self._paths: Mapping[str, Sequence[str]] = {}
        self._specs: dict[str, Spec] = {}

    def uses(self, paths: Mapping[str, Sequence[str]]) -> None:
        """Only these paths of each Entity are watched from now on; an Entity that is not named is watched wholly."""
        self._paths = {entity: tuple(told) for entity, told in paths.items()}

    # -- understanding -----------------------------------------------------------------------------------------

    def receive(self, request: WebhookRequest) -> Delivery:
        """What one automation's post hints at; the record's values are read later, never taken from here."""
        secret = self._wire.settings.hook_secret
        if secret and not hmac.compare_digest(secret.reveal(), request.query.get("secret", "")):
            raise AuthFailed(
                "verifying a webhook delivery from Odoo: the secret in its address is not ours",
                hint="Install the automations again with `isthmus connection hooks`.",
            )
        try:
            told = decode_json(request.body)
        except ValueError:
            told = None
        if not isinstance(told, Mapping) or not isinstance(told.get("_id"), int) or not told.get("_model"):
            raise InvalidRecord(
                "reading a webhook delivery from Odoo: it names no record",
                hint="Its automation needs the action Send Webhook Notification; install it again.",
            )
        return Delivery(delivery_id=None, hints=_hints(request.query, told))

    # -- installing --------------------------------------------------------------------------------------------

    async def status(self, entities: Sequence[str], url: str) -> list[HookStatus]:
        """How the automations stand, as far as the sync user may see; without raising for a set-up that lacks them."""
        cause = await self.impossible()
        if cause:
            return [HookStatus(entity=entity, installed=False, detail=cause) for entity in entities]
        found = await self.found(self._wire, url)
        out = []
        for entity in entities:
            try:
                wanted = await self._rules(entity)
            except IsthmusError as error:
                if error.action == "retry":
                    raise
                out.append(HookStatus(entity=entity, installed=False, detail=f"{error} {error.hint}"))
                continue
            out.append(_status(entity, wanted, found))
        return out

    async def install(self, entities: Sequence[str], url: str) -> list[HookStatus]:
        """Install or repair everything with the administrator's key; without one, say what a person has to do."""
        admin = await self._admin()
        if admin is None:
            return [await self._with_steps(one, url) for one in await self.status(entities, url)]
        await _must_be_admin(admin)
        await actions.install(admin, GUARDED_WRITE)
        cause = await self.impossible()
        if cause:
            return [HookStatus(entity=entity, installed=False, detail=cause) for entity in entities]
        await actions.install(admin, WHAT_IS_INSTALLED)
        found = {str(one["name"]): one for one in await self.found(admin, url) or ()}
        wanted = [rule for entity in entities for rule in await self._rules(entity)]
        await automations.put(admin, wanted, url, found)
        kept = {rule.name for rule in wanted}
        await automations.drop(admin, [int(one["id"]) for name, one in found.items() if name not in kept])
        return await self.status(entities, url)

    async def remove(self, url: str) -> None:
        """Take our automations away; the actions too, when no other Connection of ours needs them."""
        admin = await self._admin()
        if admin is None:
            raise Misconfigured(
                "removing the automations from Odoo: only an administrator may do that",
                hint=(
                    "Give a temporary administrator key (`--admin admin_key=…`), or delete by hand what begins with "
                    f"{self._prefix.strip()!r} in Settings > Technical > Automation Rules."
                ),
            )
        await _must_be_admin(admin)
        if await self._has_app(admin):
            doing = "looking for our automations in Odoo"
            rows = await admin.call(
                automations.RULES, "search_read", doing=doing, reads=True, context=TECHNICAL,
                domain=[["name", "=like", "Isthmus %"]], fields=["name"],
            )  # fmt: skip
            ours = [int(row["id"]) for row in rows if str(row["name"]).startswith(self._prefix)]
            await automations.drop(admin, ours)
            if len(ours) < len(rows):
                return
        await actions.remove(admin, WHAT_IS_INSTALLED)
        await actions.remove(admin, GUARDED_WRITE)

    # -- looking -----------------------------------------------------------------------------------------------

    async def _admin(self) -> Wire | None:
        settings = self._wire.settings
        if not settings.admin_key:
            return None
        await self._wire.version()
        if self._wire.protocol != "json2" and not settings.admin_login:
            raise Misconfigured(
                "checking the administrator key: this protocol needs the login beside it",
                hint="Give it as well: `--admin admin_login=…`.",
            )
        return self._wire.with_key(settings.admin_key, settings.admin_login.reveal() if settings.admin_login else None)

    async def impossible(self) -> str:
        """Why no automation can post to us, or nothing."""
        major = int((await self._wire.version()).get("server_version_info", [0])[0])
        if major < OLDEST:
            return f"Odoo {major} cannot send webhooks from automations (version {OLDEST} can); it is polled instead."
        if not await self._has_app(self._wire):
            return (
                f"The app Automation Rules ({APP}) is not installed in Odoo. Open Apps, remove the filter 'Apps' from "
                "the search, search for base_automation, click Activate; then run this again. It is polled instead."
            )
        return ""

    async def _has_app(self, wire: Wire) -> bool:
        try:
            found = await wire.call(
                "ir.module.module", "search_count", doing="looking for the app Automation Rules", reads=True,
                domain=[["name", "=", APP], ["state", "=", "installed"]],
            )  # fmt: skip
        except IsthmusError as error:
            if error.action == "retry":
                raise
            return True  # this user may not look; installing tells
        return bool(found)

    async def found(self, wire: Wire, url: str) -> list[Mapping[str, Any]] | None:
        """Our rules as they are in Odoo; None when this user cannot see them."""
        there = await actions.find(wire, WHAT_IS_INSTALLED)
        if there is None:
            return None
        request = {"prefix": self._prefix, "url": url}
        doing = "asking Odoo for our automations"
        told = await actions.run(wire, there.id, doing=doing, request=request, key=automations.REQUEST_KEY, reads=True)
        return list(told) if isinstance(told, Sequence) else None

    async def _rules(self, entity: str) -> list[Rule]:
        plan = await watches(entity, self._paths.get(entity, ()), self._spec)
        user = await self._wire.uid()
        return [rule for watch in plan for rule in automations.rules_for(watch, user, self._prefix)]

    async def _spec(self, model: str) -> Spec:
        if model not in self._specs:
            self._specs[model] = await self._wire.call(
                model, "fields_get", doing=f"asking Odoo for the fields of {model}", reads=True,
                attributes=[*SPEC_ATTRIBUTES, "string"],
            )  # fmt: skip
        return self._specs[model]

    async def _label(self, model: str) -> str:
        """What people call a model."""
        try:
            told = await self._wire.call(
                "ir.model", "display_name_for", doing=f"asking what {model} is called", reads=True, models=[model]
            )
            return str(told[0]["display_name"])
        except IsthmusError as error:
            if error.action == "retry":
                raise
            return model

    async def _with_steps(self, status: HookStatus, url: str) -> HookStatus:
        if status.installed or model_of(status.entity) not in self._specs:
            return status
        lines = [
            f"{status.detail}. An administrator of Odoo does this once; with a temporary administrator key "
            "(`--admin admin_key=…`, used for one call and never stored) it is done for you. By hand:",
            "1. Settings > General Settings > Developer Tools: Activate the developer mode.",
            "2. Settings > Technical > Automation > Automation Rules, and there:",
        ]
        for rule in await self._rules(status.entity):
            spec = await self._spec(rule.model)
            labels = {name: str(told.get("string") or name) for name, told in spec.items()}
            labels[""] = await self._label(rule.model)
            lines.append(automations.steps(rule, url, labels))
        return HookStatus(entity=status.entity, installed=False, detail="\n".join(lines), remote_id=status.remote_id)


def _status(entity: str, wanted: Sequence[Rule], found: Sequence[Mapping[str, Any]] | None) -> HookStatus:
    if found is None:
        detail = "not installed, or not visible to the integration user; changes are found by polling"
        return HookStatus(entity=entity, installed=False, detail=detail)
    by_name = {str(one["name"]): one for one in found}
    missing = [rule for rule in wanted if rule.name not in by_name]
    spoilt = [rule for rule in wanted if rule.name in by_name and not rule.stands(by_name[rule.name])]
    if not missing and not spoilt:
        ids = ",".join(str(by_name[rule.name]["id"]) for rule in wanted)
        return HookStatus(entity=entity, installed=True, detail=f"{len(wanted)} automations at work", remote_id=ids)
    told = [f"{len(missing)} of {len(wanted)} automations are missing"] if missing else []
    told += [f"{len(spoilt)} of {len(wanted)} were changed or switched off"] if spoilt else []
    return HookStatus(entity=entity, installed=False, detail=", ".join(told))


async def is_administrator(wire: Wire, user: int) -> bool:
    """Whether a user may change Odoo's settings."""
    told = await wire.call(
        "res.users", "has_group", doing="asking whether the login is an administrator", ids=[user], reads=True,
        context=TECHNICAL, group_ext_id="base.group_system",
    )  # fmt: skip
    return bool(told)


async def _must_be_admin(admin: Wire) -> None:
    if not await is_administrator(admin, await admin.uid()):
        raise Misconfigured(
            "checking the administrator key: it belongs to a user who is no administrator",
            hint="Give the key of a user with the role Administrator (Settings), made for this and deleted afterwards.",
        )


def _hints(query: Mapping[str, str], told: Mapping[str, Any]) -> list[Hint]:
    model, record, gone = str(told["_model"]), int(told["_id"]), query.get("gone") == "1"
    entity, via, up = query.get("entity") or model, query.get("via", ""), query.get("up", "")
    at = _instant(told.get("write_date"))
    if not via:
        root = told.get(up) if up else None
        out = []
        if not root or gone or told.get("type") in (None, False, "contact"):
            out.append(Hint(entity=entity, key=str(record), occurred_at=at, gone=gone))
        if root:
            out.append(Hint(entity=entity, key=str(root), occurred_at=at))
        return out
    if "+" in via:
        key = key_of(told, via.split("+"))
        return [Hint(entity=entity, key=key, occurred_at=at)] if key is not None else []
    value = told.get(via)
    if isinstance(value, list):
        return [Hint(entity=entity, key=str(key), occurred_at=at, gone=gone) for key in value]
    return [Hint(entity=entity, key=str(value), occurred_at=at)] if value else []


def _instant(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).replace(tzinfo=UTC) if value else None
    except ValueError:
        return None
