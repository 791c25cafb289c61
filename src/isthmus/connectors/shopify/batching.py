"""Several mutations in one request, each under a name of its own: what became of each, and of none but each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.shopify.wire import Answer, Wire
from isthmus.errors import from_dict
from isthmus.sdk import Failed, IsthmusError, Outcome, OutcomeUnknown, RefusedByTarget, Reject, SchemaDrift, Unsure


@dataclass(frozen=True, slots=True)
class Call:
    """One mutation: `arguments` are name → (type, value); `wants` is what its payload is asked for.

    An `aside` goes along with the record itself: whatever becomes of it, the record's outcome is its own.
    """

    name: str
    arguments: Mapping[str, tuple[str, Any]]
    wants: str
    errors: str = "userErrors"
    idempotency_key: str | None = None
    aside: bool = False


@dataclass(slots=True)
class Job:
    """One record on its way: its mutations in order, their payloads, and what came of it."""

    name: str
    doing: str
    calls: Sequence[Call]
    payloads: list[Mapping[str, Any]] = field(default_factory=list)
    outcome: Outcome | None = None
    refusals: list[Mapping[str, Any]] = field(default_factory=list)


class Batch:
    """Sends the calls of jobs, several jobs by one request."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def run(self, jobs: Sequence[Job]) -> None:
        """Fill in the payloads of every job that has no outcome yet, or the outcome of what was refused."""
        waiting = [job for job in jobs if job.outcome is None]
        size = self._wire.settings.batch_size
        for start in range(0, len(waiting), size):
            await self._send(waiting[start : start + size])

    async def _send(self, jobs: Sequence[Job]) -> None:
        calls = [(job, call) for job in jobs for call in job.calls]
        query, variables = self._document([call for _, call in calls])
        doing = jobs[0].doing if len(jobs) == 1 else f"{jobs[0].doing} and {len(jobs) - 1} more"
        try:
            answer = await self._wire.send(query, variables, doing=doing, reads=False)
        except (Reject, SchemaDrift) as error:
            # The whole document was refused before anything ran: which record is to blame shows when each goes alone.
            if len(jobs) > 1:
                for job in jobs:
                    await self._send([job])
                return
            jobs[0].outcome = Failed(error=_for_record(error, jobs[0]))
            return
        except IsthmusError as error:
            for job in jobs:
                job.outcome = failed(_copied(error, job), job.name)
            return
        for number, (job, call) in enumerate(calls):
            self._settle(job, call, f"m{number}", answer)

    def _document(self, calls: Sequence[Call]) -> tuple[str, dict[str, Any]]:
        head, roots, variables = [], [], {}
        for number, call in enumerate(calls):
            given = []
            for name, (kind, value) in call.arguments.items():
                variable = f"{name}{number}"
                head.append(f"${variable}: {kind}")
                given.append(f"{name}: ${variable}")
                variables[variable] = value
            key = ""
            if call.idempotency_key is not None and self._wire.takes_keys:
                head.append(f"$key{number}: String!")
                variables[f"key{number}"] = call.idempotency_key
                key = f" @idempotent(key: $key{number})"
            code = "" if call.errors == "userErrors" and call.name in _WITHOUT_CODE else " code"
            roots.append(
                f"m{number}: {call.name}({', '.join(given)}){key} "
                f"{{ {call.wants} {call.errors} {{ field message{code} }} }}"
            )
        return f"mutation({', '.join(head)}) {{ {' '.join(roots)} }}", variables

    def _settle(self, job: Job, call: Call, alias: str, answer: Answer) -> None:
        if job.outcome is not None or call.aside:
            return
        errors = answer.errors.get(alias)
        payload = answer.data.get(alias)
        if payload is None:
            error = (
                self._wire.error_of(errors[0], job.doing, reads=False)
                if errors
                else OutcomeUnknown(f"{job.doing}: the answer does not say what became of it")
            )
            job.outcome = failed(error, job.name)
            return
        refusals = [one for one in payload.get(call.errors) or () if isinstance(one, Mapping)]
        if refusals:
            job.refusals = refusals
            job.outcome = Failed(error=refused(job, refusals))
            return
        job.payloads.append(payload)


_WITHOUT_CODE = {
    "customerCreate", "customerUpdate", "customerAddressCreate", "customerAddressUpdate", "productUpdate",
    "orderUpdate", "fulfillmentCreate", "fulfillmentCancel", "fulfillmentTrackingInfoUpdate", "refundCreate",
    "webhookSubscriptionCreate", "webhookSubscriptionUpdate", "webhookSubscriptionDelete", "inventoryActivate",
}  # fmt: skip
"""Mutations whose user errors carry no code."""


def refused(job: Job, refusals: Sequence[Mapping[str, Any]]) -> RefusedByTarget:
    """Shopify's own words about this record."""
    said = "; ".join(_told(one) for one in refusals[:3])
    fields = [".".join(map(str, one["field"])) for one in refusals if one.get("field")]
    codes = [str(one["code"]) for one in refusals if one.get("code")]
    return RefusedByTarget(job.doing, record=job.name, answered=said, facts={"fields": fields, "codes": codes})


def failed(error: IsthmusError, name: str) -> Outcome:
    """Failed or Unsure, as the error says; the record is named."""
    error.record = error.record or name
    return Unsure(error=error) if isinstance(error, OutcomeUnknown) else Failed(error=error)


def _told(one: Mapping[str, Any]) -> str:
    where = ".".join(map(str, one.get("field") or ()))
    return f"{where}: {one.get('message')}" if where else str(one.get("message"))


def _copied(error: IsthmusError, job: Job) -> IsthmusError:
    """An error of the whole request as the error of one record."""
    copy = from_dict(error.as_dict())
    copy.record = job.name
    return copy


def _for_record(error: IsthmusError, job: Job) -> IsthmusError:
    error.record = error.record or job.name
    return error
