"""Orders of BNG until they are confirmed sales orders on a real Odoo 19, against a hand-written script, in turns.

python benchmarks/orders.py [--orders 300] [--runs 3] [--quick]

The reference first finds its own best batch. Then both make the same documents in empty systems, in turns: the script
creates and confirms and remembers nothing; Isthmus is the service with its pair and the flow order-to-cash. Lines,
totals and deliveries of each pair of runs are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from handwritten import BEST_CONTEXT, Bng, Odoo
from harness import Installation, say
from systems import between, bng_sandbox, odoo_database, rig, switch

PRODUCTS = {"CHAIR": "40.00", "TABLE": "99.50", "LAMP": "12.50", "DESK": "210.00"}
CUSTOMERS = 20
LONGEST = 170.0


def call(odoo: Odoo, model: str, method: str, **arguments: Any) -> Any:
    """One call outside of what is measured."""

    async def once() -> Any:
        async with aiohttp.ClientSession() as http:
            return await odoo.call(http, model, method, **arguments)

    return asyncio.run(once())


# -- the same start for both -------------------------------------------------------------------------------------


def furnish(odoo: Odoo) -> None:
    """Customers, products and goods in Odoo."""
    people = [{"name": f"Buyer {n}", "is_company": True, "customer_rank": 1, "email": f"b{n}@buyers.example.com",
               "vat": f"US{100_000_000 + n}"} for n in range(CUSTOMERS)]  # fmt: skip
    call(odoo, "res.partner", "create", vals_list=people)
    goods = [{"name": sku.title(), "default_code": sku, "list_price": float(price), "is_storable": True,
              "type": "consu", "taxes_id": [[6, 0, []]]} for sku, price in PRODUCTS.items()]  # fmt: skip
    made = call(odoo, "product.product", "create", vals_list=goods)
    [warehouse] = call(odoo, "stock.warehouse", "search_read", domain=[], fields=["lot_stock_id"])
    rows = [{"product_id": key, "location_id": warehouse["lot_stock_id"][0], "inventory_quantity_auto_apply": 10_000}
            for key in made]  # fmt: skip
    call(odoo, "stock.quant", "create", vals_list=rows, context={"inventory_mode": True})


def records(bng: Bng, admin_key: str, entity: str) -> list[dict[str, Any]]:
    """All records of BNG, oldest first."""
    return list(switch(bng, admin_key, "snapshot", {"entities": entity}, "GET")[entity])


def stock_bng(bng: Bng, admin_key: str, count: int) -> None:
    """The same customers and products at BNG, and the orders."""
    people = [{"CompanyName": f"Buyer {n}", "Email": f"b{n}@buyers.example.com", "TaxID": f"US{100_000_000 + n}"}
              for n in range(CUSTOMERS)]  # fmt: skip
    goods = [{"SKU": sku, "Name": sku.title(), "ProductType": "Stocked", "UnitOfMeasure": "EA", "ListPrice": price,
              "CurrencyCode": "USD"} for sku, price in PRODUCTS.items()]  # fmt: skip
    switch(bng, admin_key, "seed", {"entity": "customer", "records": people})
    switch(bng, admin_key, "seed", {"entity": "product", "records": goods})
    switch(bng, admin_key, "seed", {"entity": "sales_order", "records": order_rows(bng, admin_key, count)})


def order_rows(bng: Bng, admin_key: str, count: int) -> list[dict[str, Any]]:
    """Orders of three lines each, all confirmed; every one differs."""
    customers = [row["CustomerID"] for row in records(bng, admin_key, "customer")]
    products = {row["SKU"]: row["ProductID"] for row in records(bng, admin_key, "product")}
    skus = list(PRODUCTS)
    out = []
    for n in range(count):
        chosen = [(sku, 1 + (n + i) % 5) for i, sku in enumerate(skus[n % 2 : n % 2 + 3])]
        lines = [
            {"LineNumber": i, "ProductID": products[sku], "Quantity": str(quantity), "UnitPrice": PRODUCTS[sku],
             "LineTotal": f"{quantity * float(PRODUCTS[sku]):.2f}"}
            for i, (sku, quantity) in enumerate(chosen, 1)
        ]  # fmt: skip
        total = f"{sum(float(line['LineTotal']) for line in lines):.2f}"
        out.append(
            {"OrderNumber": f"B-{n:05d}", "OrderDate": "2026-03-02T10:15:00Z", "Status": "Confirmed",
             "CustomerID": customers[n % len(customers)], "PaymentStatus": "Paid", "CurrencyCode": "USD",
             "Subtotal": total, "TaxTotal": "0.00", "ShippingTotal": "0.00", "DiscountTotal": "0.00",
             "TotalAmount": total, "LineItems": lines}
        )  # fmt: skip
    return out


def documents(odoo: Odoo) -> list[Any]:
    """What there is now, comparable between runs."""
    fields = ["client_order_ref", "state", "amount_total", "partner_id", "order_line", "picking_ids"]
    orders = call(odoo, "sale.order", "search_read", domain=[], fields=fields)
    lines = call(
        odoo, "sale.order.line", "search_read", domain=[], fields=["product_id", "product_uom_qty", "price_unit"]
    )
    by_id = {row["id"]: (row["product_id"][1], row["product_uom_qty"], row["price_unit"]) for row in lines}
    moves = call(odoo, "stock.picking", "search_read", domain=[], fields=["state"])
    states = {row["id"]: row["state"] for row in moves}
    return sorted(
        (o["client_order_ref"], o["state"], o["amount_total"], o["partner_id"][1],
         [by_id[n] for n in sorted(o["order_line"])], [states[n] for n in o["picking_ids"]])
        for o in orders
    )  # fmt: skip


# -- the reference -----------------------------------------------------------------------------------------------


async def pages(bng: Bng, http: aiohttp.ClientSession, plural: str) -> list[dict[str, Any]]:
    """Every record of an entity."""
    headers, cursor, out = await bng.token(http), "", []
    while True:
        more = f"&cursor={cursor}" if cursor else ""
        async with http.get(f"{bng.url}/api/v1/{plural}?limit=200{more}", headers=headers) as answer:
            told = await answer.json()
        out += told["Data"]
        if not told["Paging"]["HasMore"]:
            return out
        cursor = told["Paging"]["NextCursor"]


async def by_hand(bng: Bng, odoo: Odoo, batch: int, most: int = 10**9) -> None:
    """Create and confirm BNG's orders in batches; customers are found by e-mail, products by SKU, totals compared."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as http:
        people = await odoo.call(http, "res.partner", "search_read", domain=[["email", "!=", False]], fields=["email"])
        goods = await odoo.call(http, "product.product", "search_read", domain=[], fields=["default_code"])
        partners = {row["email"]: row["id"] for row in people}
        variants = {row["default_code"]: row["id"] for row in goods}
        buyers = {row["CustomerID"]: row["Email"] for row in await pages(bng, http, "customers")}
        skus = {row["ProductID"]: row["SKU"] for row in await pages(bng, http, "products")}
        wanted = (await pages(bng, http, "sales_orders"))[:most]
        for at in range(0, len(wanted), batch):
            part = wanted[at : at + batch]
            rows = [
                {"partner_id": partners[buyers[o["CustomerID"]]], "origin": o["SalesOrderID"],
                 "client_order_ref": o["OrderNumber"], "date_order": o["OrderDate"][:19].replace("T", " "),
                 "order_line": [
                     [0, 0, {"product_id": variants[skus[line["ProductID"]]], "sequence": line["LineNumber"],
                             "product_uom_qty": float(line["Quantity"]), "price_unit": float(line["UnitPrice"]),
                             "discount": 0, "tax_ids": [[6, 0, []]]}]
                     for line in o["LineItems"]]}
                for o in part
            ]  # fmt: skip
            made = await odoo.call(http, "sale.order", "create", vals_list=rows, context=BEST_CONTEXT)
            told = await odoo.call(http, "sale.order", "read", ids=made, fields=["amount_total"])
            totals = {row["id"]: f"{row['amount_total']:.2f}" for row in told}
            assert [totals[key] for key in made] == [o["TotalAmount"] for o in part]
            await odoo.call(http, "sale.order", "action_confirm", ids=made, context=BEST_CONTEXT)


