"""Nodes that read files: tables row by row, large ones in parts, texts as they are."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, ClassVar, Literal

from pydantic import Field, model_validator

from isthmus.errors import InvalidRecord, IsthmusError
from isthmus.flows.files import LocalFile, fetched, file_store, stretch, unchanged
from isthmus.flows.item import Emit, Item, Out, Result, Trouble, emit
from isthmus.flows.node import Cel, Config, ConnectionRole, Node, Path, Place, Sample, failed, text_of, with_path
from isthmus.mapping.problem import TransformProblem
from isthmus.mapping.tabular import (
    BadCell,
    BadFile,
    Look,
    Row,
    as_boolean,
    as_date,
    as_decimal,
    as_integer,
    as_text,
    csv_rows,
    excel_rows,
    guard_workbook,
    is_excel,
    looked_at,
    sheet_title,
)
from isthmus.model.card import holds_card_number, mask_all
from isthmus.sdk.files import FileStore

ROW_NUMBER = "row_number"
SHOWN_ROWS = 20
"""Bad rows told in the message; all of them, up to a thousand, stand in the error's facts."""
KEPT_ROWS = 1_000


class Column(Config):
    """One column of a table, as the item shall have it."""

    name: str | None = Field(None, description="What the head calls it; the field's own name without it.")
    type: Literal["text", "integer", "decimal", "date", "boolean"] = Field("text", description="What its cells are.")
    required: bool = Field(False, description="Whether a row without it is a bad row.")
    forms: list[str] = Field(default_factory=list, description="How dates are written, as %d.%m.%Y; tried in order.")


class _Tabular(Node):
    """What nodes that read tables have in common: which file, and how it is written."""

    GROUP: ClassVar[Any] = "file"
    BATCH: ClassVar[int] = 1

    connection: ConnectionRole = Field(description="The folder or SFTP server where it is.")
    path: Cel = Field("item.file.path", description="The file, below the folder of the connection.")
    sheet: str | None = Field(None, description="The sheet of a workbook; the first one without it.")
    head: int = Field(1, ge=0, le=1000, description="The row that names the columns; 0 when none does: c1, c2, …")
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="What divides the cells of a CSV file; seen in its first row."
    )
    encoding: str | None = Field(None, description="How a CSV file is encoded, as windows-1252; UTF-8 without it.")
    decimal: Literal[".", ","] | None = Field(
        None, description="The decimal sign of a CSV file; as its numbers show it, where nothing is said."
    )
    max_bytes: int = Field(200_000_000, ge=1, le=2_000_000_000, description="A larger file is refused.")

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        store = await file_store(place.world, self.connection)
        return [await self._one(place, store, item) for item in items]

    async def _one(self, place: Place, store: FileStore, item: Item) -> Result:
        try:
            path = text_of(self.path, item)
            if not path:
                return Trouble(error=failed(place, item, "the path of the file is empty"))
            try:
                return await self._of(place, store, item, path)
            except BadFile as bad:
                hint = bad.hint or "Correct the file, then retry."
                return Trouble(error=InvalidRecord(f"reading {path}", record=path, answered=bad.told, hint=hint))
        except TransformProblem as problem:
            return Trouble(error=failed(place, item, problem.message))
        except IsthmusError as error:
            return Trouble(error=error)

    async def _of(self, place: Place, store: FileStore, item: Item, path: str) -> Result:
        raise NotImplementedError  # reading and dividing differ here only


@dataclass(slots=True)
class _Table:
    """A table while it is read: its columns by name, then its rows."""

    head: list[str]
    rows: Iterator[Row]
    look: Look
    sheet: str | None = None
    begins: int = 0


def _opened(file: LocalFile, node: _Tabular, form: str) -> _Table:
    """The table of a whole file, its head read."""
    if form == "excel" or (form == "auto" and is_excel(_start(file))):
        guard_workbook(file.file, file.size)
        sheet = node.sheet or sheet_title(file.file)
        rows = excel_rows(file.file, file.size, sheet)
        return _Table(_head(rows, node.head, sheet)[0], rows, Look(delimiter="", encoding="", decimal="."), sheet)
    look = looked_at(file.file, delimiter=node.delimiter, encoding=node.encoding, decimal=node.decimal)
    rows = csv_rows(file.file, look)
    head, end = _head(rows, node.head, None)
    return _Table(head, rows, look, begins=end)


