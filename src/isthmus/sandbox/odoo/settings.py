"""What a sandbox Odoo is started with."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


def utc_now() -> datetime:
    """Return this moment as an aware UTC instant."""
    return datetime.now(UTC)


def _token() -> str:
    return secrets.token_hex(20)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a sandbox is told at its start; keys left out are made up and shown when it is ready.

    `api_key` belongs to the integration user `login`, `low_key` to an internal user without rights on master data,
    `odoo_admin_key` to Odoo's own administrator, `admin_key` opens the sandbox's `/sandbox/...` switches.
    `data` is the append-only file that keeps the rows; without it they live in memory only. `latency_ms` is added
    to every Odoo call.
    """

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    database: str = "sandbox"
    login: str = "sync@example.test"
    password: str = field(default_factory=_token)
    api_key: str = field(default_factory=_token)
    low_login: str = "low@example.test"
    low_password: str = field(default_factory=_token)
    low_key: str = field(default_factory=_token)
    odoo_admin_login: str = "admin"
    odoo_admin_password: str = field(default_factory=_token)
    odoo_admin_key: str = field(default_factory=_token)
    admin_key: str = field(default_factory=_token)
    latency_ms: float = 0.0
    now: Callable[[], datetime] = utc_now
