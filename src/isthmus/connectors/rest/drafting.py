"""Drafts a manifest from an OpenAPI 3 document: entities, fields, paging, filters, login, as far as it tells them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.rest.openapi import (
    Schema,
    answer_schema,
    body_schema,
    field_data,
    list_of,
    one_line,
    plain,
    properties_of,
    resolved,
    type_of,
)
from isthmus.sdk import FieldType, Misconfigured
from isthmus.sdk.answers import dig

_MOMENTS = tuple(
    f"{verb}{end}"
    for verb in ("updated", "modified", "changed", "lastmodified", "lastupdated")
    for end in ("at", "on", "")
)
_CHANGED = (*_MOMENTS, "writedate", "dateupdated", "datemodified")
_CREATED = ("createdat", "created", "createdate", "createdon", "datecreated")
_EXTERNAL = ("externalid", "externalkey", "externalreference", "externalref", "foreignid")
_VERSION = ("version", "lockversion", "etag", "revision", "rowversion")
_SINCE = (
    *(f"{verb}{end}" for verb in ("updated", "modified", "changed") for end in ("since", "after", "from")),
    *(f"{verb}at{end}" for verb in ("updated", "modified", "changed") for end in ("gte", "min", "from", "after")),
    "since",
)
_SIZE = ("limit", "perpage", "pagesize", "size", "count", "pagelimit", "maxresults", "top")
_LARGEST_PAGE = 200


@dataclass(slots=True)
class Draft:
    """A manifest as plain data, and what a person should look at before trusting it."""

    manifest: dict[str, Any]
    doubts: list[str] = field(default_factory=list)


def draft(document: Schema, key: str, name: str) -> Draft:
    """A first manifest; raises Misconfigured when the document is of no use for that."""
    if not str(document.get("openapi", "")).startswith("3"):
        raise Misconfigured(
            "reading the OpenAPI document: it is not of version 3", hint="Convert it to OpenAPI 3 first."
        )
    out = Draft({"key": key, "name": name, "summary": one_line(dig(document, "info.description") or name)})
    base, prefix = _server(document)
    if base:
        out.manifest["base_url"] = base
    out.manifest["auth"] = _auth(document, out)
    found: dict[str, tuple[str, Schema]] = {}
    for path, operations in (document.get("paths") or {}).items():
        if isinstance(operations, Mapping) and "get" in operations:
            if "webhook" in path.lower():
                if "{" not in path:
                    out.doubts.append(f"{path}: registers webhooks; describe it under webhooks.subscriptions")
            elif "{" in path:
                _note_children(document, path, operations, out)
            else:
                found[_singular(path.rstrip("/").rsplit("/", 1)[-1])] = (path, operations)
    drafted = {one: _entity(document, path, operations, prefix, out) for one, (path, operations) in found.items()}
    entities = {one: entity for one, entity in drafted.items() if entity is not None}
    if not entities:
        raise Misconfigured(
            "reading the OpenAPI document: no path answers a list of objects",
            hint="Write the manifest by hand; `isthmus connector new NAME` without --openapi gives a form to fill.",
        )
    _wording(document, found, entities, out)
    # Whether lists come in the order of the changes no document tells; a Cursor is safe either way like this.
    out.manifest["changes"] = {"overlap_seconds": 10, "ordered": False}
    out.manifest["entities"] = entities
    return out


def _server(document: Schema) -> tuple[str, str]:
    """The base URL (empty when the document names only a path), and the path that goes before every other."""
    servers = document.get("servers") or []
    url = str(servers[0].get("url", "")) if servers and isinstance(servers[0], Mapping) else ""
    variables = servers[0].get("variables") or {} if url else {}
    for name, told in variables.items():
        url = url.replace("{" + name + "}", str(told.get("default", "")))
    found = re.match(r"https?://[^/]+", url)
    prefix = url[found.end() :] if found else url
    return (found.group(0) if found else ""), prefix.rstrip("/")


def _note_children(document: Schema, path: str, operations: Schema, out: Draft) -> None:
    """Records inside others are worth a word: whether a parent's answer embeds them no document tells."""
    if not path.endswith("}") and list_of(document, operations["get"])[1] is not None:
        out.doubts.append(f"{path}: records inside others; describe them with `parent` if the parent embeds them")


