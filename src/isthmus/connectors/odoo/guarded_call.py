"""What is asked of the guarded-write action that an administrator installed in Odoo, and how its answer reads.

One call runs the server action (`ir.actions.server.run`) with the request in the context under CONTEXT_KEY:
`{"model": "res.partner", "items": [{"id": 7, "expect": {field: raw}, "values": {field: raw}}, ...]}` with raw values
as `read` gives and `write` takes them. Each item is compared and written inside its own savepoint, all of them in
one transaction. The action answers `{"type": "ir.actions.act_window_close", "isthmus": [{"id", "outcome", ...}]}`,
one per item in their order; `outcome` is `ok` (with the new `write_date`), `changed` (with `current`: raw values of
the expected fields), `gone` or `refused` (with `message` and `name`, the exception's class).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from isthmus.connectors.odoo.actions import find
from isthmus.connectors.odoo.guarded import GUARDED_WRITE
from isthmus.connectors.odoo.wire import QUIET, Wire
from isthmus.sdk import OutcomeUnknown

CONTEXT_KEY = "isthmus_guarded_write"
ANSWER_KEY = "isthmus"
ACTION_MODEL = "ir.actions.server"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedItem:
    """One record to write where `expect` still holds; raw Odoo values by field.

    `rows` expects values of child records as well: field, id as text, raw values by field.
    """

    id: int
    expect: Mapping[str, Any]
    values: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedAnswer:
    """What became of one item; `message` is Odoo's own words for `refused`."""

    outcome: Literal["ok", "changed", "gone", "refused"]
    current: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    name: str = ""
    write_date: str = ""


async def find_action(wire: Wire) -> int | None:
    """The database id of the installed guarded-write action, or None."""
    if wire.settings.guarded_write_action is not None:
        return wire.settings.guarded_write_action
    found = await find(wire, GUARDED_WRITE)
    return found.id if found else None


async def guarded_write(
    wire: Wire, action: int, model: str, items: Sequence[GuardedItem], *, doing: str
) -> list[GuardedAnswer]:
    """Write many records in one call, each only where its expectation holds."""
    request = {
        "model": model,
        "items": [
            {"id": item.id, "expect": dict(item.expect), "values": dict(item.values), "rows": dict(item.rows)}
            for item in items
        ],
    }
    told = await wire.call(ACTION_MODEL, "run", doing=doing, ids=[action], context={**QUIET, CONTEXT_KEY: request})
    answers = told.get(ANSWER_KEY) if isinstance(told, Mapping) else None
    if not isinstance(answers, list) or len(answers) != len(items):
        raise OutcomeUnknown(
            doing,
            answered="the guarded-write action gave no answer that fits",
            hint="Install it again with `isthmus connection install`; the records are read again meanwhile.",
        )
    return [
        GuardedAnswer(
            outcome=answer["outcome"],
            current=answer.get("current") or {},
            message=str(answer.get("message") or ""),
            name=str(answer.get("name") or ""),
            write_date=str(answer.get("write_date") or ""),
        )
        for answer in answers
    ]
