"""Routes on flows: files, versions, bindings, begin, dry run, lint, and the addresses of webhook triggers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from isthmus.api.caller import Designer, Operator, Running, Viewer, runtime_of
from isthmus.errors import IsthmusError
from isthmus.flows.compiled import compile_flow
from isthmus.flows.definition import json_schema
from isthmus.flows.lint import lint as look
from isthmus.operate import flows, flowtemplates

router = APIRouter(prefix="/flows", tags=["flows"])
hook_router = APIRouter(tags=["webhooks"])

MOST_BYTES = 2_000_000
"""Larger bodies of webhooks are refused unread."""


class NewDraft(BaseModel):
    """A flow's file, to be its draft."""

    file: str = Field(description="The YAML text of the flow.")
    layout: str | None = Field(None, description="Positions on the canvas, as export wrote them.")
    bindings: dict[str, str] = Field(default_factory=dict, description="Role to Connection or pair.")


class Bindings(BaseModel):
    """What roles are bound to."""

    bindings: dict[str, str] = Field(description="Role to the name of a Connection or pair.")


class Publication(BaseModel):
    """What is said of a new version."""

    notes: str = Field("", description="What is new, for whoever looks at the versions.")


class Begin(BaseModel):
    """A Run to be begun by hand."""

    key: str = Field(min_length=1, description="The business key of the Run.")
    item: dict[str, Any] = Field(default_factory=dict, description="The item it begins with.")
    node: str = Field("", description="The trigger to begin at, when there are several.")


class FileText(BaseModel):
    """A flow's file, not stored."""

    file: str = Field(description="The YAML text of the flow.")


class SecretText(BaseModel):
    """A secret's value."""

    value: str = Field(min_length=1, description="The value; it is never shown again.")


@router.get("", summary="List flows with their state and what is under way.")
async def listing(runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    return await runtime.db.run(flows.listing)


@router.post("", summary="Make a file the draft of its flow.", status_code=201)
async def bring_in(given: NewDraft, runtime: Running, caller: Designer) -> dict[str, Any]:
    return await flows.bring_in(runtime, given.file, layout=given.layout, bindings=given.bindings, actor=caller.name)


@router.get("/templates", summary="List the flows that ship.")
async def templates(caller: Viewer) -> list[dict[str, Any]]:
    return flowtemplates.listing()


@router.get("/templates/{template}", summary="The file of a flow that ships, to be brought in.")
async def template(template: str, caller: Viewer) -> FileText:
    return FileText(file=flowtemplates.file(template))


@router.get("/schema", summary="The JSON Schema of flow files.")
async def schema(caller: Viewer) -> dict[str, Any]:
    return json_schema()


@router.post("/lint", summary="What is wrong with a flow file: line, node and fix.")
async def lint(given: FileText, caller: Viewer) -> list[dict[str, Any]]:
    return [asdict(mistake) for mistake in look(given.file)]


@router.post("/test", summary="Run the tests that a flow file carries.")
async def test(given: FileText, runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    return [asdict(verdict) for verdict in await flows.run_tests(compile_flow(given.file), runtime)]


@router.get("/{name}", summary="One flow: state, roles, what it listens to, versions.")
async def show(name: str, runtime: Running, caller: Viewer) -> dict[str, Any]:
    return await runtime.db.run(flows.show, name)


@router.get("/{name}/files", summary="A flow as files: its draft, or a published version.")
async def export(name: str, runtime: Running, caller: Viewer, version: int | None = None) -> dict[str, str]:
    return await runtime.db.run(flows.export, name, version)


@router.post("/{name}/bind", summary="Say what the flow's roles are in this installation.")
async def bind(name: str, given: Bindings, runtime: Running, caller: Designer) -> dict[str, str]:
    return await runtime.db.run(flows.bind, name, given.bindings, caller.name)


@router.post("/{name}/publish", summary="Make the draft the next version; its own tests must pass.")
async def publish(name: str, given: Publication, runtime: Running, caller: Designer) -> dict[str, int]:
    return {"version": await flows.publish(runtime, name, notes=given.notes, actor=caller.name)}


@router.post("/{name}/rollback", summary="Let an earlier version begin the Runs again.")
async def rollback(name: str, runtime: Running, caller: Designer, to: int | None = None) -> dict[str, int]:
    return {"version": await runtime.db.run(flows.roll_back, runtime, name, to, caller.name)}


@router.post("/{name}/pause", summary="Stop a flow; triggers go on being accepted.")
async def pause(name: str, runtime: Running, caller: Operator) -> dict[str, str]:
    return {"state": await runtime.db.run(flows.set_state, runtime, name, "paused", caller.name)}


@router.post("/{name}/resume", summary="Make a paused or halted flow active again.")
async def resume(name: str, runtime: Running, caller: Operator) -> dict[str, str]:
    return {"state": await runtime.db.run(flows.set_state, runtime, name, "active", caller.name)}


@router.post("/{name}/run", summary="Begin a Run by hand.", status_code=202)
async def begin(name: str, given: Begin, runtime: Running, caller: Operator) -> dict[str, int]:
    return {"begun": await flows.begin(runtime, name, [(given.key, given.item)], node=given.node, actor=caller.name)}


@router.post("/{name}/dry-run", summary="Try the draft: reads are real, nothing is written.")
async def dry_run(name: str, given: Begin, runtime: Running, caller: Operator) -> dict[str, Any]:
    done = await flows.dry_run(runtime, name, [given.item], key=given.key, node=given.node)
    return {"steps": [step.as_dict() for step in done.steps], "ends": done.ends}


@router.post("/{name}/hook", summary="A new address for the flow's webhook trigger; shown only now.")
async def hook(name: str, runtime: Running, caller: Designer) -> dict[str, str]:
    return {"path": await runtime.db.run(flows.new_hook, name, caller.name)}


@router.put("/{name}/secrets/{secret}", summary="Store a secret that the flow's own requests use.")
async def secret(name: str, secret: str, given: SecretText, runtime: Running, caller: Designer) -> dict[str, str]:
    await runtime.db.run(flows.set_secret, runtime, name, secret, given.value, caller.name)
    return {"secret": secret}


@hook_router.post(
    "/flowhooks/{flow}/{secret}",
    summary="Begin a Run by a webhook; 2xx only once it is stored.",
    responses={404: {"description": "No such address."}, 413: {"description": "The body is too large."}},
)
async def take_delivery(flow: str, secret: str, request: Request) -> Response:
    """The body is JSON; its key decides to which Run it belongs."""
    runtime = runtime_of(request)
    if int(request.headers.get("content-length") or 0) > MOST_BYTES:
        return JSONResponse({"error": "the body is too large"}, status_code=413)
    try:
        body = json.loads(await request.body() or b"{}", parse_float=str)
    except ValueError:
        return JSONResponse({"error": "the body is not JSON"}, status_code=400)
    try:
        key = await runtime.db.run(flows.take_delivery, runtime, flow, secret, body)
    except IsthmusError as error:
        return JSONResponse({"error": error.as_dict()}, status_code=422)
    if key is None:
        return JSONResponse({"error": "no such address"}, status_code=404)
    return JSONResponse({"accepted": key}, status_code=202)
