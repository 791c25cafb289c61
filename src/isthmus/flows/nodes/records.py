"""Nodes on Records of one system: read them, create or update them, and call its Operations."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from isthmus.errors import Ambiguous, Contended, InvalidRecord, Misconfigured
from isthmus.flows.effects import Answer, Doubt, Effect, Missing, Refused, Sending, Silent, Took, Verdict
from isthmus.flows.item import Emit, Item, Out, Result, Trouble, emit
from isthmus.flows.node import (
    Cel,
    ConnectionRole,
    Node,
    Path,
    Place,
    Sample,
    at_path,
    failed,
    guarded,
    text_of,
    value_of,
    with_path,
)
from isthmus.model.canonical import encode
from isthmus.model.schema import EntitySchema, FieldType
from isthmus.sdk.connector import (
    ByExternalKeys,
    ByKeys,
    ByValues,
    Connector,
    Create,
    Everything,
    Failed,
    Record,
    Selection,
    Unsure,
    Update,
    Written,
)
from isthmus.sdk.operations import Act, Done, NotDone, Undecided


def shown(record: Record) -> dict[str, Any]:
    """A Record as it stands in an item."""
    return {"key": record.key, "version": record.version, "active": record.active, **encode(record.values)}


class Read(Node):
    """Reads Records of one system as they are now: by key, by a field's value, or all within a scope.

    One Record per item goes `into` the item. With `each`, every Record becomes an item of its own. With `made_by`, it
    is the Record that another node of this flow has made for a key. Without one that is `needed` the item is held, and
    looked for again when it is retried.
    """

    LABEL: ClassVar[str] = "Read"
    GROUP: ClassVar[Any] = "read"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "What was found.", "missing": "There is none."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"connection": "erp", "entity": "sale.order", "key": "item.key", "paths": ["name", "state"]},
        input={"key": "42"},
        output={"key": "42", "record": {"key": "42", "name": "S00042", "state": "sale"}},
    )

    type: Literal["read"] = "read"
    connection: ConnectionRole = Field(description="The system that is meant.")
    entity: str = Field(description="The Entity, by the system's own name.")
    paths: list[str] = Field(min_length=1, description="What is read, by the connector's paths.")
    key: Cel | None = Field(None, description="The Record's key.")
    match: dict[str, Cel] | None = Field(None, description="One path and the value it has, in place of a key.")
    made_by: str | None = Field(None, description="The `upsert` of this flow that made it; `key` is then its `id`.")
    needed: str | None = Field(None, description="What people are told where there is none; it leaves by `error`.")
    scope: Any = Field(None, description="A filter in the system's own language; alone, it reads all within it.")
    each: bool = Field(False, description="One item per Record, to be joined behind.")
    many: bool = Field(False, description="Put a list of all that were found into the item.")
    into: Path = Field("record", description="Where the Record, or the list, goes.")

    @model_validator(mode="after")
    def _one_way(self) -> Read:
        if self.key is not None and self.match is not None:
            raise ValueError("give either key or match")
        if self.match is not None and len(self.match) != 1:
            raise ValueError("match names one path")
        if self.key is None and self.match is None and not (self.each or self.many):
            raise ValueError("without key and match, say each or many")
        if self.made_by is not None and self.key is None:
            raise ValueError("made_by goes with key")
        return self

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        connector = (await place.world.connection(self.connection)).connector
        source = self.key if self.key is not None else next(iter((self.match or {}).values()), None)
        if source is None:
            return [self._given(item, await self._all(connector)) for item in items]
        wanted = [guarded(lambda _, one: emit("out", {"k": value_of(source, one)}), place, i) for i in items]
        values = [r.outs[0].data["k"] if isinstance(r, Emit) else None for r in wanted]
        if self.made_by is not None:
            values = [None if v in (None, "") else minted(place, str(v), self.made_by) for v in values]
        found = await self._found(connector, [v for v in values if v not in (None, "")])
        return [
            told if isinstance(told, Trouble) else self._given(item, _of(found, value))
            for item, told, value in zip(items, wanted, values, strict=True)
        ]

    async def _found(self, connector: Connector, values: Sequence[Any]) -> dict[str, list[Record]]:
        out: dict[str, list[Record]] = {}
        if not values:
            return out
        distinct = list(dict.fromkeys(str(v) if self.key is not None else v for v in values))
        path = next(iter(self.match or {}), "")
        selection: Selection = ByKeys(distinct) if self.key is not None else ByValues(path, distinct)
        if self.made_by is not None:
            selection = ByExternalKeys(distinct)
        paths = self.paths if not path or path in self.paths else [*self.paths, path]
        async for page in connector.read(self.entity, selection, paths, self.scope):
            for record in page:
                key = record.key if self.key is not None else str(encode(record.values).get(path))
                if self.made_by is not None:
                    key = str(record.external_key)
                out.setdefault(key, []).append(record)
        return out

    async def _all(self, connector: Connector) -> list[Record]:
        out: list[Record] = []
        async for page in connector.read(self.entity, Everything(), self.paths, self.scope):
            out.extend(page)
        return out

    def _given(self, item: Item, records: Sequence[Record]) -> Result:
        if self.many:
            return emit("out", with_path(item.data, self.into, [shown(r) for r in records]))
        if not records and self.needed is not None:
            return Trouble(
                error=InvalidRecord(
                    f"looking for {self.entity} {item.key}",
                    record=item.key,
                    answered=self.needed,
                    hint="Once it is there, retry the dead letter.",
                )
            )
        if not records:
            return emit("missing", item.data)
        if self.each:
            return Emit(
                outs=tuple(Out("out", with_path(item.data, self.into, shown(r)), r.key) for r in records), group=True
            )
        if len(records) > 1:
            return Trouble(
                error=Ambiguous(
                    f"reading {self.entity} for {item.key}",
                    record=item.key,
                    answered=f"{len(records)} records match: {', '.join(r.key for r in records[:5])}",
                    facts={"keys": [r.key for r in records[:50]]},
                )
            )
        return emit("out", with_path(item.data, self.into, shown(records[0])))


def _of(found: Mapping[str, list[Record]], value: Any) -> list[Record]:
    """The Records that a system gave for a value: those with just this one, else what differs in case only."""
    told = str(value)
    return found.get(told) or [r for one, rs in found.items() if one.casefold() == told.casefold() for r in rs]


def typed(values: Mapping[str, Any], schema: EntitySchema | None) -> dict[str, Any]:
    """An item's JSON values as the connector wants them: exact decimals, dates, whole numbers."""
    known = schema.fields if schema is not None else {}
    return {path: _typed(value, known[path].type if path in known else None) for path, value in values.items()}


