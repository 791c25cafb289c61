"""The connection doctor of Odoo: everything that a pair needs there, each finding in plain words with the fix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from isthmus.connectors.odoo import actions, ailments
from isthmus.connectors.odoo.actions import TECHNICAL
from isthmus.connectors.odoo.ailments import APPS, KEY_WARNING_DAYS, OLDEST_TESTED, OLDEST_VERSION
from isthmus.connectors.odoo.automations import WHAT_IS_INSTALLED
from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.grouped import model_of
from isthmus.connectors.odoo.guarded import GUARDED_WRITE
from isthmus.connectors.odoo.hooks import Hooks, is_administrator
from isthmus.connectors.odoo.keys import ApiKey, own_keys
from isthmus.connectors.odoo.paths import parse, real
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import AuthFailed, Finding, IsthmusError, Misconfigured, SchemaDrift

USUAL = ("res.partner", "product.product", "product.template")
"""Looked at when no pair uses the connection yet."""


class Doctor:
    """Examines one connection; never raises for what it finds."""

    def __init__(self, wire: Wire, fields: Fields, hooks: Hooks, *, name: str) -> None:
        self._wire = wire
        self._fields = fields
        self._hooks = hooks
        self._paths: Mapping[str, Sequence[str]] = {}
        self._install = f"isthmus connection hooks {name} --base-url URL --admin admin_key=KEY"
        self._new_key = ailments.NEW_KEY.replace("NAME", name)

    def uses(self, paths: Mapping[str, Sequence[str]]) -> None:
        """The models that pairs use, each with the paths that they map."""
        self._paths = dict(paths)

    async def findings(self) -> list[Finding]:
        """Every finding, in the order in which things depend on each other; what stops everything comes alone."""
        out: list[Finding] = []
        for name, look in (
            ("address", self._server),
            ("login", self._login),
            ("company", self._company),
            ("language", self._language),
        ):
            found = await self._safely(name, look)
            out += found
            if any(one.status == "problem" for one in found):
                return out
        for name, look in (
            ("key", self._key),
            ("user", self._user),
            ("models", self._models),
            ("calls", self._calls),
            ("guarded write", self._guarded),
            ("automations", self._automations),
        ):
            out += await self._safely(name, look)
        return out

    async def _safely(self, check: str, look: ailments.Look) -> list[Finding]:
        try:
            return await look()
        except IsthmusError as error:
            return [Finding(check=check, status="problem", message=_said(error), fix=error.hint, facts=error.facts)]

    # -- what everything rests on ------------------------------------------------------------------------------

    async def _server(self) -> list[Finding]:
        base = self._wire.http.base_url
        version = await self._wire.version()
        info = [*version.get("server_version_info", [0]), 0, 0]
        major, said = int(info[0]), str(version.get("server_version") or info[0])
        out = [Finding(check="address", status="ok", message=f"{base} answers{_by_tls(base)}.")]
        protocol = ailments.PROTOCOLS[self._wire.protocol]
        facts = {"version": said, "protocol": self._wire.protocol}
        if major < OLDEST_VERSION:
            message = f"This is Odoo {said}, which is too old: version {OLDEST_VERSION} is the first that works."
            return [*out, Finding(check="version", status="problem", message=message, fix="Upgrade Odoo.", facts=facts)]
        if major >= OLDEST_TESTED and self._wire.protocol != "json2":
            message = f"Odoo {said} is spoken to by {protocol}, which Odoo 20 will not understand any more."
            fix = "Set `protocol` of the connection to `auto`: JSON-2 is used from version 19 on."
            return [*out, Finding(check="version", status="warning", message=message, fix=fix, facts=facts)]
        if major < OLDEST_TESTED:
            message = f"Odoo {said} is spoken to by {protocol}; this version is supported but not tested."
            fix = "Try the pair on a copy of your database first."
            return [*out, Finding(check="version", status="warning", message=message, fix=fix, facts=facts)]
        message = f"Odoo {said}, spoken to by {protocol}."
        return [*out, Finding(check="version", status="ok", message=message, facts=facts)]

    async def _login(self) -> list[Finding]:
        database = self._wire.settings.database
        try:
            uid = await self._wire.uid()
        except AuthFailed as error:
            message = (
                f"Odoo does not accept the API key: it is wrong, revoked or expired ({error.answered or 'denied'})."
            )
            return [Finding(check="key", status="problem", message=message, fix=self._new_key, facts=error.facts)]
        except Misconfigured as error:
            if "database" not in error.facts:
                raise
            return [await self._no_database(error)]
        rows = await self._wire.call(
            "res.users",
            "read",
            doing="reading our own user",
            ids=[uid],
            reads=True,
            context=TECHNICAL,
            fields=["login"],
        )
        login = rows[0]["login"] if rows else uid
        named = f"the database {database!r}" if database else "the only database of this server"
        message = f"The key works in {named}, as {login} (user {uid})."
        return [Finding(check="login", status="ok", message=message, facts={"uid": uid, "login": login})]

    async def _no_database(self, error: IsthmusError) -> Finding:
        database = self._wire.settings.database
        known = await ailments.databases(self._wire.http)
        if database in known:
            raise error
        if database:
            message = (
                f"The server answers, but has no database {database!r}: it was dropped or renamed, or never there."
            )
        else:
            message = "The server has several databases, or none, and the connection names none."
        listed = f" This server has: {', '.join(known[:10])}." if known else ""
        fix = f"Set `database` of the connection to the right name.{listed}"
        return Finding(check="database", status="problem", message=message, fix=fix, facts={"database": database})

    # -- key and user ------------------------------------------------------------------------------------------

    async def _key(self) -> list[Finding]:
        keys = await own_keys(self._wire, self._fields)
        if not keys:
            message = "This login has no API key, so the secret in use is a password."
            fix = "Make an API key: it can be revoked alone and cannot open the web pages."
            return [Finding(check="key", status="warning", message=message, fix=fix)]
        return [self._about(keys)]

    def _about(self, keys: Sequence[ApiKey]) -> Finding:
        """How long the keys of this login live; Odoo does not tell which of several is the one in use."""
        now = self._wire.clock.now()
        living = [key for key in keys if key.expires_at is None or key.expires_at > now]
        ending = sorted((key.expires_at, key.name) for key in living if key.expires_at is not None)
        if not ending:
            return Finding(check="key", status="ok", message="The API key does not expire.", facts={"days_left": None})
        at, name = ending[0]
        days = (at - now).days
        which = (
            f"The API key {name!r}" if len(living) == 1 else f"One of the {len(living)} keys of this login, {name!r},"
        )
        message = f"{which} expires in {days} day{'' if days == 1 else 's'}, on {at:%Y-%m-%d}."
        facts = {"days_left": days, "expires_at": at.isoformat(), "keys": len(living)}
        if days >= KEY_WARNING_DAYS:
            return Finding(check="key", status="ok", message=message, facts=facts)
        return Finding(check="key", status="warning", message=message, fix=self._new_key, facts=facts)

    async def _user(self) -> list[Finding]:
        uid = await self._wire.uid()
        admin = await is_administrator(self._wire, uid)
        if not admin:
            return [Finding(check="user", status="ok", message="The login is no administrator, as it should be.")]
        return [
            Finding(
                check="user",
                status="warning",
                message="The login is an administrator: whoever gets hold of the key can do everything.",
                fix="Make a user for the integration alone, with the roles that its models need, and use its key.",
            )
        ]

    async def _company(self) -> list[Finding]:
        company, uid = await self._wire.company(), await self._wire.uid()
        mine = await self._wire.call(
            "res.users",
            "read",
            doing="reading our companies",
            ids=[uid],
            reads=True,
            context=TECHNICAL,
            fields=["company_ids"],
        )
        allowed = [int(one) for one in mine[0]["company_ids"]] if mine else []
        if company not in allowed:
            message = f"The login may not work in company {company}; it may in {', '.join(map(str, allowed))}."
            fix = "Set `company` of the connection, or add the company to the user in Settings > Users."
            return [Finding(check="company", status="problem", message=message, fix=fix)]
        rows = await self._wire.call(
            "res.company",
            "read",
            doing="reading our company",
            ids=[company],
            reads=True,
            context=TECHNICAL,
            fields=["name", "currency_id"],
        )
        currency = rows[0]["currency_id"][1] if rows and rows[0]["currency_id"] else "no currency"
        more = f" {len(allowed) - 1} more are visible; they take no part." if len(allowed) > 1 else ""
        message = f"Company {rows[0]['name']} ({currency}).{more}"
        return [Finding(check="company", status="ok", message=message, facts={"company": company, "allowed": allowed})]

    async def _language(self) -> list[Finding]:
        wanted = self._wire.settings.language
        told = await self._wire.call(
            "res.lang", "get_installed", doing="asking for the languages", reads=True, context=TECHNICAL
        )
        installed = [str(code) for code, _ in told]
        if wanted in installed:
            return [Finding(check="language", status="ok", message=f"Texts are read and written in {wanted}.")]
        message = f"The language {wanted} is not installed in Odoo; {', '.join(installed)} are."
        fix = "Set `language` of the connection to one of them, or add it in Settings > Translations > Languages."
        return [Finding(check="language", status="problem", message=message, fix=fix)]

    # -- models ------------------------------------------------------------------------------------------------

    async def _models(self) -> list[Finding]:
        return [await self._model(name) for name in (self._paths or dict.fromkeys(USUAL))]

    async def _model(self, name: str) -> Finding:
        entity, name = name, model_of(name)
        try:
            described = await self._fields.model(name)
        except SchemaDrift:
            app, label = ailments.app_of(name)
            message = f"Odoo has no model {name}: the app that brings it is not installed."
            fix = f"Install the app {label} ({app}) in Odoo, or leave this Entity out of the pair." if app else (
                "Install the app that brings it, or correct the Mapping's system_entity."
            )  # fmt: skip
            return Finding(check=name, status="problem", message=message, fix=fix, facts={"missing_app": app})
        except Misconfigured as error:
            return Finding(check=name, status="problem", message=f"{name} cannot be read.", fix=_right_fix(error))
        rights = {right: await self._fields.may(name, right) for right in ("read", "create", "write")}
        denied = [right for right, granted in rights.items() if not granted]
        if denied:
            groups = await ailments.groups_for(self._wire, name, ailments.telling(denied))
            wanted = f" One of these groups allows it: {', '.join(groups)}." if groups else ""
            return Finding(
                check=name,
                status="problem" if "read" in denied else "warning",
                message=f"The login may not {', '.join(denied)} {name}{'' if 'read' in denied else ', only read it'}.",
                fix=f"Give it the right in Settings > Users & Companies > Users.{wanted}",
                facts={"denied": denied, "groups": groups},
            )
        paths = real(self._paths.get(entity, ()))
        named = {parse(path).step.field for path in paths}
        missing = sorted(name for name in named - set(described.fields) if not name.startswith("x_"))
        if missing:
            apps = [f"{APPS[one][1]} ({APPS[one][0]})" for one in missing if one in APPS]
            return Finding(
                check=name,
                status="ok",
                message=f"{name} can be read, created and written; it has no {', '.join(missing)}, which are left out.",
                fix=f"Install {', '.join(sorted(set(apps)))} to have them." if apps else "",
                facts={"missing_fields": missing},
            )
        return Finding(check=name, status="ok", message=f"{name} can be read, created and written.")

    # -- limits and what is installed --------------------------------------------------------------------------

    async def _calls(self) -> list[Finding]:
        started = self._wire.clock.monotonic()
        await self._wire.call("res.users", "context_get", doing="measuring one call", reads=True)
        took = round((self._wire.clock.monotonic() - started) * 1000)
        rate = self._wire.settings.rate()
        ours = f"we make at most {rate.per_second:g} calls a second" if rate.per_second else "we set no limit of calls"
        facts = {"milliseconds": took, "calls_per_second": rate.per_second}
        if not self._wire.settings.hosted:
            return [Finding(check="calls", status="ok", message=f"One call takes {took} ms; {ours}.", facts=facts)]
        message = (
            f"This is Odoo's own cloud: its API is part of the Custom plan only and allows about one call a second; "
            f"{ours}. One call takes {took} ms."
        )
        status = ailments.warn_if(rate.per_second == 0 or rate.per_second > 1)
        fix = "Set `calls_per_second` to 1, or Odoo answers 429." if status == "warning" else ""
        return [Finding(check="calls", status=status, message=message, fix=fix, facts=facts)]

    async def _guarded(self) -> list[Finding]:
        installed = await actions.find(self._wire, GUARDED_WRITE)
        if installed is not None and installed.version >= GUARDED_WRITE.version:
            message = "Installed: nobody's edit is overwritten, and many records are written in one call."
            return [Finding(check="guarded write", status="ok", message=message, facts={"id": installed.id})]
        if installed is not None:
            message = f"Version {installed.version or '?'} is installed; this Isthmus brings {GUARDED_WRITE.version}."
            return [Finding(check="guarded write", status="warning", message=message, fix=f"Run `{self._install}`.")]
        message = (
            "Not installed: records are read again just before they are written, so an edit made in Odoo within that "
            "one call (about 50 ms) would be overwritten, and records are written one by one (a third of the speed)."
        )
        fix = f"Install it once with a temporary administrator key: `{self._install}`. The key is not stored."
        return [Finding(check="guarded write", status="warning", message=message, fix=fix)]

    async def _automations(self) -> list[Finding]:
        cause = await self._hooks.impossible()
        if cause:
            return [Finding(check="automations", status="warning", message=cause)]
        rules = await self._hooks.found(self._wire, "")
        if rules:
            off = [str(rule["name"]) for rule in rules if not rule["active"]]
            if off:
                message = f"{len(off)} of our {len(rules)} automations are switched off: {', '.join(off)}."
                return [Finding(check="automations", status="warning", message=message, fix=f"Run `{self._install}`.")]
            message = f"{len(rules)} automations tell us of changes at once."
            return [Finding(check="automations", status="ok", message=message, facts={"rules": len(rules)})]
        there = await actions.find(self._wire, WHAT_IS_INSTALLED)
        known = "None is installed" if there else "None is installed, or the login cannot see them"
        message = f"{known}: changes are found by polling, and deletions by the Sweep only."
        fix = f"Install them once with a temporary administrator key: `{self._install}`; without, it prints steps."
        return [Finding(check="automations", status="warning", message=message, fix=fix)]


def _by_tls(base: str) -> str:
    return " over TLS" if urlsplit(base).scheme == "https" else ", unencrypted"


def _said(error: IsthmusError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…")) else ".")


def _right_fix(error: IsthmusError) -> str:
    groups = ailments.groups_in(error.answered or "")
    return f"Give the login one of these groups: {', '.join(groups)}." if groups else error.hint
