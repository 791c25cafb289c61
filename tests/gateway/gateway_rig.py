"""A gateway that runs in this process, and the product's own side that pays through it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from isthmus.connectors.bng_gateway import Gateway, GatewayConnector, GatewaySettings, Transaction
from isthmus.sandbox.gateway import Running, Settings, Switches, WebhookTimes, running
from isthmus.sdk import NetworkPolicy, Rate, Services, local_services

QUICK = WebhookTimes(timeout=1.0, first_retry=0.05, longest_retry=0.1, attempts=5)
SIGNING_KEY = "gateway-signing-key-0001"
_numbers = itertools.count(1)


@dataclass
class Rig:
    """One running gateway, and connectors to it."""

    up: Running
    session: aiohttp.ClientSession
    _made: list[Any] = field(default_factory=list)

    def services(self) -> Services:
        """Services of one process that may call this machine."""
        return local_services(Rate(0), network=NetworkPolicy(allow_loopback=True))

    def settings(self, **more: Any) -> GatewaySettings:
        """Settings of a connection to the gateway, quick to give up."""
        told: dict[str, Any] = {
            "url": self.up.url,
            "security_key": self.up.settings.security_key,
            "webhook_signing_key": self.up.settings.signing_key,
            "request_ceiling": 0.5,
            "look_again": (0.05, 0.1),
            "timeout": 2.0,
            "backoff_seconds": 0.2,
            "calls_per_second": 0,
        }
        return GatewaySettings(**{**told, **more})

    def gateway(self, **more: Any) -> Gateway:
        """Typed payments, with a memory of their own: as in another process."""
        made = Gateway(self.settings(**more), self.services())
        self._made.append(made)
        return made

    def connector(self, **more: Any) -> GatewayConnector:
        """The seven verbs."""
        made = GatewayConnector(self.settings(**more), self.services())
        self._made.append(made)
        return made

    async def close(self) -> None:
        """Close what was made."""
        for made in self._made:
            await made.close()

    def token(self, behaviour: str = "approve", card: str | None = None) -> str:
        """A one-time token of a card that behaves so; each call another card unless one is named."""
        number = next(_numbers)
        return f"test-{behaviour}-{card or f'card{number}'}.{number}"

    async def send(self, path: str, **form: str) -> tuple[int, bytes]:
        """One raw request with the right key, unless another is told."""
        told = {"security_key": self.up.settings.security_key, **form}
        async with self.session.post(f"{self.up.url}{path}", data=told) as answer:
            return answer.status, await answer.read()

    async def switch(self, method: str, name: str, **told: Any) -> Any:
        """One of the sandbox's own switches."""
        headers = {"Authorization": f"Bearer {self.up.settings.admin_key}"}
        given: dict[str, Any] = {"json": told} if method in ("POST", "PUT") else {"params": told}
        async with self.session.request(method, f"{self.up.url}/sandbox/{name}", headers=headers, **given) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def fault(self, kind: str, *, match: str = "transact.php", **told: Any) -> None:
        """Something goes wrong, once unless told otherwise."""
        await self.switch("POST", "faults", **{"kind": kind, "match": match, "next": 1, **told})

    async def charges(self, order: str) -> list[dict[str, Any]]:
        """What the gateway itself keeps of an order and did not refuse."""
        kept = await self.switch("GET", "transactions", order=order)
        return [doc for doc in kept if doc["condition"] != "failed"]

    async def sent(self, what: str) -> int:
        """How many requests of a kind reached the gateway."""
        calls = (await self.switch("GET", "calls"))["calls"]
        return int(calls.get(f"transact.php {what}", 0))


def told_again(found: Transaction) -> tuple[Any, ...]:
    """What must be equal between an answer and a later reading."""
    return found.id, found.type, found.amount, found.order_id


@asynccontextmanager
async def paying(switches: Switches | None = None, **more: Any) -> AsyncIterator[Rig]:
    """A gateway on a free port for as long as the block runs."""
    settings = Settings(webhooks=QUICK, signing_key=SIGNING_KEY, switches=switches or Switches(), **more)
    async with running(settings) as up, aiohttp.ClientSession() as session:
        rig = Rig(up, session)
        try:
            yield rig
        finally:
            await rig.close()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with paying(Switches(hang_seconds=0.6)) as made:
        yield made
