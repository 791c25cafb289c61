"""The schemas in the OpenAPI document of everything around the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .described import Schema

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer"}
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_SECRET: Schema = {"type": "string", "minLength": 16, "maxLength": 255}
_PAYLOAD: Schema = {"type": "string", "enum": ["full", "id"]}


def envelope_schemas(event_types: Sequence[str]) -> dict[str, Schema]:
    """All of them by name."""
    return {
        "Paging": _paging(),
        "ErrorBody": _error_body(),
        "OAuthError": _closed({"error": TEXT, "error_description": TEXT}),
        "Token": _token(),
        **_subscriptions(event_types),
        "DeliveryAttempt": _attempt(),
        "Event": _event(event_types),
        "System": _system(),
    }


def _subscriptions(event_types: Sequence[str]) -> dict[str, Schema]:
    shown: dict[str, Schema] = {
        "SubscriptionID": TEXT,
        "Url": {"type": "string", "format": "uri"},
        "Events": {"type": "array", "items": TEXT},
        "Payload": _PAYLOAD,
        "CreatedAt": _INSTANT,
    }
    events = "Known are " + ", ".join(event_types) + "; `*` and `customer.*` stand for several."
    sent: dict[str, Schema] = {
        "Url": {"type": "string", "format": "uri", "description": "http or https."},
        "Events": {"type": "array", "minItems": 1, "items": TEXT, "description": events},
        "Payload": _PAYLOAD | {"description": "Whole records, or their ids only."},
    }
    new = {**sent, "Secret": _SECRET | {"description": "Made up when left out."}}
    return {
        "WebhookSubscription": _closed(shown),
        "WebhookSubscriptionWithSecret": _closed({**shown, "Secret": _SECRET}),
        "NewWebhookSubscription": _closed(new) | {"required": ["Url", "Events"]},
        "ChangedWebhookSubscription": _closed(sent) | {"required": []},
    }


def _token() -> Schema:
    return {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in", "scope"],
        "properties": {
            "access_token": TEXT,
            "token_type": {"const": "Bearer"},
            "expires_in": {"type": "integer", "description": "Seconds."},
            "scope": TEXT,
            "refresh_token": {"type": "string", "description": "After a person's consent only; it works once."},
        },
    }


def _attempt() -> Schema:
    return _closed(
        {
            "At": _INSTANT,
            "SubscriptionID": TEXT,
            "EventID": TEXT,
            "EventType": TEXT,
            "Url": TEXT,
            "Attempt": {"type": "integer", "minimum": 1},
            "Outcome": {"type": ["integer", "string"], "description": "The status, or the name of what failed."},
            "Milliseconds": {"type": "number"},
        }
    )


def _event(event_types: Sequence[str]) -> Schema:
    return _closed(
        {
            "EventID": {"type": "string", "description": "The same at every repetition."},
            "EventType": {"type": "string", "enum": list(event_types)},
            "OccurredAt": _INSTANT,
            "Entity": TEXT,
            "EntityID": TEXT,
            "Version": COUNT,
            "Data": {"type": "object"},
        }
    )


def _system() -> Schema:
    return _closed(
        {
            "SystemID": {"type": "string", "description": "Every system has its own."},
            "Name": TEXT,
        }
    )


def _closed(properties: Mapping[str, Schema]) -> Schema:
    """An object that always has exactly these members."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
        "additionalProperties": False,
    }


def _paging() -> Schema:
    return {
        "type": "object",
        "required": ["HasMore"],
        "additionalProperties": False,
        "properties": {
            "NextCursor": {"type": ["string", "null"]},
            "HasMore": {"type": "boolean"},
            "Page": COUNT,
            "PageCount": COUNT,
            "Offset": COUNT,
            "TotalCount": COUNT,
        },
    }


def _error_body() -> Schema:
    detail: Schema = {
        "type": "object",
        "required": ["Field", "Code", "Message"],
        "properties": {"Field": TEXT, "Code": TEXT, "Message": TEXT, "ExistingID": TEXT},
    }
    return {
        "type": "object",
        "required": ["Code", "Message", "RequestID", "Details"],
        "properties": {
            "Code": TEXT,
            "Message": TEXT,
            "RequestID": TEXT,
            "Details": {"type": "array", "items": detail},
            "ExistingID": {"type": "string", "description": "The record that has the value already."},
            "CurrentVersion": COUNT,
            "Merged": {"type": "boolean"},
            "MergedInto": TEXT,
        },
    }
