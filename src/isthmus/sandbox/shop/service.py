"""One shop: its parts, wired together."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from ..parts.delivery import Dispatcher
from ..parts.outbox import Outbox
from .catalogue import Catalogue
from .cost import Bucket
from .customers import Customers
from .faults import Faults
from .hooks import Hooks
from .settings import Settings, Switches
from .stock import Stock
from .store import Doc, Store, gid


class Shop:
    """The state of one server. Requests run whole, one after another; only waits and webhooks interleave."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.switches = msgspec.structs.replace(settings.switches)
        self.store = Store(settings.data, settings.now)
        self.outbox = Outbox(self.store)
        self.hooks = Hooks(self.store, self.outbox, settings)
        self.stock = Stock(self.store, self.tell)
        self.customers = Customers(self.store, self.tell)
        self.catalogue = Catalogue(self.store, self.stock, self.tell, settings.currency)
        self.bucket = Bucket(self.switches)
        self.faults = Faults(settings.random_seed)
        self.dispatcher = Dispatcher(self.store, self.outbox, self.hooks.address, self.faults, settings.webhooks)
        self.dispatcher.on_given_up = self.hooks.given_up
        self.calls: Counter[str] = Counter()
        self._furnish()

    def tell(self, topic: str, doc: Doc) -> None:
        """An event for the webhooks."""
        self.hooks.tell(topic, doc)

    def tracked(self, item: str) -> bool:
        """Whether stock of an item is counted."""
        return bool((self.store.get(item) or {}).get("tracked"))

    def variant(self, sku: str | None, text: str | None) -> Doc | None:
        """A variant by its SKU or id."""
        return self.catalogue.find_variant(sku, text)

    def switch(self, told: dict[str, Any]) -> Switches:
        """Turn the named switches; raises ValueError (nothing turned) when one of them is unknown or wrong."""
        checked = msgspec.convert(msgspec.structs.asdict(self.switches) | told, Switches)
        for name in msgspec.structs.fields(Switches):
            setattr(self.switches, name.name, getattr(checked, name.name))
        self.bucket.fill()
        return self.switches

    def reset(self) -> None:
        """Empty everything and put switches and faults back to how it started."""
        self.dispatcher.clear()
        self.store.clear()
        self.faults.clear()
        self.calls.clear()
        self.switch(msgspec.structs.asdict(self.settings.switches))
        self._furnish()

    def counters(self) -> dict[str, Any]:
        """What happened since the start or the last reset."""
        return {
            "calls": dict(self.calls),
            "webhooks": {**self.outbox.counts(), **self.dispatcher.counts},
            "fired": dict(self.faults.counts),
        }

    async def close(self) -> None:
        """Stop sending and close the file."""
        await self.dispatcher.close()
        self.store.close()

    def _furnish(self) -> None:
        if self.store.all("Shop"):
            return
        with self.store.transaction():
            self.store.add("Shop", {"name": "Sandbox shop"}, text=gid("Shop", 1))
            for name in self.settings.locations:
                self.store.add("Location", {"name": name, "isActive": True})
