"""The pieces that the operations of the OpenAPI document share: parameters, answers, errors, security."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .described import Schema
from .idempotency import LONGEST_KEY
from .openapi_envelopes import COUNT, TEXT

API = "/api/v1"
_JSON = "application/json"

IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
    "description": "One key per logical write: repeated with it, the write is answered again, not done again.",
}
IF_MATCH: Schema = {
    "name": "If-Match",
    "in": "header",
    "schema": TEXT,
    "description": "The Version that the write is based on; 412 when the record is at another one.",
}
_LIMITS: Mapping[str, Schema] = {
    "X-RateLimit-Limit": {"schema": COUNT},
    "X-RateLimit-Remaining": {"schema": COUNT},
    "X-RateLimit-Reset": {"schema": COUNT, "description": "Seconds until nothing is used up."},
    "X-Request-ID": {"schema": TEXT},
}
_ERRORS: Mapping[int, str] = {
    400: "Not well-formed, or against a rule; Details names every field.",
    401: "No token, or one that is unknown or expired.",
    403: "The token lacks the scope.",
    404: "There is no such record; MergedInto tells where a merged one went.",
    409: "Another record has that ExternalID or natural key (ExistingID names it), or Version is not the current one.",
    412: "If-Match is not the current version.",
    415: "The body is no JSON.",
    422: "The Idempotency-Key came with another request before.",
    429: "Too many requests; Retry-After tells how long to wait.",
    500: "BNG failed.",
}


def query(name: str, schema: Schema, text: str, *, explode: bool = True) -> Schema:
    """A query parameter; a list is repeated, or with `explode` off separated by commas."""
    out: Schema = {"name": name, "in": "query", "schema": schema}
    if text:
        out["description"] = text
    if schema.get("type") == "array":
        out |= {"style": "form", "explode": explode}
    return out


def id_of(name: str) -> Schema:
    """A path parameter."""
    return {"name": name, "in": "path", "required": True, "schema": TEXT}


def body_of(schema: Schema) -> Schema:
    """A body in JSON."""
    return {"required": True, "content": {_JSON: {"schema": schema}}}


def operation(tag: str, summary: str, scope: str | None, responses: Mapping[str, Schema]) -> Schema:
    """An operation behind a token; what may always be answered is added."""
    return {
        "tags": [tag],
        "summary": summary,
        "security": [{"oauth2": [] if scope is None else [scope]}],
        "responses": {**responses, **refused(401, 403, 429, 500)},
    }


def record_answer(record: Schema, text: str, *, created: bool = False, versioned: bool = True) -> Schema:
    """An answer that is one record."""
    headers: dict[str, Schema] = dict(_LIMITS)
    if versioned:
        headers["ETag"] = {"schema": TEXT, "description": "The Version, quoted."}
    if created:
        headers["Location"] = {"schema": TEXT}
    return {"description": text, "headers": headers, "content": {_JSON: {"schema": record}}}


def listed(record: Schema) -> Schema:
    """An answer that is one page of a list."""
    schema = {
        "type": "object",
        "required": ["Data", "Paging"],
        "properties": {
            "Data": {"type": "array", "items": record},
            "Paging": {"$ref": "#/components/schemas/Paging"},
        },
    }
    return {"description": "One page.", "headers": dict(_LIMITS), "content": {_JSON: {"schema": schema}}}


def refused(*statuses: int) -> dict[str, Schema]:
    """The refusals of an operation."""
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def errors() -> dict[str, Schema]:
    """Every refusal by its status."""
    schema = {
        "type": "object",
        "required": ["Error"],
        "properties": {"Error": {"$ref": "#/components/schemas/ErrorBody"}},
    }
    out: dict[str, Schema] = {}
    for status, text in _ERRORS.items():
        headers: dict[str, Schema] = {"X-Request-ID": {"schema": TEXT}}
        if status == 429:
            headers["Retry-After"] = {"schema": TEXT, "description": "Seconds."}
        if status == 401:
            headers["WWW-Authenticate"] = {"schema": TEXT}
        out[str(status)] = {"description": text, "headers": headers, "content": {_JSON: {"schema": schema}}}
    return out


def security_schemes(scopes: Sequence[str]) -> dict[str, Schema]:
    """OAuth 2.0 for the API, HTTP Basic for the token endpoint."""
    offered = {scope: _scope_text(scope) for scope in scopes}
    token = {"tokenUrl": "/oauth/token", "scopes": offered}
    consent = {"authorizationUrl": "/oauth/authorize", "refreshUrl": "/oauth/token", **token}
    return {
        "oauth2": {"type": "oauth2", "flows": {"clientCredentials": token, "authorizationCode": consent}},
        "client": {"type": "http", "scheme": "basic", "description": "Client id and secret."},
    }


def _scope_text(scope: str) -> str:
    noun, _, verb = scope.partition(":")
    return f"{verb.capitalize()} {noun.replace('_', ' ')}."
