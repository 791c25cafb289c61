"""What a gateway is told at its start, and what may be changed while it runs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from ..parts.delivery import WebhookTimes


def utc_now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


def _secret() -> str:
    return secrets.token_urlsafe(24)


class Switches(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What may change while the gateway runs; PUT /sandbox/settings takes any of these.

    `dup_seconds` is how long an equal charge of a card is refused, unless the request says otherwise; with
    `dup_by_order` charges with different order ids are never equal. `refund_order`: a refund keeps the order id of its
    original, or takes the one given. `pages_from` is the number of the first page. `hang_seconds` is how long the
    test tokens `timeout`, `lost` and `late` take. Rates are per second; beyond them code 301 is answered.
    """

    dup_seconds: int = 1200
    dup_by_order: bool = False
    refund_order: Literal["kept", "given"] = "kept"
    pages_from: Literal[0, 1] = 0
    rate_limit: bool = True
    rate_per_second: float = 500.0
    rate_burst: int = 1000
    test_mode: bool = False
    latency_ms: float = 0.0
    hang_seconds: float = 30.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the gateway is told at its start; keys left out are made up.

    `data` is the SQLite file that keeps everything; without it all lives in memory. Deliveries are signed with
    `signing_key`. They are tried twenty times over three days, as the real one does.
    """

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    security_key: str = msgspec.field(default_factory=_secret)
    signing_key: str = msgspec.field(default_factory=_secret)
    admin_key: str = msgspec.field(default_factory=_secret)
    merchant: str = "Sandbox merchant"
    switches: Switches = msgspec.field(default_factory=Switches)
    webhooks: WebhookTimes = WebhookTimes(timeout=10.0, first_retry=30.0, longest_retry=14400.0, attempts=20)
    random_seed: int = 1
    now: Callable[[], datetime] = utc_now