def _entity(document: Schema, path: str, operations: Schema, prefix: str, out: Draft) -> dict[str, Any] | None:
    rows_at, row = list_of(document, operations["get"])
    if row is None:
        return None
    properties = properties_of(document, row)
    item_path, item = _item_path(document, path)
    key = _key_field(path, item_path, properties)
    if key is None:
        out.doubts.append(f"{path}: no field looks like an identifier; it is left out")
        return None
    fields = _fields(document, operations, row)
    fields[key]["readonly"] = True
    fields[key].pop("required", None)
    params = {plain(p["name"]): p for p in _params(document, operations["get"], "query")}
    entity: dict[str, Any] = {"label": _words(_singular(path.rsplit("/", 1)[-1])), "path": prefix + path, "key": key}
    for label, names in (
        ("version", _VERSION),
        ("external_key", _EXTERNAL),
        ("created_at", _CREATED),
        ("changed_at", _CHANGED),
    ):
        if found := _named(properties, names):
            entity[label] = found
            if label != "external_key":
                fields[found]["readonly"] = True
                fields[found].pop("required", None)
            if label.endswith("_at"):
                fields[found]["type"] = FieldType.DATETIME.value
    if "external_key" in entity and fields[entity["external_key"]].get("max"):
        entity["external_key_max"] = fields[entity["external_key"]]["max"]
    entity["filters"] = _filters(entity, params, out, path)
    taken = {str(value) for value in entity["filters"].values()}
    entity["values"] = {
        name: str(params[plain(name)]["name"])
        for name in properties
        if plain(name) in params and name != key and str(params[plain(name)]["name"]) not in taken
    }
    entity["rows"] = rows_at or ""
    entity["create"] = {"method": "POST"} if "post" in operations else None
    entity["update"] = _update(item)
    entity["delete"] = {"method": "DELETE"} if item and "delete" in item else None
    if scopes := _scopes(operations, item):
        entity["scopes"] = scopes
    entity["fields"] = fields
    _paging(document, operations["get"], params, out)
    _headers(document, operations, item, out)
    return entity


def _fields(document: Schema, operations: Schema, row: Schema) -> dict[str, dict[str, Any]]:
    """The fields of a row; required is what the body of a create must hold, read-only what it does not take."""
    writable = body_schema(document, operations.get("post"))
    wrapped = _wrapper(document, writable, properties_of(document, row)) if writable else None
    if writable and wrapped:
        writable = resolved(document, properties_of(document, writable)[wrapped])
    required = set((writable or row).get("required") or ())
    taken = properties_of(document, writable) if writable else {}
    out: dict[str, dict[str, Any]] = {}
    for name, schema in {**properties_of(document, row), **taken}.items():
        data = field_data(document, schema, required=name in required)
        if taken and name not in taken:
            data["readonly"] = True
        if data.get("readonly"):
            data.pop("required", None)
        out[name] = data
    return out


def _filters(entity: Mapping[str, Any], params: Mapping[str, Schema], out: Draft, path: str) -> dict[str, Any]:
    names = {name: str(param["name"]) for name, param in params.items()}
    filters: dict[str, Any] = {}
    since = _named(names, _SINCE)
    if since is not None and "changed_at" in entity:
        filters["updated_since"] = names[since]
    else:
        out.doubts.append(f"{path}: no filter for changed records; changes are found by webhooks or sweeps only")
    if external := entity.get("external_key"):
        if found := _named(names, _EXTERNAL):
            filters["by_external_key"] = names[found]
        if found := _several(params, (f"{plain(external)}s", *(f"{name}s" for name in _EXTERNAL))):
            filters["by_external_keys"] = names[found]
        if not filters.keys() & {"by_external_key", "by_external_keys"}:
            out.doubts.append(f"{path}: no filter on {external}; records cannot be found again after a lost answer")
    else:
        out.doubts.append(f"{path}: no field keeps another system's key; records are told apart by their values only")
    if found := _several(params, (f"{plain(entity['key'])}s", "ids", "keys")):
        filters["by_keys"] = names[found]
    return filters


def _several(params: Mapping[str, Schema], wanted: tuple[str, ...]) -> str | None:
    """The parameter of one of these names that takes several values in one text."""
    found = _named(params, wanted)
    if found is None:
        return None
    param = params[found]
    joined = (param.get("schema") or {}).get("type") == "array" and param.get("explode") is False
    return found if joined or (param.get("schema") or {}).get("type") == "string" else None


