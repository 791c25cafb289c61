"""REST routes over the same records: GET, POST and PUT /api/v1/customers, products and sales_orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from . import crud, domain, naming, reading, rights
from .environment import Env, Values
from .errors import OdooError, ValidationError
from .json2 import answer, bearer_key
from .server import Sandbox

MANIFEST = Path(__file__).with_name("data") / "rest-manifest.yaml"
"""These routes as the connector `rest` wants them described."""

LIMIT, MOST = 100, 500
_FILTERS = ("email", "vat", "sku", "barcode")
_NAMESPACE = "__rest__"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: its model, which records it shows, its plain fields, and its references by code."""

    model: str
    scope: tuple[Any, ...]
    plain: Mapping[str, str]
    coded: Mapping[str, tuple[str, str]]
    """JSON name -> (field, path of the code that stands for the record)."""


class NotThere(Exception):
    """The path names no record."""


class Taken(Exception):
    """The external id already belongs to another record."""


RESOURCES: Mapping[str, Resource] = {
    "customers": Resource(
        "res.partner",
        (["parent_id", "=", False], ["user_ids", "=", False]),
        {
            name: name
            for name in (
                "name", "is_company", "email", "phone", "street", "street2", "city", "zip", "vat", "website",
                "comment", "credit_limit", "active",
            )
        },
        {"country": ("country_id", "code"), "state": ("state_id", "code")},
    ),
    "products": Resource(
        "product.product",
        (),
        {
            "sku": "default_code", "name": "name", "barcode": "barcode", "description": "description_sale",
            "type": "type", "list_price": "list_price", "cost_price": "standard_price", "weight": "weight",
            "active": "active",
        },
        {"category": ("categ_id", "complete_name"), "unit": ("uom_id", "name")},
    ),
    "sales_orders": Resource(
        "sale.order",
        (),
        {"name": "name", "state": "state", "partner_id": "partner_id", "date_order": "date_order",
         "customer_reference": "client_order_ref"},
        {"currency": ("currency_id", "name")},
    ),
}  # fmt: skip
_LINE_FIELDS = {
    "product_id": "product_id",
    "description": "name",
    "quantity": "product_uom_qty",
    "unit_price": "price_unit",
    "discount": "discount",
}
_TOTALS = ("amount_untaxed", "amount_tax", "amount_total")


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Return the routes; the bearer key is an Odoo API key and its user's rights hold."""

    async def listed(request: web.Request) -> web.Response:
        return await _answer(sandbox, request, lambda env, resource, _: _list(env, resource, request.query))

    async def one(request: web.Request) -> web.Response:
        return await _answer(sandbox, request, lambda env, resource, _: _one(env, resource, _id(request)))

    async def created(request: web.Request) -> web.Response:
        return await _answer(sandbox, request, _create, status=201)

    async def changed(request: web.Request) -> web.Response:
        return await _answer(sandbox, request, lambda env, resource, body: _change(env, resource, _id(request), body))

    async def manifest(_: web.Request) -> web.Response:
        return web.Response(text=MANIFEST.read_text(encoding="utf-8"), content_type="text/plain")

    base = "/api/v1/{resource:customers|products|sales_orders}"
    return [
        web.get("/api/v1/manifest.yaml", manifest),
        web.get(base, listed),
        web.post(base, created),
        web.get(base + "/{id}", one),
        web.put(base + "/{id}", changed),
    ]


def _id(request: web.Request) -> int:
    text = request.match_info["id"]
    return int(text) if text.isdigit() else 0


