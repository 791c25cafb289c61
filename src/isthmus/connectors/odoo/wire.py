"""One call to one Odoo, whichever of its protocols it speaks; everything that goes wrong is an IsthmusError."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.connectors.odoo import protocols
from isthmus.connectors.odoo.protocols import Call, Message, Unreadable
from isthmus.connectors.odoo.refusal import Asked, Refusal, classify
from isthmus.connectors.odoo.settings import OdooSettings, Protocol
from isthmus.sdk import (
    AuthFailed,
    Clock,
    Contended,
    HttpClient,
    IsthmusError,
    Misconfigured,
    OutcomeUnknown,
    Response,
    Secret,
    Unavailable,
    rate_limited,
)
from isthmus.sdk.answers import read_error

QUIET: Mapping[str, Any] = {
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "mail_notrack": True,
}
"""Context of writes: no chatter message per record, which costs a third of the time (the audit log is ours)."""

_INT_KEYS = ("get_external_id",)  # XML-RPC cannot answer a mapping by number, so these go by JSON-RPC


class Wire:
    """Calls of one login, in one company and one language. Raises IsthmusError only."""

    def __init__(self, settings: OdooSettings, http: HttpClient, clock: Clock) -> None:
        self.settings = settings
        self.http = http
        self.clock = clock
        self._protocol: Protocol | None = None if settings.protocol == "auto" else settings.protocol
        self._version: dict[str, Any] | None = None
        self._uid: int | None = None
        self._company: int | None = None
        self._opening = asyncio.Lock()
        self.server_clock: str | None = None

    @property
    def protocol(self) -> Protocol:
        """The protocol in use; `json2` until the server was asked, unless the settings name one."""
        return self._protocol or "json2"

    def with_key(self, api_key: Secret | str, login: str | None = None) -> Wire:
        """The same server with other credentials, for one-off work; they are never stored."""
        changed = {"api_key": Secret(api_key), "login": self.settings.login if login is None else login}
        other = Wire(self.settings.model_copy(update=changed), self.http, self.clock)
        other._protocol, other._version, other._company = self._protocol, self._version, self._company
        return other

    async def call(
        self,
        model: str,
        method: str,
        /,
        *,
        doing: str,
        ids: Sequence[int] | None = None,
        reads: bool = False,
        context: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Any:
        """One method call; arguments are named as Odoo's method names them, `ids` are the records it is called on.

        `reads` says that the call changes nothing: without an answer it is Unavailable, not OutcomeUnknown.
        Archived records take part, the language and company of the connection are sent along.
        """
        await self.open()
        return await self._call(
            model, method, doing, ids, reads, {**self._context(reads), **(context or {})}, arguments
        )

    async def open(self) -> None:
        """Find out protocol, user and company, once."""
        if self._company is not None:
            return
        async with self._opening:
            if self._company is not None:
                return
            if self._protocol is None:
                await self.version()
            self._company = await self._find_company()

    async def version(self) -> Mapping[str, Any]:
        """What the server says of its version: `server_version`, `server_version_info`; finds the protocol, too."""
        if self._version is None:
            self._version, best = await self._probe()
            self._protocol = self._protocol or best
        return self._version

    async def uid(self) -> int:
        """The database id of the user who calls."""
        if self._uid is None:
            if self.protocol == "json2":
                told = await self._call(
                    "res.users", "context_get", "asking Odoo who we are", None, True, {}, {}, opened=True
                )
                self._uid = int(told["uid"])
            else:
                self._uid = await self._authenticate()
        return self._uid

    async def company(self) -> int:
        """The database id of the company whose records are meant."""
        await self.open()
        assert self._company is not None
        return self._company

    # -- opening -----------------------------------------------------------------------------------------------

    async def _probe(self) -> tuple[dict[str, Any], Protocol]:
        doing = f"asking {self.http.base_url} for its version"
        found: list[Response] = []
        answer = await self.http.send("GET", "/json/version", doing=doing, reads_only=True)
        found.append(answer)
        told = _mapping(answer)
        if answer.status == 200 and told is not None and "version_info" in told:
            info = list(told["version_info"])
            return {"server_version": str(told.get("version", "")), "server_version_info": info}, "json2"
        message = protocols.jsonrpc_message("common", "version", ())
        answer = await self._send(message, doing, reads=True)
        found.append(answer)
        if answer.status == 200:
            try:
                told = protocols.jsonrpc_answer(answer.body)
            except Unreadable:
                told = None
            if isinstance(told, Mapping):
                return dict(told), "jsonrpc"
        answer = await self._send(protocols.xmlrpc_message("common", "version", ()), doing, reads=True)
        found.append(answer)
        if answer.status == 200:
            try:
                told = protocols.xmlrpc_answer(answer.body)
            except Unreadable:
                told = None
            if isinstance(told, Mapping):
                return dict(told), "xmlrpc"
        for one in found:
            if one.status == 429:
                raise rate_limited(doing, one, self.clock.now())
            if one.status >= 500:
                raise Unavailable(doing, answered=read_error(one.status, one.body).said)
        raise Misconfigured(
            doing,
            answered=read_error(found[0].status, found[0].body).said,
            hint="Check the URL: it is the address people open Odoo with, without /web or /odoo behind it.",
        )

    async def _find_company(self) -> int:
        wanted = self.settings.company
        if isinstance(wanted, str) and wanted.strip().isdigit():
            wanted = int(wanted)
        base = {"lang": self.settings.language}
        if isinstance(wanted, int):
            return wanted
        uid = await self.uid()
        if wanted:
            doing = f"looking for the company {wanted!r}"
            rows = await self._call(
                "res.company", "search_read", doing, None, True, base,
                {"domain": [["name", "=", wanted]], "fields": ["id"], "limit": 2}, opened=True,
            )  # fmt: skip
            if len(rows) != 1:
                raise Misconfigured(
                    doing,
                    answered="there is none that this user may see" if not rows else "there are several",
                    hint="Set `company` to the id or the exact name of a company of the integration user.",
                )
            return int(rows[0]["id"])
        rows = await self._call(
            "res.users", "read", "asking Odoo for our company", [uid], True, base,
            {"fields": ["company_id"], "load": ""}, opened=True,
        )  # fmt: skip
        company = rows[0]["company_id"] if rows else None
        return int(company[0] if isinstance(company, list) else company or 1)

    async def _authenticate(self) -> int:
        settings = self.settings
        doing = f"logging in to Odoo as {settings.login or 'nobody'}"
        for name in ("login", "database"):
            if not getattr(settings, name):
                raise Misconfigured(
                    doing,
                    answered=f"this protocol needs the {name}",
                    hint=f"Set {name} of the connection, or use JSON-2 (version 19 or newer).",
                )
        told = await self._rpc(
            "common", "authenticate", [settings.database, settings.login, settings.api_key.reveal(), {}], doing, True,
            Asked(model="res.users", method="authenticate", doing=doing, reads=True),
        )  # fmt: skip
        if not isinstance(told, int) or not told:
            raise AuthFailed(doing, answered="the login or the key is not accepted")
        return told

    # -- calling -----------------------------------------------------------------------------------------------

    def _context(self, reads: bool) -> dict[str, Any]:
        base: dict[str, Any] = {"lang": self.settings.language, "active_test": False}
        if self._company is not None:
            base["allowed_company_ids"] = [self._company]
        return base if reads else {**base, **QUIET}

    async def _call(
        self,
        model: str,
        method: str,
        doing: str,
        ids: Sequence[int] | None,
        reads: bool,
        context: Mapping[str, Any],
        arguments: Mapping[str, Any],
        *,
        opened: bool = False,
    ) -> Any:
        call = Call(model, method, ids, arguments, context)
        asked = Asked(model=model, method=method, doing=doing, reads=reads)
        if self.protocol == "json2":
            message = protocols.json2_message(call, self.settings.database, self.settings.api_key.reveal())
            answer = await self._send(message, doing, reads=reads)
            if answer.status == 200:
                return self._readable(protocols.decode_json, answer, asked)
            raise self._failed(answer, asked)
        positional, named = protocols.rpc_arguments(call)
        who = [self.settings.database, await self.uid(), self.settings.api_key.reveal()]
        return await self._rpc("object", "execute_kw", [*who, model, method, positional, named], doing, reads, asked)

    async def _rpc(
        self, service: str, method: str, arguments: Sequence[Any], doing: str, reads: bool, asked: Asked
    ) -> Any:
        by_json = self.protocol == "jsonrpc" or asked.method in _INT_KEYS
        encode = protocols.jsonrpc_message if by_json else protocols.xmlrpc_message
        answer = await self._send(encode(service, method, arguments), doing, reads=reads)
        if answer.status != 200:
            raise self._failed(answer, asked)
        told = self._readable(protocols.jsonrpc_answer if by_json else protocols.xmlrpc_answer, answer, asked)
        if isinstance(told, Refusal):
            raise self._refused(told, asked)
        return told

    async def _send(self, message: Message, doing: str, *, reads: bool) -> Response:
        answer = await self.http.send(
            "POST", message.path, doing=doing, headers=message.headers, body=message.body, reads_only=reads
        )
        self.server_clock = answer.headers.get("date", self.server_clock)
        return answer

    def _readable(self, decode: Any, answer: Response, asked: Asked) -> Any:
        try:
            return decode(answer.body)
        except Unreadable:
            return self._raise_unreadable(answer, asked)

    def _raise_unreadable(self, answer: Response, asked: Asked) -> None:
        error = read_error(answer.status, answer.body)
        if asked.reads:
            raise Misconfigured(
                asked.doing,
                answered=error.said,
                hint="This is no answer of Odoo: check the URL and what stands between (proxy, login page, firewall).",
            )
        raise OutcomeUnknown(asked.doing, answered=error.said)

    def _refused(self, refusal: Refusal, asked: Asked) -> IsthmusError:
        error = classify(refusal, asked)
        if isinstance(error, Contended):
            self.http.concurrency.pushed_back()
        if "database" in refusal.message and re.search(r"database .* does not exist", refusal.message):
            return self._no_database(asked, error.answered or "")
        return error

    def _no_database(self, asked: Asked, said: str) -> IsthmusError:
        return Misconfigured(
            asked.doing,
            answered=said,
            hint=f"There is no database {self.settings.database!r} on this server: correct `database`.",
            facts={"database": self.settings.database},
        )

    def _failed(self, answer: Response, asked: Asked) -> IsthmusError:
        """The error of an answer that is not 200: by the exception's name, by status only where there is none."""
        refusal = protocols.json2_refusal(answer.body)
        status = answer.status
        if status == 429:
            return rate_limited(asked.doing, answer, self.clock.now())
        if status == 401:
            said = refusal.message if refusal else read_error(status, answer.body).said
            return AuthFailed(
                asked.doing,
                answered=said,
                hint="The API key is wrong, revoked or expired: make a new one in Odoo (Preferences > Account "
                "Security), then run `isthmus connection rotate`.",
            )
        if refusal is not None:
            return self._refused(refusal, asked)
        error = read_error(status, answer.body)
        if status == 503:
            return Unavailable(asked.doing, answered=error.said)
        if status >= 500 or status == 408:
            kind = Unavailable if asked.reads else OutcomeUnknown
            return kind(asked.doing, answered=error.said, facts={"status": status})
        if status == 404:
            return Misconfigured(
                asked.doing,
                answered=error.said,
                hint=(
                    "Either the database of the connection does not exist, or this is not the address of Odoo, "
                    "or the server is older than version 19 and needs another protocol."
                ),
                facts={"database": self.settings.database, "status": status},
            )
        return Misconfigured(
            asked.doing,
            answered=error.said,
            hint="This is no answer of Odoo: check the URL and what stands between (proxy, login page, firewall).",
            facts={"status": status},
        )


def _mapping(answer: Response) -> dict[str, Any] | None:
    try:
        told = protocols.decode_json(answer.body)
    except Unreadable:
        return None
    return told if isinstance(told, dict) else None
