"""The Sweep: compares every Link and both sets of records, repairs by the same plan, and measures consistency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.model.canonical import Value, encode
from isthmus.model.policy import Side, other
from isthmus.store import changes, letters
from isthmus.sync.gather import display_name
from isthmus.sync.merge import policy_of, same
from isthmus.sync.pair import EntityBinding
from isthmus.sync.plan import Plan
from isthmus.sync.work import Item

_SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One disagreement: a record missing on a side, or a field that differs, with the cause as far as it is known."""

    entity: str
    left: str | None
    right: str | None
    name: str
    cause: str
    field: str | None = None
    left_value: Any = None
    right_value: Any = None


@dataclass(slots=True)
class Consistency:
    """Fields in agreement ÷ fields compared; a record that is missing, unlinked or held counts with all its fields."""

    compared: int = 0
    agreed: int = 0
    records: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def figure(self) -> float:
        """The consistency figure, 0 to 1; 1 when there was nothing to compare."""
        return self.agreed / self.compared if self.compared else 1.0


def compare(entity: EntityBinding, plans: Sequence[Plan]) -> Consistency:
    """Compare what a survey read. Fields that may not travel, or that only one side has, are not compared."""
    out = Consistency()
    shared = comparable(entity)
    for one in plans:
        item = one.item
        if item.link is None and not one.links and one.reason:
            continue  # outside the agreement: archived, out of scope, or not to be created
        out.records += 1
        out.compared += len(shared)
        if item.left.record is None or item.right.record is None or (item.link is None and not one.links):
            _whole(out, entity, one, len(shared))
            continue
        for name in shared:
            left, right = item.left.values.get(name), item.right.values.get(name)
            if name in item.left.blocked or name in item.right.blocked:
                _field(out, entity, one, name, left, right, one.error.kind if one.error else "Unreadable")
            elif _agrees(entity, item, name):
                out.agreed += 1
            else:
                conflict = any(c.field == name for c in one.conflicts)
                _field(out, entity, one, name, left, right, "Conflict" if conflict else _cause(one, name))
    return out


def repairs(
    entity: EntityBinding, plans: Sequence[Plan], waiting: letters.Waiting, source: str = "sweep"
) -> list[changes.NewEvent]:
    """The records a lane has to look at again: what it would write or note down, and what waits without a cause.

    What waits for a person already, and rightly so, is left alone.
    """
    found = {
        (p.item.origin, p.item.seen(p.item.origin).key or ""): None for p in plans if _to_repair(p, entity, waiting)
    }
    rightly = {(side, p.item.seen(side).key) for p in plans if p.error is not None or p.hidden for side in _SIDES}
    for name, told, key in sorted(waiting.held, key=str):
        side: Side = "left" if told == "left" else "right"
        if name == entity.name and key and (side, key) not in rightly:
            found[side, key] = None
    return [
        changes.NewEvent(pair_id=entity.pair_id, entity=entity.name, side=side, key=key, source=source)
        for side, key in found
    ]


def _to_repair(one: Plan, entity: EntityBinding, waiting: letters.Waiting) -> bool:
    """Whether a lane would act on this, or only now see that it waits for a person or does so no more."""
    if one.hidden:
        return False
    if one.writes or one.links or one.tombstone or one.needs:
        return True
    item = one.item
    if one.error is not None:
        return not any((entity.name, side, item.seen(side).key) in waiting.held for side in _SIDES)
    if item.link is None:
        return False
    told = {field for link, field in waiting.disputed if link == item.link.id} if item.disputed else set()
    if told != {conflict.field for conflict in one.conflicts}:
        return True
    # A Base that lags behind would make the next edit look like one of two.
    return _moves(item.link.left_base, one.left_base) or _moves(item.link.right_base, one.right_base)


def _moves(stored: Mapping[str, Value], now: Mapping[str, Value]) -> bool:
    return any(name not in stored or value != stored[name] for name, value in now.items())


def comparable(entity: EntityBinding) -> list[str]:
    """Fields that both sides read and that may travel at least one way."""
    out = []
    both = entity.left.mapping.readable & entity.right.mapping.readable & entity.canonical.fields.keys()
    for name in sorted(both - {entity.canonical.as_of}):
        direction = policy_of(entity.canonical, entity.policy, name).direction
        to_right = direction in ("both", "to_right") and name in entity.right.mapping.writable
        to_left = direction in ("both", "to_left") and name in entity.left.mapping.writable
        if to_right or to_left:
            out.append(name)
    return out


def _agrees(entity: EntityBinding, item: Item, name: str) -> bool:
    left, right = item.left.values.get(name), item.right.values.get(name)
    if same(left, right):
        return True
    link = item.link
    based = link is not None and name in link.left_base and name in link.right_base
    if based and link is not None and same(left, link.left_base[name]) and same(right, link.right_base[name]):
        # Neither side moved since both agreed: what differs is a rounding, a unit, or a rate that moved meanwhile.
        return True
    for side in _SIDES:
        arriving = entity.side(side).mapping.project(item.seen(other(side)).values, [name], item.seen(side).raw)
        if name in arriving and same(arriving[name], item.seen(side).values.get(name)):
            return True
    return False


def _cause(one: Plan, name: str) -> str:
    if one.error is not None:
        return one.error.kind
    if any(name in w.fields for w in one.writes):
        return "Missed"
    return "Accepted"


def _whole(out: Consistency, entity: EntityBinding, one: Plan, size: int) -> None:
    item = one.item
    cause = one.error.kind if one.error else "Missing left" if item.left.record is None else "Missing right"
    out.causes[cause] += 1
    out.differences.append(
        Difference(
            entity=entity.name,
            left=item.left.key,
            right=item.right.key,
            name=display_name(item.left.values or item.right.values),
            cause=cause,
        )
    )


def _field(
    out: Consistency, entity: EntityBinding, one: Plan, name: str, left: Value, right: Value, cause: str
) -> None:
    plain = encode({"left": left, "right": right})
    out.causes[cause] += 1
    out.differences.append(
        Difference(
            entity=entity.name,
            left=one.item.left.key,
            right=one.item.right.key,
            name=display_name(one.item.left.values or one.item.right.values),
            cause=cause,
            field=name,
            left_value=plain["left"],
            right_value=plain["right"],
        )
    )
