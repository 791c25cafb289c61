"""Nodes with effects: asked first whether it is done, stored before it is sent, never sent blind a second time.

The order for every item, whatever happens in between:

1. `verify` says whether the effect has taken place, by external key, document state or query.
2. What has not is stored as a sent Intent, fenced by the lane's lease.
3. `send` makes it take place and tells what became of it.
4. The outcome, the Intent's end and the item's move are one transaction.

A runner that dies between 2 and 4 leaves a sent Intent: the next one begins at 1. Where that finds nothing, it waits
until the other side's ceiling has passed; where nothing can be told, it is sent again only if repeating is harmless,
and is held for a person otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from isthmus.errors import IsthmusError, OutcomeUnknown
from isthmus.flows.item import Emit, IntentEnd, Item, OpenIntent, Out, Result, Trouble, Wait
from isthmus.flows.node import Node, Place, guarded
from isthmus.flows.surroundings import NewIntent
from isthmus.store.rows import as_json

A_MOMENT = timedelta(milliseconds=30)
FIRST_LOOK = timedelta(seconds=1)
"""How soon after a lost answer the other side is asked what became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """It took place, now or before. `data` is the item afterwards; `answer` is kept with the Intent."""

    data: dict[str, Any]
    port: str = "out"
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """It has not taken place as far as the other side tells; sending is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """The other side cannot tell whether it took place; `error` says why, when it should have been able to."""

    error: IsthmusError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It surely did not take place, and will not because of this try."""

    error: IsthmusError


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """No answer, or one that cannot be read."""

    error: IsthmusError


Verdict = Took | Missing | Silent | Refused
Answer = Took | Refused | Doubt


@dataclass(slots=True, kw_only=True)
class Sending:
    """An item with its prepared effect: what is stored, what is sent, and under which keys."""

    item: Item
    action: str
    payload: Mapping[str, Any]
    external_key: str | None = None
    locks: tuple[str, ...] = ()
    intent: OpenIntent | None = None
    values: Any = None

    @property
    def idempotency_key(self) -> str:
        """The same for the same effect, however often it is sent."""
        assert self.intent is not None
        return self.intent.idempotency_key


class Effect(Node):
    """A node that changes something outside. Subclasses give `prepare`, `verify` and `send`."""

    EFFECT: ClassVar[bool] = True
    GROUP: ClassVar[Any] = "effect"
    AT_ONCE: ClassVar[int] = 0
    """How many effects are stored as sent and sent together, all of a batch if 0: of the others it is known after a
    kill that they were not sent, so that they need not wait for the other side's ceiling.
    """

    def prepare(self, place: Place, item: Item) -> Sending | Result:
        """What would be sent for an item, or what becomes of it without anything being sent."""
        raise NotImplementedError  # every effect has its own

    async def verify(self, place: Place, effects: Sequence[Sending]) -> Sequence[Verdict]:
        """Whether each effect has taken place; reads only."""
        return [Silent() for _ in effects]

    async def send(self, place: Place, effects: Sequence[Sending]) -> Sequence[Answer]:
        """Make them take place; one Answer per effect, in order, no exceptions for an item's own trouble."""
        raise NotImplementedError  # every effect has its own

    async def ceiling(self, place: Place) -> timedelta:
        """The longest time in which a request can still take effect after we gave up waiting for it."""
        return timedelta(seconds=60)

    def repeats(self, place: Place, effect: Sending) -> bool:
        """Whether sending it twice is harmless, as when the other side keeps to its idempotency key."""
        return False

    def keeps_key(self) -> bool:
        """Whether a try that failed and is repeated is still the same effect to the other side, under the same key."""
        return False

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        prepared = [_prepared(self, place, item) for item in items]
        effects = [one for one in prepared if isinstance(one, Sending)]
        locks = sorted({lock for one in effects for lock in one.locks})
        if locks:
            async with place.world.held(locks):
                results = await self._carry_out(place, effects)
        else:
            results = await self._carry_out(place, effects)
        found = {id(e): r for e, r in zip(effects, results, strict=True)}
        return [found[id(one)] if isinstance(one, Sending) else one for one in prepared]

    async def _carry_out(self, place: Place, effects: Sequence[Sending]) -> list[Result]:
        if not effects:
            return []
        results: dict[int, Result] = {}
        fresh: list[Sending] = []
        ceiling = await self.ceiling(place)
        first, later = _one_of_each(effects)
        results.update({id(effect): Wait(until=place.now + A_MOMENT) for effect in later})
        for effect, verdict in zip(first, await self.verify(place, first), strict=True):
            known = self._judged(place, effect, verdict, ceiling)
            if known is None:
                fresh.append(effect)
            else:
                results[id(effect)] = known
        size = self.AT_ONCE or max(1, len(fresh))
        for start in range(0, len(fresh), size):
            part = fresh[start : start + size]
            stopped = await self._sent(place, part, results, ceiling)
            if stopped is not None:
                # Of the others nothing was sent, nor stored as sent.
                results.update({id(effect): Trouble(error=stopped) for effect in fresh[start + size :]})
                break
        return [results[id(effect)] for effect in effects]

    async def _sent(
        self, place: Place, part: Sequence[Sending], results: dict[int, Result], ceiling: timedelta
    ) -> IsthmusError | None:
        """Store effects as sent and send them; returns the error that stops the flow, if there was one."""
        for effect, intent in zip(part, await place.world.send([_intent(place, e) for e in part]), strict=True):
            effect.intent = intent
        stopped = None
        try:
            answers: Sequence[Answer] = await self.send(place, part)
        except IsthmusError as error:
            # A verb promises outcomes; if it breaks that promise we do not know what took place.
            stopped = error if error.action == "halt" else None
            answers = [Refused(error=error) if stopped else Doubt(error=error) for _ in part]
        for effect, answer in zip(part, answers, strict=True):
            results[id(effect)] = _answered(self, effect, answer, place, ceiling)
        return stopped

    def _judged(self, place: Place, effect: Sending, verdict: Verdict, ceiling: timedelta) -> Result | None:
        """What is known before anything is sent; None lets it be sent."""
        open_intent = effect.item.intent
        if isinstance(verdict, Took):
            return _took(verdict, open_intent)
        if isinstance(verdict, Refused):
            return Trouble(error=verdict.error)
        if isinstance(verdict, Silent) and verdict.error is not None:
            return Trouble(error=verdict.error)
        if open_intent is None:
            return None
        left = ceiling.total_seconds() - open_intent.age
        harmless = self.repeats(place, effect)
        if harmless and isinstance(verdict, Missing):
            return None
        if left > 0:
            ends = (IntentEnd(id=open_intent.id, state="unknown"),)
            return Wait(until=place.now + timedelta(seconds=left + 0.05), ends=ends)
        if harmless or isinstance(verdict, Missing):
            return None
        return Trouble(error=_nobody_knows(place, effect), hold=True)


