"""Keeps transactions, vault customers, used tokens and webhook addresses in SQLite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..parts.database import Database

Doc = dict[str, Any]
MOMENT = "%Y%m%d%H%M%S"
_LAYOUT = "1"
_TABLES = """
CREATE TABLE IF NOT EXISTS txn (
    id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, updated TEXT NOT NULL, condition TEXT NOT NULL,
    fingerprint TEXT NOT NULL, original TEXT NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS txn_order ON txn (order_id);
CREATE INDEX IF NOT EXISTS txn_updated ON txn (updated);
CREATE INDEX IF NOT EXISTS txn_condition ON txn (condition);
CREATE INDEX IF NOT EXISTS txn_fingerprint ON txn (fingerprint);
CREATE INDEX IF NOT EXISTS txn_original ON txn (original);
CREATE TABLE IF NOT EXISTS customer (id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used_token (token TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hook (id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch (id INTEGER PRIMARY KEY, at TEXT NOT NULL);
"""
_FIRST_TRANSACTION = 9_000_000_001
_FIRST_BATCH = 700_000_001


class Store(Database):
    """The records of one gateway."""

    def __init__(self, path: Path | None, now: Callable[[], datetime]) -> None:
        super().__init__(path, now)
        self.db.executescript(_TABLES)
        self.keep_layout(_LAYOUT)

    def moment(self) -> str:
        """This second as the gateway writes it, UTC."""
        return self._now().astimezone(UTC).strftime(MOMENT)

    def now(self) -> datetime:
        """The present moment."""
        return self._now()

    def add(self, doc: Doc, fingerprint: str) -> Doc:
        """Add a transaction and give it its id."""
        (last,) = self.db.execute("SELECT max(id) FROM txn").fetchone()
        key = (last or _FIRST_TRANSACTION - 1) + 1
        doc = {"transaction_id": str(key), **doc}
        self.db.execute(
            "INSERT INTO txn VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                doc["order_id"],
                self.moment(),
                doc["condition"],
                fingerprint,
                doc.get("original_transaction_id", ""),
                _written(doc),
            ),
        )
        return doc

    def put(self, doc: Doc) -> None:
        """Keep a transaction that was changed."""
        self.db.execute(
            "UPDATE txn SET updated = ?, condition = ?, doc = ? WHERE id = ?",
            (self.moment(), doc["condition"], _written(doc), int(doc["transaction_id"])),
        )

    def get(self, key: str) -> Doc | None:
        """A transaction."""
        if not (key.isascii() and key.isdigit() and len(key) < 19):
            return None
        found = self.db.execute("SELECT doc FROM txn WHERE id = ?", (int(key),)).fetchone()
        return None if found is None else _read(found[0])

    def where(self, condition: str, *values: Any) -> list[Doc]:
        """Transactions by a condition in SQL, oldest first."""
        rows = self.db.execute(f"SELECT doc FROM txn WHERE {condition} ORDER BY id", values)
        return [_read(doc) for (doc,) in rows]

    def customer(self, key: str) -> Doc | None:
        """A vault customer."""
        found = self.db.execute("SELECT doc FROM customer WHERE id = ?", (key,)).fetchone()
        return None if found is None else _read(found[0])

    def customers(self) -> list[Doc]:
        """All vault customers, the first kept first."""
        found = [_read(doc) for (doc,) in self.db.execute("SELECT doc FROM customer")]
        return sorted(found, key=lambda doc: doc["stamp"])

    def put_customer(self, doc: Doc) -> None:
        """Keep a vault customer."""
        self.db.execute("INSERT OR REPLACE INTO customer VALUES (?, ?)", (doc["customer_vault_id"], _written(doc)))

    def drop_customer(self, key: str) -> None:
        """Remove a vault customer."""
        self.db.execute("DELETE FROM customer WHERE id = ?", (key,))

    def use(self, token: str) -> bool:
        """Use a token up; False when it was used before."""
        return self.db.execute("INSERT OR IGNORE INTO used_token VALUES (?)", (token,)).rowcount == 1

    def was_used(self, token: str) -> bool:
        """Whether a token was used."""
        return self.db.execute("SELECT 1 FROM used_token WHERE token = ?", (token,)).fetchone() is not None

    def new_batch(self) -> str:
        """The id of a new settlement batch."""
        (last,) = self.db.execute("SELECT max(id) FROM batch").fetchone()
        key = (last or _FIRST_BATCH - 1) + 1
        self.db.execute("INSERT INTO batch VALUES (?, ?)", (key, self.moment()))
        return str(key)

    def hooks(self) -> list[Doc]:
        """All webhook addresses."""
        return [_read(doc) for (doc,) in self.db.execute("SELECT doc FROM hook ORDER BY id")]

    def hook(self, key: str) -> Doc | None:
        """One webhook address."""
        found = self.db.execute("SELECT doc FROM hook WHERE id = ?", (key,)).fetchone()
        return None if found is None else _read(found[0])

    def put_hook(self, doc: Doc) -> None:
        """Keep a webhook address."""
        self.db.execute("INSERT OR REPLACE INTO hook VALUES (?, ?)", (doc["id"], _written(doc)))

    def drop_hooks(self) -> None:
        """Forget every webhook address."""
        self.db.execute("DELETE FROM hook")

    def clear(self) -> None:
        """Empty everything."""
        with self.transaction():
            for table in ("txn", "customer", "used_token", "hook", "batch", "delivery"):
                self.db.execute(f"DELETE FROM {table}")


def condition_in(column: str, values: Sequence[str]) -> str:
    """A condition in SQL: the column has one of so many values."""
    return f"{column} IN ({', '.join('?' for _ in values)})"


def _written(doc: Doc) -> str:
    return msgspec.json.encode(doc).decode()


def _read(text: str) -> Doc:
    found: Doc = msgspec.json.decode(text)
    return found
