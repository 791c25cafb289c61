"""Every field that travels or is held carries its reason in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from isthmus.model.canonical import CanonicalEntity, CanonicalField
from isthmus.model.policy import Empties, EntityPolicy, FieldPolicy, Rule, Side
from isthmus.model.schema import FieldType
from isthmus.sync.merge import SideView, merge

EARLY, LATE = datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 1, 10, tzinfo=UTC)


def why(
    left: Any,
    right: Any,
    *,
    base: Any = "old",
    rule: FieldPolicy | None = None,
    choice: Side | None = None,
    **more: Any,
) -> str:
    """The reason for one field whose sides say `left` and `right` now and both said `base` before (None: never met)."""
    one = CanonicalField(name="name", type=FieldType.STRING, label="Name", policy=rule or FieldPolicy())
    kind = CanonicalEntity(name="thing", label="Thing", fields={"name": one})

    def view(mine: Any, theirs: Any, **times: Any) -> SideView:
        known = {} if base is None else {"name": base}
        writable = frozenset({"name"})
        return SideView(values={"name": mine}, base=known, arriving={"name": theirs}, writable=writable, **times)

    merged = merge(
        kind,
        EntityPolicy(fields={}),
        view(left, right, **more.get("left_times", {})),
        view(right, left, **more.get("right_times", {})),
        choices={"name": choice} if choice else {},
    )
    return merged.why.get("name", "")


def test_a_lone_edit_names_its_side() -> None:
    assert why("new", "old") == "changed on the left only"
    assert why("old", "new") == "changed on the right only"


def test_a_field_that_nobody_touched_has_no_reason() -> None:
    assert why("old", "old") == ""


def test_an_owner_is_named_when_both_changed() -> None:
    assert why("a", "b", rule=FieldPolicy(rule=Rule.RIGHT)) == "both sides changed; right owns it"


def test_an_edit_against_a_strict_owner_says_that_it_is_put_back() -> None:
    strict = FieldPolicy(rule=Rule.LEFT, strict=True)
    assert why("old", "b", rule=strict) == "changed on the right only; left owns it strictly and is put back"


def test_a_question_says_that_the_policy_is_to_ask() -> None:
    assert why("a", "b", rule=FieldPolicy(rule=Rule.ASK)) == "both sides changed; the Policy is to ask"


def test_the_later_edit_is_named_and_so_is_not_knowing() -> None:
    newest = FieldPolicy(rule=Rule.NEWEST, otherwise=Rule.LEFT)
    times = {
        "left_times": {"seen_at": LATE, "changed_at": LATE},
        "right_times": {"seen_at": EARLY, "changed_at": EARLY},
    }
    assert why("a", "b", rule=newest, **times) == "both sides changed; left came later"
    assert why("a", "b", rule=newest) == "both sides changed and neither is surely later; left owns it"


def test_a_person_who_chose_is_the_reason() -> None:
    assert why("a", "b", choice="right") == "a person chose the right value"


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        (None, "b", "first meeting: empty on the left"),
        ("a", "", "first meeting: empty on the right"),
        ("a", "b", "first meeting: left decides what differs"),
    ],
)
def test_a_first_meeting_says_so(left: Any, right: Any, reason: str) -> None:
    assert why(left, right, base=None) == reason


def test_an_empty_that_may_not_travel_says_so() -> None:
    keep = FieldPolicy(rule=Rule.LEFT, empties=Empties.KEEP)
    assert why(None, "old", rule=keep) == "emptied on the left only; an empty never replaces a value"
