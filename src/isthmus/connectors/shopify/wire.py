"""Documents to the Admin API and back: one request, its cost paid from the shared budget, every error in its class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from isthmus.connectors.shopify.settings import ShopifySettings
from isthmus.sdk import (
    AdaptiveConcurrency,
    AuthFailed,
    HttpClient,
    IsthmusError,
    Misconfigured,
    OutcomeUnknown,
    RateLimited,
    RefusedByTarget,
    Response,
    SchemaDrift,
    Services,
    Unavailable,
    rate_limited,
)
from isthmus.sdk.answers import decode_json, looks_like_html, read_error

TOKEN_HEADER = "X-Shopify-Access-Token"  # noqa: S105 - the name of a header
PATIENT_TRIES = 4
"""How often a throttled request waits for its points before the caller is told to come back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The data of an answer, and the errors beside it by the root field they belong to."""

    data: Mapping[str, Any]
    errors: Mapping[str, list[Mapping[str, Any]]] = field(default_factory=dict)


class Wire:
    """One shop's Admin API under one access token."""

    def __init__(self, settings: ShopifySettings, services: Services) -> None:
        self.settings = settings
        self.services = services
        self.clock = services.clock
        self.concurrency = AdaptiveConcurrency(start=2, most=4, clock=services.clock)
        self.http: HttpClient = services.http(
            settings.url, concurrency=self.concurrency, timeout=settings.request_ceiling
        )
        self.path = f"/admin/api/{settings.api_version}/graphql.json"
        self.served_version: str | None = None
        self.throttle: Mapping[str, Any] = {}
        self._server_date: str | None = None
        self._costs: dict[str, int] = {}

    @property
    def takes_keys(self) -> bool:
        """Whether the version takes idempotency keys (optional from 2026-01, asked for from 2026-04)."""
        return self.settings.api_version >= "2026-01"

    def now(self) -> datetime:
        """The server's clock as of its last answer, in whole seconds; ours before there was one."""
        try:
            return parsedate_to_datetime(self._server_date) if self._server_date else self._own_now()
        except ValueError:
            return self._own_now()

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None, *, doing: str) -> Mapping[str, Any]:
        """The data of a query; any error in it is raised."""
        answer = await self.send(query, variables or {}, doing=doing, reads=True)
        for errors in answer.errors.values():
            raise self.error_of(errors[0], doing, reads=True)
        return answer.data

    async def send(self, query: str, variables: Mapping[str, Any], *, doing: str, reads: bool) -> Answer:
        """One document. Raises when nothing in it was done or its outcome is not known; errors of parts come back."""
        body = msgspec.json.encode({"query": query, "variables": variables})
        shape = _shape(query)
        throttled: RateLimited | None = None
        for _ in range(PATIENT_TRIES):
            await self._pay(shape)
            response = await self.http.send(
                "POST",
                self.path,
                doing=doing,
                headers={TOKEN_HEADER: self.settings.access_token.reveal(), "Content-Type": "application/json"},
                body=body,
                reads_only=reads,
            )
            self._server_date = response.headers.get("date") or self._server_date
            self.served_version = response.headers.get("x-shopify-api-version") or self.served_version
            decoded = self._decoded(response, doing, reads)
            self._learn(shape, decoded)
            errors = [one for one in decoded.get("errors") or () if isinstance(one, Mapping)]
            throttled = await self._throttled(errors, decoded, doing)
            if throttled is None:
                return self._answer(decoded, errors, doing, reads)
        assert throttled is not None  # the loop ends here only when it was throttled each time
        raise throttled

    def error_of(self, told: Mapping[str, Any], doing: str, *, reads: bool) -> IsthmusError:
        """The class of one error beside the data."""
        message = str(told.get("message") or "an error without a word")
        extensions = told.get("extensions")
        code = str(extensions.get("code") or "") if isinstance(extensions, Mapping) else ""
        facts = {"code": code}
        if code == "ACCESS_DENIED":
            scope = re.search(r"`([a-z_]+)`", message)
            named = f"the scope {scope.group(1)}" if scope else "the scope it names"
            hint = f"Give the app {named} in the shop's admin (Settings > Apps > Develop apps), then install it again."
            return Misconfigured(doing, answered=message, hint=hint, facts=facts)
        if code in ("INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"):
            return (Unavailable if reads else OutcomeUnknown)(doing, answered=message, facts=facts)
        if code == "MAX_COST_EXCEEDED":
            hint = "Ask for smaller pages: lower page_size or line_page of the connection."
            return SchemaDrift(doing, answered=message, hint=hint, facts=facts)
        if code in ("SHOP_INACTIVE", "BLOCKED"):
            return Misconfigured(
                doing, answered=message, hint="The shop's owner has to open the shop again.", facts=facts
            )
        if code in ("undefinedField", "argumentNotAccepted", "undefinedType", "selectionMismatch", "variableMismatch"):
            hint = (
                f"The version {self.settings.api_version} of the API does not know this; set api_version, or unmap it."
            )
            return SchemaDrift(doing, answered=message, hint=hint, facts=facts)
        return RefusedByTarget(doing, answered=message, facts=facts)

    async def _pay(self, shape: str) -> None:
        """Take the points that such a document costs; the client itself takes one for the call."""
        cost = self._costs.get(shape, 1)
        if cost > 1:
            await self.services.budget.take(cost - 1)

    def _learn(self, shape: str, decoded: Mapping[str, Any]) -> None:
        cost = _cost(decoded)
        spent = cost.get("actualQueryCost")
        if isinstance(spent, int | float):
            if len(self._costs) > 500:
                self._costs.clear()
            self._costs[shape] = max(1, int(spent))
        if isinstance(cost.get("throttleStatus"), Mapping):
            self.throttle = cost["throttleStatus"]

    async def _throttled(
        self, errors: list[Mapping[str, Any]], decoded: Mapping[str, Any], doing: str
    ) -> RateLimited | None:
        """Stop everybody who shares the budget until the points for this are there."""
        codes = [(one.get("extensions") or {}).get("code") for one in errors]
        if "THROTTLED" not in codes:
            return None
        status, requested = self.throttle, _cost(decoded).get("requestedQueryCost")
        short = float(requested or 1) - float(status.get("currentlyAvailable") or 0)
        restore = float(status.get("restoreRate") or 50)
        wait = timedelta(seconds=max(short / restore if restore else 1.0, 0.2))
        self.concurrency.pushed_back()
        await self.services.budget.block_until(self.clock.now() + wait)
        return RateLimited(doing, wait=wait, answered="THROTTLED", facts={"cost": requested})

    def _answer(self, decoded: Mapping[str, Any], errors: list[Mapping[str, Any]], doing: str, reads: bool) -> Answer:
        data = decoded.get("data")
        if not isinstance(data, Mapping):
            if errors:
                raise self.error_of(errors[0], doing, reads=reads)
            raise self._unreadable(doing, "the answer holds neither data nor errors", reads)
        by_root: dict[str, list[Mapping[str, Any]]] = {}
        for one in errors:
            path = one.get("path") or [""]
            by_root.setdefault(str(path[0]), []).append(one)
        return Answer(data, by_root)

    def _decoded(self, response: Response, doing: str, reads: bool) -> Mapping[str, Any]:
        """The body of an answer that says what happened; anything else is raised in its class."""
        if not response.ok:
            raise self._of_status(response, doing, reads)
        decoded = decode_json(response.body)
        if isinstance(decoded, Mapping):
            return decoded
        if reads and looks_like_html(response.body.decode("utf-8", "replace")):
            said = read_error(response.status, response.body).said
            hint = "Check the URL of the connection: it must be the shop's own .myshopify.com address."
            raise Misconfigured(f"{doing}: a web page came instead of data", answered=said, hint=hint)
        raise self._unreadable(doing, "the answer is no JSON", reads)

    def _of_status(self, response: Response, doing: str, reads: bool) -> IsthmusError:
        status, said = response.status, read_error(response.status, response.body).said
        facts = {"status": status}
        if status == 429:
            return rate_limited(doing, response, self.clock.now())
        if status == 401:
            hint = "Make a new Admin API access token in the shop's admin, then `isthmus connection rotate`."
            return AuthFailed(doing, answered=said, hint=hint, facts=facts)
        if status == 403:
            hint = "The app may not call this shop: install it again, with its scopes."
            return AuthFailed(doing, answered=said, hint=hint, facts=facts)
        hints = {
            402: "The shop is frozen because its bill is not paid; its owner has to settle it.",
            404: f"Check the shop's address, and that version {self.settings.api_version} of the API exists.",
            423: "The shop is locked; its owner has to ask Shopify's support.",
            430: "Shopify took our requests for an attack; lower points_per_second and ask its support.",
        }
        if status in hints:
            return Misconfigured(doing, answered=said, hint=hints[status], facts=facts)
        if status == 503:
            return Unavailable(doing, answered=said, facts=facts)
        if status >= 500:
            return (Unavailable if reads else OutcomeUnknown)(doing, answered=said, facts=facts)
        return Misconfigured(doing, answered=said, facts=facts)

    def _unreadable(self, doing: str, why: str, reads: bool) -> IsthmusError:
        return (Unavailable if reads else OutcomeUnknown)(f"{doing}: {why}")

    def _own_now(self) -> datetime:
        return self.clock.now().astimezone(UTC).replace(microsecond=0)


def too_costly(error: IsthmusError) -> bool:
    """Whether a query was refused because it could cost more than one query may."""
    return error.facts.get("code") == "MAX_COST_EXCEEDED"


def _cost(decoded: Mapping[str, Any]) -> Mapping[str, Any]:
    extensions = decoded.get("extensions")
    cost = extensions.get("cost") if isinstance(extensions, Mapping) else None
    return cost if isinstance(cost, Mapping) else {}


def _shape(query: str) -> str:
    """Documents that differ in cursors and values only cost the same."""
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', query)
