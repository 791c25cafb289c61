"""Fault switches of any stand-in: what is to go wrong, how often, and how often it did."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, Generic, TypeVar

import msgspec


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One switch: it fires with probability `rate`, or on the `next` so many that match; both: whichever says so.

    `match` is a part of the path (for webhooks: of the event type) and `method` an HTTP method; unset: all. A system
    derives its own from this one, narrows `kind` to what it can do wrong and says what each kind means.
    """

    kind: str
    rate: float = 0.0
    next: int = 0
    match: str = ""
    method: str | None = None
    status: int = 503
    seconds: float = 1.0
    retry_after: float | None = None
    after: bool = False
    id: int = 0
    seen: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate must be between 0 and 1, not {self.rate}")
        if self.rate == 0 and self.next < 1:
            raise ValueError("rate or next must say when the fault fires")

    @property
    def on_webhooks(self) -> bool:
        """Whether it spoils deliveries rather than requests."""
        return self.kind.startswith("webhook_")


AnyFault = TypeVar("AnyFault", bound=Fault)


class Faults(Generic[AnyFault]):
    """The switches that are on. The dice are seeded: the same requests meet the same faults."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._last = 0
        self.clear()

    def clear(self) -> None:
        """Switch everything off, forget the counts, put the dice back."""
        self.switches: dict[int, AnyFault] = {}
        self.counts: Counter[str] = Counter()
        self._dice = random.Random(self._seed)

    def add(self, fault: AnyFault) -> AnyFault:
        """Switch a fault on."""
        self._last += 1
        fault.id = self._last
        self.switches[fault.id] = fault
        return fault

    def remove(self, key: int) -> bool:
        """Switch a fault off; its count stays."""
        return self.switches.pop(key, None) is not None

    def told(self) -> dict[str, Any]:
        """Switches and counts as JSON values."""
        return {"faults": [msgspec.to_builtins(f) for f in self.switches.values()], "fired": dict(self.counts)}

    def on_request(self, path: str, method: str) -> AnyFault | None:
        """The fault that this request meets."""
        return self._meet(path, method, webhooks=False) if self.switches else None

    def on_webhook(self, event_type: str) -> AnyFault | None:
        """The fault that this delivery meets."""
        return self._meet(event_type, None, webhooks=True) if self.switches else None

    def _meet(self, name: str, method: str | None, *, webhooks: bool) -> AnyFault | None:
        for fault in self.switches.values():
            if fault.on_webhooks is not webhooks or fault.match not in name:
                continue
            if fault.method is not None and fault.method != method:
                continue
            fault.seen += 1
            if fault.next > 0:
                fault.next -= 1
            elif not self._dice.random() < fault.rate:
                continue
            fault.fired += 1
            self.counts[fault.kind] += 1
            return fault
        return None
