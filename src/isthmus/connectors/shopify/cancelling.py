"""The Operation that cancels an order: Shopify does it in the background, so its end is looked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from isthmus.connectors.shopify.batching import Batch, Call, Job, failed
from isthmus.connectors.shopify.keys import gid, is_key
from isthmus.connectors.shopify.selecting import moment
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import (
    Act,
    Done,
    Failed,
    IsthmusError,
    NotDone,
    Operation,
    OutcomeUnknown,
    Performed,
    RefusedByTarget,
    Undecided,
    Unsure,
    Verdict,
)

LOOKS = 10
"""How often an order is looked at until it is cancelled."""


class CancelForm(BaseModel):
    """Which order, why, and what becomes of its goods and its money."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: str = Field(description="The key of the order to cancel.")
    reason: Literal["CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "STAFF", "OTHER"] = Field(
        default="OTHER", description="Why it is cancelled, in Shopify's words."
    )
    restock: bool = Field(default=True, description="Whether its goods may be sold again.")
    refund: bool = Field(default=False, description="Whether what was paid goes back the way it came.")
    note: str = Field(default="", max_length=255, description="A note for the shop's staff.")


class Cancelled(BaseModel):
    """When the order was cancelled, and why."""

    cancelledAt: datetime | None = Field(description="When the order was cancelled, by the shop's clock.")
    cancelReason: str | None = Field(description="The reason that the shop keeps, in its words.")


CANCEL = Operation(
    name="cancel_order",
    label="Cancel an order",
    summary="Cancels an order that has nothing shipped; it stays cancelled however often it is asked for.",
    input=CancelForm,
    result=Cancelled,
    lease={"order": "order"},
    money=True,
    needs=("write_orders",),
)


class Canceller:
    """Cancels orders."""

    def __init__(self, wire: Wire, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._wire = wire
        self._batch = Batch(wire)
        self._sleep = sleep

    async def perform(self, acts: Sequence[Act]) -> list[Performed]:
        """Cancel what is not cancelled; one outcome per Act."""
        verdicts = await self.verify(acts)
        jobs = [self._job(act, verdict) for act, verdict in zip(acts, verdicts, strict=True)]
        await self._batch.run([job for job in jobs if job.calls])
        out: list[Performed] = []
        for act, verdict, job in zip(acts, verdicts, jobs, strict=True):
            if isinstance(verdict, Done):
                out.append(Done(result=verdict.result, repeated=True))
            else:
                out.append(await self._end(act, job))
        return out

    async def verify(self, acts: Sequence[Act]) -> list[Verdict]:
        """Whether each order is cancelled."""
        return [await self._verdict(act) for act in acts]

    async def _verdict(self, act: Act) -> Verdict:
        doing = f"looking whether order {act.input.get('order')} is cancelled"
        try:
            form: CancelForm = CANCEL.parse(act.input)
            if not is_key(form.order):
                return NotDone(blocked=RefusedByTarget(f"{doing}: that is no key", record=form.order))
            query = (
                "query($id: ID!) { order(id: $id) { id name cancelledAt cancelReason "
                "fulfillments(first: 50) { status } } }"
            )
            row = (await self._wire.ask(query, {"id": gid("Order", form.order)}, doing=doing))["order"]
        except IsthmusError as error:
            return NotDone(blocked=error) if error.action == "reject" else Undecided(error=error)
        if row is None:
            return NotDone(blocked=RefusedByTarget(f"{doing}: the shop has no such order", record=form.order))
        if row["cancelledAt"]:
            return Done(result={"cancelledAt": moment(row["cancelledAt"]), "cancelReason": row["cancelReason"]})
        if any(one["status"] not in ("CANCELLED", "ERROR", "FAILURE") for one in row["fulfillments"]):
            hint = "Cancel its fulfilments first, or take the goods back and refund it."
            return NotDone(blocked=RefusedByTarget(f"cancelling order {row['name']}: it has shipments", hint=hint))
        return NotDone()

    def _job(self, act: Act, verdict: Verdict) -> Job:
        name = str(act.input.get("order"))
        job = Job(name, f"cancelling order {name}", [])
        if isinstance(verdict, Undecided):
            job.outcome = failed(verdict.error, name)
        elif isinstance(verdict, NotDone) and verdict.blocked is not None:
            job.outcome = Failed(error=verdict.blocked)
        elif isinstance(verdict, NotDone):
            job.calls = [_call(CANCEL.parse(act.input))]
        return job

    async def _end(self, act: Act, job: Job) -> Performed:
        if isinstance(job.outcome, Failed | Unsure):
            verdict = await self._verdict(act) if job.calls else None
            return verdict if isinstance(verdict, Done) else job.outcome
        for _ in range(LOOKS):
            verdict = await self._verdict(act)
            if isinstance(verdict, Done):
                return verdict
            await self._sleep(0.5)
        return Unsure(error=OutcomeUnknown(f"{job.doing}: Shopify has taken it and is not done yet", record=job.name))


def _call(form: CancelForm) -> Call:
    arguments: Mapping[str, tuple[str, Any]] = {
        "orderId": ("ID!", gid("Order", form.order)),
        "reason": ("OrderCancelReason!", form.reason),
        "restock": ("Boolean!", form.restock),
        "refundMethod": ("OrderCancelRefundMethodInput", {"originalPaymentMethodsRefund": form.refund}),
        "notifyCustomer": ("Boolean", False),
        "staffNote": ("String", form.note or None),
    }
    return Call("orderCancel", arguments, "job { id done }", errors="orderCancelUserErrors")
