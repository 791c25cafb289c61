"""How every operation is carried out: look, do what is missing, look again; one bad Act never stops a good one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from isthmus.connectors.odoo.operations.desk import Desk
from isthmus.sdk import (
    Act,
    Done,
    Failed,
    IsthmusError,
    NotDone,
    Operation,
    OutcomeUnknown,
    Performed,
    RefusedByTarget,
    Reject,
    Undecided,
    Unsure,
    Verdict,
)

F = TypeVar("F")


@dataclass(slots=True, eq=False)
class Work(Generic[F]):
    """One Act on its way: its form, what was found of its documents, and what has become of it.

    `called` is the document as people know it. `facts` hands what was read from `look` to `act`. `result` says that
    it is done; `reached` that it is as far as it can be once `act` went well. `error` is what stands in the way.
    """

    act: Act
    form: F
    gerund: str
    called: str
    facts: dict[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    reached: Mapping[str, Any] | None = None
    error: IsthmusError | None = None

    @property
    def open(self) -> bool:
        """Whether there is still something to do and nothing in the way."""
        return self.result is None and self.error is None

    @property
    def doing(self) -> str:
        """What is being done with which document, for sentences."""
        return f"{self.gerund} {self.called}"

    def fail(self, error: IsthmusError) -> None:
        """Keep what went wrong, told of this document alone."""
        kind = type(error)
        told = kind.__new__(kind)
        told.__dict__.update(error.__dict__)
        told.args = (self.doing,)
        told.doing, told.record = self.doing, self.called
        told.facts = {**error.facts, "document": self.called}
        told.__cause__ = error
        self.error = told

    def block(self, answered: str, hint: str, *, kind: type[Reject] = RefusedByTarget, **facts: Any) -> None:
        """Say why the documents, as they stand, do not allow it, and what to do."""
        self.error = kind(self.doing, record=self.called, answered=answered, hint=hint, facts=facts)


class Method(ABC, Generic[F]):
    """One operation of Odoo. Subclasses say what it is (ABOUT), how it stands (look) and how it is done (act)."""

    ABOUT: ClassVar[Operation]
    GERUND: ClassVar[str]

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @abstractmethod
    def name(self, form: F) -> str:
        """The document before anything was read of it, like `sales order 42`."""

    @abstractmethod
    async def look(self, works: Sequence[Work[F]]) -> None:
        """Read how things stand, in few calls: set `result` where it is done, `error` where it cannot be done."""

    @abstractmethod
    async def act(self, works: Sequence[Work[F]]) -> None:
        """Do it for works that are open; what goes wrong is kept on each."""

    async def verify(self, acts: Sequence[Act]) -> list[Verdict]:
        """Whether each Act is done; reads only."""
        works, out = self._works(acts)
        try:
            await self.look(list(works.values()))
        except IsthmusError as error:
            return [_verdict(out[n]) if n in out else Undecided(error=error) for n in range(len(acts))]
        for n, work in works.items():
            out[n] = work.error if work.result is None else Done(result=self._told(work.result), repeated=True)
        return [_verdict(out[n]) for n in range(len(acts))]

    async def carry_out(self, acts: Sequence[Act]) -> list[Performed]:
        """Do what is not done yet. Acts that need the same lease take turns: each sees what the last one did."""
        works, out = self._works(acts)
        for turn in self._turns(works):
            try:
                await self.look(turn)
            except IsthmusError as error:
                for work in turn:
                    work.fail(error)
                continue
            before = {id(work) for work in turn if work.result is not None}
            await self._act_and_look([work for work in turn if work.open])
            for work in turn:
                if work.result is not None:
                    work.facts["repeated"] = id(work) in before
        done: list[Performed] = []
        for n in range(len(acts)):
            found = out.get(n)
            done.append(Failed(error=found) if isinstance(found, IsthmusError) else self._outcome(works[n]))
        return done

    async def _act_and_look(self, works: Sequence[Work[F]]) -> None:
        """Act, then see what has really become of it: an answer may be lost, or promise too much."""
        if not works:
            return
        try:
            await self.act(works)
        except IsthmusError as error:
            for work in works:
                if work.open:
                    work.fail(error)
        troubles = [work.error for work in works]
        for work in works:
            work.error = None
        try:
            await self.look(works)
        except IsthmusError as error:
            for work, trouble in zip(works, troubles, strict=True):
                work.error, work.result = trouble, None
                if trouble is None:
                    work.fail(OutcomeUnknown(work.doing, answered=error.answered, facts=error.facts))
            return
        for work, trouble in zip(works, troubles, strict=True):
            if work.result is not None:
                continue
            if trouble is not None:
                work.error = trouble
            elif work.reached is not None:
                work.result, work.error = work.reached, None
            elif work.error is None:
                work.block(
                    "Odoo took the call, but the document did not change",
                    "Open it in Odoo: a question that it asks there, or an automation, keeps it from going on.",
                )

    def _works(self, acts: Sequence[Act]) -> tuple[dict[int, Work[F]], dict[int, Done | IsthmusError | None]]:
        works: dict[int, Work[F]] = {}
        out: dict[int, Done | IsthmusError | None] = {}
        for n, act in enumerate(acts):
            try:
                form = self.ABOUT.parse(act.input)
            except IsthmusError as error:
                out[n] = error
            else:
                works[n] = Work(act, form, self.GERUND, self.name(form))
        return works, out

    def _turns(self, works: Mapping[int, Work[F]]) -> list[list[Work[F]]]:
        """Works in order, no two in one turn that need the same lease or are the same Act."""
        turns: list[list[Work[F]]] = []
        after: dict[str, int] = {}
        for work in works.values():
            keys = [*self.ABOUT.leases(work.act.input), f"act {work.act.key}"]
            at = max((after.get(key, 0) for key in keys), default=0)
            while len(turns) <= at:
                turns.append([])
            turns[at].append(work)
            after.update(dict.fromkeys(keys, at + 1))
        return turns

    def _outcome(self, work: Work[F]) -> Performed:
        if work.result is not None:
            return Done(result=self._told(work.result), repeated=bool(work.facts.get("repeated")))
        assert work.error is not None
        return Unsure(error=work.error) if isinstance(work.error, OutcomeUnknown) else Failed(error=work.error)

    def _told(self, result: Mapping[str, Any]) -> dict[str, Any]:
        return self.ABOUT.result.model_validate(dict(result)).model_dump()


def _verdict(found: Done | IsthmusError | None) -> Verdict:
    return found if isinstance(found, Done) else NotDone(blocked=found)
