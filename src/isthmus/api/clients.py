"""Routes on the clients of the canonical API."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from isthmus.api.caller import Admin, Running
from isthmus.operate import clients

router = APIRouter(prefix="/clients", tags=["clients"])


class NewClient(BaseModel):
    """A client to be made."""

    name: str = Field(min_length=1, description="What the client is called in the audit log.")
    pair: str = Field(description="The pair that carries what it writes.")
    side: Literal["left", "right"] = Field("left", description="Where it writes and reads.")
    scopes: list[str] = Field(min_length=1, description="What it may, like customers:write.")
    per_minute: int = Field(clients.PER_MINUTE, ge=1, description="Most requests in a minute.")


class MadeClient(BaseModel):
    """A client that was made."""

    name: str = Field(description="What the client is called in the audit log.")
    client_id: str = Field(description="What it names itself by when it asks for a token.")
    client_secret: str = Field(description="Its secret: shown this once, kept only as a digest.")


@router.get("", summary="List clients with pair, side, scopes, pace and last use; never their secrets.")
async def listing(runtime: Running, caller: Admin) -> list[dict[str, Any]]:
    return await runtime.db.run(clients.listing)


@router.post("", summary="Add a client; its secret is answered this once.", status_code=201)
async def add(given: NewClient, runtime: Running, caller: Admin) -> MadeClient:
    made = await runtime.db.run(
        clients.add,
        given.name,
        pair=given.pair,
        side=given.side,
        scopes=given.scopes,
        per_minute=given.per_minute,
        actor=caller.name,
    )
    return MadeClient(name=given.name, client_id=made.client_id, client_secret=made.secret.reveal())


@router.delete("/{name}", summary="End a client and all its tokens, at once.")
async def revoke(name: str, runtime: Running, caller: Admin) -> dict[str, int]:
    return {"revoked": await runtime.db.run(clients.revoke, name, caller.name)}
