"""Every silenced warning of the checker or the linter has its reason, and there are few."""

from __future__ import annotations

import re

import pytest
from source_tree import beside, product

MARK = re.compile(r"#\s*(?P<mark>noqa|type: ignore|mypy:|pragma:|fmt: off)(?P<rest>.*)$")
CODES = re.compile(r"^(?:\[[\w\-, ]+\]|:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?")
MOST_PER_THOUSAND_LINES = 2.0


def unexplained(text: str) -> list[int]:
    """Lines that silence something without naming the rule and the reason."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        mark = MARK.search(line)
        if mark is None:
            continue
        codes = CODES.match(mark["rest"])
        reason = mark["rest"][codes.end() if codes else 0 :].strip(" #-:")
        if not (codes and codes.group()) or len(reason) < 8:
            found.append(number)
    return found


def test_every_suppression_in_the_product_names_rule_and_reason() -> None:
    found = [f"{m.path}:{line}" for m in product() for line in unexplained(m.text)]
    assert not found, "\n".join(found)


def test_suppressions_are_few() -> None:
    for modules in (product(), beside()):
        marks = sum(1 for m in modules for line in m.text.splitlines() if MARK.search(line))
        assert marks / sum(m.lines for m in modules) * 1000 <= MOST_PER_THOUSAND_LINES


@pytest.mark.parametrize(
    ("line", "complaints"),
    [
        ("x = 1  # noqa", 1),
        ("x = 1  # type: ignore", 1),
        ("x = 1  # type: ignore[misc]", 1),
        ("x = 1  # type: ignore[misc]  # the library leaves it untyped", 0),
        ("x = 1  # noqa: S105 - the name of the secret", 0),
        ("x = 1  # a remark", 0),
    ],
)
def test_a_suppression_without_a_reason_is_noticed(line: str, complaints: int) -> None:
    assert len(unexplained(line)) == complaints
