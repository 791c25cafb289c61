"""A process that forks workers: each looks for files and drains every flow, and is killed at the n-th dangerous point.

Reads lines `n` from standard input (0: never killed) and answers with how the worker ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from flow_worker import Killing
from flow_world import FlowInstallation
from sqlalchemy import text

from file_places import folder_at
from isthmus.flows.node import node_types
from isthmus.store import flowfiles, flows
from isthmus.store.database import Database
from isthmus.store.postgres import as_psycopg

TAKE = """
flow: take
connections: {place: {}}
nodes:
  start: {type: file_arrived, connection: place, folder: in, quiet: 0s, then: THEN, known_by: KNOWN, to: rows}
  rows: {type: file_read, connection: place, each: false, into: rows, to: out}
  out: {type: file_write, connection: place, rows: rows, path: "'out/' + item.file.name"}
"""


async def look(house: FlowInstallation) -> int:
    """Look once for every trigger that watches for files."""
    watches = await house.db.run(flowfiles.watches, flows.LISTENS)
    return sum([await house.runtime.files.look(flow, node) for flow, node in watches])


async def work(url: str, root: str, at: int) -> int:
    """Look for files and drain everything; returns how many points there were."""
    db: Any = Database(as_psycopg(url))
    killing = Killing(at)
    run = db.run

    async def counted(fn: Any, *args: Any, **kwargs: Any) -> Any:
        killing("before transaction")
        found = await run(fn, *args, **kwargs)
        killing("after transaction")
        return found

    db.run = counted
    house = FlowInstallation(db)
    place = folder_at(Path(root))
    for verb in ("move", "put"):
        whole = getattr(place, verb)

        async def between(*args: Any, whole: Any = whole) -> Any:
            killing("before")
            found = await whole(*args)
            killing("after")
            return found

        setattr(place, verb, between)
    house.connectors["place"] = place
    await look(house)
    await house.drain(seconds=10)
    await house.close()
    with db.transaction() as conn:
        conn.execute(text("select 1"))
    db.close()
    return killing.seen


def main() -> None:
    """Fork a worker per line."""
    url, root = sys.argv[1:3]
    node_types()
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            seen = asyncio.run(work(url, root, int(line)))
            os.write(writer, str(seen).encode())
            os._exit(0)
        os.close(writer)
        _, status = os.waitpid(child, 0)
        told = os.read(reader, 100).decode() if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 else ""
        os.close(reader)
        print(f"done {told}" if told else "killed", flush=True)


if __name__ == "__main__":
    main()
