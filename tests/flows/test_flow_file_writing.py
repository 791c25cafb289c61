"""Files written by flows, documents taken, over a folder and over SFTP, with workers killed in between."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from file_worker import TAKE, look
from flow_world import FlowInstallation
from openpyxl import load_workbook

from file_places import folder_at, sftp_server
from isthmus.errors import Misconfigured, Unavailable
from isthmus.operate import flows as flow_verbs
from isthmus.store.database import Database

HERE = Path(__file__).parent
MADE_OF = "{a: \"item.a + ' 1111 1111 1111'\"}"


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


WRITE = """
flow: writing
connections: {place: {}}
nodes:
  start: {type: manual, to: write}
  write:
    type: file_write
    connection: place
    path: item.path
OPTIONS
    to: {out: end, error: refused}
  end: {type: set, fields: {seen: 'true'}}
  refused: {type: set, fields: {seen: 'true'}}
"""


async def write(house: FlowInstallation, item: dict[str, Any], **options: str) -> None:
    told = "\n".join(f"    {name}: {value}" for name, value in options.items())
    await house.publish(WRITE.replace("OPTIONS", told))
    house.rows("delete from run returning 1")
    await house.trigger("writing", item)
    await house.drain()


ROWS = [
    {"sku": "A", "total": "1234.50", "note": "plain"},
    {"sku": '=HYPERLINK("http://x")', "total": "-2.5", "note": "@x; +y"},
]


async def test_a_csv_is_written_for_spreadsheets_without_formulas(house: FlowInstallation, root: Path) -> None:
    item = {"path": "out/new/a.csv", "rows": ROWS}
    columns = "{Artikel: item.sku, Summe: item.total, Notiz: item.note}"
    await write(house, item, rows="rows", columns=columns, numbers="[Summe]", decimal="','", delimiter="';'")
    assert (root / "out/new/a.csv").read_bytes().decode() == (
        'Artikel;Summe;Notiz\r\nA;1234,50;plain\r\n"\'=HYPERLINK(""http://x"")";-2,5;"\'@x; +y"\r\n'
    )
    [ended] = house.ended("end")
    assert (ended["written"]["path"], ended["written"]["rows"]) == ("out/new/a.csv", 2)
    await write(house, item, rows="rows", guard="false", encoding="utf-8-sig")
    assert (
        (root / "out/new/a.csv")
        .read_bytes()
        .startswith(b'\xef\xbb\xbfnote,sku,total\r\nplain,A,1234.50\r\n@x; +y,"=HYP')
    )


async def test_a_workbook_holds_numbers_and_texts_but_no_formula(house: FlowInstallation, root: Path) -> None:
    await write(house, {"path": "a.xlsx", "rows": ROWS}, rows="rows", numbers="[total]")
    first = (root / "a.xlsx").read_bytes()
    book = load_workbook(root / "a.xlsx")
    rows = [[(cell.data_type, cell.value) for cell in row] for row in book["Rows"].iter_rows()]
    assert rows[1] == [("s", "plain"), ("s", "A"), ("n", 1234.5)]
    assert rows[2][1] == ("s", '=HYPERLINK("http://x")')
    (root / "a.xlsx").unlink()
    await write(house, {"path": "a.xlsx", "rows": ROWS}, rows="rows", numbers="[total]")
    assert (root / "a.xlsx").read_bytes() == first, "the same rows make the same bytes"


async def test_what_cannot_or_may_not_be_written_leaves_by_error(house: FlowInstallation, root: Path) -> None:
    (root / "there.txt").write_text("other")
    cases: list[tuple[dict[str, Any], dict[str, str], str]] = [
        ({"path": "../x.csv", "rows": ROWS}, {"rows": "rows"}, "leads out of"),
        ({"path": "x.csv", "rows": [{"a": "4111"}]}, {"rows": "rows", "columns": MADE_OF}, "row 1 holds a card number"),
        ({"path": "x.csv", "rows": 5}, {"rows": "rows"}, "no list of rows"),
        ({"path": "x.csv", "rows": [{"a": "日"}]}, {"rows": "rows", "encoding": "windows-1252"}, "cannot be written"),
        ({"path": "there.txt", "t": "mine"}, {"text": "item.t", "exists": "refuse"}, "another file is there"),
    ]
    for item, options, told in cases:
        await write(house, item, **options)
        assert told in house.ended("refused")[0]["error"]["answered"]
    assert (root / "there.txt").read_text() == "other"
    assert sorted(p.name for p in root.rglob("*") if p.is_file()) == ["there.txt"]
    await write(house, {"path": "there.txt", "t": "mine"}, text="item.t")
    assert (root / "there.txt").read_text() == "mine"


async def test_a_dry_run_reads_and_says_what_it_would_write(house: FlowInstallation, root: Path) -> None:
    (root / "in/a.csv").write_text("a\n1\n")
    await house.publish(TAKE.replace("THEN", "remember").replace("KNOWN", "name"))
    given = [{"file": {"path": "in/a.csv", "name": "a.csv"}}]
    trial = await flow_verbs.dry_run(house.runtime, "take", given, key="K")
    assert [step.would for step in trial.steps][-1].startswith("would write out/a.csv to place")
    assert not (root / "out").exists()


async def test_a_connection_that_is_no_place_for_files_halts_the_flow_and_says_so(house: FlowInstallation) -> None:
    house.system("books")
    await house.publish(TAKE.replace("THEN", "remember").replace("KNOWN", "name"), place="books")
    with pytest.raises(Misconfigured, match="is a memory, no place for files"):
        await look(house)


DOCUMENTS = """
flow: bills
connections: {place: {}}
nodes:
  start: {type: document_arrived, connection: place, folder: in, quiet: 0s, then: move, to: which}
  which:
    type: switch
    cases: [{port: xml, when: "item.file.media_type == 'application/xml'"}]
    to: {xml: text, otherwise: end}
  text: {type: file_read, connection: place, format: text, into: text, to: end}
  end: {type: set, fields: {seen: 'true'}}
