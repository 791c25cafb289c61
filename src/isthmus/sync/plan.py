"""Deciding: from both sides of one Item to create, update, nothing, conflict, hold or wait. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from isthmus.errors import Ambiguous, DependencyMissing, InvalidRecord, IsthmusError, MappingFailed, Unavailable
from isthmus.mapping.compiled import Problem
from isthmus.mapping.rules import check_rules
from isthmus.model.canonical import Ref, Value, encode
from isthmus.model.card import mask_all
from isthmus.model.policy import Deletes, Side, other
from isthmus.sync.merge import FieldConflict, Merged, SideView, is_empty, merge, same
from isthmus.sync.pair import EntityBinding, SideBinding
from isthmus.sync.work import Item, Seen

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write to one side: raw values to send, the canonical fields they carry, what they replace, and why."""

    side: Side
    action: Action
    payload: Mapping[str, Any]
    fields: Mapping[str, Value]
    expect: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Value] = field(default_factory=dict)
    left_base: Mapping[str, Value] = field(default_factory=dict)
    right_base: Mapping[str, Value] = field(default_factory=dict)
    tombstone: bool = False
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Plan:
    """What is to be done with one Item.

    `left_base` and `right_base` hold the fields that agree without a write; a Write brings its own Bases, which
    count only once it is confirmed. `error` holds or delays the record; `needs` is the record it waits for.
    `alias` is the record that this one was merged into: its key leads there from now on. `hidden`: a side could not
    be seen, so that nothing was compared and nothing is settled. `alone`: the survivor is left as it is and gets no new
    counterpart until it was archived once and restored, which is what `returns` notes.
    """

    item: Item
    writes: list[Write] = field(default_factory=list)
    left_base: dict[str, Value] = field(default_factory=dict)
    right_base: dict[str, Value] = field(default_factory=dict)
    conflicts: list[FieldConflict] = field(default_factory=list)
    links: bool = False
    tombstone: bool = False
    hidden: bool = False
    alone: bool = False
    returns: bool = False
    alias: tuple[Side, str] | None = None
    error: IsthmusError | None = None
    needs: tuple[str, Side, str] | None = None
    reason: str = ""
    warnings: list[str] = field(default_factory=list)


def plan(entity: EntityBinding, item: Item) -> Plan:
    """Decide what to do with one Item; never raises for a record's own trouble."""
    return _as_told(_decide(entity, item))


def _as_told(out: Plan) -> Plan:
    """What a person put in place of a record's own value is for the other side: the Base keeps what the record says."""
    left, right = out.item.left.told, out.item.right.told
    if left or right:
        out.left_base, out.right_base = _instead(out.left_base, left), _instead(out.right_base, right)
        out.writes = [
            replace(
                w,
                left_base=_instead(w.left_base, left if w.side == "right" else {}),
                right_base=_instead(w.right_base, right if w.side == "left" else {}),
            )
            for w in out.writes
        ]
    return out


def _instead(base: Mapping[str, Value], told: Mapping[str, Value]) -> dict[str, Value]:
    return {name: told.get(name, value) for name, value in base.items()}


def _decide(entity: EntityBinding, item: Item) -> Plan:
    if item.trouble is not None:
        return Plan(item=item, error=item.trouble)
    if item.link is not None:
        gone = [s for s in _SIDES if item.seen(s).record is None]
        if gone:
            return _plan_missing(entity, item, gone)
        return _plan_merge(entity, item)
    source = item.seen(item.origin)
    if source.record is None:
        return Plan(item=item, reason="out of scope, or no longer there")
    if entity.side(item.origin).adopt == "linked":
        return Plan(item=item, reason="only records that are linked already take part")
    if item.generation > 1 and not source.record.active:
        return Plan(item=item, reason="its counterpart was deleted and it is archived", returns=item.alone)
    found = item.match
    if item.alone and (found is None or found.verdict != "certain"):
        return Plan(item=item, reason="its counterpart was deleted or undone; archive and restore it to make another")
    if found is not None and found.verdict == "uncertain":
        return Plan(item=item, error=_ambiguous(entity, item, found.why, found.rivals))
    if found is not None and found.verdict == "certain":
        if item.seen(other(item.origin)).record is None:
            return Plan(item=item, error=_ambiguous(entity, item, "its counterpart cannot be read", (found.key or "",)))
        merged = _plan_merge(entity, item)
        merged.links = merged.error is None
        return merged
    return _plan_create(entity, item)