def _typed(value: Any, kind: FieldType | None) -> Any:
    try:
        if kind is FieldType.DECIMAL and isinstance(value, str | int):
            return Decimal(value)
        if kind is FieldType.INTEGER and isinstance(value, str):
            return int(value)
        if kind is FieldType.DATE and isinstance(value, str):
            return date.fromisoformat(value[:10])
        if kind is FieldType.DATETIME and isinstance(value, str):
            return datetime.fromisoformat(value)
    except (InvalidOperation, ValueError) as error:
        raise InvalidRecord("reading a value to be written", answered=f"{value!r} is no {kind}") from error
    return value


_MINTABLE = re.compile(r"[^A-Za-z0-9_-]")


def minted(place: Place, key: str, node: str | None = None) -> str:
    """The external key of what a node makes for a business key: the same in every Run, so nothing is made twice."""
    plain = _MINTABLE.sub("_", key)
    if plain != key or len(plain) > 40:
        plain = f"{plain[:30]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    return f"{place.world.installation}-{place.flow}-{node or place.node}-{plain}"


class Upsert(Effect):
    """Makes sure a Record of one system exists with these values: found it is updated where it differs, else created.

    It is found by its key, by the external key that this node gave it in an earlier Run, or by a field that matches.
    """

    LABEL: ClassVar[str] = "Create or update"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "It stands there as wanted.", "missing": "It is not there to update."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"connection": "books", "entity": "Payment", "values": {"Amount": "item.amount"}, "id": "item.payment"},
        input={"payment": "P1", "amount": "10.00"},
        output={"payment": "P1", "amount": "10.00", "record": {"key": "PAY-1", "created": True}},
    )

    type: Literal["upsert"] = "upsert"
    connection: ConnectionRole = Field(description="The system that is meant.")
    entity: str = Field(description="The Entity, by the system's own name.")
    values: dict[str, Cel] | None = Field(None, description="Path to expression: what shall stand there.")
    from_: Path | None = Field(None, alias="from", description="The path of an object of values, in place of `values`.")
    key: Cel | None = Field(None, description="The Record's key there, when it is known; then it is only updated.")
    id: Cel | None = Field(None, description="What names the Record for us; its external key is made of it.")
    match: dict[str, Cel] | None = Field(None, description="One path and the value by which an existing one is found.")
    found: Literal["update", "keep"] = Field("update", description="What happens to one that is there already.")
    create: bool = Field(True, description="Whether one that is not there is created.")
    into: Path = Field("record", description="Where key, version and created go.")

    @model_validator(mode="after")
    def _one_way(self) -> Upsert:
        if (self.values is None) == (self.from_ is None):
            raise ValueError("give either values or from")
        if self.match is not None and len(self.match) != 1:
            raise ValueError("match names one path")
        return self

    def would(self, place: Place, item: Item) -> str:
        made = self.prepare(place, item)
        told = made.payload["values"] if isinstance(made, Sending) else {}
        return f"would write {self.entity} of {self.connection}: {', '.join(f'{k}={v}' for k, v in told.items())}"

    def prepare(self, place: Place, item: Item) -> Sending | Result:
        if self.values is not None:
            values = {path: value_of(source, item) for path, source in self.values.items()}
        else:
            given = at_path(item.data, self.from_ or "")
            if not isinstance(given, Mapping):
                return Trouble(error=failed(place, item, f"there are no values at {self.from_}"))
            values = dict(given)
        path, source = next(iter((self.match or {}).items()), ("", ""))
        payload: dict[str, Any] = {"entity": self.entity, "values": values}
        if self.key is not None:
            payload["key"] = text_of(self.key, item)
            if not payload["key"]:
                return emit("missing", item.data)
        if path:
            payload["match"] = [path, value_of(source, item)]
        named = item.key if self.id is None else text_of(self.id, item)
        external = minted(place, named or item.key)
        return Sending(
            item=item,
            action=f"writing {self.entity}",
            payload=payload,
            external_key=external,
            locks=(f"flow:{self.connection}:{self.entity}:{payload.get('key') or external}",),
        )

    async def ceiling(self, place: Place) -> timedelta:
        traits = (await place.world.connection(self.connection)).connector.traits
        return timedelta(seconds=traits.ceiling_seconds)

    def repeats(self, place: Place, effect: Sending) -> bool:
        # An update is compared with what stands there first; a create needs the other side's word.
        state = effect.values
        return isinstance(state, _State) and (state.record is not None or state.idempotent)

    async def verify(self, place: Place, effects: Sequence[Sending]) -> Sequence[Verdict]:
        connector = (await place.world.connection(self.connection)).connector
        schema = await place.world.schema(self.connection, self.entity)
        paths = list(dict.fromkeys(path for e in effects for path in e.payload["values"]))
        found = await self._existing(connector, effects, paths)
        out: list[Verdict] = []
        for effect in effects:
            records = found[id(effect)]
            try:
                wanted = typed(effect.payload["values"], schema)
            except InvalidRecord as error:
                out.append(Refused(error=error))
                continue
            effect.values = _State(wanted=wanted, idempotent=connector.traits.idempotent_creates)
            if len(records) > 1:
                keys = ", ".join(r.key for r in records[:5])
                told = f"{len(records)} records match: {keys}"
                out.append(Refused(error=Ambiguous(effect.action, record=effect.item.key, answered=told)))
                continue
            out.append(self._compared(effect, records[0] if records else None))
        return out

    def _compared(self, effect: Sending, record: Record | None) -> Verdict:
        effect.values.record = record
        if record is None:
            return Missing()
        if self.found == "keep" and "key" not in effect.payload:
            return self._took(effect, record.key, record.version, created=effect.item.intent is not None)
        now, wanted = encode(record.values), encode(effect.values.wanted)
        if all(_same(now.get(path), value) for path, value in wanted.items()):
            return self._took(effect, record.key, record.version, created=effect.item.intent is not None)
        return Missing()

    def _took(self, effect: Sending, key: str, version: str | None, *, created: bool) -> Took:
        told = {"key": key, "version": version, "created": created}
        return Took(data=with_path(effect.item.data, self.into, told), answer=told)

    async def _existing(
        self, connector: Connector, effects: Sequence[Sending], paths: Sequence[str]
    ) -> dict[int, list[Record]]:
        """The Records that the effects are about, each found by key, else by external key, else by match."""
        out: dict[int, list[Record]] = {id(e): [] for e in effects}
        keyed = [e for e in effects if "key" in e.payload]
        if keyed:
            by_key = await _read(connector, self.entity, ByKeys([e.payload["key"] for e in keyed]), paths)
            for e in keyed:
                out[id(e)] = [r for r in by_key if r.key == e.payload["key"]]
        rest = [e for e in effects if "key" not in e.payload]
        if rest:
            wanted = ByExternalKeys([str(e.external_key) for e in rest])
            ours = await _read(connector, self.entity, wanted, paths)
            for e in rest:
                out[id(e)] = [r for r in ours if r.external_key == e.external_key]
        matched = [
            e for e in rest if not out[id(e)] and "match" in e.payload and e.payload["match"][1] not in (None, "")
        ]
        if matched:
            path = matched[0].payload["match"][0]
            selection = ByValues(path, [e.payload["match"][1] for e in matched])
            records = await _read(connector, self.entity, selection, [*paths, path])
            by_value: dict[str, list[Record]] = {}
            for record in records:
                by_value.setdefault(str(encode(record.values).get(path)), []).append(record)
            for e in matched:
                out[id(e)] = _of(by_value, e.payload["match"][1])
        return out

    async def send(self, place: Place, effects: Sequence[Sending]) -> Sequence[Answer]:
        connector = (await place.world.connection(self.connection)).connector
        out: dict[int, Answer] = {}
        creates = [e for e in effects if e.values.record is None]
        for effect in list(creates):
            if "key" in effect.payload or not self.create:
                creates.remove(effect)
                out[id(effect)] = Took(data=effect.item.data, port="missing")
        updates = [e for e in effects if e.values.record is not None]
        if creates:
            items = [
                Create(external_key=str(e.external_key), values=e.values.wanted, idempotency_key=e.idempotency_key)
                for e in creates
            ]
            for e, outcome in zip(creates, await connector.create(self.entity, items), strict=True):
                out[id(e)] = self._answer(e, outcome)
        if updates:
            for e, outcome in zip(updates, await connector.update(self.entity, _updates(updates)), strict=True):
                out[id(e)] = self._answer(e, outcome)
        return [out[id(e)] for e in effects]

    def _answer(self, effect: Sending, outcome: Any) -> Answer:
        if isinstance(outcome, Written):
            made = effect.values.record is None and outcome.created
            return self._took(effect, outcome.key, outcome.version, created=made)
        if isinstance(outcome, Failed):
            return Refused(error=outcome.error)
        if isinstance(outcome, Unsure):
            return Doubt(error=outcome.error)
        return Refused(error=Contended(effect.action, record=effect.item.key, answered="it moved since it was read"))


