"""Files in flows: taken once and whole, read with every bad row named, written whole and once."""

from __future__ import annotations

import asyncio
import io
import os
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from file_worker import look
from flow_world import FlowInstallation
from openpyxl import Workbook

from file_places import folder_at
from isthmus.flows.item import Emit, Item, RunInfo
from isthmus.flows.node import Place
from isthmus.flows.nodes.files import FileParts, FileRead
from isthmus.store.database import Database

HERE = Path(__file__).parent
NOW = datetime(2026, 1, 5, tzinfo=UTC)
CARD = "4111 1111 1111 1111"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "files"
    (root / "in").mkdir(parents=True)
    monkeypatch.setenv("ISTHMUS_FOLDERS", str(root))
    return root


@pytest.fixture
async def house(database: Database, root: Path) -> AsyncIterator[FlowInstallation]:
    found = FlowInstallation(database)
    found.system("place", folder_at(root))
    yield found
    await found.connectors["place"].close()
    await found.close()


def workbook(rows: list[list[Any]], title: str = "Orders") -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


async def read(house: FlowInstallation, root: Path, content: bytes | str, name: str = "a.csv", **config: Any) -> None:
    """Run a flow that reads one file; good rows end at `good`, bad ones at `bad` unless told otherwise."""
    (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    lead = config.pop("lead", True)
    told = "".join(f"    {k}: {v}\n" for k, v in config.items())
    to = "{out: good, error: bad, empty: none}" if lead else "{out: good, empty: none}"
    bad = "  bad: {type: set, fields: {seen: 'true'}}\n" if lead else ""
    file = f"""flow: reading
connections: {{place: {{}}}}
nodes:
  start: {{type: manual, to: read}}
  read:
    type: file_read
    connection: place
{told}    to: {to}
  good: {{type: set, fields: {{seen: 'true'}}}}
  none: {{type: set, fields: {{none: 'true'}}}}
{bad}"""
    await house.publish(file)
    for table in ("run", "dead_letter"):
        house.rows(f"delete from {table} returning 1")
    await house.trigger("reading", {"file": {"path": name}})
    await house.drain()


def good(house: FlowInstallation) -> list[dict[str, Any]]:
    rows = [{**data["row"]} for data in house.ended("good")]
    return sorted(rows, key=lambda row: row["row_number"])


def bad(house: FlowInstallation) -> dict[int, str]:
    return {data["row"]["row_number"]: data["error"]["answered"] for data in house.ended("bad")}


async def test_a_csv_of_the_continent_is_read_as_it_is_meant(house: FlowInstallation, root: Path) -> None:
    text = '\ufeffOrder No.;Total;Day;Paid;Note\r\nS1;1.234,50;31.01.2026;yes;"a;b\nc"\r\n\r\nS2;7;2026-02-01;no;\r\n'
    columns = """{order: {name: Order No., required: true}, total: {name: Total, type: decimal},
      day: {name: Day, type: date, forms: ['%d.%m.%Y']}, paid: {name: Paid, type: boolean}, note: {name: Note}}"""
    await read(house, root, text, columns=columns)
    assert good(house) == [
        {"row_number": 2, "order": "S1", "total": "1234.5", "day": "2026-01-31", "paid": True, "note": "a;b\nc"},
        {"row_number": 4, "order": "S2", "total": "7", "day": "2026-02-01", "paid": False, "note": None},
    ]
    latin = "Name\tStadt\nJürgen\tKöln\n".encode("windows-1252")
    await read(house, root, latin, encoding="windows-1252")
    assert good(house) == [{"row_number": 2, "Name": "Jürgen", "Stadt": "Köln"}]
    await read(house, root, "S1,5\nS2,6\n", head=0, columns="{order: {name: c1}, n: {name: c2, type: integer}}")
    assert good(house) == [{"row_number": 1, "order": "S1", "n": 5}, {"row_number": 2, "order": "S2", "n": 6}]
    await read(house, root, "a,b\n")
    assert house.ended("none") == [{"file": {"path": "a.csv"}, "none": True}]


async def test_bad_rows_leave_by_error_with_their_numbers_and_the_others_go_on(
    house: FlowInstallation, root: Path
) -> None:
    text = f"sku,qty,price\nA,1,2.50\nB,many,1\n\nC,1,1,234\nD,1,\nE,2,{CARD}\n,1,1\nF,3,9.99\n"
    columns = "{sku: {required: true}, qty: {type: integer}, price: {type: decimal, required: true}}"
    await read(house, root, text, columns=columns)
    assert [row["sku"] for row in good(house)] == ["A", "F"]
    told = bad(house)
    assert list(told) == [3, 5, 6, 7, 8]
    assert "row 3: column qty: 'many' is no whole number" in told[3]
    assert "it has 4 cells, the head has 3" in told[5]
    assert "column price: it is empty" in told[6]
    assert "column price: it holds a card number" in told[7]
    assert "column sku: it is empty" in told[8]
    kept = house.one("select string_agg(data::text, '') from run_item") + house.one(
        "select string_agg(coalesce(input::text, '') || coalesce(output::text, ''), '') from run_step"
    )
    assert CARD not in kept
    assert "411111" in kept, "the cells of a bad row are shown, masked"


async def test_without_a_way_for_bad_rows_the_whole_file_waits_with_all_of_them_named(
    house: FlowInstallation, root: Path
) -> None:
    await read(house, root, "n\n1\nx\n2\ny\n", columns="{n: {type: integer}}", lead=False)
    [letter] = house.rows("select * from dead_letter")
    assert letter.error["doing"] == "reading a.csv"
    assert "row 3: column n: 'x' is no whole number; row 5" in letter.error["answered"]
    assert [row["row"] for row in letter.error["facts"]["rows"]] == [3, 5]
    assert house.ended("good") == []


REFUSED: list[tuple[bytes | str, dict[str, Any], str]] = [
    (b"a,b\n\xe4,1\n", {}, "row 2: byte 0xE4 is no utf-8 text"),
    ('a,b\n1,2\n"x,2\n', {}, "row 3: it is no proper CSV"),
    ("a,a\n1,2\n", {}, "row 1: the column 'a' stands there twice"),
    ("a,b\n1,2\n", {"columns": "{c: {}}"}, "row 1: there is no column 'c'"),
    (
        "n;m\n1,234;\n",
        {"columns": "{n: {type: decimal}}", "lead": False},
        "row 2: column n: '1,234' can be read in two",
    ),
    ("n\n1\n2\n3\n", {"max_rows": 2}, "it has more than 2 rows"),
    ("n\n1\n2\n3\n", {"max_bytes": 5}, "it has 8 bytes; 5 are allowed"),
    ("n\n" + "x" * 1_100_000, {}, "a line is longer than"),
    ("a".encode("utf-16"), {}, "UTF-16"),
    (b"\xd0\xcf\x11\xe0" + b"\0" * 99, {}, "old form .xls"),
    (b"no zip", {"format": "excel"}, "not an Excel file"),
    (workbook([["a"], [1]]), {"sheet": "Other"}, "there is no sheet 'Other'"),
    (workbook([["a", "b"], [1, "#REF!"]]), {"lead": False}, "sheet Orders, row 2: column b: Excel shows the error"),
    (f"told: {CARD}", {"format": "text"}, "it holds a card number"),
]


async def test_a_file_that_cannot_be_read_says_where_and_why(house: FlowInstallation, root: Path) -> None:
    for content, config, told in REFUSED:
        await read(house, root, content, **config)
        letters = house.rows("select * from dead_letter")
        error = letters[0].error if letters else house.ended("bad")[0]["error"]
        assert told in error["answered"]
        assert error["doing"] == "reading a.csv"
        assert error["hint"]
        assert CARD not in str(error)


async def test_excel_is_read_as_exact_values_by_sheet_row_and_column(house: FlowInstallation, root: Path) -> None:
    rows = [["sku", "qty", "price", "day", "ok"], ["A", 2, 0.1 + 0.2, date(2026, 1, 31), True],
            [None] * 5, ["=B", "x", 1.5, datetime.fromisoformat("2026-01-31T08:30:00"), False]]  # fmt: skip
    await read(house, root, workbook(rows), "a.xlsx")
    first, second = good(house)
    assert first == {"row_number": 2, "sku": "A", "qty": 2, "price": "0.3", "day": "2026-01-31", "ok": True}
    assert (second["row_number"], second["day"]) == (4, "2026-01-31T08:30:00")
    columns = "{qty: {type: integer}, price: {type: decimal}, ok: {type: boolean}}"
    await read(house, root, workbook(rows), "a.xlsx", sheet="Orders", columns=columns)
    assert good(house) == [{"row_number": 2, "qty": 2, "price": "0.3", "ok": True}]
    assert bad(house) == {4: "sheet Orders, row 4: column qty: 'x' is no whole number"}


async def test_a_workbook_that_unpacks_to_gigabytes_is_refused_unopened(house: FlowInstallation, root: Path) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook([["a"], [1]]))) as book, zipfile.ZipFile(bomb, "w", 8) as out:
        for part in book.infolist():
            if "sharedStrings" not in part.filename:
                out.writestr(part.filename, book.read(part))
        out.writestr("xl/sharedStrings.xml", b" " * 150_000_000)
    tracemalloc.start()
    await read(house, root, bomb.getvalue(), "bomb.xlsx")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "too large when unpacked" in house.ended("bad")[0]["error"]["answered"]
    assert peak < 30_000_000


