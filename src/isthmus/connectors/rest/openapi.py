"""Reads an OpenAPI 3 document: a first manifest for a new system, and fields that a known manifest does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.rest.manifest import EntitySpec, FieldSpec
from isthmus.sdk import FieldType, Misconfigured
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
_CHANGED = ("updatedat", "modifiedat", "changedat", "lastmodified", "updated", "modified", "writedate", "lastupdated")
_CREATED = ("createdat", "created", "createdate", "createdon", "datecreated")
_EXTERNAL = ("externalid", "externalkey", "externalreference", "externalref", "foreignid")
_VERSION = ("version", "lockversion", "etag", "revision", "rowversion")
_SINCE = ("updatedsince", "modifiedsince", "changedsince", "since", "updatedafter", "modifiedafter", "updatedfrom")
_SIZE = ("limit", "perpage", "pagesize", "size", "count")
_DEEP = 4


@dataclass(slots=True)
class Draft:
    """A manifest as plain data, and what a person should look at before trusting it."""

    manifest: dict[str, Any]
    doubts: list[str] = field(default_factory=list)


def added_fields(document: Schema, spec: EntitySpec) -> dict[str, FieldSpec]:
    """The fields that the document gives this Entity beyond its manifest: custom ones, mostly."""
    schema = _row_schema(document, spec.path)
    known = {one.wire or name for name, one in spec.fields.items()}
    found = _properties(document, schema)
    return {name: field_of(document, inner) for name, inner in found.items() if name not in known}


def field_of(document: Schema, schema: Schema, *, required: bool = False, depth: int = 0) -> FieldSpec:
    """One property as a FieldSpec; deep nesting ends in an open object."""
    return FieldSpec.model_validate(_field_data(document, schema, required=required, depth=depth))


def draft(document: Schema, key: str, name: str) -> Draft:
    """A first manifest: entities, paths, fields, paging, filters and login as far as the document tells them."""
    if not str(document.get("openapi", "")).startswith("3"):
        raise Misconfigured(
            "reading the OpenAPI document: it is not of version 3", hint="Convert it to OpenAPI 3 first."
        )
    out = Draft({"key": key, "name": name, "summary": _one_line(dig(document, "info.description") or name)})
    servers = document.get("servers") or []
    base = str(servers[0].get("url", "")) if servers and isinstance(servers[0], Mapping) else ""
    prefix = re.sub(r"^https?://[^/]+", "", base).rstrip("/")
    if base.startswith("http"):
        out.manifest["base_url"] = base.rstrip("/") if prefix == "" else base[: -len(prefix)].rstrip("/")
    out.manifest["auth"] = _auth(document, out)
    entities: dict[str, Any] = {}
    for path, operations in (document.get("paths") or {}).items():
        if "{" in path or not isinstance(operations, Mapping) or "get" not in operations:
            continue
        drafted = _entity(document, path, operations, prefix, out)
        if drafted is not None:
            entities[_singular(path.rstrip("/").rsplit("/", 1)[-1])] = drafted
    if not entities:
        raise Misconfigured(
            "reading the OpenAPI document: no path answers a list of objects",
            hint="Write the manifest by hand; `isthmus connector new NAME` without --openapi gives a form to fill.",
        )
    out.manifest["entities"] = entities
    return out


def _entity(document: Schema, path: str, operations: Schema, prefix: str, out: Draft) -> dict[str, Any] | None:
    rows_at, row = _list_of(document, operations["get"])
    if row is None:
        return None
    properties = _properties(document, row)
    item_path, item = _item_path(document, path)
    writable = _body_schema(document, operations.get("post"))
    required = set((writable or row).get("required") or ())
    fields = {n: _field_data(document, s, required=n in required) for n, s in properties.items()}
    key = _key_field(path, item_path, properties)
    if key is None:
        out.doubts.append(f"{path}: no field looks like an identifier; it is left out")
        return None
    fields[key]["readonly"] = True
    for label, names in (("changed_at", _CHANGED), ("created_at", _CREATED), ("version", _VERSION)):
        if found := _named(properties, names):
            fields[found]["readonly"] = True
            if label != "version":
                fields[found]["type"] = FieldType.DATETIME.value
    params = {_plain(p["name"]): str(p["name"]) for p in _query(document, operations["get"])}
    entity: dict[str, Any] = {"label": _words(_singular(path.rsplit("/", 1)[-1])), "path": prefix + path, "key": key}
    for label, names in (
        ("version", _VERSION),
        ("external_key", _EXTERNAL),
        ("created_at", _CREATED),
        ("changed_at", _CHANGED),
    ):
        if found := _named(properties, names):
            entity[label] = found
    since = _named(params, _SINCE)
    if since is None or "changed_at" not in entity:
        out.doubts.append(f"{path}: no filter for changed records; changes are found by webhooks or sweeps only")
    filters: dict[str, Any] = {"updated_since": params[since]} if since else {}
    if found := _named(params, _EXTERNAL):
        filters["by_external_key"] = params[found]
    entity["filters"] = filters
    entity["values"] = {n: params[_plain(n)] for n in properties if _plain(n) in params and n != key}
    entity["rows"] = rows_at or ""
    entity["create"] = {"method": "POST"} if "post" in operations else None
    entity["update"] = _update(item)
    entity["delete"] = {"method": "DELETE"} if item and "delete" in item else None
    entity["fields"] = fields
    _paging(document, operations["get"], params, out)
    return entity


def _update(item: Schema | None) -> dict[str, Any] | None:
    if item and "patch" in item:
        return {"method": "PATCH", "style": "partial"}
    return {"method": "PUT", "style": "full"} if item and "put" in item else None


def _paging(document: Schema, get: Schema, params: Mapping[str, str], out: Draft) -> None:
    """The system's paging, as its first list shows it."""
    if "paging" in out.manifest:
        return
    size = _named(params, _SIZE)
    told: dict[str, Any] = {"size_param": params[size] if size else None}
    answer = _answer_schema(document, get)
    if found := _named(params, ("cursor", "pagetoken", "after", "startingafter")):
        told |= {"style": "cursor", "cursor_param": params[found]}
        place = _place(document, answer, ("nextcursor", "nextpagetoken", "cursor", "next"))
        if place:
            told["next_path"] = place
        else:
            out.doubts.append("paging: where the answer holds the next cursor is not told; set paging.next_path")
    elif found := _named(params, ("page", "pagenumber")):
        told |= {"style": "page", "page_param": params[found]}
    elif found := _named(params, ("offset", "skip", "start")):
        told |= {"style": "offset", "offset_param": params[found]}
    else:
        told = {"style": "none", "size_param": None}
    if told["style"] in ("page", "offset") and (total := _place(document, answer, ("total", "totalcount", "count"))):
        told["total_path"] = total
    out.manifest["paging"] = told


