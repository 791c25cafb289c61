"""One call to the gateway: sends a form, reads the answer out of the body, and slows down when asked to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from isthmus.connectors.bng_gateway.answers import Reply, Unreadable, login_refused, read_query, read_reply, refusal_in
from isthmus.connectors.bng_gateway.settings import GatewaySettings
from isthmus.connectors.bng_gateway.words import DECLINE_HINTS, NOT_SET_UP, RATE_LIMITED, UNCERTAIN, USUAL_DECLINE_HINT
from isthmus.model.card import holds_card_number
from isthmus.sdk import (
    AuthFailed,
    HttpClient,
    InvalidRecord,
    IsthmusError,
    Misconfigured,
    OutcomeUnknown,
    RateLimited,
    RefusedByTarget,
    Response,
    Services,
    Unavailable,
    retry_after,
)
from isthmus.sdk.answers import read_error

TRANSACT = "/api/transact.php"
QUERY = "/api/query.php"
LONGEST_BACKOFF = timedelta(minutes=30)
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*"}
_NEVER_TAKEN = frozenset({400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 431})
"""Statuses of a web server that did not hand the request on."""


class Wire:
    """Calls one merchant account. Nothing that moves money is ever sent twice from here."""

    def __init__(self, settings: GatewaySettings, services: Services, http: HttpClient) -> None:
        self._settings = settings
        self._clock = services.clock
        self.http = http
        self._pushed_back = 0

    async def transact(self, form: Mapping[str, str], *, doing: str, record: str) -> Reply:
        """Send one request to the payment API; approvals, refusals and duplicates come back as a Reply.

        Raises OutcomeUnknown when the request may have taken effect, RateLimited and Unavailable when it surely has
        not, AuthFailed and Misconfigured when no request can.
        """
        refuse_cards(form, doing)
        sent = {**form, **({"test_mode": "enabled"} if self._settings.test_mode else {})}
        try:
            response = await self._post(TRANSACT, sent, doing, reads_only=False)
        except IsthmusError as error:
            error.record = error.record or record
            raise
        if response.status == 429:
            raise await self._slow_down(doing, response, "429", record)
        facts = {"status": response.status}
        try:
            reply = read_reply(response.body)
        except Unreadable as error:
            if response.status in _NEVER_TAKEN:
                raise self._wrong_address(doing, response) from None
            raise OutcomeUnknown(
                f"{doing}: {response.status} came back with {error} in it, so nobody knows what became of it",
                record=record,
                facts=facts,
            ) from None
        if response.status >= 500:
            told = f"{response.status}: {said(reply)}"
            raise OutcomeUnknown(doing, record=record, answered=told, facts=facts)
        if reply.response == 3:
            await self._refused(reply, doing, record, response)
        self._pushed_back = 0
        return reply

    async def query(self, form: Mapping[str, str], *, doing: str) -> Element:
        """Ask the query API; raises when it does not answer the question."""
        refuse_cards(form, doing)
        response = await self._post(QUERY, form, doing, reads_only=True)
        if response.status == 429:
            raise await self._slow_down(doing, response, "429")
        if response.status >= 500 or response.status == 408:
            raise Unavailable(doing, answered=read_error(response.status, b"").said, facts={"status": response.status})
        try:
            root = read_query(response.body)
        except Unreadable as error:
            if error.html or response.status in _NEVER_TAKEN:
                raise self._wrong_address(doing, response) from None
            raise Unavailable(f"{doing}: the answer is {error}", facts={"status": response.status}) from None
        refusal = refusal_in(root)
        if refusal and login_refused(refusal):
            raise self._login_refused(doing, refusal)
        if "rate limit" in refusal.lower():
            raise await self._slow_down(doing, response, refusal)
        if refusal:
            raise RefusedByTarget(doing, answered=refusal, hint="Correct what is asked for, then try again.")
        self._pushed_back = 0
        return root

    async def _post(self, path: str, form: Mapping[str, str], doing: str, *, reads_only: bool) -> Response:
        body = urlencode({"security_key": self._settings.security_key.reveal(), **form}).encode()
        return await self.http.send(
            "POST", path, doing=doing, headers=_FORM, body=body, reads_only=reads_only, insist=False
        )

    async def _refused(self, reply: Reply, doing: str, record: str, response: Response) -> None:
        """Raise for refusals that are not about this record; a code that tells nothing about the money is unknown."""
        facts = {"response_code": reply.code}
        if reply.code == RATE_LIMITED:
            raise await self._slow_down(doing, response, said(reply), record)
        if reply.login_refused:
            raise self._login_refused(doing, reply.text)
        if reply.code in UNCERTAIN:
            raise OutcomeUnknown(doing, record=record, answered=said(reply), facts=facts)
        if reply.code in NOT_SET_UP:
            hint = "Ask the gateway to set up the processor of this merchant account."
            raise Misconfigured(doing, record=record, answered=said(reply), hint=hint, facts=facts)

    async def _slow_down(self, doing: str, response: Response, answered: str, record: str | None = None) -> RateLimited:
        """Stop everybody on this connection for as long as asked, or longer each time: insisting makes it worse."""
        wait = retry_after(response.headers, self._clock.now())
        if wait is None:
            usual = timedelta(seconds=self._settings.backoff_seconds) * 2 ** min(self._pushed_back, 12)
            wait = min(usual, LONGEST_BACKOFF)
        self._pushed_back += 1
        self.http.concurrency.pushed_back()
        await self.http.limits.block_until(self._clock.now() + wait)
        return RateLimited(doing, wait=wait, record=record, answered=answered)

    def _login_refused(self, doing: str, answered: str) -> AuthFailed:
        return AuthFailed(
            doing,
            answered=answered,
            hint="Make a security key with the rights to transact and to query in the gateway (Settings > Security "
            "Keys), then give it: `isthmus connection rotate NAME --secret security_key`.",
        )

    def _wrong_address(self, doing: str, response: Response) -> Misconfigured:
        return Misconfigured(
            f"{doing}: {self.http.base_url} answered {response.status}, and not as the gateway does",
            hint="Check the url of the connection: it is the address of the gateway without a path.",
            facts={"status": response.status, "content_type": response.content_type},
        )


def said(reply: Reply) -> str:
    """The gateway's own words with their code."""
    return f"{reply.text or 'no words'} (code {reply.code})"


def refusal(reply: Reply, doing: str, record: str) -> RefusedByTarget:
    """The error for a request that was declined or rejected."""
    if reply.declined:
        hint = DECLINE_HINTS.get(reply.code, USUAL_DECLINE_HINT)
        doing = f"{doing}: declined"
    else:
        hint = "Correct what the gateway complains about, then try again."
    facts = {"response": reply.response, "response_code": reply.code, "transaction_id": reply.get("transactionid")}
    return RefusedByTarget(doing, record=record, answered=said(reply), hint=hint, facts=facts)


def refuse_cards(form: Mapping[str, str], doing: str) -> None:
    """Nothing that looks like a card number goes to the gateway from here: it takes tokens and vault customers."""
    found = sorted(name for name, value in form.items() if name != "amount" and holds_card_number(value))
    if found:
        raise InvalidRecord(
            f"{doing}: {', '.join(found)} holds what looks like a card number; nothing was sent",
            hint="Take the number out of that text. Cards are paid with tokens of the gateway's own form only.",
            facts={"fields": found},
        )