"""


async def test_documents_are_taken_for_what_they_are_and_refused_when_changed(
    house: FlowInstallation, root: Path
) -> None:
    await house.publish(DOCUMENTS)
    (root / "in/1.pdf").write_bytes(b"%PDF-1.7 \x00\xff")
    (root / "in/2.xml").write_text("<?xml version='1.0'?><Invoice>7</Invoice>")
    (root / "in/3.pdf").write_bytes(b"MZ no document")
    (root / "in/4.xml").write_text("<!DOCTYPE html><html>")
    (root / "in/5.txt").write_text("no document either")
    assert await look(house) == 2
    await house.drain()
    ended = {data["file"]["name"]: data for data in house.ended("end")}
    assert ended["1.pdf"]["file"]["media_type"] == "application/pdf"
    assert ended["2.xml"]["text"].endswith("<Invoice>7</Invoice>")
    assert len(ended["1.pdf"]["file"]["digest"]) == 64
    assert house.one("select count(*) from flow_file where state = 'refused'") == 2
    assert sorted(p.name for p in (root / "in").iterdir()) == ["3.pdf", "4.xml", "5.txt"]
    (root / "in/6.xml").write_text("<Invoice>8</Invoice>")
    assert await look(house) == 1
    [moved] = [p for p in (root / "taken").iterdir() if p.name.endswith("6.xml")]
    moved.write_text("<Invoice>9</Invoice>")
    await house.drain()
    [letter] = house.rows("select * from dead_letter")
    assert (
        "has changed since it was taken" in letter.error["answered"] or "not what was taken" in letter.error["answered"]
    )


async def test_the_flow_of_the_documents_updates_prices_and_reports_what_it_could_not_read(
    house: FlowInstallation, root: Path
) -> None:
    page = (HERE.parent.parent / "docs/howto/use-files-in-flows.md").read_text()
    flow, large = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    erp = house.system("erp")
    erp.put("product.template", {"default_code": "A", "list_price": "1"})
    await house.publish(flow.replace("folder: inbox", "folder: in, quiet: 0s"), partner="place")
    text = "Artikelnummer;Preis;Gültig ab;Sonst\nA;1.250,50;31.01.2026;x\nB;teuer;;\n;3,5;1.1.;\n"
    (root / "in/prices.csv").write_text(text)
    assert await look(house) == 1
    await house.drain()
    [row] = erp.rows["product.template"].values()
    assert row.values["list_price"] == "1250.5"
    assert (root / "rejected/prices.csv").read_text() == (
        "Row,Problem\n3,row 3: column Preis: 'teuer' is no number\n"
        "4,row 4: column Artikelnummer: it is empty; column Gültig ab: '1.1.' is no date as %d.%m.%Y\n"
    )
    house.rows("delete from flow returning 1")
    large = large.replace("rows: 1000", "rows: 2").replace("partner, then", "partner, folder: in, quiet: 0s, then")
    await house.publish(large, partner="place")
    (root / "in/many.csv").write_text("a\n" + "1\n" * 5)
    assert await look(house) == 1
    await house.drain()
    assert sorted(data["rows"] for data in house.ended("count")) == [1, 2, 2]


@pytest.fixture
def worker(database: Database, root: Path) -> Iterator[subprocess.Popen[str]]:
    found = subprocess.Popen(
        [sys.executable, str(HERE / "file_worker.py"), database.conninfo, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )
    yield found
    found.communicate(timeout=20)


def ask(worker: subprocess.Popen[str], at: int) -> str:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{at}\n")
    worker.stdin.flush()
    return worker.stdout.readline().strip()


@pytest.mark.parametrize(("then", "known"), [("move", "name"), ("remember", "content")])
async def test_a_worker_killed_at_any_point_takes_no_file_twice_and_none_never(
    house: FlowInstallation, root: Path, worker: subprocess.Popen[str], then: str, known: str
) -> None:
    await house.publish(TAKE.replace("THEN", then).replace("KNOWN", known))
    kills = 0
    for at in range(1, 200):
        (root / f"in/f{at}.csv").write_text(f"n\n{at}\n")
        ended = ask(worker, at)
        if ended == "killed":
            kills += 1
            assert ask(worker, 0).startswith("done")
        runs = house.one("select count(*) from run r where r.state = 'done' and r.key like :key", key=f"%f{at}.csv")
        assert runs == 1, f"killed at point {at}"
        assert (root / f"out/f{at}.csv").read_text() == f"n\n{at}\n"
        if ended.startswith("done"):
            break
    assert kills > 15, "there were fewer points than a flow of this length has"
    count = kills + 1
    assert house.states() == {"done": count}
    assert house.one("select count(*) from run_intent where state <> 'confirmed'") == 0
    assert len(list((root / "out").iterdir())) == count
    if then == "move":
        assert list((root / "in").iterdir()) == []
        assert len(list((root / "taken").iterdir())) == count


async def test_over_sftp_files_are_taken_read_and_written_through_lost_sessions(database: Database, root: Path) -> None:
    async with sftp_server(root) as server:
        house = FlowInstallation(database)
        place: Any = server.connector()
        house.system("place", place)
        await house.publish(TAKE.replace("THEN", "move").replace("KNOWN", "content"))
        (root / "in/a.csv").write_text("n\n1\n")
        (root / "in/b.csv").write_text("n\n2\n")
        assert await look(house) == 2
        put, lost = place.put, []

        async def losing(path: str, content: bytes, token: str) -> Any:
            found = await put(path, content, token)
            if not lost:
                lost.append(path)
                assert place._session is not None
                place._session.ssh.abort()
                await place._session.ssh.wait_closed()
                await place.facts(path)
                raise Unavailable("writing", answered="the answer was lost")
            return found

        place.put = losing
        await house.drain()
        assert lost
        await house.drain()
        place.put = put
        assert await look(house) == 0
        assert sorted(p.name for p in (root / "out").iterdir()) == ["a.csv", "b.csv"]
        assert list((root / "in").iterdir()) == []
        await place.close()
        await house.close()
