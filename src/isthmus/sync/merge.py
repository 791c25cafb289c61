"""The three-way merge of one linked Record: per field, who changed since the Base and whose value stands. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from isthmus.model.canonical import CanonicalEntity, Value
from isthmus.model.policy import Empties, EntityPolicy, FieldPolicy, Rule, Side, other


@dataclass(frozen=True, slots=True, kw_only=True)
class SideView:
    """One side of a Link as the merge sees it.

    `values` is what was read now, `base` what was last agreed as read on this side, `arriving` what each field of
    the *opposite* side would read back as here once written (the projection; see CompiledMapping.project).
    `seen_at` is when this side was last seen equal to its Base, `changed_at` when it says it last changed: the
    observation interval of every field that differs now.
    """

    values: Mapping[str, Value]
    base: Mapping[str, Value]
    arriving: Mapping[str, Value]
    seen_at: datetime | None = None
    changed_at: datetime | None = None
    writable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldConflict:
    """A field both sides changed differently while its Policy is to ask."""

    field: str
    left: Value
    right: Value
    left_base: Value
    right_base: Value


@dataclass(slots=True)
class Merged:
    """What is to be written on each side, the Bases as they will then stand, and what has to wait for a person.

    `why` gives, for every field that is written or held, the reason in words.
    """

    to_left: dict[str, Value] = field(default_factory=dict)
    to_right: dict[str, Value] = field(default_factory=dict)
    left_base: dict[str, Value] = field(default_factory=dict)
    right_base: dict[str, Value] = field(default_factory=dict)
    conflicts: list[FieldConflict] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        return bool(self.to_left or self.to_right)


def is_empty(value: Value) -> bool:
    """None, empty text, empty list and an address without parts are empties; zero and False are values."""
    if value is None or value == "" or value == [] or value == {}:
        return True
    return isinstance(value, dict) and not any(part not in (None, "") for part in value.values())


def same(a: Value, b: Value) -> bool:
    """Whether two values of one field agree; every empty equals every other."""
    if a == b:
        return True
    if is_empty(a) and is_empty(b):
        return True
    if isinstance(a, dict) and isinstance(b, dict):
        return {k: v for k, v in a.items() if v not in (None, "")} == {
            k: v for k, v in b.items() if v not in (None, "")
        }
    return False


def policy_of(entity: CanonicalEntity, policy: EntityPolicy, name: str) -> FieldPolicy:
    """The pair's Policy for a field, or the canonical default."""
    return policy.fields.get(name) or entity.fields[name].policy


Verdict = Literal["agree", "keep", "left", "right", "ask"]
"""agree: both count as equal now; keep: nothing moved; left, right: whose value stands; ask: a person decides."""


class Decision(NamedTuple):
    """What becomes of one field, and why, as a person reads it in a trace."""

    verdict: Verdict
    why: str = ""


MARGIN = timedelta(seconds=2)
"""Observation intervals closer than this overlap: systems tell whole seconds and clocks differ a little."""


def merge(
    entity: CanonicalEntity,
    policy: EntityPolicy,
    left: SideView,
    right: SideView,
    *,
    choices: Mapping[str, Side] | None = None,
) -> Merged:
    """Merge every field that both sides read. `choices` settles Conflicts a person has decided (field → winner).

    A field with no Base on either side is a first match: there is no ancestor, so `newest` never decides.
    """
    out = Merged(left_base=dict(left.base), right_base=dict(right.base))
    for name in sorted((left.values.keys() & right.values.keys() & entity.fields.keys()) - {entity.as_of}):
        rule = policy_of(entity, policy, name)
        verdict, why = _verdict(name, rule, policy, left, right, choices or {})
        if verdict == "keep":
            continue
        out.why[name] = why
        if verdict == "ask":
            out.conflicts.append(
                FieldConflict(
                    field=name,
                    left=left.values[name],
                    right=right.values[name],
                    left_base=left.base.get(name),
                    right_base=right.base.get(name),
                )
            )
        elif verdict == "agree":
            _agree(out, name, left, right)
        else:
            _carry(out, name, rule, verdict, left, right)
    if entity.as_of is not None:
        _stamp(out, entity.as_of, left, right)
    return out


def _stamp(out: Merged, name: str, left: SideView, right: SideView) -> None:
    """Let the moment at which the values were true travel with them."""
    for writes, source, target in ((out.to_right, left, right), (out.to_left, right, left)):
        if name not in source.values:
            continue
        bases = (out.left_base, out.right_base) if source is left else (out.right_base, out.left_base)
        if not writes:
            bases[0].setdefault(name, source.values[name])
            continue
        bases[0][name] = source.values[name]
        if name in target.writable and name in target.arriving:
            writes[name], out.why[name] = source.values[name], "travels with the values it belongs to"
            bases[1][name] = target.arriving[name]


