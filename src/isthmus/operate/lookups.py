"""Look-up tables of a pair as verbs: list, show, import and export."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from sqlalchemy import Connection

from isthmus.errors import Misconfigured
from isthmus.mapping.lookups import LookupRow
from isthmus.mapping.model import Mapping as MappingFile
from isthmus.mapping.tablefile import Triple, merged, read_table, rows_of, triples, write_csv, write_excel
from isthmus.operate.assemble import mapping_file, parse_pair
from isthmus.store import auditlog, pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table in the list: how many rows it has and which Mappings ask it."""

    name: str
    rows: int
    mappings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did, or would do."""

    table: str
    rows: int
    added: int
    changed: int
    removed: int
    used: bool


def shipped(used_by: Iterable[str] | None = None) -> dict[str, str]:
    """The tables that ship, as files of a pair; empty ones are left for the user to fill.

    With the texts of mappings given, only the tables that one of them names.
    """
    texts = None if used_by is None else list(used_by)
    folder = resources.files("isthmus") / "templates" / "lookups"
    files: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        named = re.compile(rf"table: {re.escape(file.name.removesuffix('.csv'))}\b")
        if not file.name.endswith(".csv") or (texts is not None and not any(map(named.search, texts))):
            continue
        text = file.read_text(encoding="utf-8")
        systems = [column for column in next(csv.reader(io.StringIO(text))) if column != "canonical"]
        found = triples(read_table(file.name.removesuffix(".csv"), text.encode(), file.name, systems))
        if found:
            out = io.StringIO()
            csv.writer(out, lineterminator="\n").writerows([("system", "value", "canonical"), *found])
            files[f"lookups/{file.name}"] = out.getvalue()
    return files


def listing(conn: Connection, pair: str) -> list[Table]:
    """Every table of a pair, those that a Mapping asks but nobody has filled included."""
    row = pairs.get(conn, pair)
    used = _used(_mappings(conn, row))
    stored = _stored(conn, row.id)
    return [
        Table(name=name, rows=len(stored.get(name, ())), mappings=tuple(used.get(name, ())))
        for name in sorted(used.keys() | stored.keys())
    ]


def show(conn: Connection, pair: str, table: str) -> tuple[list[str], list[LookupRow]]:
    """The systems of a pair and the rows of one table; Misconfigured names the tables there are."""
    row = pairs.get(conn, pair)
    mappings = _mappings(conn, row)
    stored, used = _stored(conn, row.id), _used(mappings)
    if table not in stored and table not in used:
        raise Misconfigured(
            f"looking for the look-up table {table} of {pair}",
            answered="there is none with this name",
            hint=f"Its tables are {', '.join(sorted(used.keys() | stored.keys())) or 'none'}.",
        )
    systems = _systems(mappings)
    return systems, rows_of(stored.get(table, ()), systems)


def export(conn: Connection, pair: str, table: str, filename: str) -> bytes:
    """One table as a file: Excel where the name ends in .xlsx, else CSV."""
    systems, rows = show(conn, pair, table)
    return write_excel(table, rows, systems) if filename.lower().endswith(".xlsx") else write_csv(rows, systems)


def import_file(
    conn: Connection,
    pair: str,
    table: str,
    content: bytes,
    filename: str,
    *,
    actor: str,
    replace: bool = False,
    dry_run: bool = False,
) -> Imported:
    """Take the rows of a CSV or Excel file, beside those there (merge) or instead of them.

    Raises InvalidRecord with all bad rows by number; then nothing is imported.
    """
    systems = _systems(_mappings(conn, pairs.get(conn, pair)))
    rows = read_table(table, content, filename, systems)
    return put(conn, pair, table, rows, actor=actor, replace=replace, dry_run=dry_run)


def put(
    conn: Connection,
    pair: str,
    table: str,
    rows: Iterable[LookupRow],
    *,
    actor: str,
    replace: bool = False,
    dry_run: bool = False,
) -> Imported:
    """Store rows in a table and say what that changed; a running pair uses them from its next record on."""
    row = pairs.get(conn, pair)
    before, new = _stored(conn, row.id).get(table, []), triples(rows)
    after = new if replace else merged(before, new)
    was, will = {(s, v): c for s, v, c in before}, {(s, v): c for s, v, c in after}
    done = Imported(
        table=table,
        rows=len(after),
        added=len(will.keys() - was.keys()),
        changed=sum(was[key] != will[key] for key in was.keys() & will.keys()),
        removed=len(was.keys() - will.keys()),
        used=table in _used(_mappings(conn, row)),
    )
    if not dry_run:
        pairs.replace_lookup(conn, row.id, table, after)
        entry = auditlog.Entry(
            action="import lookup",
            pair_id=row.id,
            actor=actor,
            why={"table": table, "replace": replace},
            before={"rows": before},
            after={"rows": after},
        )
        auditlog.append(conn, [entry])
    return done


def _stored(conn: Connection, pair_id: int) -> dict[str, list[Triple]]:
    out: dict[str, list[Triple]] = {}
    for table, system, value, canonical in pairs.lookups(conn, pair_id):
        out.setdefault(table, []).append((system, value, canonical))
    return out


def _mappings(conn: Connection, row: Any) -> list[MappingFile]:
    files = pairs.files(conn, row.id, row.version)
    entities = parse_pair(files["pair.yaml"]).entities.values()
    names = dict.fromkeys(side.mapping for entity in entities for side in (entity.left, entity.right))
    return [mapping_file(files, name) for name in names]


def _systems(mappings: Sequence[MappingFile]) -> list[str]:
    return list(dict.fromkeys(mapping.system for mapping in mappings))


def _used(mappings: Iterable[MappingFile]) -> dict[str, list[str]]:
    """Table → the Mappings whose steps ask it."""
    out: dict[str, list[str]] = {}
    for mapping in mappings:
        fields = [*mapping.fields.values(), *mapping.together]
        steps = [step for told in fields for step in (*(told.steps or ()), *(told.write_steps or ()))]
        for table in dict.fromkeys(_tables_in(steps)):
            out.setdefault(table, []).append(mapping.mapping)
    return out


def _tables_in(told: Any) -> Iterator[str]:
    if isinstance(told, Mapping):
        for key, value in told.items():
            if (key == "lookup" and isinstance(value, str)) or (key == "table" and isinstance(value, str)):
                yield value
            else:
                yield from _tables_in(value)
    elif isinstance(told, list | tuple):
        for item in told:
            yield from _tables_in(item)
