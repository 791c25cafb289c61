"""Keeps everything the shop knows as documents with global ids: in memory to read, in SQLite to last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..parts.database import Database

Doc = dict[str, Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS node (gid TEXT PRIMARY KEY, kind TEXT NOT NULL, stamp INTEGER NOT NULL, doc TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answer (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, doc TEXT NOT NULL);
"""
_FIRST = 1_000_001


def gid(kind: str, number: int | str) -> str:
    """A global id: `gid://shopify/Order/1000001`."""
    return f"gid://shopify/{kind}/{number}"


def kind_of(text: str) -> str:
    """The kind in a global id; empty when it is none."""
    parts = text.split("/")
    return parts[3] if len(parts) == 5 and text.startswith("gid://shopify/") else ""


def number_of(text: str) -> int:
    """The number at the end of a global id, query left out."""
    return int(text.rpartition("/")[2].partition("?")[0])


class Store(Database):
    """Documents by kind and global id. A document that was read is never changed: `changed` keeps a new one."""

    def __init__(self, path: Path | None, now: Callable[[], datetime]) -> None:
        super().__init__(path, now)
        self.db.executescript(_TABLES)
        self.keep_layout("shop 1")
        self._docs: dict[str, dict[str, Doc]] = {}
        self._stamps: dict[str, int] = {}
        self._undo: list[tuple[str, Doc | None, int]] = []
        for text, kind, stamp, doc in self.db.execute("SELECT gid, kind, stamp, doc FROM node ORDER BY rowid"):
            self._docs.setdefault(kind, {})[text] = msgspec.json.decode(doc)
            self._stamps[text] = stamp
            self._last = max(self._last, stamp)
        self._next = int(self.meta("next") or _FIRST)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, in memory too."""
        if self.db.in_transaction:
            yield
            return
        self._undo.clear()
        first = self._next
        try:
            with super().transaction():
                yield
                if self._next != first:
                    self.set_meta("next", str(self._next))
        except BaseException:
            self._next = first
            for text, doc, stamp in reversed(self._undo):
                self._keep(text, doc, stamp)
            raise
        finally:
            self._undo.clear()

    def new_number(self) -> int:
        """A number that no document has had."""
        self._next += 1
        return self._next - 1

    def now_text(self, stamp: int | None = None) -> str:
        """A moment as Shopify tells it: whole seconds, UTC."""
        moment = datetime.fromtimestamp((self.stamp() if stamp is None else stamp) // 1_000_000, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def add(self, kind: str, doc: Mapping[str, Any], *, text: str | None = None) -> Doc:
        """Keep a new document under a new global id, with its moments."""
        stamp = self.stamp()
        told = self.now_text(stamp)
        full = {"id": text or gid(kind, self.new_number()), "createdAt": told, "updatedAt": told, **doc}
        return self._put(full, stamp)

    def changed(self, doc: Doc, **values: Any) -> Doc:
        """Keep a document with these values changed, and say that it was updated."""
        stamp = self.stamp()
        return self._put({**doc, **values, "updatedAt": self.now_text(stamp)}, stamp)

    def get(self, text: str | None) -> Doc | None:
        """The document with this global id."""
        return self._docs.get(kind_of(text), {}).get(text) if text else None

    def all(self, kind: str) -> list[Doc]:
        """Every document of a kind, the oldest first."""
        return list(self._docs.get(kind, {}).values())

    def stamp_of(self, text: str) -> int:
        """When a document was last changed, in microseconds."""
        return self._stamps.get(text, 0)

    def remove(self, text: str) -> None:
        """Forget a document."""
        self._undo.append((text, self.get(text), self.stamp_of(text)))
        self._keep(text, None, 0)
        self.db.execute("DELETE FROM node WHERE gid = ?", (text,))

    def answer(self, key: str) -> tuple[str, Any] | None:
        """What an idempotency key was answered before: the fingerprint of the request, and the answer."""
        found = self.db.execute("SELECT fingerprint, doc FROM answer WHERE key = ?", (key,)).fetchone()
        return (found[0], msgspec.json.decode(found[1])) if found else None

    def keep_answer(self, key: str, fingerprint: str, answer: Any) -> None:
        """Remember the answer to an idempotency key."""
        doc = msgspec.json.encode(answer).decode()
        self.db.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?)", (key, fingerprint, doc))

    def clear(self) -> None:
        """Forget everything."""
        with self.transaction():
            for table in ("node", "answer", "delivery"):
                self.db.execute(f"DELETE FROM {table}")
        self._docs.clear()
        self._stamps.clear()

    def _put(self, doc: Doc, stamp: int) -> Doc:
        text = doc["id"]
        self._undo.append((text, self.get(text), self.stamp_of(text)))
        self._keep(text, doc, stamp)
        raw = msgspec.json.encode(doc).decode()
        self.db.execute(
            "INSERT INTO node VALUES (?, ?, ?, ?) "
            "ON CONFLICT (gid) DO UPDATE SET stamp = excluded.stamp, doc = excluded.doc",
            (text, kind_of(text), stamp, raw),
        )
        return doc

    def _keep(self, text: str, doc: Doc | None, stamp: int) -> None:
        kept = self._docs.setdefault(kind_of(text), {})
        if doc is None:
            kept.pop(text, None)
            self._stamps.pop(text, None)
        else:
            kept[text] = doc
            self._stamps[text] = stamp
