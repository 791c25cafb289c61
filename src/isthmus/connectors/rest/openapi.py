"""Reads the schemas of an OpenAPI 3 document: fields that a known manifest does not have, and those of a new one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from isthmus.connectors.rest.manifest import EntitySpec, FieldSpec
from isthmus.sdk import FieldType
from isthmus.sdk.answers import dig

Schema = Mapping[str, Any]

_FORMATS = {
    "date": FieldType.DATE,
    "date-time": FieldType.DATETIME,
    "decimal": FieldType.DECIMAL,
    "html": FieldType.HTML,
    "byte": FieldType.BINARY,
    "binary": FieldType.BINARY,
}
_TYPES = {
    "string": FieldType.STRING,
    "integer": FieldType.INTEGER,
    "number": FieldType.DECIMAL,
    "boolean": FieldType.BOOLEAN,
    "array": FieldType.LIST,
    "object": FieldType.OBJECT,
}
_DEEP = 4


def added_fields(document: Schema, spec: EntitySpec) -> dict[str, FieldSpec]:
    """The fields that the document gives this Entity beyond its manifest: custom ones, mostly."""
    schema = _row_schema(document, spec.path)
    known = {one.wire or name for name, one in spec.fields.items()}
    found = properties_of(document, schema)
    return {name: field_of(document, inner) for name, inner in found.items() if name not in known}


def field_of(document: Schema, schema: Schema, *, required: bool = False, depth: int = 0) -> FieldSpec:
    """One property as a FieldSpec; deep nesting ends in an open object."""
    return FieldSpec.model_validate(field_data(document, schema, required=required, depth=depth))


def field_data(document: Schema, schema: Schema, *, required: bool = False, depth: int = 0) -> dict[str, Any]:
    """One property as a manifest has it, in plain data."""
    schema = resolved(document, schema)
    kind = _FORMATS.get(str(schema.get("format", ""))) or _TYPES.get(type_of(schema), FieldType.STRING)
    listed = bool(schema.get("enum")) and kind is FieldType.STRING
    if listed:
        kind = FieldType.ENUM
    out: dict[str, Any] = {"type": kind.value}
    if schema.get("title") or schema.get("description"):
        out["help"] = one_line(schema.get("description") or schema.get("title"))
    if required:
        out["required"] = True
    if schema.get("readOnly"):
        out["readonly"] = True
    if isinstance(schema.get("maxLength"), int):
        out["max"] = schema["maxLength"]
    if listed:
        out["choices"] = [str(choice) for choice in schema["enum"] if choice is not None]
    if kind is FieldType.OBJECT and depth < _DEEP and (inner := properties_of(document, schema)):
        if _is_address(inner):
            out["type"] = FieldType.ADDRESS.value
        out["fields"] = {name: field_data(document, one, depth=depth + 1) for name, one in inner.items()}
    if kind is FieldType.LIST and depth < _DEEP and isinstance(schema.get("items"), Mapping):
        out["items"] = field_data(document, schema["items"], depth=depth + 1)
    return out


def _is_address(properties: Schema) -> bool:
    plain_names = {plain(name) for name in properties}
    return "city" in plain_names and bool(plain_names & {"countrycode", "country", "postalcode", "zip", "zipcode"})


def _row_schema(document: Schema, path: str) -> Schema:
    """The schema of one row of the list at `path`."""
    for known, operations in (document.get("paths") or {}).items():
        if re.sub(r"\{[^}]*\}", "{}", known) == re.sub(r"\{[^}]*\}", "{}", path) and isinstance(operations, Mapping):
            return list_of(document, operations.get("get") or {})[1] or {}
    return {}


def list_of(document: Schema, get: Schema) -> tuple[str | None, Schema | None]:
    """Where a list's answer holds its rows (None: it is the list itself), and the schema of a row."""
    schema = answer_schema(document, get)
    if type_of(schema) == "array":
        row = resolved(document, schema.get("items") or {})
        return (None, row) if properties_of(document, row) else (None, None)
    return _list_inside(document, schema, "", 0)


def _list_inside(document: Schema, schema: Schema, before: str, depth: int) -> tuple[str | None, Schema | None]:
    """The first list of objects among the properties, else inside the objects among them."""
    inner = {name: resolved(document, one) for name, one in properties_of(document, schema).items()}
    for name, one in inner.items():
        row = resolved(document, one.get("items") or {}) if type_of(one) == "array" else {}
        if properties_of(document, row):
            return before + name, row
    for name, one in inner.items():
        if type_of(one) == "object" and depth < 1:
            place, found = _list_inside(document, one, f"{before}{name}.", depth + 1)
            if found is not None:
                return place, found
    return None, None


def answer_schema(document: Schema, operation: Schema) -> Schema:
    """The schema of a good answer in JSON; empty when there is none."""
    answers = operation.get("responses") or {}
    good = answers.get("200") or answers.get(200) or answers.get("default") or {}
    content = resolved(document, good).get("content") or {}
    media: Schema = next((inner for kind, inner in content.items() if "json" in kind), {})
    return resolved(document, media.get("schema") or {})


def body_schema(document: Schema, operation: Schema | None) -> Schema | None:
    """The schema of the body that an operation takes in JSON."""
    content = resolved(document, (operation or {}).get("requestBody") or {}).get("content") or {}
    media: Schema = next((inner for kind, inner in content.items() if "json" in kind), {})
    return resolved(document, media.get("schema") or {}) if media else None


def properties_of(document: Schema, schema: Schema) -> dict[str, Schema]:
    """The properties of an object's schema."""
    schema = resolved(document, schema)
    found = schema.get("properties")
    return dict(found) if isinstance(found, Mapping) else {}


def resolved(document: Schema, schema: Any, depth: int = 0) -> Schema:
    """A schema with its reference followed and its parts laid together; optional ones without their null."""
    if not isinstance(schema, Mapping) or depth > 20:
        return {}
    if "$ref" in schema:
        place = str(schema["$ref"]).removeprefix("#/").replace("/", ".")
        return resolved(document, dig(document, place), depth + 1)
    if "allOf" in schema:
        parts = [resolved(document, part, depth + 1) for part in schema["allOf"]]
        properties = {n: s for part in [*parts, schema] for n, s in (part.get("properties") or {}).items()}
        required = [name for part in [*parts, schema] for name in part.get("required") or ()]
        laid = {k: v for part in parts for k, v in part.items()}
        return {
            **laid,
            **{k: v for k, v in schema.items() if k != "allOf"},
            "properties": properties,
            "required": required,
        }
    for choice in ("anyOf", "oneOf"):
        options = [one for one in schema.get(choice) or () if isinstance(one, Mapping) and _shapes(one)]
        if options:
            rest = {k: v for k, v in schema.items() if k != choice}
            return {**resolved(document, options[0], depth + 1), **rest}
    return schema


def _shapes(option: Schema) -> bool:
    """Whether an alternative describes a value, rather than null or a mere condition."""
    told = {"type", "properties", "$ref", "allOf", "anyOf", "oneOf", "enum"}
    return option.get("type") != "null" and bool(option.keys() & told)


def type_of(schema: Schema) -> str:
    """The JSON type that a resolved schema names, null aside."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    return str(kind or ("object" if "properties" in schema else ""))


def one_line(text: Any) -> str:
    """A description as one line of at most 200 characters."""
    return re.sub(r"\s+", " ", str(text)).strip()[:200]


def plain(name: str) -> str:
    """A name without its style: `UpdatedAt`, `updated_at` and `updated-at` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
