"""What the two sides may say in the end, worked out from the edits and the Policy alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from isthmus.model.policy import Empties, FieldPolicy, Rule, Side


class State(NamedTuple):
    """One field of one record: what each side says, and what each said when they last agreed."""

    left: Any
    right: Any
    left_base: Any
    right_base: Any

    @property
    def moved(self) -> tuple[bool, bool]:
        return self.left != self.left_base, self.right != self.right_base

    @property
    def disputed(self) -> bool:
        return all(self.moved) and self.left != self.right


def agreed(left: Any, right: Any) -> State:
    return State(left, right, left, right)


def edit(state: State, side: Side, value: Any) -> State:
    return state._replace(left=value) if side == "left" else state._replace(right=value)


def carry(state: State, winner: Side, policy: FieldPolicy) -> State:
    """The winner's value travels, if the Policy lets it; otherwise each side keeps its own."""
    if policy.direction not in ("both", "to_right" if winner == "left" else "to_left"):
        return agreed(state.left, state.right)
    value = state.left if winner == "left" else state.right
    return agreed(value, value)


def look(state: State, policy: FieldPolicy) -> set[State]:
    """Every state that one look at both sides may end in."""
    left_moved, right_moved = state.moved
    if not left_moved and not right_moved:
        return {state}
    if state.left == state.right:
        return {agreed(state.left, state.right)}
    if left_moved and right_moved:
        if policy.empties is Empties.KEEP and (state.left == "") != (state.right == ""):
            return {carry(state, "right" if state.left == "" else "left", policy)}
        winners: dict[Rule, tuple[Side, ...]] = {
            Rule.LEFT: ("left",),
            Rule.RIGHT: ("right",),
            Rule.NEWEST: ("left", "right"),
        }
        return {carry(state, w, policy) for w in winners[policy.rule]} if policy.rule in winners else {state}
    mover: Side = "left" if left_moved else "right"
    if policy.strict and policy.rule.value not in (mover, "newest", "ask"):
        return {carry(state, "right" if mover == "left" else "left", policy)}
    if policy.empties is Empties.KEEP and (state.left if left_moved else state.right) == "":
        return {agreed(state.left, state.right)}
    return {carry(state, mover, policy)}


class Field:
    """Every state one field of one record may be in by now: a look may have come between any two edits, or not."""

    def __init__(self, value: Any, policy: FieldPolicy) -> None:
        self.policy = policy
        self.states = {agreed(value, value)}

    def edit(self, side: Side, value: Any) -> None:
        self.states = {edit(s, side, value) for state in self.states for s in {state} | look(state, self.policy)}

    def rest(self) -> set[State]:
        """The states after both sides were looked at until nothing moved any more."""
        return {s for state in self.states for s in look(state, self.policy)}

    def found(self, left: Any, right: Any) -> State | None:
        """Go on from what was really found at rest; None when that could not be."""
        fits = [s for s in self.rest() if (s.left, s.right) == (left, right)]
        self.states = set(fits)
        return fits[0] if fits else None
