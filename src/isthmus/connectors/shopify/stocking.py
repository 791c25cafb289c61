"""Setting levels of stock, where they still are as they were read: Shopify compares and sets in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isthmus.connectors.shopify.batching import Batch, Call, Job
from isthmus.connectors.shopify.keys import gid, level_parts
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import Contended, Failed, Gone, InvalidRecord, Outcome, Stale, Update, Written

NAMES = ("available", "on_hand")
_STALE = {"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"}
_GONE = {"INVALID_INVENTORY_ITEM", "INVALID_LOCATION", "ITEM_NOT_STOCKED_AT_LOCATION"}


class Stocker:
    """Writes levels of stock."""

    def __init__(self, wire: Wire) -> None:
        self._batch = Batch(wire)
        self._wire = wire

    async def update(self, items: Sequence[Update]) -> list[Outcome]:
        """Set what is available, or on hand; one Outcome per item."""
        jobs = [self._job(item) for item in items]
        await self._batch.run(jobs)
        return [_outcome(item, job) for item, job in zip(items, jobs, strict=True)]

    def _job(self, item: Update) -> Job:
        doing = f"setting inventory level {item.key}"
        job = Job(item.key, doing, [])
        parts = level_parts(item.key)
        if parts is None:
            job.outcome = Gone(key=item.key)
            return job
        named = [name for name in NAMES if name in item.values]
        other = sorted(set(item.values) - set(NAMES))
        if other or len(named) != 1:
            what = f"{', '.join(other)} cannot be written" if other else "either available or on_hand is set, not both"
            job.outcome = Failed(error=InvalidRecord(f"{doing}: {what}", record=item.key))
            return job
        wanted = _whole(item.values[named[0]])
        if wanted is None:
            told = InvalidRecord(f"{doing}: {named[0]} must be a whole number, not {item.values[named[0]]!r}")
            job.outcome = Failed(error=told)
            return job
        job.calls = [self._call(parts, named[0], wanted, item)]
        return job

    def _call(self, parts: tuple[str, str], name: str, wanted: int, item: Update) -> Call:
        row: dict[str, Any] = {
            "inventoryItemId": gid("InventoryItem", parts[0]),
            "locationId": gid("Location", parts[1]),
            "quantity": wanted,
            "changeFromQuantity": _whole(item.expect.get(name)),
        }
        given = {"name": name, "reason": "correction", "quantities": [row]}
        return Call(
            "inventorySetQuantities",
            {"input": ("InventorySetQuantitiesInput!", given)},
            "inventoryAdjustmentGroup { id }",
            idempotency_key=item.idempotency_key,
        )


def _outcome(item: Update, job: Job) -> Outcome:
    codes = {str(one.get("code")) for one in job.refusals}
    if codes & _STALE:
        return Stale(key=item.key)
    if codes & _GONE:
        return Gone(key=item.key)
    if "IDEMPOTENCY_CONCURRENT_REQUEST" in codes:
        return Failed(error=Contended(job.doing, record=item.key, answered="an earlier try of this is still under way"))
    return job.outcome or Written(key=item.key, created=False)


def _whole(value: Any) -> int | None:
    """A number without a part; None for anything else."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = int(value)
    except (TypeError, ValueError):
        return None
    return number if number == value else None
