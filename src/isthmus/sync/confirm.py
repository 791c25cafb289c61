"""One transaction that makes outcomes true here: Links, Bases, Intents, audit, Conflicts, dead letters, Changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import Conflicted, DependencyMissing, IsthmusError
from isthmus.model.canonical import Value, encode
from isthmus.model.policy import Side, other
from isthmus.sdk.connector import Failed, Gone, Outcome, Stale, Unsure, Written
from isthmus.store import auditlog, changes, expected, flows, intents, letters, links, runs
from isthmus.store.intents import Intent
from isthmus.sync import waking
from isthmus.sync.pair import EntityBinding
from isthmus.sync.plan import payload_of
from isthmus.sync.planned import Plan
from isthmus.sync.work import Item, Link

DEPENDENCY_TRIES = 8
"""Looks that a record waits for one it refers to, before it is held."""


MOVING_TRIES = 25
"""Looks after which a record that has always moved, or gone, when it is written to is held."""


@dataclass(slots=True, kw_only=True)
class Settled:
    """A plan with what became of its writes. `delay` is for a Change that has to be looked at again."""

    plan: Plan
    intents: Mapping[Side, Intent]
    outcomes: Mapping[Side, Outcome]
    delay: float


@dataclass(slots=True)
class _Books:
    """Everything one transaction will write, collected so that each table takes one statement."""

    new_links: list[tuple[links.NewLink, Settled]] = field(default_factory=list)
    moved: list[links.LinkUpdate] = field(default_factory=list)
    ends: list[intents.End] = field(default_factory=list)
    audit: list[auditlog.Entry] = field(default_factory=list)
    closes: list[changes.Close] = field(default_factory=list)
    held: list[letters.NewLetter] = field(default_factory=list)
    passed: list[tuple[str, str, str]] = field(default_factory=list)
    conflicts: list[letters.NewConflict] = field(default_factory=list)
    still_open: dict[int, list[str]] = field(default_factory=dict)
    hints: list[changes.NewEvent] = field(default_factory=list)
    linked: list[tuple[str, str]] = field(default_factory=list)
    aliases: list[tuple[str, str, str]] = field(default_factory=list)
    moved_on: list[str] = field(default_factory=list)
    returned: list[tuple[Side, str]] = field(default_factory=list)
    applied: list[flows.Applied] = field(default_factory=list)
    counts: dict[str, Any] = field(
        default_factory=lambda: {
            **dict.fromkeys(
                ("created", "linked", "updated", "deleted", "unchanged", "held", "conflicts", "again", "writes"), 0
            ),
            "kinds": {},
        }
    )


def confirm(
    conn: Connection,
    entity: EntityBinding,
    settled: Sequence[Settled],
    *,
    change_set_id: int | None,
    why: Mapping[str, Any],
) -> dict[str, Any]:
    """Write down what became of a batch; returns the counts of a Tally. The caller has checked its lease."""
    if any(one.plan.needs or one.plan.links or _creates(one) for one in settled):
        # A record that waits for another one is either seen by the lane that links that one, or sees the Link itself.
        conn.execute(_ONE_BY_ONE, {"key": f"confirm:{entity.pair_id}"})
    books = _Books()
    for one in settled:
        _book(books, entity, one, change_set_id, why)
    made = links.insert(conn, entity.pair_id, entity.name, [link for link, _ in books.new_links])
    for link, one in books.new_links:
        link_id = made.get((link.left_key, link.right_key))
        if link_id is not None:
            _after_linking(books, entity, one, link_id)
        else:
            _not_linked(books, one)
    expected.met(conn, entity.pair_id, entity.name, [left for left, _ in made])
    links.returned(conn, entity.pair_id, entity.name, books.returned)
    links.alias(conn, entity.pair_id, entity.name, books.aliases)
    links.update(conn, books.moved, loop_minutes=entity.policy.guard.loop_minutes)
    intents.end(conn, books.ends)
    auditlog.append(conn, books.audit)
    letters.open_letters(conn, entity.pair_id, books.held)
    letters.close_letters(conn, entity.pair_id, books.passed, by="a later success")
    letters.open_conflicts(conn, entity.pair_id, entity.name, books.conflicts)
    letters.close_conflicts(conn, books.still_open)
    closed = changes.close(conn, books.closes)
    books.hints.extend(waking.dependants(conn, entity, books.linked))
    books.hints.extend(waking.just_linked(conn, entity, books.held))
    books.hints.extend(waking.rivals(conn, entity, books.moved_on))
    changes.accept(conn, books.hints)
    books.counts["wake"] = {hint.entity for hint in books.hints}
    books.counts["flows"] = set(runs.wake_settled(conn, [n for n, state in closed.items() if state == "closed"]))
    if books.applied:
        books.counts["flows"] |= set(flows.hear_pair(conn, entity.pair_id, entity.name, books.applied))
    return books.counts


_ONE_BY_ONE = text("select pg_advisory_xact_lock(hashtextextended(:key, 0))")


def _creates(one: Settled) -> bool:
    return any(write.action == "create" for write in one.plan.writes)


def _book(
    books: _Books, entity: EntityBinding, one: Settled, change_set_id: int | None, why: Mapping[str, Any]
) -> None:
    plan, item = one.plan, one.plan.item
    counts = books.counts
    for side in _SIDES:
        if side in one.outcomes:
            _book_write(books, entity, one, side, change_set_id, why)
    failed = [o for o in one.outcomes.values() if not isinstance(o, Written)]
    error = plan.error or next((o.error for o in failed if isinstance(o, Failed)), None)
    if failed and len(failed) < len(one.outcomes) and item.link is not None:
        _move_partly(books, one, item.link)
    if error is None and failed and max((c.attempts for c in item.changes), default=1) >= MOVING_TRIES:
        error = _never_still(entity, one)
    if error is not None and error.action == "reject":
        _hold(books, entity, one, error)
        return
    if isinstance(error, DependencyMissing):
        _await_dependency(books, entity, one, error)
        return
    if error is not None or failed:
        _again(books, entity, one, error.as_dict() if error else _reason(failed[0]))
        return
    again = any(isinstance(o, Written) and not o.created for o in one.outcomes.values()) or _calculated(entity, one)
    _move_link(books, entity, one)
    if plan.conflicts:
        counts["conflicts"] += len(plan.conflicts)
        outcome = "held"
    elif one.outcomes or plan.links or plan.tombstone:
        outcome = "applied"
        if entity.listened and item.changes:
            books.applied.append(_heard(one))
    else:
        outcome = "unchanged"
        counts["unchanged"] += 1
    if item.link is None or plan.tombstone or one.outcomes:
        books.moved_on.extend(k for s in _SIDES if (k := item.seen(s).key))
    _second_pass(books, entity, one)
    if not plan.conflicts and not plan.hidden:
        books.passed.extend((entity.name, s, k) for s in _SIDES if (k := item.seen(s).key))
    reason = {"note": plan.reason} if plan.reason else None
    for change in item.changes:
        books.closes.append(changes.Close(change_id=change.id, outcome=None if again else outcome, reason=reason))
    if again and not item.changes and (key := item.seen(item.origin).key):
        books.hints.append(
            changes.NewEvent(pair_id=entity.pair_id, entity=entity.name, side=item.origin, key=key, source="totals")
        )


def _calculated(entity: EntityBinding, one: Settled) -> bool:
    """Whether the other side has worked out totals anew, which are then read back and compared."""
    totals = entity.canonical.totals
    return totals is not None and any(
        write.action == "create" or totals.lines in write.fields or totals.rounding in write.fields
        for write in one.plan.writes
    )


def _second_pass(books: _Books, entity: EntityBinding, one: Settled) -> None:
    """What was written without a reference is looked at again, behind the record that it refers to."""
    item = one.plan.item
    wanted = [(ref.entity, ref.key) for ref in one.plan.later]
    if wanted and (key := item.seen(item.origin).key):
        wanted.append((entity.name, key))
    books.hints.extend(
        changes.NewEvent(pair_id=entity.pair_id, entity=name, side=item.origin, key=key, source="dependency")
        for name, key in wanted
    )


def _heard(one: Settled) -> flows.Applied:
    """What flows are told of a Record that was brought into agreement: its keys as they are now."""
    keys: dict[Side, str | None] = {s: one.plan.item.seen(s).key for s in _SIDES}
    for side, outcome in one.outcomes.items():
        if isinstance(outcome, Written):
            keys[side] = keys[side] or outcome.key
    return flows.Applied(left=keys["left"], right=keys["right"], side=one.plan.item.origin)


def _again(books: _Books, entity: EntityBinding, one: Settled, reason: Mapping[str, Any] | None) -> None:
    """Have the record looked at again later; a load or an undo has no Change to put back, so it asks for one."""
    item = one.plan.item
    books.counts["again"] += 1
    books.closes.extend(
        changes.Close(change_id=c.id, outcome=None, delay=one.delay, reason=reason) for c in item.changes
    )
    if not item.changes and (key := item.seen(item.origin).key):
        books.hints.append(
            changes.NewEvent(pair_id=entity.pair_id, entity=entity.name, side=item.origin, key=key, source="unfinished")
        )


def _never_still(entity: EntityBinding, one: Settled) -> Conflicted:
    """A record that is never as it was read a moment ago would be looked at for ever."""
    item = one.plan.item
    side = next(s for s, outcome in one.outcomes.items() if not isinstance(outcome, Written))
    return Conflicted(
        f"writing {entity.name} {item.name}",
        record=item.seen(side).key,
        answered=f"{entity.side(side).connection} said {MOVING_TRIES} times that it is not there as it was just read",
        hint="Find what keeps changing it there, or whether we may read it but not write it; then retry.",
        facts={"side": side},
    )


def _book_write(
    books: _Books, entity: EntityBinding, one: Settled, side: Side, change_set_id: int | None, why: Mapping[str, Any]
) -> None:
    intent, outcome = one.intents[side], one.outcomes[side]
    if isinstance(outcome, Written):
        books.counts["writes"] += 1
        books.counts[{"create": "created", "update": "updated", "delete": "deleted"}[intent.action]] += 1
        link_id = one.plan.item.link.id if one.plan.item.link else None
        reasons = next((dict(w.why) for w in one.plan.writes if w.side == side), {})
        books.ends.append(intents.End(id=intent.id, state="confirmed", key=outcome.key, link_id=link_id))
        books.audit.append(
            auditlog.Entry(
                action=intent.action,
                pair_id=entity.pair_id,
                entity=entity.name,
                link_id=link_id,
                side=side,
                key=outcome.key,
                why={
                    **why,
                    "from": f"{other(side)} {intent.source_key}",
                    "change": intent.change_id,
                    "fields": reasons,
                },
                before=intent.before,
                after=intent.fields,
                intent_id=intent.id,
                change_set_id=change_set_id,
            )
        )
    elif isinstance(outcome, Unsure):
        books.ends.append(intents.End(id=intent.id, state="unknown", error=outcome.error.as_dict()))
    elif isinstance(outcome, Failed) and outcome.error.action == "reject":
        books.ends.append(intents.End(id=intent.id, state="refused", error=outcome.error.as_dict()))
    else:
        books.ends.append(intents.End(id=intent.id, state="dropped", error=_reason(outcome)))


def _reason(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Failed | Unsure):
        return outcome.error.as_dict()
    if isinstance(outcome, Stale):
        return {"note": "it moved since we read it; nothing was written, it is looked at again"}
    if isinstance(outcome, Gone):
        return {"note": "it was no longer there when we wrote; it is looked at again"}
    return {}


def _hold(books: _Books, entity: EntityBinding, one: Settled, error: IsthmusError) -> None:
    item = one.plan.item
    books.counts["held"] += 1
    books.counts["kinds"][error.kind] = books.counts["kinds"].get(error.kind, 0) + 1
    side = _side_in_trouble(one, error)
    books.held.append(
        letters.NewLetter(
            entity=entity.name,
            side=side,
            key=item.seen(side).key or "",
            error=error.as_dict(),
            payload=payload_of(item),
            link_id=item.link.id if item.link else None,
            change_id=item.changes[0].id if item.changes else None,
        )
    )
    reason = error.as_dict()
    books.closes.extend(changes.Close(change_id=c.id, outcome="held", reason=reason) for c in item.changes)


def _side_in_trouble(one: Settled, error: IsthmusError) -> Side:
    """Where the record is held: the same side from whichever side it was looked at, so that it is held once."""
    if one.plan.item.link is None:
        return one.plan.item.origin
    told = error.facts.get("side")
    refused = next((s for s in _SIDES if isinstance(one.outcomes.get(s), Failed)), None)
    if refused is not None:
        return other(refused)
    return told if told in _SIDES else one.plan.item.origin


def _await_dependency(books: _Books, entity: EntityBinding, one: Settled, error: DependencyMissing) -> None:
    item = one.plan.item
    if max((c.attempts for c in item.changes), default=DEPENDENCY_TRIES) >= DEPENDENCY_TRIES:
        _hold(books, entity, one, error)
        return
    books.hints.extend(
        changes.NewEvent(pair_id=entity.pair_id, entity=needed, side=side, key=key, source="dependency")
        for needed, side, key in one.plan.needs
    )
    _again(books, entity, one, error.as_dict())


def _move_link(books: _Books, entity: EntityBinding, one: Settled) -> None:
    """Move the Bases: what agrees without a write, and what each confirmed write carried."""
    plan, item, link = one.plan, one.plan.item, one.plan.item.link
    left_base: dict[str, Value] = dict(plan.left_base)
    right_base: dict[str, Value] = dict(plan.right_base)
    versions: dict[Side, str | None] = {s: r.version if (r := item.seen(s).record) else None for s in _SIDES}
    keys: dict[Side, str | None] = {s: item.seen(s).key for s in _SIDES}
    born: dict[Side, datetime | None] = {s: r.created_at if (r := item.seen(s).record) else None for s in _SIDES}
    tombstone = plan.tombstone
    for write in plan.writes:
        outcome = one.outcomes[write.side]
        assert isinstance(outcome, Written)
        left_base.update(write.left_base)
        right_base.update(write.right_base)
        versions[write.side] = outcome.version or versions[write.side]
        tombstone = tombstone or write.tombstone
        if write.action == "create":
            keys[write.side], born[write.side] = outcome.key, outcome.created_at
    creates = any(w.action == "create" for w in plan.writes)
    if plan.hidden:
        return
    if plan.returns and (key := item.seen(item.origin).key):
        books.returned.append((item.origin, key))
    if link is None:
        if not (plan.links or creates):
            return
        books.new_links.append((_new_link(plan, item, keys, versions, born, left_base, right_base), one))
        books.counts["linked"] += 0 if creates else 1
        return
    if plan.alias is not None and (loser := item.seen(plan.alias[0]).key):
        books.aliases.append((plan.alias[0], loser, plan.alias[1]))
    open_fields = {c.field for c in plan.conflicts}
    if open_fields or item.disputed:
        books.still_open[link.id] = sorted(open_fields)
    books.conflicts.extend(
        _new_conflict(link.id, c.field, c.left, c.right, c.left_base, c.right_base) for c in plan.conflicts
    )
    books.moved.append(
        links.LinkUpdate(
            id=link.id,
            left_base=_moved(link.left_base, left_base),
            right_base=_moved(link.right_base, right_base),
            left_version=versions["left"],
            right_version=versions["right"],
            # While a field differs from its Base, the time since when it may have been edited must not be forgotten.
            left_seen_at=None if open_fields else item.left.read_at,
            right_seen_at=None if open_fields else item.right.read_at,
            left_created_at=born["left"],
            right_created_at=born["right"],
            state="tombstone" if tombstone else None,
            note=_released(plan) if tombstone else None,
            wrote=len(plan.writes),
            agreed=not plan.conflicts,
        )
    )


def _released(plan: Plan) -> dict[str, Any]:
    note: dict[str, Any] = {"released": plan.reason or "its counterpart was deleted"}
    return {**note, "alone": True} if plan.alone else note


def _move_partly(books: _Books, one: Settled, link: Link) -> None:
    """Of two writes one failed: what the other carried is agreed all the same."""
    done = [w for w in one.plan.writes if isinstance(one.outcomes[w.side], Written)]
    left_base = {n: v for w in done for n, v in w.left_base.items()}
    right_base = {n: v for w in done for n, v in w.right_base.items()}
    books.moved.append(
        links.LinkUpdate(
            id=link.id,
            left_base=_moved(link.left_base, left_base),
            right_base=_moved(link.right_base, right_base),
            wrote=len(done),
            agreed=False,
        )
    )


def _moved(stored: Mapping[str, Value], now: Mapping[str, Value]) -> dict[str, Any] | None:
    merged = {**stored, **now}
    return None if merged == stored else encode(merged)


def _new_link(
    plan: Plan,
    item: Item,
    keys: Mapping[Side, str | None],
    versions: Mapping[Side, str | None],
    born: Mapping[Side, datetime | None],
    left_base: Mapping[str, Value],
    right_base: Mapping[str, Value],
) -> links.NewLink:
    return links.NewLink(
        left_key=keys["left"] or "",
        right_key=keys["right"] or "",
        left_base=encode(left_base),
        right_base=encode(right_base),
        left_version=versions["left"],
        right_version=versions["right"],
        left_seen_at=item.left.read_at,
        right_seen_at=item.right.read_at,
        left_created_at=born["left"],
        right_created_at=born["right"],
        generation=item.generation,
    )


def _after_linking(books: _Books, entity: EntityBinding, one: Settled, link_id: int) -> None:
    plan, item = one.plan, one.plan.item
    books.linked.extend((s, k) for s in _SIDES if (k := item.seen(s).key))
    books.conflicts.extend(
        _new_conflict(link_id, c.field, c.left, c.right, c.left_base, c.right_base) for c in plan.conflicts
    )
    created = next((w for w in plan.writes if w.action == "create"), None)
    if created is None:
        books.audit.append(_link_entry(entity, item, link_id))


def _not_linked(books: _Books, one: Settled) -> None:
    """One of the two was linked otherwise in the meantime: its Changes stay open, the next look sees that Link."""
    mine = {change.id for change in one.plan.item.changes}
    books.closes = [replace(c, outcome=None) if c.change_id in mine else c for c in books.closes]


def _link_entry(entity: EntityBinding, item: Item, link_id: int) -> auditlog.Entry:
    return auditlog.Entry(
        action="link",
        pair_id=entity.pair_id,
        entity=entity.name,
        link_id=link_id,
        side=item.origin,
        key=item.seen(item.origin).key,
        why={"match": item.match.why if item.match else "", "with": item.seen(other(item.origin)).key},
    )


def _new_conflict(
    link_id: int, name: str, left: Value, right: Value, left_base: Value, right_base: Value
) -> letters.NewConflict:
    plain = encode({"l": left, "r": right, "lb": left_base, "rb": right_base})
    return letters.NewConflict(
        link_id=link_id,
        field=name,
        left_value=plain["l"],
        right_value=plain["r"],
        left_base=plain["lb"],
        right_base=plain["rb"],
    )


_SIDES: tuple[Side, Side] = ("left", "right")