def _auth(document: Schema, out: Draft) -> dict[str, Any]:
    schemes = dig(document, "components.securitySchemes") or {}
    for scheme in schemes.values() if isinstance(schemes, Mapping) else ():
        scheme = _resolved(document, scheme)
        kind, http = scheme.get("type"), str(scheme.get("scheme", "")).lower()
        if kind == "oauth2" and (
            flow := dig(scheme, "flows.clientCredentials") or dig(scheme, "flows.authorizationCode")
        ):
            token = re.sub(r"^https?://[^/]+", "", str(flow.get("tokenUrl", ""))) or "/oauth/token"
            return {"style": "oauth2", "token_path": token if token.startswith("/") else f"/{token}"}
        if kind == "apiKey" and scheme.get("in") == "header":
            return {"style": "key", "header": scheme.get("name", "X-API-Key")}
        if kind == "http" and http == "bearer":
            return {"style": "key", "header": "Authorization", "prefix": "Bearer "}
        if kind == "http" and http == "basic":
            return {"style": "basic"}
    out.doubts.append("login: the document names none that is supported; set auth")
    return {"style": "none"}


def _field_data(document: Schema, schema: Schema, *, required: bool = False, depth: int = 0) -> dict[str, Any]:
    schema = _resolved(document, schema)
    kind = _FORMATS.get(str(schema.get("format", ""))) or _TYPES.get(_type(schema), FieldType.STRING)
    if schema.get("enum"):
        kind = FieldType.ENUM
    out: dict[str, Any] = {"type": kind.value}
    if schema.get("title") or schema.get("description"):
        out["help"] = _one_line(schema.get("description") or schema.get("title"))
    if required:
        out["required"] = True
    if schema.get("readOnly"):
        out["readonly"] = True
    if isinstance(schema.get("maxLength"), int):
        out["max"] = schema["maxLength"]
    if schema.get("enum"):
        out["choices"] = [str(choice) for choice in schema["enum"] if choice is not None]
    if kind is FieldType.OBJECT and depth < _DEEP and (inner := _properties(document, schema)):
        out["fields"] = {name: _field_data(document, one, depth=depth + 1) for name, one in inner.items()}
    if kind is FieldType.LIST and depth < _DEEP and isinstance(schema.get("items"), Mapping):
        out["items"] = _field_data(document, schema["items"], depth=depth + 1)
    return out


