"""Webhooks: one subscription per topic at our address, verified when they come, and read as hints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from isthmus.connectors.shopify import catalogue
from isthmus.connectors.shopify.keys import key_of
from isthmus.connectors.shopify.selecting import moment
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import AuthFailed, Delivery, Hint, HookStatus, InvalidRecord, Misconfigured, Secret, WebhookRequest
from isthmus.sdk.answers import decode_json
from isthmus.sdk.webhook import SHOPIFY, body_digest, verify

FIELDS = (
    "id", "admin_graphql_api_id", "updated_at", "created_at", "order_id", "inventory_item_id", "location_id",
    "variants",
)  # fmt: skip
"""What a delivery is to hold: which record it is about, and nothing of what is in it."""

_OURS = "nodes { id topic uri format includeFields } pageInfo { hasNextPage endCursor }"


class Hooks:
    """The webhooks of one connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def receive(self, request: WebhookRequest) -> Delivery:
        """Verify a delivery over its raw body, then say what it hints at."""
        settings = self._wire.settings
        secrets: list[Secret] = [one for one in (settings.webhook_secret, settings.old_webhook_secret) if one]
        verify(SHOPIFY, request.headers, request.body, secrets, self._wire.clock.now())
        self._check_shop(request.headers.get("x-shopify-shop-domain", ""))
        decoded = decode_json(request.body)
        if not isinstance(decoded, Mapping):
            raise InvalidRecord("reading a webhook delivery of Shopify: its body holds no record")
        topic = request.headers.get("x-shopify-topic", "").replace("/", "_").upper()
        named = request.headers.get("x-shopify-webhook-id")
        return Delivery(delivery_id=named or body_digest(request.body), hints=list(_hints(topic, decoded)))

    def _check_shop(self, domain: str) -> None:
        """A delivery of another shop, signed with the same app's secret, is none of ours."""
        own = (urlsplit(self._wire.settings.url).hostname or "").lower()
        if own.endswith(".myshopify.com") and domain and domain.lower() != own:
            raise AuthFailed(
                f"verifying a webhook delivery: it is of the shop {domain}, not of {own}",
                hint="Each shop needs a connection and an address of its own for its webhooks.",
            )

    async def install(self, entities: Sequence[str], url: str) -> list[HookStatus]:
        """Exactly one good subscription at `url` for each topic that is needed; those of others are left alone."""
        wanted = _topics(entities)
        if not self._wire.settings.webhook_secret:
            raise Misconfigured(
                "registering webhooks of Shopify: the connection has no webhook secret",
                hint="Set webhook_secret to the app's API secret key; deliveries cannot be verified without it.",
            )
        ours = await self._ours(url)
        kept: set[str] = set()
        for row in ours:
            if row["topic"] not in wanted or row["topic"] in kept:
                await self._drop(row)
                continue
            kept.add(row["topic"])
            if row["format"] != "JSON" or set(row["includeFields"]) != set(FIELDS):
                await self._repair(row, url)
        for topic in wanted:
            if topic not in kept:
                await self._subscribe(topic, url)
        return await self.status(entities, url)

    async def remove(self, url: str) -> None:
        """Take every subscription at `url` away."""
        for row in await self._ours(url):
            await self._drop(row)

    async def status(self, entities: Sequence[str], url: str) -> list[HookStatus]:
        """How the subscriptions stand for each Entity."""
        known = {row["topic"]: row for row in await self._ours(url)}
        out: list[HookStatus] = []
        for name in entities:
            topics = catalogue.entity(name).topics
            missing = [topic for topic in topics if topic not in known]
            detail = f"not subscribed: {', '.join(missing)}" if missing else "subscribed"
            remote = key_of(known[topics[0]]["id"]) if topics and not missing else None
            out.append(HookStatus(entity=name, installed=not missing, detail=detail, remote_id=remote))
        return out

    async def _ours(self, url: str) -> list[Mapping[str, Any]]:
        text = (
            "query($after: String, $uri: String) { webhookSubscriptions(first: 100, after: $after, uri: $uri) "
            f"{{ {_OURS} }} }}"
        )
        found: list[Mapping[str, Any]] = []
        cursor: str | None = None
        while True:
            data = await self._wire.ask(text, {"after": cursor, "uri": url}, doing="reading webhook subscriptions")
            page = data["webhookSubscriptions"]
            found.extend(row for row in page["nodes"] if row["uri"] == url)
            if not page["pageInfo"]["hasNextPage"]:
                return found
            cursor = page["pageInfo"]["endCursor"]

    async def _subscribe(self, topic: str, url: str) -> None:
        query = (
            "mutation($topic: WebhookSubscriptionTopic!, $given: WebhookSubscriptionInput!) { webhookSubscriptionCreate"
            "(topic: $topic, webhookSubscription: $given) { webhookSubscription { id } userErrors { field message } } }"
        )
        doing = f"subscribing to {topic} of Shopify"
        await self._change(query, {"topic": topic, "given": _given(url)}, "webhookSubscriptionCreate", doing)

    async def _repair(self, row: Mapping[str, Any], url: str) -> None:
        query = (
            "mutation($id: ID!, $given: WebhookSubscriptionInput!) { webhookSubscriptionUpdate"
            "(id: $id, webhookSubscription: $given) { webhookSubscription { id } userErrors { field message } } }"
        )
        doing = f"repairing the subscription to {row['topic']} of Shopify"
        await self._change(query, {"id": row["id"], "given": _given(url)}, "webhookSubscriptionUpdate", doing)

    async def _drop(self, row: Mapping[str, Any]) -> None:
        query = (
            "mutation($id: ID!) { webhookSubscriptionDelete(id: $id) "
            "{ deletedWebhookSubscriptionId userErrors { field message } } }"
        )
        doing = f"removing the subscription to {row['topic']} of Shopify"
        await self._change(query, {"id": row["id"]}, "webhookSubscriptionDelete", doing, gone_is_good=True)

    async def _change(
        self, query: str, variables: Mapping[str, Any], name: str, doing: str, *, gone_is_good: bool = False
    ) -> None:
        answer = await self._wire.send(query, variables, doing=doing, reads=False)
        for errors in answer.errors.values():
            raise self._wire.error_of(errors[0], doing, reads=False)
        said = "; ".join(str(one["message"]) for one in answer.data[name]["userErrors"])
        good = (gone_is_good and "does not exist" in said) or "already been taken" in said
        if said and not good:
            raise Misconfigured(doing, answered=said, hint="Check the public address and the scopes of the app.")


def _given(url: str) -> dict[str, Any]:
    return {"uri": url, "format": "JSON", "includeFields": list(FIELDS)}


def _topics(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(topic for name in names for topic in catalogue.entity(name).topics))


def _hints(topic: str, body: Mapping[str, Any]) -> Iterator[Hint]:
    gone = topic.endswith(("_DELETE", "_DISCONNECT"))
    at = moment(body.get("updated_at") or body.get("created_at"))
    for told in catalogue.entities().values():
        if topic not in told.topics:
            continue
        if told.kind == "InventoryLevel":
            item, location = body.get("inventory_item_id"), body.get("location_id")
            keys = [f"{item}/{location}"] if item and location else []
        elif told.kind == "ProductVariant":
            rows = body.get("variants")
            keys = [str(row["id"]) for row in rows if row.get("id")] if isinstance(rows, list) else []
        else:
            keys = [str(body["id"])] if body.get("id") else []
        for key in keys:
            yield Hint(entity=told.name, key=key, occurred_at=at, gone=gone)
