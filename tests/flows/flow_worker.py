"""A process that forks workers: each drains every flow, and is killed at the n-th point where a kill could hurt.

Reads lines `n` from standard input (0: never killed) and answers with how the worker ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from flow_world import FlowInstallation
from kept_system import KeptConnector

from isthmus.flows.node import node_types
from isthmus.store.database import Database
from isthmus.store.postgres import as_psycopg

ORDER = """
flow: order
connections: {books: {}, till: {}}
nodes:
  start: {type: manual, to: document}
  document:
    type: upsert
    connection: books
    entity: order
    values: {number: item.number, total: item.total}
    to: capture
  capture:
    type: call
    connection: till
    operation: capture
    input: {document: item.record.key, amount: item.total}
    to: lines
  lines: {type: split, list: lines, into: line, to: line}
  line:
    type: upsert
    connection: books
    entity: line
    values: {sku: item.line.sku}
    into: made
    to: together
  together: {type: join, to: paid}
  paid:
    type: upsert
    connection: books
    entity: order
    key: item.record.key
    values: {paid: "'yes'"}
    to: end
  end: {type: set, fields: {lines: size(item.items)}}
"""
STEPS = ["start", "document", "capture", "lines", "line", "line", "together", "paid", "end"]


class Killing:
    """Counts points; the n-th kills the process, as a power cut would."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.seen = 0

    def __call__(self, _: str) -> None:
        self.seen += 1
        if self.seen == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


async def work(url: str, at: int) -> int:
    """Drain everything; returns how many points there were."""
    db = Database(as_psycopg(url))
    killing = Killing(at)
    run: Any = db.run

    async def counted(fn: Any, *args: Any, **kwargs: Any) -> Any:
        killing("before transaction")
        found = await run(fn, *args, **kwargs)
        killing("after transaction")
        return found

    db.run = counted  # type: ignore[method-assign]
    house = FlowInstallation(db)
    for name in ("books", "till"):
        house.connectors[name] = KeptConnector(db.conninfo, point=killing)
    await house.drain(seconds=10)
    await house.close()
    db.close()
    return killing.seen


def main() -> None:
    """Fork a worker per line."""
    url = sys.argv[1]
    node_types()
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            seen = asyncio.run(work(url, int(line)))
            os.write(writer, str(seen).encode())
            os._exit(0)
        os.close(writer)
        _, status = os.waitpid(child, 0)
        told = os.read(reader, 100).decode() if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 else ""
        os.close(reader)
        print(f"done {told}" if told else f"killed {os.WTERMSIG(status)}", flush=True)


if __name__ == "__main__":
    main()
