"""The three-way merge: who changed since the Base, and whose value stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.model.canonical import CanonicalEntity, CanonicalField, Value
from isthmus.model.policy import Empties, EntityPolicy, FieldPolicy, Rule
from isthmus.model.schema import FieldType
from isthmus.sync.merge import Merged, SideView, merge, same

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entity(**policies: FieldPolicy) -> CanonicalEntity:
    fields = {
        name: CanonicalField(name=name, type=FieldType.STRING, policy=policies.get(name, FieldPolicy()))
        for name in ("phone", "email", "vat", *policies)
    }
    return CanonicalEntity(name="customer", label="Customer", fields=fields)


def side(values: dict[str, Value], base: dict[str, Value] | None = None, **more: Any) -> SideView:
    defaults: dict[str, Any] = {"writable": frozenset(values), "arriving": {}}
    return SideView(values=values, base=values if base is None else base, **{**defaults, **more})


def run(left: SideView, right: SideView, kind: CanonicalEntity | None = None, **more: Any) -> Merged:
    """Merge with each side's value arriving on the other as it is, unless a view says otherwise."""
    left = left if left.arriving else _with_arriving(left, right)
    right = right if right.arriving else _with_arriving(right, left)
    return merge(kind or entity(), more.pop("policy", EntityPolicy(fields={})), left, right, **more)


def _with_arriving(view: SideView, from_: SideView) -> SideView:
    return SideView(
        values=view.values,
        base=view.base,
        arriving=dict(from_.values),
        seen_at=view.seen_at,
        changed_at=view.changed_at,
        writable=view.writable,
    )


def test_nothing_is_written_when_neither_side_moved() -> None:
    out = run(side({"phone": "1"}), side({"phone": "1"}))
    assert not out.writes
    assert not out.conflicts


@pytest.mark.parametrize("mover", ["left", "right"])
def test_a_lone_edit_travels_to_the_other_side_and_only_that_field(mover: str) -> None:
    moved = side({"phone": "2", "email": "a"}, base={"phone": "1", "email": "a"})
    still = side({"phone": "1", "email": "a"})
    out = run(moved, still) if mover == "left" else run(still, moved)
    assert (out.to_right if mover == "left" else out.to_left) == {"phone": "2"}
    assert not (out.to_left if mover == "left" else out.to_right)
    assert out.left_base["phone"] == out.right_base["phone"] == "2"


def test_the_same_edit_on_both_sides_is_agreement_not_a_write() -> None:
    out = run(side({"phone": "2"}, base={"phone": "1"}), side({"phone": "2"}, base={"phone": "1"}))
    assert not out.writes
    assert out.left_base == out.right_base == {"phone": "2"}


def test_edits_of_different_fields_on_both_sides_both_travel() -> None:
    left = side({"phone": "2", "email": "a"}, base={"phone": "1", "email": "a"})
    right = side({"phone": "1", "email": "b"}, base={"phone": "1", "email": "a"})
    out = run(left, right)
    assert out.to_right == {"phone": "2"}
    assert out.to_left == {"email": "b"}


@pytest.mark.parametrize(
    ("rule", "written_right", "written_left"), [(Rule.LEFT, {"phone": "L"}, {}), (Rule.RIGHT, {}, {"phone": "R"})]
)
def test_the_owner_wins_when_both_sides_changed(rule: Rule, written_right: dict, written_left: dict) -> None:
    left, right = side({"phone": "L"}, base={"phone": "0"}), side({"phone": "R"}, base={"phone": "0"})
    out = run(left, right, entity(phone=FieldPolicy(rule=rule)))
    assert out.to_right == written_right
    assert out.to_left == written_left


def test_ask_holds_that_field_only_and_keeps_both_bases() -> None:
    left = side({"vat": "L", "phone": "2"}, base={"vat": "0", "phone": "1"})
    right = side({"vat": "R", "phone": "1"}, base={"vat": "0", "phone": "1"})
    out = run(left, right, entity(vat=FieldPolicy(rule=Rule.ASK)))
    assert [(c.field, c.left, c.right) for c in out.conflicts] == [("vat", "L", "R")]
    assert out.left_base["vat"] == out.right_base["vat"] == "0"
    assert out.to_right == {"phone": "2"}


def test_a_persons_choice_settles_a_conflict() -> None:
    left, right = side({"vat": "L"}, base={"vat": "0"}), side({"vat": "R"}, base={"vat": "0"})
    out = run(left, right, entity(vat=FieldPolicy(rule=Rule.ASK)), choices={"vat": "right"})
    assert out.to_left == {"vat": "R"}
    assert not out.conflicts


