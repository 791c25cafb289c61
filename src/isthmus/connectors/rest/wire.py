"""One call to the described system: sends it, decodes the answer and says what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from isthmus.connectors.rest.codec import decode_body, encode_body
from isthmus.connectors.rest.manifest import Manifest
from isthmus.sdk import (
    AuthFailed,
    Clock,
    Contended,
    IsthmusError,
    Misconfigured,
    OutcomeUnknown,
    RateLimited,
    RefusedByTarget,
    Response,
    Unavailable,
    rate_limited,
)
from isthmus.sdk.answers import ErrorAnswer, dig, error_from, looks_like_html, read_error
from isthmus.sdk.auth import AuthorisedClient
from isthmus.sdk.http import Params
from isthmus.sdk.statuses import Meaning, meaning


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer understood: its decoded body (None when it is no JSON), its meaning and the other side's words."""

    response: Response
    decoded: Any
    meaning: Meaning
    error: ErrorAnswer | None = None


class Wire:
    """Calls one system as its manifest describes it."""

    def __init__(self, manifest: Manifest, client: AuthorisedClient, clock: Clock) -> None:
        self.manifest = manifest
        self.client = client
        self.clock = clock

    async def call(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        params: Params | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        reads_only: bool = False,
    ) -> Answer:
        """One call; raises only when there is no full answer (see `HttpClient.send`)."""
        sent = {**self.manifest.headers, **(headers or {})}
        raw: bytes | None = None
        if body is not None:
            raw = encode_body(body, self.manifest.wording.decimals)
            sent["Content-Type"] = "application/json"
        response = await self.client.send(
            method, path, doing=doing, params=params, headers=sent, body=raw, reads_only=reads_only
        )
        return self._understood(response, writing=not reads_only)

    async def get(self, path: str, *, doing: str, params: Params | None = None) -> Answer:
        """A read that must succeed; raises what its answer means otherwise."""
        answer = await self.call("GET", path, doing=doing, params=params, reads_only=True)
        if answer.meaning is not Meaning.OK:
            raise self.failure(answer, doing)
        if answer.decoded is None:
            raise self._no_json(answer.response, doing)
        return answer

    def item_answer(self, response: Response, status: int, record: Any, error: Any) -> Answer:
        """The answer for one item inside a batch's answer."""
        understood = error_from(status, error, self.manifest.errors) if status >= 300 else None
        return Answer(response, record, self._meaning(status, understood, writing=True), understood)

    def failure(
        self, answer: Answer, doing: str, *, record: str | None = None, scope: str | None = None
    ) -> IsthmusError:
        """The error that an answer other than OK means."""
        said = answer.error.said if answer.error else f"{answer.response.status}"
        facts: dict[str, Any] = {"status": answer.response.status}
        if answer.error:
            facts["status"] = answer.error.status
            if answer.error.code:
                facts["code"] = answer.error.code
            if answer.error.request_id:
                facts["request_id"] = answer.error.request_id
            if answer.error.details:
                facts["fields"] = [detail.field for detail in answer.error.details if detail.field]
        more: dict[str, Any] = {"record": record, "answered": said, "facts": facts}
        kind: type[IsthmusError]
        match answer.meaning:
            case Meaning.SLOW_DOWN:
                limited: RateLimited = rate_limited(doing, answer.response, self.clock.now(), record=record)
                limited.answered = said
                return limited
            case Meaning.RETRY:
                kind = Unavailable
            case Meaning.UNKNOWN:
                kind = OutcomeUnknown
            case Meaning.CONTENDED:
                kind = Contended
            case Meaning.RENEW:
                kind = AuthFailed
            case Meaning.FORBIDDEN:
                kind = AuthFailed
                needed = f" the scope {scope}" if scope else " the right for this"
                more["hint"] = f"Give this login{needed} in {self.manifest.name}, then resume the pair."
            case Meaning.SET_UP:
                kind = Misconfigured
                more["hint"] = self._address_hint(answer)
            case Meaning.GONE:
                kind = Misconfigured
                more["hint"] = self._address_hint(answer)
            case _:
                kind = RefusedByTarget
        return kind(doing, **more)

    def _understood(self, response: Response, *, writing: bool) -> Answer:
        error: ErrorAnswer | None = None
        decoded: Any = None
        if response.ok:
            if response.body:
                try:
                    decoded = decode_body(response.body)
                except ValueError:
                    decoded = None
        else:
            error = read_error(response.status, response.body, self.manifest.errors)
        return Answer(response, decoded, self._meaning(response.status, error, writing=writing), error)

    def _meaning(self, status: int, error: ErrorAnswer | None, *, writing: bool) -> Meaning:
        if error is not None and error.code in self.manifest.codes:
            return self.manifest.codes[error.code]
        if error is not None and error.html and status == 404:
            return Meaning.SET_UP  # a web server's own page: the path is wrong, not the record gone
        return meaning(status, writing=writing, rows=self.manifest.statuses)

    def _no_json(self, response: Response, doing: str) -> IsthmusError:
        text = response.body[:2000].decode("utf-8", "replace")
        what = "a web page" if looks_like_html(text) else "something else"
        return Misconfigured(
            f"{doing}: {self.client.http.base_url} answered {what} instead of JSON",
            hint="Check the base URL: it must lead to the API, not to the web pages or a login in front of it.",
            facts={"status": response.status, "content_type": response.content_type},
        )

    def _address_hint(self, answer: Answer) -> str:
        if answer.error and answer.error.html:
            return "Check the base URL: a web page answered, not the API."
        return f"Check the base URL {self.client.http.base_url} and the paths of the connection."


def record_in(answer: Answer, manifest: Manifest) -> Mapping[str, Any] | None:
    """The record that a single answer carries, if it does."""
    found = dig(answer.decoded, manifest.wording.record)
    return found if isinstance(found, Mapping) else None


def address(template: str, key: str = "", parent: str = "") -> str:
    """A path with its places filled in, each value percent-encoded."""
    return template.replace("{key}", quote(key, safe="")).replace("{parent}", quote(parent, safe=""))
