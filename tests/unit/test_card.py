"""Card numbers are recognised by scheme, length and check digit, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.model.card import holds_card_number, mask, mask_all, may_hold_card_number
from isthmus.store.rows import as_json

CARDS = [
    "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444", "2223003122003222",
    "378282246310005", "6011111111111117", "3530111333300000", "30569309025904", "6205500000000000004",
]  # fmt: skip
NONE = [
    "4111111111111112", "+4111111111111111", "+12125550100", "4006381333931", "01a20e27-4111-7111-9111-111111111111",
    "2026-11-24 15:24:29.884", "1234567890123456", "", "INV/2026/00001", "9999999999999995",
]  # fmt: skip


@pytest.mark.parametrize("card", CARDS)
def test_a_card_number_is_masked_but_for_its_ends(card: str) -> None:
    digits = "".join(c for c in card if c.isdigit())
    shown = mask(f"paid with {card}, thanks")
    assert card not in shown
    assert shown == f"paid with {digits[:6]}{'*' * (len(digits) - 10)}{digits[-4:]}, thanks"
    assert holds_card_number({"notes": ["x", card]})


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_card_number_stays_as_it_is(text: str) -> None:
    assert mask(text) == text
    assert not holds_card_number(text)


def test_numbers_and_names_of_members_are_masked_too() -> None:
    masked = mask_all({"4111111111111111": {"n": 4111111111111111, "ok": 42, "yes": True, "none": None}})
    assert masked == {"411111******1111": {"n": "411111******1111", "ok": 42, "yes": True, "none": None}}


@given(st.text(alphabet="0123456789 -.+aé", max_size=60))
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask(mask(text)) == mask(text)
    assert not holds_card_number(mask(text))


@given(
    st.lists(
        st.dictionaries(st.text(max_size=8), st.one_of(st.text(), st.integers(), st.sampled_from(CARDS)), max_size=3)
    )
)
def test_values_with_a_card_number_are_never_passed_over_as_a_whole(rows: list[dict[str, object]]) -> None:
    if mask_all(rows) != rows:
        assert may_hold_card_number(as_json(rows))


def test_a_card_number_behind_a_line_break_is_not_passed_over() -> None:
    rows = [{"notes": f"pay with\n{CARDS[0]}\tplease"}]
    assert may_hold_card_number(as_json(rows))
    assert not may_hold_card_number(as_json([{"phone": "+12125550100", "at": "2026-11-24 15:24:29.884"}]))