def _start(file: LocalFile) -> bytes:
    file.file.seek(0)
    return file.file.read(8)


def _head(rows: Iterator[Row], number: int, sheet: str | None) -> tuple[list[str], int]:
    """The names of the columns, and the byte where they end; BadFile when they cannot be used."""
    if number == 0:
        return [], 0
    for row in rows:
        if row.number < number:
            continue
        names = [as_text(cell) for cell in row.cells]
        while names and not names[-1]:
            names.pop()
        why = ""
        if not names:
            why = "it is empty, and should name the columns"
        elif len(set(names)) < len(names) or "" in names:
            twice = next((n for n in names if names.count(n) > 1), "")
            why = f"the column {twice!r} stands there twice" if twice else "a column has no name"
        elif holds_card_number(names):
            why = "it holds a card number"
        elif ROW_NUMBER in names:
            why = f"a column is called {ROW_NUMBER}, which the number of the row is called"
        if why:
            raise BadFile(why, row=number, sheet=sheet, hint="Correct the head, or set head.")
        return names, row.end
    raise BadFile(f"there is no row {number}, which should name the columns", sheet=sheet)


@dataclass(slots=True)
class _Read:
    """What came of a table: good rows, and bad ones with the reason and their masked cells."""

    good: list[dict[str, Any]] = field(default_factory=list)
    bad: list[tuple[int, str, list[Any]]] = field(default_factory=list)
    sheet: str | None = None


