"""The demo's seeds are the same every time, and each of them says where it has to end."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest
from rapidfuzz import fuzz

from isthmus.demo.seed import Seed, everything
from isthmus.demo.taxids import tax_id
from isthmus.mapping.transforms.contact import valid_tax_id

SEEDS = everything()


def name_of(record: dict[str, str]) -> str:
    person = f"{record.get('FirstName', '')} {record.get('LastName', '')}".strip()
    return record.get("CompanyName") or record.get("name") or person


def test_the_seeds_are_the_same_every_time() -> None:
    assert list(everything()) == list(SEEDS)
    assert list(everything(seed=20)) != list(SEEDS)


def test_there_are_a_thousand_customers_and_the_rest() -> None:
    assert SEEDS.counts == {"customer": 1000, "product": 500, "vendor": 100}
    assert len({seed.tag for seed in SEEDS}) == 1600


def test_most_things_are_on_both_sides_and_some_on_one_only() -> None:
    sides = Counter((bool(seed.odoo), bool(seed.bng)) for seed in SEEDS)
    assert sides[True, True] > 1000
    assert min(sides[True, False], sides[False, True]) > 200


def test_every_seed_has_an_end_and_a_held_one_its_class() -> None:
    ends = Counter((seed.end, seed.kind) for seed in SEEDS)
    assert set(ends) == {("agreed", ""), ("held", "InvalidRecord"), ("held", "Ambiguous"), ("left out", "")}
    assert ends["agreed", ""] > 1400


@pytest.mark.parametrize(
    "told",
    ["twice in Odoo, once in BNG", "archived, only in Odoo", "a bad e-mail, only in Odoo",
     "an address without a country, only in Odoo", "different on both sides"],
)  # fmt: skip
def test_the_troubles_of_real_data_are_among_them(told: str) -> None:
    assert any(seed.story == told for seed in SEEDS.customers)


def test_keys_meet_only_where_the_story_says_so() -> None:
    """Within one side a tax id or SKU is shared by duplicates only, and by nobody of another thing."""
    for field, records in (
        ("vat", [(s, r) for s in (*SEEDS.customers, *SEEDS.vendors) for r in s.odoo]),
        ("TaxID", [(s, r) for s in (*SEEDS.customers, *SEEDS.vendors) for r in s.bng]),
        ("default_code", [(s, r) for s in SEEDS.products for r in s.odoo]),
        ("barcode", [(s, r) for s in SEEDS.products for r in s.odoo]),
        ("SKU", [(s, r) for s in SEEDS.products for r in s.bng]),
        ("ExternalID", [(s, r) for s in SEEDS for r in s.bng]),
    ):
        owners: dict[str, set[str]] = {}
        for seed, record in records:
            if record.get(field):
                owners.setdefault(record[field], set()).add(seed.tag)
        assert [value for value, tags in owners.items() if len(tags) > 1] == [], field


def test_no_two_things_without_a_tax_id_have_names_that_look_alike() -> None:
    """Else they would be held as possible duplicates, which no story says."""
    for seeds in (SEEDS.customers, SEEDS.vendors):
        lefts = [(s.tag, name_of(r), r.get("vat")) for s in seeds for r in s.odoo]
        rights = [(s.tag, name_of(r), r.get("TaxID")) for s in seeds for r in s.bng]
        close = [
            (one, two)
            for tag, one, number in lefts
            for other, two, theirs in rights
            if tag != other and not (number and theirs) and one[:5] == two[:5]
            if fuzz.token_sort_ratio(one.casefold(), two.casefold()) >= 90
        ]
        assert close == []


@pytest.mark.parametrize("country", ["DE", "GB", "FR", "IT", "ES", "NL", "CA", "US"])
def test_tax_ids_have_right_check_digits_and_differ(country: str) -> None:
    numbers = [tax_id(country, n) for n in chain(range(1, 40), range(500_001, 500_010))]
    assert len(set(numbers)) == len(numbers)
    if country not in ("US", "CA"):
        assert all(valid_tax_id(number, country) for number in numbers)


def test_a_thing_that_differs_says_what_both_sides_must_have_in_the_end() -> None:
    def told(seed: Seed) -> bool:
        return bool(seed.settled) == (seed.story == "different on both sides")

    assert all(map(told, SEEDS))
