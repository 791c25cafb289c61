"""Telling other Runs that something has happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from isthmus.flows.item import Emit, Item, Result, emit
from isthmus.flows.node import Cel, Node, Place, Sample, guarded, text_of


class Signal(Node):
    """Tells whatever waits for a named Event that it has come; items of other Runs that wait for it go on.

    A Run that is under way and comes to its wait later has heard it as well. Telling it twice does no harm.
    """

    LABEL: ClassVar[str] = "Signal"
    GROUP: ClassVar[Any] = "effect"
    SAMPLE: ClassVar[Sample] = Sample(
        config={"event": "goods.received", "key": "item.order"}, input={"order": "PO-1"}, output={"order": "PO-1"}
    )

    type: Literal["signal"] = "signal"
    event: str = Field(pattern=r"^[a-z][a-z0-9_.-]*$", description="The name of the Event.")
    key: Cel = Field("run.key", description="The key that those have who wait for it.")

    async def work(self, place: Place, items: Sequence[Item]) -> Sequence[Result]:
        keys = [guarded(lambda _, one: emit("out", {"k": text_of(self.key, one)}), place, item) for item in items]
        told = [str(found.outs[0].data["k"]) for found in keys if isinstance(found, Emit)]
        await place.world.signal(self.event, list(dict.fromkeys(told)))
        return [
            emit("out", item.data) if isinstance(found, Emit) else found
            for item, found in zip(items, keys, strict=True)
        ]
