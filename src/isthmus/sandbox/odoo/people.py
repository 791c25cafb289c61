"""The page for people at `/`: look through customers, vendors and products, and edit one as an Odoo user would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from . import crud, domain, reading
from .environment import Env, Values
from .errors import OdooError
from .server import Sandbox

SHOWN = 80


@dataclass(frozen=True, slots=True)
class Shelf:
    """One list on the page: which records, which columns, which fields the form offers, what a new one starts with."""

    title: str
    model: str
    scope: tuple[Any, ...]
    searched: tuple[str, ...]
    columns: tuple[str, ...]
    form: tuple[str, ...]
    starts_with: Mapping[str, Any]


_CONTACT_FORM = (
    "name", "is_company", "email", "phone", "street", "street2", "zip", "city", "state_id", "country_id", "vat",
    "website", "property_payment_term_id", "credit_limit", "comment", "active",
)  # fmt: skip
SHELVES: Mapping[str, Shelf] = {
    "customers": Shelf(
        "Customers",
        "res.partner",
        (["parent_id", "=", False], ["user_ids", "=", False], ["supplier_rank", "=", 0]),
        ("complete_name", "email", "vat", "phone"),
        ("complete_name", "email", "phone", "city", "country_id", "write_date"),
        _CONTACT_FORM,
        {"customer_rank": 1},
    ),
    "vendors": Shelf(
        "Vendors",
        "res.partner",
        (["supplier_rank", ">", 0],),
        ("complete_name", "email", "vat", "phone"),
        ("complete_name", "email", "phone", "city", "country_id", "write_date"),
        _CONTACT_FORM,
        {"supplier_rank": 1},
    ),
    "products": Shelf(
        "Products",
        "product.product",
        (),
        ("name", "default_code", "barcode"),
        ("default_code", "display_name", "list_price", "uom_id", "categ_id", "write_date"),
        (
            "name", "default_code", "barcode", "list_price", "standard_price", "type", "is_storable", "categ_id",
            "uom_id", "weight", "description_sale", "sale_ok", "purchase_ok", "active",
        ),
        {},
    ),
}  # fmt: skip


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Return the routes of the page."""

    async def start(request: web.Request) -> web.Response:
        raise web.HTTPFound("/web/customers")

    async def listed(request: web.Request) -> web.Response:
        key = request.match_info["shelf"]
        html = await sandbox.call(_editor(sandbox), {}, lambda env: _list(env, key, request.query))
        return _page(key, html)

    async def form(request: web.Request) -> web.Response:
        key, record_id = request.match_info["shelf"], _id(request)
        html = await sandbox.call(_editor(sandbox), {}, lambda env: _form(env, key, record_id, ""))
        return _page(key, html)

    async def save(request: web.Request) -> web.Response:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise web.HTTPForbidden(text="This form is only accepted from the sandbox's own page.")
        key, record_id = request.match_info["shelf"], _id(request)
        told = {name: str(value) for name, value in (await request.post()).items()}
        try:
            saved = await sandbox.call(_editor(sandbox), {}, lambda env: _save(env, key, record_id, told))
        except (OdooError, ValueError) as error:
            text = str(error)
            html = await sandbox.call(_editor(sandbox), {}, lambda env: _form(env, key, record_id, text))
            return _page(key, html, status=422)
        raise web.HTTPSeeOther(f"/web/{key}/{saved}?saved=1")

    shelf = "/web/{shelf:customers|vendors|products}"
    return [
        web.get("/", start),
        web.get(shelf, listed),
        web.get(shelf + "/{id:\\d+|new}", form),
        web.post(shelf + "/{id:\\d+|new}", save),
    ]


def _editor(sandbox: Sandbox) -> int:
    """Edits on the page are the Odoo administrator's, so that they look like anybody's but the integration's."""
    return sandbox.user_of_login(sandbox.settings.odoo_admin_login) or 2


def _id(request: web.Request) -> int | None:
    text = request.match_info["id"]
    return None if text == "new" else int(text)


def _page(key: str, body: str, status: int = 200) -> web.Response:
    frame = files(__package__).joinpath("data", "page.html").read_text("utf-8")
    tabs = "".join(
        f'<a href="/web/{name}"{" class=here" if name == key else ""}>{escape(shelf.title)}</a>'
        for name, shelf in SHELVES.items()
    )
    text = frame.replace("{{tabs}}", tabs).replace("{{body}}", body)
    return web.Response(status=status, text=text, content_type="text/html")


