"""The node that writes files: whole or not at all, and the same file however often it is tried."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from isthmus.errors import InvalidRecord, IsthmusError
from isthmus.flows.effects import Answer, Effect, Missing, Refused, Sending, Took, Verdict
from isthmus.flows.files import file_store
from isthmus.flows.item import Item, Result, Trouble
from isthmus.flows.node import Cel, ConnectionRole, Path, Place, Sample, at_path, failed, text_of, value_of, with_path
from isthmus.flows.nodes.files import ROW_NUMBER
from isthmus.mapping.problem import show
from isthmus.mapping.tabular import as_text, written_csv, written_excel
from isthmus.model.card import holds_card_number
from isthmus.sdk.files import FileStore, file_path

MOST_ROWS = 100_000


class FileWrite(Effect):
    """Writes a CSV or Excel table, or a text, into a folder or onto an SFTP server.

    The file appears there whole, under its name, or not at all. A repeat after a lost answer writes the same bytes
    under the same name, and nothing when they stand there already.
    """

    LABEL: ClassVar[str] = "Write a file"
    BATCH: ClassVar[int] = 20
    SAMPLE: ClassVar[Sample] = Sample(
        config={
            "connection": "outbox",
            "path": "'out/orders-' + run.key + '.csv'",
            "rows": "items",
            "columns": {"Order": "item.order", "Total": "item.total"},
            "numbers": ["Total"],
        },
        input={"items": [{"order": "S1", "total": "12.5"}]},
        output={"items": [{"order": "S1", "total": "12.5"}], "written": {"path": "out/orders-7.csv", "rows": 1}},
    )

    type: Literal["file_write"] = "file_write"
    connection: ConnectionRole = Field(description="The folder or SFTP server it is written to.")
    path: Cel = Field(description="Where, below the folder of the connection; folders on the way are made.")
    format: Literal["auto", "csv", "excel", "text"] = Field(
        "auto", description="What is written; auto: Excel for .xlsx, CSV for .csv, a text for the rest."
    )
    rows: Path | None = Field(
        None, description="The list of rows in the item; the item itself is the only row without."
    )
    columns: dict[str, Cel] | None = Field(
        None, description="The columns by their head, each an expression over the row as `item`; else all by name."
    )
    numbers: list[str] = Field(default_factory=list, description="Columns that are numbers: written with decimal.")
    head: bool = Field(True, description="Whether the first row names the columns.")
    text: Cel | None = Field(None, description="What is written as a text.")
    sheet: str = Field("Rows", min_length=1, max_length=31, description="What the sheet of a workbook is called.")
    delimiter: str = Field(",", min_length=1, max_length=1, description="What divides the cells of a CSV file.")
    encoding: Literal["utf-8", "utf-8-sig", "windows-1252", "iso-8859-1", "iso-8859-15"] = Field(
        "utf-8", description="How texts are encoded; utf-8-sig is what Excel opens without being asked."
    )
    decimal: Literal[".", ","] = Field(".", description="The decimal sign of numbers in a CSV file.")
    guard: bool = Field(
        True, description="Put an apostrophe before texts of a CSV file that a spreadsheet would take for a formula."
    )
    exists: Literal["replace", "refuse"] = Field("replace", description="When another file is there already.")
    into: Path = Field("written", description="Where path, size, rows and digest go.")

    @model_validator(mode="after")
    def _fits(self) -> FileWrite:
        if self.format == "text" and self.text is None:
            raise ValueError("a text needs text")
        unknown = [name for name in self.numbers if self.columns is not None and name not in self.columns]
        if unknown:
            raise ValueError(f"numbers names no column: {', '.join(unknown)}")
        if self.decimal == self.delimiter:
            raise ValueError("decimal and delimiter are the same sign")
        return self

    def would(self, place: Place, item: Item) -> str:
        made = self.prepare(place, item)
        told = made.payload if isinstance(made, Sending) else {}
        return f"would write {told.get('path')} to {self.connection}: {told.get('size')} bytes"

    def prepare(self, place: Place, item: Item) -> Sending | Result:
        path = "/".join(file_path(text_of(self.path, item), f"writing a file for {item.key}"))
        form = self.format
        if form == "auto":
            form = {"csv": "csv", "xlsx": "excel"}.get(path.rpartition(".")[2].lower(), "text")  # type: ignore[assignment]  # one of its words
        try:
            content, count = self._content(place, item, form)
        except UnicodeEncodeError as error:
            told = f"{show(error.object[error.start : error.end])!r} cannot be written in {self.encoding}"
            return Trouble(error=failed(place, item, told, "Set encoding: utf-8, or leave the letter out."))
        digest = hashlib.sha256(content).hexdigest()
        return Sending(
            item=item,
            action=f"writing the file {path}",
            payload={"path": path, "size": len(content), "rows": count, "digest": digest},
            external_key=path,
            locks=(f"file:{self.connection}:{path}",),
            values=content,
        )

    def _content(self, place: Place, item: Item, form: str) -> tuple[bytes, int]:
        """The bytes of the file, and how many rows they hold."""
        if form == "text":
            if self.text is None:
                raise failed(place, item, "text says nothing", "Set text, or give the file a name in .csv or .xlsx.")
            text = text_of(self.text, item)
            _no_card(item, [text])
            return text.encode(self.encoding), 0
        found: Any = [item.data] if self.rows is None else at_path(item.data, self.rows)
        if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
            raise failed(place, item, f"there is no list of rows at {self.rows}")
        if len(found) > MOST_ROWS:
            raise failed(place, item, f"there are {len(found):,} rows; a file takes {MOST_ROWS:,}")
        head, rows = self._table(item, found)
        for number, row in enumerate(rows, 1):
            _no_card(item, row, number)
        named = head if self.head else []
        if form == "excel":
            cells = [[self._number(name, v) for name, v in zip(head, row, strict=True)] for row in rows]
            return written_excel(self.sheet, named, cells), len(rows)
        texts = [[self._csv(name, value) for name, value in zip(head, row, strict=True)] for row in rows]
        made = written_csv(named, texts, delimiter=self.delimiter, encoding=self.encoding, guard=self.guard)
        return made, len(rows)

    def _table(self, item: Item, found: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
        if self.columns is None:
            # By name: the database does not keep in which order fields came, and a repeat writes the same bytes.
            names = {name for row in found for name, value in row.items() if not isinstance(value, dict | list)}
            head = sorted(names - {ROW_NUMBER})
            return head, [[row.get(name) for name in head] for row in found]
        rows = []
        for row in found:
            one = Item(run=item.run, key=item.key, node=item.node, data=dict(row))
            rows.append([value_of(source, one) for source in self.columns.values()])
        return list(self.columns), rows

    def _csv(self, name: str, value: Any) -> str:
        text = as_text(value)
        return text.replace(".", self.decimal) if name in self.numbers else text

    def _number(self, name: str, value: Any) -> Any:
        if isinstance(value, bool | int) or value is None:
            return value
        if name in self.numbers:
            try:
                return Decimal(as_text(value)) if as_text(value) else None
            except InvalidOperation:
                pass  # it is written as the text it is
        return as_text(value)

    def repeats(self, place: Place, effect: Sending) -> bool:
        return True

    def keeps_key(self) -> bool:
        return True

    async def verify(self, place: Place, effects: Sequence[Sending]) -> Sequence[Verdict]:
        store = await file_store(place.world, self.connection)
        return [await self._standing(store, effect) for effect in effects]

    async def _standing(self, store: FileStore, effect: Sending) -> Verdict:
        path = effect.payload["path"]
        facts = await store.facts(path)
        if facts is None:
            return Missing()
        if facts.size == effect.payload["size"]:
            summed = hashlib.sha256()
            async for piece in store.content(path):
                summed.update(piece)
            if summed.hexdigest() == effect.payload["digest"]:
                return self._took(effect)
        if self.exists == "replace":
            return Missing()
        return Refused(
            error=InvalidRecord(
                effect.action,
                record=effect.item.key,
                answered=f"another file is there already, of {facts.size} bytes",
                hint="Take it away and retry, or set exists: replace.",
            )
        )

    def _took(self, effect: Sending) -> Took:
        told = dict(effect.payload)
        return Took(data=with_path(effect.item.data, self.into, told), answer=told)

    async def send(self, place: Place, effects: Sequence[Sending]) -> Sequence[Answer]:
        store = await file_store(place.world, self.connection)
        out: list[Answer] = []
        for effect in effects:
            token = hashlib.sha256(effect.idempotency_key.encode()).hexdigest()[:16]
            try:
                await store.put(effect.payload["path"], effect.values, token)
                out.append(self._took(effect))
            except IsthmusError as error:
                # Writing it again does no harm, so that nothing has to be waited for.
                out.append(Refused(error=error))
        return out


def _no_card(item: Item, values: Sequence[Any], row: int | None = None) -> None:
    if any(holds_card_number(value) for value in values):
        where = f"row {row} holds" if row else "it holds"
        raise InvalidRecord(
            f"writing a file for {item.key}",
            record=item.key,
            answered=f"{where} a card number",
            hint="Leave card numbers out: tokens only.",
        )
