"""Routes on Conflicts."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from isthmus.api.caller import Operator, Running, Viewer
from isthmus.operate import conflicts
from isthmus.store import pairs

router = APIRouter(prefix="/conflicts", tags=["conflicts"])


class Choice(BaseModel):
    """Whose value stands in some Conflicts."""

    numbers: list[int] = Field(default_factory=list, description="Conflicts by number.")
    pair: str = Field("", description="All open Conflicts of this pair alike.")
    field: str = Field("", description="With `pair`: only this field.")
    winner: Literal["left", "right"] = Field(description="Whose value stands.")


@router.get("", summary="List Conflicts of a pair with both values.")
async def listing(pair: str, runtime: Running, caller: Viewer, state: str = "open") -> list[dict[str, Any]]:
    return await runtime.db.run(lambda conn: conflicts.listing(conn, pairs.get(conn, pair).id, state=state))


@router.get("/{number}", summary="One Conflict whole.")
async def show(number: int, runtime: Running, caller: Viewer) -> dict[str, Any]:
    return await runtime.db.run(conflicts.show, number)


@router.post("/settle", summary="Choose whose value stands; it is written at once.")
async def settle(given: Choice, runtime: Running, caller: Operator) -> dict[str, int]:
    def choose(conn: Connection) -> int:
        ids = conflicts.chosen(conn, given.numbers, given.pair, given.field)
        return conflicts.settle(conn, ids, given.winner, runtime.wake, caller.name)

    return {"settled": await runtime.db.run(choose)}
