"""From an edit on one side to the commit on the other, with a real Odoo 19 and the BNG sandbox.

python benchmarks/latency_odoo.py [--rate 5] [--seconds 40] [--polling]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import urllib.request
from datetime import datetime
from typing import Any

import aiohttp
import handwritten
import psycopg
from handwritten import Odoo
from harness import percentile, say
from systems import between, bng_sandbox, load, odoo_database, rig, switch
from throughput import customers

RECORDS = 300


class Bench:
    """One pair, loaded and served, that is edited at a steady rate."""

    def __init__(self, odoo: Odoo, admin_key: str, dsn: str, bng: handwritten.Bng, bng_admin: str) -> None:
        self.odoo, self.admin_key, self.dsn = odoo, admin_key, dsn
        self.bng, self.bng_admin = bng, bng_admin

    def snapshot(self) -> list[dict[str, Any]]:
        request = urllib.request.Request(
            f"{self.bng.url}/sandbox/snapshot?entities=customer", headers={"Authorization": f"Bearer {self.bng_admin}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return list(json.load(answer)["customer"])

    async def from_bng(self, rate: float, seconds: float) -> list[float]:
        """Milliseconds from BNG's answer to an edit until Odoo's database shows it."""
        keys = [row["CustomerID"] for row in self.snapshot() if "@company" in row["Email"]]
        sent: dict[str, float] = {}
        seen: dict[str, float] = {}
        count = int(rate * seconds)

        async def edit(n: int) -> None:
            note = f"edit-b{n}"
            told = {"entity": "customer", "id": keys[n % len(keys)], "values": {"Website": f"http://{note}.example"}}
            await asyncio.to_thread(switch, self.bng, self.bng_admin, "edit", told)
            sent[note] = time.time()

        def look(conn: psycopg.Connection[Any]) -> None:
            for (website,) in conn.execute("select website from res_partner where website like 'http://edit-b%'"):
                seen.setdefault(website.removeprefix("http://").removesuffix(".example"), time.time())

        async def watch() -> None:
            with psycopg.connect(self.dsn, autocommit=True) as conn:
                while True:
                    await asyncio.to_thread(look, conn)
                    await asyncio.sleep(0.02)

        watcher = asyncio.create_task(watch())
        await steadily(edit, count, rate)
        await until(lambda: len(seen) == count)
        watcher.cancel()
        return [(seen[note] - at) * 1000 for note, at in sent.items() if note in seen]

    async def from_odoo(self, rate: float, seconds: float) -> list[float]:
        """Milliseconds from Odoo's answer to an edit until BNG's own time of the change."""
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            ids = [row[0] for row in conn.execute("select id from res_partner where email like 'office%@company%'")]
        sent: dict[str, float] = {}
        count = int(rate * seconds)
        async with aiohttp.ClientSession() as http:
            person = Odoo(self.odoo.url, self.odoo.database, self.admin_key)

            async def edit(n: int) -> None:
                await person.call(
                    http, "res.partner", "write", ids=[ids[n % len(ids)]], vals={"website": f"http://edit-o{n}.example"}
                )
                sent[f"http://edit-o{n}.example"] = time.time()

            await steadily(edit, count, rate)
        await until(lambda: sum("edit-o" in (row["Website"] or "") for row in self.snapshot()) >= min(count, RECORDS))
        changed = {row["Website"]: datetime.fromisoformat(row["UpdatedAt"]).timestamp() for row in self.snapshot()}
        return [(changed[site] - at) * 1000 for site, at in sent.items() if site in changed]


async def steadily(edit: Any, count: int, rate: float) -> None:
    """Make `count` edits, `rate` a second, whatever each takes."""
    begin = time.perf_counter()
    tasks = []
    for n in range(count):
        await asyncio.sleep(max(0.0, begin + n / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(edit(n)))
    await asyncio.gather(*tasks)


async def until(done: Any, *, seconds: float = 60) -> None:
    """Wait until it is so; give up quietly after a while, the figures tell."""
    end = time.perf_counter() + seconds
    while not done() and time.perf_counter() < end:
        await asyncio.sleep(0.3)


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=5)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--polling", action="store_true", help="without webhooks")
    given = parser.parse_args()
    assert given.rate * given.seconds <= RECORDS, "every record is edited once, so that no edit hides another"
    rig("up")
    with odoo_database("bench_latency") as odoo, bng_sandbox() as (bng, bng_admin):
        access = odoo.access
        switch(bng, bng_admin, "seed", {"entity": "customer", "records": customers(RECORDS)})
        with between(odoo, bng) as home:
            load(home)
            with home.serving() as (url, _):
                if not given.polling:
                    home.run("connection", "hooks", "bng", "--base-url", url)
                    admin = f"admin_key={access['admin_key']}"
                    home.run("connection", "hooks", "odoo", "--base-url", url, "--admin", admin)
                time.sleep(3)
                bench = Bench(odoo, access["admin_key"], access["dsn"], bng, bng_admin)
                there = asyncio.run(bench.from_bng(given.rate, given.seconds))
                back = asyncio.run(bench.from_odoo(given.rate, given.seconds))
    figures: dict[str, Any] = {"webhooks": not given.polling, "edits_each_way": int(given.rate * given.seconds)}
    for name, delays in (("bng_to_odoo", there), ("odoo_to_bng", back)):
        figures |= {
            f"{name}_arrived": len(delays),
            f"{name}_p50_ms": round(percentile(delays, 0.5)) if delays else None,
            f"{name}_p95_ms": round(percentile(delays, 0.95)) if delays else None,
        }
    say("latency with a real Odoo", figures)


if __name__ == "__main__":
    main()