LARGE = """
flow: large
connections: {place: {}}
nodes:
  start: {type: manual, to: parts}
  parts: {type: file_parts, connection: place, rows: ROWS, to: rows}
  rows: {type: file_read, connection: place, each: false, into: rows, columns: COLUMNS, to: sum}
  sum: {type: set, only: true, fields: {count: size(item.rows), first: "item.rows[0]", last: "item.rows[LAST]"}}
"""


async def test_a_hundred_thousand_rows_are_read_in_parts_within_bounded_memory(
    house: FlowInstallation, root: Path
) -> None:
    with (root / "large.csv").open("w", newline="") as file:
        file.write("id;amount;text\r\n")
        for n in range(100_000):
            file.write(f'{n};{n},25;"row {n}\nof many"\r\n')
    columns = "{id: {type: integer}, amount: {type: decimal}}"
    await house.publish(LARGE.replace("ROWS", "1000").replace("LAST", "999").replace("COLUMNS", columns))
    await house.trigger("large", {"file": {"path": "large.csv"}})
    await house.drain(seconds=60)
    ended = sorted(house.ended("sum"), key=lambda data: data["first"]["id"])
    assert [data["count"] for data in ended] == [1000] * 100
    assert [data["first"] for data in ended] == [
        {"row_number": n + 2, "id": n, "amount": f"{n}.25"} for n in range(0, 100_000, 1000)
    ]
    assert [data["last"]["id"] for data in ended] == list(range(999, 100_000, 1000))


