"""Keeps a stand-in's state in SQLite: transactions, moments that never repeat, notes about itself."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TABLES = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);"


def micros(moment: datetime) -> int:
    """An aware instant as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def stamp_text(stamp: int) -> str:
    """A stamp as it stands in records: RFC 3339 UTC with six places."""
    return (_EPOCH + timedelta(microseconds=stamp)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _opened(path: Path | None) -> sqlite3.Connection:
    """The database, closed to other processes; ValueError says why it cannot be used."""
    try:
        db = sqlite3.connect(":memory:" if path is None else str(path), timeout=0.2, isolation_level=None)
        for setting in (
            "locking_mode = EXCLUSIVE",  # a second sandbox on the same file would give out the same stamps
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "cache_size = -65536",
        ):
            db.execute(f"PRAGMA {setting}")
    except sqlite3.Error as error:
        raise ValueError(f"opening {path}: {error}; name a file that no other sandbox uses") from error
    return db


class Database:
    """One SQLite database: a file in WAL mode, or memory when no path is given.

    A committed transaction survives the death of the process; a power cut may cost the last moments, because WAL
    is not flushed to the disk on every commit. Not safe for use from several threads: the server has one.
    """

    def __init__(self, path: Path | None, now: Callable[[], datetime]) -> None:
        self.path = path
        self._now = now
        self.db = _opened(path)
        self.db.executescript(_TABLES)
        self._after: list[Callable[[], None]] = []
        self._last = 0

    def keep_layout(self, layout: str) -> None:
        """Remember the layout of the tables; a file that has another one would fail later and less clearly."""
        found = self.meta("layout")
        if found is not None and found != layout:
            raise ValueError(
                f"opening {self.path}: another version of the sandbox made it; delete it or name another file"
            )
        self.set_meta("layout", layout)

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; what `after_commit` collected runs once it is durable. Inside another one: part of it."""
        if self.db.in_transaction:
            yield
            return
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            self._after.clear()
            self.db.execute("ROLLBACK")
            raise
        waiting, self._after = self._after, []
        for action in waiting:
            action()

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` when the transaction that is open has been committed."""
        self._after.append(action)

    def stamp(self) -> int:
        """The next moment in microseconds: strictly later than every one given before."""
        self._last = max(micros(self._now()), self._last + 1)
        return self._last

    def new_id(self) -> str:
        """A UUID that begins with the time, so that new rows stand together in the index."""
        millis = micros(self._now()) // 1000
        random = int.from_bytes(os.urandom(10), "big")
        value = (
            (millis & (1 << 48) - 1) << 80 | 7 << 76 | (random >> 68 & 0xFFF) << 64 | 2 << 62 | random & (1 << 62) - 1
        )
        return str(UUID(int=value))

    def meta(self, name: str) -> str | None:
        """One of the store's own notes."""
        found = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else None

    def set_meta(self, name: str, value: str) -> None:
        """Keep a note."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
