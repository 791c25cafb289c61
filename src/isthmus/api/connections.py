"""Routes on Connections."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from isthmus.api.caller import Admin, Operator, Running, Viewer
from isthmus.model.secret import Secret
from isthmus.operate import connections, operations
from isthmus.store import connections as stored

router = APIRouter(prefix="/connections", tags=["connections"])


class NewConnection(BaseModel):
    """A Connection to be stored; secrets are encrypted before they rest."""

    name: str = Field(description="A name of your choice.")
    kind: str = Field(description="The connector's key.")
    environment: str = Field("sandbox", description="sandbox or production.")
    settings: dict[str, Any] = Field(default_factory=dict, description="The connector's own settings.")
    secrets: dict[str, str] = Field(default_factory=dict, description="Its secrets; never shown again.")


class NewSecrets(BaseModel):
    """Secrets to take the place of those in use."""

    secrets: dict[str, str] = Field(description="Name to value.")


class Hooks(BaseModel):
    """Where webhooks are to be sent."""

    base_url: str = Field(description="Where the other system reaches this service.")
    admin: dict[str, str] = Field(
        default_factory=dict, description="Temporary administrator secrets; used once, never stored."
    )


class Call(BaseModel):
    """An operation to be done, or to be looked at."""

    input: dict[str, Any] = Field(description="The fields of the operation's input.")
    key: str = Field("", description="The key of the Act; unset, the input names it, so a repeat is safe.")
    dry_run: bool = Field(False, description="Only look whether it is done; nothing is written.")


_Entities = Annotated[list[str] | None, Query(description="Only these, with their fields; may be given several times.")]


@router.get("", summary="List Connections; secrets are never shown.")
async def listing(runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    rows = await runtime.db.run(stored.listing)
    return [{n: getattr(r, n) for n in ("id", "name", "kind", "environment", "settings", "state")} for r in rows]


@router.post("", summary="Add a Connection or change its settings.", status_code=201)
async def add(given: NewConnection, runtime: Running, caller: Admin) -> dict[str, int]:
    made = await connections.add(
        runtime,
        given.name,
        kind=given.kind,
        environment=given.environment,
        settings=given.settings,
        given={n: Secret(v) for n, v in given.secrets.items()},
        actor=caller.name,
    )
    return {"id": made}


@router.get("/{name}/doctor", summary="Check a Connection; every finding with its fix.")
async def doctor(name: str, runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    return [{k: v for k, v in asdict(f).items() if k != "facts"} for f in await connections.doctor(runtime, name)]


@router.post("/{name}/rotate", summary="Replace secrets, once the new ones are proven to work.")
async def rotate(name: str, given: NewSecrets, runtime: Running, caller: Admin) -> list[dict[str, Any]]:
    found = await connections.rotate(runtime, name, {n: Secret(v) for n, v in given.secrets.items()}, caller.name)
    return [{k: v for k, v in asdict(f).items() if k != "facts"} for f in found]


@router.post("/{name}/accept", summary="Take a copied or restored system as the one that is meant from now on.")
async def accept(name: str, runtime: Running, caller: Admin) -> dict[str, str]:
    await connections.accept(runtime, name, caller.name)
    return {"accepted": name}


@router.post("/{name}/hooks", summary="Register webhooks; repairs what is missing.")
async def hooks(name: str, given: Hooks, runtime: Running, caller: Admin) -> list[dict[str, Any]]:
    admin = {n: Secret(v) for n, v in given.admin.items()}
    return [asdict(h) for h in await connections.install_hooks(runtime, name, given.base_url, admin=admin or None)]


@router.get("/{name}/entities", summary="What the system has: Entities, fields, counts.")
async def discover(name: str, runtime: Running, caller: Viewer, entity: _Entities = None) -> list[dict[str, Any]]:
    row = await runtime.db.run(stored.get, name)
    connector = await runtime.connector(row)
    return [asdict(one) for one in await connector.describe(entity or None)]


@router.get("/{name}/operations", summary="What the system can be asked to do with its documents.")
async def list_operations(name: str, runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    return await operations.listing(runtime, name)


@router.post("/{name}/operations/{operation}", summary="Have one operation done, or look whether it is.")
async def call_operation(name: str, operation: str, given: Call, runtime: Running, caller: Operator) -> dict[str, Any]:
    return await operations.call(
        runtime, name, operation, given.input, actor=caller.name, key=given.key, dry_run=given.dry_run
    )
