"""What a decision comes down to: the writes of one Item, what agrees without one, what holds or delays it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from isthmus.errors import IsthmusError
from isthmus.model.canonical import Ref, Value
from isthmus.model.policy import Side
from isthmus.sync.merge import FieldConflict
from isthmus.sync.work import Item

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write to one side: raw values to send, the canonical fields they carry, what they replace, and why."""

    side: Side
    action: Action
    payload: Mapping[str, Any]
    fields: Mapping[str, Value]
    expect: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Value] = field(default_factory=dict)
    left_base: Mapping[str, Value] = field(default_factory=dict)
    right_base: Mapping[str, Value] = field(default_factory=dict)
    tombstone: bool = False
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Plan:
    """What is to be done with one Item.

    `left_base` and `right_base` hold the fields that agree without a write; a Write brings its own Bases, which
    count only once it is confirmed. `error` holds or delays the record; `needs` are the records it waits for.
    `alias` is the record that this one was merged into: its key leads there from now on. `hidden`: a side could not
    be seen, so that nothing was compared and nothing is settled. `alone`: the survivor is left as it is and gets no new
    counterpart until it was archived once and restored, which is what `returns` notes. `later` are references that
    the record is written without for now, on the side it comes from.
    """

    item: Item
    writes: list[Write] = field(default_factory=list)
    left_base: dict[str, Value] = field(default_factory=dict)
    right_base: dict[str, Value] = field(default_factory=dict)
    conflicts: list[FieldConflict] = field(default_factory=list)
    links: bool = False
    tombstone: bool = False
    hidden: bool = False
    alone: bool = False
    returns: bool = False
    alias: tuple[Side, str] | None = None
    error: IsthmusError | None = None
    needs: tuple[tuple[str, Side, str], ...] = ()
    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    later: list[Ref] = field(default_factory=list)
