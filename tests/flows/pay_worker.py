"""Workers of the trade pair and its flows, each of which dies at the n-th point around an effect or a step.

A point is just before an operation is asked for, once its Intent is stored, and just after it took place; and just
before and after the transaction that moves items on. One is forked after the other until nothing is due; takes the
pair's number, prints how many were killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cash_worker import work

from isthmus.flows import lane, writing
from isthmus.flows.nodes.records import CallOperation
from isthmus.operate.opening import opened

MOST = 200


def armed(at: int) -> None:
    """Count the points, and die at one of them as in a power cut."""
    send: Any = CallOperation.send
    write: Any = writing.write
    seen = 0

    def point() -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def counted(self: CallOperation, place: Any, effects: Sequence[Any]) -> Any:
        point()
        found = await send(self, place, effects)
        point()
        return found

    def written(conn: Any, flow: Any, segment: Any, fence: Callable[[Any], None]) -> Any:
        point()  # all of the segment has happened, nothing of it is kept
        found = write(conn, flow, segment, fence)
        point()  # what was written is rolled back
        return found

    type.__setattr__(CallOperation, "send", counted)
    vars(lane)["write"] = written


async def one(pair_id: int, at: int) -> None:
    """A worker that works until nothing is due, or it is killed."""
    armed(at)
    async with opened() as runtime:
        await work(runtime, pair_id)


def main() -> None:
    """Fork one worker after the other; the n-th of them dies at its first, second, ... seventh point.

    One that fails because a busy system does not answer is followed by the next one as well, as in the service.
    """
    killed = failed = 0
    for n in range(MOST):
        child = os.fork()
        if child == 0:
            asyncio.run(one(int(sys.argv[1]), 1 + n % 7))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            print(killed, flush=True)
            return
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        killed, failed = killed + was_killed, failed + (not was_killed)
        assert failed < 10, "workers fail by themselves"


if __name__ == "__main__":
    main()
