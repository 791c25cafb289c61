"""Where a client stands: its pair, the Entity that it asks for, and its side of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.errors import Conflicted, InvalidRecord
from isthmus.mapping.problem import Problem
from isthmus.model.canonical import Value
from isthmus.operate.canonical.values import shown
from isthmus.operate.clients import RESOURCES, Client
from isthmus.operate.runtime import Runtime
from isthmus.sdk.connector import Record
from isthmus.sync.pair import EntityBinding, PairRuntime, SideBinding

NOT_THERE = "not_there"
DUPLICATE = "duplicate"
MOVED = "moved"
"""What `facts["told"]` says of errors that clients tell apart by more than their class."""


def not_there(doing: str, *, record: str | None = None, answered: str, hint: str | None = None) -> InvalidRecord:
    """The error for what a client asks for and is not there."""
    said = hint or "Look at the list: what is there has its key in it."
    return InvalidRecord(doing, record=record, answered=answered, hint=said, facts={"told": NOT_THERE})


def taken(doing: str, *, key: str | None, answered: str, hint: str) -> Conflicted:
    """The error for a record that is there already, under another reference or made by somebody else."""
    return Conflicted(doing, record=key, answered=answered, hint=hint, facts={"told": DUPLICATE, "key": key})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One Entity of a client's pair, seen from the client's side. `state` is the pair's."""

    runtime: Runtime
    client: Client
    resource: str
    pair: PairRuntime
    state: str
    entity: EntityBinding

    @property
    def here(self) -> SideBinding:
        """The side that the client writes to and reads from."""
        return self.entity.side(self.client.side)

    @property
    def there(self) -> SideBinding:
        """The side that the lane carries it to."""
        return self.entity.right if self.client.side == "left" else self.entity.left

    def name(self, key: str | None) -> str:
        """How a record is called in messages."""
        return f"{self.entity.name} {key}" if key else self.entity.name


async def standing(runtime: Runtime, client: Client, resource: str) -> Standing:
    """Find the Entity behind a resource in the client's pair; raises InvalidRecord when the pair has none."""
    row, pair = await runtime.pair(client.pair_id)
    wanted = RESOURCES[resource]
    kin = [e for e in pair.entities.values() if e.canonical.is_kind_of(wanted)]
    found = next((e for e in kin if e.name == wanted), kin[0] if kin else None)
    if found is None:
        raise not_there(
            f"looking for {resource} in the pair {pair.name}",
            answered=f"this pair has no {wanted}",
            hint=f"It has: {', '.join(pair.entities)}. Ask whoever gave you this client for one of another pair.",
        )
    return Standing(runtime=runtime, client=client, resource=resource, pair=pair, state=str(row.state), entity=found)


def refused(at: Standing, problems: list[Problem], what: str) -> InvalidRecord:
    """The error of a record that breaks rules: every problem, each with its field and the value as given."""
    told: dict[tuple[str, str], Problem] = {(p.field, p.message): p for p in problems}
    listed = [{"field": p.field, "message": p.message, "value": p.shown} for p in told.values()]
    return InvalidRecord(
        f"preparing {what} for {at.here.connection}",
        answered="; ".join(f"{p.field}: {p.message}" for p in told.values()),
        hint="Correct the fields named, then send it again. Nothing was written.",
        facts={"problems": listed},
    )


def written_out(
    key: str,
    values: Mapping[str, Value],
    record: Record | None,
    reference: str | None,
    notes: list[str] | None = None,
) -> dict[str, Any]:
    """A record as clients read it."""
    changed = record.changed_at if record else None
    return {
        "key": key,
        "reference": reference,
        "version": record.version if record else None,
        "updated_at": changed.isoformat() if changed else None,
        "active": record.active if record else True,
        "values": shown(values),
        **({} if notes is None else {"warnings": notes}),
    }
