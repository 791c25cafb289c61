"""A record through its Mapping, value by value: what each step did, which rules hold, what the other side would get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from isthmus.errors import InvalidRecord, Misconfigured
from isthmus.mapping.rules import check_rules
from isthmus.mapping.tracing import FieldTrace
from isthmus.model.canonical import Ref, Value, encode
from isthmus.model.policy import Side, other
from isthmus.operate.runtime import Runtime
from isthmus.sdk.connector import ByKeys
from isthmus.store import pairs
from isthmus.sync.gather import Gatherer, read_all
from isthmus.sync.pair import EntityBinding
from isthmus.sync.plan import plan
from isthmus.sync.work import Change, Item


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSeen:
    """One validation rule of the record, before it is posted to the other side."""

    rule: str
    field: str
    severity: str
    holds: bool
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Everything a preview tells. `outcome` is what would be done on the other side: create, update, nothing or held.

    `payload` are the raw values that would be sent there; `writing` shows all fields that the other side can take,
    the unchanged ones too.
    """

    pair: str
    entity: str
    side: Side
    key: str
    connection: str
    other_connection: str
    counterpart: str | None
    in_scope: bool
    outcome: str
    reason: str
    reading: Sequence[FieldTrace]
    canonical: Mapping[str, Value]
    rules: Sequence[RuleSeen]
    writing: Sequence[FieldTrace]
    payload: Mapping[str, Any]
    warnings: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as the API answers them."""
        traces = {"reading": list(map(_trace, self.reading)), "writing": list(map(_trace, self.writing))}
        plain = {"canonical": encode(self.canonical), "payload": encode(self.payload)}
        rest = {
            name: getattr(self, name) for name in self.__slots__ if name not in ("rules", *traces.keys(), *plain.keys())
        }
        return {**rest, **plain, **traces, "rules": [asdict(rule) for rule in self.rules]}


def _trace(trace: FieldTrace) -> dict[str, Any]:
    found = asdict(replace(trace, given=None, result=None, steps=()))
    steps = [encode({"step": s.step, "before": s.before, "after": s.after, "problem": s.problem}) for s in trace.steps]
    return {**found, **encode({"given": trace.given, "result": trace.result}), "steps": steps}


async def preview(runtime: Runtime, pair: str, entity: str, side: Side, key: str) -> Preview:
    """Look at one record as a lane would, and tell every step; nothing is written anywhere.

    Raises Misconfigured for an unknown Entity and InvalidRecord where that side has no such record.
    """
    row = await runtime.db.run(pairs.get, pair)
    _, running = await runtime.pair(row.id)
    binding = running.entities.get(entity)
    if binding is None:
        raise Misconfigured(
            f"previewing {entity} {key} of {pair}",
            answered=f"the pair has no entity {entity}",
            hint=f"Its entities are {', '.join(running.entities)}.",
        )
    now = runtime.clock.now()
    change = Change(id=0, side=side, key=key, claimed_seq=0, attempts=0, first_at=now)
    gatherer = Gatherer(runtime.db, runtime.clock)
    (item,) = await gatherer.begin(binding, [change])
    await gatherer.read(binding, [item])
    in_scope = item.seen(side).record is not None
    if not in_scope:
        await _read_outside_scope(binding, item, side, key)
        await gatherer.resolve(binding, [item])
    return _told(pair, binding, item, side, key, in_scope)


async def _read_outside_scope(binding: EntityBinding, item: Item, side: Side, key: str) -> None:
    """A record that takes no part can still be looked at."""
    here = binding.side(side)
    record = (await read_all(here, ByKeys([key]), here.mapping.paths)).get(key)
    if record is None:
        raise InvalidRecord(
            f"previewing {binding.name} {key} of {here.connection}",
            record=key,
            answered=f"there is no {here.entity} with this key, or it is hidden from us",
            hint="Give the key as that system writes it; `isthmus trace` finds records by what they are called.",
        )
    item.seen(side).key, item.seen(side).record = key, record


def _told(pair: str, binding: EntityBinding, item: Item, side: Side, key: str, in_scope: bool) -> Preview:
    here, there = binding.side(side), binding.side(other(side))
    seen, target = item.seen(side), item.seen(other(side))
    outcome, reason, payload, warnings = _outcome(binding, item, side, in_scope)
    values, loose = _with_keys(binding, seen.values, item, other(side))
    current = target.raw if target.record is not None else None
    writing = there.mapping.explain_write(values, [name for name in values if name in there.mapping.writable], current)
    return Preview(
        pair=pair,
        entity=binding.name,
        side=side,
        key=key,
        connection=here.connection,
        other_connection=there.connection,
        counterpart=target.key,
        in_scope=in_scope,
        outcome=outcome,
        reason=reason,
        reading=here.mapping.explain(seen.raw),
        canonical=seen.values,
        rules=_rules(binding, seen.values, other(side)),
        writing=[_not_linked(trace, loose) for trace in writing],
        payload=payload,
        warnings=warnings,
    )


def _outcome(
    binding: EntityBinding, item: Item, side: Side, in_scope: bool
) -> tuple[str, str, Mapping[str, Any], Sequence[str]]:
    if not in_scope:
        return "nothing", "it is outside the scope of the mapping, so it takes no part", {}, ()
    made = plan(binding, item)
    if made.error is not None:
        return "held", str(made.error), {}, made.warnings
    write = next((w for w in made.writes if w.side == other(side)), None)
    if write is None:
        back = "; the other side's value would be written here" if made.writes else ""
        return "nothing", (made.reason or "the other side has these values already") + back, {}, made.warnings
    return write.action, made.reason, write.payload, made.warnings


def _with_keys(
    binding: EntityBinding, values: Mapping[str, Value], item: Item, side: Side
) -> tuple[dict[str, Value], set[str]]:
    """The values with references called as `side` calls them, and the fields whose references have no Link yet."""
    out, loose = dict(values), set()
    for name, target in binding.canonical.references().items():
        value = out.get(name)
        if isinstance(value, int):
            key = item.partners.get(value, (None, None))[0 if side == "left" else 1]
            out[name] = Ref(target, key) if key else None
        elif isinstance(value, Ref):
            loose.add(name)
    return out, loose


def _not_linked(trace: FieldTrace, loose: set[str]) -> FieldTrace:
    if loose.isdisjoint(trace.fields):
        return trace
    told = "the record it points to is not linked yet; it is brought over first"
    return replace(trace, steps=(), result=None, problem=told)


def _rules(binding: EntityBinding, values: Mapping[str, Value], place: Side) -> list[RuleSeen]:
    out = []
    for rule in binding.rules:
        if rule.place not in ("both", place):
            continue
        problem = next(iter(check_rules([rule], values, place)), None)
        out.append(
            RuleSeen(
                rule=rule.name,
                field=rule.field,
                severity=problem.severity if problem else rule.severity,
                holds=problem is None,
                message=problem.message if problem else "",
            )
        )
    return out
