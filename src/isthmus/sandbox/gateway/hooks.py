"""Webhooks: which addresses want which events, what a delivery says, how it is signed."""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ..parts.delivery import Outgoing
from ..parts.outbox import Delivery, Outbox
from .settings import Settings
from .store import Doc, Store

EVENTS = (
    *(
        f"transaction.{what}.{how}"
        for what in ("sale", "auth", "capture", "void", "refund", "credit", "validate")
        for how in ("success", "failure", "unknown")
    ),
    "settlement.batch.complete",
    "settlement.batch.failure",
    "chargeback.batch.complete",
)


class Hooks:
    """The addresses that are told, and the events on their way to them."""

    def __init__(self, store: Store, outbox: Outbox, settings: Settings) -> None:
        self._store = store
        self._outbox = outbox
        self._settings = settings

    def add(self, url: Any, events: Any = None) -> Doc:
        """An address for events of these names or patterns; all of them when none are named."""
        try:
            parts = urlsplit(url) if isinstance(url, str) else None
        except ValueError:
            parts = None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be an http or https address")
        wanted = list(events or ["*"])
        unknown = [one for one in wanted if not isinstance(one, str) or not fnmatch.filter(EVENTS, one)]
        if unknown:
            raise ValueError(f"events: {unknown[0]!r} is none of {', '.join(EVENTS)}")
        doc = {"id": self._store.new_id(), "url": url, "events": wanted}
        with self._store.transaction():
            self._store.put_hook(doc)
        return doc

    def transaction(self, what: str, how: str, doc: Doc) -> None:
        """Something happened to a transaction; call it inside the transaction of the change."""
        told = {name: value for name, value in doc.items() if name not in ("actions", "fields")}
        card = {name: told.pop(name) for name in ("cc_number", "cc_exp", "cc_type") if name in told}
        body = {"merchant": self._merchant(), **told, "card": card, "action": doc["actions"][-1]}
        self.tell(f"transaction.{what}.{how}", body)

    def settlement(self, batch: str, docs: Sequence[Doc]) -> None:
        """A batch was settled; call it inside the transaction of the change."""
        amount = sum((_signed(doc) for doc in docs), Decimal("0.00"))
        self.tell(
            "settlement.batch.complete",
            {
                "merchant": self._merchant(),
                "batch_id": batch,
                "date": self._store.moment(),
                "transaction_ids": [doc["transaction_id"] for doc in docs],
                "count": len(docs),
                "amount": f"{amount:.2f}",
            },
        )

    def chargebacks(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """A batch of chargebacks came in from the issuers; answers the event's id."""
        body = {"merchant": self._merchant(), "date": self._store.moment(), "chargebacks": list(rows)}
        with self._store.transaction():
            return self.tell("chargeback.batch.complete", body)

    def tell(self, event_type: str, body: Mapping[str, Any]) -> str:
        """Keep an event for every address that wants it."""
        event_id = self._store.new_id()
        raw = msgspec.json.encode({"event_id": event_id, "event_type": event_type, "event_body": body})
        for hook in self._store.hooks():
            if any(fnmatch.fnmatchcase(event_type, pattern) for pattern in hook["events"]):
                self._outbox.add(hook["id"], event_id, event_type, raw)
        return event_id

    def address(self, delivery: Delivery, stamp: int) -> Outgoing | None:
        """Where a delivery goes, signed with a fresh nonce."""
        hook = self._store.hook(delivery.subscription)
        if hook is None:
            return None
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Gateway-Webhooks",
            "Webhook-Signature": signature(self._settings.signing_key, secrets.token_hex(16), delivery.body),
        }
        return Outgoing(hook["url"], headers)

    def _merchant(self) -> dict[str, str]:
        return {"id": "100001", "name": self._settings.merchant}


def signature(key: str, nonce: str, body: bytes) -> str:
    """The signature header: `t=<nonce>,s=<hex>`, HMAC-SHA256 over `nonce.body`."""
    digest = hmac.new(key.encode(), nonce.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={nonce},s={digest}"


def _signed(doc: Doc) -> Decimal:
    amount = Decimal(doc["actions"][-1]["amount"])
    return -amount if doc["actions"][0]["action_type"] in ("refund", "credit") else amount
