"""The running sandbox: it turns a caller and a function into one transaction, then posts the webhooks it caused."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp

from . import platform, seed
from .automation import Delivery
from .database import Database
from .environment import SUPERUSER, Env
from .faults import Faults
from .registry import behaviours
from .schema import data_file, load_schema
from .settings import Settings

WEBHOOK_TIMEOUT = aiohttp.ClientTimeout(total=1.0)
"""Odoo gives a receiver one second and never tries again."""

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Sandbox:
    """The state of one sandbox server. Calls run whole, one after another; only webhooks and waits interleave."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.latency_ms = settings.latency_ms
        self.database = Database(load_schema(), settings.data)
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self.posted: deque[dict[str, Any]] = deque(maxlen=1000)
        self._behaviours = behaviours()
        self._session: aiohttp.ClientSession | None = None
        self.rights = self._first_rights()
        self.database.open(lambda: seed.fill(self.env(SUPERUSER), settings))
        self._keep_keys()

    def _first_rights(self) -> dict[str, dict[str, str]]:
        told: Mapping[str, Mapping[str, str]] = data_file("rights.json")
        logins = {
            self.settings.login: "integration",
            self.settings.low_login: "low",
            self.settings.odoo_admin_login: "admin",
        }
        return {login: dict(told[role]) for login, role in logins.items()}

    def _keep_keys(self) -> None:
        seed.keep_keys(self.env(SUPERUSER), self.settings)
        self.database.commit()

    def reset(self) -> None:
        """Go back to the first rows, rights and no faults."""
        self.database.reset(lambda: seed.fill(self.env(SUPERUSER), self.settings))
        self._keep_keys()
        self.rights = self._first_rights()
        self.faults.clear()
        self.calls.clear()
        self.posted.clear()

    def now(self) -> str:
        """Return this moment as rows keep it: naive UTC with microseconds."""
        return self.settings.now().strftime("%Y-%m-%d %H:%M:%S.%f")

    def env(self, uid: int, context: Mapping[str, Any] | None = None, now: str | None = None) -> Env:
        """Return the environment of one call."""
        return Env(self.database, self._behaviours, self.rights, uid, now or self.now(), context)

    def user_of_key(self, key: str) -> int | None:
        """Return the user of an unexpired API key."""
        return platform.user_of_key(self.env(SUPERUSER), key)

    def user_of_login(self, login: str) -> int | None:
        """Return the user with this login."""
        found = self.database.table("res.users").having("login", (login,))
        return found[0] if found else None

    async def call(
        self, uid: int, context: Mapping[str, Any] | None, work: Callable[[Env], T], *, now: str | None = None
    ) -> T:
        """Run `work` as one transaction, then post the webhooks it caused before answering, as Odoo does."""
        if self.latency_ms:
            await asyncio.sleep(self.latency_ms / 1000)
        env = self.env(uid, context, now)
        try:
            _ = env.companies  # a company the user may not see is refused before anything else
            result = work(env)
        except BaseException:
            self.database.rollback()
            raise
        self.database.commit()
        await self._deliver(env.after_commit)
        return result

    async def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if self._session is None:
                self._session = aiohttp.ClientSession(timeout=WEBHOOK_TIMEOUT)
            outcome: int | str
            try:
                async with self._session.post(delivery.url, json=delivery.payload) as response:
                    outcome = response.status
            except (TimeoutError, aiohttp.ClientError) as error:
                outcome = type(error).__name__
                _log.warning("posting a webhook to %s: %s, lost for good as in Odoo", delivery.url, outcome)
            self.posted.append({"url": delivery.url, "payload": delivery.payload, "outcome": outcome})

    async def close(self) -> None:
        """Close the file and the webhook connections."""
        if self._session is not None:
            await self._session.close()
        self.database.close()