async def test_memory_holds_one_part_of_a_large_file(house: FlowInstallation, root: Path) -> None:
    with (root / "large.csv").open("w") as file:
        file.write("id;text\n")
        file.writelines(f"{n};{'x' * 400}\n" for n in range(100_000))
    run = RunInfo(id=1, flow_id=1, flow="f", version=1, key="K", started_at=NOW)
    world: Any = await house.runtime.flows.world(1, "f", {"place": "place"})
    place = Place(node="n", flow="f", now=NOW, world=world)
    given = {"type": "file_parts", "connection": "place", "rows": 2000}
    tracemalloc.start()
    item = Item(run=run, key="K", node="n", data={"file": {"path": "large.csv"}})
    [divided] = await FileParts.model_validate(given).work(place, [item])
    assert isinstance(divided, Emit)
    reading = FileRead.model_validate({"type": "file_read", "connection": "place", "into": "rows", "each": False})
    found = 0
    for out in (divided.outs[0], divided.outs[-1]):
        [read] = await reading.work(place, [Item(run=run, key="K", node="n", data=out.data)])
        assert isinstance(read, Emit)
        found += len(read.outs[0].data["rows"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(divided.outs), found) == (50, 4000)
    assert peak < 15_000_000, f"{peak:,} bytes for a file of {(root / 'large.csv').stat().st_size:,}"


async def test_a_workbook_is_divided_as_well_and_the_parts_are_the_whole(house: FlowInstallation, root: Path) -> None:
    (root / "w.xlsx").write_bytes(workbook([["id", "amount"], *[[n, n + 0.5] for n in range(25)]]))
    file = LARGE.replace("ROWS", "10").replace("COLUMNS", "{id: {type: integer}}").replace("[LAST]", "[4]")
    await house.publish(file)
    await house.trigger("large", {"file": {"path": "w.xlsx"}})
    await house.drain()
    ended = sorted(house.ended("sum"), key=lambda data: data["first"]["id"])
    assert [(data["count"], data["first"]["id"], data["last"]["id"]) for data in ended] == [
        (10, 0, 4), (10, 10, 14), (5, 20, 24)
    ]  # fmt: skip


ARRIVED = """
flow: arrived
connections: {place: {}}
nodes:
  start: {type: KIND, connection: place, folder: in, OPTIONS, to: end}
  end: {type: set, fields: {seen: 'true'}}
"""


async def watching(house: FlowInstallation, options: str, kind: str = "file_arrived") -> None:
    await house.publish(ARRIVED.replace("KIND", kind).replace("OPTIONS", options))


async def taken(house: FlowInstallation) -> list[str]:
    await look(house)
    await house.drain()
    return [data["file"]["name"] for data in house.ended("end")]


async def test_a_file_that_still_grows_is_left_until_it_rests(house: FlowInstallation, root: Path) -> None:
    await watching(house, "quiet: 400ms, pattern: '*.CSV'")
    with (root / "in/slow.csv").open("w") as file:
        for n in range(4):
            file.write(f"row {n}\n")
            file.flush()
            assert await taken(house) == []
            await asyncio.sleep(0.2)
    for name in (".hidden.csv", "half.csv.part", "other.txt", "half.csv.tmp"):
        (root / "in" / name).write_text("x")
    await asyncio.sleep(0.45)
    assert await taken(house) == ["slow.csv"]
    for _ in range(2):
        await look(house)
        await house.drain()
    assert house.one("select count(*) from run") == 1
    os.utime(root / "in/slow.csv", (1, 1))
    await look(house)
    await asyncio.sleep(0.45)
    assert await taken(house) == ["slow.csv", "slow.csv"], "it was sent anew under its name"
    assert house.one("select count(distinct key) from run") == 1


async def test_a_file_with_a_marker_is_complete_when_the_marker_is_there(house: FlowInstallation, root: Path) -> None:
    await watching(house, "quiet: 0s, marker: .done, pattern: '*'")
    (root / "in/a.csv").write_text("half")
    assert await taken(house) == []
    (root / "in/a.csv").write_text("whole")
    (root / "in/a.csv.done").write_text("")
    assert await taken(house) == ["a.csv"]
    assert house.ended("end")[0]["file"]["size"] == 5


async def test_the_same_content_under_another_name_is_taken_once(house: FlowInstallation, root: Path) -> None:
    await watching(house, "quiet: 0s, known_by: content")
    (root / "in/a.csv").write_text("same")
    (root / "in/b.csv").write_text("same")
    assert len(await taken(house)) == 1
    (root / "in/c.csv").write_text("same")
    (root / "in/d.csv").write_text("other")
    assert sorted(await taken(house))[-1] == "d.csv"
    assert house.one("select count(*) from run") == 2
    assert house.one("select count(*) from flow_file where state = 'known'") == 2


async def test_a_file_is_moved_before_its_run_and_the_folder_is_empty(house: FlowInstallation, root: Path) -> None:
    await watching(house, "quiet: 0s, then: move")
    for content in ("one", "two"):
        (root / "in/a.csv").write_text(content)
        os.utime(root / "in/a.csv", (len(content), 5 if content == "one" else 6))
        await look(house)
    await house.drain()
    told = [data["file"] for data in house.ended("end")]
    assert [one["original"] for one in told] == ["in/a.csv"] * 2
    assert sorted((root / one["path"]).read_text() for one in told) == ["one", "two"]
    assert list((root / "in").iterdir()) == []


async def test_a_file_whose_name_holds_a_card_number_is_refused(house: FlowInstallation, root: Path) -> None:
    await watching(house, "quiet: 0s")
    (root / f"in/card {CARD}.csv").write_text("x")
    assert await taken(house) == []
    assert house.one("select reason from flow_file where state = 'refused'") == "its name holds a card number"
    for table in ("audit", "flow_file"):
        assert CARD not in str(house.rows(f"select * from {table}"))
