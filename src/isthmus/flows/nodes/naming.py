"""Naming counterparts: what an Operation has made in one system is told to the pair before its lane sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from isthmus.errors import IsthmusError
from isthmus.flows.item import Item, Result, Trouble, Wait, emit
from isthmus.flows.node import Cel, Node, PairRole, Path, Place, Sample, failed, text_of, with_path
from isthmus.mapping.problem import TransformProblem

A_MOMENT = timedelta(seconds=0.5)


class LinkRecords(Node):
    """Tells a pair that two Records are counterparts, so that its lane links them and makes neither a second time.

    Use it behind an Operation that makes in one system what exists in the other, before the new Record is in the
    pair's scope: a bill that is still a draft. Who said so is in the audit log. A Record that has another counterpart
    is a matter for a person.
    """

    LABEL: ClassVar[str] = "Link Records"
    GROUP: ClassVar[Any] = "effect"
    SAMPLE: ClassVar[Sample] = Sample(
        config={"pair": "main", "entity": "invoice", "left": "item.bill", "right": "run.key"},
        input={"bill": "90"},
        output={"bill": "90", "link": {"left": "90", "right": "INV-1", "state": "expected"}},
    )

    type: Literal["link"] = "link"
    pair: PairRole = Field(description="The pair that keeps them in agreement.")
    entity: str = Field(description="The canonical Entity.")
    left: Cel = Field(description="The key of the Record on the left side.")
    right: Cel = Field(description="The key of the Record on the right side.")
    into: Path = Field("link", description="Where left, right and state go: `expected`, or `linked` already.")

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        return [await self._each(place, item) for item in items]

    async def _each(self, place: Place, item: Item) -> Result:
        try:
            left, right = text_of(self.left, item), text_of(self.right, item)
            if not left or not right:
                return Trouble(error=failed(place, item, f"the {'right' if left else 'left'} key is empty"))
            pair = await place.world.pair(self.pair)
            why: Mapping[str, Any] = {"node": place.node, "run": item.run.id}
            state = await place.world.expect_link(pair, self.entity, left, right, why)
        except IsthmusError as error:
            if error.action == "halt":
                raise
            return Trouble(error=error)
        except TransformProblem as problem:
            return Trouble(error=failed(place, item, problem.message))
        if state == "busy":
            return Wait(until=place.now + A_MOMENT)
        return emit("out", with_path(item.data, self.into, {"left": left, "right": right, "state": state}))
