"""Deciding: from both sides of one Item to create, update, nothing, conflict, hold or wait. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from isthmus.errors import Ambiguous, DependencyMissing, InvalidRecord, IsthmusError, MappingFailed, Unavailable
from isthmus.mapping.compiled import Problem
from isthmus.mapping.rules import check_rules
from isthmus.model.canonical import Ref, Value, encode
from isthmus.model.card import mask_all
from isthmus.model.policy import Deletes, Side, other
from isthmus.sync.merge import MARGIN, Merged, SideView, is_empty, merge, same
from isthmus.sync.pair import EntityBinding, SideBinding
from isthmus.sync.planned import Action, Plan, Write
from isthmus.sync.references import keys_on, unresolved
from isthmus.sync.totals import bring_together, origin_of
from isthmus.sync.work import Item, Seen

__all__ = ["Action", "Plan", "Write", "payload_of", "plan"]


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
            if found.named:
                return Plan(item=item, reason=f"{found.key} was named as its counterpart; it is not in scope yet")
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
    if entity.owners is not None:
        owner = _owner(entity, item)
        late = owner if isinstance(owner, IsthmusError) else _outdated(entity, item, owner)
        if isinstance(late, IsthmusError) or isinstance(owner, IsthmusError):
            return Plan(item=item, error=late)
        policy = entity.owners.policies[owner]
    if item.foreign_owner and entity.foreign_policy is not None:
        policy = entity.foreign_policy
    elif entity.by_origin:
        policy = entity.by_origin[origin_of(entity, item)]
    base = item.link
    merged = merge(
        entity.canonical,
        policy,
        _view(left, base.left_base if base else {}, entity.left, on_left, item),
        _view(right, base.right_base if base else {}, entity.right, on_right, item),
        choices={f: winner for f, winner in item.choices.items() if _as_shown(item, f, other(winner))},
    )
    out = _with_writes(entity, item, merged)
    if entity.canonical.totals is not None and out.error is None:
        bring_together(entity, item, policy, out)
    return out


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
    here = item.seen(side)
    given = keys_on(entity.canonical, values, item.partners, side) if entity.canonical.row_references() else None
    return entity.side(side).mapping.project(values, fields, here.raw, given=given, told=here.values)


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
    if entity.canonical.later and not all(isinstance(value, Ref) for value in values.values()):
        values = dict(values)
        _put_off(entity, values, out)
    needs = unresolved(full, values)
    if needs:
        _wait(entity, item, out, needs, other(side))
        return
    problems = check_rules(entity.rules, {**source.values, **values}, side)
    if _blocked(entity, item, out, side, problems):
        return
    given = keys_on(entity.canonical, full, item.partners, side)
    result = entity.side(side).mapping.write(given, values.keys(), target.raw)
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
    if entity.owners is not None:
        owner = _owner(entity, item)
        if isinstance(owner, IsthmusError):
            out.error = owner
            return out
        if owner != item.origin:
            out.reason = f"{entity.owners.field} {source.values[entity.owners.field]} is the {owner} side's to tell of"
            return out
    mapping = entity.side(side).mapping
    when = entity.side(side).create_when
    if when is not None and when(source.values) is not True:
        out.reason = f"records are created on the {side} side only where {when.source}"
        return out
    values = {n: v for n, v in source.values.items() if n in mapping.writable and not is_empty(v)}
    _put_off(entity, values, out)
    needs = unresolved(values, values)
    if needs:
        _wait(entity, item, out, needs, item.origin)
        return out
    if _blocked(entity, item, out, side, check_rules(entity.rules, source.values, side)):
        return out
    result, arriving = mapping.create(values, keys_on(entity.canonical, values, item.partners, side), values.keys())
    if _blocked(entity, item, out, side, result.problems):
        return out
    # Fields left empty agree as empty; fields the other side fills by itself have no Base yet and are looked at again.
    empty = {n: v for n, v in source.values.items() if n in mapping.writable and is_empty(v)}
    mine = {**{n: source.values[n] for n in arriving}, **empty}
    theirs = {**arriving, **dict.fromkeys(empty)}
    if entity.canonical.as_of in source.values:
        # Also where the other side has no place for it: what is older than this is not taken over later.
        mine[entity.canonical.as_of] = source.values[entity.canonical.as_of]
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


def _owner(entity: EntityBinding, item: Item) -> Side | IsthmusError:
    """The side that owns the record, or what keeps that from being told."""
    owners = entity.owners
    assert owners is not None
    found = {str(v) for s in _SIDES if not is_empty(v := item.seen(s).values.get(owners.field))}
    sides = {owners.of(value) for value in found}
    if len(sides) == 1 and (side := sides.pop()) is not None:
        return side
    told = " and ".join(sorted(found)) or "nothing"
    return InvalidRecord(
        f"finding out who owns {entity.name} {item.name}",
        record=item.seen(item.origin).key,
        answered=f"its {owners.field} is {told}, for which the pair names no one owner",
        hint=f"Name it in pair.yaml below entities.{entity.name}.owners, left or right; then apply and retry.",
        facts={"field": owners.field, "values": sorted(found), "side": item.origin},
    )


def _outdated(entity: EntityBinding, item: Item, owner: Side) -> IsthmusError | None:
    """What is wrong with taking over a record that is as of an earlier moment than what was agreed last."""
    name = entity.canonical.as_of
    if name is None or item.link is None:
        return None
    now, agreed = item.seen(owner).values.get(name), item.link.base(owner).get(name)
    if not isinstance(now, datetime) or not isinstance(agreed, datetime) or now >= agreed - MARGIN:
        return None
    return InvalidRecord(
        f"reading {entity.name} {item.seen(owner).key} from {entity.side(owner).connection}",
        record=item.seen(owner).key,
        answered=f"it is as of {now:%Y-%m-%d %H:%M:%S} UTC, older than the {agreed:%Y-%m-%d %H:%M:%S} UTC agreed last",
        hint="An older state never overwrites a newer one. Once a newer one is read, this closes by itself.",
        facts={"side": owner, "as_of": now.isoformat(), "agreed": agreed.isoformat()},
    )


def _put_off(entity: EntityBinding, values: dict[str, Value], out: Plan) -> None:
    """Take out of `values` the references that may follow later and whose target is not linked yet."""
    for name in entity.canonical.later:
        if isinstance(value := values.get(name), Ref):
            out.later.append(value)
            del values[name]


def _wait(entity: EntityBinding, item: Item, out: Plan, refs: Sequence[Ref], side: Side) -> None:
    out.needs = tuple((ref.entity, side, ref.key) for ref in refs)
    told = ", ".join(f"{ref.entity} {ref.key}" for ref in refs)
    out.error = DependencyMissing(
        f"writing {entity.name} {item.name}",
        record=item.seen(item.origin).key,
        answered=f"it refers to {told} on the {side} side, which is not linked yet",
        hint=f"Bring {told} into scope or correct it; this record then follows by itself.",
        facts={"needs": f"{refs[0].entity}:{side}:{refs[0].key}", "side": side},
    )


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
