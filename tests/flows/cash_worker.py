"""A worker of the trade pair and its flows that kills itself at the n-th point around an effect of a flow; 0: never.

A point is just before an operation is asked for, once its Intent is stored, and just after it took place, before that
is stored. Takes n and the pair's number; ends by itself when nothing is due.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from cash_world import BUSY
from sqlalchemy import text

from isthmus.engine.lease import take
from isthmus.flows.nodes.records import CallOperation
from isthmus.operate.opening import opened
from isthmus.operate.runtime import Runtime, take_lane
from isthmus.store import flows


def armed(at: int, node: Any = CallOperation) -> None:
    """Count the points around what this kind of node sends, and die at one of them as in a power cut."""
    send: Any = node.send
    seen = 0

    def point() -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def counted(self: Any, place: Any, effects: Sequence[Any]) -> Any:
        point()
        found = await send(self, place, effects)
        point()
        return found

    node.send = counted


async def work(runtime: Runtime, pair_id: int) -> None:
    """Drain all lanes and flows until nothing is due."""
    _, pair = await runtime.pair(pair_id)
    while True:
        for name in pair.entities:
            lease = await runtime.db.run(take_lane, pair_id, name)
            assert lease is not None
            await runtime._drain_once(pair_id, name, lease)
        for row in await runtime.db.run(flows.listing):
            await runtime.flows.drain(row.id, await runtime.db.run(take, f"flow:{row.id}"))
        if not await runtime.db.run(lambda conn: conn.execute(text(BUSY)).scalar()):
            return
        await asyncio.sleep(0.2)


async def main() -> None:
    armed(int(sys.argv[1]))
    async with opened() as runtime:
        await work(runtime, int(sys.argv[2]))


if __name__ == "__main__":
    asyncio.run(main())
