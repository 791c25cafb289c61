"""Keeps events for delivery in the same transaction as the write that caused them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .schema import Entity
from .store import Store
from .subscriptions import Subscription, Subscriptions
from .values import encode

TABLES = """
CREATE TABLE IF NOT EXISTS delivery (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, subscription TEXT NOT NULL, event_id TEXT NOT NULL,
    event_type TEXT NOT NULL, body BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS delivery_subscription ON delivery (subscription);
"""


@dataclass(slots=True)
class Delivery:
    """One event on its way to one subscriber; `due` is in microseconds, `spoiled` means a fault has had its turn."""

    seq: int
    subscription: str
    event_id: str
    event_type: str
    body: bytes
    attempts: int = 0
    due: int = 0
    spoiled: bool = False


class Outbox:
    """The events that are not delivered yet."""

    def __init__(self, store: Store, subscriptions: Subscriptions) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self.on_new: Callable[[Delivery], None] = lambda _: None
        store.db.executescript(TABLES)

    def put(self, event_type: str, entity: Entity, key: str, version: int, occurred: str, raw: bytes) -> None:
        """Keep an event for every subscription that wants it; they are told of it after the commit."""
        wanted = [s for s in self._subscriptions if s.wants(event_type)]
        if not wanted:
            return
        event_id = self._store.new_id()
        head = {
            "EventID": event_id,
            "EventType": event_type,
            "OccurredAt": occurred,
            "Entity": entity.name,
            "EntityID": key,
            "Version": version,
        }
        start = encode(head)[:-1] + b',"Data":'
        for subscription in wanted:
            data = raw if subscription.payload == "full" else encode({entity.id: key})
            self._add(subscription, event_id, event_type, start + data + b"}")

    def _add(self, subscription: Subscription, event_id: str, event_type: str, body: bytes) -> None:
        done = self._store.db.execute(
            "INSERT INTO delivery (subscription, event_id, event_type, body) VALUES (?, ?, ?, ?)",
            (subscription.id, event_id, event_type, body),
        )
        delivery = Delivery(int(done.lastrowid or 0), subscription.id, event_id, event_type, body)
        self._store.after_commit(lambda: self.on_new(delivery))

    def waiting(self) -> list[Delivery]:
        """What is still to be delivered, oldest first."""
        query = "SELECT seq, subscription, event_id, event_type, body, attempts, due FROM delivery WHERE failed = 0"
        return [Delivery(*row) for row in self._store.db.execute(query + " ORDER BY seq")]

    def delivered(self, seqs: Sequence[int]) -> None:
        """Forget deliveries that were accepted."""
        with self._store.transaction():
            self._store.db.executemany("DELETE FROM delivery WHERE seq = ?", [(seq,) for seq in seqs])

    def tried(self, delivery: Delivery, *, failed: bool) -> None:
        """Keep how often a delivery was tried and when it is due again; `failed` means never."""
        self._store.db.execute(
            "UPDATE delivery SET attempts = ?, due = ?, failed = ? WHERE seq = ?",
            (delivery.attempts, delivery.due, failed, delivery.seq),
        )

    def revive(self) -> list[Delivery]:
        """Make the failed deliveries due again and return them."""
        query = "SELECT seq, subscription, event_id, event_type, body FROM delivery WHERE failed = 1 ORDER BY seq"
        found = [Delivery(*row) for row in self._store.db.execute(query)]
        self._store.db.execute("UPDATE delivery SET failed = 0, attempts = 0, due = 0 WHERE failed = 1")
        return found

    def drop_of(self, subscription: str) -> None:
        """Forget what was meant for a subscription that is gone."""
        self._store.db.execute("DELETE FROM delivery WHERE subscription = ?", (subscription,))

    def counts(self) -> dict[str, int]:
        """How many wait and how many failed for good."""
        query = "SELECT count(*) FILTER (WHERE failed = 0), count(*) FILTER (WHERE failed = 1) FROM delivery"
        waiting, failed = self._store.db.execute(query).fetchone()
        return {"waiting": waiting, "failed": failed}
