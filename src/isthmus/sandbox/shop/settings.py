"""What a shop is told at its start, and what may be changed while it runs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from ..parts.delivery import WebhookTimes

VERSION = "2026-07"
"""The version of the API that is spoken; older supported ones fall forward to it, as at Shopify."""

SCOPES = (
    "read_orders", "write_orders", "read_all_orders", "read_customers", "write_customers", "read_products",
    "write_products", "read_inventory", "write_inventory", "read_locations", "read_fulfillments",
    "write_fulfillments", "read_merchant_managed_fulfillment_orders", "write_merchant_managed_fulfillment_orders",
    "read_metaobjects", "write_metaobjects", "read_metaobject_definitions", "write_metaobject_definitions",
)  # fmt: skip


def utc_now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


def _secret() -> str:
    return secrets.token_urlsafe(24)


class Switches(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What may change while the shop runs; PUT /sandbox/settings takes any of these.

    `bucket` and `restore` are the points of the cost limit and how many come back per second; `most_cost` is what one
    query may cost. `index_lag` is how many seconds search knows nothing of a change. `state` closes the shop as
    Shopify does. `scopes` are what the access token may do.
    """

    throttle: bool = True
    bucket: float = 2000.0
    restore: float = 100.0
    most_cost: int = 1000
    index_lag: float = 0.0
    latency_ms: float = 0.0
    state: Literal["open", "frozen", "locked", "forbidden"] = "open"
    scopes: tuple[str, ...] = SCOPES


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the shop is told at its start; credentials left out are made up.

    `data` is the SQLite file that keeps everything; without it all lives in memory. `webhook_secret` is what the
    app's client secret is at Shopify: deliveries are signed with it. `currency` is the shop's own.
    """

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    access_token: str = msgspec.field(default_factory=_secret)
    webhook_secret: str = msgspec.field(default_factory=_secret)
    admin_key: str = msgspec.field(default_factory=_secret)
    domain: str = "isthmus-sandbox.myshopify.com"
    currency: str = "USD"
    locations: tuple[str, ...] = ("Main warehouse", "Second warehouse")
    switches: Switches = msgspec.field(default_factory=Switches)
    webhooks: WebhookTimes = WebhookTimes(timeout=5.0, first_retry=60.0, longest_retry=3600.0, attempts=9, parallel=16)
    random_seed: int = 1
    now: Callable[[], datetime] = utc_now
