"""JSON Schemas of the entities and shapes, as records are answered and as they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from .schema import DECIMAL_PLACES, Catalogue, Entity, Field
from .values import LONGEST_ADDRESS, MOST_PROPERTIES

Schema = dict[str, Any]
Use = Literal["answered", "new", "changed"]
"""A record as it is answered, as it is created, or the fields of it that a write changes."""

_PATTERNS = {"currency": "^[A-Z]{3}$", "country": "^[A-Z]{2}$", "period": r"^\d{4}-(0[1-9]|1[0-2])$"}
_PREFIX: Mapping[Use, str] = {"answered": "", "new": "New", "changed": "Changed"}


def schema_name(known: Catalogue, name: str, use: Use = "answered") -> str:
    """The name of an entity's or shape's schema, like `NewSalesOrder`."""
    told = known.entities[name].label.replace(" ", "") if name in known.entities else name
    return f"{_PREFIX[use]}{told}"


def reference(known: Catalogue, name: str, use: Use = "answered") -> Schema:
    """A reference to the schema of an entity or shape."""
    return {"$ref": f"#/components/schemas/{schema_name(known, name, use)}"}


def schemas(known: Catalogue) -> dict[str, Schema]:
    """All schemas by name. Items inside a list are always sent whole, so they have no `changed` form."""
    out: dict[str, Schema] = {}
    for name, entity in known.entities.items():
        uses: tuple[Use, ...] = ("answered", "new", "changed")
        for use in uses:
            out[schema_name(known, name, use)] = _entity(known, entity, use)
    for name, fields in known.shapes.items():
        if name == "Address":
            out[name] = _object(known, fields.values(), "changed")
            continue
        for use in ("answered", "new"):
            out[schema_name(known, name, use)] = _object(known, fields.values(), use)
    return out


def _entity(known: Catalogue, entity: Entity, use: Use) -> Schema:
    out = _object(known, entity.fields.values(), use)
    out["title"] = entity.label
    if use == "answered" and entity.external == "born_here":
        out["properties"]["ExternalID"]["type"] = ["string", "null"]
    if use == "new":
        rules: list[Schema] = [{"anyOf": [_given(name) for name in group]} for group in entity.any_of]
        rules += [{"oneOf": [_given(name) for name in group]} for group in entity.one_of]
        if rules:
            out["allOf"] = rules
    return out


def _given(name: str) -> Schema:
    """A text that is there and neither null nor empty."""
    return {"required": [name], "properties": {name: {"type": "string", "minLength": 1}}}


def _object(known: Catalogue, fields: Iterable[Field], use: Use) -> Schema:
    fields = tuple(fields)
    if use == "answered":
        required = [field.name for field in fields]
    elif use == "new":
        required = [field.name for field in fields if field.required and field.default is None]
    else:
        required = []
    properties = {field.name: property_of(known, field, use) for field in fields}
    out: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return out | {"required": required} if required else out


def property_of(known: Catalogue, field: Field, use: Use) -> Schema:
    """The schema of one field: its type, whether it may be null, and what a person should know."""
    out = _typed(known, field, use)
    if _nullable(field, use):
        out = _or_null(out)
    notes = [field.note] if field.note else []
    if field.ref:
        notes.append(f"The id of a {known.entities[field.ref].label}.")
    if field.unique or field.name == "ExternalID":
        notes.append("Unique.")
    if notes:
        out["description"] = " ".join(notes)
    if field.readonly:
        out["readOnly"] = True
    elif field.default is not None and use == "new":
        out["default"] = field.default
    return out


def _nullable(field: Field, use: Use) -> bool:
    if use == "answered":
        always = field.required or field.default is not None or (field.readonly and field.type != "list")
        return not always
    return not field.required or field.default is not None


def _or_null(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    out = schema | {"type": [schema["type"], "null"]}
    return out | {"enum": [*out["enum"], None]} if "enum" in out else out


def _typed(known: Catalogue, field: Field, use: Use) -> Schema:
    if field.type in DECIMAL_PLACES:
        return _decimal(field, use)
    if field.type == "string":
        return _string(field)
    if field.type == "list":
        one: Schema = {"type": "string", "maxLength": field.max} if field.of == "string" else {}
        item_use: Use = "answered" if use == "answered" else "new"
        return {"type": "array", "items": one or reference(known, str(field.of), item_use)}
    if field.type == "address":
        text = {"type": "string", "maxLength": LONGEST_ADDRESS}
        return {"anyOf": [{"$ref": "#/components/schemas/Address"}, text]}
    if field.type == "enum":
        return {"type": "string", "enum": list(field.values)}
    plain: Mapping[str, Schema] = {
        "integer": {"type": "integer"} | ({} if field.min is None else {"minimum": field.min}),
        "boolean": {"type": "boolean"},
        "date": {"type": "string", "format": "date"},
        "datetime": {"type": "string", "format": "date-time"},
        "object": {"type": "object", "maxProperties": MOST_PROPERTIES},
    }
    return dict(plain[field.type])


def _string(field: Field) -> Schema:
    out: Schema = {"type": "string"}
    if field.max is not None:
        out["maxLength"] = field.max
    if field.format == "email":
        out["format"] = "email"
    elif field.format in _PATTERNS:
        out["pattern"] = _PATTERNS[field.format]
    return out


def _decimal(field: Field, use: Use) -> Schema:
    """Decimals are answered as text with all their places; text and numbers are taken."""
    places = DECIMAL_PLACES[field.type]
    if use == "answered":
        return {"type": "string", "format": "decimal", "pattern": rf"^-?\d{{1,15}}\.\d{{{places}}}$"}
    number: Schema = {"type": "number"}
    if field.format == "positive":
        number["exclusiveMinimum"] = 0
    elif field.min is not None:
        number["minimum"] = field.min
    text = {"type": "string", "format": "decimal", "pattern": r"^[+-]?\d{1,18}(\.\d{1,18})?$"}
    return {"anyOf": [text, number]}
