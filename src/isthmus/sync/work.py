"""One unit of work of a lane: a Link, or a Record without one, as read on both sides at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from isthmus.errors import IsthmusError
from isthmus.mapping.compiled import ReadResult
from isthmus.model.canonical import Value
from isthmus.model.policy import Side
from isthmus.sdk.connector import Record
from isthmus.store.letters import Choice
from isthmus.store.links import Released
from isthmus.sync.match import Match


@dataclass(slots=True, kw_only=True)
class Change:
    """A claimed row of the inbox."""

    id: int
    side: Side
    key: str
    claimed_seq: int
    attempts: int
    first_at: datetime


@dataclass(slots=True, kw_only=True)
class Link:
    """A Link as stored, Bases decoded."""

    id: int
    left_key: str | None
    right_key: str | None
    state: str
    left_base: dict[str, Value]
    right_base: dict[str, Value]
    left_version: str | None = None
    right_version: str | None = None
    left_seen_at: datetime | None = None
    right_seen_at: datetime | None = None
    left_created_at: datetime | None = None
    right_created_at: datetime | None = None
    generation: int = 1
    our_writes: int = 0
    our_writes_since: datetime | None = None

    def key(self, side: Side) -> str | None:
        return self.left_key if side == "left" else self.right_key

    def base(self, side: Side) -> dict[str, Value]:
        return self.left_base if side == "left" else self.right_base

    def seen_at(self, side: Side) -> datetime | None:
        return self.left_seen_at if side == "left" else self.right_seen_at

    def created_at(self, side: Side) -> datetime | None:
        return self.left_created_at if side == "left" else self.right_created_at


@dataclass(slots=True, kw_only=True)
class Seen:
    """One side as read now. `record` is None when the key is set but the record was not in the answer.

    `existence` is then what the system proved: False deleted, True present but hidden from us, None unproven.
    `reading` is the record through its Mapping, where matching has needed that already. `told` is what the record
    itself says in the fields whose `values` a person has overridden.
    """

    key: str | None = None
    record: Record | None = None
    reading: ReadResult | None = None
    values: dict[str, Value] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    existence: bool | None = None
    told: dict[str, Value] = field(default_factory=dict)
    read_at: datetime | None = None

    def forget(self) -> None:
        """Be as if nothing had been looked for."""
        self.key = self.record = self.existence = self.read_at = None

    @property
    def raw(self) -> Mapping[str, Any]:
        return self.record.values if self.record else {}


@dataclass(slots=True, kw_only=True)
class Item:
    """What one look has to decide on, and everything it needs for that.

    `choices` are the fields a person has decided, `given_up` the encoded values that lose by it, as that person saw
    them; `disputed` says that the Link has open Conflicts.

    `alone` says that its counterpart was deleted or undone and that it was left as it is.
    `partners` gives the left and right key of every Link that a reference leads to. `survivor` is the side and
    key that the missing record's external key leads to now: it was merged into another one there.
    """

    origin: Side
    link: Link | None = None
    left: Seen = field(default_factory=Seen)
    right: Seen = field(default_factory=Seen)
    changes: list[Change] = field(default_factory=list)
    match: Match | None = None
    generation: int = 1
    alone: bool = False
    choices: dict[str, Side] = field(default_factory=dict)
    given_up: dict[str, Any] = field(default_factory=dict)
    disputed: bool = False
    trouble: IsthmusError | None = None
    foreign_owner: bool = False
    partners: dict[int, tuple[str | None, str | None]] = field(default_factory=dict)
    survivor: tuple[Side, str] | None = None

    def seen(self, side: Side) -> Seen:
        return self.left if side == "left" else self.right

    def take_choices(self, chosen: Mapping[str, Choice]) -> None:
        """Note the Link's open Conflicts, and what a person has decided of them."""
        self.disputed = True
        self.choices = {f: "left" if c.winner == "left" else "right" for f, c in chosen.items() if c.winner}
        self.given_up = {f: c.given_up for f, c in chosen.items() if c.winner}

    def take_release(self, released: Released | None) -> None:
        """Note that a Link of this record was released before."""
        if released is not None:
            self.generation, self.alone = released.generation + 1, released.alone

    @property
    def name(self) -> str:
        """How the record is called in messages."""
        return f"{self.origin} {self.seen(self.origin).key}"
