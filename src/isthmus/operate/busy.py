"""Having a pair to oneself: for a load or an undo its lanes rest, and their leases are held."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection

from isthmus.engine.lease import Lease, take
from isthmus.errors import Contended
from isthmus.operate.runtime import Runtime
from isthmus.store import pairs


@asynccontextmanager
async def busy(runtime: Runtime, pair: Any, entities: Sequence[str], doing: str) -> AsyncIterator[dict[str, Lease]]:
    """Hold the lanes of these Entities; on the way out the pair goes back to its state and every lane is woken.

    Taking the leases fences whatever a lane had planned but not sent. A process that dies in here leaves the pair
    `busy`; running the command again, or `isthmus pair resume`, goes on from there.
    """

    def begin(conn: Connection) -> dict[str, Lease]:
        pairs.set_state(conn, pair.id, "busy", {"doing": doing})
        return {name: take(conn, f"lane:{pair.id}:{name}") for name in entities}

    leases = await runtime.db.run(begin)
    before = pair.state if pair.state in ("active", "paused") else "active"
    try:
        yield leases
    finally:

        def end(conn: Connection) -> None:
            row = pairs.by_id(conn, pair.id)
            if row is not None and row.state == "busy":
                pairs.set_state(conn, pair.id, before)
            for name in entities:
                runtime.wake(conn, pair.id, name)

        await runtime.db.run(end)


def refuse_halted(pair: Any, doing: str) -> None:
    """Loads and undos do not run over a halt: what halted the pair is settled first."""
    if pair.state == "halted":
        reason = pair.state_reason or {}
        raise Contended(
            doing,
            answered=f"pair {pair.name} is halted: {reason.get('doing', '')} {reason.get('answered') or ''}".strip(),
            hint=f"{reason.get('hint', '')} Then `isthmus pair resume {pair.name}`.".strip(),
        )
