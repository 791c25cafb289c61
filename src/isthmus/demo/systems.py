"""The two systems as people see them, over HTTP: they seed, edit and look here, never through the product."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp

from isthmus.demo.seed import Values
from isthmus.errors import InvalidRecord, RefusedByTarget, Unavailable

BATCH = 200
MODELS = {"customer": "res.partner", "vendor": "res.partner", "product": "product.product"}
QUIET = {"tracking_disable": True, "active_test": False}
_CODED = {
    "country_id": ("res.country", "code"),
    "property_payment_term_id": ("account.payment.term", "name"),
    "property_supplier_payment_term_id": ("account.payment.term", "name"),
    "uom_id": ("uom.uom", "name"),
    "categ_id": ("product.category", "complete_name"),
}
"""References that are given by a code or name: the model and the field that holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OdooDoor:
    """How a person gets into the Odoo: `key` is an administrator's API key, never the one the product uses."""

    url: str
    database: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BngDoor:
    """How a person gets into the BNG sandbox: `admin_key` opens its /sandbox switches, the client reads its API."""

    url: str
    admin_key: str = field(repr=False)
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayDoor:
    """How a shop gets into the gateway sandbox, and the key of its own switches."""

    url: str
    security_key: str = field(repr=False)
    admin_key: str = field(repr=False)


class Odoo:
    """The Odoo of the demo: the sandbox or a real one."""

    def __init__(self, session: aiohttp.ClientSession, door: OdooDoor) -> None:
        self._session = session
        self._door = door
        self._ids: dict[tuple[str, str], dict[str, int]] = {}
        self._states: dict[tuple[str, str], int] = {}
        self.countries: dict[int, str] = {}

    async def call(self, model: str, method: str, **arguments: Any) -> Any:
        """One JSON-2 call as the administrator."""
        headers = {"Authorization": f"bearer {self._door.key}", "X-Odoo-Database": self._door.database}
        return await _asked(self._session, "POST", f"{self._door.url}/json/2/{model}/{method}", headers, arguments)

    async def learn(self) -> None:
        """Read the ids behind the codes that seeds and edits use."""
        for model, name in set(_CODED.values()):
            rows = await self.call(model, "search_read", domain=[], fields=[name], context={"active_test": False})
            self._ids[model, name] = {row[name]: row["id"] for row in rows}
        self.countries = {number: code for code, number in self._ids["res.country", "code"].items()}
        rows = await self.call("res.country.state", "search_read", domain=[], fields=["code", "country_id"], load="")
        self._states = {(self.countries[row["country_id"]], row["code"]): row["id"] for row in rows}

    async def make(self, entity: str, records: Sequence[Values]) -> list[int]:
        """Create records in batches, as a data import would; returns their ids in order."""
        out: list[int] = []
        for start in range(0, len(records), BATCH):
            rows = [self._row(values) for values in records[start : start + BATCH]]
            out += await self.call(MODELS[entity], "create", vals_list=rows, context=QUIET)
        return out

    async def edit(self, entity: str, key: str, values: Values) -> None:
        """Change one record, as a person would in a form."""
        if not key.isdigit():
            raise InvalidRecord(f"editing {entity} {key!r} in Odoo", answered="a key of Odoo is a number")
        await self.call(MODELS[entity], "write", ids=[int(key)], vals=self._row(values))

    async def read(self, entity: str, keys: Iterable[str], fields: Sequence[str]) -> dict[str, Values]:
        """Records by key; what is not there is left out."""
        ids = [int(key) for key in keys]
        rows: list[Values] = []
        for start in range(0, len(ids), 500):
            rows += await self.call(
                MODELS[entity], "read", ids=ids[start : start + 500], fields=list(fields), load="", context=QUIET
            )
        return {str(row["id"]): row for row in rows}

    async def search(self, entity: str, words: str, limit: int = 20) -> list[Values]:
        """Records whose name, e-mail or code holds the words."""
        fields = ("name", "default_code") if entity == "product" else ("name", "email")
        domain: list[Any] = ["|", *([name, "ilike", words] for name in fields)]
        if entity == "vendor":
            domain = ["&", ["supplier_rank", ">", 0], *domain]
        return list(
            await self.call(
                MODELS[entity], "search_read", domain=domain, fields=["id", *fields], limit=limit, context=QUIET
            )
        )

    async def count(self, products: Sequence[int], quantity: int) -> None:
        """Count so many of each product in the warehouse."""
        [house] = await self.call(
            "stock.warehouse", "search_read", domain=[], fields=["lot_stock_id"], load="", limit=1
        )
        place = house["lot_stock_id"]
        rows = [
            {"product_id": product, "location_id": place, "inventory_quantity_auto_apply": quantity}
            for product in products
        ]
        await self.call("stock.quant", "create", vals_list=rows, context={"inventory_mode": True})

    async def buy(self, records: Sequence[Values]) -> list[int]:
        """Make requests for quotation; returns their ids in order."""
        return list(await self.call("purchase.order", "create", vals_list=list(records), context=QUIET))

    async def confirm(self, purchases: Sequence[int]) -> None:
        """Confirm requests for quotation: now they are orders."""
        await self.call("purchase.order", "button_confirm", ids=list(purchases))

    async def give_up(self, purchases: Sequence[int]) -> None:
        """Cancel purchase orders."""
        await self.call("purchase.order", "button_cancel", ids=list(purchases))

    async def sales(self) -> dict[str, list[Values]]:
        """All sales orders by their origin: state, total, and what of their goods is delivered or set aside.

        `goods` are the numbers of the lines that are shipped at all; `reserved` says whether all of it is set aside.
        """
        names = ["state", "amount_total", "delivery_status", "origin"]
        orders = await self.call("sale.order", "search_read", domain=[], fields=names, order="id", load="")
        names = ["order_id", "sequence", "qty_delivered", "qty_delivered_method"]
        lines = await self.call("sale.order.line", "search_read", domain=[], fields=names, load="")
        domain = [["picking_code", "=", "outgoing"], ["state", "not in", ["assigned", "done", "cancel"]]]
        short = await self.call("stock.move", "search_read", domain=domain, fields=["origin"], load="")
        numbers = await self.call("sale.order", "search_read", domain=[], fields=["name"], load="")
        named = {row["id"]: row["name"] for row in numbers}
        lacking = {row["origin"] for row in short}
        out: dict[str, list[Values]] = {}
        for row in orders:
            mine = [x for x in lines if x["order_id"] == row["id"] and x["qty_delivered_method"] == "stock_move"]
            row["goods"] = {line["sequence"] for line in mine}
            row["delivered"] = sum(line["qty_delivered"] for line in mine)
            row["reserved"] = named[row["id"]] not in lacking
            out.setdefault(row["origin"] or "", []).append(row)
        return out

    async def bought(self, purchases: Sequence[int]) -> dict[str, Values]:
        """Purchase orders by key: state, total, and how much of them was `received`."""
        names = ["state", "amount_total", "receipt_status"]
        rows = await self.call("purchase.order", "read", ids=list(purchases), fields=names, load="")
        domain, names = [["order_id", "in", list(purchases)]], ["order_id", "qty_received"]
        lines = await self.call("purchase.order.line", "search_read", domain=domain, fields=names, load="")
        for row in rows:
            row["received"] = sum(line["qty_received"] for line in lines if line["order_id"] == row["id"])
        return {str(row["id"]): row for row in rows}

    async def with_email(self, entity: str, mail: str) -> list[int]:
        """The keys of the records with exactly this e-mail."""
        domain = [["email", "=", mail]]
        return list(await self.call(MODELS[entity], "search", domain=domain, context=QUIET))

    def _row(self, values: Mapping[str, Any]) -> Values:
        """Values with codes turned into ids, and a delivery address into a child contact."""
        out: Values = {}
        for name, value in values.items():
            if name == "state_id" and isinstance(value, str):
                out[name] = self._states[str(values["country_id"]), value]
            elif name == "delivery":
                out["child_ids"] = [(0, 0, {**self._row(value), "type": "delivery"})]
            elif name in _CODED and isinstance(value, str):
                out[name] = self._ids[_CODED[name]][value]
            else:
                out[name] = value
        return out


