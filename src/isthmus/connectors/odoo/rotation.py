"""A new API key in place of one that ends: made by Odoo for us where it allows that, else told step by step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.keys import KEYS, own_keys
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import AuthFailed, IsthmusError, Misconfigured, Secret

WIZARD = "res.users.apikeys.description"
CHECK = "res.users.identitycheck"
LONGEST = 90
"""Days a key lives where Odoo does not tell how long it may: what it allows an internal user."""

OLDEST = 19
"""The first version whose API can run what asks for a password."""

PASSWORD = "password"  # noqa: S105 - the name of what proves who we are


class Rotation:
    """Makes and ends API keys of our own login."""

    def __init__(self, wire: Wire, *, connection: str) -> None:
        # Odoo asks who we are only over JSON-2; a key works there whatever else the connection speaks.
        self._wire = Wire(wire.settings.model_copy(update={"protocol": "json2"}), wire.http, wire.clock)
        self._fields = Fields(self._wire)
        self._connection = connection

    async def renew(self, proof: Mapping[str, Secret]) -> dict[str, Secret]:
        """A new key, with the old one still at work. Raises Misconfigured with the steps where Odoo wants a person."""
        if int((await self._wire.version()).get("server_version_info", [0])[0]) < OLDEST:
            raise self._by_hand(LONGEST)
        days = await self._longest()
        made = await self._generated(days)
        if made is None and PASSWORD in proof:
            made = await self._by_wizard(days, proof[PASSWORD])
        if made is None:
            raise self._by_hand(days)
        return {"api_key": Secret(made)}

    async def retire(self, proof: Mapping[str, Secret]) -> str:
        """End the key that we use ourselves; a sentence on what became of it."""
        key = self._wire.settings.api_key.reveal()
        try:
            await self._wire.call(KEYS, "revoke", doing="revoking the old API key", key=key)
        except IsthmusError as error:
            if isinstance(error, AuthFailed) or error.action == "retry":
                return "The old API key is not accepted any more; nothing is left to do."
        else:
            return "The old API key is revoked."
        keys = await own_keys(self._wire, self._fields)
        older = keys[:-1]
        by_hand = "in Odoo as the integration user: My Preferences > Security."
        if not older:
            return f"Delete the old API key {by_hand}"
        if len(older) > 1:
            named = ", ".join(repr(one.name) for one in older)
            return f"Odoo does not tell which of the keys {named} was in use: delete the old one {by_hand}"
        if PASSWORD not in proof:
            return f"Delete the old API key {older[0].name!r} {by_hand}"
        await self._proven(KEYS, "remove", older[0].id, proof[PASSWORD], "removing the old API key")
        return f"The old API key {older[0].name!r} is removed from Odoo."

    async def _longest(self) -> int:
        """The most days that this login may let a key live."""
        spec = await self._wire.call(
            WIZARD,
            "fields_get",
            doing="asking how long a key may live",
            reads=True,
            allfields=["duration"],
            attributes=["selection"],
        )
        told = spec.get("duration", {}).get("selection") or []
        return max((int(days) for days, _ in told if int(days) > 0), default=LONGEST)

    async def _generated(self, days: int) -> str | None:
        """The door that newer releases have for this, where an administrator has opened it."""
        until = (self._wire.clock.now() + timedelta(days=days - 1)).strftime("%Y-%m-%d %H:%M:%S")
        try:
            told = await self._wire.call(
                KEYS,
                "generate",
                doing="making a new API key in Odoo",
                key=self._wire.settings.api_key.reveal(),
                scope="rpc",
                name=self._name(),
                expiration_date=until,
            )
        except IsthmusError as error:
            if error.action == "retry" or isinstance(error, AuthFailed):
                raise
            return None
        return str(told) if told else None

    async def _by_wizard(self, days: int, password: Secret) -> str:
        """The dialogue that a person would go through."""
        doing = "making a new API key in Odoo"
        values = {"name": self._name(), "duration": str(days)}
        made = await self._wire.call(WIZARD, "create", doing=doing, vals_list=[values])
        told = await self._proven(WIZARD, "make_key", int(made[0]), password, doing)
        key = (told.get("context") or {}).get("default_key") if isinstance(told, Mapping) else None
        if not key:
            raise Misconfigured(doing, answered="Odoo made no key", hint="Make one by hand: My Preferences > Security.")
        return str(key)

    async def _proven(self, model: str, method: str, one: int, password: Secret, doing: str) -> Any:
        """Run what Odoo runs only for somebody who has just shown the password."""
        told = await self._wire.call(model, method, doing=doing, ids=[one])
        if not isinstance(told, Mapping) or told.get("res_model") != CHECK:
            return told
        try:
            return await self._wire.call(
                CHECK, "run_check", doing=doing, ids=[int(told["res_id"])], context={PASSWORD: password.reveal()}
            )
        except IsthmusError as error:
            if "assword" not in (error.answered or ""):
                raise
            raise Misconfigured(
                doing,
                answered="the password is not right",
                hint="Give the password of the integration user, whose API key is in use.",
            ) from None

    def _by_hand(self, days: int) -> Misconfigured:
        return Misconfigured(
            "making a new API key in Odoo",
            answered="this Odoo lets a login make keys only after it has shown its password",
            hint=_steps(self._wire.http.base_url, self._connection, days),
            facts={"days": days},
        )

    def _name(self) -> str:
        return f"Isthmus {self._wire.clock.now():%Y-%m-%d %H:%M}"


def _steps(url: str, connection: str, days: int) -> str:
    rotate = f"isthmus connection rotate {connection}"
    return "\n".join(
        (
            f"Give the login's password once, it is not stored: `{rotate} --proof {PASSWORD}=@FILE`. Or by hand:",
            f"1. Log in to {url} as the integration user.",
            "2. Click the user's name (top right) > My Preferences > Security > Add API Key.",
            f"3. Confirm the password, give the key a name, choose the longest duration ({days} days), copy the key.",
            f"4. Run `{rotate} --secret api_key=@FILE`; the old key stays in use until the new one is proven to work.",
            "Newer releases of Odoo 19 renew a key without a password once an administrator has set the system",
            "parameter base.enable_programmatic_api_keys to True.",
        )
    )
