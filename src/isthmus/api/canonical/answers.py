"""One request, one answer: bodies read with care, and repeats under an Idempotency-Key answered the same."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from weakref import WeakKeyDictionary

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from isthmus.api.canonical.problems import Problem, told
from isthmus.errors import IsthmusError
from isthmus.model.card import holds_card_number
from isthmus.operate.clients import Client
from isthmus.operate.runtime import Runtime
from isthmus.store import clients

MOST_BYTES = 1_000_000
MOST_KEY = 200
KEEPS = (404, 409, 412, 422)
"""Problems that a repeat would meet again: they are the answer to its key like any other."""

_SLOTS: WeakKeyDictionary[Runtime, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Given:
    """A request to write: its JSON object, its Idempotency-Key, and what tells it from another one."""

    body: dict[str, Any]
    key: str | None
    digest: bytes


async def given(request: Request) -> Given:
    """Read a body. Numbers keep their digits; card numbers and what is no JSON object are refused."""
    hint = "Send a JSON object of at most 1 MB."
    if not (request.headers.get("content-length") or "0").isdecimal():
        raise Problem(400, "bad_request", "the length of the body cannot be read", hint=hint)
    raw = b""
    async for part in request.stream():
        raw += part
        if len(raw) > MOST_BYTES:
            raise Problem(413, "bad_request", "the body is too large", hint=hint)
    try:
        body = json.loads(raw, parse_float=Decimal, parse_constant=_no_constant)
        json.dumps(body, default=str, ensure_ascii=False).encode()  # halves of characters cannot even be told about
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise Problem(400, "bad_request", "the body is no JSON", hint=hint) from error
    if not isinstance(body, dict):
        raise Problem(400, "bad_request", "the body is no JSON object", hint=hint)
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MOST_KEY and key.isprintable()):
        raise Problem(400, "bad_request", "the Idempotency-Key has to be 1 to 200 printable characters", hint=hint)
    if holds_card_number(_texts(body)) or holds_card_number(key) or holds_card_number(request.url.path):
        hint = "Take it out, here and where it came from. Payments are told by tokens of the gateway."
        raise Problem(
            422, "card_number", "the request holds what looks like a card number; nothing was kept", hint=hint
        )
    told_as = f"{request.method} {request.url.path} {request.headers.get('if-match', '')}\n".encode()
    return Given(body, key, hashlib.sha256(told_as + raw).digest())


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _texts(value: Any) -> Any:
    """The same with decimals as text, so that digits are looked at however they are written."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {name: _texts(inner) for name, inner in value.items()}
    return [_texts(inner) for inner in value] if isinstance(value, list) else value


Work = Callable[[clients.Locks], Awaitable[JSONResponse]]


async def once(runtime: Runtime, client: Client, asked: Given, own: Sequence[str], work: Work) -> Response:
    """Answer a request, or the repeat of one as it was answered. `own` are locks that only one request may hold."""
    slots = _SLOTS.setdefault(runtime, asyncio.Semaphore(clients.WRITERS))
    keys = [*own, *([f"client:{client.id}:key:{asked.key}"] if asked.key else [])]
    async with slots, clients.claimed(runtime.db, keys) as locks:
        if locks is None:
            hint = "Wait for its answer, or send it again in a moment."
            raise Problem(409, "busy", "a request for the same is being answered just now", hint=hint, wait=1.0)
        if asked.key is None:
            return await work(locks)
        kept = await runtime.db.run(clients.answer_of, client.id, asked.key)
        if kept is not None and bytes(kept.digest) != asked.digest:
            hint = "Take a new key for every new request; the same key is only for sending the same request again."
            raise Problem(422, "key_reused", "this Idempotency-Key was used for another request", hint=hint)
        if kept is not None and kept.status is not None:
            media = "application/problem+json" if kept.status >= 400 else "application/json"
            headers = {**kept.headers, "Idempotency-Replayed": "true"}
            return JSONResponse(kept.body, kept.status, headers, media)
        await runtime.db.run(clients.begin_answer, client.id, asked.key, asked.digest)
        return await _kept(runtime, client, asked.key, work, locks)


async def _kept(runtime: Runtime, client: Client, key: str, work: Work, locks: clients.Locks) -> Response:
    try:
        answer = await work(locks)
    except (Problem, IsthmusError) as error:
        problem = error if isinstance(error, Problem) else told(error)
        if problem.status not in KEEPS or problem.body["code"] == "busy":
            await runtime.db.run(clients.forget_answer, client.id, key)
            raise
        answer = problem.answer()
    shown = {name: answer.headers[name] for name in ("location",) if name in answer.headers}
    body = json.loads(bytes(answer.body))
    await runtime.db.run(clients.keep_answer, client.id, key, answer.status_code, body, shown)
    return answer
