"""Routes on dead letters."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from isthmus.api.caller import Operator, Running, Viewer
from isthmus.operate import deadletters
from isthmus.store import pairs

router = APIRouter(prefix="/deadletters", tags=["dead letters"])


class Numbers(BaseModel):
    """Some dead letters."""

    numbers: list[int] = Field(default_factory=list, description="Their numbers.")
    pair: str = Field("", description="All open ones of this pair or flow.")
    kind: str = Field("", description="With `pair`: only this kind.")
    why: str = Field("", description="The reason, for the audit log.")


class Edit(BaseModel):
    """Values to be used in place of the record's own."""

    fields: dict[str, Any] = Field(description="Canonical field to value.")
    retry: bool = Field(True, description="Try again at once.")


@router.get("", summary="List dead letters, newest first.")
async def listing(
    runtime: Running,
    caller: Viewer,
    pair: str = "",
    state: str = "open",
    kind: str = "",
    entity: str = "",
    limit: int = 100,
    before: int | None = None,
) -> list[dict[str, Any]]:
    def read(conn: Any) -> list[dict[str, Any]]:
        pair_id = pairs.get(conn, pair).id if pair else None
        return deadletters.listing(
            conn, pair_id, state=state, kind=kind or None, entity=entity or None, limit=min(limit, 1000), before=before
        )

    return await runtime.db.run(read)


@router.get("/groups", summary="Open dead letters of a pair, grouped by cause.")
async def groups(pair: str, runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    return await runtime.db.run(lambda conn: deadletters.groups(conn, pairs.get(conn, pair).id))


@router.get("/{number}", summary="One dead letter whole.")
async def show(number: int, runtime: Running, caller: Viewer) -> dict[str, Any]:
    return await runtime.db.run(deadletters.show, number)


@router.patch("/{number}", summary="Put values in place of the record's own for the next try.")
async def edit(number: int, given: Edit, runtime: Running, caller: Operator) -> dict[str, Any]:
    def change(conn: Any) -> dict[str, Any]:
        edited = deadletters.edit(conn, number, given.fields, caller.name)
        if given.retry:
            deadletters.retry(conn, [number], runtime.wake, caller.name, runtime.flows)
        return edited

    return await runtime.db.run(change)


@router.post("/retry", summary="Look at these records again.")
async def retry(given: Numbers, runtime: Running, caller: Operator) -> dict[str, int]:
    def work(conn: Connection) -> int:
        ids = deadletters.chosen(conn, given.numbers, given.pair, given.kind)
        return deadletters.retry(conn, ids, runtime.wake, caller.name, runtime.flows)

    return {"retried": await runtime.db.run(work)}


@router.post("/discard", summary="Close dead letters without passing their records.")
async def discard(given: Numbers, runtime: Running, caller: Operator) -> dict[str, int]:
    def work(conn: Connection) -> int:
        ids = deadletters.chosen(conn, given.numbers, given.pair, given.kind)
        return deadletters.discard(conn, ids, caller.name, given.why, runtime.flows)

    return {"discarded": await runtime.db.run(work)}
