"""From an answer to a write to its Outcome: what happened to this one record, as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.connectors.rest.codec import EntityCodec, Row
from isthmus.connectors.rest.wire import Answer, Wire
from isthmus.sdk import (
    Create,
    Delete,
    Failed,
    Gone,
    IsthmusError,
    Outcome,
    OutcomeUnknown,
    RefusedByTarget,
    Stale,
    Unsure,
    Update,
    Written,
)
from isthmus.sdk.statuses import Meaning


@dataclass(slots=True)
class Job:
    """One record on its way: what is sent for it, where, and what came of it."""

    item: Create | Update | Delete
    doing: str
    path: str = ""
    parent: str = ""
    body: Mapping[str, Any] | None = None
    version: str | None = None
    outcome: Outcome | None = None
    clash: Answer | None = None

    @property
    def name(self) -> str:
        """The record as an error names it."""
        return self.item.external_key if isinstance(self.item, Create) else self.item.key

    @property
    def open(self) -> bool:
        """Whether there is still something to send."""
        return self.outcome is None and self.clash is None


def settle(job: Job, answer: Answer, row: Row | None, codec: EntityCodec, wire: Wire) -> None:
    """Fill in the job's Outcome; a create that met a record of the same kind gets its `clash` for a closer look."""
    match answer.meaning:
        case Meaning.OK:
            job.outcome = _written(job, row, codec)
        case Meaning.DUPLICATE | Meaning.CLASH if isinstance(job.item, Create):
            job.clash = answer
        case Meaning.STALE if not isinstance(job.item, Create):
            job.outcome = Stale(key=job.item.key)
        case Meaning.CLASH if not isinstance(job.item, Create) and _version_moved(job, answer, codec):
            job.outcome = Stale(key=job.item.key)
        case Meaning.GONE if not isinstance(job.item, Create):
            job.outcome = Gone(key=job.item.key)
        case _:
            job.outcome = failed(job, wire.failure(answer, job.doing, record=job.name, scope=_scope(codec)))


def failed(job: Job, error: IsthmusError) -> Outcome:
    """Failed or Unsure, as the error says; the record is named."""
    error.record = error.record or job.name
    return Unsure(error=error) if isinstance(error, OutcomeUnknown) else Failed(error=error)


def refused(job: Job, answer: Answer) -> Outcome:
    """The other side refused this record, in its own words."""
    said = answer.error.said if answer.error else str(answer.response.status)
    facts: dict[str, Any] = {"status": answer.error.status if answer.error else answer.response.status}
    if answer.error and answer.error.code:
        facts["code"] = answer.error.code
    if answer.error and answer.error.details:
        facts["fields"] = [detail.field for detail in answer.error.details if detail.field]
    return Failed(error=RefusedByTarget(job.doing, record=job.name, answered=said, facts=facts))


def unreadable(job: Job, why: str) -> Outcome:
    """An answer came that does not say what became of the record."""
    return Unsure(error=OutcomeUnknown(f"{job.doing}: {why}", record=job.name))


def written_as(row: Row, codec: EntityCodec, job: Job, *, created: bool) -> Written:
    """The Outcome of a write whose record is known."""
    paths = () if isinstance(job.item, Delete) else tuple(job.item.values)
    record = codec.record(row, paths, job.parent or None)
    return Written(
        key=record.key,
        version=record.version,
        changed_at=record.changed_at,
        created_at=record.created_at,
        record=record,
        created=created,
    )


def _written(job: Job, row: Row | None, codec: EntityCodec) -> Outcome:
    creating = isinstance(job.item, Create)
    if row is not None and codec.key_of(row, job.parent or None):
        return written_as(row, codec, job, created=creating)
    if isinstance(job.item, Create):
        return unreadable(job, f"the answer holds no {codec.spec.key}")
    return Written(key=job.item.key, created=False)


def _version_moved(job: Job, answer: Answer, codec: EntityCodec) -> bool:
    """Whether an undecided conflict on an update is about the version rather than about a duplicate value."""
    error = answer.error
    if error is not None and codec.spec.version and error.names(codec.spec.version, codec.wire(codec.spec.version)):
        return True
    return job.version is not None and not (error is not None and error.details)


def _scope(codec: EntityCodec) -> str | None:
    return codec.spec.scopes.get("write")
