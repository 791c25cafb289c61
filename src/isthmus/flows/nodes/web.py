"""Nodes that speak HTTP to systems without a connector: requests, and signed webhooks outward."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, model_validator

from isthmus.errors import IsthmusError, Misconfigured, OutcomeUnknown, RateLimited, RefusedByTarget, Unavailable
from isthmus.flows.effects import Answer, Doubt, Effect, Missing, Refused, Sending, Silent, Took, Verdict
from isthmus.flows.item import Emit, Item, Out, Result, Trouble
from isthmus.flows.node import Cel, Path, Place, Sample, text_of, value_of, with_path
from isthmus.sdk.http import Response
from isthmus.sdk.limits import retry_after

SAFE = ("GET", "HEAD")
MOST_KEPT = 100_000
"""Bytes of an answer that is not JSON which are kept in the item."""


class HttpRequest(Effect):
    """Sends an HTTP request and puts the answer into the item.

    GET and HEAD are tried again freely. After an unsafe request without an answer nobody knows whether it took place:
    the item is held, unless `harmless` says that the other side takes the same request twice without harm (it gets the
    same `Idempotency-Key` each time).
    """

    LABEL: ClassVar[str] = "HTTP request"
    BATCH: ClassVar[int] = 20
    SAMPLE: ClassVar[Sample] = Sample(
        config={"method": "GET", "url": "https://api.example.com", "path": "'/orders/' + item.id"},
        input={"id": "7"},
        output={"id": "7", "answer": {"status": 200, "body": {"state": "open"}}},
    )

    type: Literal["http_request"] = "http_request"
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = Field("GET", description="The HTTP method.")
    url: str = Field(pattern=r"^https?://[^/?#]+(/[^?#]*)?$", description="The server, with a common beginning.")
    path: Cel = Field("''", description="What follows the server, as an expression.")
    query: dict[str, Cel] = Field(default_factory=dict, description="Query parameters: name to expression.")
    headers: dict[str, Cel] = Field(default_factory=dict, description="Headers: name to expression; no secrets here.")
    secret_headers: dict[str, str] = Field(
        default_factory=dict, description="Headers: name to the name of a secret (`isthmus flow secret`)."
    )
    body: Cel | dict[str, Cel] | None = Field(None, description="The JSON body: one expression, or field by field.")
    harmless: bool = Field(False, description="Sending it twice does no harm.")
    good: list[int] = Field(default_factory=list, description="Further status codes that are no error, as 404.")
    into: Path = Field("answer", description="Where status and body go.")

    @model_validator(mode="after")
    def _no_secret_in_sight(self) -> HttpRequest:
        for name in self.headers:
            if name.lower() in ("authorization", "x-api-key", "cookie", "proxy-authorization"):
                raise ValueError(f"the header {name} is a secret: name it in secret_headers")
        return self

    def would(self, place: Place, item: Item) -> str:
        return f"would {self.method} {self.url}{text_of(self.path, item)}"

    def prepare(self, place: Place, item: Item) -> Sending | Result:
        payload: dict[str, Any] = {"method": self.method, "path": _encoded(text_of(self.path, item))}
        if self.query:
            payload["query"] = {name: text_of(source, item) for name, source in self.query.items()}
        if self.headers:
            payload["headers"] = {name: text_of(source, item) for name, source in self.headers.items()}
        if isinstance(self.body, str):
            payload["body"] = value_of(self.body, item)
        elif self.body is not None:
            payload["body"] = {name: value_of(source, item) for name, source in self.body.items()}
        return Sending(item=item, action=f"sending {self.method} {self.url}", payload=payload)

    def repeats(self, place: Place, effect: Sending) -> bool:
        return self.harmless

    def keeps_key(self) -> bool:
        return self.harmless

    async def verify(self, place: Place, effects: Sequence[Sending]) -> Sequence[Verdict]:
        return [Missing() if self.harmless else Silent() for _ in effects]

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        if self.method not in SAFE:
            return await super().work(place, items)
        out: list[Result] = []
        for item in items:
            made = self.prepare(place, item)
            if not isinstance(made, Sending):
                out.append(made)
                continue
            answer = await self._ask(place, made)
            if isinstance(answer, Took):
                out.append(Emit(outs=(Out(answer.port, answer.data),)))
            else:
                out.append(Trouble(error=answer.error))
        return out

    async def send(self, place: Place, effects: Sequence[Sending]) -> Sequence[Answer]:
        return [await self._ask(place, effect) for effect in effects]

    async def _ask(self, place: Place, effect: Sending) -> Answer:
        told = effect.payload
        headers = {"accept": "application/json", **told.get("headers", {}), **await self._secrets(place)}
        body = None
        if "body" in told:
            body = json.dumps(told["body"], ensure_ascii=False).encode()
            headers.setdefault("content-type", "application/json")
        if effect.intent is not None:
            headers.setdefault("idempotency-key", effect.intent.idempotency_key)
        safe = self.method in SAFE
        doing = f"sending {self.method} {self.url} for {effect.item.key}"
        try:
            client = await place.world.http(self.url)
            answer = await client.send(
                self.method, told["path"], doing=doing, params=told.get("query"), headers=headers, body=body,
                reads_only=safe,
            )  # fmt: skip
        except OutcomeUnknown as error:
            return Refused(error=Unavailable(error.doing)) if self.harmless else Doubt(error=error)
        except IsthmusError as error:
            return Refused(error=error)
        return self._judge(place, effect, answer, doing, sure=safe or self.harmless)

    async def _secrets(self, place: Place) -> dict[str, str]:
        found = {}
        for header, name in self.secret_headers.items():
            found[header] = await needed_secret(place, name)
        return found

    def _judge(self, place: Place, effect: Sending, answer: Response, doing: str, *, sure: bool) -> Answer:
        if answer.ok or answer.status in self.good:
            told = {"status": answer.status, "body": _body(answer)}
            kept = {"status": answer.status}
            return Took(data=with_path(effect.item.data, self.into, told), answer=kept)
        return refusal(answer, doing, place, sure=sure)


def refusal(answer: Response, doing: str, place: Place, *, sure: bool) -> Answer:
    """What an answer that is no success means: a wait, a refusal, or doubt. `sure`: trying again does no harm."""
    said = f"{answer.status} {answer.body[:300].decode(errors='replace')}".strip()
    if answer.status == 429:
        return Refused(error=RateLimited(doing, answered=said, wait=retry_after(answer.headers, place.now)))
    if answer.status >= 500 or answer.status == 408:
        if sure or answer.status == 503:
            return Refused(error=Unavailable(doing, answered=said))
        return Doubt(error=OutcomeUnknown(doing, answered=said))
    return Refused(error=RefusedByTarget(doing, answered=said))


def _encoded(path: str) -> str:
    return quote(path, safe="/%:@!$&'()*+,;=~-._?")


def _body(answer: Response) -> Any:
    if "json" in answer.content_type and answer.body:
        try:
            # Numbers stay exact: those with decimals become text.
            return json.loads(answer.body, parse_float=str)
        except ValueError:
            pass
    return answer.body[:MOST_KEPT].decode(errors="replace")


async def needed_secret(place: Place, name: str) -> str:
    """A secret of the flow; Misconfigured says how to store it."""
    found = await place.world.secret(name)
    if found is None:
        raise Misconfigured(
            f"working in {place.flow}.{place.node}: the secret {name} is not set",
            hint=f"Set it: `isthmus flow secret {place.flow} {name}`.",
        )
    return found


class Notify(Effect):
    """Tells another system by a signed webhook, again and again until it answers 2xx.

    Headers follow Standard Webhooks: `webhook-id` (the same in every try, so that the other side can leave repeats
    out), `webhook-timestamp`, and `webhook-signature`, an HMAC-SHA256 over id, time and body with the flow's secret.
    """

    LABEL: ClassVar[str] = "Notify"
    BATCH: ClassVar[int] = 20
    SAMPLE: ClassVar[Sample] = Sample(
        config={"url": "https://example.com/hooks", "event": "order.shipped", "secret": "shop_hook"},
        input={"order": "S1"},
        output={"order": "S1"},
    )

    type: Literal["notify"] = "notify"
    url: str = Field(pattern=r"^https?://[^/?#]+(/[^#]*)?$", description="Where it is sent.")
    event: str = Field(pattern=r"^[a-z][a-z0-9_.-]*$", description="What happened, as the receiver knows it.")
    data: dict[Path, Cel] | None = Field(None, description="What is told; the whole item without it.")
    secret: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="The secret it is signed with.")

    def would(self, place: Place, item: Item) -> str:
        return f"would tell {self.url} of {self.event}"

    def prepare(self, place: Place, item: Item) -> Sending | Result:
        told: dict[str, Any] = item.data if self.data is None else {}
        for path, source in (self.data or {}).items():
            told = with_path(told, path, value_of(source, item))
        payload = {"type": self.event, "key": item.key, "data": told}
        return Sending(item=item, action=f"telling {self.url}", payload=payload)

    def repeats(self, place: Place, effect: Sending) -> bool:
        return True

    def keeps_key(self) -> bool:
        return True

    async def verify(self, place: Place, effects: Sequence[Sending]) -> Sequence[Verdict]:
        return [Missing() for _ in effects]

    async def send(self, place: Place, effects: Sequence[Sending]) -> Sequence[Answer]:
        secret = await needed_secret(place, self.secret)
        scheme, _, rest = self.url.partition("://")
        server, slash, path = rest.partition("/")
        client = await place.world.http(f"{scheme}://{server}")
        out: list[Answer] = []
        for effect in effects:
            body = json.dumps({**effect.payload, "timestamp": place.now.isoformat()}, ensure_ascii=False).encode()
            headers = signed(secret, effect.idempotency_key, int(place.now.timestamp()), body)
            doing = f"telling {server} of {self.event} for {effect.item.key}"
            try:
                answer = await client.send("POST", slash + path, doing=doing, headers=headers, body=body)
            except OutcomeUnknown as error:
                out.append(Refused(error=Unavailable(error.doing)))
                continue
            except IsthmusError as error:
                out.append(Refused(error=error))
                continue
            if answer.ok:
                out.append(Took(data=effect.item.data, answer={"status": answer.status}))
            else:
                out.append(refusal(answer, doing, place, sure=True))
        return out


def signed(secret: str, message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The headers of a webhook as Standard Webhooks wants them; a secret `whsec_…` is base64."""
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }
