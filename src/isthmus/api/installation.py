"""Routes on the installation as a whole: how all pairs stand, its master key, its connectors."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from isthmus.api.caller import Admin, Running, Viewer
from isthmus.operate import keys
from isthmus.operate.status import status as of_pair
from isthmus.sdk.registry import installed
from isthmus.store import pairs

router = APIRouter(tags=["installation"])


@router.get("/status", summary="How all pairs stand: books, what is open, how fresh.")
async def status(runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    return await runtime.db.run(lambda conn: [of_pair(conn, row).as_dict() for row in pairs.listing(conn)])


@router.get("/connectors", summary="The connectors that are installed, with the form of their settings.")
async def connectors(caller: Viewer) -> list[dict[str, Any]]:
    return [
        {
            "key": kind.key,
            "name": kind.name,
            "summary": kind.summary,
            "support": kind.support,
            "known_limits": list(kind.known_limits),
            "settings": kind.settings.model_json_schema(),
        }
        for kind in installed()
    ]


@router.get("/key", summary="The id of the master key in use; never the key.")
async def key(runtime: Running, caller: Admin) -> dict[str, Any]:
    return {"current": runtime.keys.current.id, "older": sorted(runtime.keys.older)}


@router.post("/key/rotate", summary="Make a new master key and wrap every data key by it.")
async def rotate_key(runtime: Running, caller: Admin) -> dict[str, Any]:
    return await keys.rotate(runtime)
