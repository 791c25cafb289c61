"""Look-up tables as files that people edit: CSV and Excel to rows and back, every bad row named by its number."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import zip_longest
from typing import Any

from isthmus.errors import InvalidRecord
from isthmus.mapping.lookups import LookupRow
from isthmus.mapping.problem import show
from isthmus.mapping.tabular import BadFile, guard_workbook

CANONICAL = "canonical"
MAX_BYTES = 8_000_000
MAX_ROWS = 100_000
MAX_TEXT = 500
SHOWN_ROWS = 20
"""Bad rows told in the message; all of them stand in the error's facts."""

NAME = re.compile(r"^[a-z0-9][a-z0-9_]{0,62}$")
Triple = tuple[str, str, str]
"""(system, the system's value, canonical value), the form in which tables are stored."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that cannot be taken, by its number in the file (the head is row 1)."""

    row: int
    problem: str


def read_table(name: str, content: bytes, filename: str, systems: Sequence[str]) -> list[LookupRow]:
    """The rows of a CSV or Excel file with the columns `canonical` and one per system.

    Raises InvalidRecord with every bad row by number; then nothing of the file may be used.
    """
    if not NAME.match(name):
        raise _refused(name, filename, [], f"{name!r} is no name of a table: small letters, digits and _ only")
    if len(content) > MAX_BYTES:
        raise _refused(name, filename, [], f"it is larger than {MAX_BYTES:,} bytes")
    cells = (
        _excel(name, content, filename)
        if filename.lower().endswith((".xlsx", ".xlsm"))
        else _csv(name, content, filename)
    )
    rows = iter(enumerate(cells, 1))
    head = [cell.strip().casefold() for cell in next(rows, (1, []))[1]]
    while head and not head[-1]:
        head.pop()
    wrong = _wrong_head(head, systems)
    if wrong:
        raise _refused(name, filename, [BadRow(1, wrong)])
    found, bad = _rows(head, rows)
    if bad:
        raise _refused(name, filename, bad)
    return found


def _refused(name: str, filename: str, bad: Sequence[BadRow], why: str = "") -> InvalidRecord:
    told = "; ".join(f"row {b.row}: {b.problem}" for b in bad[:SHOWN_ROWS])
    more = f"; and {len(bad) - SHOWN_ROWS} more rows" if len(bad) > SHOWN_ROWS else ""
    return InvalidRecord(
        f"reading {filename} for the look-up table {name}",
        answered=why or f"{told}{more}",
        hint="Nothing was imported: correct these places and import the file again.",
        facts={"rows": [{"row": b.row, "problem": b.problem} for b in bad]},
    )


def _wrong_head(head: Sequence[str], systems: Sequence[str]) -> str:
    wanted = f"the first row names the columns {CANONICAL}, {', '.join(systems)}"
    if CANONICAL not in head:
        return f"there is no column {CANONICAL}; {wanted}"
    if len(set(head)) < len(head):
        return f"a column stands there twice or has no name; {wanted}"
    unknown = [column for column in head if column != CANONICAL and column not in systems]
    if unknown:
        return f"no system of this pair is called {', '.join(unknown)}; {wanted}"
    return "" if len(head) > 1 else f"there is no column of a system; {wanted}"


def _rows(head: Sequence[str], rows: Iterator[tuple[int, list[str]]]) -> tuple[list[LookupRow], list[BadRow]]:
    found: list[LookupRow] = []
    bad: list[BadRow] = []
    first: dict[tuple[str, str], tuple[int, str]] = {}
    for number, cells in rows:
        texts = [cell.strip() for cell in cells]
        if not any(texts):
            continue
        if len(found) >= MAX_ROWS:
            bad.append(BadRow(number, f"a table has at most {MAX_ROWS:,} rows"))
            break
        values = {column: text for column, text in zip(head, texts, strict=False) if text}
        canonical = values.pop(CANONICAL, "")
        problem = _wrong_row(head, texts, canonical, values) or _seen_before(first, number, canonical, values)
        if problem:
            bad.append(BadRow(number, problem))
        else:
            found.append(LookupRow(canonical=canonical, values=values))
    return found, bad


