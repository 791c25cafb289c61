"""A worker of shop flows that kills itself at the n-th point around a write of a flow; 0: never.

A point is just before a record is written, once its Intent is stored, and just after it was, before that is stored.
Takes n; ends by itself when nothing is due.
"""

from __future__ import annotations

import asyncio
import sys

from cash_worker import armed
from cash_world import BUSY
from sqlalchemy import text

from isthmus.engine.lease import take
from isthmus.flows.nodes.records import Upsert
from isthmus.operate.opening import opened
from isthmus.operate.runtime import Runtime
from isthmus.store import flows


async def work(runtime: Runtime) -> None:
    """Drain all flows until nothing is due."""
    while True:
        for row in await runtime.db.run(flows.listing):
            await runtime.flows.drain(row.id, await runtime.db.run(take, f"flow:{row.id}"))
        if not await runtime.db.run(lambda conn: conn.execute(text(BUSY)).scalar()):
            return
        await asyncio.sleep(0.1)


async def main() -> None:
    armed(int(sys.argv[1]), Upsert)
    async with opened() as runtime:
        await work(runtime)


if __name__ == "__main__":
    asyncio.run(main())