def _verdict(
    name: str, rule: FieldPolicy, policy: EntityPolicy, left: SideView, right: SideView, choices: Mapping[str, Side]
) -> Decision:
    if name in choices:
        return Decision(choices[name], f"a person chose the {choices[name]} value")
    if name not in left.base and name not in right.base:
        return _first_match(name, rule, policy, left, right)
    left_moved = not same(left.values[name], left.base.get(name))
    right_moved = not same(right.values[name], right.base.get(name))
    if not left_moved and not right_moved:
        return Decision("keep")
    if _equal(name, left, right):
        return Decision("agree", "both sides say the same")
    if left_moved and right_moved:
        return _settle(name, rule, left, right)
    mover: Side = "left" if left_moved else "right"
    if rule.strict and rule.rule in (Rule.LEFT, Rule.RIGHT) and rule.rule.value != mover:
        owner = left if mover == "right" else right
        if rule.empties is Empties.KEEP and is_empty(owner.values[name]):
            return Decision("agree", f"filled on the {mover} only, where the {other(mover)} says nothing")
        return Decision(other(mover), f"changed on the {mover} only; {other(mover)} owns it strictly and is put back")
    mine, theirs = (left, right) if mover == "left" else (right, left)
    if rule.empties is Empties.KEEP and is_empty(mine.values[name]) and not is_empty(theirs.values[name]):
        return Decision("agree", f"emptied on the {mover} only; an empty never replaces a value")
    return Decision(mover, f"changed on the {mover} only")


def _first_match(name: str, rule: FieldPolicy, policy: EntityPolicy, left: SideView, right: SideView) -> Decision:
    if _equal(name, left, right):
        return Decision("agree", "both sides say the same")
    if is_empty(left.values[name]):
        return Decision("right", "first meeting: empty on the left")
    if is_empty(right.values[name]):
        return Decision("left", "first meeting: empty on the right")
    if rule.rule is Rule.NEWEST:
        return Decision(policy.first_match_owner, f"first meeting: {policy.first_match_owner} decides what differs")
    return _owner(rule.rule, "first meeting, different")


def _settle(name: str, rule: FieldPolicy, left: SideView, right: SideView) -> Decision:
    if rule.empties is Empties.KEEP and is_empty(left.values[name]) != is_empty(right.values[name]):
        filled: Side = "right" if is_empty(left.values[name]) else "left"
        return Decision(filled, "both sides changed; an empty never replaces a value")
    if rule.rule is not Rule.NEWEST:
        return _owner(rule.rule, "both sides changed")
    later = _later(left, right)
    if later is not None:
        return Decision(later, f"both sides changed; {later} came later")
    return _owner(rule.otherwise, "both sides changed and neither is surely later")


def _later(left: SideView, right: SideView) -> Side | None:
    """The side whose edit surely came after the other's, or None when the observation intervals overlap."""
    if left.seen_at and right.changed_at and left.seen_at >= right.changed_at + MARGIN:
        return "left"
    if right.seen_at and left.changed_at and right.seen_at >= left.changed_at + MARGIN:
        return "right"
    return None


def _owner(rule: Rule, found: str) -> Decision:
    if rule in (Rule.LEFT, Rule.RIGHT):
        side: Side = "left" if rule is Rule.LEFT else "right"
        return Decision(side, f"{found}; {side} owns it")
    return Decision("ask", f"{found}; the Policy is to ask")


def _equal(name: str, left: SideView, right: SideView) -> bool:
    """Whether either side's value, carried over, would read as what the other side has."""
    return (name in right.arriving and same(right.arriving[name], right.values[name])) or (
        name in left.arriving and same(left.arriving[name], left.values[name])
    )


def _agree(out: Merged, name: str, left: SideView, right: SideView) -> None:
    out.left_base[name] = left.values[name]
    out.right_base[name] = right.values[name]


def _carry(out: Merged, name: str, rule: FieldPolicy, winner: Side, left: SideView, right: SideView) -> None:
    source, target = (left, right) if winner == "left" else (right, left)
    if rule.direction not in ("both", "to_right" if winner == "left" else "to_left") or name not in target.writable:
        # The edit stays where it was made: it is accepted as this side's own value and never travels.
        _agree(out, name, left, right)
        out.notes[name] = out.why[name] = f"kept on the {winner} side only"
        return
    if name not in target.arriving:
        out.notes[name] = "cannot be expressed on the other side"
        return
    if same(target.arriving[name], target.values[name]):
        _agree(out, name, left, right)
        return
    writes, bases = (
        (out.to_right, (out.left_base, out.right_base))
        if winner == "left"
        else (
            out.to_left,
            (out.right_base, out.left_base),
        )
    )
    writes[name] = source.values[name]
    bases[0][name] = source.values[name]
    bases[1][name] = target.arriving[name]
