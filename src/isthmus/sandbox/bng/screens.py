"""BNG's own screens at `/`: look through the records of every entity and edit one, as people at BNG do."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from aiohttp import web

from . import forms
from .errors import ApiError
from .http import EXTRA_HEADERS, decoded
from .schema import Doc, Entity
from .service import Sandbox

SHOWN = 80
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "customer": ("CompanyName", "FirstName", "LastName", "Email", "Phone", "Status"),
    "product": ("SKU", "Name", "ListPrice", "CurrencyCode", "UnitOfMeasure", "Status"),
    "vendor": ("CompanyName", "FirstName", "LastName", "Email", "TaxID", "Status"),
    "sales_order": ("OrderNumber", "OrderDate", "Status", "FulfillmentStatus", "TotalAmount", "CurrencyCode"),
    "invoice": ("InvoiceNumber", "InvoiceType", "InvoiceDate", "Status", "TotalAmount", "BalanceDue"),
    "payment": ("PaymentNumber", "PaymentDate", "PaymentType", "Status", "Amount", "CurrencyCode"),
    "inventory_item": ("SKU", "WarehouseCode", "LotNumber", "QuantityOnHand", "QuantityAvailable", "AsOf"),
    "purchase_order": ("PONumber", "OrderDate", "Status", "TotalAmount", "CurrencyCode"),
    "gl_entry": ("EntryNumber", "JournalCode", "PostingDate", "Status", "TotalDebit"),
    "employee": ("FirstName", "LastName", "WorkEmail", "JobTitle", "Status"),
}


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The routes of the screens; nobody has to log in."""
    screens = _Screens(sandbox)
    known = "|".join(entity.path for entity in sandbox.catalogue.roots)
    listed, one = f"/screens/{{path:{known}}}", f"/screens/{{path:{known}}}/{{key}}"
    return [
        web.get("/", screens.start),
        web.get("/screens", screens.start),
        web.get(listed, screens.listed),
        web.get(one, screens.form),
        web.post(one, screens.save),
    ]


class _Screens:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def start(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/screens/customers")

    async def listed(self, request: web.Request) -> web.Response:
        entity = self._entity(request)
        words = request.query.get("q", "")
        found = [decoded(raw) for raw in self._sandbox.store.newest_raw(entity.name, words, SHOWN)]
        columns = (*_COLUMNS[entity.name], "ExternalID", "UpdatedAt")
        head = "".join(f"<th>{name}</th>" for name in columns)
        lines = "".join(self._line(entity, doc, columns) for doc in found)
        most = f"the {SHOWN} changed last" if len(found) == SHOWN else f"{len(found)} found"
        search = (
            f'<form class=search><input name=q value="{escape(words)}" placeholder="Search {escape(entity.label)}">'
            f"<button>Search</button><a class=button href=/screens/{entity.path}/new>New</a><span>{most}</span></form>"
        )
        return self._page(
            request, entity, f"{search}<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
        )

    @staticmethod
    def _line(entity: Entity, doc: Doc, columns: tuple[str, ...]) -> str:
        link = f"/screens/{entity.path}/{quote(doc[entity.id], safe='')}"
        cells = (escape(str(doc[name] if doc[name] is not None else "")) or "&nbsp;" for name in columns)
        return "<tr>" + "".join(f'<td><a href="{link}">{cell}</a></td>' for cell in cells) + "</tr>"

    async def form(self, request: web.Request) -> web.Response:
        entity = self._entity(request)
        told = "<p class=done>Saved.</p>" if "saved" in request.query else ""
        doc = self._doc(entity, request.match_info["key"])
        if doc is None and request.match_info["key"] != "new":
            return self._gone(request, entity)
        return self._page(request, entity, told + self._shown(entity, doc))

    async def save(self, request: web.Request) -> web.Response:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise web.HTTPForbidden(text="This form is only accepted from the sandbox's own page.")
        entity, key = self._entity(request), request.match_info["key"]
        told = {name: str(value) for name, value in (await request.post()).items()}
        doc = self._doc(entity, key)
        if doc is None and key != "new":
            return self._gone(request, entity)
        try:
            values = forms.read(self._sandbox.catalogue, entity, doc, told)
            if doc is None:
                key = self._sandbox.writer.create(entity, values, origin="people").key
            elif values:
                self._sandbox.writer.update(entity, key, values, origin="people")
        except ApiError as error:
            lines = [f"{problem.field}: {problem.message}" for problem in error.problems] or [error.message]
            problem = f"<p class=problem>{escape(chr(10).join(lines))}</p>"
            return self._page(request, entity, problem + self._shown(entity, doc, told), 422)
        raise web.HTTPSeeOther(f"/screens/{entity.path}/{quote(key, safe='')}?saved=1")

    def _gone(self, request: web.Request, entity: Entity) -> web.Response:
        return self._page(request, entity, "<p class=problem>This record is not there any more.</p>", 404)

    def _entity(self, request: web.Request) -> Entity:
        return self._sandbox.entities[request.match_info["path"]]

    def _doc(self, entity: Entity, key: str) -> Doc | None:
        return None if key == "new" else self._sandbox.store.get(entity.name, key)

    def _shown(self, entity: Entity, doc: Doc | None, told: Mapping[str, str] | None = None) -> str:
        fields = forms.shown(self._sandbox.catalogue, entity, doc, told)
        title = f"New {entity.label}" if doc is None else f"{entity.label} {doc[entity.id]}"
        stamp = f"<p class=stamp>Version {doc['Version']}, changed {doc['UpdatedAt']}</p>" if doc is not None else ""
        return f"<h2>{escape(title)}</h2>{stamp}<form method=post class=record>{fields}<button>Save</button></form>"

    def _page(self, request: web.Request, entity: Entity, body: str, status: int = 200) -> web.Response:
        tabs = "".join(
            f'<a href="/screens/{one.path}"{" class=here" if one is entity else ""}>{escape(one.label)}</a>'
            for one in self._sandbox.catalogue.roots
        )
        frame = files(__package__).joinpath("screens.html").read_text("utf-8")
        headers: dict[str, Any] = request[EXTRA_HEADERS] | {
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        }
        text = frame.replace("{{tabs}}", tabs).replace("{{body}}", body)
        return web.Response(status=status, text=text, content_type="text/html", headers=headers)