_SIDES: tuple[Side, Side] = ("left", "right")


def _ambiguous(entity: EntityBinding, item: Item, why: str, rivals: Sequence[str]) -> Ambiguous:
    return Ambiguous(
        f"finding the counterpart of {entity.name} {item.name}",
        record=item.seen(item.origin).key,
        answered=f"{why} ({', '.join(r for r in rivals if r)})",
        hint="Merge the duplicates, or make the keys differ, then retry; `isthmus deadletters show` lists the rivals.",
        facts={"rivals": list(rivals)},
    )


def _view(
    seen: Seen, base: Mapping[str, Value], binding: SideBinding, arriving: Mapping[str, Value], item: Item
) -> SideView:
    link = item.link
    return SideView(
        values=seen.values,
        base=base,
        arriving=arriving,
        seen_at=link.seen_at(binding.side) if link else None,
        changed_at=seen.record.changed_at if seen.record else None,
        writable=binding.mapping.writable,
    )


def _plan_merge(entity: EntityBinding, item: Item) -> Plan:
    left, right = item.left, item.right
    both = left.values.keys() & right.values.keys()
    on_left = _arriving(entity, item, "left", both)
    on_right = _arriving(entity, item, "right", both)
    policy = entity.policy
    if item.foreign_owner and entity.foreign_policy is not None:
        policy = entity.foreign_policy
    base = item.link
    merged = merge(
        entity.canonical,
        policy,
        _view(left, base.left_base if base else {}, entity.left, on_left, item),
        _view(right, base.right_base if base else {}, entity.right, on_right, item),
        choices={f: winner for f, winner in item.choices.items() if _as_shown(item, f, other(winner))},
    )
    return _with_writes(entity, item, merged)


def _as_shown(item: Item, name: str, loser: Side) -> bool:
    """Whether the value that a person gave up is still the one they saw; a newer edit is for them to decide again."""
    return same(mask_all(encode({name: item.seen(loser).values.get(name)}))[name], item.given_up.get(name))


def _arriving(entity: EntityBinding, item: Item, side: Side, fields: Collection[str]) -> dict[str, Value]:
    """What the other side's values would read back as on this side, references by Link."""
    values = item.seen(other(side)).values
    link = item.link
    if link is not None:
        # Only what moved on either side since the Base can travel: the rest needs no projection.
        fields = [
            f
            for f in fields
            if f not in link.left_base
            or item.left.values[f] != link.left_base[f]
            or f not in link.right_base
            or item.right.values[f] != link.right_base[f]
        ]
    if not fields:
        return {}
    return entity.side(side).mapping.project(values, fields, item.seen(side).raw)


def _with_writes(entity: EntityBinding, item: Item, merged: Merged) -> Plan:
    out = Plan(item=item, conflicts=merged.conflicts)
    out.warnings.extend(f"{name}: {note}" for name, note in merged.notes.items())
    written = merged.to_left.keys() | merged.to_right.keys()
    out.left_base = {n: v for n, v in merged.left_base.items() if n not in written}
    out.right_base = {n: v for n, v in merged.right_base.items() if n not in written}
    for side, values in (("left", merged.to_left), ("right", merged.to_right)):
        if values:
            _add_update(entity, item, out, side, values, merged)  # type: ignore[arg-type]  # literal sides
        if out.error is not None:
            return out
    return out


