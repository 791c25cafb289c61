"""One sandbox: its parts, wired together, and what concerns all of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from ..parts.delivery import Dispatcher
from .delivery import address
from .faults import Faults
from .idempotency import Idempotency
from .limits import RateLimit
from .outbox import Outbox
from .schema import Entity, catalogue
from .settings import Settings, Switches
from .store import Store
from .subscriptions import Subscriptions
from .tokens import Client, Tokens
from .writing import Writer


class Sandbox:
    """The state of one server. Requests run whole, one after another; only waits and webhooks interleave."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.switches = msgspec.structs.replace(settings.switches)
        self.catalogue = catalogue()
        self.entities = dict(self.catalogue.by_path)
        self.store = Store(self.catalogue, settings.data, settings.now)
        self.subscriptions = Subscriptions(self.store)
        self.outbox = Outbox(self.store, self.subscriptions)
        self.writer = Writer(self.catalogue, self.store, self.outbox, self.switches)
        self.idempotency = Idempotency(self.store, settings.idempotency_seconds)
        self.tokens = Tokens(self.store)
        self.limit = RateLimit(self.switches)
        self.faults = Faults(settings.random_seed)
        self.dispatcher = Dispatcher(
            self.store, self.outbox, address(self.subscriptions), self.faults, settings.webhooks
        )
        self.calls: Counter[str] = Counter()
        client = Client(settings.client_id, self.catalogue.scopes, settings.redirect_uris)
        self.tokens.register(client, settings.client_secret)

    def entity(self, name: str) -> Entity | None:
        """A root entity by its name or by its plural."""
        found = self.entities.get(name) or self.catalogue.entities.get(name)
        return found if found is not None and found.parent is None else None

    def reset(self, *, new_system: bool = False) -> None:
        """Empty everything but clients and tokens, and put switches and faults back to how it started."""
        self.store.clear(["idempotency", "delivery", "subscription"])
        self.subscriptions.load()
        self.dispatcher.clear()
        self.faults.clear()
        self.limit.clear()
        self.calls.clear()
        self.writer.counts.clear()
        self.switch(msgspec.structs.asdict(self.settings.switches))
        if new_system:
            self.store.set_meta("system_id", self.store.new_id())

    def switch(self, told: dict[str, Any]) -> Switches:
        """Turn the named switches; raises ValueError (nothing turned) when one of them is unknown or wrong."""
        wanted = msgspec.structs.asdict(self.switches) | told
        checked = msgspec.convert(wanted, Switches)
        for name in msgspec.structs.fields(Switches):
            setattr(self.switches, name.name, getattr(checked, name.name))
        return self.switches

    def counters(self) -> dict[str, Any]:
        """What happened since the start or the last reset."""
        return {
            "calls": dict(self.calls),
            "writes": dict(self.writer.counts),
            "webhooks": {**self.outbox.counts(), **self.dispatcher.counts},
            "fired": dict(self.faults.counts),
        }

    async def close(self) -> None:
        """Stop sending and close the file."""
        await self.dispatcher.close()
        self.store.close()
