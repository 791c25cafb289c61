"""Initial load of customers between BNG and a real Odoo 19, against a hand-written script, in turns.

python benchmarks/throughput.py --direction to-odoo|to-bng [--records 10000] [--runs 5] [--quick]

The reference first finds its own best batch and number of callers on a part of the records. Then both load the same
records into empty systems, in turns; the outcome of each pair of runs is compared value by value.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
import urllib.request
from typing import Any

import aiohttp
import handwritten
from handwritten import FIELDS, Bng, Odoo
from harness import say
from systems import between, bng_sandbox, load, odoo_database, rig, switch


def customers(count: int) -> list[dict[str, Any]]:
    """Customers as BNG has them; every one differs."""
    places = [("Springfield", "IL", "62701"), ("Austin", "TX", "73301"), ("Portland", "OR", "97035")]
    out = []
    for n in range(count):
        city, state, code = places[n % len(places)]
        out.append(
            {
                "ExternalID": f"seed-{n}", "CompanyName": f"Company {n:05d} of {city}",
                "Email": f"office{n}@company{n}.example", "Phone": f"+1512555{n % 10000:04d}",
                "Website": f"http://www.company{n}.example", "TaxID": f"{100000000 + n}", "Status": "Active",
                "Notes": "hello",
                "BillingAddress": {
                    "Line1": f"{n} Main Street", "Line2": f"Suite {n % 90}", "City": city, "State": state,
                    "PostalCode": code, "CountryCode": "US",
                },
            }
        )  # fmt: skip
    return out


async def in_odoo(odoo: Odoo) -> list[tuple[Any, ...]]:
    """What Odoo has now, comparable between runs."""
    async with aiohttp.ClientSession() as http:
        rows = await odoo.call(
            http, "res.partner", "search_read", fields=list(FIELDS), load="",
            domain=[["email", "like", "office%@company%"]],
        )  # fmt: skip
    return sorted(tuple(row[name] for name in FIELDS) for row in rows)


def in_bng(bng: Bng, admin_key: str) -> list[str]:
    """What BNG has now, comparable between runs."""
    kept = ("CompanyName", "Email", "Phone", "Website", "TaxID", "Status", "BillingAddress")
    request = urllib.request.Request(
        f"{bng.url}/sandbox/snapshot?entities=customer", headers={"Authorization": f"Bearer {admin_key}"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        rows = json.load(answer)["customer"]
    plain = [{name: row.get(name) for name in kept} for row in rows]
    for row in plain:
        row["BillingAddress"] = {k: v for k, v in (row["BillingAddress"] or {}).items() if v}
    return sorted(json.dumps(row, sort_keys=True) for row in plain)


def best_of_reference(given: argparse.Namespace, bng: Bng) -> tuple[int, int, dict[str, float]]:
    """The batch and number of callers that serve the reference best, on a part of the records."""
    sizes = [(b, c) for b in (100, 500, 1000) for c in (1, 2, 4)]
    rates: dict[str, float] = {}
    part = min(2000, given.records)
    for batch, callers in [(500, 2)] if given.quick else sizes:
        with odoo_database("bench_reference") as odoo:
            started = time.perf_counter()
            asyncio.run(handwritten.to_odoo(bng, odoo, batch=batch, callers=callers, most=part))
            rates[f"{batch}x{callers}"] = round(part / (time.perf_counter() - started), 1)
    batch, callers = (int(x) for x in max(rates, key=lambda name: rates[name]).split("x"))
    return batch, callers, rates


def load_odoo(given: argparse.Namespace) -> dict[str, Any]:
    """BNG customers into Odoo."""
    reference: list[float] = []
    mine: list[float] = []
    with bng_sandbox() as (bng, admin_key):
        switch(bng, admin_key, "seed", {"entity": "customer", "records": customers(given.records)})
        batch, callers, tried = best_of_reference(given, bng)
        for _ in range(given.runs):
            with odoo_database("bench_reference") as odoo:
                started = time.perf_counter()
                asyncio.run(handwritten.to_odoo(bng, odoo, batch=batch, callers=callers))
                reference.append(time.perf_counter() - started)
                wanted = asyncio.run(in_odoo(odoo))
            with odoo_database("bench_ours") as odoo, between(odoo, bng) as home:
                seconds, done = load(home)
                mine.append(seconds)
                found = asyncio.run(in_odoo(odoo))
            assert len(wanted) == given.records, f"the reference wrote {len(wanted)}"
            assert found == wanted, (
                f"they differ: {done} {next(p for p in zip(found, wanted, strict=False) if p[0] != p[1])}"
            )
    return figures(given, reference, mine) | {"reference_batch": batch, "reference_callers": callers, "tried": tried}


CALLS, BURST = 5, 10
"""Calls a second that BNG's contract allows a client, and how many at once after a pause."""


def load_bng(given: argparse.Namespace) -> dict[str, Any]:
    """Odoo contacts into a BNG that allows what its contract says; and into one without any limit."""
    with odoo_database("bench_source") as odoo:
        with bng_sandbox() as (bng, admin_key):
            switch(bng, admin_key, "seed", {"entity": "customer", "records": customers(given.records)})
            asyncio.run(handwritten.to_odoo(bng, odoo, batch=500, callers=2))
        told = _load_bng(given, odoo, paced=True)
        told["without_limit"] = _load_bng(given, odoo, paced=False)
    return told


def _load_bng(given: argparse.Namespace, odoo: Odoo, *, paced: bool) -> dict[str, Any]:
    limits = {"rate_per_second": CALLS, "rate_burst": BURST} if paced else {}
    reference: list[float] = []
    mine: list[float] = []
    for _ in range(given.runs):
        with bng_sandbox() as (bng, admin_key):
            switch(bng, admin_key, "settings", limits, "PUT")
            started = time.perf_counter()
            pace = handwritten.Pace(CALLS, BURST) if paced else None
            asyncio.run(handwritten.to_bng(odoo, bng, batch=100, callers=4, pace=pace))
            reference.append(time.perf_counter() - started)
            wanted = [row for row in in_bng(bng, admin_key) if "@company" in row]
        with bng_sandbox() as (bng, admin_key), between(odoo, bng, paced=paced) as home:
            switch(bng, admin_key, "settings", limits, "PUT")
            seconds, done = load(home)
            mine.append(seconds)
            found = [row for row in in_bng(bng, admin_key) if "@company" in row]
        assert len(wanted) == given.records, f"the reference wrote {len(wanted)}"
        assert found == wanted, (
            f"they differ: {done} {next(p for p in zip(found, wanted, strict=False) if p[0] != p[1])}"
        )
    return figures(given, reference, mine)


def figures(given: argparse.Namespace, reference: list[float], mine: list[float]) -> dict[str, Any]:
    """Medians and their ratio: 1 is as fast as the reference, more is faster."""
    theirs, own = statistics.median(reference), statistics.median(mine)
    return {
        "records": given.records,
        "runs": given.runs,
        "reference_per_second": round(given.records / theirs, 1),
        "isthmus_per_second": round(given.records / own, 1),
        "ratio": round(theirs / own, 3),
        "reference_seconds": [round(s, 1) for s in reference],
        "isthmus_seconds": [round(s, 1) for s in mine],
    }


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--direction", choices=("to-odoo", "to-bng"), required=True)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="do not look for the reference's best batch")
    given = parser.parse_args()
    rig("up")
    say(f"throughput {given.direction}", load_odoo(given) if given.direction == "to-odoo" else load_bng(given))


if __name__ == "__main__":
    main()
