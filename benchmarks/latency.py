"""Webhook to written, with a target that costs nothing: what Isthmus itself adds to every edit.

python benchmarks/latency.py [--rate 50] [--seconds 20]

Beside it runs a reference that only stores each delivery in the same kind of PostgreSQL before it answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
from harness import HERE, Installation, installation, percentile, say

RECORDS = 500
"""Records that are edited in turn; the first edits of each make it on the other side."""

MAPPING = """
mapping: bench-{side}
system: bench_stub
system_entity: account
canonical: customer
fields:
  name: {{from: name, required: true}}
  email: {{from: email}}
  phone: {{from: phone, steps: [text]}}
"""
PAIR = """
pair: bench
left: left
right: right
sweep_hours: 0
entities:
  customer:
    left: {mapping: bench-left}
    right: {mapping: bench-right}
    guard: {loop_writes: 1000000, writes: 1000000}
"""


def prepare(home: Installation, log: Path) -> str:
    """Two stub connections and a pair; returns the secret part of the left one's webhook address."""
    for side in ("left", "right"):
        words = ["connection", "add", side, "--kind", "bench_stub", "--set"]
        home.run(*words, f"log={log if side == 'right' else '/dev/null'}", "--secret", "hook_secret=bench-secret")
    folder = home.home / "pair"
    (folder / "mappings").mkdir(parents=True)
    (folder / "pair.yaml").write_text(PAIR)
    for side in ("left", "right"):
        (folder / "mappings" / f"bench-{side}.yaml").write_text(MAPPING.format(side=side))
    home.run("pair", "apply", str(folder))
    return "bench-secret"


async def fire(url: str, rate: float, seconds: float, name: str) -> tuple[dict[str, float], list[float]]:
    """Send deliveries at a steady rate; returns when each value was sent, and how long each answer took."""
    sent: dict[str, float] = {}
    answered: list[float] = []
    count = int(rate * seconds)

    async def one(session: aiohttp.ClientSession, n: int) -> None:
        phone = f"{name}-{n:07d}"
        number = n % RECORDS
        values = {"name": f"Customer {number}", "email": f"c{number}@example.com", "phone": phone}
        body = json.dumps({"id": f"{name}{n}", "key": f"k{number}", "values": values}).encode()
        sent[phone] = time.time()
        started = time.perf_counter()
        async with session.post(url, data=body) as answer:
            assert answer.status == 200, await answer.text()
        answered.append((time.perf_counter() - started) * 1000)

    async with aiohttp.ClientSession() as session:
        tasks = []
        begin = time.perf_counter()
        for n in range(count):
            await asyncio.sleep(max(0.0, begin + n / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(one(session, n)))
        await asyncio.gather(*tasks)
    return sent, answered


def written(log: Path, sent: dict[str, float]) -> list[float]:
    """Milliseconds from sending to writing of every value that was written; a newer value may have overtaken one."""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return [(row["at"] - sent[row["phone"]]) * 1000 for row in found if row.get("phone") in sent]


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    with installation(HERE / "stub") as home:
        log = home.home / "written.log"
        log.touch()
        secret = prepare(home, log)
        with home.serving() as (url, _):
            hook = f"{url}/hooks/left/{secret}"
            asyncio.run(fire(hook, given.rate, 3, "warm"))
            time.sleep(1)
            log.write_text("")
            sent, answered = asyncio.run(fire(hook, given.rate, given.seconds, "real"))
            time.sleep(2)
        delays = written(log, sent)
        figures: dict[str, Any] = {
            "events": len(sent),
            "written": len(delays),
            "written_p50_ms": round(percentile(delays, 0.5), 1),
            "written_p95_ms": round(percentile(delays, 0.95), 1),
            "answered_p50_ms": round(percentile(answered, 0.5), 1),
            "answered_p95_ms": round(percentile(answered, 0.95), 1),
        }
        say("latency", figures)


if __name__ == "__main__":
    main()
