"""The pool of connections: transactions for threads, and the bridge from async code to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from isthmus.errors import Misconfigured
from isthmus.store.postgres import OLDEST

RUNS = 4
"""How often a transaction is tried that others get in the way of."""

_BROKEN_OFF = ("40001", "40P01")
"""Serialization failure and deadlock."""

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """One PostgreSQL database. Statements run synchronously in a few threads: that is 4-6 times cheaper here than
    an async adapter for statements of a millisecond.
    """

    def __init__(self, url: URL, *, threads: int = 8) -> None:
        self.url = url
        self.engine = create_engine(
            url, pool_size=threads, max_overflow=4, pool_pre_ping=True, pool_recycle=1800, json_deserializer=None
        )
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="isthmus-db")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction in the calling thread: committed at the end, rolled back on any exception."""
        with self.engine.begin() as conn:
            yield conn

    async def run(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(connection, …)` as one transaction in a thread; what it returns is returned once committed.

        A transaction that PostgreSQL broke off for another one's sake left nothing behind and is run again.
        """

        def once() -> T:
            with self.engine.begin() as conn:
                return fn(conn, *args, **kwargs)

        def work() -> T:
            for _ in range(RUNS - 1):
                try:
                    return once()
                except OperationalError as error:
                    if getattr(error.orig, "sqlstate", None) not in _BROKEN_OFF:
                        raise
            return once()

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @asynccontextmanager
    async def exclusive(self, key: str) -> AsyncIterator[None]:
        """Hold a lock that no two workers have at once, on any machine; freed at the end or when this process dies."""
        loop = asyncio.get_running_loop()
        conn = await loop.run_in_executor(self._threads, self.engine.connect)
        conn = conn.execution_options(isolation_level="AUTOCOMMIT")
        given = {"key": key}
        take = text("select pg_try_advisory_lock(hashtextextended(:key, 0))")
        try:
            while not await loop.run_in_executor(self._threads, lambda: conn.execute(take, given).scalar()):
                await asyncio.sleep(0.02)
            try:
                yield
            finally:
                free = text("select pg_advisory_unlock(hashtextextended(:key, 0))")
                await loop.run_in_executor(self._threads, lambda: conn.execute(free, given))
        finally:
            await loop.run_in_executor(self._threads, conn.close)

    @asynccontextmanager
    async def exclusive_all(self, keys: Sequence[str]) -> AsyncIterator[None]:
        """Hold several locks at once, as `exclusive` holds one: all or none, so that nobody waits in a circle."""
        loop = asyncio.get_running_loop()
        conn = await loop.run_in_executor(self._threads, self.engine.connect)
        conn = conn.execution_options(isolation_level="AUTOCOMMIT")
        take = text(
            """select count(*) from unnest(cast(:keys as text[])) as k(key)
               where not pg_try_advisory_lock(hashtextextended(k.key, 0))"""
        )
        free = text("select pg_advisory_unlock_all()")
        given = {"keys": list(keys)}
        try:
            while await loop.run_in_executor(self._threads, lambda: conn.execute(take, given).scalar()):
                await loop.run_in_executor(self._threads, lambda: conn.execute(free))
                await asyncio.sleep(0.02)
            yield
        finally:
            await loop.run_in_executor(self._threads, lambda: conn.execute(free))
            await loop.run_in_executor(self._threads, conn.close)

    @property
    def conninfo(self) -> str:
        """The same database as psycopg's own connection string."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def check(self) -> None:
        """Raise Misconfigured with a sentence when the database cannot be used."""
        shown = self.url.render_as_string(hide_password=True)
        try:
            with self.engine.connect() as conn:
                version = int(conn.execute(text("show server_version_num")).scalar_one()) // 10000
        except OperationalError as error:
            raise Misconfigured(
                f"connecting to the database {shown}",
                answered=_last_line(error),
                hint="Check that it runs and that DATABASE_URL names the right host, user, password and database.",
            ) from error
        if version < OLDEST:
            raise Misconfigured(
                f"connecting to the database {shown}",
                answered=f"it is PostgreSQL {version}",
                hint=f"PostgreSQL {OLDEST} or newer is needed; unset DATABASE_URL to use the embedded one.",
            )

    def close(self) -> None:
        """Give all connections and threads back."""
        self._threads.shutdown(wait=True)
        self.engine.dispose()


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(getattr(error, "orig", error)).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
