"""What stands around the records in the OpenAPI document: subscriptions, OAuth, the system itself."""

from __future__ import annotations

from .described import Schema
from .openapi_parts import API, body_of, id_of, listed, operation, query, record_answer, refused


def _answer(record: Schema, text: str, *, created: bool = False) -> Schema:
    return record_answer(record, text, created=created, versioned=False)


def hook_paths() -> dict[str, Schema]:
    """The webhook subscriptions."""
    tag, scope, base = "Webhook subscription", "webhooks:manage", f"{API}/webhook_subscriptions"
    shown = {"$ref": "#/components/schemas/WebhookSubscription"}
    secret = {"$ref": "#/components/schemas/WebhookSubscriptionWithSecret"}
    told = body_of({"$ref": "#/components/schemas/NewWebhookSubscription"})
    add = operation(
        tag,
        "Subscribe to events.",
        scope,
        {"201": _answer(secret, "With its secret.", created=True)} | refused(400, 415),
    )
    change = operation(
        tag,
        "Change the URL, the events or the payload.",
        scope,
        {"200": _answer(shown, "The subscription.")} | refused(400, 404, 415),
    )
    rotate = operation(
        tag,
        "Give it a new secret; the one before goes on signing beside it for a day.",
        scope,
        {"200": _answer(secret, "With its new secret.")} | refused(400, 404),
    )
    new_secret = {"type": "object", "properties": {"Secret": {"type": "string", "minLength": 16, "maxLength": 255}}}
    rotate["requestBody"] = body_of(new_secret) | {"required": False}
    tries = {"$ref": "#/components/schemas/DeliveryAttempt"}
    one = f"{base}/{{SubscriptionID}}"
    mine = id_of("SubscriptionID")
    return {
        base: {
            "get": operation(tag, "List this client's subscriptions.", scope, {"200": listed(shown)}),
            "post": {**add, "requestBody": told},
        },
        one: {
            "parameters": [mine],
            "get": operation(tag, "Read one.", scope, {"200": _answer(shown, "It.")} | refused(404)),
            "put": {**change, "requestBody": body_of({"$ref": "#/components/schemas/ChangedWebhookSubscription"})},
            "delete": operation(
                tag, "End it; what waits for it is dropped.", scope, {"204": {"description": "Gone."}} | refused(404)
            ),
        },
        f"{one}/rotate_secret": {"parameters": [mine], "post": rotate},
        f"{one}/deliveries": {
            "parameters": [mine],
            "get": operation(tag, "The last tries, newest first.", scope, {"200": listed(tries)} | refused(404)),
        },
    }


def oauth_paths() -> dict[str, Schema]:
    """Tokens and consent."""
    text: Schema = {"type": "string"}
    form = {
        "type": "object",
        "required": ["grant_type"],
        "properties": {
            "grant_type": {"type": "string", "enum": ["client_credentials", "authorization_code", "refresh_token"]},
            **{n: text for n in ("scope", "code", "redirect_uri", "code_verifier", "refresh_token", "client_id")},
        },
    }
    refusal = {
        "description": "Refused, as RFC 6749 words it.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OAuthError"}}},
    }
    granted = {
        "description": "The token.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Token"}}},
    }
    token = {
        "tags": ["OAuth"],
        "summary": "Get a token.",
        "security": [{"client": []}, {}],
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}},
        "responses": {"200": granted, "400": refusal, "401": refusal, "429": {"$ref": "#/components/responses/429"}},
    }
    asked = ("response_type", "client_id", "redirect_uri", "code_challenge", "code_challenge_method", "scope", "state")
    page = {"description": "A page for the person.", "content": {"text/html": {"schema": text}}}
    consent: Schema = {
        "tags": ["OAuth"],
        "security": [],
        "responses": {
            "200": page,
            "302": {
                "description": "Back to redirect_uri, with a code or an error.",
                "headers": {"Location": {"schema": text}},
            },
            "400": page,
        },
    }
    ask = {**consent, "summary": "Ask the person for consent.", "parameters": [query(n, text, "") for n in asked]}
    decided = {"type": "object", "properties": {**{n: text for n in asked}, "decision": {"enum": ["allow", "deny"]}}}
    take = {
        **consent,
        "summary": "Take the person's decision.",
        "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": decided}}},
    }
    return {"/oauth/token": {"post": token}, "/oauth/authorize": {"get": ask, "post": take}}


def system_paths() -> dict[str, Schema]:
    """What is asked about the system itself."""

    def free(summary: str) -> Schema:
        good = {"description": "The answer.", "content": {"application/json": {"schema": {"type": "object"}}}}
        return {"tags": ["System"], "summary": summary, "security": [], "responses": {"200": good}}

    system = operation(
        "System",
        "What tells this system from another one at the same address.",
        None,
        {"200": _answer({"$ref": "#/components/schemas/System"}, "The system.")},
    )
    return {
        f"{API}/system": {"get": system},
        "/openapi.json": {"get": free("This document.")},
        "/health": {"get": free("Whether it answers.")},
    }
