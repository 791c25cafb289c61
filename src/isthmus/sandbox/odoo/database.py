"""The rows: tables with indexes, transactions that can be undone, and the append-only file that keeps them."""

from __future__ import annotations

import os
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .schema import Model

Row = dict[str, Any]
"""A record's stored values by column; a column that is empty is absent. A row is never changed in place."""

_encode = msgspec.json.Encoder().encode


class Table:
    """The rows of one model, by id ascending, with their indexes."""

    def __init__(self, model: Model) -> None:
        self.name = model.name
        self.rows: dict[int, Row] = {}
        self.next_id = 1
        self._highest = 0
        self._indexes: dict[str, dict[Any, dict[int, None]]] = {column: {} for column in model.indexed}
        self._changed: list[tuple[str, int]] = []

    def put(self, row_id: int, row: Row) -> Row | None:
        """Store a row and return the one it replaces."""
        old = self.rows.get(row_id)
        self.rows[row_id] = row
        if row_id < self._highest:
            if old is None:
                self.rows = dict(sorted(self.rows.items()))
        else:
            self._highest = row_id
            self.next_id = max(self.next_id, row_id + 1)
        self._reindex(row_id, old, row)
        return old

    def drop(self, row_id: int) -> Row | None:
        """Remove a row and return it."""
        old = self.rows.pop(row_id, None)
        if old is not None:
            self._reindex(row_id, old, {})
        return old

    def having(self, column: str, values: Iterable[Any]) -> list[int] | None:
        """Return the ids whose indexed column has one of the values, ascending; None where there is no index."""
        index = self._indexes.get(column)
        if index is None:
            return None
        found: set[int] = set()
        for value in values:
            found.update(index.get(value, ()))
        return sorted(found)

    def changed_since(self, stamp: str) -> list[int]:
        """Return the ids of rows whose write_date is at or after `stamp`, ascending."""
        if len(self._changed) > 2 * len(self.rows) + 1000:
            self._changed = sorted((row["write_date"], i) for i, row in self.rows.items() if "write_date" in row)
        tail = self._changed[bisect_left(self._changed, (stamp, 0)) :]
        rows = self.rows
        return sorted({i for at, i in tail if i in rows and rows[i].get("write_date") == at})

    def _reindex(self, row_id: int, old: Row | None, new: Row) -> None:
        before_row = old or {}
        for column, index in self._indexes.items():
            before, after = before_row.get(column), new.get(column)
            if isinstance(after, dict) or isinstance(before, dict):
                before, after = _first_of(before), _first_of(after)
            if before == after:
                continue
            if before is not None:
                held = index[before]
                held.pop(row_id, None)
                if not held:
                    del index[before]
            if after is not None:
                index.setdefault(after, {})[row_id] = None
        stamp = new.get("write_date")
        if stamp and stamp != before_row.get("write_date"):
            entry = (stamp, row_id)
            if not self._changed or self._changed[-1] <= entry:
                self._changed.append(entry)
            else:
                insort(self._changed, entry)


def _first_of(value: Any) -> Any:
    """A translated column is indexed by its English value."""
    return value.get("en_US") if isinstance(value, dict) else value


class Database:
    """All tables. Every change happens in `transaction()`; nothing outside sees half of one (one thread, no awaits)."""

    def __init__(self, schema: Mapping[str, Model], path: Path | None = None) -> None:
        self.schema = schema
        self.tables = {name: Table(model) for name, model in schema.items()}
        self._journal: list[tuple[str, int, Row | None]] = []
        self._path = path
        self._file: Any = None

    def table(self, model: str) -> Table:
        """Return the table of a model that exists."""
        return self.tables[model]

    def row(self, model: str, row_id: int) -> Row | None:
        """Return one row, or None."""
        return self.tables[model].rows.get(row_id)

    def put(self, model: str, row_id: int, row: Row) -> None:
        """Insert or replace a row inside the running transaction."""
        self._journal.append((model, row_id, self.tables[model].put(row_id, row)))

    def drop(self, model: str, row_id: int) -> None:
        """Delete a row inside the running transaction."""
        self._journal.append((model, row_id, self.tables[model].drop(row_id)))

    def take_id(self, model: str) -> int:
        """Return a fresh id; a rolled back one is not used again, as in PostgreSQL."""
        table = self.tables[model]
        row_id = table.next_id
        table.next_id += 1
        return row_id

    def savepoint(self) -> int:
        """Return a mark that `rollback` can go back to."""
        return len(self._journal)

    def rollback(self, mark: int = 0) -> None:
        """Undo everything since the mark (or all of the transaction)."""
        while len(self._journal) > mark:
            model, row_id, old = self._journal.pop()
            if old is None:
                self.tables[model].drop(row_id)
            else:
                self.tables[model].put(row_id, old)

    def commit(self) -> None:
        """Make the transaction durable: one line in the file, handed to the operating system."""
        if not self._journal:
            return
        touched = dict.fromkeys((model, row_id) for model, row_id, _ in self._journal)
        self._journal.clear()
        if self._file is not None:
            self._file.write(_encode([[m, i, self.tables[m].rows.get(i)] for m, i in touched]) + b"\n")
            self._file.flush()

    def open(self, seed: Callable[[], None]) -> None:
        """Read the file back, or fill an empty database by `seed`; then keep appending to a compacted file."""
        path = self._path
        if path is not None and path.exists() and path.stat().st_size:
            self._replay(path)
        else:
            seed()
        self._journal.clear()
        if path is not None:
            self._compact(path)

    def reset(self, seed: Callable[[], None]) -> None:
        """Empty every table and fill them anew."""
        self.close()
        self.tables = {name: Table(model) for name, model in self.schema.items()}
        self._journal.clear()
        seed()
        self._journal.clear()
        if self._path is not None:
            self._compact(self._path)

    def close(self) -> None:
        """Close the file; the rows stay readable."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _replay(self, path: Path) -> None:
        for number, line in enumerate(_whole_lines(path)):
            entry = msgspec.json.decode(line)
            if number == 0:
                for model, next_id in entry.items():
                    if model in self.tables:
                        self.tables[model].next_id = next_id
                continue
            for model, row_id, row in entry:
                if model not in self.tables:
                    continue
                if row is None:
                    table = self.tables[model]
                    table.drop(row_id)
                    table.next_id = max(table.next_id, row_id + 1)
                else:
                    self.tables[model].put(row_id, row)

    def _compact(self, path: Path) -> None:
        fresh = path.with_name(path.name + ".new")
        with fresh.open("wb") as out:
            out.write(_encode({name: table.next_id for name, table in self.tables.items()}) + b"\n")
            for name, table in self.tables.items():
                entries = [[name, row_id, row] for row_id, row in table.rows.items()]
                if entries:
                    out.write(_encode(entries) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(path)
        self._file = path.open("ab")


def _whole_lines(path: Path) -> Iterator[bytes]:
    """A last line without its end is a transaction the process died in: it never committed."""
    with path.open("rb") as source:
        for line in source:
            if line.endswith(b"\n"):
                yield line
