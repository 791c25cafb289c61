"""Tokens for clients: OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from isthmus.api.caller import runtime_of
from isthmus.operate import clients

router = APIRouter(tags=["canonical API"])

MOST_BYTES = 10_000

_FORM = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"type": "string", "enum": ["client_credentials"]},
        "client_id": {"type": "string", "description": "Unless given by Basic authorisation."},
        "client_secret": {"type": "string", "description": "Unless given by Basic authorisation."},
        "scope": {"type": "string", "description": "Scopes, separated by spaces; all that the client has without."},
    },
}


@router.post(
    "/oauth/token",
    summary="Get a short-lived token for a client, by its id and secret.",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": _FORM}}}
    },
    responses={400: {"description": "What is wrong with the request."}, 401: {"description": "No such client."}},
)
async def token(request: Request) -> JSONResponse:
    """Answers are never cached; errors are told as RFC 6749 says."""
    body = await request.body()
    if len(body) > MOST_BYTES:
        return _no("invalid_request", "the body is too large", 413)
    form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    given = _basic(request.headers.get("authorization")) or (form.get("client_id", ""), form.get("client_secret", ""))
    if form.get("grant_type") != "client_credentials":
        return _no("unsupported_grant_type", "grant_type has to be client_credentials, in a form")
    db = runtime_of(request).db
    row = await db.run(clients.known, *given)
    if row is None:
        return _no("invalid_client", "there is no such client, or its secret is another one", 401)
    wanted = form.get("scope", "").split() or list(row.scopes)
    beyond = [scope for scope in wanted if scope not in row.scopes]
    if beyond:
        return _no("invalid_scope", f"the client was not given {' '.join(beyond)[:200]}")
    made = await db.run(clients.issue, row, wanted)
    return _answer(
        {
            "access_token": made.reveal(),
            "token_type": "Bearer",
            "expires_in": int(clients.LIFETIME.total_seconds()),
            "scope": " ".join(wanted),
        }
    )


def _basic(header: str | None) -> tuple[str, str] | None:
    kind, _, told = (header or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(told, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(secret)


def _no(error: str, said: str, status: int = 400) -> JSONResponse:
    return _answer({"error": error, "error_description": said}, status)


def _answer(body: dict[str, Any], status: int = 200) -> JSONResponse:
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="isthmus"'
    return JSONResponse(body, status, headers)