def _update(item: Schema | None) -> dict[str, Any] | None:
    if item and "patch" in item:
        return {"method": "PATCH", "style": "partial"}
    return {"method": "PUT", "style": "full"} if item and "put" in item else None


def _scopes(operations: Schema, item: Schema | None) -> dict[str, str]:
    """The OAuth scopes that reading and writing ask for."""
    out: dict[str, str] = {}
    for what, operation in (
        ("read", operations.get("get")),
        ("write", operations.get("post") or (item or {}).get("put")),
    ):
        for requirement in (operation or {}).get("security") or ():
            scopes = [scope for scopes in requirement.values() for scope in scopes]
            if scopes:
                out.setdefault(what, str(scopes[0]))
    return out


def _paging(document: Schema, get: Schema, params: Mapping[str, Schema], out: Draft) -> None:
    """The system's paging, as its first list shows it."""
    if "paging" in out.manifest:
        return
    names = {name: str(param["name"]) for name, param in params.items()}
    size = _named(names, _SIZE)
    told: dict[str, Any] = {"size_param": names[size] if size else None}
    if size:
        most = (params[size].get("schema") or {}).get("maximum")
        usual = (params[size].get("schema") or {}).get("default")
        told["size"] = int(min(most or usual or 100, _LARGEST_PAGE))
    answer = answer_schema(document, get)
    if found := _named(names, ("cursor", "pagetoken", "after", "startingafter", "nexttoken", "continuationtoken")):
        told |= {"style": "cursor", "cursor_param": names[found]}
        place = _place(document, answer, ("nextcursor", "nextpagetoken", "nexttoken", "cursor", "next"))
        if place:
            told["next_path"] = place
        else:
            out.doubts.append("paging: where the answer holds the next cursor is not told; set paging.next_path")
    elif found := _named(names, ("page", "pagenumber", "pageindex")):
        first = (params[found].get("schema") or {}).get("minimum", 1)
        told |= {"style": "page", "page_param": names[found], "first_page": int(first)}
    elif found := _named(names, ("offset", "skip", "start")):
        told |= {"style": "offset", "offset_param": names[found]}
    elif "link" in {plain(name) for name in _answer_headers(document, get)}:
        told |= {"style": "link"}
    else:
        told = {"style": "none", "size_param": None}
        out.doubts.append("paging: no list names a parameter for it; one answer is taken for everything")
    if told["style"] != "none" and (more := _place(document, answer, ("hasmore", "more", "hasnext", "hasnextpage"))):
        told["more_path"] = more
    if told["style"] in ("page", "offset") and (
        total := _place(document, answer, ("total", "totalcount", "totalitems", "totalrecords"))
    ):
        told["total_path"] = total
    out.manifest["paging"] = told


def _headers(document: Schema, operations: Schema, item: Schema | None, out: Draft) -> None:
    """The headers for idempotency and for optimistic locking, as the first entity that is written shows them."""
    create = operations.get("post")
    if create is not None and "idempotency" not in out.manifest:
        known = {plain(str(p["name"])): str(p["name"]) for p in _params(document, create, "header")}
        if found := _named(known, ("idempotencykey", "xidempotencykey", "requestkey", "xrequestkey")):
            out.manifest["idempotency"] = {"header": known[found], "on_updates": False}
    change = (item or {}).get("put") or (item or {}).get("patch")
    if change is not None and "locking" not in out.manifest:
        known = {plain(str(p["name"])): str(p["name"]) for p in _params(document, change, "header")}
        if "ifmatch" in known:
            out.manifest["locking"] = {"header": known["ifmatch"]}


def _wording(
    document: Schema, found: Mapping[str, tuple[str, Schema]], entities: Mapping[str, Any], out: Draft
) -> None:
    """The wrappers around a single record, and how decimals are written."""
    wording: dict[str, Any] = {}
    numbers = False
    for name in entities:
        path, operations = found[name]
        properties = properties_of(document, list_of(document, operations["get"])[1] or {})
        numbers |= any(type_of(resolved(document, one)) == "number" for one in properties.values())
        _, item = _item_path(document, path)
        answer = answer_schema(document, (item or {}).get("get") or {})
        if "record" not in wording and (wrapper := _wrapper(document, answer, properties)):
            wording["record"] = wrapper
        body = body_schema(document, operations.get("post"))
        if body is not None and "body" not in wording and (wrapper := _wrapper(document, body, properties)):
            wording["body"] = wrapper
    wording["decimals"] = "number" if numbers else "string"
    out.manifest["wording"] = wording