class Bng:
    """The BNG sandbox: its /sandbox switches stand for the people who work there."""

    def __init__(self, session: aiohttp.ClientSession, door: BngDoor) -> None:
        self._session = session
        self._door = door
        self._token = ""

    async def make(self, entity: str, records: Sequence[Values], *, quiet: bool = True) -> list[str]:
        """Store records all at once, without webhooks unless told otherwise; returns their ids in order."""
        told = await self._people("seed", {"entity": entity, "records": list(records), "quiet": quiet})
        return [str(key) for key in told["ids"]]

    async def edit(self, entity: str, key: str | None, values: Values) -> Values:
        """Change a record, or create one without a key, as a person at BNG would; returns the record."""
        told = {"entity": entity, "values": values} | ({"id": key} if key else {})
        return dict(await self._people("edit", told))

    async def everything(self, entity: str) -> dict[str, Values]:
        """All records by key."""
        headers = {"Authorization": f"Bearer {self._door.admin_key}"}
        url = f"{self._door.url}/sandbox/snapshot?entities={entity}"
        told = await _asked(self._session, "GET", url, headers, None)
        return {str(row[key_field(entity)]): row for row in told[entity]}

    async def read(self, entity: str, key: str) -> Values:
        """One record over the API."""
        return dict(await self._api(f"{entity}s/{key}"))

    async def ship(self, order: str, lines: Mapping[int, str] | None, tracking: str) -> None:
        """A ship notice of BNG's warehouse: quantities by line number, everything that is open without them."""
        notice: Values = {"Carrier": "UPS", "TrackingNumbers": [tracking]}
        if lines:
            notice["Lines"] = [{"LineNumber": number, "Quantity": quantity} for number, quantity in lines.items()]
        await self._api(f"sales_orders/{order}/fulfillments", notice)

    async def receive(self, order: str, lines: Mapping[int, str]) -> None:
        """Goods of a purchase order arrive at BNG's warehouse: quantities by line number."""
        rows = [{"LineNumber": number, "QuantityReceived": quantity} for number, quantity in lines.items()]
        await self._people("receive", {"id": order, "receipt": {"Lines": rows}})

    async def spoil(self, faults: Sequence[Values]) -> None:
        """Have requests go wrong from now on, as these switches say; none: no more."""
        headers = {"Authorization": f"Bearer {self._door.admin_key}"}
        await _asked(self._session, "DELETE", f"{self._door.url}/sandbox/faults", headers, None)
        for fault in faults:
            await self._people("faults", fault)

    async def with_email(self, entity: str, mail: str) -> list[str]:
        """The keys of the records with exactly this e-mail."""
        told = await self._api(f"{entity}s?Email={quote(mail)}")
        return [str(row[key_field(entity)]) for row in told["Data"]]

    async def _api(self, path: str, body: Values | None = None) -> Any:
        if not self._token:
            pair = f"{self._door.client_id}:{self._door.client_secret}"
            login = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
            form = {"grant_type": "client_credentials"}
            async with self._session.post(f"{self._door.url}/oauth/token", data=form, headers=login) as answer:
                self._token = str((await answer.json())["access_token"])
        headers = {"Authorization": f"Bearer {self._token}"}
        verb = "GET" if body is None else "POST"
        return await _asked(self._session, verb, f"{self._door.url}/api/v1/{path}", headers, body)

    async def search(self, entity: str, words: str, limit: int = 20) -> list[Values]:
        """Records whose name, e-mail or code holds the words."""
        wanted = words.casefold()
        fields = ("CompanyName", "FirstName", "LastName", "Email", "SKU", "Name")
        return [
            {"id": key, **{name: row[name] for name in fields if row.get(name)}}
            for key, row in (await self.everything(entity)).items()
            if wanted in " ".join(str(row[name]) for name in fields if row.get(name)).casefold()
        ][:limit]

    async def _people(self, switch: str, told: Values) -> Any:
        headers = {"Authorization": f"Bearer {self._door.admin_key}"}
        return await _asked(self._session, "POST", f"{self._door.url}/sandbox/{switch}", headers, told)


