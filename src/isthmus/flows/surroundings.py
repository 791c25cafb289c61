"""What nodes may reach beside the items: connectors by role, pairs, the database, effects, time and chance."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from isthmus.flows.item import Item, OpenIntent
from isthmus.mapping.lookups import Lookups
from isthmus.model.clock import Clock
from isthmus.model.schema import EntitySchema
from isthmus.sdk.connector import Connector
from isthmus.sdk.http import HttpClient
from isthmus.store.database import Database
from isthmus.sync.pair import PairRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A Connection that a role is bound to."""

    id: int
    name: str
    connector: Connector


@dataclass(slots=True, kw_only=True)
class NewIntent:
    """An effect about to be sent; `payload` is JSON and is shown to people."""

    item: Item
    node: str
    action: str
    payload: Mapping[str, Any]
    idempotency_key: str
    external_key: str | None = None


class Surroundings(Protocol):
    """The world of one flow version while it runs; roles are those of its file."""

    db: Database
    clock: Clock
    rng: random.Random
    installation: str

    async def connection(self, role: str) -> Bound:
        """The Connection bound to a role, opened. Raises Misconfigured when it is bound to none."""
        ...

    async def pair(self, role: str) -> PairRuntime:
        """The pair bound to a role, assembled."""
        ...

    async def http(self, url: str) -> HttpClient:
        """A client for one server under the installation's network rules; kept open for the next call."""
        ...

    async def secret(self, name: str) -> str | None:
        """A secret of the flow by its name, as stored with `isthmus flow secret`."""
        ...

    def held(self, keys: Sequence[str]) -> AbstractAsyncContextManager[None]:
        """Hold locks on these keys, which no two workers have at once."""
        ...

    async def send(self, intents: Sequence[NewIntent]) -> Sequence[OpenIntent]:
        """Store effects as sent, fenced: raises LeaseLost when another runner has taken over."""
        ...

    async def lookups(self, role: str) -> Lookups:
        """The look-up tables of the pair bound to a role."""
        ...

    async def schema(self, role: str, entity: str) -> EntitySchema | None:
        """What the system says of an Entity; None when it says nothing. Remembered for a while."""
        ...

    async def look_again(self, pair: PairRuntime, entity: str, side: str, keys: Sequence[str]) -> Sequence[int]:
        """Ask the lane of an Entity to look at Records now; returns the Change that answers for each."""
        ...

    async def linked(self, pair: PairRuntime, entity: str, side: str, keys: Sequence[str]) -> set[str]:
        """Which of these Records have a counterpart that the pair knows."""
        ...

    async def signal(self, event: str, keys: Sequence[str]) -> None:
        """Wake what waits for a named Event with any of these keys, in this flow or another one."""
        ...

    async def expect_link(self, pair: PairRuntime, entity: str, left: str, right: str, why: Mapping[str, Any]) -> str:
        """Name two Records as counterparts: `linked` they are already, `expected` they will be, `busy` asks to try
        again soon. Raises Ambiguous when one of them has another counterpart.
        """
        ...

    async def looked_at(
        self, pair: PairRuntime, entity: str, side: str, changes: Sequence[int]
    ) -> Mapping[int, Mapping[str, Any]]:
        """How Changes stand: state, outcome, reason, and both keys of the Record as far as it is linked."""
        ...


@dataclass(slots=True)
class Clients:
    """HTTP clients by server, opened when first needed."""

    open: dict[str, HttpClient] = field(default_factory=dict)

    async def close(self) -> None:
        """Free their sockets."""
        for client in self.open.values():
            await client.close()
        self.open.clear()
