"""The call budget of a Connection, shared by all workers over the database: reserved in slices, refilled by time."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from isthmus.errors import RateLimited
from isthmus.sdk.limits import Rate
from isthmus.store.database import Database

SLICE_SECONDS = 0.25
"""A worker reserves at most this much of the rate at once, so that a database trip is rare and nobody starves."""

_TAKE = text(
    """
    with now_ as (select clock_timestamp() as at),
    filled as (
      select b.key, n.at,
             least(:burst, b.tokens + extract(epoch from n.at - b.filled_at) * :rate) as tokens,
             greatest(extract(epoch from b.blocked_until - n.at), 0) as blocked
      from rate_budget b, now_ n where b.key = :key for update of b
    )
    update rate_budget b
    set tokens = case when f.blocked > 0 then f.tokens
                      else f.tokens - least(:want, greatest(floor(f.tokens), :least)) end,
        filled_at = f.at
    from filled f where b.key = f.key
    returning f.blocked, f.tokens as had, least(:want, greatest(floor(f.tokens), :least)) as granted
    """
)


class SharedBudget:
    """A token bucket in the database. `rate.per_second` 0 costs nothing until the other side asks us to wait."""

    def __init__(self, database: Database, key: str, rate: Rate, *, patience: float = 30.0) -> None:
        self._db = database
        self._key = key
        self._rate = rate
        self._patience = patience
        self._reserved = 0.0
        self._blocked_until = 0.0
        self._lock = asyncio.Lock()

    async def take(self, n: int = 1) -> None:
        """Wait until `n` calls may be made; raises RateLimited when that is farther away than is worth waiting."""
        async with self._lock:
            await self._wait_for_block()
            if self._rate.per_second <= 0:
                return
            while self._reserved < n:
                want = max(n, int(self._rate.per_second * SLICE_SECONDS))
                blocked, had, granted = await self._db.run(_take, self._key, self._rate, want, n)
                if blocked > 0:
                    await self._sleep(blocked)
                    continue
                self._reserved += granted
                if had < granted:
                    await self._sleep((granted - had) / self._rate.per_second)
            self._reserved -= n

    async def block_until(self, when: datetime) -> None:
        """Let nobody call before `when`: the other side asked for it."""
        await self._db.run(_block, self._key, when, self._rate)
        now = await self._db.run(_now)
        ahead = (when - now).total_seconds()
        self._blocked_until = max(self._blocked_until, asyncio.get_running_loop().time() + ahead)

    async def _wait_for_block(self) -> None:
        ahead = self._blocked_until - asyncio.get_running_loop().time()
        if ahead > 0:
            await self._sleep(ahead)

    async def _sleep(self, seconds: float) -> None:
        if seconds > self._patience:
            raise RateLimited("waiting for the call budget of this connection", wait=timedelta(seconds=seconds))
        await asyncio.sleep(seconds)


def _take(conn: Connection, key: str, rate: Rate, want: int, least: int) -> tuple[float, float, float]:
    given = {
        "key": key,
        "rate": rate.per_second,
        "burst": float(max(rate.burst, 1)),
        "want": float(want),
        "least": float(least),
    }
    row = conn.execute(_TAKE, given).one_or_none()
    if row is None:
        sql = """insert into rate_budget (key, tokens, filled_at) values (:key, :burst, clock_timestamp())
                 on conflict do nothing"""
        conn.execute(text(sql), {"key": key, "burst": given["burst"]})
        row = conn.execute(_TAKE, given).one()
    return float(row.blocked or 0), float(row.had), float(row.granted)


def _block(conn: Connection, key: str, when: datetime, rate: Rate) -> None:
    sql = """insert into rate_budget as b (key, tokens, filled_at, blocked_until)
             values (:key, :burst, clock_timestamp(), :at)
             on conflict (key) do update set blocked_until = greatest(b.blocked_until, excluded.blocked_until)"""
    conn.execute(text(sql), {"key": key, "burst": float(max(rate.burst, 1)), "at": when})


def _now(conn: Connection) -> datetime:
    found: datetime = conn.execute(text("select clock_timestamp()")).scalar_one()
    return found
