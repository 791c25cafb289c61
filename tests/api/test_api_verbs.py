"""Every verb of the command line has its route, every route its verb, and the description of both is valid."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import typer
from openapi_spec_validator import OpenAPIV31SpecValidator

from isthmus.api.app import create_app
from isthmus.cli.main import COMMANDS
from isthmus.operate.clients import RESOURCES, WRITABLE

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "reference" / "openapi.json"

ROUTES = {
    "connection add": "POST /connections",
    "connection list": "GET /connections",
    "connection doctor": "GET /connections/{name}/doctor",
    "connection rotate": "POST /connections/{name}/rotate",
    "connection authorize": "POST /connections/{name}/authorize",
    "connection accept": "POST /connections/{name}/accept",
    "connection hooks": "POST /connections/{name}/hooks",
    "connection operations": "GET /connections/{name}/operations",
    "connection call": "POST /connections/{name}/operations/{operation}",
    "pair add": "POST /pairs",
    "pair list": "GET /pairs",
    "pair pause": "POST /pairs/{name}/pause",
    "pair resume": "POST /pairs/{name}/resume",
    "pair export": "GET /pairs/{name}/files",
    "pair diff": "POST /pairs/diff",
    "pair apply": "PUT /pairs/{name}/files",
    "pair custom-fields": "GET /pairs/{name}/custom-fields/{entity}",
    "pair custom-fields --map": "POST /pairs/{name}/custom-fields/{entity}",
    "lookup list": "GET /pairs/{name}/lookups",
    "lookup show": "GET /pairs/{name}/lookups/{table}",
    "lookup import": "PUT /pairs/{name}/lookups/{table}",
    "lookup export": "GET /pairs/{name}/lookups/{table}",
    "discover": "GET /connections/{name}/entities",
    "preview": "POST /pairs/{name}/preview",
    "load": "POST /pairs/{name}/load",
    "load --dry-run": "POST /pairs/{name}/load/predict",
    "sync": "POST /pairs/{name}/sync",
    "sweep": "POST /pairs/{name}/sweep",
    "status": "GET /status",
    "status PAIR": "GET /pairs/{name}",
    "trace": "GET /pairs/{name}/trace/{record}",
    "journey": "GET /journeys/{key}",
    "conflicts list": "GET /conflicts",
    "conflicts show": "GET /conflicts/{number}",
    "conflicts settle": "POST /conflicts/settle",
    "deadletters list": "GET /deadletters",
    "deadletters show": "GET /deadletters/{number}",
    "deadletters edit": "PATCH /deadletters/{number}",
    "deadletters retry": "POST /deadletters/retry",
    "deadletters discard": "POST /deadletters/discard",
    "undo": "POST /pairs/{name}/changesets/{number}/undo",
    "undo PAIR": "GET /pairs/{name}/changesets",
    "token add": "POST /tokens",
    "token list": "GET /tokens",
    "token revoke": "DELETE /tokens/{name}",
    "client add": "POST /clients",
    "client list": "GET /clients",
    "client revoke": "DELETE /clients/{name}",
    "key show": "GET /key",
    "key rotate": "POST /key/rotate",
    "flow list": "GET /flows",
    "flow templates": "GET /flows/templates",
    "flow templates NAME": "GET /flows/templates/{template}",
    "flow show": "GET /flows/{name}",
    "flow import": "POST /flows",
    "flow export": "GET /flows/{name}/files",
    "flow bind": "POST /flows/{name}/bind",
    "flow publish": "POST /flows/{name}/publish",
    "flow rollback": "POST /flows/{name}/rollback",
    "flow pause": "POST /flows/{name}/pause",
    "flow resume": "POST /flows/{name}/resume",
    "flow run": "POST /flows/{name}/run",
    "flow run --dry-run": "POST /flows/{name}/dry-run",
    "flow schema": "GET /flows/schema",
    "flow hook": "POST /flows/{name}/hook",
    "flow secret": "PUT /flows/{name}/secrets/{secret}",
    "run list": "GET /runs",
    "run show": "GET /runs/{number}",
    "run cancel": "POST /runs/{number}/cancel",
    "run resume": "POST /runs/{number}/resume",
    "run replay": "POST /runs/steps/{step}/replay",
    "run signal": "POST /runs/signal",
    "approvals list": "GET /approvals",
    "approvals decide": "POST /approvals/{number}",
    "lint": "POST /flows/lint",
    "test": "POST /flows/test",
    "connector list": "GET /connectors",
    "connector show": "GET /connectors",
}
"""Verb of the command line → route below /api/v1."""

HERE_ONLY = {
    "serve": "it is the service that answers the API",
    "demo": "it starts an installation of its own",
    "demo edit": "it edits the stand-ins of the demo",
    "demo find": "it looks into the stand-ins of the demo",
    "sandbox bng": "it is another system",
    "sandbox odoo": "it is another system",
    "sandbox gateway": "it is another system",
    "sandbox shop": "it is another system",
    "connector new": "it writes a folder on this machine",
}
"""Verbs without a route, each with the reason."""

API_ONLY = {
    "GET /deadletters/groups": "a view for screens: the same list by cause",
    "GET /pairs/{name}/lookups/{table}/file": "the same table as a file, CSV or Excel",
    "POST /pairs/{name}/lookups/{table}/file": "the same import, from a file that is sent along",
    "GET /mappings/transforms": "a view for screens: what the steps of a mapping can be",
    "GET /mappings/functions": "a view for screens: what expressions can call",
}
for _name in RESOURCES:
    _reason = "it is for systems that speak canonical values, not for people"
    API_ONLY |= {f"GET /{_name}": _reason, f"GET /{_name}/{{key}}": _reason}
    API_ONLY |= {f"{verb} /{_name}{'/{key}' if verb == 'PUT' else ''}": _reason for verb in WRITABLE.get(_name, ())}
"""Routes without a verb, each with the reason."""


def document() -> dict[str, Any]:
    return dict(create_app(SimpleNamespace()).openapi())  # type: ignore[arg-type]  # nothing is called


def verbs() -> set[str]:
    """Every command that can be given, as it is written."""
    import importlib

    out = set()
    for name, (module, _) in COMMANDS.items():
        found = typer.main.get_command(importlib.import_module(module).app)
        commands = getattr(found, "commands", {})
        out |= {f"{name} {verb}" for verb in commands} or {name}
    return out


def routes() -> set[str]:
    """Every route below /api/v1 of the description."""
    return {
        f"{verb.upper()} {path.removeprefix('/api/v1')}"
        for path, item in document()["paths"].items()
        for verb in item
        if path.startswith("/api/v1")
    }


def test_every_verb_has_its_route() -> None:
    missing = sorted(v for v in verbs() if v not in HERE_ONLY and ROUTES.get(v) not in routes())
    assert not missing, "\n".join(missing)


def test_every_route_has_its_verb() -> None:
    missing = sorted(routes() - set(ROUTES.values()) - set(API_ONLY))
    assert not missing, "\n".join(missing)


def test_the_description_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_every_operation_and_every_field_of_a_body_has_its_sentence() -> None:
    silent = []
    for path, item in document()["paths"].items():
        silent += [f"{verb} {path}" for verb, told in item.items() if len(told.get("summary", "")) < 12]
    for name, schema in document()["components"]["schemas"].items():
        if name in ("HTTPValidationError", "ValidationError"):
            continue  # the framework's own
        silent += [
            f"{name}.{field}" for field, told in schema.get("properties", {}).items() if not told.get("description")
        ]
    assert not silent, "\n".join(silent)


def test_every_management_route_asks_for_a_token() -> None:
    open_ = [
        f"{verb} {path}"
        for path, item in document()["paths"].items()
        for verb, told in item.items()
        if path.startswith("/api/") and not told.get("security")
    ]
    assert open_ == []


def test_the_description_in_the_documents_is_the_current_one() -> None:
    assert json.loads(DOCUMENT.read_text()) == document(), "run `make docs`"