# -- ours --------------------------------------------------------------------------------------------------------


@contextmanager
def joined(odoo: Odoo, bng: Bng) -> Iterator[Installation]:
    """An installation with pair and flow; master data is linked."""
    with between(odoo, bng, template="odoo-bng-trade") as home:
        for entity in ("customer", "product"):
            home.run("load", "main", "--entity", entity, "--yes")
        # the flow has a gateway, which orders that are not shipped never ask
        home.run("connection", "add", "till", "--kind", "bng_gateway", "--url", bng.url, "--set", "allow_loopback=true",
                 "--secret", "security_key=unused-security-key", "--no-check")  # fmt: skip
        path = Path(home.home) / "order-to-cash.yaml"
        path.write_text(home.run("flow", "templates", "order-to-cash")["file"])
        bound = ("bng=bng", "odoo=odoo", "gateway=till", "trade=main")
        home.run("flow", "import", str(path), *(word for role in bound for word in ("--bind", role)))
        home.run("flow", "publish", "order-to-cash")
        yield home


def confirmed(odoo: Odoo) -> int:
    """How many orders are confirmed."""
    return int(call(odoo, "sale.order", "search_count", domain=[["state", "=", "sale"]]))


def served(home: Installation, odoo: Odoo, count: int) -> float:
    """Seconds from the start of the service until all are confirmed."""
    started = time.perf_counter()
    with home.serving():
        while (done := confirmed(odoo)) < count:
            assert time.perf_counter() - started < LONGEST, f"{done} of {count}: {home.run('deadletters', 'list')}"
            time.sleep(0.5)
        return time.perf_counter() - started


