"""Routes on Runs, the Events they wait for, and what they ask people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from isthmus.api.caller import Operator, Running, Viewer
from isthmus.operate import runs

router = APIRouter(prefix="/runs", tags=["runs"])
approvals_router = APIRouter(prefix="/approvals", tags=["approvals"])


class Why(BaseModel):
    """A reason."""

    why: str = Field("", description="The reason, for the audit log.")


class Signal(BaseModel):
    """An Event that items may wait for."""

    event: str = Field(description="The name of the Event.")
    key: str = Field(description="Its correlation key.")
    data: dict[str, Any] = Field(default_factory=dict, description="What it says.")


class Decision(BaseModel):
    """An answer to a question."""

    choice: str = Field(description="One of the question's choices.")
    note: str = Field("", description="Why; it is kept with the decision.")


@router.get("", summary="List Runs, newest first, with where their items stand.")
async def listing(
    runtime: Running,
    caller: Viewer,
    flow: str = "",
    state: str = "",
    key: str = "",
    limit: int = 100,
    before: int | None = None,
) -> list[dict[str, Any]]:
    return await runtime.db.run(runs.listing, flow=flow, state=state, key=key, limit=min(limit, 1000), before=before)


@router.post("/signal", summary="Tell an Event that items may wait for.")
async def signal(given: Signal, runtime: Running, caller: Operator) -> dict[str, int]:
    return {"woken": await runtime.db.run(runs.signal, runtime.flows, given.event, given.key, given.data)}


@router.get("/{number}", summary="The path of each item through each node, with input, output and time.")
async def show(number: int, runtime: Running, caller: Viewer) -> dict[str, Any]:
    return await runtime.db.run(runs.show, number)


@router.post("/{number}/cancel", summary="Stop a Run; what has taken place outside stays.")
async def cancel(number: int, given: Why, runtime: Running, caller: Operator) -> dict[str, Any]:
    return await runtime.db.run(runs.cancel, runtime.flows, number, caller.name, given.why)


@router.post("/{number}/resume", summary="Try again at once whatever is held or waits for its next try.")
async def resume(number: int, runtime: Running, caller: Operator) -> dict[str, Any]:
    return await runtime.db.run(runs.resume, runtime.flows, number, caller.name)


@router.post("/steps/{step}/replay", summary="Begin a new Run at a step, with what that step saw.")
async def replay(step: int, runtime: Running, caller: Operator, latest: bool = False) -> dict[str, int]:
    return {"run": await runtime.db.run(runs.replay, runtime.flows, step, caller.name, latest=latest)}


@approvals_router.get("", summary="What flows ask people, oldest first.")
async def approvals(runtime: Running, caller: Viewer, state: str = "open") -> list[dict[str, Any]]:
    return await runtime.db.run(runs.approvals, state)


@approvals_router.post("/{number}", summary="Answer a question; the flow goes on by that choice.")
async def decide(number: int, given: Decision, runtime: Running, caller: Operator) -> dict[str, Any]:
    return await runtime.db.run(runs.decide, runtime.flows, number, given.choice, caller.name, given.note)