class FileRead(_Tabular):
    """Reads a file of a folder or SFTP server: one item per row of a CSV or Excel table, a list of rows, or a text.

    A row that cannot be used leaves by `error` with its number and the reason, and the others go on; where `error`
    leads nowhere, one bad row holds the whole file, with all of them named. Without `columns` every cell is taken
    under its head, texts as texts.
    """

    LABEL: ClassVar[str] = "Read a file"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "The rows, or the text.", "empty": "The table has no rows."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"connection": "inbox", "columns": {"order": {"name": "Order No."}, "total": {"type": "decimal"}}},
        input={"file": {"path": "inbox/orders.csv"}},
        output={
            "file": {"path": "inbox/orders.csv"},
            "row": {"row_number": 2, "order": "S1", "total": "1234.5"},
        },
    )

    type: Literal["file_read"] = "file_read"
    format: Literal["auto", "csv", "excel", "text"] = Field(
        "auto", description="What it is; auto tells CSV from Excel."
    )
    columns: dict[Path, Column] | None = Field(None, description="Which columns are taken: field to column.")
    each: bool = Field(True, description="One item per row, to be joined behind; else the rows as a list.")
    max_rows: int = Field(10_000, ge=1, le=100_000, description="More are refused: divide the file by file_parts.")
    into: Path = Field("row", description="Where the row, the list of rows, or the text goes.")

    async def _of(self, place: Place, store: FileStore, item: Item, path: str) -> Result:
        told = item.data.get("file")
        part = told.get("part") if isinstance(told, Mapping) and told.get("path") == path else None
        if isinstance(part, Mapping) and part.get("format") == "csv":
            await unchanged(store, path, told)
            held = await stretch(store, path, int(part["start"]), int(part["end"]))
            read = await asyncio.to_thread(self._csv_part, io.BytesIO(held), part)
            return self._given(place, item, path, read)
        async with fetched(store, path, told, self.max_bytes) as file:
            if self.format == "text":
                return await asyncio.to_thread(self._text, item, file)
            read = await asyncio.to_thread(self._table, file, part)
        return self._given(place, item, path, read)

    def _text(self, item: Item, file: LocalFile) -> Result:
        if file.size > 1_000_000:
            raise BadFile("it is longer than 1,000,000 bytes, more than an item holds")
        encoding = self.encoding or "utf-8-sig"
        try:
            text = file.file.read().decode(encoding)
        except (UnicodeDecodeError, LookupError) as error:
            raise BadFile(f"it is no {encoding} text", hint="Set encoding, as encoding: windows-1252.") from error
        if holds_card_number(text):
            raise BadFile("it holds a card number", hint="Have the sender leave card numbers out.")
        return emit("out", with_path(item.data, self.into, text))

    def _csv_part(self, held: BinaryIO, part: Mapping[str, Any]) -> _Read:
        look = Look(
            delimiter=str(part["delimiter"]),
            encoding=str(part["encoding"]),
            decimal=self.decimal or part.get("decimal"),
        )
        rows = csv_rows(held, look, number=int(part["first"]) - 1)
        return self._rows(_Table(list(part["head"]), rows, look))

    def _table(self, file: LocalFile, part: Any) -> _Read:
        if not isinstance(part, Mapping):
            return self._rows(_opened(file, self, self.format))
        sheet = str(part["sheet"])
        rows = excel_rows(file.file, file.size, sheet, first=int(part["first"]), last=int(part["last"]))
        return self._rows(_Table(list(part["head"]), rows, Look(delimiter="", encoding="", decimal="."), sheet))

    def _rows(self, table: _Table) -> _Read:
        taken = self._taken(table)
        out = _Read(sheet=table.sheet)
        for row in table.rows:
            if not any(as_text(cell) for cell in row.cells):
                continue
            if len(out.good) + len(out.bad) >= self.max_rows:
                hint = "Put file_parts in front, or raise max_rows."
                raise BadFile(f"it has more than {self.max_rows:,} rows", sheet=table.sheet, hint=hint)
            problems, values = self._row(table, taken, row)
            if problems:
                out.bad.append((row.number, "; ".join(problems), mask_all(list(row.cells))))
            else:
                out.good.append(values)
        return out

    def _taken(self, table: _Table) -> list[tuple[str, int, Column]] | None:
        """Which columns are taken, by place; None for all of them."""
        if self.columns is None:
            return None
        out = []
        for path, column in self.columns.items():
            name = column.name or path
            at = int(name[1:]) - 1 if not table.head and name[:1] == "c" and name[1:].isdigit() else -1
            if name in table.head:
                at = table.head.index(name)
            if at < 0:
                shown = ", ".join(table.head[:30]) or "only c1, c2 and so on, since head is 0"
                hint = f"There are: {shown}. Correct the file, or name of the column {path}."
                raise BadFile(f"there is no column {name!r}", row=self.head or None, sheet=table.sheet, hint=hint)
            out.append((path, at, column))
        return out

    def _row(
        self, table: _Table, taken: list[tuple[str, int, Column]] | None, row: Row
    ) -> tuple[list[str], dict[str, Any]]:
        """What is wrong with a row, and its values."""
        cells, head, wrong = row.cells, table.head, row.wrong or {}
        problems: list[str] = []
        if head and any(as_text(cell) for cell in cells[len(head) :]):
            problems.append(f"it has {len(cells)} cells, the head has {len(head)}")
        for at, cell in enumerate(cells):
            if holds_card_number(cell):
                problems.append(f"column {_called(head, at)}: it holds a card number")
            elif isinstance(cell, str) and "\x00" in cell:
                problems.append(f"column {_called(head, at)}: it holds a NUL character")
        values: dict[str, Any] = {ROW_NUMBER: row.number}
        if taken is None:
            problems.extend(f"column {_called(head, at)}: {why}" for at, why in wrong.items())
            names = head or [_called(head, at) for at in range(len(cells))]
            for at, name in enumerate(names):
                cell = cells[at] if at < len(cells) else ""
                values[name] = cell if isinstance(cell, int) else as_text(cell)
            return problems, values
        for path, at, column in taken:
            try:
                if at in wrong:
                    raise BadCell(wrong[at])
                values = with_path(
                    values, path, _cell(column, cells[at] if at < len(cells) else "", table.look.decimal)
                )
            except BadCell as bad:
                problems.append(f"column {_called(head, at)}: {bad}")
        return problems, values

    def _given(self, place: Place, item: Item, path: str, read: _Read) -> Result:
        where = f"sheet {read.sheet}, " if read.sheet else ""
        if read.bad and not place.leads("error"):
            told = "; ".join(f"row {number}: {why}" for number, why, _ in read.bad[:SHOWN_ROWS])
            more = f"; and {len(read.bad) - SHOWN_ROWS} more rows" if len(read.bad) > SHOWN_ROWS else ""
            error = InvalidRecord(
                f"reading {path}",
                record=path,
                answered=f"{where}{told}{more}",
                hint="Correct these rows and retry, or lead `error` to where bad rows shall go.",
                facts={"rows": [{"row": n, "problem": why} for n, why, _ in read.bad[:KEPT_ROWS]]},
            )
            return Trouble(error=error)
        outs = []
        if not self.each:
            outs.append(Out("out", with_path(item.data, self.into, read.good)))
        for row in read.good if self.each else ():
            outs.append(Out("out", with_path(item.data, self.into, row), f"{item.key}#{row[ROW_NUMBER]}"))
        for number, why, cells in read.bad:
            error = InvalidRecord(
                f"reading {path}", record=f"{path}#{number}", answered=f"{where}row {number}: {why}",
                hint="Correct the row and have the file sent again, or enter it by hand.",
            )  # fmt: skip
            data = with_path(item.data, self.into, {ROW_NUMBER: number, "cells": cells})
            outs.append(Out("error", {**data, "error": error.as_dict()}, f"{item.key}#{number}"))
        if not outs:
            return emit("empty", item.data)
        if not self.each and len(outs) == 1:
            return Emit(outs=tuple(outs))
        return Emit(outs=tuple(outs), group=True)