def best_batch(given: argparse.Namespace) -> tuple[int, dict[str, float]]:
    """The batch that serves the reference best, on a part of the orders."""
    rates: dict[str, float] = {}
    part = min(given.orders, 100)
    for batch in [50] if given.quick else (20, 50, 100):
        with odoo_database("bench_orders") as odoo, bng_sandbox() as (bng, admin_key):
            furnish(odoo)
            stock_bng(bng, admin_key, part)
            started = time.perf_counter()
            asyncio.run(by_hand(bng, odoo, batch))
            rates[str(batch)] = round(part / (time.perf_counter() - started), 2)
    return int(max(rates, key=lambda name: rates[name])), rates


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="do not look for the reference's best batch")
    given = parser.parse_args()
    rig("up")
    batch, tried = best_batch(given)
    reference: list[float] = []
    mine: list[float] = []
    for _ in range(given.runs):
        found = []
        for ours in (False, True):
            with odoo_database("bench_orders") as odoo, bng_sandbox() as (bng, admin_key):
                furnish(odoo)
                stock_bng(bng, admin_key, given.orders)
                if ours:
                    with joined(odoo, bng) as home:
                        mine.append(served(home, odoo, given.orders))
                else:
                    started = time.perf_counter()
                    asyncio.run(by_hand(bng, odoo, batch))
                    reference.append(time.perf_counter() - started)
                found.append(documents(odoo))
        differ = [pair for pair in zip(*found, strict=False) if pair[0] != pair[1]]
        assert len(found[0]) == len(found[1]) == given.orders, [len(one) for one in found]
        assert not differ, json.dumps(differ[0])
    theirs, own = statistics.median(reference), statistics.median(mine)
    say(
        "orders to confirmed sale.order",
        {
            "orders": given.orders,
            "runs": given.runs,
            "reference_per_second": round(given.orders / theirs, 2),
            "isthmus_per_second": round(given.orders / own, 2),
            "ratio": round(theirs / own, 3),
            "reference_batch": batch,
            "tried": tried,
            "reference_seconds": [round(s, 1) for s in reference],
            "isthmus_seconds": [round(s, 1) for s in mine],
        },
    )


if __name__ == "__main__":
    main()
