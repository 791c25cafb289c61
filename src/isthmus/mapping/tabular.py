"""Rows of CSV and Excel files, read one after the other: memory holds a row at a time, never the file."""

from __future__ import annotations

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, BinaryIO

from isthmus.mapping.problem import show
from isthmus.model.canonical import plain_decimal

MAX_LINE = 1_000_000
"""Bytes of one line of a CSV file."""
MAX_CELL = 131_072
"""Characters of one cell: where the CSV reader of Python stops as well."""
MAX_COLUMNS = 1_000
MAX_UNPACKED = 400_000_000
"""Bytes that an Excel file may have when unpacked; one part of it, which is held in memory, a quarter of that."""
MAX_PACKED = 200
"""How many times larger than the file its content may be: what real workbooks stay below and bombs do not."""
SAMPLE_ROWS = 1_000
SAMPLE_BYTES = 64 * 1024

DELIMITERS = ",;\t|"


class BadFile(Exception):
    """A file that cannot be read on: why, where, and what to do."""

    def __init__(self, why: str, *, row: int | None = None, sheet: str | None = None, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.row = row
        self.sheet = sheet
        self.hint = hint

    @property
    def told(self) -> str:
        """Where and why, in one line."""
        parts = [f"sheet {self.sheet}" if self.sheet else "", f"row {self.row}" if self.row else ""]
        where = ", ".join(part for part in parts if part)
        return f"{where}: {self.why}" if where else self.why


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a CSV file is written; `decimal` is None where the numbers in it do not tell."""

    delimiter: str
    encoding: str
    decimal: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number in the file (the first is 1), its cells, and where it ends in a CSV file.

    `wrong` says of single cells, by their place, why they cannot be used.
    """

    number: int
    cells: Sequence[Any]
    end: int = 0
    wrong: dict[int, str] | None = None


def is_excel(head: bytes) -> bool:
    """Whether a file is a workbook, by its first bytes."""
    return head.startswith(b"PK\x03\x04")


def looked_at(file: BinaryIO, *, delimiter: str | None, encoding: str | None, decimal: str | None) -> Look:
    """How a CSV file is written: as told, and as its beginning shows where nothing is told."""
    file.seek(0)
    head = file.read(SAMPLE_BYTES)
    if is_excel(head):
        raise BadFile("it is an Excel file", hint="Set format: excel.")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise BadFile("it is a workbook of the old form .xls", hint="Save it as .xlsx or CSV.")
    encoding = encoding or _encoding(head)
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise BadFile(f"{encoding} is no encoding", hint="Give one as utf-8 or windows-1252.") from None
    first = head.split(b"\n", 1)[0].decode(encoding, errors="replace").lstrip("\ufeff")
    unquoted = re.sub(r'"[^"]*"', "", first)
    delimiter = delimiter or max(DELIMITERS, key=unquoted.count)
    look = Look(delimiter=delimiter, encoding=encoding, decimal=decimal)
    if decimal is None:
        look = Look(delimiter=delimiter, encoding=encoding, decimal=_decimal(csv_rows(file, look, tolerant=True)))
    return look


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadFile(
            "it is UTF-16 text", hint="Save it as CSV in UTF-8; Excel calls that `CSV UTF-8 (comma delimited)`."
        )
    return "utf-8"


_COMMA = re.compile(r"^[+-]?(\d{1,3}(\.\d{3})+,\d+|\d+,(\d{1,2}|\d{4,}))$")
_POINT = re.compile(r"^[+-]?(\d{1,3}(,\d{3})+\.\d+|\d+\.(\d{1,2}|\d{4,}))$")


def _decimal(rows: Iterator[Row]) -> str | None:
    """The decimal sign that the numbers show; None when they show none, or both."""
    signs = set()
    for row in rows:
        if row.number > SAMPLE_ROWS:
            break
        for cell in row.cells:
            text = str(cell).strip()
            if _COMMA.match(text):
                signs.add(",")
            elif _POINT.match(text):
                signs.add(".")
    return signs.pop() if len(signs) == 1 else None


def csv_rows(file: BinaryIO, look: Look, *, start: int = 0, number: int = 0, tolerant: bool = False) -> Iterator[Row]:
    """The rows of a CSV file from a byte at which row `number` has ended. Raises BadFile at what breaks its form.

    `tolerant` ends there instead, for a look at the beginning.
    """
    file.seek(start)
    lines = _Lines(file, look.encoding, start)
    try:
        for cells in csv.reader(lines, delimiter=look.delimiter, strict=True):
            number += 1
            if len(cells) > MAX_COLUMNS:
                raise BadFile(f"it has more than {MAX_COLUMNS} cells", row=number)
            yield Row(number, cells, lines.end)
    except csv.Error as error:
        if not tolerant:
            hint = "Check its quotes and its delimiter, or set delimiter."
            raise BadFile(f"it is no proper CSV: {error}", row=number + 1, hint=hint) from error
    except BadFile as error:
        if not tolerant:
            raise BadFile(error.why, row=error.row or number + 1, hint=error.hint) from error


class _Lines:
    """The lines of a file as text; `end` is the byte at which the last one ended."""

    def __init__(self, file: BinaryIO, encoding: str, start: int) -> None:
        self._file = file
        self._encoding = encoding
        self.end = start

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE)
        if not line:
            raise StopIteration
        if len(line) >= MAX_LINE:
            raise BadFile(f"a line is longer than {MAX_LINE:,} bytes", hint="It is no CSV, or a quote is never closed.")
        if self.end == 0 and line.startswith(codecs.BOM_UTF8):
            self.end = len(codecs.BOM_UTF8)
            line = line[self.end :]
        try:
            text = line.decode(self._encoding)
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise BadFile(
                f"byte 0x{byte:02X} is no {self._encoding} text", hint="Set encoding, as encoding: windows-1252."
            ) from error
        self.end += len(line)
        return text


