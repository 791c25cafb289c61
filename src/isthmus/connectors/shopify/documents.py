"""Fulfilments and refunds: made once each, also when the answer was lost, since the shop holds a note of every one.

For each record the order is looked at first. What is to be made is refused, made, or found to be there already: the
note under our key says what the order had before, and the rest tells the one that came to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from isthmus.connectors.shopify.batching import Batch, Call, Job, failed
from isthmus.connectors.shopify.catalogue import Entity, entity
from isthmus.connectors.shopify.keys import gid, is_key, key_of
from isthmus.connectors.shopify.ledger import Ledger, Note
from isthmus.connectors.shopify.reading import Reader
from isthmus.connectors.shopify.selecting import Row, render, selection
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import Create, Failed, InvalidRecord, IsthmusError, Outcome, Record, RefusedByTarget, Written

ORDERS_AT_ONCE = 5


class Kind(Protocol):
    """What is particular to fulfilments or refunds."""

    name: str
    listed: str
    needs: str

    def plan(self, order: Row, item: Create, doing: str) -> tuple[Call, str]:
        """The mutation, and what tells the record that it makes from others of the order."""

    def print_of(self, row: Row) -> str:
        """The same of a record that is there."""


@dataclass(slots=True)
class _Plan:
    item: Create
    doing: str
    order: str = ""
    note: Note | None = None
    call: Call | None = None
    outcome: Outcome | None = None


class Documents:
    """Makes documents of one kind."""

    def __init__(self, wire: Wire, reader: Reader, ledger: Ledger, kind: Kind) -> None:
        self._wire = wire
        self._reader = reader
        self._ledger = ledger
        self._kind = kind
        self._batch = Batch(wire)
        self._told: Entity = entity(kind.name)
        self._prepared = False

    async def create(self, items: Sequence[Create]) -> list[Outcome]:
        """One Outcome per item; items of one order take turns, since each changes what is left of it."""
        plans = [_Plan(item, f"creating {self._told.label.lower()} {item.external_key}") for item in items]
        for plan in plans:
            order = plan.item.values.get("order")
            if order in (None, "") or not is_key(str(order)):
                error = InvalidRecord(f"{plan.doing}: order must be the key of an order, not {order!r}")
                plan.outcome = failed(error, plan.item.external_key)
            plan.order = str(order)
        while waiting := [plan for plan in plans if plan.outcome is None]:
            turn = list({plan.order: plan for plan in reversed(waiting)}.values())[:ORDERS_AT_ONCE]
            await self._turn(turn)
        return [plan.outcome for plan in plans if plan.outcome is not None]

    async def _turn(self, plans: Sequence[_Plan]) -> None:
        try:
            if not self._prepared:
                await self._ledger.prepare()
                self._prepared = True
            notes = await self._ledger.find([plan.item.external_key for plan in plans])
            orders = await self._orders([plan.order for plan in plans])
        except IsthmusError as error:
            for plan in plans:
                plan.outcome = failed(error, plan.item.external_key)
            return
        jobs = [(plan, self._job(plan, orders.get(plan.order), notes)) for plan in plans if plan.outcome is None]
        await self._batch.run([job for _, job in jobs])
        for plan, job in jobs:
            plan.outcome = self._outcome(plan, job)

    def _job(self, plan: _Plan, order: Row | None, notes: Mapping[str, Note]) -> Job:
        job = Job(plan.item.external_key, plan.doing, [])
        try:
            if order is None:
                raise RefusedByTarget(f"{plan.doing}: the shop has no order {plan.order}", record=job.name)
            if _cut(order):
                hint = "Make it in the shop's admin; orders of so many lines are read, and not written, here."
                raise InvalidRecord(f"{plan.doing}: order {order['name']} has more than 250 lines", hint=hint)
            note = notes.get(plan.item.external_key)
            there = self.made(note, order) if note is not None else None
            if there is not None:
                job.outcome = Written(key=key_of(there["id"]) or "", created=False)
                return job
            call, told = self._kind.plan(order, plan.item, plan.doing)
            note = note or Note(
                kind=self._kind.name,
                external_key=plan.item.external_key,
                order=plan.order,
                before=tuple(str(key_of(one["id"])) for one in order[self._kind.listed]),
                print=told,
            )
            call = replace(call, wants=f"{call.wants} {{ {self._wanted(plan.item)} }}")
            job.calls = [self._ledger.call(replace(note, print=told)), call]
        except IsthmusError as error:
            job.outcome = failed(error, job.name)
        return job

    def _wanted(self, item: Create) -> str:
        return render(selection(self._told, [], page=1))

    def _outcome(self, plan: _Plan, job: Job) -> Outcome:
        if job.outcome is not None:
            return job.outcome
        row = job.payloads[-1].get(job.calls[-1].wants.split()[0])
        if not isinstance(row, Mapping):
            error = RefusedByTarget(f"{plan.doing}: the answer holds no record", record=job.name)
            return Failed(error=error)
        return Written(key=key_of(row["id"]) or "", version=row.get("updatedAt"))

    def made(self, note: Note, order: Row) -> Row | None:
        """The record that a note is about, when it came to be."""
        rows: list[Row] = order[self._kind.listed]
        for row in rows:
            if key_of(row["id"]) not in note.before and self._kind.print_of(row) == note.print:
                return row
        return None

    async def by_external_keys(self, keys: Sequence[str], paths: Sequence[str]) -> list[Record]:
        """The records that were made under these keys."""
        notes = {key: note for key, note in (await self._ledger.find(keys)).items() if note.kind == self._kind.name}
        if not notes:
            return []
        orders = await self._orders(list(dict.fromkeys(note.order for note in notes.values())))
        found: dict[str, str] = {}
        for key, note in notes.items():
            order = orders.get(note.order)
            row = self.made(note, order) if order is not None else None
            if row is not None:
                found[key_of(row["id"]) or ""] = key
        records = await self._reader.by_keys(self._kind.name, list(found), paths)
        return [replace(record, external_key=found[record.key]) for record in records]

    async def _orders(self, keys: Sequence[str]) -> dict[str, Row]:
        """The orders with what decides about these documents, every list whole."""
        found: dict[str, Row] = {}
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), ORDERS_AT_ONCE):
            part = wanted[start : start + ORDERS_AT_ONCE]
            roots = " ".join(
                f'o{n}: order(id: "{gid("Order", key)}") {{ {self._kind.needs} }}' for n, key in enumerate(part)
            )
            data = await self._wire.ask(f"{{ {roots} }}", doing=f"reading the orders of {self._told.label.lower()}s")
            for n, key in enumerate(part):
                row = data.get(f"o{n}")
                if row:
                    found[key] = row
        return found


def _cut(value: Any) -> bool:
    """Whether any list inside came back without its end."""
    if isinstance(value, Mapping):
        return value.get("hasNextPage") is True or any(map(_cut, value.values()))
    return isinstance(value, list) and any(map(_cut, value))
