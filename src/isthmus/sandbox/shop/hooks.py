"""Webhooks: who wants which topics, what a delivery says, how it is addressed and signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import msgspec

from ..parts.delivery import Outgoing
from ..parts.outbox import Delivery, Outbox
from .errors import Refused
from .payloads import PAYLOADS
from .settings import VERSION, Settings
from .store import Doc, Store


def topic_text(topic: str) -> str:
    """`ORDERS_UPDATED` as the header says it: `orders/updated`; of several words the first of the name counts on."""
    for group in ("inventory_levels", "inventory_items"):
        if topic.lower().startswith(group):
            return f"{group}/{topic.lower().removeprefix(group + '_')}"
    head, _, rest = topic.lower().partition("_")
    return f"{head}/{rest}"


class Hooks:
    """The subscriptions of the app, and the events on their way to them."""

    def __init__(self, store: Store, outbox: Outbox, settings: Settings) -> None:
        self._store = store
        self._outbox = outbox
        self._settings = settings

    def tell(self, topic: str, doc: Doc) -> None:
        """Keep an event for every subscription that wants it; call it inside the transaction of the change."""
        wanted = [one for one in self._store.all("WebhookSubscription") if one["topic"] == topic]
        if not wanted:
            return
        event = self._store.new_id()
        payload = PAYLOADS[topic.partition("_")[0]](self._store, doc)
        for one in wanted:
            fields = one.get("includeFields") or []
            told = {name: value for name, value in payload.items() if not fields or name in fields}
            body = msgspec.json.encode(told)
            # The id of a delivery stays the same over its tries; the event's is shared by all subscriptions.
            self._outbox.add(one["id"], event, topic, body)

    def subscribe(self, topic: str, given: Mapping[str, Any]) -> Doc:
        """Make a subscription; the same topic and address twice is refused."""
        uri = _checked(given.get("uri"))
        self._unused(topic, uri, None)
        return self._store.add("WebhookSubscription", {"topic": topic, **_kept(given), "uri": uri})

    def change(self, text: str, given: Mapping[str, Any]) -> Doc:
        """Change a subscription."""
        found = self._store.get(text)
        if found is None:
            raise Refused("Webhook subscription does not exist", "id")
        uri = _checked(given["uri"]) if "uri" in given else found["uri"]
        self._unused(found["topic"], uri, text)
        return self._store.changed(found, **{**_kept(given, found), "uri": uri})

    def drop(self, text: str) -> None:
        """Forget a subscription and what was meant for it."""
        if self._store.get(text) is None:
            raise Refused("Webhook subscription does not exist", "id")
        self._store.remove(text)
        self._outbox.drop_of(text)

    def address(self, delivery: Delivery, stamp: int) -> Outgoing | None:
        """Where a delivery goes, signed with the app's secret."""
        found = self._store.get(delivery.subscription)
        if found is None:
            return None
        digest = hmac.new(self._settings.webhook_secret.encode(), delivery.body, hashlib.sha256).digest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": topic_text(delivery.event_type),
            "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
            "X-Shopify-Shop-Domain": self._settings.domain,
            "X-Shopify-API-Version": VERSION,
            "X-Shopify-Webhook-Id": str(uuid5(NAMESPACE_URL, f"{delivery.subscription}#{delivery.event_id}")),
            "X-Shopify-Event-Id": delivery.event_id,
            "X-Shopify-Triggered-At": self._store.now_text(delivery.at),
        }
        return Outgoing(found["uri"], headers)

    def given_up(self, delivery: Delivery) -> None:
        """After the last try in vain Shopify deletes the subscription."""
        with self._store.transaction():
            if self._store.get(delivery.subscription) is not None:
                self.drop(delivery.subscription)

    def _unused(self, topic: str, uri: str, but: str | None) -> None:
        for one in self._store.all("WebhookSubscription"):
            if one["id"] != but and (one["topic"], one["uri"]) == (topic, uri):
                raise Refused("Address for this topic has already been taken", "webhookSubscription", "callbackUrl")


def _kept(given: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    old = before or {}
    return {
        "format": given.get("format") or old.get("format") or "JSON",
        "includeFields": given.get("includeFields") or old.get("includeFields") or [],
        "filter": given.get("filter") or old.get("filter"),
    }


def _checked(uri: Any) -> str:
    try:
        parts = urlsplit(uri) if isinstance(uri, str) else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("Address is invalid", "webhookSubscription", "callbackUrl")
    return str(uri)