def guard_workbook(file: BinaryIO, size: int) -> None:
    """Refuse what would fill the memory when unpacked, by what the archive declares and is held to when it is read."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise BadFile(f"it is not an Excel file ({type(error).__name__})", hint="Save it as .xlsx.") from error
    unpacked = sum(part.file_size for part in parts)
    largest = max((part.file_size for part in parts if "worksheets/" not in part.filename), default=0)
    if (
        unpacked > MAX_UNPACKED
        or largest > MAX_UNPACKED // 4
        or (unpacked > 10_000_000 and unpacked > size * MAX_PACKED)
    ):
        raise BadFile(
            f"it is too large when unpacked ({unpacked:,} bytes)", hint="Save it as CSV, or in several files."
        )
    file.seek(0)


def excel_rows(
    file: BinaryIO, size: int, sheet: str | None, *, first: int = 1, last: int | None = None
) -> Iterator[Row]:
    """The rows of one sheet from `first` to `last`; Excel's values as exact text, numbers, dates and booleans."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    file.seek(0)
    guard_workbook(file, size)
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, OSError, ValueError, SyntaxError) as error:
        raise BadFile(f"it is not an Excel file ({type(error).__name__})", hint="Save it as .xlsx.") from error
    try:
        names = book.sheetnames
        if sheet is not None and sheet not in names:
            raise BadFile(f"there is no sheet {sheet!r}", hint=f"It has: {', '.join(names)}.")
        found = book[sheet] if sheet is not None else book.worksheets[0]
        found.reset_dimensions()
        number = first - 1
        try:
            for cells in found.iter_rows(min_row=first, max_row=last, values_only=True):
                number += 1
                if len(cells) > MAX_COLUMNS:
                    raise BadFile(f"it has more than {MAX_COLUMNS} cells", row=number, sheet=found.title)
                yield _excel_row(number, cells)
        except (zipfile.BadZipFile, KeyError, ValueError, SyntaxError, OSError) as error:
            told = f"it is damaged ({type(error).__name__})"
            raise BadFile(told, row=number + 1, sheet=found.title, hint="Open it in Excel and save it anew.") from error
    finally:
        book.close()


def sheet_title(file: BinaryIO) -> str:
    """The name of the first sheet."""
    from openpyxl import load_workbook

    file.seek(0)
    book = load_workbook(file, read_only=True)
    try:
        return str(book.sheetnames[0])
    finally:
        book.close()


def _excel_row(number: int, cells: Sequence[Any]) -> Row:
    wrong: dict[int, str] = {}
    values = []
    for place, cell in enumerate(cells):
        value = _excel_value(cell)
        if isinstance(value, str) and len(value) > MAX_CELL:
            value, wrong[place] = "", f"it is longer than {MAX_CELL:,} characters"
        elif isinstance(value, str) and re.fullmatch(r"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!)", value):
            wrong[place] = f"Excel shows the error {value}"
        values.append(value)
    while values and values[-1] in (None, ""):
        values.pop()
    return Row(number, values, 0, wrong or None)


