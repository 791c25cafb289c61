"""How BNG addresses and signs its webhooks."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from ..parts.delivery import Address, Outgoing
from ..parts.outbox import Delivery
from .subscriptions import Subscriptions

SIGNATURE_HEADER = "X-BNG-Signature"


def signature(secrets: Iterable[str], stamp: int, body: bytes) -> str:
    """The signature header: `t=<unix>,v1=<hex>` with one v1 per secret, each HMAC-SHA256 over `t.body`."""
    signed = b"%d." % stamp + body
    digests = (hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets)
    return ",".join([f"t={stamp}", *(f"v1={digest}" for digest in digests)])


def address(subscriptions: Subscriptions) -> Address:
    """Where a delivery goes, signed with the secrets in force when it is sent."""

    def addressed(delivery: Delivery, stamp: int) -> Outgoing | None:
        subscription = subscriptions.get(delivery.subscription)
        if subscription is None:
            return None
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "BNG-Webhooks/1",
            SIGNATURE_HEADER: signature(subscription.secrets_at(stamp), stamp // 1_000_000, delivery.body),
        }
        return Outgoing(subscription.url, headers)

    return addressed
