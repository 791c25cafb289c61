"""Routes on API tokens."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from isthmus.api.caller import Admin, Running
from isthmus.operate import tokens
from isthmus.security import tokens as stored

router = APIRouter(prefix="/tokens", tags=["tokens"])


class NewToken(BaseModel):
    """A token to be made."""

    name: str = Field(min_length=1, description="Whose token it is; shown in the audit log.")
    role: Literal["viewer", "operator", "designer", "admin"] = Field("viewer", description="Each role may more.")
    days: int = Field(365, ge=0, description="Days until it ends; 0 for never.")


class MadeToken(BaseModel):
    """A token that was made."""

    name: str = Field(description="Whose token it is.")
    role: str = Field(description="What it may do.")
    token: str = Field(description="The token: shown this once, kept only as a digest.")


@router.get("", summary="List tokens with role, end and last use; never the tokens themselves.")
async def listing(runtime: Running, caller: Admin) -> list[dict[str, Any]]:
    return await runtime.db.run(stored.listing)


@router.post("", summary="Make a token; it is answered this once.", status_code=201)
async def add(given: NewToken, runtime: Running, caller: Admin) -> MadeToken:
    made = await runtime.db.run(tokens.add, given.name, given.role, given.days or None, caller.name)
    return MadeToken(name=given.name, role=given.role, token=made.reveal())


@router.delete("/{name}", summary="End every token of this name, at once.")
async def revoke(name: str, runtime: Running, caller: Admin) -> dict[str, int]:
    return {"revoked": await runtime.db.run(tokens.revoke, name, caller.name)}