def _called(head: Sequence[str], at: int) -> str:
    return head[at] if at < len(head) else f"c{at + 1}"


def _cell(column: Column, value: Any, decimal: str | None) -> Any:
    if as_text(value) == "":
        if column.required:
            raise BadCell("it is empty")
        return None
    if column.type == "integer":
        return as_integer(value)
    if column.type == "decimal":
        return as_decimal(value, decimal)
    if column.type == "date":
        return as_date(value, column.forms)
    if column.type == "boolean":
        return as_boolean(value)
    return as_text(value)


class FileParts(_Tabular):
    """Divides a large CSV or Excel table into parts, each an item that a `file_read` behind reads by itself.

    However large the file is, only one part is held at a time. The file must stay where it is until all are read.
    """

    LABEL: ClassVar[str] = "Divide a file"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "One item per part.", "empty": "The table has no rows."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"connection": "inbox", "rows": 2},
        input={"file": {"path": "inbox/orders.csv"}},
        output={
            "file": {
                "path": "inbox/orders.csv",
                "part": {
                    "format": "csv", "first": 2, "last": 3, "start": 9, "end": 40, "head": ["order"],
                    "delimiter": ",", "encoding": "utf-8", "decimal": ".",
                },
            }
        },
    )  # fmt: skip

    type: Literal["file_parts"] = "file_parts"
    format: Literal["auto", "csv", "excel"] = Field("auto", description="What it is; auto tells CSV from Excel.")
    rows: int = Field(1_000, ge=1, le=100_000, description="Rows per part.")
    max_parts: int = Field(5_000, ge=1, le=20_000, description="More are refused: take more rows per part.")

    @model_validator(mode="after")
    def _of_the_trigger(self) -> FileParts:
        if self.path != "item.file.path":
            raise ValueError("parts are those of item.file: set path there, with a `set` in front")
        return self

    async def _of(self, place: Place, store: FileStore, item: Item, path: str) -> Result:
        told = item.data.get("file")
        facts = await unchanged(store, path, told)
        async with fetched(store, path, told, self.max_bytes) as file:
            parts = await asyncio.to_thread(self._divided, file)
        if not parts:
            return emit("empty", item.data)
        known = dict(told) if isinstance(told, Mapping) else {}
        known |= {"path": path, "size": facts.size, "modified": facts.modified.isoformat()}
        outs = [
            Out("out", {**item.data, "file": {**known, "part": part}}, f"{item.key}#{part['first']}-{part['last']}")
            for part in parts
        ]
        return Emit(outs=tuple(outs), group=True)

    def _divided(self, file: LocalFile) -> list[dict[str, Any]]:
        table = _opened(file, self, self.format)
        common: dict[str, Any] = {"head": table.head}
        if table.sheet is not None:
            common |= {"format": "excel", "sheet": table.sheet}
        else:
            look = table.look
            common |= {"format": "csv", "delimiter": look.delimiter, "encoding": look.encoding, "decimal": look.decimal}
        return self._bounds(table, common)

    def _bounds(self, table: _Table, common: Mapping[str, Any]) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        count, first, start, before, last = 0, 0, 0, table.begins, 0

        def close(end: int) -> None:
            told = {"first": first, "last": last, **common}
            parts.append({**told, "start": start, "end": end} if common["format"] == "csv" else told)
            if len(parts) > self.max_parts:
                raise BadFile(f"it makes more than {self.max_parts:,} parts", hint="Raise rows.")

        for row in table.rows:
            if count == 0:
                first, start = row.number, before
            count, last, before = count + 1, row.number, row.end
            if count == self.rows:
                close(row.end)
                count = 0
        if count:
            close(before)
        return parts