def _wrapper(document: Schema, schema: Schema, row: Schema) -> str | None:
    """The name of the property that holds a record, when the schema is not the record itself."""
    for name, inner in properties_of(document, schema).items():
        inside = properties_of(document, inner)
        if name not in row and inside and set(inside) <= set(row) and type_of(resolved(document, inner)) == "object":
            return name
    return None


def _auth(document: Schema, out: Draft) -> dict[str, Any]:
    schemes = dig(document, "components.securitySchemes") or {}
    for scheme in schemes.values() if isinstance(schemes, Mapping) else ():
        scheme = resolved(document, scheme)
        kind, http = scheme.get("type"), str(scheme.get("scheme", "")).lower()
        if kind == "oauth2" and (told := _oauth2(scheme, out)):
            return told
        if kind == "apiKey" and scheme.get("in") == "header":
            return {"style": "key", "header": scheme.get("name", "X-API-Key")}
        if kind == "http" and http == "bearer":
            return {"style": "key", "header": "Authorization", "prefix": "Bearer "}
        if kind == "http" and http == "basic":
            return {"style": "basic"}
    out.doubts.append("login: the document names none that is supported; set auth")
    return {"style": "none"}


def _oauth2(scheme: Schema, out: Draft) -> dict[str, Any] | None:
    """Client credentials, or the consent of a person; addresses on another server are left to the connection."""
    service, person = dig(scheme, "flows.clientCredentials"), dig(scheme, "flows.authorizationCode")
    told: dict[str, Any] = {"style": "oauth2"}
    for label, url in (
        ("token_path", (service or person or {}).get("tokenUrl")),
        ("authorize_path", (person or {}).get("authorizationUrl")),
    ):
        if not url:
            continue
        path = re.sub(r"^https?://[^/]+", "", str(url)) or "/"
        told[label] = path if path.startswith("/") else f"/{path}"
        if str(url).startswith("http"):
            setting = label.replace("path", "url")
            out.doubts.append(f"login: {label} is at {url}; set {setting} of the connection if that is another server")
    if service is None and person is not None:
        out.doubts.append("login: only by the consent of a person; set grant: authorization_code of the connection")
    return told if service or person else None


def _item_path(document: Schema, path: str) -> tuple[str, Schema | None]:
    for known, operations in (document.get("paths") or {}).items():
        if re.fullmatch(re.escape(path.rstrip("/")) + r"/\{[^/]+\}", known) and isinstance(operations, Mapping):
            return known, operations
    return "", None


def _key_field(path: str, item_path: str, properties: Schema) -> str | None:
    param = item_path.rpartition("{")[2].rstrip("}")
    singular = plain(_singular(path.rstrip("/").rsplit("/", 1)[-1]))
    wanted = (plain(param), "id", f"{singular}id", f"{singular}key", "uuid", "guid")
    return _named(properties, tuple(name for name in wanted if name))


def _params(document: Schema, operation: Schema, place: str) -> Iterator[Schema]:
    for param in operation.get("parameters") or ():
        param = resolved(document, param)
        if param.get("in") == place and param.get("name"):
            yield param


def _answer_headers(document: Schema, operation: Schema) -> Schema:
    answers = operation.get("responses") or {}
    found: Schema = resolved(document, answers.get("200") or answers.get(200) or {}).get("headers") or {}
    return found


def _place(document: Schema, schema: Schema, names: tuple[str, ...], before: str = "", depth: int = 0) -> str | None:
    """The dotted path of the first property called one of `names`."""
    properties = properties_of(document, schema)
    if found := _named(properties, names):
        return before + found
    if depth < 2:
        for name, inner in properties.items():
            inner = resolved(document, inner)
            if type_of(inner) == "object" and (place := _place(document, inner, names, f"{before}{name}.", depth + 1)):
                return place
    return None


def _named(names: Mapping[str, Any], wanted: tuple[str, ...]) -> str | None:
    """The first of `wanted` (plain) that is among `names` in any spelling."""
    known = {plain(name): name for name in reversed(list(names))}
    return next((known[want] for want in wanted if want in known), None)


def _singular(name: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    for ending, single in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if snake.endswith(ending):
            return snake[: -len(ending)] + single
    return snake[:-1] if snake.endswith("s") and not snake.endswith(("ss", "us")) else snake


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
