"""The route on journeys: a document across systems, money and Runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from isthmus.api.caller import Running, Viewer
from isthmus.operate.journey import journey

router = APIRouter(prefix="/journeys", tags=["records"])


@router.get("/{key:path}", summary="An order across systems, documents, money and Runs.")
async def show(key: str, runtime: Running, caller: Viewer) -> dict[str, Any]:
    return asdict(await runtime.db.run(journey, key))
