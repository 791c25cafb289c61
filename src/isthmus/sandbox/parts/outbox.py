"""Keeps webhook deliveries until they are accepted, in the same transaction as the write that caused them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .database import Database

TABLES = """
CREATE TABLE IF NOT EXISTS delivery (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, subscription TEXT NOT NULL, event_id TEXT NOT NULL,
    event_type TEXT NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS delivery_subscription ON delivery (subscription);
"""
_COLUMNS = "seq, subscription, event_id, event_type, body, at"


@dataclass(slots=True)
class Delivery:
    """One event on its way to one subscriber; a fault has had its turn when it is `spoiled`.

    `at` is when it happened, `due` when it is tried again; both in microseconds since 1970.
    """

    seq: int
    subscription: str
    event_id: str
    event_type: str
    body: bytes
    at: int
    attempts: int = 0
    due: int = 0
    spoiled: bool = False


class Outbox:
    """The events that are not delivered yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.on_new: Callable[[Delivery], None] = lambda _: None
        database.db.executescript(TABLES)

    def add(self, subscription: str, event_id: str, event_type: str, body: bytes) -> None:
        """Keep an event for one subscription; it is told of it after the commit."""
        at = self._database.stamp()
        done = self._database.db.execute(
            "INSERT INTO delivery (subscription, event_id, event_type, body, at) VALUES (?, ?, ?, ?, ?)",
            (subscription, event_id, event_type, body, at),
        )
        delivery = Delivery(int(done.lastrowid or 0), subscription, event_id, event_type, body, at)
        self._database.after_commit(lambda: self.on_new(delivery))

    def waiting(self) -> list[Delivery]:
        """What is still to be delivered, oldest first."""
        query = f"SELECT {_COLUMNS}, attempts, due FROM delivery WHERE failed = 0"
        return [Delivery(*row) for row in self._database.db.execute(query + " ORDER BY seq")]

    def delivered(self, seqs: Sequence[int]) -> None:
        """Forget deliveries that were accepted."""
        with self._database.transaction():
            self._database.db.executemany("DELETE FROM delivery WHERE seq = ?", [(seq,) for seq in seqs])

    def tried(self, delivery: Delivery, *, failed: bool) -> None:
        """Keep how often a delivery was tried and when it is due again; `failed` means never."""
        self._database.db.execute(
            "UPDATE delivery SET attempts = ?, due = ?, failed = ? WHERE seq = ?",
            (delivery.attempts, delivery.due, failed, delivery.seq),
        )

    def revive(self) -> list[Delivery]:
        """Make the failed deliveries due again and return them."""
        query = f"SELECT {_COLUMNS} FROM delivery WHERE failed = 1 ORDER BY seq"
        found = [Delivery(*row) for row in self._database.db.execute(query)]
        self._database.db.execute("UPDATE delivery SET failed = 0, attempts = 0, due = 0 WHERE failed = 1")
        return found

    def drop_of(self, subscription: str) -> None:
        """Forget what was meant for a subscription that is gone."""
        self._database.db.execute("DELETE FROM delivery WHERE subscription = ?", (subscription,))

    def counts(self) -> dict[str, int]:
        """How many wait and how many failed for good."""
        query = "SELECT count(*) FILTER (WHERE failed = 0), count(*) FILTER (WHERE failed = 1) FROM delivery"
        waiting, failed = self._database.db.execute(query).fetchone()
        return {"waiting": waiting, "failed": failed}
