"""Nodes that decide where an item goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from isthmus.flows.item import Emit, Item, Out, Result, emit
from isthmus.flows.node import SLUG, Cel, Config, Place, Pure, Sample, value_of


class Filter(Pure):
    """Lets pass what a condition is true for; the rest leaves by `rest`, or ends."""

    GROUP: ClassVar = "decide"
    LABEL: ClassVar[str] = "Filter"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "The condition is true.", "rest": "It is not."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"when": "item.state == 'sale'"}, input={"state": "sale"}, output={"state": "sale"}
    )

    type: Literal["filter"] = "filter"
    when: Cel = Field(description="The condition.")

    def each(self, place: Place, item: Item) -> Result:
        return emit("out" if value_of(self.when, item) is True else "rest", item.data)


class Branch(Pure):
    """Two ways: `yes` where a condition is true, `no` where it is not."""

    GROUP: ClassVar = "decide"
    LABEL: ClassVar[str] = "Branch"
    PORTS: ClassVar[Mapping[str, str]] = {"yes": "The condition is true.", "no": "It is not."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"when": "at_least(item.total, '100')"},
        input={"total": "120.00"},
        port="yes",
        output={"total": "120.00"},
    )

    type: Literal["branch"] = "branch"
    when: Cel = Field(description="The condition.")

    def each(self, place: Place, item: Item) -> Result:
        return emit("yes" if value_of(self.when, item) is True else "no", item.data)


class Case(Config):
    """One way of a switch."""

    port: str = Field(pattern=SLUG, description="The port an item leaves by.")
    when: Cel = Field(description="The condition; the first that is true decides.")


class Switch(Pure):
    """Many ways: the first case whose condition is true decides, else `otherwise`. With `all`, every true one."""

    GROUP: ClassVar = "decide"
    LABEL: ClassVar[str] = "Switch"
    PORTS: ClassVar[Mapping[str, str]] = {"otherwise": "No condition is true."}
    DYNAMIC_PORTS: ClassVar[bool] = True
    SAMPLE: ClassVar[Sample] = Sample(
        config={"cases": [{"port": "paid", "when": "item.paid"}, {"port": "open", "when": "!item.paid"}]},
        input={"paid": True},
        port="paid",
        output={"paid": True},
    )

    type: Literal["switch"] = "switch"
    cases: list[Case] = Field(min_length=1, description="The cases, in order.")
    all: bool = Field(False, description="Leave by every case that is true, not only by the first.")

    def ports(self) -> tuple[str, ...]:
        return (*dict.fromkeys(case.port for case in self.cases), "otherwise")

    def each(self, place: Place, item: Item) -> Result:
        found = []
        for case in self.cases:
            if value_of(case.when, item) is True:
                found.append(case.port)
                if not self.all:
                    break
        outs = tuple(Out(port, item.data) for port in dict.fromkeys(found or ["otherwise"]))
        return Emit(outs=outs)
