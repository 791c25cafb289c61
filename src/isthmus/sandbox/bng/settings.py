"""What a BNG sandbox is started with, and the switches that can be turned while it runs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import msgspec

from ..parts.delivery import WebhookTimes


def utc_now() -> datetime:
    """This moment as an aware UTC instant."""
    return datetime.now(UTC)


def _secret() -> str:
    return secrets.token_urlsafe(24)


class Switches(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What may change while the sandbox runs; PUT /sandbox/settings takes any of these.

    `put`: a PUT changes the named fields only, or replaces the record. `paging`: how lists are walked.
    `merged`: reading a merged record answers 404, or the survivor. `closed_through`: the last closed GL day.
    `token_seconds` is the lifetime of access tokens issued from now on. Rates are per client and second.
    """

    put: Literal["partial", "full"] = "partial"
    paging: Literal["cursor", "page", "offset"] = "cursor"
    merged: Literal["gone", "redirect"] = "gone"
    rate_limit: bool = True
    rate_per_second: float = 2000.0
    rate_burst: int = 4000
    token_seconds: float = 3600.0
    auto_approve: bool = False
    closed_through: date | None = None
    latency_ms: float = 0.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the sandbox is told at its start; credentials left out are made up.

    `data` is the SQLite file that keeps everything; without it all lives in memory. `webhook_secret` is only told to
    whoever starts the sandbox, so that both sides can be set up with it. `redirect_uris` are where consent may lead;
    loopback addresses are always allowed. `idempotency_seconds` is how long an answer is replayed.
    """

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    client_id: str = "isthmus-demo"
    client_secret: str = msgspec.field(default_factory=_secret)
    admin_key: str = msgspec.field(default_factory=_secret)
    webhook_secret: str = msgspec.field(default_factory=_secret)
    redirect_uris: tuple[str, ...] = ()
    switches: Switches = msgspec.field(default_factory=Switches)
    webhooks: WebhookTimes = msgspec.field(default_factory=WebhookTimes)
    idempotency_seconds: float = 7 * 86400.0
    random_seed: int = 1
    now: Callable[[], datetime] = utc_now
