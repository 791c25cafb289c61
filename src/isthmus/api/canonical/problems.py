"""Errors of the canonical API as problem details (RFC 9457): what happened, which field, what to do next."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from isthmus.errors import (
    Ambiguous,
    AuthFailed,
    Conflicted,
    Contended,
    InvalidRecord,
    IsthmusError,
    MappingFailed,
    RateLimited,
    RefusedByTarget,
    Retry,
)
from isthmus.model.card import mask_all
from isthmus.operate.canonical.place import DUPLICATE, MOVED, NOT_THERE

_TOLD: Mapping[str, tuple[int, str]] = {
    NOT_THERE: (404, "not_found"),
    DUPLICATE: (409, "duplicate"),
    MOVED: (412, "moved"),
}
_KINDS: tuple[tuple[type[IsthmusError], int, str], ...] = (
    (RateLimited, 503, "rate_limit"),
    (Contended, 409, "busy"),
    (Retry, 503, "network"),
    (RefusedByTarget, 422, "refused"),
    (MappingFailed, 422, "data_mismatch"),
    (InvalidRecord, 422, "data_mismatch"),
    (Ambiguous, 409, "duplicate"),
    (Conflicted, 409, "duplicate"),
    (AuthFailed, 502, "set_up"),
)
_TITLES = {
    "bad_request": "The request cannot be read",
    "unauthorised": "A valid token is needed",
    "forbidden": "The token does not allow this",
    "not_found": "It is not there",
    "duplicate": "There is such a record already",
    "moved": "The record has moved on",
    "busy": "Somebody is at it just now",
    "key_reused": "The Idempotency-Key belongs to another request",
    "data_mismatch": "The record cannot pass as it is",
    "refused": "The system refused the record",
    "card_number": "Card numbers are not accepted",
    "rate_limit": "Too many requests",
    "network": "The system gave no answer",
    "set_up": "The set-up needs a person",
}
_SECONDS = 5.0


class Problem(Exception):
    """An answer that is a problem; `more` are further members of it."""

    def __init__(
        self, status: int, code: str, detail: str, *, hint: str, wait: float | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.wait = wait
        self.body: dict[str, Any] = {
            "type": f"about:blank#{code}",
            "code": code,
            "title": _TITLES[code],
            "status": status,
            "detail": detail,
            "next": hint,
            **more,
        }

    def answer(self) -> JSONResponse:
        """The response, without card numbers."""
        headers = {} if self.wait is None else {"Retry-After": str(max(1, math.ceil(self.wait)))}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(mask_all(self.body), self.status, headers, "application/problem+json")


def told(error: IsthmusError) -> Problem:
    """An error of the product as a problem."""
    status, code = _TOLD.get(str(error.facts.get("told")), (0, ""))
    if not code:
        status, code = next(((s, c) for kind, s, c in _KINDS if isinstance(error, kind)), (503, "set_up"))
    wait = error.facts.get("wait_seconds") or (_SECONDS if status == 503 else None)
    more: dict[str, Any] = {"kind": error.kind, "errors": list(error.facts.get("problems") or [])}
    if error.record is not None:
        more["record"] = error.record
    return Problem(status, code, str(error), hint=error.hint, wait=None if wait is None else float(wait), **more)


class ProblemRoute(APIRoute):
    """A route whose every error is a problem."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that FastAPI makes, with errors told as problems."""
        inner = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await inner(request)
            except Problem as problem:
                return problem.answer()
            except IsthmusError as error:
                return told(error).answer()
            except RequestValidationError as error:
                errors = [{"field": ".".join(map(str, e["loc"][1:])), "message": e["msg"]} for e in error.errors()]
                hint = "Correct what is named, then send it again."
                return Problem(422, "bad_request", "the request does not fit", hint=hint, errors=errors).answer()
            except HTTPException as error:
                return Problem(
                    error.status_code, "bad_request", str(error.detail), hint="See the description."
                ).answer()

        return answer


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": said, "content": {"application/problem+json": {"schema": {"type": "object"}}}}
    for status, said in (
        (401, "No valid token."),
        (403, "The token's scopes do not allow this."),
        (404, "It is not there."),
        (409, "There is such a record already, or the same request is being answered."),
        (412, "The record has another version than the one given."),
        (413, "The body is too large."),
        (422, "What is wrong with the request: every problem, with its field."),
        (429, "Too many requests; Retry-After says when to go on."),
        (503, "The system gave no answer; the same request again is safe."),
    )
}
"""The problems that routes document."""
