"""Keeps records in SQLite: one table per entity, made from its description, and transactions over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..parts.database import Database
from .schema import Catalogue, Doc, Entity, Field
from .values import decode, encode

_TABLES = """
CREATE TABLE IF NOT EXISTS merged (entity TEXT, loser TEXT, survivor TEXT NOT NULL, PRIMARY KEY (entity, loser));
CREATE TABLE IF NOT EXISTS fulfillment (id TEXT PRIMARY KEY, sales_order TEXT NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS fulfillment_order ON fulfillment (sales_order);
CREATE TABLE IF NOT EXISTS line (id TEXT PRIMARY KEY, entity TEXT NOT NULL, parent TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS application (payment TEXT NOT NULL, invoice TEXT NOT NULL, amount TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS application_payment ON application (payment);
CREATE INDEX IF NOT EXISTS application_invoice ON application (invoice);
"""


_LAYOUT = "3:"
"""Grows when the tables beside the entities' own change."""


def column(name: str) -> str:
    """The column that a filter looks at."""
    return "external_id" if name == "ExternalID" else f'"f_{name}"'


def column_value(field: Field, value: Any) -> Any:
    """A value as its column holds it."""
    return value.lower() if field.fold and isinstance(value, str) else value


class Store(Database):
    """The records of the stand-in, in one table per entity."""

    def __init__(self, known: Catalogue, path: Path | None, now: Callable[[], datetime]) -> None:
        super().__init__(path, now)
        self.catalogue = known
        self.db.executescript(_TABLES)
        self.keep_layout(self._layout())
        self._inserts: dict[str, str] = {}
        self._updates: dict[str, str] = {}
        self._filters: dict[str, tuple[Field, ...]] = {}
        for entity in known.roots:
            self._prepare(entity)
        self._last = max(self._newest(entity) for entity in known.roots)
        if self.meta("system_id") is None:
            self.set_meta("system_id", self.new_id())

    def _prepare(self, entity: Entity) -> None:
        filters = self._filters[entity.name] = tuple(entity.columns)
        columns = ["external_id", "updated", *(column(f.name) for f in filters), "doc"]
        typed = ", ".join(f"{name} {'INTEGER NOT NULL' if name == 'updated' else 'TEXT'}" for name in columns)
        self.db.execute(f"CREATE TABLE IF NOT EXISTS {entity.name} (id TEXT PRIMARY KEY, {typed})")
        self._index(entity.name, "external_id", "external_id", "UNIQUE")
        self._index(entity.name, "updated", "updated, id", "UNIQUE")
        for field in filters:
            name = column(field.name)
            if field.unique:
                self._index(entity.name, f"f_{field.name}", name, "UNIQUE")
            else:
                self._index(entity.name, f"f_{field.name}", f"{name}, updated, id", "")
        marks = ", ".join("?" for _ in range(len(columns) + 1))
        self._inserts[entity.name] = f"INSERT INTO {entity.name} ({', '.join(columns)}, id) VALUES ({marks})"
        sets = ", ".join(f"{name} = ?" for name in columns)
        self._updates[entity.name] = f"UPDATE {entity.name} SET {sets} WHERE id = ?"

    def _layout(self) -> str:
        return _LAYOUT + ";".join(f"{e.name}:{','.join(f.name for f in e.columns)}" for e in self.catalogue.roots)

    def _index(self, table: str, name: str, columns: str, unique: str) -> None:
        self.db.execute(f"CREATE {unique} INDEX IF NOT EXISTS {table}_{name} ON {table} ({columns})")

    def _newest(self, entity: Entity) -> int:
        (newest,) = self.db.execute(f"SELECT max(updated) FROM {entity.name}").fetchone()
        return int(newest or 0)

    def raw(self, entity: str, key: str) -> bytes | None:
        """A record as JSON."""
        found = self.db.execute(f"SELECT CAST(doc AS BLOB) FROM {entity} WHERE id = ?", (key,)).fetchone()
        return bytes(found[0]) if found else None

    def get(self, entity: str, key: str) -> Doc | None:
        """A record."""
        raw = self.raw(entity, key)
        return None if raw is None else decode(raw)

    def exists(self, entity: str, key: str) -> bool:
        """Whether there is such a record."""
        return self.db.execute(f"SELECT 1 FROM {entity} WHERE id = ?", (key,)).fetchone() is not None

    def id_where(self, entity: str, field: str, value: str) -> str | None:
        """The id of the record with this ExternalID or filterable field."""
        found = self.db.execute(f"SELECT id FROM {entity} WHERE {column(field)} = ?", (value,)).fetchone()
        return str(found[0]) if found else None

    def docs_where(self, entity: str, field: str, value: str) -> list[Doc]:
        """All records whose filterable field has this value, oldest change first."""
        query = f"SELECT doc FROM {entity} WHERE {column(field)} = ? ORDER BY updated"
        return [decode(doc) for (doc,) in self.db.execute(query, (value,))]

    def docs_holding(self, entity: str, text: str) -> list[Doc]:
        """All records with this text anywhere."""
        return [decode(d) for (d,) in self.db.execute(f"SELECT doc FROM {entity} WHERE instr(doc, ?)", (text,))]

    def keep_lines(self, entity: str, parent: str, lines: Sequence[str]) -> None:
        """Remember which document lines stand in."""
        rows = [(line, entity, parent) for line in lines]
        self.db.executemany("INSERT OR REPLACE INTO line VALUES (?, ?, ?)", rows)

    def parent_of(self, entity: str, line: str) -> str | None:
        """The document of this kind that a line was last known to stand in."""
        found = self.db.execute("SELECT parent FROM line WHERE id = ? AND entity = ?", (line, entity)).fetchone()
        return str(found[0]) if found else None

    def insert(self, entity: str, key: str, doc: Doc, stamp: int) -> bytes:
        """Add a record and return its JSON."""
        return self._put(self._inserts[entity], entity, key, doc, stamp)

    def update(self, entity: str, key: str, doc: Doc, stamp: int) -> bytes:
        """Replace a record and return its JSON."""
        return self._put(self._updates[entity], entity, key, doc, stamp)

    def _put(self, sql: str, entity: str, key: str, doc: Doc, stamp: int) -> bytes:
        raw = encode(doc)
        values = [column_value(f, doc[f.name]) for f in self._filters[entity]]
        self.db.execute(sql, (doc["ExternalID"], stamp, *values, raw.decode(), key))
        return raw

    def count(self, entity: str) -> int:
        """How many records there are."""
        (found,) = self.db.execute(f"SELECT count(*) FROM {entity}").fetchone()
        return int(found)

    def all_raw(self, entity: str) -> list[bytes]:
        """All records as JSON, oldest change first."""
        query = f"SELECT CAST(doc AS BLOB) FROM {entity} ORDER BY updated, id"
        return [bytes(row[0]) for row in self.db.execute(query)]

    def newest_raw(self, entity: str, words: str, most: int) -> list[bytes]:
        """Records with this text anywhere, whatever its case, as JSON, the latest change first."""
        query = f"SELECT CAST(doc AS BLOB) FROM {entity} WHERE ? = '' OR instr(lower(doc), lower(?)) "
        rows = self.db.execute(query + "ORDER BY updated DESC, id LIMIT ?", (words, words, most))
        return [bytes(row[0]) for row in rows]

    def delete(self, entity: str, key: str) -> None:
        """Remove a record for good."""
        self.db.execute(f"DELETE FROM {entity} WHERE id = ?", (key,))

    def merged_into(self, entity: str, key: str) -> str | None:
        """The record that this one was merged into, through any number of merges."""
        survivor: str | None = None
        query = "SELECT survivor FROM merged WHERE entity = ? AND loser = ?"
        while found := self.db.execute(query, (entity, survivor or key)).fetchone():
            survivor = str(found[0])
        return survivor

    def keep_merged(self, entity: str, loser: str, survivor: str) -> None:
        """Remember where a record went."""
        self.db.execute("INSERT OR REPLACE INTO merged VALUES (?, ?, ?)", (entity, loser, survivor))

    def clear(self, tables: Sequence[str]) -> None:
        """Empty the records and the named further tables."""
        with self.transaction():
            own = ["merged", "fulfillment", "line", "application"]
            for table in [*(entity.name for entity in self.catalogue.roots), *own, *tables]:
                self.db.execute(f"DELETE FROM {table}")
