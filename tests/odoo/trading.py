"""A pair that trades between a real Odoo and the BNG sandbox, and what people at both ends do in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from isthmus.detect.poll import poll
from isthmus.model.entities import ENTITIES as KNOWN
from isthmus.model.policy import Side
from isthmus.operate import lookups
from isthmus.operate import pairs as pairs_verbs
from isthmus.operate.assemble import template
from isthmus.operate.opening import opened
from isthmus.operate.runtime import Runtime
from isthmus.store import pairs
from joined import Systems, connect_bng, isthmus
from real_odoo import RealOdoo

PRODUCTS = ("CHAIR", "TABLE", "LAMP", "SHIP", "DISC", "ROUND")
ADDRESS = {"Name": "Dock 2", "Line1": "Kaai 7", "City": "Gent", "PostalCode": "9000", "CountryCode": "BE"}
SIDES: tuple[Side, Side] = ("left", "right")
ENTITIES = ("customer", "vendor", "product", "sales_order", "invoice", "payment", "purchase_order")


@dataclass
class Trade:
    """Both systems, the running pair, and the master data that is linked in it."""

    odoo: RealOdoo
    systems: Systems
    runtime: Runtime
    pair_id: int = 0
    customer: str = ""
    vendor: str = ""
    products: dict[str, str] = field(default_factory=dict)
    partner: int = 0
    supplier: int = 0
    variants: dict[str, int] = field(default_factory=dict)

    # -- what people at BNG do ---------------------------------------------------------------------------------

    async def seed(self, entity: str, *records: Mapping[str, Any]) -> list[str]:
        """Records typed into BNG; their ids."""
        told = await self.systems.in_bng("POST", "seed", entity=entity, records=list(records))
        return list(told["ids"])

    async def edit(self, entity: str, key: str, **fields: Any) -> None:
        """An edit by people at BNG."""
        await self.systems.in_bng("POST", "edit", entity=entity, id=key, values=fields)

    async def at_bng(self, entity: str) -> list[dict[str, Any]]:
        """All records of BNG."""
        return list((await self.systems.in_bng("GET", "snapshot", entities=entity))[entity])

    def line(self, number: int, sku: str, quantity: str, price: str, **more: Any) -> dict[str, Any]:
        """A line of an order, its total worked out."""
        total = Decimal(quantity) * Decimal(price) * (100 - Decimal(str(more.get("DiscountPercent") or 0))) / 100
        total -= Decimal(str(more.get("DiscountAmount") or 0))
        made = {"LineNumber": number, "ProductID": self.products[sku], "Quantity": quantity, "UnitPrice": price}
        return {**made, "LineTotal": f"{total:.2f}", **more}

    def order(self, *lines: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """An order of these lines, its totals worked out."""
        rows = list(lines) or [self.line(1, "CHAIR", "2", "40.0000"), self.line(2, "TABLE", "1", "99.5000")]
        subtotal = sum((Decimal(line["LineTotal"]) for line in rows), Decimal(0))
        tax = sum((Decimal(str(line.get("TaxAmount") or 0)) for line in rows), Decimal(0))
        given = {"ShippingTotal": "0.00", "DiscountTotal": "0.00", "TaxTotal": f"{tax:.2f}", **more}
        total = (
            subtotal + Decimal(given["TaxTotal"]) + Decimal(given["ShippingTotal"]) - Decimal(given["DiscountTotal"])
        )
        head = {"CustomerID": self.customer, "OrderDate": "2026-03-02T10:15:00Z", "Status": "Open"}
        return {
            **head, "CurrencyCode": "USD", "Subtotal": f"{subtotal:.2f}", "TotalAmount": f"{total:.2f}",
            "LineItems": rows, **given,
        }  # fmt: skip

    async def order_in_bng(self, *lines: Mapping[str, Any], **more: Any) -> str:
        """An order typed into BNG; its id."""
        [key] = await self.seed("sales_order", self.order(*lines, **more))
        return key

    # -- what is in Odoo ---------------------------------------------------------------------------------------

    def read(self, model: str, domain: Sequence[Any], *fields: str) -> list[dict[str, Any]]:
        return list(self.odoo.call(model, "search_read", domain=list(domain), fields=list(fields), order="id"))

    def new(self, model: str, **values: Any) -> int:
        [made] = self.odoo.call(model, "create", vals_list=[values])
        return int(made)

    def orders_in_odoo(self, *fields: str) -> list[dict[str, Any]]:
        return self.read("sale.order", [], *(fields or ("name", "state", "origin", "amount_total", "order_line")))

    def lines_in_odoo(self, order: int) -> list[dict[str, Any]]:
        names = ("sequence", "product_id", "name", "product_uom_qty", "price_unit", "discount", "tax_ids",
                 "price_subtotal")  # fmt: skip
        return self.read("sale.order.line", [["order_id", "=", order]], *names)

    # -- the pair ----------------------------------------------------------------------------------------------

    async def settle(self, *entities: str, rounds: int = 12) -> None:
        """Poll both sides and drain all lanes until nothing is due."""
        for _ in range(2):
            _, runtime = await self.runtime.pair(self.pair_id)
            kinds = {(side, b.side(side).entity) for b in runtime.entities.values() for side in SIDES}
            for side, kind in sorted(kinds):
                await poll(self.runtime.db, runtime, side, kind, self.runtime.wake)
            for _ in range(rounds):
                waits = []
                for name in runtime.entities:
                    waits.append(await self._drain(name))
                if all(wait is None or wait > 3 for wait in waits):
                    break
                await asyncio.sleep(min(0.3, *(w for w in waits if w is not None), 0.3))

    async def _drain(self, name: str) -> float | None:
        from isthmus.operate.runtime import take_lane

        lease = await self.runtime.db.run(take_lane, self.pair_id, name)
        assert lease is not None, await self.runtime.db.run(lambda conn: pairs.by_id(conn, self.pair_id))
        return await self.runtime._drain_once(self.pair_id, name, lease)

    async def letters(self) -> list[dict[str, Any]]:
        """What is held."""
        return list((await isthmus("deadletters", "list", "--json")).json)


Change = Callable[[dict[str, Any]], None]


def _files(
    settings: Mapping[str, Any],
    tables: Mapping[str, Sequence[tuple[str, str, str]]],
    change: Change,
    name: str = "odoo-bng-trade",
) -> Any:
    """The files of a template with settings, look-up rows (canonical, odoo, bng) and further changes."""
    body = template("pairs", name)
    for word, value in (("pair", "main"), ("left", "odoo"), ("right", "bng"), ("environment", "sandbox")):
        body = body.replace(f"${{{word}}}", value)
    made = yaml.safe_load(body)
    made["settings"] |= {"shipping_product": "SHIP", "discount_product": "DISC", **settings}
    change(made)
    described = [entity for entity in made["entities"] if entity not in KNOWN]
    own = {f"entities/{entity}.yaml": template("entities", entity) for entity in described}
    files = {"pair.yaml": yaml.safe_dump(made), **own, **lookups.shipped()}
    for table, rows in tables.items():
        told = [
            f"{system},{value},{row[0]}"
            for row in rows
            for system, value in zip(("odoo", "bng"), row[1:], strict=True)
            if value
        ]
        files[f"lookups/{table}.csv"] = "\n".join(["system,value,canonical", *told, ""])
    return files


@asynccontextmanager
async def trading(
    odoo: RealOdoo,
    systems: Systems,
    *,
    settings: Mapping[str, Any] | None = None,
    tables: Mapping[str, Sequence[tuple[str, str, str]]] | None = None,
    change: Change = lambda made: None,
    url: str = "",
    name: str = "odoo-bng-trade",
) -> AsyncIterator[Trade]:
    """A pair of a template that ships with a customer, a vendor and products linked on both sides."""
    made = ["connection", "add", "odoo", "--kind", "odoo", "--url", url or odoo.url, "--no-check", "--set"]
    made += [f"database={odoo.database}", "--set", f"login={odoo.login}", "--set", "allow_loopback=true"]
    for command in ([*made, "--secret", f"api_key={odoo.api_key}"], connect_bng(systems)):
        said = await isthmus(*command)
        assert said.code == 0, said
    async with opened() as runtime:
        await pairs_verbs.apply(runtime, _files(settings or {}, tables or {}, change, name), actor="test")
        trade = Trade(odoo, systems, runtime)
        trade.partner = trade.new(
            "res.partner", name="Azure", is_company=True, customer_rank=1, email="a@azure.example.com"
        )
        trade.supplier = trade.new(
            "res.partner", name="Gent Supply", is_company=True, supplier_rank=1, email="g@supply.example.com"
        )
        for sku in PRODUCTS:
            trade.variants[sku] = trade.new(
                "product.product", name=sku.title(), default_code=sku, list_price=10, is_storable=sku in PRODUCTS[:3],
                type="service" if sku in PRODUCTS[3:] else "consu", taxes_id=[[6, 0, []]],
                supplier_taxes_id=[[6, 0, []]],
            )  # fmt: skip
        said = await isthmus("load", "main", "--yes", "--json")
        assert said.code == 0, said
        trade.pair_id = await runtime.db.run(lambda conn: pairs.get(conn, "main").id)
        trade.products = {row["SKU"]: row["ProductID"] for row in await trade.at_bng("product")}
        [trade.customer] = [r["CustomerID"] for r in await trade.at_bng("customer") if r["CompanyName"] == "Azure"]
        [trade.vendor] = [r["VendorID"] for r in await trade.at_bng("vendor") if r["CompanyName"] == "Gent Supply"]
        yield trade