def key_field(entity: str) -> str:
    """The field that holds the key of a BNG record."""
    return f"{entity.title().replace('_', '')}ID"


class Gateway:
    """The payment gateway of the demo as a shop's check-out uses it: cards are one-time tokens, never numbers."""

    def __init__(self, session: aiohttp.ClientSession, door: GatewayDoor) -> None:
        self._session = session
        self._door = door
        self._cards = 0

    async def charge(self, order: str, amount: str, *, at_once: bool) -> None:
        """Authorise an order's total, or take it at once."""
        self._cards += 1
        form = {
            "security_key": self._door.security_key, "type": "sale" if at_once else "auth", "amount": amount,
            "payment_token": f"test-approve-card{self._cards}.{self._cards}", "orderid": order, "currency": "USD",
        }  # fmt: skip
        doing = f"charging order {order} at the gateway"
        try:
            async with self._session.post(f"{self._door.url}/api/transact.php", data=form) as answer:
                told = await answer.text()
        except (TimeoutError, aiohttp.ClientError) as error:
            raise Unavailable(
                doing, answered=f"{type(error).__name__}: {error}", hint="Is the demo running?"
            ) from error
        if "response=1&" not in f"{told}&":
            raise RefusedByTarget(doing, answered=told[:200], hint="Correct what was asked.")

    async def conditions(self, order: str) -> set[str]:
        """What has become of an order's transactions, in the gateway's own words."""
        headers = {"Authorization": f"Bearer {self._door.admin_key}"}
        url = f"{self._door.url}/sandbox/transactions?order={quote(order)}"
        return {str(row["condition"]) for row in await _asked(self._session, "GET", url, headers, None)}


async def _asked(session: aiohttp.ClientSession, verb: str, url: str, headers: Mapping[str, str], body: Any) -> Any:
    doing = f"asking {url.partition('://')[2]}"
    try:
        async with session.request(verb, url, headers=headers, json=body) as answer:
            told = await answer.json(content_type=None)
            if answer.status >= 400:
                raise RefusedByTarget(doing, answered=f"{answer.status} {_said(told)}", hint="Correct what was asked.")
            return told
    except (TimeoutError, aiohttp.ClientError, ValueError) as error:
        raise Unavailable(doing, answered=f"{type(error).__name__}: {error}", hint="Is the demo running?") from error


def _said(told: Any) -> str:
    if not isinstance(told, Mapping):
        return str(told)[:200]
    error = told.get("Error") or told
    details = "; ".join(f"{d.get('Field')} {d.get('Message')}" for d in error.get("Details") or ())
    return str(details or error.get("Message") or error.get("message") or error)[:300]