def _row_schema(document: Schema, path: str) -> Schema:
    """The schema of one row of the list at `path`."""
    for known, operations in (document.get("paths") or {}).items():
        if re.sub(r"\{[^}]*\}", "{}", known) == re.sub(r"\{[^}]*\}", "{}", path) and isinstance(operations, Mapping):
            return _list_of(document, operations.get("get") or {})[1] or {}
    return {}


def _list_of(document: Schema, get: Schema) -> tuple[str | None, Schema | None]:
    """Where a list's answer holds its rows, and the schema of a row."""
    schema = _answer_schema(document, get)
    if _type(schema) == "array":
        row = _resolved(document, schema.get("items") or {})
        return (None, row) if _properties(document, row) else (None, None)
    for name, inner in _properties(document, schema).items():
        inner = _resolved(document, inner)
        if _type(inner) == "array":
            row = _resolved(document, inner.get("items") or {})
            if _properties(document, row):
                return name, row
    return None, None


def _answer_schema(document: Schema, operation: Schema) -> Schema:
    answers = operation.get("responses") or {}
    good = answers.get("200") or answers.get(200) or answers.get("default") or {}
    content = _resolved(document, good).get("content") or {}
    media: Schema = next((inner for kind, inner in content.items() if "json" in kind), {})
    return _resolved(document, media.get("schema") or {})


def _body_schema(document: Schema, operation: Schema | None) -> Schema | None:
    content = _resolved(document, (operation or {}).get("requestBody") or {}).get("content") or {}
    media: Schema = next((inner for kind, inner in content.items() if "json" in kind), {})
    return _resolved(document, media.get("schema") or {}) if media else None


def _item_path(document: Schema, path: str) -> tuple[str, Schema | None]:
    for known, operations in (document.get("paths") or {}).items():
        if re.fullmatch(re.escape(path.rstrip("/")) + r"/\{[^/]+\}", known) and isinstance(operations, Mapping):
            return known, operations
    return "", None


def _key_field(path: str, item_path: str, properties: Schema) -> str | None:
    param = item_path.rpartition("{")[2].rstrip("}")
    singular = _singular(path.rstrip("/").rsplit("/", 1)[-1])
    return _named(
        properties, tuple(_plain(name) for name in (param, "id", f"{singular}id", f"{singular}key", "uuid") if name)
    )


def _query(document: Schema, operation: Schema) -> Iterator[Schema]:
    for param in operation.get("parameters") or ():
        param = _resolved(document, param)
        if param.get("in") == "query" and param.get("name"):
            yield param


def _place(document: Schema, schema: Schema, names: tuple[str, ...], before: str = "", depth: int = 0) -> str | None:
    """The dotted path of the first property called one of `names`."""
    properties = _properties(document, schema)
    if found := _named(properties, names):
        return before + found
    if depth < 2:
        for name, inner in properties.items():
            inner = _resolved(document, inner)
            if _type(inner) == "object" and (place := _place(document, inner, names, f"{before}{name}.", depth + 1)):
                return place
    return None


def _properties(document: Schema, schema: Schema) -> dict[str, Schema]:
    schema = _resolved(document, schema)
    found = schema.get("properties")
    return dict(found) if isinstance(found, Mapping) else {}


def _resolved(document: Schema, schema: Any, depth: int = 0) -> Schema:
    """A schema with its reference followed and its parts laid together; optional ones without their null."""
    if not isinstance(schema, Mapping) or depth > 20:
        return {}
    if "$ref" in schema:
        place = str(schema["$ref"]).removeprefix("#/").replace("/", ".")
        return _resolved(document, dig(document, place), depth + 1)
    if "allOf" in schema:
        parts = [_resolved(document, part, depth + 1) for part in schema["allOf"]]
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
        options = [one for one in schema.get(choice) or () if isinstance(one, Mapping) and one.get("type") != "null"]
        if options:
            rest = {k: v for k, v in schema.items() if k != choice}
            return {**_resolved(document, options[0], depth + 1), **rest}
    return schema


def _type(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    return str(kind or ("object" if "properties" in schema else ""))


def _named(names: Mapping[str, Any], wanted: tuple[str, ...]) -> str | None:
    """The first of `wanted` (plain) that is among `names` in any spelling."""
    plain = {_plain(name): name for name in reversed(list(names))}
    return next((plain[want] for want in wanted if want in plain), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _singular(name: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    for ending, single in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if snake.endswith(ending):
            return snake[: -len(ending)] + single
    return snake[:-1] if snake.endswith("s") and not snake.endswith(("ss", "us")) else snake


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _one_line(text: Any) -> str:
    return re.sub(r"\s+", " ", str(text)).strip()[:200]
