"""What the product lends a connector: budget, network policy, token store, clock, names to show the other side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from isthmus.model.clock import Clock, SystemClock
from isthmus.sdk.http import USER_AGENT, CallRecord, HttpClient
from isthmus.sdk.limits import AdaptiveConcurrency, Budget, Rate, TokenBucket
from isthmus.sdk.network import NetworkPolicy
from isthmus.sdk.tokens import MemoryTokenStore, TokenStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a connector gets besides its settings and secrets.

    `budget` is shared by all who use the connection (make it with `ConnectorKind.rate(settings)`).
    `connection` is the connection's stable name, under which tokens are kept. `installation` tells this
    installation from others: it is part of every external key that it mints.
    """

    budget: Budget
    network: NetworkPolicy = field(default_factory=NetworkPolicy)
    tokens: TokenStore = field(default_factory=MemoryTokenStore)
    clock: Clock = field(default_factory=SystemClock)
    user_agent: str = USER_AGENT
    installation: str = "local"
    connection: str = "default"
    observe: Callable[[CallRecord], None] | None = None

    def http(
        self,
        base_url: str,
        *,
        concurrency: AdaptiveConcurrency | None = None,
        timeout: float = 60,
        connect_timeout: float = 10,
        budget: Budget | None = None,
    ) -> HttpClient:
        """An HttpClient under these services; `budget` replaces the connection's own (a token server has none)."""
        return HttpClient(
            base_url,
            network=self.network,
            limits=budget or self.budget,
            concurrency=concurrency or AdaptiveConcurrency(),
            timeout=timeout,
            connect_timeout=connect_timeout,
            user_agent=self.user_agent,
            observe=self.observe,
            clock=self.clock,
        )


def local_services(rate: Rate | None = None, *, network: NetworkPolicy | None = None, **more: object) -> Services:
    """Services for one process: what tests, the doctor and small scripts need."""
    return Services(budget=TokenBucket(rate or Rate()), network=network or NetworkPolicy(), **more)  # type: ignore[arg-type]  # typed by Services itself
