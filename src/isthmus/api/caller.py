"""Who is calling, and whether they may: bearer tokens with roles, for every management route."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from isthmus.operate.runtime import Runtime
from isthmus.security import tokens
from isthmus.security.tokens import Caller

_bearer = HTTPBearer(auto_error=False, description="An API token: `isthmus serve` prints where the local one is.")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def runtime_of(request: Request) -> Runtime:
    """The runtime behind the application."""
    found: Runtime = request.app.state.runtime
    return found


def needs(role: str) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A dependency that lets callers with at least this role through: 401 without a token, 403 with too little."""

    async def check(request: Request, credentials: _Credentials) -> Caller:
        caller = None
        if credentials is not None:
            caller = await runtime_of(request).db.run(tokens.check, credentials.credentials)
        if caller is None:
            raise HTTPException(401, "a valid API token is needed", headers={"WWW-Authenticate": "Bearer"})
        if not caller.may(role):
            raise HTTPException(403, f"role {caller.role} may not do this; it needs {role}")
        return caller

    return check


Viewer = Annotated[Caller, Depends(needs("viewer"))]
Operator = Annotated[Caller, Depends(needs("operator"))]
Designer = Annotated[Caller, Depends(needs("designer"))]
Admin = Annotated[Caller, Depends(needs("admin"))]
Running = Annotated[Runtime, Depends(runtime_of)]


def document_refusals(app: FastAPI) -> None:
    """Document the answers that every management route can give."""
    for route in app.routes:
        responses = getattr(route, "responses", None)
        if isinstance(responses, dict) and str(getattr(route, "path", "")).startswith("/api/"):
            responses.setdefault(401, {"description": "No valid API token."})
            responses.setdefault(403, {"description": "The token's role does not allow this."})
            responses.setdefault(409, {"description": "Not just now: the error says what stands in the way."})
