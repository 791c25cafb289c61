"""Proves that the OpenAPI document is valid, says what the contract says, and says what the server does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from bng_records import CONTRACT, ID_FIELDS, LINES, PATHS, World, fields_of
from bng_visitor import Visitor, bng
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from isthmus.sandbox.bng import Settings, create_app
from isthmus.sandbox.bng.openapi import document
from isthmus.sandbox.bng.schema import catalogue

__all__ = ["bng"]

DOCUMENT = document(catalogue())
SCHEMAS = DOCUMENT["components"]["schemas"]
NAMES = {
    "customer": "Customer", "product": "Product", "sales_order": "SalesOrder",
    "sales_order_line_item": "SalesOrderLineItem", "invoice": "Invoice", "invoice_line_item": "InvoiceLineItem",
    "payment": "Payment", "inventory_item": "InventoryItem", "vendor": "Vendor", "purchase_order": "PurchaseOrder",
    "gl_entry": "GeneralLedgerEntry", "employee": "Employee", "purchase_order.LineItems": "PurchaseOrderLine",
    "gl_entry.Lines": "GLLine",
}  # fmt: skip
VERBS = ("get", "post", "put", "delete")


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A schema of the document, its references resolved within it."""
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas a value may have, null left out."""
    return [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]


def kinds(schema: dict[str, Any]) -> set[str]:
    """The JSON types of a value, null left out."""
    out: set[str] = set()
    for one in options(schema):
        found = one.get("type", "object" if "$ref" in one else [])
        out |= set(found if isinstance(found, list) else [found]) - {"null"}
    return out


def test_the_document_is_a_valid_openapi_3_1_document() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


@pytest.mark.parametrize("entity", sorted(CONTRACT))
def test_the_schemas_have_exactly_the_contracts_fields(entity: str) -> None:
    answered, new = SCHEMAS[NAMES[entity]], SCHEMAS["New" + NAMES[entity]]
    wanted = fields_of(entity)
    assert set(answered["properties"]) == set(wanted) == set(answered["required"]) == set(new["properties"])
    for name, field in wanted.items():
        read, write = answered["properties"][name], new["properties"][name]
        assert read.get("readOnly", False) is (field.need == "RO"), name
        if field.longest is not None:
            assert {one.get("maxLength") for one in options(read)} == {field.longest}, name
        if field.choices:
            assert [choice for choice in read["enum"] if choice is not None] == field.choices
        expected = {
            "integer": {"integer"}, "boolean": {"boolean"}, "object": {"object"}, "array": {"array"},
            "Address": {"object", "string"},
        }.get(field.type, {"string"})  # fmt: skip
        assert kinds(read) == expected, name
        if field.type in ("date", "datetime"):
            assert read["format"] == {"date": "date", "datetime": "date-time"}[field.type]
        if field.type.startswith("decimal"):
            assert read["format"] == "decimal"
            assert kinds(write) == {"string", "number"} or field.need == "RO"
        if field.need == "Y":
            assert name in new["required"] or name == "UnitOfMeasure", name
        if field.need in ("N", "RO") and name != "ExternalID":
            assert name not in new.get("required", ()), name


@pytest.mark.parametrize("entity", sorted(PATHS))
async def test_records_that_are_served_and_sent_are_as_the_schemas_say(bng: Visitor, entity: str) -> None:
    world = World(bng)
    answered = validator({"$ref": f"#/components/schemas/{NAMES[entity]}"})
    new = validator({"$ref": f"#/components/schemas/New{NAMES[entity]}"})
    changed = validator({"$ref": f"#/components/schemas/Changed{NAMES[entity]}"})
    for sent in (await world.plain(entity), await world.full(entity)):
        new.validate(sent)
        changed.validate(sent)
        made = await bng.new(PATHS[entity], sent)
        answered.validate(made)
        path = f"{PATHS[entity]}/{made[ID_FIELDS[entity]]}"
        answered.validate(await bng.put(path, {"CustomFields": {"n": [1, {}]}}))
    if entity in LINES:
        (line,) = (await bng.get(f"{path}/line_items"))["Data"]
        validator({"$ref": f"#/components/schemas/{NAMES[LINES[entity]]}"}).validate(line)
    cleared = {"CompanyName": "Only a name", "Email": "a@b.example", "ExternalID": "x"}
    if entity == "customer":
        answered.validate(await bng.new("customers", cleared))


@pytest.mark.parametrize("entity", sorted(PATHS))
async def test_what_the_schemas_refuse_the_server_refuses_too(bng: Visitor, entity: str) -> None:
    plain = await World(bng).plain(entity)
    new = validator({"$ref": f"#/components/schemas/New{NAMES[entity]}"})
    for name, schema in SCHEMAS["New" + NAMES[entity]]["properties"].items():
        if schema.get("readOnly") or name == "SKU":  # a product's SKU may be any text
            continue
        for value in (5, "x" * 5000, [], {}, True, "", None):
            sent = plain | {name: value}
            answer = await bng.send("POST", f"/api/v1/{PATHS[entity]}", sent)
            if not new.is_valid(sent):
                assert answer.status in (400, 409), (name, value)
            if answer.status == 201:
                assert new.is_valid(sent), (name, value)
                key = answer.json[ID_FIELDS[entity]]
                await bng.switch("POST", "delete", entity=entity, ids=[key])


async def test_every_documented_call_answers_as_documented_and_no_other_verb_does(bng: Visitor) -> None:
    world = World(bng)
    made = {entity: await world.known(entity) for entity in PATHS}
    hook = await bng.new("webhook_subscriptions", {"Url": "http://127.0.0.1:9/", "Events": ["*"]})
    places = {ID_FIELDS[entity]: made[entity][ID_FIELDS[entity]] for entity in PATHS}
    places["SubscriptionID"] = hook["SubscriptionID"]
    for path, item in DOCUMENT["paths"].items():
        owner = next((e for e, plural in PATHS.items() if f"/{plural}/" in path), None)
        lines = {"LineItemID": made[owner]["LineItems"][0]["LineItemID"]} if owner in LINES else {}
        filled = re.sub(r"\{(\w+)\}", lambda m, here={**places, **lines}: here[m[1]], path)
        for verb in VERBS:
            if path.startswith("/oauth") or (verb == "delete" and verb in item):
                continue
            if path.endswith("/batch") and verb != "post":
                continue  # there it is taken for a record's id
            answer = await bng.send(verb.upper(), filled, b"[]" if verb in ("post", "put") else None)
            if verb not in item:
                assert answer.status == 405, (verb, path)
                continue
            assert answer.status in (200, 400), (verb, path, answer.raw)
            assert str(answer.status) in item[verb]["responses"], (verb, path)
            reply = item[verb]["responses"][str(answer.status)]
            if "$ref" in reply:
                reply = DOCUMENT["components"]["responses"][reply["$ref"].rpartition("/")[2]]
            validator(reply["content"]["application/json"]["schema"]).validate(answer.json)
            promised = set(reply.get("headers", ())) - ({"Location"} if answer.status != 201 else set())
            assert all(name in answer.headers for name in promised), (verb, path)


async def test_every_operation_names_the_scope_that_it_needs(bng: Visitor) -> None:
    await bng.log_in("vendors:read")
    for path, item in DOCUMENT["paths"].items():
        for verb in set(VERBS) & set(item):
            (security, *_) = item[verb].get("security") or [{}]
            scopes = security.get("oauth2")
            if not scopes:
                continue
            answer = await bng.send(verb.upper(), re.sub(r"\{\w+\}", "x", path), b"{}")
            assert (answer.status == 403) is (scopes != ["vendors:read"]), (verb, path)
            if answer.status == 403:
                assert f'scope="{scopes[0]}"' in answer.headers["WWW-Authenticate"]


async def test_a_list_takes_the_documented_parameters_and_no_others(bng: Visitor) -> None:
    for plural in PATHS.values():
        told = DOCUMENT["paths"][f"/api/v1/{plural}"]["get"]["parameters"]
        good = {"limit": 5, "UpdatedSince": "2026-01-01T00:00:00Z"}
        for parameter in told:
            name = parameter["name"]
            if name != "cursor":
                await bng.get(plural, **{name: good.get(name, "x")})
        answer = await bng.refused("GET", f"{plural}?nothing=1")
        assert all(parameter["name"] in answer.error["Message"] for parameter in told)


async def test_the_document_follows_the_switches(bng: Visitor) -> None:
    await bng.switch("PUT", "settings", paging="offset", put="full")
    served = (await bng.send("GET", "/openapi.json", headers={"Authorization": ""})).json
    item = served["paths"]["/api/v1/customers"]
    assert "offset" in {parameter["name"] for parameter in item["get"]["parameters"]}
    update = served["paths"]["/api/v1/customers/{CustomerID}"]["put"]
    body = update["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/NewCustomer"}


async def test_the_answer_of_every_kind_of_call_is_as_documented(bng: Visitor) -> None:
    world = World(bng)
    order = await world.known("sales_order")
    path = f"/api/v1/sales_orders/{order['SalesOrderID']}/fulfillments"
    token = await bng.ask_token({"grant_type": "client_credentials"})
    refused = await bng.ask_token({"grant_type": "password"})
    batch = await bng.send("POST", "/api/v1/customers/batch", {"Items": [await world.plain("customer"), {}]})
    for documented, verb, answer in (
        ("/api/v1/sales_orders/{SalesOrderID}/fulfillments", "post", await bng.send("POST", path, {})),
        ("/api/v1/sales_orders/{SalesOrderID}/fulfillments", "get", await bng.send("GET", path)),
        ("/api/v1/customers/batch", "post", batch),
        ("/api/v1/system", "get", await bng.send("GET", "/api/v1/system")),
        ("/oauth/token", "post", token),
        ("/oauth/token", "post", refused),
    ):
        reply = DOCUMENT["paths"][documented][verb]["responses"][str(answer.status)]
        validator(reply["content"]["application/json"]["schema"]).validate(answer.json)


def test_the_webhooks_section_holds_every_event_with_its_record() -> None:
    assert set(DOCUMENT["webhooks"]) == set(catalogue().event_types)
    for event, item in DOCUMENT["webhooks"].items():
        schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        entity = event.split(".")[0]
        envelope = {
            "EventID": "e", "EventType": event, "OccurredAt": "2026-01-01T00:00:00Z", "Entity": entity,
            "EntityID": "x", "Version": 1, "Data": {ID_FIELDS[entity]: "x"},
        }  # fmt: skip
        validator(schema).validate(envelope)
        assert not validator(schema).is_valid(envelope | {"Data": {"Other": 1}})


async def test_every_route_of_the_api_is_documented(bng: Visitor) -> None:
    documented = {
        (verb.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, item in DOCUMENT["paths"].items()
        for verb in set(VERBS) & set(item)
    }
    served = {
        (route.method, re.sub(r"\{\w+\}", "{}", route.resource.canonical))
        for route in create_app(Settings()).router.routes()
        if route.resource is not None and route.resource.canonical.startswith(("/api/", "/oauth/", "/openapi"))
    }
    assert {(method, path) for method, path in served if method != "HEAD"} == {
        (method, path) for method, path in documented if path != "/health"
    }