def _problem(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return answer({"error": {"code": code, "message": message}}, status, dict(headers or {}))


async def _answer(
    sandbox: Sandbox, request: web.Request, work: Callable[[Env, Resource, Values], Any], status: int = 200
) -> web.Response:
    key = bearer_key(request)
    uid = sandbox.user_of_key(key) if key else None
    if uid is None:
        return _problem(
            401, "unauthorized", "The API key is missing, unknown or expired.", {"WWW-Authenticate": "Bearer"}
        )
    body: Any = {}
    if request.method in ("POST", "PUT"):
        try:
            body = msgspec.json.decode(await request.read())
        except msgspec.DecodeError as error:
            return _problem(400, "bad_json", str(error))
        if not isinstance(body, dict):
            return _problem(400, "bad_json", "A JSON object is expected.")
    name = request.match_info["resource"]
    sandbox.calls[f"{request.method} {name}"] += 1
    try:
        told = await sandbox.call(uid, {"active_test": False}, lambda env: work(env, RESOURCES[name], body))
    except NotThere:
        return _problem(404, "not_found", f"There is no such record in {name}.")
    except Taken as error:
        return _problem(409, "external_id_taken", str(error))
    except OdooError as error:
        return _problem(error.status, error.name.rpartition(".")[2], error.message)
    except (ValueError, TypeError, KeyError) as error:
        return _problem(400, "bad_value", str(error))
    return answer(told, status)


def _list(env: Env, resource: Resource, query: Mapping[str, str]) -> Values:
    limit = min(int(query.get("limit", LIMIT)), MOST)
    offset = int(query.get("offset", 0))
    asked: list[Any] = [*resource.scope]
    since = query.get("updated_since")
    if since:
        moment = datetime.fromisoformat(since)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
        asked.append(["write_date", ">=", moment.strftime("%Y-%m-%d %H:%M:%S")])
    if query.get("external_id"):
        known = naming.lookup(env, f"{_NAMESPACE}.{query['external_id']}")
        asked.append(["id", "=", known["res_id"] if known and known["model"] == resource.model else 0])
    for name in _FILTERS:
        if query.get(name) and name in resource.plain:
            asked.append([resource.plain[name], "=", query[name]])
    ids = domain.search(env, resource.model, asked, order="id")
    chosen = ids[offset : offset + limit]
    return {"data": _shown(env, resource, chosen), "total": len(ids), "limit": limit, "offset": offset}


def _one(env: Env, resource: Resource, record_id: int) -> Values:
    shown = _shown(env, resource, [record_id])
    if not shown:
        raise NotThere
    return shown[0]


def _shown(env: Env, resource: Resource, ids: list[int]) -> list[Values]:
    names = [*resource.plain.values(), *(field for field, _ in resource.coded.values()), "create_date", "write_date"]
    is_order = resource.model == "sale.order"
    rows = reading.read(env, resource.model, ids, [*names, *((*_TOTALS, "order_line") if is_order else ())], "")
    return [_show(env, resource, row) for row in rows]


def _show(env: Env, resource: Resource, row: Values) -> Values:
    fields = env.model(resource.model).fields
    booleans = {name for name, field in resource.plain.items() if fields[field].type == "boolean"}
    told: Values = {"id": row["id"], "external_id": _external_id(env, resource, row["id"])}
    for name, field in resource.plain.items():
        told[name] = None if row[field] is False and name not in booleans else row[field]
    for name, (field, code) in resource.coded.items():
        target = fields[field].relation
        told[name] = reading.read(env.sudo(), target, [row[field]], [code], "")[0][code] if row[field] else None
    if resource.model == "sale.order":
        lines = reading.read(env, "sale.order.line", row["order_line"], [*_LINE_FIELDS.values(), "price_subtotal"], "")
        told |= {name: row[name] for name in _TOTALS}
        told["lines"] = [
            {
                "id": line["id"],
                **{n: line[f] or None for n, f in _LINE_FIELDS.items()},
                "subtotal": line["price_subtotal"],
            }
            for line in lines
        ]
    for name, field in (("created_at", "create_date"), ("updated_at", "write_date")):
        told[name] = row[field].replace(" ", "T") + "Z"
    return told


def _external_id(env: Env, resource: Resource, record_id: int) -> str | None:
    rows = [row for row in naming.external_ids(env, resource.model, record_id) if row["module"] == _NAMESPACE]
    return str(rows[0]["name"]) if rows else None


def _values(env: Env, resource: Resource, body: Values) -> Values:
    told: Values = {}
    for name, value in body.items():
        value = False if value is None else value
        if name in resource.plain:
            told[resource.plain[name]] = _plain(env, resource.model, resource.plain[name], value)
        elif name in resource.coded:
            told[resource.coded[name][0]] = _reference(env, resource, name, value, body)
        elif name == "lines" and resource.model == "sale.order":
            given = value if isinstance(value, list) else []
            lines = [
                {
                    _LINE_FIELDS[k]: _plain(env, "sale.order.line", _LINE_FIELDS[k], v)
                    for k, v in line.items()
                    if k in _LINE_FIELDS
                }
                for line in given
            ]
            told["order_line"] = [(5, 0, 0), *((0, 0, line) for line in lines)]
        elif name not in ("id", "external_id", "created_at", "updated_at", *_TOTALS):
            raise ValueError(f"Unknown field {name!r}.")
    return told


def _plain(env: Env, model: str, field: str, value: Any) -> Any:
    """A value as Odoo takes it: an id may have been written as text, as keys of records often are."""
    is_id = isinstance(value, str) and value.isdigit() and env.model(model).fields[field].type == "many2one"
    return int(value) if is_id else value


def _reference(env: Env, resource: Resource, name: str, value: Any, body: Values) -> int | bool:
    if value is False:
        return False
    field, code = resource.coded[name]
    asked: list[Any] = [[code, "=", value]]
    if field == "state_id" and body.get("country"):
        asked.append(["country_id.code", "=", body["country"]])
    found = domain.search_ids(env.sudo(), env.model(resource.model).fields[field].relation, asked, limit=1)
    if not found:
        raise ValidationError(f"There is no {name} {value!r}.")
    return found[0]


def _create(env: Env, resource: Resource, body: Values) -> Values:
    external_id = body.get("external_id")
    if external_id and naming.lookup(env, f"{_NAMESPACE}.{external_id}"):
        raise Taken(f"The external id {external_id!r} is taken.")
    made = crud.create(env, resource.model, [_values(env, resource, body)])[0]
    if external_id:
        naming.remember(env, f"{_NAMESPACE}.{external_id}", resource.model, made)
    return _one(env, resource, made)


def _change(env: Env, resource: Resource, record_id: int, body: Values) -> Values:
    rights.check(env, resource.model, "write")
    if env.row(resource.model, record_id) is None:
        raise NotThere
    crud.write(env, resource.model, [record_id], _values(env, resource, body))
    return _one(env, resource, record_id)
