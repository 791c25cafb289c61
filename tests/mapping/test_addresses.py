"""An address in one text splits and joins again, in eight countries; one that could mean two things is held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped import EVERYTHING, compiled

from isthmus.mapping.addresses import join_address, split_address
from isthmus.mapping.problem import TransformProblem

WRITTEN: list[tuple[str, dict[str, str]]] = [
    (told.pop("text"), {**told, "country": country})
    for country, listed in yaml.safe_load((Path(__file__).parent / "addresses.yaml").read_text()).items()
    for told in listed
]
UNSURE = [
    ("Behind the church", "it names no country"),
    ("12 Main Street, Springfield, US", "no postal code of US"),
    ("12 Main Street, Springfield, 62701, US", "no state of US"),
    ("1 High Street, Little Hamlet, Oxfordshire, OX1 1AA, GB", "may be the city or the county"),
    ("Hauptstraße, 5, 10115 Berlin, DE", "may be a house number or a second line"),
    ("Firma Muster, Haus B, Hof 2, Hauptstraße 5, 10115 Berlin, DE", "at most two can be told apart"),
    ("Hauptstraße 5, Berlin, DE", "no postal code of DE"),
    ("10115 Berlin, DE", "it has no street"),
    ("Calle Mayor 5, Madrid 28013, ES", "no postal code of ES"),
    ("1 Chome-1-2 Oshiage, Sumida City, Tokyo 131-0045, Japan", "addresses of JP cannot be read from one text"),
    ("Main Street 1, 1234 5678 Metropolis, NL", "no postal code of NL"),
]


def test_there_are_forty_addresses_of_eight_countries() -> None:
    assert len(WRITTEN) == 40
    assert len({parts["country"] for _, parts in WRITTEN}) == 8


@pytest.mark.parametrize(("text", "parts"), WRITTEN, ids=lambda v: v.splitlines()[0] if isinstance(v, str) else "")
def test_it_splits_into_its_parts_and_joins_to_a_text_that_splits_alike(text: str, parts: dict[str, str]) -> None:
    assert split_address(text) == parts
    joined = join_address(parts)
    assert split_address(joined) == parts
    assert join_address(split_address(joined)) == joined


@pytest.mark.parametrize(("text", "why"), UNSURE)
def test_an_uncertain_one_is_held_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(TransformProblem) as caught:
        split_address(text)
    assert why in caught.value.message


@pytest.mark.parametrize(("text", "parts"), WRITTEN[::4])
def test_a_billing_address_kept_as_one_text_stays_one_text_through_the_mapping(text: str, parts: Any) -> None:
    bng = compiled("bng-customer")
    raw = {"BillingAddress": text}
    read = bng.read(raw)
    assert (read.values["billing"], read.problems) == (parts, [])
    moved = {**parts, "line1": "99 Elsewhere" if parts["country"] in ("US", "GB") else "Elsewhere 99"}
    written = bng.write({"billing": moved}, ["billing"], raw)
    assert written.problems == []
    assert isinstance(written.values["BillingAddress"], str)
    assert bng.read(written.values).values["billing"] == moved


def test_an_uncertain_text_blocks_its_field_and_no_other() -> None:
    read = compiled("bng-customer").read({"CompanyName": "Azure", "BillingAddress": "Behind the church, Erewhon"})
    assert read.values["name"] == "Azure"
    assert "billing" not in read.values
    assert [(p.field, p.severity) for p in read.problems] == [("billing", "block")]


def test_a_text_that_names_no_country_takes_the_pairs_own() -> None:
    text = {"BillingAddress": "350 Fifth Avenue, New York, NY 10118"}
    assert compiled("bng-customer").read(text).values["billing"]["country"] == "US"
    held = compiled("bng-customer", settings={**EVERYTHING, "country": None}).read(text)
    assert "names no country" in held.problems[0].message


def test_new_addresses_are_texts_where_the_pair_says_so() -> None:
    parts = {"line1": "Marienplatz 8", "city": "München", "postal_code": "80331", "country": "DE"}
    bng = compiled("bng-customer", settings={**EVERYTHING, "address_form": "text"})
    values = {"name": "Azure", "is_company": True, "email": "a@example.com", "billing": parts}
    assert bng.write(values, ["billing"], None).values["BillingAddress"] == "Marienplatz 8, 80331 München, DE"


def test_parts_that_no_text_could_give_back_are_held_not_mangled() -> None:
    with pytest.raises(TransformProblem, match="reads back the same"):
        join_address({"line1": "Hauptstraße", "line2": "5", "city": "Berlin", "postal_code": "10115", "country": "DE"})


_WORD = st.text("abcdefghijklmnopqrstuvwxyzäöüéàç", min_size=2, max_size=9).map(str.capitalize)
_POSTAL = {"DE": "#####", "FR": "#####", "NL": "#### AB", "CH": "####", "ES": "#####", "IT": "#####", "GB": "SW# #AA"}


@st.composite
def _parts(draw: st.DrawFn) -> dict[str, str]:
    country = draw(st.sampled_from(sorted(_POSTAL)))
    postal = "".join(draw(st.sampled_from("123456789")) if c == "#" else c for c in _POSTAL[country])
    parts = {"line1": f"{draw(_WORD)} {draw(st.integers(1, 999))}"}
    if draw(st.booleans()):
        parts["line2"] = " ".join(draw(st.lists(_WORD, min_size=1, max_size=2)))
    parts |= {
        "city": " ".join(draw(st.lists(_WORD, min_size=1, max_size=2))),
        "postal_code": postal,
        "country": country,
    }
    return parts


@settings(max_examples=150, deadline=None)
@given(_parts())
def test_plain_parts_always_join_to_a_text_that_reads_back_to_the_same_parts(parts: dict[str, str]) -> None:
    assert split_address(join_address(parts)) == parts


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=60) | st.lists(st.sampled_from([*"12AB,\n ", "Berlin", "DE", "10115", "NY 10118"])).map("".join)
)
def test_no_text_makes_splitting_fail_in_any_other_way_than_a_problem(text: str) -> None:
    try:
        parts = split_address(text, "US")
    except TransformProblem:
        return
    assert not parts or parts["country"]
