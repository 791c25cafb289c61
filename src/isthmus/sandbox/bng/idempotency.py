"""Remembers the answers to writes by Idempotency-Key, so that a repeated write is answered, not done again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import ApiError, Problem
from .store import Store
from .values import encode_sorted

TABLES = """
CREATE TABLE IF NOT EXISTS idempotency (
    client TEXT, key TEXT, fingerprint BLOB NOT NULL, status INTEGER NOT NULL, record TEXT NOT NULL,
    version INTEGER NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (client, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idempotency_at ON idempotency (at);
"""
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Answer:
    """What a write answered: status, the record's id and version, the body; `replayed` when it came from memory."""

    status: int
    key: str
    version: int
    body: bytes
    replayed: bool = False


class Idempotency:
    """The memory. Only writes that took place are kept: a refused one may be corrected and sent with its key again."""

    def __init__(self, store: Store, seconds: float) -> None:
        self._store = store
        self._micros = int(seconds * 1_000_000)
        store.db.executescript(TABLES)
        store.db.execute("DELETE FROM idempotency WHERE at < ?", (store.stamp() - self._micros,))

    def once(self, client: str, key: str | None, what: Any, write: Callable[[], Answer]) -> Answer:
        """Answer `write` the first time, the kept answer afterwards; `what` is everything that makes up the request.

        Raises ApiError 422 when the key came with another request before. Needs an open transaction.
        """
        if key is None:
            return write()
        if not 0 < len(key) <= LONGEST_KEY:
            problem = Problem("Idempotency-Key", "TooLong", f"must have 1 to {LONGEST_KEY} characters")
            raise ApiError(400, "InvalidHeader", f"Idempotency-Key {problem.message}.", [problem])
        fingerprint = hashlib.blake2b(encode_sorted(what), digest_size=16).digest()
        query = "SELECT fingerprint, status, record, version, body, at FROM idempotency WHERE client = ? AND key = ?"
        found = self._store.db.execute(query, (client, key)).fetchone()
        now = self._store.stamp()
        if found is not None and found[5] >= now - self._micros:
            if found[0] != fingerprint:
                message = "This Idempotency-Key came with another request before."
                raise ApiError(422, "IdempotencyKeyReused", message, [Problem("Idempotency-Key", "Reused", message)])
            return Answer(found[1], found[2], found[3], found[4], replayed=True)
        answer = write()
        self._store.db.execute(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (client, key, fingerprint, answer.status, answer.key, answer.version, answer.body, now),
        )
        return answer
