"""Documents that both systems calculate: totals are compared, a difference is settled as the pair says. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from isthmus.errors import InvalidRecord
from isthmus.model.canonical import Totals, Value, plain_decimal
from isthmus.model.policy import EntityPolicy, Rule, Side, other
from isthmus.sync.merge import policy_of
from isthmus.sync.pair import EntityBinding
from isthmus.sync.planned import Plan, Write
from isthmus.sync.references import keys_on
from isthmus.sync.work import Item

_FINEST = Decimal("0.0001")
"""Prices are kept to four places at the finest."""


def origin_of(entity: EntityBinding, item: Item) -> Side:
    """The side on which a record was made: a record that carries an external key of ours was made from the other.

    Where neither does, the left one was made by us from the right, or both were there before: the right side counts.
    """
    right = item.right.record
    if right is not None:
        return "left" if entity.minted(right.external_key) else "right"
    return "left" if item.origin == "left" else "right"


def bring_together(entity: EntityBinding, item: Item, policy: EntityPolicy, out: Plan) -> None:
    """Compare the totals as read on both sides; hold the record, or add the write that makes them equal.

    The side that owns the lines is right about the totals. Nothing is said while lines are still to be written.
    """
    told = entity.canonical.totals
    assert told is not None
    owner = _owner(entity, policy, told)
    target = other(owner)
    if any(told.lines in write.fields or told.rounding in write.fields for write in out.writes):
        return
    found = _differences(item, told, owner)
    total = told.compared[-1]
    difference = found.get(total, Decimal(0))
    if abs(difference) <= policy.totals.tolerance:
        return
    why = "the pair rejects any difference"
    if policy.totals.differences != "reject":
        why = f"more than the {plain_decimal(policy.totals.most)} that may be settled"
        if abs(difference) <= policy.totals.most:
            write = _settled(entity, item, policy, told, target, difference)
            if write is not None:
                out.writes = [w for w in out.writes if w.side != target] + _with(out, write)
                return
            why = "and nothing on that side can take the difference"
    out.writes.clear()
    out.error = _differ(entity, item, told, owner, why)


def _with(out: Plan, write: Write) -> list[Write]:
    """The write alone: what else is to be written on that side waits for the next look, which follows at once."""
    return [write]


def _owner(entity: EntityBinding, policy: EntityPolicy, told: Totals) -> Side:
    rule = policy_of(entity.canonical, policy, told.lines or told.compared[-1]).rule
    return "right" if rule is Rule.RIGHT else "left"


def _differences(item: Item, told: Totals, owner: Side) -> dict[str, Decimal]:
    source, target = item.seen(owner).values, item.seen(other(owner)).values
    out = {}
    for name in told.compared:
        a, b = source.get(name), target.get(name)
        if isinstance(a, Decimal) and isinstance(b, Decimal):
            out[name] = a - b
    return out


def _settled(
    entity: EntityBinding, item: Item, policy: EntityPolicy, told: Totals, target: Side, difference: Decimal
) -> Write | None:
    """The write that makes the totals equal, or None where nothing can take the difference."""
    now = item.seen(target).values
    writable = entity.side(target).mapping.writable
    values: dict[str, Value]
    if policy.totals.differences == "rounding_line":
        if told.rounding is None or told.rounding not in writable:
            return None
        before = now.get(told.rounding)
        values = {told.rounding: (before if isinstance(before, Decimal) else Decimal(0)) + difference}
    else:
        lines = _adjusted(now.get(told.lines or ""), told, difference)
        if told.lines is None or lines is None or told.lines not in writable:
            return None
        values = {told.lines: lines}
    raw = item.seen(target).raw
    full = keys_on(entity.canonical, {**now, **values}, item.partners, target)
    result = entity.side(target).mapping.write(full, values.keys(), raw)
    payload = {path: value for path, value in result.values.items() if raw.get(path) != value}
    if not payload or any(problem.severity == "block" for problem in result.problems):
        return None
    bases = {target: dict(values), other(target): {n: item.seen(other(target)).values.get(n) for n in values}}
    return Write(
        side=target,
        action="update",
        payload=payload,
        fields=values,
        expect={path: raw.get(path) for path in payload},
        before={name: now.get(name) for name in values},
        left_base=bases["left"],
        right_base=bases["right"],
        why=dict.fromkeys(values, f"the totals differ by {plain_decimal(difference)}, which this settles"),
    )


def _adjusted(lines: Any, told: Totals, difference: Decimal) -> list[dict[str, Any]] | None:
    """The lines with the difference in the price of one that is without tax and discount and can hold it exactly."""
    if not isinstance(lines, list):
        return None
    for n, line in enumerate(lines):
        quantity, price = line.get(told.quantity), line.get(told.price)
        if not isinstance(quantity, Decimal) or not isinstance(price, Decimal) or not quantity:
            continue
        if line.get("tax_code") or line.get("discount_percent") or line.get("discount_amount"):
            continue
        step = (difference / quantity).quantize(_FINEST)
        if step * quantity == difference:
            amount = line.get(told.amount)
            own = {told.amount: amount + difference} if isinstance(amount, Decimal) else {}
            return [*lines[:n], {**line, told.price: price + step, **own}, *lines[n + 1 :]]
    return None


def _differ(entity: EntityBinding, item: Item, told: Totals, owner: Side, why: str) -> InvalidRecord:
    def shown(side: Side) -> dict[str, str]:
        values = item.seen(side).values
        return {n: plain_decimal(v) for n in told.compared if isinstance(v := values.get(n), Decimal)}

    source, target = entity.side(owner), entity.side(other(owner))
    parts = "; ".join(
        f"{name} {shown(owner).get(name, '-')} in {source.connection}, "
        f"{shown(other(owner)).get(name, '-')} in {target.connection}"
        for name in told.compared
    )
    return InvalidRecord(
        f"comparing the totals of {entity.name} {item.name}",
        record=item.seen(owner).key,
        answered=f"{parts}: {why}",
        hint=(
            "Correct taxes, prices or look-up tables until both calculate the same; this closes by itself then. "
            f"Small differences can be settled: `totals` of {entity.name} in the pair file."
        ),
        facts={"left": shown("left"), "right": shown("right"), "side": owner},
    )
