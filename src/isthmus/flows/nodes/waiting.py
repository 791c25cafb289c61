"""Nodes that wait: for a time, an Event, a person, another flow. Waiting costs one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from isthmus.errors import RefusedByTarget
from isthmus.flows.item import Call, Emit, Item, Out, Question, Result, Trouble, emit
from isthmus.flows.item import Wait as Waiting
from isthmus.flows.node import (
    SLUG,
    Cel,
    Config,
    ConnectionRole,
    Duration,
    Node,
    PairRole,
    Path,
    Place,
    Sample,
    failed,
    guarded,
    span,
    text_of,
    value_of,
    with_path,
)
from isthmus.store.flows import connection_signal, named_signal, pair_signal
from isthmus.store.runs import settled_signal

FIRST_LOOK = 1.0
LONGEST_LOOK = 30.0
"""Seconds until a Change is looked at whose lane has not told that it is settled: at first, and at most."""


class Awaited(Config):
    """A Record whose change ends the wait."""

    connection: ConnectionRole | None = Field(None, description="The system whose Record it is.")
    pair: PairRole | None = Field(None, description="The pair whose Record it is, in place of one system.")
    entity: str = Field(description="The Entity: the system's own, or the canonical one of a pair.")
    side: Literal["left", "right"] = Field("left", description="For a pair: whose key is meant.")

    @model_validator(mode="after")
    def _one_source(self) -> Awaited:
        if (self.connection is None) == (self.pair is None):
            raise ValueError("give either connection or pair")
        return self


class Wait(Node):
    """Waits for a while, until a moment, or until an Event with the right key comes, at most as long as `timeout`.

    An Event that came since the Run began counts as well, so that none is missed by a moment.
    """

    LABEL: ClassVar[str] = "Wait"
    GROUP: ClassVar[Any] = "wait"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "The time or the Event came.", "timeout": "The Event did not."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"event": "parcel.delivered", "key": "item.tracking", "timeout": "14d", "into": "delivery"},
        input={"tracking": "1Z"},
        output={"tracking": "1Z", "delivery": {"at": "2026-01-05"}},
    )

    type: Literal["wait"] = "wait"
    for_: Duration | None = Field(None, alias="for", description="How long to wait.")
    until: Cel | None = Field(None, description="Until this moment, ISO 8601 with its zone; the past is at once.")
    event: str | None = Field(None, pattern=r"^[a-z][a-z0-9_.-]*$", description="The name of the Event.")
    record: Awaited | None = Field(None, description="A Record whose change is the Event.")
    key: Cel = Field("run.key", description="With an Event: the key it must have.")
    timeout: Duration | None = Field(None, description="With an Event: the longest wait.")
    into: Path | None = Field(None, description="Where the Event's data goes.")

    @model_validator(mode="after")
    def _one_reason(self) -> Wait:
        told = [name for name in ("for_", "until", "event", "record") if getattr(self, name) is not None]
        if len(told) != 1:
            raise ValueError("give one of for, until, event and record")
        if self.timeout is not None and told[0] in ("for_", "until"):
            raise ValueError("a timeout goes with event or record")
        return self

    def roles(self) -> list[tuple[str, str, str]]:
        if self.record is None:
            return []
        kind = "connection" if self.record.connection else "pair"
        return [(f"record.{kind}", kind, str(self.record.connection or self.record.pair))]

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        names = await self._names(place)
        return [guarded(lambda at, one: self._each(at, one, names), place, item) for item in items]

    async def _names(self, place: Place) -> Any:
        if self.record is None:
            return lambda key: named_signal(self.event or "", key)
        told = self.record
        if told.connection is not None:
            bound = await place.world.connection(told.connection)
            return lambda key: connection_signal(bound.id, told.entity, key)
        pair = await place.world.pair(told.pair or "")
        return lambda key: pair_signal(pair.id, told.entity, told.side, key)

    def _each(self, place: Place, item: Item, names: Any) -> Result:
        if "woken" in item.memo:
            data = item.data if self.into is None else with_path(item.data, self.into, item.memo["woken"])
            return emit("out", data)
        if self.for_ is not None or self.until is not None:
            if item.timed_out:
                return emit("out", item.data)
            due = place.now + span(self.for_) if self.for_ is not None else self._moment(place, item)
            if isinstance(due, Trouble):
                return due
            return emit("out", item.data) if due <= place.now else Waiting(until=due)
        if item.timed_out:
            return emit("timeout", item.data)
        until = None if self.timeout is None else place.now + span(self.timeout)
        return Waiting(until=until, wakes=names(text_of(self.key, item)))

    def _moment(self, place: Place, item: Item) -> datetime | Trouble:
        told = text_of(self.until or "''", item)
        try:
            found = datetime.fromisoformat(told)
        except ValueError:
            return Trouble(error=failed(place, item, f"{told!r} is no moment"))
        return found if found.tzinfo else found.replace(tzinfo=UTC)


class Escalation(Config):
    """Who is asked next when nobody answers."""

    after: Duration = Field(description="How long the first ones have.")
    to: str = Field(min_length=1, description="Who is asked then.")


class Approval(Node):
    """Asks a person and goes on by the port of their choice; who decided, when and why is kept.

    `isthmus approvals list` shows what is open; nobody's silence is an answer: `timeout` is a port of its own.
    """

    LABEL: ClassVar[str] = "Approval"
    GROUP: ClassVar[Any] = "wait"
    ASKS: ClassVar[bool] = True
    DYNAMIC_PORTS: ClassVar[bool] = True
    PORTS: ClassVar[Mapping[str, str]] = {"timeout": "Nobody decided in time."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"question": "Pay this bill although it differs?", "show": {"Bill": "item.number"}},
        input={"number": "B-1"},
        port="approved",
        output={"number": "B-1", "decision": {"choice": "approved", "by": "ada", "note": "agreed by telephone"}},
    )

    type: Literal["approval"] = "approval"
    question: str = Field(min_length=3, description="What the person is asked.")
    show: dict[str, Cel] = Field(default_factory=dict, description="What they need to see: label to expression.")
    choices: list[str] = Field(["approved", "rejected"], min_length=1, description="The answers; each is a port.")
    asked_of: str = Field("", description="Who should answer: a person or a role, in your own words.")
    escalate: Escalation | None = Field(None, description="Who is asked when they do not.")
    timeout: Duration | None = Field(None, description="The longest wait in all; then by the port `timeout`.")
    into: Path = Field("decision", description="Where the decision goes: choice, by, note, at.")

    def ports(self) -> tuple[str, ...]:
        return (*self.choices, "timeout")

    def problems(self) -> list[tuple[str, str, str]]:
        import re

        wrong = [c for c in self.choices if not re.match(SLUG, c) or c in ("timeout", "error")]
        if not wrong:
            return []
        return [("choices", f"{', '.join(wrong)} cannot be a port", "Use small letters, digits and _, as `approved`.")]

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        return [guarded(self._each, place, item) for item in items]

    def _each(self, place: Place, item: Item) -> Result:
        decision = item.memo.get("decision")
        if decision is not None:
            return emit(str(decision["choice"]), with_path(item.data, self.into, decision))
        asked = datetime.fromisoformat(item.memo["asked_at"]) if "asked_at" in item.memo else place.now
        end = None if self.timeout is None else asked + span(self.timeout)
        if end is not None and place.now >= end:
            return emit("timeout", item.data)
        escalates = None if self.escalate is None else asked + span(self.escalate.after)
        late = escalates is not None and place.now >= escalates
        until = end if late or escalates is None else min(escalates, end) if end is not None else escalates
        shown = {label: value_of(source, item) for label, source in self.show.items()}
        return Waiting(
            until=until,
            memo={"asked_at": asked.isoformat()},
            question=Question(
                text=self.question,
                shown=shown,
                choices=tuple(self.choices),
                asked_of=self.escalate.to if late and self.escalate is not None else self.asked_of,
                due_at=end,
                escalated=late,
            ),
        )


class SubFlow(Node):
    """Runs another flow for the item and waits for its end; its ended items come back as a list.

    A sub-flow whose item is held keeps this one waiting: it goes on when the dead letter has passed.
    """

    LABEL: ClassVar[str] = "Sub-flow"
    GROUP: ClassVar[Any] = "wait"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "It is done.", "cancelled": "A person has cancelled it."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"flow": "send-invoice", "into": "invoice"}, input={"order": "S1"}, output={"order": "S1", "invoice": []}
    )

    type: Literal["sub_flow"] = "sub_flow"
    flow: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", description="The flow; it begins with a `manual` trigger.")
    key: Cel = Field("run.key", description="The business key of its Run.")
    data: dict[Path, Cel] | None = Field(None, description="The item it begins with; this one without it.")
    wait: bool = Field(True, description="Whether to wait for its end; else the item goes on at once.")
    into: Path | None = Field(None, description="Where the list of what came of it goes.")

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        return [guarded(self._each, place, item) for item in items]

    def _each(self, place: Place, item: Item) -> Result:
        sub = item.memo.get("sub")
        if sub is not None:
            if sub["state"] == "cancelled":
                return emit("cancelled", item.data)
            data = item.data if self.into is None else with_path(item.data, self.into, sub["items"])
            return emit("out", data)
        given: dict[str, Any] = {}
        for path, source in (self.data or {}).items():
            given = with_path(given, path, value_of(source, item))
        call = Call(flow=self.flow, key=text_of(self.key, item), data=item.data if self.data is None else given)
        if self.wait:
            return Waiting(call=call)
        return Emit(outs=(Out("out", item.data),), call=call)


class SyncRecord(Node):
    """Has the pair's lane look at a Record now, and goes on the moment both systems agree on it.

    This is how a flow creates or updates a document's counterpart: by the same match, merge and Links as everything
    else of the pair. It goes on with both keys. With `only_linked`, a Record that has no counterpart yet is not looked
    at and leaves by `unlinked`.
    """

    LABEL: ClassVar[str] = "Sync record"
    GROUP: ClassVar[Any] = "effect"
    PORTS: ClassVar[Mapping[str, str]] = {
        "out": "Both sides agree.",
        "held": "The Record is held for a person in the pair; without a way from here the item is held as well.",
        "timeout": "The lane has not come to it in time.",
        "unlinked": "With `only_linked`: the pair knows no counterpart of it.",
    }
    SAMPLE: ClassVar[Sample] = Sample(
        config={"pair": "main", "entity": "customer", "key": "item.customer"},
        input={"customer": "7"},
        output={"customer": "7", "record": {"left": "7", "right": "C-7", "outcome": "applied"}},
    )

    type: Literal["sync_record"] = "sync_record"
    pair: PairRole = Field(description="The pair whose lane is asked.")
    entity: str = Field(description="The canonical Entity.")
    side: Literal["left", "right"] = Field("left", description="Whose key is given.")
    key: Cel = Field("run.key", description="The Record's key on that side.")
    timeout: Duration = Field("1h", description="The longest wait.")
    only_linked: bool = Field(False, description="Leave a Record alone that has no counterpart yet.")
    into: Path = Field("record", description="Where left, right and outcome go.")

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        pair = await place.world.pair(self.pair)
        keys = {id(item): guarded(lambda _, one: emit("out", {"k": text_of(self.key, one)}), place, item)
                for item in items}  # fmt: skip
        good = {id(i): str(r.outs[0].data["k"]) for i in items if isinstance(r := keys[id(i)], Emit)}
        fresh = [i for i in items if id(i) in good and "change" not in i.memo]
        if self.only_linked:
            linked = await place.world.linked(pair, self.entity, self.side, [good[id(i)] for i in fresh])
            fresh = [i for i in fresh if good[id(i)] in linked]
        numbers = await place.world.look_again(pair, self.entity, self.side, [good[id(i)] for i in fresh])
        asked = {id(i): n for i, n in zip(fresh, numbers, strict=True)}
        old = [int(i.memo["change"]) for i in items if "change" in i.memo]
        states = await place.world.looked_at(pair, self.entity, self.side, old)
        out: list[Result] = []
        for item in items:
            if id(item) not in good:
                out.append(keys[id(item)])
            elif id(item) in asked:
                memo = {"change": asked[id(item)], "asked_at": place.now.isoformat(), "looks": 0}
                out.append(self._later(place, item, asked[id(item)], memo))
            elif "change" not in item.memo:
                out.append(emit("unlinked", item.data))
            else:
                out.append(self._seen(place, item, states.get(int(item.memo["change"]))))
        return out

    def _later(self, place: Place, item: Item, change: int, memo: Mapping[str, Any]) -> Waiting:
        """The lane wakes the item when it has settled the Change; a look from time to time is for what went wrong."""
        asked = datetime.fromisoformat(str({**item.memo, **memo}["asked_at"]))
        look = place.now + timedelta(seconds=max(FIRST_LOOK, min(LONGEST_LOOK, 2.0 ** int(memo["looks"]))))
        return Waiting(until=min(look, asked + span(self.timeout)), wakes=settled_signal(change), memo=memo)

    def _seen(self, place: Place, item: Item, state: Any) -> Result:
        if state is None or state["state"] != "closed":
            if place.now >= datetime.fromisoformat(item.memo["asked_at"]) + span(self.timeout):
                return emit("timeout", item.data)
            return self._later(place, item, int(item.memo["change"]), {"looks": int(item.memo.get("looks", 0)) + 1})
        told = {name: state.get(name) for name in ("left", "right", "outcome")}
        if state["outcome"] == "held":
            reason = state.get("reason") or {}
            data = {**with_path(item.data, self.into, told), "error": reason}
            if place.leads("held"):
                return emit("held", data)
            return Trouble(
                error=RefusedByTarget(
                    f"syncing {self.entity} {item.key} for {place.flow}.{place.node}",
                    record=item.key,
                    answered=str(reason.get("answered") or reason.get("doing") or "the Record is held"),
                    hint="Help the Record first (`isthmus deadletters list`), then retry this item.",
                ),
                next_visit=True,
            )
        return emit("out", with_path(item.data, self.into, told))
