"""Nodes that make many items of one, and one of many."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Literal

from pydantic import Field

from isthmus.flows.item import Emit, Item, Out, Result, Trouble, emit
from isthmus.flows.node import Cel, Config, Path, Place, Pure, Sample, at_path, failed, text_of, value_of, with_path
from isthmus.model.canonical import plain_decimal


class Split(Pure):
    """One item for each entry of a list, as for the lines of an order; a `join` behind puts them together again."""

    GROUP: ClassVar = "group"
    LABEL: ClassVar[str] = "Split"
    PORTS: ClassVar[Mapping[str, str]] = {"out": "One item per entry.", "empty": "The list was empty: the item itself."}
    SAMPLE: ClassVar[Sample] = Sample(
        config={"list": "lines"},
        input={"order": "S1", "lines": [{"sku": "A"}]},
        output={"sku": "A"},
    )

    type: Literal["split", "for_each"] = "split"
    list: Path = Field(description="The path of the list.")
    into: Path | None = Field(None, description="Where the entry goes in a copy of the item; else it is the item.")
    key: Cel | None = Field(None, description="The business key of each new item, over the entry as `item`.")

    def each(self, place: Place, item: Item) -> Result:
        found = at_path(item.data, self.list)
        if found is None:
            found = []
        if not isinstance(found, list):
            return Trouble(error=failed(place, item, f"{self.list} is no list"))
        if not found:
            return emit("empty", item.data)
        outs = []
        for n, entry in enumerate(found):
            if self.into is not None:
                data = with_path(item.data, self.into, entry)
            else:
                data = dict(entry) if isinstance(entry, dict) else {"value": entry}
            outs.append(Out("out", data, self._key(item, data, n)))
        return Emit(outs=tuple(outs), group=True)

    def _key(self, item: Item, data: dict[str, Any], n: int) -> str:
        if self.key is None:
            return f"{item.key}/{n + 1}"
        own = Item(run=item.run, key=item.key, node=item.node, data=data)
        return text_of(self.key, own) or f"{item.key}/{n + 1}"


class Join(Pure):
    """Waits until all items that one was split into have come, or ended, then goes on with that one item.

    It has the data it had before, and the list of what came under `into`. An item that is held for a person keeps the
    others waiting; one that left by another way and ended does not.
    """

    GROUP: ClassVar = "group"
    LABEL: ClassVar[str] = "Join"
    PURE: ClassVar[bool] = False
    JOINS: ClassVar[bool] = True
    SAMPLE: ClassVar[Sample] = Sample(input={"sku": "A"}, output={"sku": "A", "items": []})

    type: Literal["join"] = "join"
    into: Path = Field("items", description="Where the list goes in the item that goes on.")

    def each(self, place: Place, item: Item) -> Result:
        return emit("out", with_path(item.data, self.into, item.children))


class Figure(Config):
    """One figure of a group."""

    of: Cel | None = Field(None, description="What is counted in, over each item; `count` needs none.")
    how: Literal["sum", "count", "min", "max", "first", "last", "list"] = Field(description="How the figure is made.")


class Aggregate(Pure):
    """Waits like a join, then gives one item per group with exact sums, counts, smallest, largest or lists."""

    GROUP: ClassVar = "group"
    LABEL: ClassVar[str] = "Aggregate"
    PURE: ClassVar[bool] = False
    JOINS: ClassVar[bool] = True
    SAMPLE: ClassVar[Sample] = Sample(
        config={"by": {"account": "item.account"}, "figures": {"total": {"of": "item.amount", "how": "sum"}}},
        input={"account": "4000", "amount": "1.10"},
        output={"groups": []},
    )

    type: Literal["aggregate"] = "aggregate"
    by: dict[Path, Cel] = Field(default_factory=dict, description="What makes a group: field to expression.")
    figures: dict[Path, Figure] = Field(min_length=1, description="Field to how it is made.")
    into: Path | None = Field(None, description="Put the groups as a list into the one item, in place of many items.")

    def each(self, place: Place, item: Item) -> Result:
        groups: dict[tuple[str, ...], tuple[dict[str, Any], list[Item]]] = {}
        for child in item.children:
            one = Item(run=item.run, key=item.key, node=item.node, data=child)
            named = {path: value_of(source, one) for path, source in self.by.items()}
            groups.setdefault(tuple(repr(v) for v in named.values()), (named, []))[1].append(one)
        made = [self._figured(named, members) for named, members in groups.values()]
        if self.into is not None:
            return emit("out", with_path(item.data, self.into, made))
        keys = [f"{item.key}/{'/'.join(str(v) for v in named.values()) or 'all'}" for named, _ in groups.values()]
        return Emit(outs=tuple(Out("out", data, key) for data, key in zip(made, keys, strict=True)), group=True)

    def _figured(self, named: dict[str, Any], members: list[Item]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for path, value in named.items():
            data = with_path(data, path, value)
        for path, figure in self.figures.items():
            values = [None if figure.of is None else value_of(figure.of, one) for one in members]
            data = with_path(data, path, _figure(figure.how, values))
        return data


def _figure(how: str, values: list[Any]) -> Any:
    if how == "count":
        return len(values)
    if how == "list":
        return values
    if how in ("first", "last"):
        return values[0 if how == "first" else -1] if values else None
    numbers = [_number(v) for v in values if v not in (None, "")]
    if how == "sum":
        return plain_decimal(sum(numbers, Decimal(0)))
    if not numbers:
        return None
    return plain_decimal(min(numbers) if how == "min" else max(numbers))


def _number(value: Any) -> Decimal:
    from isthmus.mapping.problem import TransformProblem

    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise TransformProblem(f"{value!r} is not a number") from None