def test_newest_takes_the_later_edit_when_the_observations_cannot_overlap() -> None:
    left = side({"phone": "L"}, base={"phone": "0"}, seen_at=NOON, changed_at=NOON + timedelta(minutes=9))
    right = side(
        {"phone": "R"},
        base={"phone": "0"},
        seen_at=NOON + timedelta(minutes=10),
        changed_at=NOON + timedelta(minutes=12),
    )
    assert run(left, right).to_left == {"phone": "R"}


def test_newest_falls_back_to_the_owner_when_it_cannot_be_told() -> None:
    left = side({"phone": "L"}, base={"phone": "0"}, seen_at=NOON, changed_at=NOON + timedelta(minutes=1))
    right = side({"phone": "R"}, base={"phone": "0"}, seen_at=NOON, changed_at=NOON + timedelta(minutes=5))
    assert run(left, right).to_right == {"phone": "L"}
    asking = entity(phone=FieldPolicy(rule=Rule.NEWEST, otherwise=Rule.ASK))
    assert [c.field for c in run(left, right, asking).conflicts] == ["phone"]


def test_a_rounded_echo_neither_flows_back_nor_hides_precision() -> None:
    """The right side keeps two decimals: 10.0049 arrives as 10.00, which is what it has already."""
    left = side({"phone": "10.0049"}, base={"phone": "10.0012"})
    right = side({"phone": "10.00"}, base={"phone": "10.00"}, arriving={"phone": "10.00"})
    out = run(left, right)
    assert not out.writes
    assert out.left_base["phone"] == "10.0049"
    assert out.right_base["phone"] == "10.00"


def test_after_a_write_the_base_of_the_target_is_what_it_will_read_back() -> None:
    left = side({"phone": "example.com"}, base={"phone": ""})
    right = side({"phone": ""}, arriving={"phone": "http://example.com"})
    out = run(left, right)
    assert out.to_right == {"phone": "example.com"}
    assert out.right_base["phone"] == "http://example.com"


def test_a_strict_owner_takes_back_an_edit_made_on_the_other_side_alone() -> None:
    left, right = side({"phone": "1"}), side({"phone": "2"}, base={"phone": "1"})
    out = run(left, right, entity(phone=FieldPolicy(rule=Rule.LEFT, strict=True)))
    assert out.to_right == {"phone": "1"}
    assert not out.to_left


def test_an_empty_never_replaces_a_value_where_the_policy_keeps() -> None:
    keep = entity(phone=FieldPolicy(empties=Empties.KEEP))
    out = run(side({"phone": None}, base={"phone": "1"}), side({"phone": "1"}), keep)
    assert not out.writes
    travel = run(side({"phone": None}, base={"phone": "1"}), side({"phone": "1"}))
    assert travel.to_right == {"phone": None}


def test_an_edit_that_may_not_travel_stays_where_it_was_made() -> None:
    one_way = entity(phone=FieldPolicy(direction="to_right"))
    out = run(side({"phone": "1"}), side({"phone": "2"}, base={"phone": "1"}), one_way)
    assert not out.writes
    assert run(side({"phone": "1"}), side({"phone": "2"}, base=out.right_base), one_way).writes is False


def test_first_match_fills_empties_and_gives_differences_to_the_owner_never_to_the_newest() -> None:
    left = side({"phone": "", "email": "l", "vat": "V"}, base={}, changed_at=NOON)
    right = side({"phone": "1", "email": "r", "vat": "V"}, base={}, changed_at=NOON + timedelta(days=1))
    out = run(left, right)
    assert out.to_left == {"phone": "1"}
    assert out.to_right == {"email": "l"}
    other_owner = run(left, right, policy=EntityPolicy(fields={}, first_match_owner="right"))
    assert other_owner.to_left == {"phone": "1", "email": "r"}


values = st.one_of(st.none(), st.sampled_from(["", "a", "b", "c"]))


@given(l0=values, r0=values, l1=values, r1=values, rule=st.sampled_from(list(Rule)), strict=st.booleans())
def test_merging_again_after_the_writes_changes_nothing(
    l0: Value, r0: Value, l1: Value, r1: Value, rule: Rule, strict: bool
) -> None:
    """Whatever happened, one round of writes brings agreement (or a held conflict), and the echo is silent."""
    kind = entity(phone=FieldPolicy(rule=rule, strict=strict))
    out = run(side({"phone": l1}, base={"phone": l0}), side({"phone": r1}, base={"phone": r0}), kind)
    left, right = out.to_left.get("phone", l1), out.to_right.get("phone", r1)
    again = run(side({"phone": left}, base=out.left_base), side({"phone": right}, base=out.right_base), kind)
    assert not again.writes
    moved = not same(l1, l0) or not same(r1, r0)
    if moved and not out.conflicts:
        assert same(left, right)
    assert bool(again.conflicts) == bool(out.conflicts)