def _add_update(
    entity: EntityBinding, item: Item, out: Plan, side: Side, values: Mapping[str, Value], merged: Merged
) -> None:
    """Add the update of one side: only the fields that differ, with what we last read of them as expectation."""
    target, source = item.seen(side), item.seen(other(side))
    full = {**source.values, **target.values, **values}
    needs = _unresolved(full, values)
    if needs is not None:
        _wait(entity, item, out, needs, other(side))
        return
    problems = check_rules(entity.rules, {**source.values, **values}, side)
    if _blocked(entity, item, out, side, problems):
        return
    result = entity.side(side).mapping.write(_with_refs(entity, full, item, side), values.keys(), target.raw)
    if _blocked(entity, item, out, side, result.problems):
        return
    payload = {p: v for p, v in result.values.items() if target.raw.get(p) != v}
    if not payload:
        # Nothing would change over there: the field cannot hold the difference, so both count as agreed.
        for name in values:
            out.left_base[name], out.right_base[name] = item.left.values[name], item.right.values[name]
        return
    out.writes.append(
        Write(
            side=side,
            action="update",
            payload=payload,
            fields=dict(values),
            expect={p: target.raw.get(p) for p in payload},
            before={n: target.values.get(n) for n in values},
            left_base={n: merged.left_base[n] for n in values},
            right_base={n: merged.right_base[n] for n in values},
            why={n: merged.why[n] for n in values},
        )
    )


def _plan_create(entity: EntityBinding, item: Item) -> Plan:
    out = Plan(item=item)
    source, side = item.seen(item.origin), other(item.origin)
    if not (entity.policy.create_left if side == "left" else entity.policy.create_right):
        out.reason = f"records are not created on the {side} side"
        return out
    assert source.record is not None
    if not source.record.active:
        out.reason = "archived records are not created on the other side"
        return out
    mapping = entity.side(side).mapping
    values = {n: v for n, v in source.values.items() if n in mapping.writable and not is_empty(v)}
    needs = _unresolved(values, values)
    if needs is not None:
        _wait(entity, item, out, needs, item.origin)
        return out
    if _blocked(entity, item, out, side, check_rules(entity.rules, source.values, side)):
        return out
    result, arriving = mapping.create(values, _with_refs(entity, values, item, side), values.keys())
    if _blocked(entity, item, out, side, result.problems):
        return out
    # Fields left empty agree as empty; fields the other side fills by itself have no Base yet and are looked at again.
    empty = {n: v for n, v in source.values.items() if n in mapping.writable and is_empty(v)}
    mine = {**{n: source.values[n] for n in arriving}, **empty}
    theirs = {**arriving, **dict.fromkeys(empty)}
    bases = (mine, theirs) if item.origin == "left" else (theirs, mine)
    out.writes.append(
        Write(
            side=side,
            action="create",
            payload=result.values,
            fields=values,
            left_base=bases[0],
            right_base=bases[1],
            why=dict.fromkeys(values, f"new: there is no counterpart on the {side}"),
        )
    )
    return out


def _plan_missing(entity: EntityBinding, item: Item, gone: Sequence[Side]) -> Plan:
    out = Plan(item=item)
    unproven = [s for s in gone if item.seen(s).existence is None]
    if unproven:
        out.error = Unavailable(
            f"finding out whether {entity.name} {item.seen(unproven[0]).key} still exists on the {unproven[0]} side",
            record=item.seen(unproven[0]).key,
        )
        return out
    if any(item.seen(s).existence for s in gone):
        out.hidden = True
        out.reason = "hidden from us there (scope or rights); that is not a deletion"
        return out
    if len(gone) == 2:
        out.tombstone, out.reason = True, "deleted on both sides"
        out.alias = item.survivor
        return out
    side = gone[0]
    kept = item.seen(other(side)).record
    if item.survivor is not None and kept is not None and not kept.active:
        out.tombstone, out.reason = True, f"it was merged into {item.survivor[1]} and its counterpart is archived"
        out.alias = item.survivor
        return out
    if item.survivor is not None:
        out.error = Ambiguous(
            f"following {entity.name} {item.seen(side).key} on the {side} side",
            record=item.seen(side).key,
            answered=f"it was merged into {item.survivor[1]}",
            hint=(
                "Merge the counterparts on the other side as well, or archive the one that is left over; nothing is "
                "written until then, and this closes by itself."
            ),
            facts={"survivor": item.survivor[1], "side": side},
        )
        return out
    return _release(entity, item, out, other(side))


