"""Look-up tables as CSV and Excel: read, merged, written; a bad row is named by its number and nothing is taken."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from shipped import TEMPLATES, lookups

from isthmus.errors import InvalidRecord
from isthmus.mapping.lookups import LookupRow, Lookups, LookupTable
from isthmus.mapping.tablefile import MAX_BYTES, merged, read_table, rows_of, triples, write_csv, write_excel
from isthmus.operate.lookups import shipped

SYSTEMS = ["odoo", "bng"]
GOOD = "canonical,odoo,bng\nNET30,30 Days,Net 30\nNET30,,30 Days\nNET15,15 Days,Net 15\n"


def csv_rows(text: str, name: str = "terms") -> list[LookupRow]:
    return read_table(name, text.encode(), "terms.csv", SYSTEMS)


def excel(*rows: list[Any], title: str = "Sheet") -> bytes:
    book = Workbook()
    assert book.active is not None
    book.active.title = title
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def refused(content: bytes, filename: str = "terms.csv", name: str = "terms") -> InvalidRecord:
    with pytest.raises(InvalidRecord) as caught:
        read_table(name, content, filename, SYSTEMS)
    assert "Nothing was imported" in caught.value.hint
    return caught.value


def test_a_csv_file_becomes_rows() -> None:
    assert csv_rows(GOOD) == [
        LookupRow(canonical="NET30", values={"odoo": "30 Days", "bng": "Net 30"}),
        LookupRow(canonical="NET30", values={"bng": "30 Days"}),
        LookupRow(canonical="NET15", values={"odoo": "15 Days", "bng": "Net 15"}),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("canonical,odoo,bng", "Canonical, Odoo ,BNG,,"),
        GOOD + "\n , ,\n",
    ],
)
def test_it_is_read_alike_however_a_spreadsheet_saved_it(text: str) -> None:
    assert csv_rows(text) == csv_rows(GOOD)


def test_an_excel_file_becomes_the_same_rows_numbers_as_they_are_typed() -> None:
    content = excel(["canonical", "odoo", "bng"], ["A", 30, "x"], [], ["B", 2.5, None], ["C", True, "0017"])
    assert read_table("terms", content, "Terms.XLSX", SYSTEMS) == [
        LookupRow(canonical="A", values={"odoo": "30", "bng": "x"}),
        LookupRow(canonical="B", values={"odoo": "2.5"}),
        LookupRow(canonical="C", values={"odoo": "true", "bng": "0017"}),
    ]


def test_every_bad_row_is_reported_with_its_number() -> None:
    error = refused(
        b"canonical,odoo,bng\nNET30,30 Days,Net 30\n,15 Days,Net 15\nNET45,,\nNET60,30 days,Net 60\nA,B,C,D\n"
        + b"L,"
        + b"x" * 501
        + b",\n"
    )
    assert error.facts["rows"] == [
        {"row": 3, "problem": "the canonical value is empty"},
        {"row": 4, "problem": "no system calls 'NET45' anything"},
        {"row": 5, "problem": "odoo value '30 days' stands in row 2 already, for 'NET30'"},
        {"row": 6, "problem": "it has 4 cells, the head has 3"},
        {"row": 7, "problem": f"'{'x' * 119}…' is longer than 500 characters"},
    ]
    assert "row 3: the canonical value is empty; row 4:" in str(error.answered)


def test_a_long_list_of_bad_rows_is_told_shortly_and_kept_whole() -> None:
    error = refused(("canonical,odoo\n" + ",x\n" * 50).encode())
    assert str(error.answered).endswith("and 30 more rows")
    assert len(error.facts["rows"]) == 50


def test_a_cell_that_excel_took_for_a_date_is_reported_not_guessed() -> None:
    error = refused(excel(["canonical", "odoo"], ["A", date(2026, 3, 1)]), "terms.xlsx")
    assert error.facts["rows"][0]["row"] == 2
    assert "is a date to Excel" in error.facts["rows"][0]["problem"]


@pytest.mark.parametrize(
    ("content", "filename", "why"),
    [
        (b"", "t.csv", "there is no column canonical"),
        (b"odoo,bng\nA,B\n", "t.csv", "there is no column canonical"),
        (b"canonical\nA\n", "t.csv", "there is no column of a system"),
        (b"canonical,shop\nA,B\n", "t.csv", "no system of this pair is called shop"),
        (b"canonical,odoo,odoo\nA,B,C\n", "t.csv", "a column stands there twice"),
        ("canonical,odoo\nÄ,B\n".encode("latin-1"), "t.csv", "it is not UTF-8 text"),
        (b'canonical,odoo\n"A,B\n', "t.csv", "it is not CSV"),
        (b"canonical,odoo\n", "t.xlsx", "it is not an Excel file"),
        (b"x" * (MAX_BYTES + 1), "t.csv", "it is larger than"),
    ],
)
def test_a_file_that_is_no_such_table_says_why(content: bytes, filename: str, why: str) -> None:
    assert why in str(refused(content, filename).answered)


def test_a_table_has_a_plain_name() -> None:
    assert "is no name of a table" in str(refused(GOOD.encode(), name="../terms").answered)


def test_merging_adds_and_replaces_and_puts_the_new_rows_first() -> None:
    before = triples(csv_rows(GOOD))
    after = merged(before, [("odoo", "30 DAYS", "THIRTY"), ("bng", "Thirty", "NET30")])
    assert after == [
        ("odoo", "30 DAYS", "THIRTY"),
        ("bng", "Thirty", "NET30"),
        ("bng", "Net 30", "NET30"),
        ("bng", "30 Days", "NET30"),
        ("odoo", "15 Days", "NET15"),
        ("bng", "Net 15", "NET15"),
    ]


_CELL = st.text("abc ,;\"'=\nä0", min_size=1, max_size=8).filter(lambda t: t == t.strip() and t)


@st.composite
def _tables(draw: st.DrawFn) -> list[LookupRow]:
    rows, seen = [], set()
    for canonical in draw(st.lists(_CELL, max_size=6, unique_by=str.casefold)):
        for system in SYSTEMS:
            for value in draw(st.lists(_CELL, min_size=system == "odoo", max_size=2)):
                if (system, value.casefold()) not in seen:
                    seen.add((system, value.casefold()))
                    rows.append(LookupRow(canonical=canonical, values={system: value}))
    return rows


@settings(max_examples=60, deadline=None)
@given(_tables(), st.sampled_from(["t.csv", "t.xlsx"]))
def test_what_is_written_reads_back_with_the_same_meaning(rows: list[LookupRow], filename: str) -> None:
    stored = triples(rows)
    shown = rows_of(stored, SYSTEMS)
    written = write_csv(shown, SYSTEMS) if filename.endswith("csv") else write_excel("t", shown, SYSTEMS)
    back = read_table("t", written, filename, SYSTEMS)
    old, new = (Lookups([LookupTable(name="t", rows=tuple(r))]) for r in (rows, back))
    for system, value, canonical in stored:
        assert new.to_canonical("t", system, value) == old.to_canonical("t", system, value)
        assert new.from_canonical("t", system, canonical) == old.from_canonical("t", system, canonical)
    assert sorted(triples(back)) == sorted(stored)


def test_a_text_that_looks_like_a_formula_stays_a_text_in_excel() -> None:
    rows = [LookupRow(canonical="A", values={"odoo": "=1+1"})]
    assert read_table("t", write_excel("t", rows, SYSTEMS), "t.xlsx", SYSTEMS) == rows


def test_every_table_that_ships_can_be_imported() -> None:
    files = shipped()
    assert {"lookups/unit.csv", "lookups/payment_terms.csv"} <= files.keys()
    for file in TEMPLATES.joinpath("lookups").iterdir():
        read_table(file.name.removesuffix(".csv"), file.read_bytes(), file.name, SYSTEMS)


@pytest.mark.parametrize("name", ["unit", "payment_terms"])
def test_a_table_that_ships_leads_there_and_back(name: str) -> None:
    known = lookups()
    for row in known.tables[name].rows:
        for system in row.values:
            canonical = known.to_canonical(name, system, row.values[system])
            assert canonical == row.canonical
            back = known.from_canonical(name, system, row.canonical)
            assert back is not None
            assert known.to_canonical(name, system, back) == canonical
