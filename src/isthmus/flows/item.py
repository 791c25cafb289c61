"""What travels through a flow: items, what a node makes of each, and what is left behind while one waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from isthmus.errors import IsthmusError

State = Literal["ready", "waiting", "split", "joined", "done", "held", "cancelled"]
"""`split` stands aside until its children are joined; `joined` has been taken into its parent."""

ACTIVE = ("ready", "waiting")
"""States in which an item still moves by itself."""

JOIN = "join"
"""What wakes an item that has arrived at a join: its siblings."""


@dataclass(slots=True, kw_only=True)
class RunInfo:
    """The Run an item belongs to, as far as nodes may know it."""

    id: int
    flow_id: int
    flow: str
    version: int
    key: str
    started_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """The variable `run` of expressions."""
        return {
            "id": self.id,
            "flow": self.flow,
            "version": self.version,
            "key": self.key,
            "started_at": self.started_at.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIntent:
    """An effect of this item and node whose outcome is not known: sent by a runner that died, or never answered.

    `age` is seconds since it was sent. `released` says that a person has allowed it to be sent again.
    """

    id: int
    state: str
    idempotency_key: str
    external_key: str | None
    payload: Mapping[str, Any]
    age: float


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    """One item and where it stands. `data` is JSON: numbers that must stay exact are text.

    `key` is its business key within the Run. `memo` is what a waiting node left for itself and what woke it.
    `children` are the data of the items that a join puts together, in order; `intent` the open effect, if any.
    """

    run: RunInfo
    key: str
    node: str
    data: dict[str, Any]
    id: int = 0
    state: State = "ready"
    parent: Item | None = None
    parent_id: int | None = None
    place: int = 0
    visit: int = 1
    attempts: int = 0
    rev: int = 0
    due_at: datetime | None = None
    wakes: str | None = None
    memo: dict[str, Any] = field(default_factory=dict)
    children: list[dict[str, Any]] = field(default_factory=list)
    intent: OpenIntent | None = None
    timed_out: bool = False

    @property
    def has_parent(self) -> bool:
        """Whether it is one of several that another item was split into."""
        return self.parent is not None or self.parent_id is not None


@dataclass(frozen=True, slots=True)
class Out:
    """What leaves a node by a port; `key` replaces the item's business key."""

    port: str
    data: dict[str, Any]
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentEnd:
    """How an effect ended, written in the transaction that moves its item: confirmed, unknown, refused or dropped."""

    id: int
    state: Literal["confirmed", "unknown", "refused", "dropped"]
    answer: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person is asked; `asked_of` names who should answer."""

    text: str
    shown: Mapping[str, Any]
    choices: tuple[str, ...]
    asked_of: str = ""
    due_at: datetime | None = None
    escalated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Another flow to be run for this item; one that waits for it hears of its end."""

    flow: str
    key: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """The item is through: it leaves by these ports. With `group` several items came of it, to be joined later."""

    outs: tuple[Out, ...] = ()
    group: bool = False
    ends: tuple[IntentEnd, ...] = ()
    call: Call | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """The item did not pass: a Retry error is tried again as the node says, a Reject leaves by `error`, a Halt stops.

    `hold` keeps it for a person whatever the error is. `next_visit` says that nothing took place, so that the next try
    is an effect of its own.
    """

    error: IsthmusError
    hold: bool = False
    next_visit: bool = False
    ends: tuple[IntentEnd, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The item waits: until a time, for what wakes it, or both; this costs one row."""

    until: datetime | None = None
    wakes: str | None = None
    memo: Mapping[str, Any] = field(default_factory=dict)
    question: Question | None = None
    call: Call | None = None
    ends: tuple[IntentEnd, ...] = ()


Result = Emit | Trouble | Wait
"""What a node makes of one item."""


def emit(port: str, data: dict[str, Any], **more: Any) -> Emit:
    """The usual result: one item by one port."""
    return Emit(outs=(Out(port, data),), **more)