def _wrong_row(head: Sequence[str], texts: Sequence[str], canonical: str, values: Mapping[str, str]) -> str:
    if any(texts[len(head) :]):
        return f"it has {len(texts)} cells, the head has {len(head)}"
    if not canonical:
        return "the canonical value is empty"
    if not values:
        return f"no system calls {show(canonical)!r} anything"
    strange = next((t for t in texts if t.startswith(_REFUSED_CELL)), None)
    if strange is not None:
        return strange.removeprefix(_REFUSED_CELL)
    long = next((t for t in texts if len(t) > MAX_TEXT), None)
    return f"{show(long)!r} is longer than {MAX_TEXT} characters" if long else ""


def _seen_before(
    first: dict[tuple[str, str], tuple[int, str]], number: int, canonical: str, values: Mapping[str, str]
) -> str:
    for system, value in values.items():
        before = first.setdefault((system, value.casefold()), (number, canonical))
        if before[0] != number:
            return f"{system} value {show(value)!r} stands in row {before[0]} already, for {show(before[1])!r}"
    return ""


def _csv(name: str, content: bytes, filename: str) -> list[list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(name, filename, [], f"it is not UTF-8 text (byte {error.start})") from error
    head = text.partition("\n")[0]
    try:
        return list(csv.reader(io.StringIO(text), delimiter=max(",;\t", key=head.count), strict=True))
    except csv.Error as error:
        raise _refused(name, filename, [], f"it is not CSV: {error}") from error


def _excel(name: str, content: bytes, filename: str) -> list[list[str]]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        guard_workbook(io.BytesIO(content), len(content))
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        try:
            sheet = book[name] if name in book.sheetnames else book.worksheets[0]
            return [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True, max_row=MAX_ROWS + 2)]
        finally:
            book.close()
    except BadFile as bad:
        raise _refused(name, filename, [], bad.why) from bad
    except (zipfile.BadZipFile, InvalidFileException, KeyError, IndexError, OSError, ValueError) as error:
        raise _refused(name, filename, [], f"it is not an Excel file ({type(error).__name__})") from error


_REFUSED_CELL = "\x00"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime | date | time):
        return f"{_REFUSED_CELL}{value} is a date to Excel; format the cell as text and type it again"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def triples(rows: Iterable[LookupRow]) -> list[Triple]:
    """Rows in the form in which tables are stored."""
    return [(system, value, row.canonical) for row in rows for system, value in row.values.items()]


def rows_of(stored: Iterable[Triple], systems: Sequence[str]) -> list[LookupRow]:
    """Stored triples as rows for people: one per canonical value, further spellings in rows below it."""
    told: dict[str, tuple[str, dict[str, list[str]]]] = {}
    for system, value, canonical in stored:
        told.setdefault(canonical.casefold(), (canonical, {}))[1].setdefault(system, []).append(value)
    out: list[LookupRow] = []
    for canonical, values in told.values():
        columns = [values.get(system, []) for system in systems]
        for cells in zip_longest(*columns):
            row = {system: value for system, value in zip(systems, cells, strict=True) if value}
            out.append(LookupRow(canonical=canonical, values=row))
    return out


def merged(before: Sequence[Triple], new: Sequence[Triple]) -> list[Triple]:
    """The table with the new rows first: a value they name gets their meaning, all others stay."""
    named = {(system, value.casefold()) for system, value, _ in new}
    return [*new, *(row for row in before if (row[0], row[1].casefold()) not in named)]


def write_csv(rows: Iterable[LookupRow], systems: Sequence[str]) -> bytes:
    """The table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([CANONICAL, *systems])
    writer.writerows([row.canonical, *(row.values.get(system, "") for system in systems)] for row in rows)
    return out.getvalue().encode()


def write_excel(name: str, rows: Iterable[LookupRow], systems: Sequence[str]) -> bytes:
    """The table as an Excel workbook; every cell is text, so that nothing in it is taken for a formula."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet(name[:31])

    def cell(text: str) -> Any:
        made = WriteOnlyCell(sheet, value=text)
        made.data_type, made.number_format = "s", "@"
        return made

    sheet.append([cell(text) for text in (CANONICAL, *systems)])
    for row in rows:
        sheet.append([cell(text) for text in (row.canonical, *(row.values.get(s, "") for s in systems))])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