def _one_of_each(effects: Sequence[Sending]) -> tuple[list[Sending], list[Sending]]:
    """Of items that mean the same record or act, one goes first, the one that was sent before if any; the others then
    see what it has done.
    """
    chosen: dict[str, Sending] = {}
    for effect in sorted(effects, key=lambda e: e.item.intent is None):
        chosen.setdefault(effect.external_key or f"item {id(effect)}", effect)
    leading = {id(effect) for effect in chosen.values()}
    return [e for e in effects if id(e) in leading], [e for e in effects if id(e) not in leading]


def _prepared(node: Effect, place: Place, item: Item) -> Sending | Result:
    def each(at: Place, one: Item) -> Any:
        return node.prepare(at, one)

    return guarded(each, place, item)


def _intent(place: Place, effect: Sending) -> NewIntent:
    item = effect.item
    told = f"{place.world.installation}/{item.run.id}/{item.id}/{place.node}/{item.visit}/{as_json(effect.payload)}"
    return NewIntent(
        item=item,
        node=place.node,
        action=effect.action,
        payload=effect.payload,
        external_key=effect.external_key,
        idempotency_key=f"{place.world.installation}-{hashlib.sha256(told.encode()).hexdigest()[:32]}",
    )


def _took(verdict: Took, intent: OpenIntent | None) -> Result:
    ends = () if intent is None else (IntentEnd(id=intent.id, state="confirmed", answer=verdict.answer),)
    return Emit(outs=(Out(verdict.port, verdict.data),), ends=ends)


def _answered(node: Effect, effect: Sending, answer: Answer, place: Place, ceiling: timedelta) -> Result:
    assert effect.intent is not None
    if isinstance(answer, Took):
        return _took(answer, effect.intent)
    told = answer.error.as_dict()
    if isinstance(answer, Doubt):
        ends = (IntentEnd(id=effect.intent.id, state="unknown", error=told),)
        return Wait(until=place.now + min(FIRST_LOOK, ceiling), ends=ends, memo={"doubt": told})
    if answer.error.action == "retry" and node.keeps_key():
        return Trouble(error=answer.error, ends=(IntentEnd(id=effect.intent.id, state="unknown", error=told),))
    state: Any = "refused" if answer.error.action == "reject" else "dropped"
    return Trouble(error=answer.error, next_visit=True, ends=(IntentEnd(id=effect.intent.id, state=state, error=told),))


def _nobody_knows(place: Place, effect: Sending) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{effect.action} for {effect.item.key} in {place.flow}.{place.node}",
        record=effect.item.key,
        answered="no answer came, and the other side cannot say whether it took place",
        hint="Look there yourself. Retry the dead letter only if it did not take place; discard it if it did.",
    )
