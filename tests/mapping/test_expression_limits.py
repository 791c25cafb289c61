"""What is too large for an expression is told, never looked at in part."""

from __future__ import annotations

import pytest

from isthmus.mapping.cel import MAX_LIST, MAX_TEXT, expression
from isthmus.mapping.problem import TransformProblem


def test_every_entry_of_a_long_list_counts() -> None:
    assert expression("size(value)", ("value",))({"value": list(range(MAX_LIST))}) == MAX_LIST


def test_a_list_that_is_too_long_is_told_with_its_length() -> None:
    with pytest.raises(TransformProblem, match=f"a list of {MAX_LIST + 1} entries"):
        expression("size(value)", ("value",))({"value": list(range(MAX_LIST + 1))})


@pytest.mark.parametrize("source", ['value + "."', "!blank(value)"])
def test_a_text_that_is_too_long_is_never_cut(source: str) -> None:
    with pytest.raises(TransformProblem, match=f"a text of {MAX_TEXT + 1} characters"):
        expression(source, ("value",))({"value": "x" * (MAX_TEXT + 1)})