def _list(env: Env, key: str, query: Mapping[str, str]) -> str:
    shelf = SHELVES[key]
    words, offset = query.get("q", ""), max(int(query.get("offset") or 0), 0)
    asked: list[Any] = [*shelf.scope]
    if words:
        asked += ["|"] * (len(shelf.searched) - 1) + [[name, "ilike", words] for name in shelf.searched]
    archived = env.with_context(active_test=False) if query.get("archived") else env
    ids = domain.search(archived, shelf.model, asked)
    rows = reading.read(
        archived, shelf.model, ids[offset : offset + SHOWN], [*shelf.columns, "active"], "_classic_read"
    )
    fields = env.model(shelf.model).fields
    head = "".join(f"<th>{escape(fields[name].title)}</th>" for name in shelf.columns)
    lines = "".join(
        f"<tr{'' if row['active'] else ' class=archived'}>"
        + "".join(f'<td><a href="/web/{key}/{row["id"]}">{_shown(row[name])}</a></td>' for name in shelf.columns)
        + "</tr>"
        for row in rows
    )
    more = ""
    if offset + SHOWN < len(ids):
        more = f'<a class=button href="?{escape(urlencode({**query, "offset": offset + SHOWN}))}">Next {SHOWN}</a>'
    checked = " checked" if query.get("archived") else ""
    return (
        f'<form class=search><input name=q value="{escape(words)}" placeholder="Search {escape(shelf.title.lower())}">'
        f"<label><input type=checkbox name=archived value=1{checked}> archived too</label><button>Search</button>"
        f'<a class=button href="/web/{key}/new">New</a><span>{len(ids)} found</span></form>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>{more}"
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        value = value[1] if len(value) == 2 else ""
    return escape("" if value is False else str(value)) or "&nbsp;"


def _form(env: Env, key: str, record_id: int | None, problem: str) -> str:
    shelf = SHELVES[key]
    fields = env.model(shelf.model).fields
    row: Values = crud.default_get(env, shelf.model, shelf.form)
    if record_id is not None:
        found = reading.read(
            env, shelf.model, [record_id], [*shelf.form, "display_name", "write_date", "write_uid"], ""
        )
        if not found:
            return "<p class=problem>This record does not exist any more.</p>"
        row = found[0]
    inputs = "".join(_input(env, shelf.model, name, row.get(name, False)) for name in shelf.form if name in fields)
    title = escape(str(row.get("display_name") or f"New in {shelf.title}"))
    stamp = f"<p class=stamp>Last changed {escape(str(row['write_date']))} UTC</p>" if record_id else ""
    notice = f"<p class=problem>{escape(problem)}</p>" if problem else ""
    return f"<h2>{title}</h2>{stamp}{notice}<form method=post class=record>{inputs}<button>Save</button></form>"


def _input(env: Env, model: str, name: str, value: Any) -> str:
    field = env.model(model).fields[name]
    label = f"<label for={name}>{escape(field.title)}</label>"
    text = escape("" if value is False or value is None else str(value), quote=True)
    if field.type == "boolean":
        return f"{label}<input type=checkbox id={name} name={name} value=1{' checked' if value else ''}>"
    if field.type in ("text", "html"):
        return f"{label}<textarea id={name} name={name} rows=3>{text}</textarea>"
    if field.type in ("many2one", "selection"):
        if field.type == "selection":
            options = list(field.selection.items())
        else:
            ids = domain.search_ids(env.sudo(), field.relation, [])
            told = reading.read(env.sudo(), field.relation, ids, ["display_name"], None)
            options = [(str(option["id"]), option["display_name"]) for option in told]
        chosen = "".join(
            f'<option value="{escape(key)}"{" selected" if str(value) == key else ""}>{escape(str(title))}</option>'
            for key, title in options
        )
        return f"{label}<select id={name} name={name}><option></option>{chosen}</select>"
    kind = "number step=any" if field.type in ("float", "monetary", "integer") else "text"
    return f'{label}<input type={kind} id={name} name={name} value="{text}">'


def _save(env: Env, key: str, record_id: int | None, told: Mapping[str, str]) -> int:
    """Write only what the person changed, as Odoo's own form does."""
    shelf = SHELVES[key]
    fields = env.model(shelf.model).fields
    values: Values = {}
    for name in shelf.form:
        text = told.get(name, "").strip()
        kind = fields[name].type
        if kind == "boolean":
            values[name] = bool(text)
        elif kind in ("many2one", "integer"):
            values[name] = int(text) if text else False
        elif kind in ("float", "monetary"):
            values[name] = float(text) if text else 0.0
        else:
            values[name] = text or False
    if record_id is None:
        return crud.create(env, shelf.model, [{**shelf.starts_with, **values}])[0]
    current = reading.read(env, shelf.model, [record_id], shelf.form, "")[0]
    changed = {name: value for name, value in values.items() if current[name] != value}
    if changed:
        crud.write(env, shelf.model, [record_id], changed)
    return record_id
