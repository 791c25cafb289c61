"""The OpenAPI 3.1 document, made from the description of the entities and the switches that are set."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .batch import MOST_ITEMS
from .delivery import SIGNATURE_HEADER
from .described import Schema, reference, schemas
from .listing import DEFAULT_ROWS, MOST_ROWS, MOST_VALUES
from .openapi_around import hook_paths, oauth_paths, system_paths
from .openapi_envelopes import envelope_schemas
from .openapi_parts import (
    API,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    body_of,
    errors,
    id_of,
    listed,
    operation,
    query,
    record_answer,
    refused,
    security_schemes,
)
from .schema import Catalogue, Entity, catalogue
from .values import encode

_WALKS: dict[str, tuple[str, Schema, str]] = {
    "cursor": ("cursor", {"type": "string"}, "Paging.NextCursor of the page before."),
    "page": ("page", {"type": "integer", "minimum": 1, "default": 1}, "The number of the page."),
    "offset": ("offset", {"type": "integer", "minimum": 0, "default": 0}, "How many records to skip."),
}


@lru_cache(maxsize=8)
def encoded(put: str, paging: str) -> bytes:
    """The document as JSON under these switches."""
    return encode(document(catalogue(), put, paging))


def document(known: Catalogue, put: str = "partial", paging: str = "cursor") -> Schema:
    """The whole document; `put` and `paging` are the switches that it depends on."""
    paths: dict[str, Schema] = {}
    for entity in known.roots:
        paths |= _entity_paths(known, entity, put, paging)
        lines = known.lines_of(entity)
        if lines is not None:
            paths |= _line_paths(known, entity, lines)
    paths |= _fulfillment_paths(known) | hook_paths() | oauth_paths() | system_paths()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "BNG Business API",
            "version": "1",
            "description": "Customers, products, orders, invoices, payments and the rest. Business records are never "
            "deleted; their Status tells. Decimals are text with fixed places; text and numbers are taken.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": entity.label} for entity in known.roots],
        "paths": paths,
        "webhooks": {event: _webhook(known, event) for event in known.event_types},
        "components": {
            "schemas": {**schemas(known), **envelope_schemas(known.event_types)},
            "responses": errors(),
            "securitySchemes": security_schemes(known.scopes),
        },
    }


def _entity_paths(known: Catalogue, entity: Entity, put: str, paging: str) -> dict[str, Schema]:
    read, write, base = f"{entity.path}:read", f"{entity.path}:write", f"{API}/{entity.path}"
    record, many = reference(known, entity.name), entity.label + " records"
    whole = put == "full"
    change = body_of(reference(known, entity.name, "new" if whole else "changed"))
    how = "replaces the whole record" if whole else "changes the fields that are named"
    update = operation(
        entity.label,
        f"Change a {entity.label}; {how}.",
        write,
        {"200": record_answer(record, "The record as it is now.")} | refused(400, 404, 409, 412, 415, 422),
    )
    update |= {"requestBody": change, "parameters": [IF_MATCH, IDEMPOTENCY_KEY]}
    create = operation(
        entity.label,
        f"Create a {entity.label}.",
        write,
        {"201": record_answer(record, "The new record.", created=True)} | refused(400, 409, 415, 422),
    )
    create |= {"requestBody": body_of(reference(known, entity.name, "new")), "parameters": [IDEMPOTENCY_KEY]}
    listing = operation(
        entity.label,
        f"List {many}, ordered by UpdatedAt and id.",
        read,
        {"200": listed(record)} | refused(400),
    )
    listing["parameters"] = _list_parameters(entity, paging)
    batch = operation(
        entity.label,
        f"Create or change up to {MOST_ITEMS} {many}; every item stands for itself.",
        write,
        {"200": _batch_answer(record)} | refused(400, 415),
    )
    batch |= {"requestBody": body_of(_batch_body(known, entity)), "parameters": [IDEMPOTENCY_KEY]}
    single = operation(
        entity.label,
        f"Read a {entity.label}.",
        read,
        {"200": record_answer(record, "The record.")} | refused(404),
    )
    by_body = {**update, "summary": f"Change the {entity.label} whose {entity.id} is in the body."}
    return {
        base: {"get": listing, "post": create, "put": by_body},
        f"{base}/batch": {"post": batch},
        f"{base}/{{{entity.id}}}": {"parameters": [id_of(entity.id)], "get": single, "put": update},
    }


def _list_parameters(entity: Entity, paging: str) -> list[Schema]:
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": DEFAULT_ROWS}
    texts = {"type": "array", "items": {"type": "string"}, "maxItems": MOST_VALUES}
    out = [
        query("limit", limit, "How many records at most."),
        query(*_WALKS[paging]),
        query("UpdatedSince", {"type": "string", "format": "date-time"}, "Records changed at or after this instant."),
        query("ExternalID", texts, "The other system's key; may be repeated."),
        query("IDs", texts, "Several ids, separated by commas.", explode=False),
        query("ExternalIDs", texts, "Several external ids, separated by commas.", explode=False),
    ]
    for field in entity.columns:
        one: Schema = {"type": "string", "enum": list(field.values)} if field.values else {"type": "string"}
        how = " Compared in lower case." if field.fold else ""
        out.append(query(field.name, {"type": "array", "items": one}, f"May be repeated.{how}"))
    return out


def _batch_body(known: Catalogue, entity: Entity) -> Schema:
    wrapped = {
        "type": "object",
        "required": ["Data"],
        "additionalProperties": False,
        "properties": {
            "ID": {"type": "string", "description": "With an id the item is an update."},
            "IdempotencyKey": {"type": "string", "maxLength": 255},
            "IfMatch": {"type": ["string", "integer"], "description": "The version that an update is based on."},
            "Data": {"anyOf": [reference(known, entity.name, "new"), reference(known, entity.name, "changed")]},
        },
    }
    item = {
        "description": f"A record; with {entity.id} it is an update. Or one wrapped with what may stand beside it.",
        "anyOf": [reference(known, entity.name, "new"), reference(known, entity.name, "changed"), wrapped],
    }
    items = {"type": "array", "minItems": 1, "maxItems": MOST_ITEMS, "items": item}
    return {"type": "object", "required": ["Items"], "properties": {"Items": items}}


def _batch_answer(record: Schema) -> Schema:
    result = {
        "type": "object",
        "required": ["Status"],
        "properties": {
            "Status": {"type": "integer", "description": "As the answer to a single call would have had."},
            "Data": record,
            "Error": {"$ref": "#/components/schemas/ErrorBody"},
            "Replayed": {"type": "boolean", "description": "The answer was kept from an earlier call."},
        },
    }
    results = {"type": "array", "items": result, "description": "One per item, in order."}
    schema = {"type": "object", "required": ["Results"], "properties": {"Results": results}}
    return {"description": "What became of every item.", "content": {"application/json": {"schema": schema}}}


def _line_paths(known: Catalogue, entity: Entity, line: Entity) -> dict[str, Schema]:
    read, write = f"{entity.path}:read", f"{entity.path}:write"
    base, record = f"{API}/{entity.path}/{{{entity.id}}}/{line.path}", reference(known, line.name)
    listing = operation(
        entity.label,
        f"List the {line.label} records, by LineNumber.",
        read,
        {"200": listed(record)} | refused(400, 404),
    )
    listing["parameters"] = [
        query("limit", {"type": "integer", "minimum": 1, "maximum": MOST_ROWS}, "How many at most."),
        query(*_WALKS["cursor"]),
    ]
    bad = refused(400, 404, 409, 412, 415, 422)
    created = {"201": record_answer(record, "The new line.", created=True)} | bad
    add = operation(entity.label, f"Add a {line.label}; the sums of the document follow.", write, created)
    add |= {"requestBody": body_of(reference(known, line.name, "new")), "parameters": [IF_MATCH, IDEMPOTENCY_KEY]}
    changed = {"200": record_answer(record, "The line as it is now.")} | bad
    change = operation(entity.label, f"Change a {line.label}; the sums of the document follow.", write, changed)
    change |= {
        "requestBody": body_of(reference(known, line.name, "changed")),
        "parameters": [IF_MATCH, IDEMPOTENCY_KEY],
    }
    single = operation(
        entity.label, f"Read a {line.label}.", read, {"200": record_answer(record, "The line.")} | refused(404)
    )
    return {
        base: {"parameters": [id_of(entity.id)], "get": listing, "post": add},
        f"{base}/{{{line.id}}}": {"parameters": [id_of(entity.id), id_of(line.id)], "get": single, "put": change},
    }


def _fulfillment_paths(known: Catalogue) -> dict[str, Schema]:
    record, label = reference(known, "Fulfillment"), known.entities["sales_order"].label
    listing = operation(label, "List the ship notices.", "sales_orders:read", {"200": listed(record)} | refused(404))
    ship = operation(
        label,
        "Tell that goods were shipped: everything that is open, unless lines are named.",
        "sales_orders:write",
        {"201": record_answer(record, "The ship notice.", created=True)} | refused(400, 404, 415, 422),
    )
    ship |= {"requestBody": body_of(reference(known, "Fulfillment", "new")), "parameters": [IDEMPOTENCY_KEY]}
    path = f"{API}/sales_orders/{{SalesOrderID}}/fulfillments"
    return {path: {"parameters": [id_of("SalesOrderID")], "get": listing, "post": ship}}


def _webhook(known: Catalogue, event: str) -> Schema:
    entity = known.entities[event.split(".")[0]]
    only_id: Schema = {
        "type": "object",
        "required": [entity.id],
        "properties": {entity.id: {"type": "string"}},
        "additionalProperties": False,
    }
    data: dict[str, Any] = {"anyOf": [reference(known, entity.name), only_id]}
    envelope = {
        "allOf": [
            {"$ref": "#/components/schemas/Event"},
            {"type": "object", "properties": {"EventType": {"const": event}, "Data": data}},
        ]
    }
    signature = {
        "name": SIGNATURE_HEADER,
        "in": "header",
        "required": True,
        "schema": {"type": "string", "pattern": r"^t=\d+(,v1=[0-9a-f]{64})+$"},
        "description": "HMAC-SHA256 of `t.body`, one v1 per secret in force.",
    }
    taken = {"description": "Taken. Any other status, or none in time, means that the event comes again."}
    return {"post": {"parameters": [signature], "requestBody": body_of(envelope), "responses": {"2XX": taken}}}