def _release(entity: EntityBinding, item: Item, out: Plan, side: Side) -> Plan:
    """Do to the surviving side what the deletes Policy says."""
    survivor = item.seen(side)
    assert survivor.record is not None
    status = entity.canonical.status_field
    policy = entity.policy.deletes
    binding = entity.side(side)
    if policy is Deletes.DELETE and binding.connector.traits.can_delete:
        out.writes.append(
            Write(
                side=side,
                action="delete",
                payload={},
                fields={},
                before=dict(survivor.values),
                tombstone=True,
                why={"*": f"deleted on the {other(side)}; the Policy is to delete"},
            )
        )
    elif policy is not Deletes.IGNORE and survivor.record.active and status and status in binding.mapping.writable:
        values: dict[str, Value] = {status: False}
        result = binding.mapping.write({**survivor.values, **values}, [status], survivor.raw)
        out.writes.append(
            Write(
                side=side,
                action="update",
                payload=result.values,
                fields=values,
                expect={p: survivor.raw.get(p) for p in result.values},
                before={status: survivor.values.get(status)},
                tombstone=True,
                why={status: f"deleted on the {other(side)}; the Policy is to archive"},
            )
        )
    else:
        out.tombstone, out.alone = True, survivor.record.active
        out.reason = f"deleted on the {other(side)} side; the Policy leaves its counterpart as it is"
    return out


def _unresolved(values: Mapping[str, Value], fields: Collection[str]) -> Ref | None:
    return next((v for n in fields if isinstance(v := values.get(n), Ref)), None)


def _wait(entity: EntityBinding, item: Item, out: Plan, ref: Ref, side: Side) -> None:
    out.needs = (ref.entity, side, ref.key)
    out.error = DependencyMissing(
        f"writing {entity.name} {item.name}",
        record=item.seen(item.origin).key,
        answered=f"it refers to {ref.entity} {ref.key} on the {side} side, which is not linked yet",
        hint=f"Bring {ref.entity} {ref.key} into scope or correct it; this record then follows by itself.",
        facts={"needs": f"{ref.entity}:{side}:{ref.key}"},
    )


def _with_refs(entity: EntityBinding, values: Mapping[str, Value], item: Item, side: Side) -> dict[str, Value]:
    """Turn resolved references (Link ids) into references to the target side's own keys."""
    out = dict(values)
    for name, target in entity.canonical.references().items():
        value = values.get(name)
        if isinstance(value, int):
            key = item.partners.get(value, (None, None))[0 if side == "left" else 1]
            out[name] = Ref(target, key) if key else None
    return out


def _blocked(entity: EntityBinding, item: Item, out: Plan, side: Side, problems: Sequence[Problem]) -> bool:
    out.warnings.extend(f"{p.field}: {p.message}" for p in problems if p.severity != "block")
    blocking = [p for p in problems if p.severity == "block"]
    if not blocking:
        return False
    kind = MappingFailed if any(p.field not in item.seen(item.origin).values for p in blocking) else InvalidRecord
    out.error = kind(
        f"preparing {entity.name} {item.name} for {entity.side(side).connection}",
        record=item.seen(other(side)).key,
        answered="; ".join(f"{p.field}: {p.message}" for p in blocking),
        facts={"fields": {p.field: p.shown for p in blocking}, "side": other(side)},
    )
    out.writes.clear()
    return True


def payload_of(item: Item) -> dict[str, Any]:
    """What a DeadLetter keeps of the record: both sides in canonical values."""
    return {side: encode(item.seen(side).values) for side in _SIDES if item.seen(side).record is not None}
