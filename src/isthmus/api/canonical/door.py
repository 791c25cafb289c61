"""Who may come in: clients with a token, its scopes, and the pace they keep."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Depends, Request
from fastapi.security import OAuth2
from fastapi.security.utils import get_authorization_scheme_param

from isthmus.api.caller import runtime_of
from isthmus.api.canonical.problems import Problem
from isthmus.operate import clients
from isthmus.operate.clients import Client

_scheme = OAuth2(
    scheme_name="Clients",
    flows={
        "clientCredentials": {
            "tokenUrl": "/oauth/token",
            "scopes": {
                scope: f"{'Write' if scope.endswith('write') else 'Read'} {scope.split(':')[0]}."
                for scope in clients.SCOPES
            },
        }
    },
    description="OAuth 2.0 client credentials: `isthmus client add` makes a client.",
    auto_error=False,
)


def allowed(scope: str) -> Callable[..., Coroutine[Any, Any, Client]]:
    """A dependency that lets clients with this scope through, at their pace."""

    async def check(request: Request, _: Any = Depends(_scheme)) -> Client:
        kind, token = get_authorization_scheme_param(request.headers.get("authorization"))
        found = None
        if kind.lower() == "bearer" and token:
            found = await runtime_of(request).db.run(clients.check, token)
        if found is None:
            hint = "Get a token at /oauth/token with the client's id and secret; it is good for 15 minutes."
            raise Problem(401, "unauthorised", "the request carries no valid token", hint=hint)
        client, wait = found
        if wait > 0:
            hint = "Go on after the seconds in Retry-After; ask for larger pages rather than more of them."
            raise Problem(429, "rate_limit", "this client asks faster than it may", hint=hint, wait=wait)
        if scope not in client.scopes:
            hint = f"Ask for a token with {scope}; the client itself has to have been given it."
            raise Problem(403, "forbidden", f"the token's scopes do not hold {scope}", hint=hint)
        return client

    return check
