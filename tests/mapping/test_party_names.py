"""A full name splits into first and last name and joins again; a split that somebody chose is kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped import compiled

from isthmus.mapping.transforms.name import full_name, split_name

BNG = compiled("bng-customer")


@pytest.mark.parametrize(
    ("full", "first", "last"),
    [
        ("Mary Smith", "Mary", "Smith"),
        ("Mary Ann Smith", "Mary Ann", "Smith"),
        ("Cher", None, "Cher"),
        ("José María García", "José María", "García"),
        ("  Bob   Ray ", "Bob", "Ray"),
    ],
)
def test_the_last_word_is_the_last_name_where_nobody_chose_otherwise(full: str, first: str, last: str) -> None:
    assert split_name(full, None, None) == (first, last)


@pytest.mark.parametrize(
    ("now", "edited", "expected"),
    [
        (("Ludwig", "van der Berg"), "Ludwig van der Berg", ("Ludwig", "van der Berg")),
        (("Ludwig", "van der Berg"), "Ludwig van den Bergh", ("Ludwig", "van den Bergh")),
        (("Ludwig", "van der Berg"), "Karl van der Berg", ("Karl", "van der Berg")),
        (("Gabriel", "García Márquez"), "Gabriel García Márquez", ("Gabriel", "García Márquez")),
        (("Mary", "Smith"), "Mary Jones", ("Mary", "Jones")),
        (("Mary", "Smith"), "Ann Lee Brown", ("Ann Lee", "Brown")),
    ],
)
def test_a_chosen_split_survives_an_edit_of_one_part(
    now: tuple[str, str], edited: str, expected: tuple[str, str]
) -> None:
    assert split_name(edited, *now) == expected


def test_presence_of_a_company_name_makes_it_a_company() -> None:
    assert BNG.read({"CompanyName": "Azure", "FirstName": "Bob"}).values["is_company"] is True
    assert BNG.read({"FirstName": "Bob", "LastName": "Ray"}).values["is_company"] is False


def test_a_company_that_becomes_a_person_loses_its_company_name() -> None:
    raw = {"CompanyName": "Mary Smith", "FirstName": None, "LastName": None}
    written = BNG.write({"is_company": False, "name": "Mary Smith"}, ["is_company"], raw).values
    assert written == {"CompanyName": None, "FirstName": "Mary", "LastName": "Smith"}


def test_a_renamed_company_keeps_its_contact_person() -> None:
    raw = {"CompanyName": "Azure", "FirstName": "Bob", "LastName": "Ray"}
    assert BNG.write({"is_company": True, "name": "Azur"}, ["name"], raw).values == {"CompanyName": "Azur"}


_NAME = st.text("abcdefgäéñ'-", min_size=1, max_size=8).filter(str.strip).map(str.capitalize)
_NAMES = st.lists(_NAME, min_size=1, max_size=4).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(_NAMES, st.none() | _NAMES, st.none() | _NAMES)
def test_whatever_the_split_first_and_last_join_to_the_full_name(
    full: str, first: str | None, last: str | None
) -> None:
    assert full_name(*split_name(full, first, last)) == full


@settings(max_examples=100, deadline=None)
@given(_NAMES, _NAMES)
def test_a_name_written_and_read_back_is_the_same_name(first: str, last: str) -> None:
    raw = {"FirstName": first, "LastName": last}
    read = BNG.read(raw).values
    assert BNG.write(read, ["name"], raw).values == {"CompanyName": None, **raw}