def _excel_value(cell: Any) -> Any:
    if isinstance(cell, datetime):
        return cell.isoformat() if cell.time() != time() else cell.date().isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, float):
        # Excel itself shows and keeps fifteen digits; more are the noise of its binary numbers.
        return plain_decimal(Decimal(f"{cell:.15g}"))
    return cell


# -- one cell as what it is meant to be --------------------------------------------------------------------------------

TRUE, FALSE = ("true", "yes", "1", "x"), ("false", "no", "0", "")
_PLAIN = re.compile(r"^[+-]?\d+([.,]\d+)?$")


class BadCell(Exception):
    """A cell that is not what its column is."""


def as_text(value: Any) -> str:
    """A cell as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value).strip()


def as_integer(value: Any) -> int:
    """A cell as a whole number."""
    text = as_text(value)
    try:
        return int(text)
    except ValueError:
        raise BadCell(f"{show(text)!r} is no whole number") from None


def as_decimal(value: Any, sign: str | None) -> str:
    """A cell as an exact number in plain digits; `sign` is the decimal sign, None when the file does not tell."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = as_text(value).replace("\u00a0", "").replace("\u202f", "").replace("'", "").replace(" ", "")
    if sign is None:
        if "," in text and "." in text:
            sign = "," if text.rindex(",") > text.rindex(".") else "."
        elif re.fullmatch(r"[+-]?\d{1,3}[.,]\d{3}", text):
            raise BadCell(f"{show(text)!r} can be read in two ways; set decimal")
        else:
            sign = "," if "," in text else "."
    grouping = "." if sign == "," else ","
    if grouping in text and not re.fullmatch(rf"[+-]?\d{{1,3}}(\{grouping}\d{{3}})+(\{sign}\d+)?", text):
        raise BadCell(f"{show(text)!r} is no number with the decimal sign {sign}")
    text = text.replace(grouping, "")
    if not _PLAIN.match(text):
        raise BadCell(f"{show(as_text(value))!r} is no number")
    return plain_decimal(Decimal(text.replace(sign, ".")))


def as_date(value: Any, forms: Sequence[str]) -> str:
    """A cell as an ISO date; `forms` are tried in order, after the ISO form."""
    text = as_text(value)
    try:
        return date.fromisoformat(text[:10] if "T" in text else text).isoformat()
    except ValueError:
        pass
    for form in forms:
        try:
            return datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007 - a date has no zone
        except ValueError:
            continue
    raise BadCell(f"{show(text)!r} is no date as {' or '.join(forms) if forms else '2026-01-31'}")


def as_boolean(value: Any) -> bool:
    """A cell as yes or no."""
    text = as_text(value).casefold()
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise BadCell(f"{show(text)!r} is neither true nor false")


# -- writing -----------------------------------------------------------------------------------------------------------

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")
_NUMBER = re.compile(r"^[+-]?[\d.,]*\d[\d.,]*$")


def harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: what could be one gets an apostrophe in front."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.match(text) else text


def written_csv(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, delimiter: str, encoding: str, guard: bool
) -> bytes:
    """A CSV file. Raises UnicodeEncodeError where the encoding has no such letter."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    for row in [head, *rows] if head else rows:
        writer.writerow([harmless(cell) for cell in row] if guard else row)
    return out.getvalue().encode(encoding)


def written_excel(sheet: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """An Excel workbook, the same bytes for the same rows; texts are texts, so that nothing is taken for a formula."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    book.properties.created = book.properties.modified = datetime(2000, 1, 1)  # noqa: DTZ001 - Excel knows no zones
    made = book.create_sheet(sheet[:31])

    def cell(value: Any) -> Any:
        if isinstance(value, str):
            one = WriteOnlyCell(made, value=_ILLEGAL.sub("", value))
            one.data_type, one.number_format = "s", "@"
            return one
        return value

    for row in [head, *rows] if head else rows:
        made.append([cell(value) for value in row])
    out = io.BytesIO()
    book.save(out)
    return _steady(out)


_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*(</dcterms:modified>)")


def _steady(made: io.BytesIO) -> bytes:
    """The workbook without the moments at which it was saved."""
    out = io.BytesIO()
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            content = source.read(part)
            if part.filename == "docProps/core.xml":
                content = _MODIFIED.sub(rb"\g<1>2000-01-01T00:00:00Z\g<2>", content)
            same = zipfile.ZipInfo(part.filename, (2000, 1, 1, 0, 0, 0))
            same.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(same, content)
    return out.getvalue()
