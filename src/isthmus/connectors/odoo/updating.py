"""Updating only what still is as we last read it: through the guarded-write action, or by reading just before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.addresses import Addresses, is_address_part
from isthmus.connectors.odoo.fields import Fields, OdooModel
from isthmus.connectors.odoo.guarded_call import GuardedAnswer, GuardedItem, find_action, guarded_write
from isthmus.connectors.odoo.paths import ID, Step, parse, real
from isthmus.connectors.odoo.reading import Reader, Row
from isthmus.connectors.odoo.refusal import Asked, Refusal, classify
from isthmus.connectors.odoo.rows import changes, commands, expected, is_rows, same_rows
from isthmus.connectors.odoo.wire import Wire
from isthmus.connectors.odoo.writes import Target, Writes
from isthmus.connectors.odoo.writing import (
    Parts,
    Resolver,
    Typed,
    below_a_company,
    child_defaults,
    clears,
    encoded,
    must_not_spread,
    spreading,
)
from isthmus.sdk import (
    Failed,
    Gone,
    IsthmusError,
    Outcome,
    OutcomeUnknown,
    Record,
    RefusedByTarget,
    Stale,
    Unsure,
    Update,
    Written,
)

_LOOK_AGAIN = 300.0
"""Seconds until the guarded-write action is looked for again where it was not found."""


@dataclass(slots=True)
class _Item:
    """One update on its way: what it writes, what it expects, and the child records its steps choose now."""

    index: int
    id: int
    update: Update
    parts: Parts
    expect: Parts
    children: dict[Step, Row | None] = field(default_factory=dict)
    written: str = ""


class Updater:
    """Writes batches of updates; each item gets its own outcome."""

    def __init__(
        self, wire: Wire, fields: Fields, reader: Reader, resolver: Resolver, addresses: Addresses
    ) -> None:  # fmt: skip
        self._wire = wire
        self._fields = fields
        self._reader = reader
        self._resolver = resolver
        self._addresses = addresses
        self._writes = Writes(wire)
        self._action: int | None = None
        self._looked_at: float | None = None

    async def update(self, model: str, items: Sequence[Update]) -> list[Outcome]:
        """One outcome per item: Stale where the record is not as expected, Gone where it is not there."""
        outcomes: dict[int, Outcome] = {}
        ready: list[_Item] = []
        try:
            ready = await self._ready(model, items, outcomes)
            if ready:
                await self._keep_to_the_root(model, ready, outcomes)
                action = await self.action()
                described = await self._fields.model(model)
                guarded = [item for item in ready if action is not None and item.parts.itself]
                plain = [item for item in ready if item not in guarded]
                plain = await self._as_expected(model, plain, outcomes)
                await self._find_children(model, [*plain, *guarded])
                if action is not None and guarded:
                    guarded = await self._guarded(action, described, guarded, outcomes)
                ready = [*guarded, *await self._plain(described, plain, outcomes)]
                await self._write_children(action, described, ready, outcomes)
        except IsthmusError as error:
            missing = {n: Failed(error=error) for n in range(len(items)) if n not in outcomes}
            outcomes.update(missing)
        stamps = {item.index: item.written for item in ready if not item.parts.children}
        return [outcomes.get(n) or _written(item.key, stamps.get(n, "")) for n, item in enumerate(items)]

    async def action(self) -> int | None:
        """The id of the guarded-write action, if an administrator installed it."""
        now = self._wire.clock.monotonic()
        if self._action is None and (self._looked_at is None or now - self._looked_at > _LOOK_AGAIN):
            self._action = await find_action(self._wire)
            self._looked_at = now
        return self._action

    def forget_action(self) -> None:
        """Look for the guarded-write action again at the next update: it was installed or removed."""
        self._action = self._looked_at = None

    async def _ready(self, model: str, items: Sequence[Update], outcomes: dict[int, Outcome]) -> list[_Item]:
        settled = await self._with_addresses(model, items)
        told = [{} if isinstance(one, IsthmusError) else one for one in settled]
        values = await self._resolver.parts(
            model, [_with_changes(one, item.expect) for one, item in zip(told, items, strict=True)]
        )
        expects = await self._resolver.parts(model, [_own_expectation(item) for item in items])
        values = [one if isinstance(one, IsthmusError) else values[n] for n, one in enumerate(settled)]
        ready = []
        for n, (item, parts, expect) in enumerate(zip(items, values, expects, strict=True)):
            if isinstance(parts, IsthmusError):
                outcomes[n] = Failed(error=parts)
            elif isinstance(expect, IsthmusError):
                outcomes[n] = Stale(key=item.key)  # what was read then cannot be there any more
            elif not item.key.isdigit():
                outcomes[n] = Gone(key=item.key)
            else:
                try:
                    for step, inner in parts.children.items():
                        must_not_spread(model, step, {k: v for k, v in inner.items() if k != "active"})
                except IsthmusError as error:
                    outcomes[n] = Failed(error=error)
                else:
                    ready.append(_Item(n, int(item.key), item, parts, expect))
        return ready

    async def _with_addresses(self, model: str, items: Sequence[Update]) -> list[Mapping[str, Any] | IsthmusError]:
        """The values of each item with contacts in place of the parts of addresses."""
        paths = await self._addresses.paths(model, [item.values for item in items])
        if not paths:
            return [item.values for item in items]
        ids = {n: int(item.key) for n, item in enumerate(items) if item.key.isdigit()}
        found = await self._reader.by_ids(model, ids.values(), paths)
        now = {n: found[one].values for n, one in ids.items() if one in found}
        return await self._addresses.settled(model, [item.values for item in items], now)

    async def _keep_to_the_root(self, model: str, items: list[_Item], outcomes: dict[int, Outcome]) -> None:
        """Take out writes on a contact below a company that Odoo would carry over to the company."""
        doubtful = [item for item in items if spreading(model, item.parts.own)]
        if not doubtful:
            return
        paths = ("parent_id", "type", "commercial_partner_id")
        found = await self._reader.by_ids(model, [item.id for item in doubtful], paths)
        for item in doubtful:
            record = found.get(item.id)
            error = below_a_company(model, item.id, item.parts.own, record.values) if record else None
            if error is not None:
                outcomes[item.index] = Failed(error=error)
                items.remove(item)

    async def _as_expected(self, model: str, items: list[_Item], outcomes: dict[int, Outcome]) -> list[_Item]:
        """Read once for the batch, and keep the items whose record is still as expected."""
        if not items:
            return []
        paths = real(dict.fromkeys(path for item in items for path in item.update.expect))
        found = await self._reader.by_ids(model, [item.id for item in items], paths)
        kept = []
        for item in items:
            record = found.get(item.id)
            if record is None:
                outcomes[item.index] = await self._absent(model, item)
            elif not _holds(record, item.update.expect):
                outcomes[item.index] = Stale(key=item.update.key)
            else:
                kept.append(item)
        return kept

    async def _absent(self, model: str, item: _Item) -> Outcome:
        there = await self._wire.call(
            model,
            "search_count",
            doing=f"looking whether {model} {item.id} is there",
            reads=True,
            domain=[["id", "=", item.id]],
        )
        return Stale(key=item.update.key) if there else Gone(key=item.update.key)

    async def _find_children(self, model: str, items: Sequence[_Item]) -> None:
        for step in {step for item in items for step in item.parts.children}:
            of = [item for item in items if step in item.parts.children]
            wanted = [name for item in of for name in item.parts.children[step]]
            found = await self._reader.children(model, [item.id for item in of], step, list(dict.fromkeys(wanted)))
            for item in of:
                item.children[step] = found.get(item.id)

    async def _plain(self, described: OdooModel, items: list[_Item], outcomes: dict[int, Outcome]) -> list[_Item]:
        targets = [
            Target(item.index, item.id, await self._raw(described, item)) for item in items if item.parts.itself
        ]  # fmt: skip
        outcomes.update(await self._writes.write(described.name, targets))
        return [item for item in items if item.index not in outcomes]

    async def _raw(self, described: OdooModel, item: _Item) -> dict[str, Any]:
        """What is written on the record itself, its rows as commands."""
        out = encoded(described, item.parts.own)
        for name, rows in item.parts.rows.items():
            told = commands(await self._fields.model(described.get(name).relation), rows)
            if told:
                out[name] = told
        return out

    async def _expected_rows(self, described: OdooModel, item: _Item) -> dict[str, Any]:
        return {
            name: expected(await self._fields.model(described.get(name).relation), rows)
            for name, rows in item.parts.rows.items()
        }

    async def _guarded(
        self, action: int, described: OdooModel, items: list[_Item], outcomes: dict[int, Outcome]
    ) -> list[_Item]:
        """One call that compares and writes every record of the batch."""
        asked = [
            GuardedItem(
                id=item.id,
                expect={
                    **{name: _expected(described, name, value) for name, value in item.expect.own.items()},
                    **{name: rows.before for name, rows in item.parts.rows.items()},
                },
                values=await self._raw(described, item),
                rows=await self._expected_rows(described, item),
            )
            for item in items
        ]
        doing = f"updating {len(items)} {described.name}"
        try:
            answers = await guarded_write(self._wire, action, described.name, asked, doing=doing)
        except IsthmusError as error:
            if error.action != "retry":
                self.forget_action()
                kept = await self._as_expected(described.name, items, outcomes)
                return await self._plain(described, kept, outcomes)
            unsure = isinstance(error, OutcomeUnknown)
            for item in items:
                outcomes[item.index] = Unsure(error=error) if unsure else Failed(error=error)
            return []
        moved = []
        for item, answer in zip(items, answers, strict=True):
            outcome = _outcome(described.name, item.update.key, answer)
            if isinstance(outcome, Stale):
                moved.append(item)
            elif outcome is not None:
                outcomes[item.index] = outcome
            item.written = answer.write_date
        # The action compares raw values. Where ours are the same (one name for two taxes), nothing has moved.
        await self._plain(described, await self._as_expected(described.name, moved, outcomes), outcomes)
        return [item for item in items if item.index not in outcomes]

    async def _write_children(
        self, action: int | None, described: OdooModel, items: Sequence[_Item], outcomes: dict[int, Outcome]
    ) -> None:  # fmt: skip
        """Write the chosen child records on themselves; missing ones are made, emptied ones archived."""
        for step in sorted({step for item in items for step in item.parts.children}, key=str):
            spec = described.get(step.field)
            child = await self._fields.model(spec.relation)
            existing: list[Target] = []
            fresh: list[Target] = []
            for item in items:
                values = item.parts.children.get(step)
                if not values or item.index in outcomes:
                    continue
                row = item.children.get(step)
                if _moved(child, row, item.expect.children.get(step, {})):
                    outcomes[item.index] = Stale(key=item.update.key)
                elif row is not None:
                    change = {"active": False} if clears(values) and child.has("active") else values
                    existing.append(Target(item.index, row.id, encoded(child, change)))
                elif not clears(values):
                    made: Typed = {**values, **child_defaults(step, spec.inverse, item.id)}
                    fresh.append(Target(item.index, item.id, encoded(child, made)))
            if action is None:
                outcomes.update(await self._writes.write(child.name, existing))
            elif existing:
                expects = {item.index: item.expect.children.get(step, {}) for item in items}
                outcomes.update(await self._guard_children(action, child, existing, expects))
            outcomes.update(await self._writes.create(child.name, fresh))

    async def _guard_children(
        self, action: int, child: OdooModel, targets: Sequence[Target], expects: Mapping[int, Typed]
    ) -> dict[int, Outcome]:
        """Write child records through the guarded-write action; only what went wrong is told."""
        asked = [
            GuardedItem(
                id=target.id,
                expect={name: _expected(child, name, v) for name, v in _told(expects[target.index]).items()},
                values=target.values,
            )
            for target in targets
        ]
        try:
            answers = await guarded_write(
                self._wire, action, child.name, asked, doing=f"updating {len(asked)} child records"
            )
        except IsthmusError as error:
            if error.action != "retry":
                self.forget_action()
                return await self._writes.write(child.name, targets)
            unsure = isinstance(error, OutcomeUnknown)
            return {target.index: Unsure(error=error) if unsure else Failed(error=error) for target in targets}
        out: dict[int, Outcome] = {}
        for target, answer in zip(targets, answers, strict=True):
            outcome = _outcome(child.name, str(target.id), answer)
            if outcome is not None:
                # A child that is gone is no missing record: its root is looked at again.
                out[target.index] = Stale(key=outcome.key) if isinstance(outcome, Gone) else outcome
        return out


def _with_changes(values: Mapping[str, Any], expect: Mapping[str, Any]) -> dict[str, Any]:
    """The values with what each list of rows changes in place of the list."""
    return {p: changes(v, expect.get(p)) if is_rows(p) else v for p, v in values.items()}


def _own_expectation(item: Update) -> dict[str, Any]:
    """What is expected of the record itself; rows and addresses are compared where they are."""
    return {path: value for path, value in item.expect.items() if not is_rows(path) and not is_address_part(path)}


def _written(key: str, at: str) -> Written:
    return Written(key=key, version=at or None, changed_at=codec.moment(at) if at else None)


def _outcome(model: str, key: str, answer: GuardedAnswer) -> Outcome | None:
    """The outcome of one guarded item; None when it was written."""
    if answer.outcome == "ok":
        return None
    if answer.outcome == "changed":
        return Stale(key=key)
    if answer.outcome == "gone":
        return Gone(key=key)
    doing = f"updating {model} {key}"
    refusal = Refusal(name=answer.name or "odoo.exceptions.UserError", message=answer.message)
    error = classify(refusal, Asked(model=model, method="write", doing=doing, reads=False))
    if isinstance(error, OutcomeUnknown):
        error = RefusedByTarget(doing, answered=error.answered)
    return Failed(error=error)


def _expected(described: OdooModel, name: str, value: Any) -> Any:
    """The raw value that `read` would give for what we expect."""
    spec = described.get(name)
    if spec.many:
        return codec.ids(spec, value)
    return codec.encode(spec, value)


def _told(expect: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in expect.items() if name not in ("active", ID)}


def _moved(child: OdooModel, row: Row | None, expect: Mapping[str, Any]) -> bool:
    """Whether the chosen child record is not as expected; that it is active is why it was chosen."""
    told = _told(expect)
    if row is None:
        return not all(value in (None, False, "") for value in told.values())
    return any(
        name in row.values and not codec.raw_equal(child.get(name), row.values[name], value)
        for name, value in told.items()
    )


def _holds(record: Record, expect: Mapping[str, Any]) -> bool:
    """Whether a record is as expected; child records are compared when they are written."""
    return all(
        same(record.values.get(path), value)
        for path, value in expect.items()
        if not path.startswith("@") and parse(path).step.where is None
    )


def same(current: Any, expected: Any) -> bool:
    """Whether two of our values mean the same to Odoo: nothing, false and empty text do, lists in any order."""
    if isinstance(current, list) and isinstance(expected, list) and any(isinstance(r, dict) for r in current):
        return same_rows(current, expected)
    if isinstance(current, list | tuple) or isinstance(expected, list | tuple):
        return sorted(map(str, current or ())) == sorted(map(str, expected or ()))
    if current in (None, "", False) and expected in (None, "", False):
        return True
    return bool(current == expected) or (current is not None and str(current) == str(expected))
