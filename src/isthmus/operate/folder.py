"""A pair as one folder of files: its settings, Mappings, rules and tables, and never a secret."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from sqlalchemy import Connection

from isthmus.errors import Misconfigured
from isthmus.model.canonical import plain_decimal
from isthmus.store import pairs

RATES = "rates.csv"
_LOOKUP_HEAD = ("system", "value", "canonical")
_RATES_HEAD = ("valid_from", "base", "quote", "rate")
_ALLOWED = ("pair.yaml", RATES, "mappings/", "rules/", "lookups/", "entities/")

LookupRows = list[tuple[str, str, str]]
RateRows = list[tuple[date, str, str, Decimal]]


def export(conn: Connection, name: str) -> dict[str, str]:
    """A whole pair as path → text: `apply` of these changes nothing."""
    row = pairs.get(conn, name)
    return {**pairs.files(conn, row.id, row.version), **tables(conn, row.id)}


def tables(conn: Connection, pair_id: int) -> dict[str, str]:
    """The tables that people edit, as CSV files."""
    found: dict[str, LookupRows] = {}
    for table, system, value, canonical in pairs.lookups(conn, pair_id):
        found.setdefault(table, []).append((system, value, canonical))
    out = {f"lookups/{table}.csv": _csv(_LOOKUP_HEAD, rows) for table, rows in found.items()}
    rates = [
        (day.isoformat(), base, quote, plain_decimal(rate)) for day, base, quote, rate in pairs.rates(conn, pair_id)
    ]
    if rates:
        out[RATES] = _csv(_RATES_HEAD, rates)
    return out


def keep_tables(conn: Connection, pair_id: int, files: Mapping[str, str]) -> None:
    """Make the tables of a pair those in `files`; a table that has no file there is removed."""
    rows, rates = read_tables(files)
    before = {table for table, *_ in pairs.lookups(conn, pair_id)}
    for table in sorted(before | {table for table, *_ in rows}):
        pairs.replace_lookup(conn, pair_id, table, [(s, v, c) for name, s, v, c in rows if name == table])
    pairs.replace_rates(conn, pair_id, rates)


def read_tables(files: Mapping[str, str]) -> tuple[list[tuple[str, str, str, str]], RateRows]:
    """The look-up rows (table, system, value, canonical) and the rates that these files hold."""
    rows = [
        (Path(path).stem, *row)
        for path, text in files.items()
        if path.startswith("lookups/")
        for row in read_lookup(path, text)
    ]
    return rows, read_rates(files[RATES]) if RATES in files else []


def configuration(files: Mapping[str, str]) -> dict[str, str]:
    """The files that make a version; the tables live apart, since people edit them meanwhile."""
    return {path: text for path, text in files.items() if not path.startswith("lookups/") and path != RATES}


def write_folder(files: Mapping[str, str], folder: Path) -> None:
    """Make a folder hold exactly these files of a pair; others that a pair could have had are removed."""
    for path in _found(folder):
        if path not in files:
            (folder / path).unlink()
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode())


def read_folder(folder: Path) -> dict[str, str]:
    """Read a pair's folder; raises Misconfigured when it holds no pair.yaml or a text that is not UTF-8."""
    if not (folder / "pair.yaml").is_file():
        raise Misconfigured(
            f"reading the pair in {folder}",
            answered="there is no pair.yaml",
            hint="Name a folder that `isthmus pair export` wrote.",
        )
    try:
        return {path: (folder / path).read_bytes().decode() for path in _found(folder)}
    except UnicodeDecodeError as error:
        raise Misconfigured(
            f"reading the pair in {folder}", answered=str(error), hint="Save its files as UTF-8."
        ) from error


def _found(folder: Path) -> list[str]:
    paths = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
    return [p for p in paths if p.startswith(_ALLOWED) and p.endswith((".yaml", ".csv"))]


def diff(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What applying `after` over `before` would change, as a unified diff; empty when nothing would."""
    out: list[str] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path, "").splitlines(True), after.get(path, "").splitlines(True)
        out.extend(difflib.unified_diff(old, new, f"now/{path}", f"new/{path}"))
    return "".join(out)


def check_names(files: Mapping[str, str]) -> None:
    """Refuse files that are no part of a pair, before anything is stored."""
    strange = sorted(p for p in files if not p.startswith(_ALLOWED) or ".." in p)
    if strange:
        raise Misconfigured(
            "reading the pair's files",
            answered=f"unexpected {', '.join(strange)}",
            hint="A pair consists of pair.yaml, mappings, rules and entities as *.yaml, lookups/*.csv and rates.csv.",
        )


def read_lookup(path: str, content: str) -> LookupRows:
    """The rows of a look-up table; raises Misconfigured with the line that is wrong."""
    return [(row[0], row[1], row[2]) for _, row in _rows(path, content, _LOOKUP_HEAD)]


def read_rates(content: str) -> RateRows:
    """The rows of the dated exchange rates; raises Misconfigured with the line that is wrong."""
    out: RateRows = []
    for number, row in _rows(RATES, content, _RATES_HEAD):
        try:
            out.append((date.fromisoformat(row[0]), row[1], row[2], Decimal(row[3])))
        except (ValueError, InvalidOperation) as error:
            raise _wrong(RATES, number, row, _RATES_HEAD) from error
    return out


def _rows(path: str, content: str, head: tuple[str, ...]) -> list[tuple[int, list[str]]]:
    rows = list(csv.reader(io.StringIO(content, newline="")))
    if not rows or tuple(cell.strip() for cell in rows[0]) != head:
        raise Misconfigured(
            f"reading {path}",
            answered=f"the first line is not {','.join(head)}",
            hint="Export the pair to see the form of its tables.",
        )
    found = [(number, row) for number, row in enumerate(rows[1:], 2) if row]
    for number, row in found:
        if len(row) != len(head) or not all(row):
            raise _wrong(path, number, row, head)
    return found


def _wrong(path: str, number: int, row: Sequence[str], head: tuple[str, ...]) -> Misconfigured:
    return Misconfigured(
        f"reading {path} line {number}",
        answered=f"{','.join(row)!r} is not {','.join(head)}",
        hint="Correct that line, then apply again.",
    )


def _csv(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()
