"""What every request and answer of the API has in common: bodies, headers, errors."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_plus
from uuid import uuid4

import msgspec
from aiohttp import web

from .errors import ApiError, Problem
from .idempotency import Answer
from .values import decode, encode

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
EXTRA_HEADERS: web.RequestKey[dict[str, str]] = web.RequestKey("extra_headers", dict[str, str])


def begin(request: web.Request) -> None:
    """Give the request its id, which every answer to it carries."""
    request[REQUEST_ID] = uuid4().hex
    request[EXTRA_HEADERS] = {"X-Request-ID": request[REQUEST_ID]}


def answer_raw(request: web.Request, body: bytes, status: int = 200, **headers: str) -> web.Response:
    """An answer whose body is JSON already."""
    all_headers = request[EXTRA_HEADERS] | {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(body=body, status=status, content_type="application/json", headers=all_headers)


def answer(request: web.Request, value: Any, status: int = 200, **headers: str) -> web.Response:
    """An answer in JSON."""
    return answer_raw(request, encode(value), status, **headers)


def answer_error(request: web.Request, error: ApiError) -> web.Response:
    """An error in the body of the contract."""
    headers = request[EXTRA_HEADERS] | error.headers
    body = encode(error.body(request[REQUEST_ID]))
    return web.Response(body=body, status=error.status, content_type="application/json", headers=headers)


def answer_written(request: web.Request, path: str, written: Answer) -> web.Response:
    """The answer to a single write: the record, its version as ETag, its place when it is new."""
    headers = {"ETag": f'"{written.version}"'}
    if written.status == 201:
        headers["Location"] = f"{path}/{written.key}"
    if written.replayed:
        headers["Idempotency_Replayed"] = "true"
    return answer_raw(request, written.body, written.status, **headers)


async def read_json(request: web.Request) -> Any:
    """The decoded body; 415 when it is not declared as JSON, 400 when it is none."""
    kind = request.content_type
    if kind != "application/json" and not kind.endswith("+json"):
        raise ApiError(415, "UnsupportedMediaType", f"The body must be application/json, not {kind}.")
    return decoded(await request.read())


def decoded(raw: bytes) -> Any:
    """The decoded bytes; 400 when they are no JSON."""
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "InvalidJSON", f"The body is no JSON: {error}.") from error


def if_match(text: str | None) -> int | None:
    """The version in an If-Match header or item: `3`, `"3"` or `W/"3"`; `*` and none mean any."""
    if text is None or text.strip() == "*":
        return None
    bare = text.strip().removeprefix("W/").strip('"')
    if not (bare.isascii() and bare.isdigit()):
        problem = Problem("If-Match", "BadFormat", f"{text!r} is no version")
        raise ApiError(400, "InvalidHeader", f"If-Match: {problem.message}.", [problem])
    return int(bare)


def bearer(request: web.Request) -> str | None:
    """The bearer token, if there is one."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def basic(request: web.Request) -> list[tuple[str, str]]:
    """User and password as sent, and as RFC 6749 has them (form-encoded) where that differs."""
    kind, _, coded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return []
    try:
        user, colon, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return []
    if not colon:
        return []
    plain, coded_form = (user, password), (unquote_plus(user), unquote_plus(password))
    return [plain] if plain == coded_form else [plain, coded_form]
