"""The service's HTTP face: webhook intake, health, and the management API. Nothing is decided here."""

from __future__ import annotations

import time
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Connection, text

from isthmus import __version__
from isthmus.api import (
    clients,
    conflicts,
    connections,
    consent,
    deadletters,
    flows,
    hooks,
    installation,
    journeys,
    lookups,
    mappings,
    pairs,
    runs,
    tokens,
)
from isthmus.api.caller import document_refusals
from isthmus.api.canonical import oauth
from isthmus.api.canonical import routes as canonical
from isthmus.errors import AuthFailed, Contended, IsthmusError, Misconfigured, SafetyLimit
from isthmus.operate.runtime import Runtime

_STATUS: dict[type[IsthmusError], int] = {AuthFailed: 502, Misconfigured: 422, Contended: 409, SafetyLimit: 409}


def create_app(runtime: Runtime) -> FastAPI:
    """The application over one runtime; the caller starts and stops the engine beside it."""
    app = FastAPI(
        title="Isthmus",
        version=__version__,
        description="Keeps Odoo ERP and BNG in agreement, and proves it.",
        docs_url="/docs",
        redoc_url=None,
    )
    app.state.runtime = runtime
    app.state.started = time.monotonic()
    app.include_router(hooks.router)
    app.include_router(consent.back_router)
    app.include_router(flows.hook_router)
    app.include_router(runs.approvals_router, prefix="/api/v1")
    app.include_router(oauth.router)
    app.include_router(canonical.router)
    for module in (
        installation,
        tokens,
        clients,
        connections,
        consent,
        pairs,
        deadletters,
        conflicts,
        mappings,
        lookups,
        flows,
        runs,
        journeys,
    ):
        app.include_router(module.router, prefix="/api/v1")

    @app.exception_handler(IsthmusError)
    async def _told(_: Request, error: IsthmusError) -> JSONResponse:
        status = next(
            (code for kind, code in _STATUS.items() if isinstance(error, kind)), 503 if error.action == "retry" else 422
        )
        return JSONResponse({"error": error.as_dict()}, status_code=status)

    @app.get("/health", tags=["service"], summary="Whether the service and its database work.")
    async def health(response: Response) -> dict[str, Any]:
        try:
            pairs_by_state = await runtime.db.run(_states)
        except Exception as error:
            response.status_code = 503
            return {"status": "unavailable", "why": type(error).__name__}
        return {"status": "ok", "version": __version__, "pairs": pairs_by_state}

    document_refusals(app)
    return app


def _states(conn: Connection) -> dict[str, int]:
    rows = conn.execute(text("select state, count(*) as count from pair group by 1")).all()
    return {str(row.state): int(row[1]) for row in rows}
