"""Look-up tables: which value of one system means which canonical value, edited by people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupRow:
    """One line of a table: a canonical value and what each system calls it; further rows may repeat a canonical value.

    The first row of a canonical value is the one written; the others are only understood when read.
    """

    canonical: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupTable:
    """A named table; its columns are system names such as `odoo` and `bng`."""

    name: str
    rows: tuple[LookupRow, ...] = ()
    help: str = ""

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems with a column, in order of first appearance."""
        return tuple(dict.fromkeys(system for row in self.rows for system in row.values))


class Lookups:
    """All tables of a pair, ready for reading and writing; texts compare without case and outer spaces."""

    def __init__(self, tables: Iterable[LookupTable] = ()) -> None:
        self._to: dict[tuple[str, str], dict[str, str]] = {}
        self._from: dict[tuple[str, str], dict[str, str]] = {}
        self.tables: dict[str, LookupTable] = {}
        for table in tables:
            self.add(table)

    def add(self, table: LookupTable) -> None:
        """Put a table in; one of the same name is replaced."""
        for known in (self._to, self._from):
            for key in [key for key in known if key[0] == table.name]:
                del known[key]
        self.tables[table.name] = table
        for row in table.rows:
            for system, value in row.values.items():
                self._to.setdefault((table.name, system), {}).setdefault(_fold(value), row.canonical)
                self._from.setdefault((table.name, system), {}).setdefault(_fold(row.canonical), value)

    def __contains__(self, table: str) -> bool:
        return table in self.tables

    def to_canonical(self, table: str, side: str, value: str) -> str | None:
        """The canonical value of a system's value, or None when the table does not know it."""
        return self._to.get((table, side), {}).get(_fold(value))

    def from_canonical(self, table: str, side: str, value: str) -> str | None:
        """What a system calls a canonical value, or None when the table does not know it."""
        return self._from.get((table, side), {}).get(_fold(value))


def _fold(text: str) -> str:
    return text.strip().casefold()