class _State:
    """What an upsert knows of one effect between looking and sending."""

    def __init__(self, *, wanted: dict[str, Any], idempotent: bool) -> None:
        self.wanted = wanted
        self.idempotent = idempotent
        self.record: Record | None = None


def _updates(effects: Sequence[Sending]) -> list[Update]:
    """The fields that differ, each with what it is expected to be now."""
    made = []
    for e in effects:
        record = e.values.record
        now = encode(record.values)
        changed = {
            path: value for path, value in e.values.wanted.items() if not _same(now.get(path), encode({"": value})[""])
        }
        made.append(
            Update(
                key=record.key,
                values=changed,
                expect={path: record.values.get(path) for path in changed},
                version=record.version,
                idempotency_key=e.idempotency_key,
            )
        )
    return made


def _same(left: Any, right: Any) -> bool:
    """Whether what stands there is what is wanted. Of an object only the wanted members count: the rest is its own."""
    if left in (None, "", [], {}) and right in (None, "", [], {}):
        return True
    if left == right:
        return True
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return all(_same(left.get(name), value) for name, value in right.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    try:
        return Decimal(str(left)) == Decimal(str(right)) and not isinstance(left, bool) and not isinstance(right, bool)
    except InvalidOperation:
        return False


async def _read(connector: Connector, entity: str, selection: Any, paths: Sequence[str]) -> list[Record]:
    out: list[Record] = []
    async for page in connector.read(entity, selection, list(dict.fromkeys(paths))):
        out.extend(page)
    return out


class CallOperation(Effect):
    """Has a system carry out one of its Operations: confirm an order, validate a delivery, capture an amount.

    The state of the documents is looked at first, and again after a lost answer; what is done is not done again.
    """

    LABEL: ClassVar[str] = "Call an Operation"
    AT_ONCE: ClassVar[int] = 25
    SAMPLE: ClassVar[Sample] = Sample(
        config={"connection": "erp", "operation": "confirm_order", "input": {"order": "item.order"}},
        input={"order": "42"},
        output={"order": "42", "result": {"state": "sale"}},
    )

    type: Literal["call"] = "call"
    connection: ConnectionRole = Field(description="The system that is meant.")
    operation: str = Field(description="The Operation, by the connector's name for it.")
    input: dict[str, Cel] | Cel = Field(description="Its input: field to expression, or one expression for all.")
    key: Cel | None = Field(None, description="What names this act, when one document takes several: a payment's id.")
    into: Path = Field("result", description="Where the result goes.")

    def would(self, place: Place, item: Item) -> str:
        return f"would call {self.operation} of {self.connection} with {self._input(item)}"

    def _input(self, item: Item) -> Any:
        if isinstance(self.input, str):
            return value_of(self.input, item)
        return {name: value_of(source, item) for name, source in self.input.items()}

    def prepare(self, place: Place, item: Item) -> Sending | Result:
        given = self._input(item)
        if not isinstance(given, Mapping):
            return Trouble(error=failed(place, item, "the input is no object"))
        named = item.key if self.key is None else text_of(self.key, item)
        return Sending(
            item=item,
            action=f"calling {self.operation}",
            payload={"operation": self.operation, "input": dict(given)},
            external_key=minted(place, named or item.key),
        )

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        connector = (await place.world.connection(self.connection)).connector
        known = {operation.name: operation for operation in connector.operations()}
        if self.operation not in known:
            raise Misconfigured(
                f"calling {self.operation} in {place.flow}.{place.node}",
                answered=f"{self.connection} has no such Operation",
                hint=f"It has: {', '.join(sorted(known)) or 'none'}.",
            )
        return await super().work(place, items)

    async def _carry_out(self, place: Place, effects: Sequence[Sending]) -> list[Result]:
        bound = await place.world.connection(self.connection)
        operation = next(o for o in bound.connector.operations() if o.name == self.operation)
        good: list[Sending] = []
        told: dict[int, Result] = {}
        for effect in effects:
            try:
                operation.parse(effect.payload["input"])
                good.append(effect)
            except InvalidRecord as error:
                told[id(effect)] = Trouble(error=error)
        locks = sorted(
            {f"operation:{bound.id}:{lease}" for e in good for lease in operation.leases(e.payload["input"])}
        )
        async with place.world.held(locks):
            done = await super()._carry_out(place, good)
        found = {id(e): r for e, r in zip(good, done, strict=True)}
        return [told.get(id(e)) or found[id(e)] for e in effects]

    async def ceiling(self, place: Place) -> timedelta:
        traits = (await place.world.connection(self.connection)).connector.traits
        return timedelta(seconds=traits.ceiling_seconds)

    async def verify(self, place: Place, effects: Sequence[Sending]) -> Sequence[Verdict]:
        if not effects:
            return []
        connector = (await place.world.connection(self.connection)).connector
        verdicts = await connector.verify(self.operation, [_act(e) for e in effects])
        return [self._judged_by(e, v) for e, v in zip(effects, verdicts, strict=True)]

    def _judged_by(self, effect: Sending, verdict: Any) -> Verdict:
        if isinstance(verdict, Done):
            return self._done(effect, verdict)
        if isinstance(verdict, NotDone):
            return Missing()
        assert isinstance(verdict, Undecided)
        return Silent(error=verdict.error)

    def _done(self, effect: Sending, done: Done) -> Took:
        told = encode(dict(done.result))
        return Took(data=with_path(effect.item.data, self.into, told), answer=told)

    async def send(self, place: Place, effects: Sequence[Sending]) -> Sequence[Answer]:
        connector = (await place.world.connection(self.connection)).connector
        outcomes = await connector.perform(self.operation, [_act(e) for e in effects])
        out: list[Answer] = []
        for effect, outcome in zip(effects, outcomes, strict=True):
            if isinstance(outcome, Done):
                out.append(self._done(effect, outcome))
            elif isinstance(outcome, Failed):
                out.append(Refused(error=outcome.error))
            else:
                out.append(Doubt(error=outcome.error))
        return out


def _act(effect: Sending) -> Act:
    return Act(key=str(effect.external_key), input=effect.payload["input"])
