"""What this flow holds for people goes on once what it lacked is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from isthmus.flows.item import Emit, Item, Result, emit
from isthmus.flows.node import SLUG, Cel, Node, Place, Sample, guarded, text_of
from isthmus.store import held


class RetryHeld(Node):
    """Retries what this flow holds at one of its nodes under a key, as a person would who knows what was lacking.

    What goes on looks at both systems again and is held anew where something is lacking still.
    """

    LABEL: ClassVar[str] = "Retry what is held"
    GROUP: ClassVar[Any] = "wait"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "Whatever was held under the key goes on."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"node": "product", "key": "item.sku"}, input={"sku": "MUG"}, output={"sku": "MUG"}
    )

    type: Literal["retry_held"] = "retry_held"
    node: str = Field(pattern=SLUG, description="The node of this flow at which it is held.")
    key: Cel = Field(description="The business key of the held items, as dead letters show it.")

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        told = [guarded(lambda _, one: emit("out", {"k": text_of(self.key, one)}), place, item) for item in items]
        keys = sorted({str(r.outs[0].data["k"]) for r in told if isinstance(r, Emit)} - {""})
        if keys:
            await place.world.db.run(held.retry_held, place.flow, self.node, keys)
        return [emit("out", i.data) if isinstance(r, Emit) else r for i, r in zip(items, told, strict=True)]
