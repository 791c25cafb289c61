"""What the flow runtime itself costs: CPU per item and step, one item at a time and in batches of 100.

python benchmarks/flows.py [--singles 200] [--batches 20]

The Connection of the one effect is a system in memory, so that the figures are the engine's: this process and the
PostgreSQL server, apart. A step is one node's execution for one item; the flow has eight, two effects among them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "flows"))

from flow_world import FlowInstallation

from isthmus.store.database import Database
from isthmus.store.migrate import migrate
from isthmus.store.postgres import as_psycopg, start_embedded, stop_embedded

FLOW = """
flow: bench
connections: {books: {}}
nodes:
  start: {type: manual, to: total}
  total: {type: set, fields: {total: "multiply(item.price, item.quantity)", name: upper(item.name)}, to: rules}
  rules:
    type: validate
    rules:
      - {name: positive, check: "at_least(item.total, 0)", message: Negative.}
      - {name: mail, check: "is_email(item.mail)", message: No address.}
    to: kind
  kind: {type: switch, cases: [{port: big, when: "at_least(item.total, 100)"}], to: {big: write, otherwise: write}}
  write:
    type: upsert
    connection: books
    entity: order
    values: {name: item.name, total: item.total, mail: item.mail}
    to: shape
  shape:
    type: map
    keep: true
    fields: {mail: {from: mail, steps: [trim, {case: lower}]}}
    to: close
  close:
    type: upsert
    connection: books
    entity: order
    key: item.record.key
    values: {state: "'done'"}
    to: end
  end: {type: filter, when: item.record.key != ''}
"""
STEPS = 8


def servers() -> list[psutil.Process]:
    """The processes of the embedded PostgreSQL."""
    return [p for p in psutil.process_iter(["name"]) if (p.info["name"] or "").startswith("postgres")]


def cpu(processes: list[psutil.Process]) -> float:
    """CPU seconds used so far, by the children that have ended as well."""
    total = 0.0
    for process in processes:
        try:
            t = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += t.user + t.system + t.children_user + t.children_system
    return total


def item(n: int) -> dict[str, Any]:
    """An order of about 600 bytes."""
    return {
        "number": f"S{n:05}", "name": f"Order {n}", "price": "12.50", "quantity": n % 20 + 1,
        "mail": f"Customer{n}@example.com", "note": "x" * 300, "lines": [{"sku": f"A{i}", "q": i} for i in range(5)],
    }  # fmt: skip


async def measured(house: FlowInstallation, flow: int, keys: list[list[int]]) -> dict[str, float]:
    """Trigger and drain group after group."""
    mine, theirs = psutil.Process(), servers()
    own, server, started, cost = cpu([mine]), cpu(theirs), time.perf_counter(), 0
    for group in keys:
        from isthmus.operate import flows as verbs

        await verbs.begin(house.runtime, "bench", [(f"K{n}", item(n)) for n in group], actor="bench")
        from isthmus.engine.lease import take

        lease = await house.db.run(take, f"flow:{flow}")
        await house.runtime.flows.drain(flow, lease)
        cost += len(group)
    steps = cost * STEPS
    return {
        "items": cost,
        "own_cpu_ms_per_item_and_step": round((cpu([mine]) - own) * 1000 / steps, 3),
        "server_cpu_ms_per_item_and_step": round((cpu(theirs) - server) * 1000 / steps, 3),
        "wall_ms_per_item": round((time.perf_counter() - started) * 1000 / cost, 2),
    }


async def run(url: str, singles: int, batches: int) -> dict[str, Any]:
    """Measure and check that everything was done."""
    db = Database(as_psycopg(url))
    migrate(db)
    house = FlowInstallation(db)
    house.system("books")
    flow = await house.publish(FLOW)
    await measured(house, flow, [[n] for n in range(20)])
    figures: dict[str, Any] = {
        "single": await measured(house, flow, [[n] for n in range(1000, 1000 + singles)]),
        "batch_100": await measured(
            house, flow, [list(range(10_000 + 100 * n, 10_100 + 100 * n)) for n in range(batches)]
        ),
    }
    steps = house.one("select count(*) from run_step")
    done = house.states()
    assert steps == (20 + singles + 100 * batches) * STEPS, steps
    assert done == {"done": 20 + singles + 100 * batches}, done
    with db.transaction() as conn:
        figures["bytes_per_item"] = int(
            conn.execute(
                text("""select (pg_total_relation_size('run_item') + pg_total_relation_size('run_step')
                         + pg_total_relation_size('run') + pg_total_relation_size('run_intent'))
                         / (select count(*) from run)""")
            ).scalar_one()
        )
    await house.close()
    db.close()
    return figures


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--singles", type=int, default=200)
    parser.add_argument("--batches", type=int, default=20)
    given = parser.parse_args()
    os.environ["ISTHMUS_POSTGRES_UNSAFE_FAST"] = "1"
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        url = start_embedded(Path(folder) / "data")
        try:
            print(json.dumps(asyncio.run(run(url, given.singles, given.batches)), indent=1))
        finally:
            stop_embedded(Path(folder) / "data")


if __name__ == "__main__":
    main()
