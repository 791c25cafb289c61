"""From a count in a real Odoo 19 until BNG and a shop show it, by the pair of operations and the flow stock-to-shop.

python benchmarks/stock.py [--rate 2] [--seconds 30] [--hooks]

Each product is counted once, so that no count hides another. Odoo is polled as the pair's template says; with `--hooks`
both systems tell by webhooks as well. The shop is looked at every 50 ms, BNG tells when it took the count in.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from handwritten import Bng, Odoo
from harness import Installation, installation, percentile, say
from latency_odoo import steadily, until
from systems import bng_sandbox, odoo_database, rig, switch

from isthmus.operate import flowtemplates

ENTITIES = ("vendor", "product_template", "product", "inventory_item")
FIRST, SECOND = 5, 1000
"""What lies there at first, and from where the counts of the benchmark go up."""


class Shop:
    """The stand-in of a shop in a process of its own."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.url, self.token, self.hook_secret = told["url"], told["access_token"], told["webhook_secret"]
        self._headers = {"Authorization": f"Bearer {told['admin_key']}"}

    def door(self, verb: str, body: Any = None, query: str = "") -> Any:
        """One of its switches."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/sandbox/{verb}{query}", data=data, headers=self._headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def available(self) -> dict[str, int]:
        """What it may sell at its first location, by inventory item."""
        return {one["item"]: one["counts"]["available"] for one in self.door("all", query="?kind=InventoryLevel")}


@contextmanager
def shop_sandbox() -> Iterator[Shop]:
    """A shop, ended afterwards."""
    command = [sys.executable, "-m", "isthmus.sandbox.shop", "--print-ready"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Shop(json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(20)


def skus(count: int) -> list[str]:
    """The SKUs of the benchmark."""
    return [f"BENCH-{n}" for n in range(count)]


async def in_odoo(odoo: Odoo, count: int) -> list[int]:
    """Products with stock in Odoo; their quants, in the order of the SKUs."""
    async with aiohttp.ClientSession() as http:
        [place] = await odoo.call(http, "stock.location", "search", domain=[["complete_name", "=", "WH/Stock"]])
        rows = [{"name": sku, "default_code": sku, "is_storable": True, "list_price": 10} for sku in skus(count)]
        made = await odoo.call(http, "product.product", "create", vals_list=rows)
        counts = [{"product_id": p, "location_id": place, "inventory_quantity_auto_apply": FIRST} for p in made]
        mode = {"inventory_mode": True}
        return list(await odoo.call(http, "stock.quant", "create", vals_list=counts, context=mode))


def joined(home: Installation, odoo: Odoo, bng: Bng, shop: Shop) -> None:
    """Connections, pair, first load and the published flow."""
    loop = ("--set", "allow_loopback=true", "--no-check")
    home.run("connection", "add", "odoo", "--kind", "odoo", "--url", odoo.url, "--set", f"database={odoo.database}",
             "--secret", f"api_key={odoo.key}", *loop)  # fmt: skip
    home.run("connection", "add", "bng", "--kind", "bng", "--url", bng.url, "--set", f"client_id={bng.client_id}",
             "--set", "calls_per_second=0", "--secret", f"client_secret={bng.client_secret}", *loop)  # fmt: skip
    home.run("connection", "add", "shop", "--kind", "shopify", "--url", shop.url, "--set", "points_per_second=0",
             "--secret", f"access_token={shop.token}", "--secret", f"webhook_secret={shop.hook_secret}",
             *loop)  # fmt: skip
    home.run("pair", "add", "main", "--left", "odoo", "--right", "bng", "--template", "odoo-bng-operations")
    for entity in ENTITIES:
        home.run("load", "main", "--entity", entity, "--yes")
    [place, *_] = [one["number_id"] for one in shop.door("all", query="?kind=Location")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stock-to-shop.yaml"
        file.write_text(flowtemplates.file("stock-to-shop").replace("      WH: '1'\n", f"      WH: '{place}'\n"))
        roles = ("shop=shop", "bng=bng", "stock=main")
        home.run("flow", "import", str(file), *[word for role in roles for word in ("--bind", role)])
    home.run("flow", "publish", "stock-to-shop")


async def counted(odoo: Odoo, shop: Shop, quants: list[int], items: list[str], rate: float) -> dict[str, list[float]]:
    """When each count was answered by Odoo and when the shop first showed it, by SKU."""
    sent: dict[str, float] = {}
    seen: dict[str, float] = {}
    names = skus(len(quants))

    async def edit(n: int) -> None:
        values = {"inventory_quantity_auto_apply": SECOND + n}
        mode = {"inventory_mode": True}
        await odoo.call(http, "stock.quant", "write", ids=[quants[n]], vals=values, context=mode)
        sent[names[n]] = time.time()

    async def watch() -> None:
        while True:
            told = await asyncio.to_thread(shop.available)
            for n, name in enumerate(names):
                if told.get(items[n]) == SECOND + n:
                    seen.setdefault(name, time.time())
            await asyncio.sleep(0.05)

    async with aiohttp.ClientSession() as http:
        watcher = asyncio.create_task(watch())
        await steadily(edit, len(quants), rate)
        await until(lambda: len(seen) == len(quants))
        watcher.cancel()
    return {name: [sent[name], seen[name]] for name in names if name in seen}


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--hooks", action="store_true", help="webhooks beside polling")
    given = parser.parse_args()
    count = int(given.rate * given.seconds)
    rig("up")
    with odoo_database("bench_stock") as odoo, bng_sandbox() as (bng, bng_admin), shop_sandbox() as shop:
        quants = asyncio.run(in_odoo(odoo, count))
        for sku in skus(count):
            shop.door("product", {"title": sku, "sku": sku, "price": "10.00", "available": 0})
        found = {one["sku"]: one["inventoryItem"] for one in shop.door("all", query="?kind=ProductVariant")}
        items = [found[sku] for sku in skus(count)]
        with installation() as home:
            joined(home, odoo, bng, shop)
            with home.serving() as (url, _):
                if given.hooks:
                    home.run("connection", "hooks", "bng", "--base-url", url)
                    admin = f"admin_key={odoo.access['admin_key']}"
                    home.run("connection", "hooks", "odoo", "--base-url", url, "--admin", admin)
                time.sleep(10)  # what the first load left for the flow is done
                times = asyncio.run(counted(odoo, shop, quants, items, given.rate))
        held = switch(bng, bng_admin, "snapshot", {"entities": "inventory_item"}, "GET")["inventory_item"]
        level = shop.available()
    wanted = {sku: SECOND + n for n, sku in enumerate(skus(count))}
    at_bng = {one["SKU"]: one for one in held}
    delays = {
        "bng": [(datetime.fromisoformat(at_bng[sku]["UpdatedAt"]).timestamp() - at[0]) * 1000
                for sku, at in times.items()],
        "shop": [(at[1] - at[0]) * 1000 for at in times.values()],
    }  # fmt: skip
    figures: dict[str, Any] = {"hooks": given.hooks, "counts": count, "arrived": len(times)}
    figures["right_at_bng"] = sum(float(at_bng[sku]["QuantityOnHand"]) == amount for sku, amount in wanted.items())
    figures["right_in_shop"] = sum(level[item] == SECOND + n for n, item in enumerate(items))
    for name, found_delays in delays.items():
        for share in (0.5, 0.95):
            figures[f"{name}_p{round(share * 100)}_ms"] = round(percentile(found_delays, share)) if times else None
    say("stock from a real Odoo to BNG and a shop", figures)


if __name__ == "__main__":
    main()
