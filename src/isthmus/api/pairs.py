"""Routes on pairs: files, state, status, load, sync, sweep, trace, undo."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from isthmus.api.caller import Designer, Operator, Running, Viewer
from isthmus.operate import folder, loads, pairs, sweeps, trace, undos
from isthmus.operate.status import status as status_of
from isthmus.store import pairs as stored

router = APIRouter(prefix="/pairs", tags=["pairs"])


class NewPair(BaseModel):
    """A pair to be made from a template."""

    name: str = Field(description="A name of your choice.")
    left: str = Field(description="Name of the left Connection.")
    right: str = Field(description="Name of the right Connection.")
    template: str = Field("odoo-bng", description="The template to start from.")
    environment: str = Field("sandbox", description="sandbox or production.")


class Files(BaseModel):
    """A pair's files: path to text."""

    files: dict[str, str] = Field(description="pair.yaml, mappings/*.yaml, rules/*.yaml, lookups/*.csv")


class Entities(BaseModel):
    """Which entities of the pair are meant."""

    entities: list[str] = Field(default_factory=list, description="Only these entities; all without any.")


class Resync(BaseModel):
    """Which records to look at again."""

    entities: list[str] = Field(default_factory=list, description="Only these entities.")
    records: list[str] = Field(default_factory=list, description="Keys: 42, left:42 or right:C-7.")
    since: datetime | None = Field(None, description="Changed at or after this instant.")
    until: datetime | None = Field(None, description="Changed before this instant.")
    dry_run: bool = Field(False, description="Only say what would happen.")


def _quiet(entity: str, stage: str, done: int, total: int | None) -> None:
    """Progress of work behind the API is read from status."""


@router.get("", summary="List pairs with their state.")
async def listing(runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    rows = await runtime.db.run(stored.listing)
    names = ("id", "name", "left_name", "right_name", "environment", "state", "state_reason", "version")
    return [{n: getattr(row, n) for n in names} for row in rows]


@router.post("", summary="Add a pair from a template.", status_code=201)
async def add(given: NewPair, runtime: Running, caller: Designer) -> dict[str, Any]:
    pair_id, version = await pairs.add(
        runtime,
        given.name,
        left=given.left,
        right=given.right,
        shipped=given.template,
        environment=given.environment,
        actor=caller.name,
    )
    return {"id": pair_id, "version": version}


@router.get("/{name}", summary="How a pair stands.")
async def status(name: str, runtime: Running, caller: Viewer) -> dict[str, Any]:
    found = await runtime.db.run(lambda conn: status_of(conn, stored.get(conn, name)))
    return found.as_dict()


@router.get("/{name}/files", summary="A pair as files, without secrets.")
async def export(name: str, runtime: Running, caller: Viewer) -> dict[str, str]:
    return await runtime.db.run(folder.export, name)


@router.put("/{name}/files", summary="Make files the pair's next version.")
async def apply(name: str, given: Files, runtime: Running, caller: Designer) -> dict[str, Any]:
    pair_id, version = await pairs.apply(runtime, given.files, actor=caller.name, name=name)
    return {"id": pair_id, "version": version}


@router.post("/diff", summary="What applying files would change, as a unified diff.")
async def diff(given: Files, runtime: Running, caller: Viewer) -> dict[str, str]:
    return {"diff": await runtime.db.run(pairs.diff, given.files)}


@router.post("/{name}/pause", summary="Stop writing for this pair.")
async def pause(name: str, runtime: Running, caller: Operator) -> dict[str, str]:
    row = await runtime.db.run(pairs.set_state, runtime, name, "paused", caller.name)
    return {"state": row.state}


@router.post("/{name}/resume", summary="Make a pair active again.")
async def resume(name: str, runtime: Running, caller: Operator, allow: bool = False) -> dict[str, str]:
    row = await runtime.db.run(pairs.set_state, runtime, name, "active", caller.name, allow=allow)
    return {"state": row.state}


@router.post("/{name}/load/predict", summary="Predict an initial load; nothing is written.")
async def predict(name: str, given: Entities, runtime: Running, caller: Operator) -> dict[str, Any]:
    staged = await loads.stage(runtime, name, _quiet, given.entities)
    return {"load": staged.id, "predicted": staged.figures}


@router.post("/{name}/load", summary="Carry out an initial load.")
async def load(name: str, given: Entities, runtime: Running, caller: Designer) -> dict[str, Any]:
    done = await loads.commit(runtime, name, _quiet, given.entities, actor=caller.name)
    return {"load": done.id, "predicted": done.figures, "done": done.done, "change_set": done.change_set}


@router.post("/{name}/sync", summary="Look at records again.")
async def sync(name: str, given: Resync, runtime: Running, caller: Operator) -> dict[str, Any]:
    done = await sweeps.resync(
        runtime,
        name,
        _quiet,
        entities=given.entities,
        records=given.records,
        since=given.since,
        until=given.until,
        dry_run=given.dry_run,
    )
    return {"predicted": done.figures, "events": done.events}


@router.post("/{name}/sweep", summary="Compare everything; have what differs looked at again.")
async def sweep(name: str, runtime: Running, caller: Operator, repair: bool = True) -> dict[str, Any]:
    return asdict(await sweeps.sweep(runtime, name, _quiet, repair=repair))


@router.get("/{name}/trace/{record}", summary="Everything that ever happened to a record.")
async def trace_(name: str, record: str, runtime: Running, caller: Viewer, entity: str = "") -> list[dict[str, Any]]:
    def read(conn: Any) -> list[dict[str, Any]]:
        pair_id = stored.get(conn, name).id
        return [
            {"record": one, "moments": [asdict(m) for m in trace.trace(conn, pair_id, one)]}
            for one in trace.find(conn, pair_id, record, entity or None)
        ]

    return await runtime.db.run(read)


@router.get("/{name}/changesets", summary="List change sets, newest first.")
async def change_sets(name: str, runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    return await runtime.db.run(undos.change_sets, name)


@router.post("/{name}/changesets/{number}/undo", summary="Undo a change set; newer edits are kept.")
async def undo(name: str, number: int, runtime: Running, caller: Operator, dry_run: bool = False) -> dict[str, Any]:
    return await undos.undo(runtime, name, number, actor=caller.name, dry_run=dry_run)
