"""The engine: no wake-up lost, one runner per key, dead workers taken over, fences hold."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from isthmus.engine import engine as engine_module
from isthmus.engine.budget import SharedBudget
from isthmus.engine.engine import Engine
from isthmus.engine.lease import LeaseLost, take
from isthmus.sdk.limits import Rate
from isthmus.store.database import Database


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[None]:
    stop = asyncio.Event()
    work = asyncio.create_task(engine.run(stop))
    try:
        yield
    finally:
        stop.set()
        await work


async def until(condition: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


async def test_a_wake_up_that_is_rolled_back_runs_nothing_and_a_committed_one_runs(database: Database) -> None:
    engine, seen = Engine(database), []

    async def handler(args: dict[str, Any]) -> None:
        seen.append(args["n"])

    engine.job("lane", handler)

    def fails(conn: Any) -> None:
        engine.wake(conn, "lane", "a", {"n": 1})
        raise RuntimeError

    async with running(engine):
        with pytest.raises(RuntimeError):
            await database.run(fails)
        await database.run(engine.wake, "lane", "b", {"n": 2})
        await until(lambda: seen == [2])
        await asyncio.sleep(0.3)
    assert seen == [2]


async def test_every_wake_up_is_followed_by_a_run_that_sees_what_was_written_before_it(database: Database) -> None:
    """1,000 random wake-ups of a few keys: each key's last run starts after its last commit."""
    engine = Engine(database)
    seen: dict[str, int] = {}
    at_once: dict[str, int] = {}

    async def handler(args: dict[str, Any]) -> None:
        key = args["key"]
        at_once[key] = at_once.get(key, 0) + 1
        assert at_once[key] == 1, "two runners for one key"
        seen[key] = await database.run(_written, key)
        await asyncio.sleep(0.001)
        at_once[key] -= 1

    engine.job("lane", handler)
    await database.run(lambda conn: conn.execute(text("create table written (key text, n int)")))

    def write(conn: Any, key: str, n: int) -> None:
        engine.wake(conn, "lane", key, {"key": key})
        conn.execute(text("insert into written values (:key, :n)"), {"key": key, "n": n})

    async def writer(start: int) -> None:
        for n in range(start, start + 250):
            await database.run(write, f"k{n % 5}", n)

    async with running(engine):
        await asyncio.gather(*(writer(250 * w) for w in range(4)))
        await until(lambda: all(seen.get(f"k{k}") == 200 for k in range(5)))


def _written(conn: Any, key: str) -> int:
    return int(conn.execute(text("select count(*) from written where key = :key"), {"key": key}).scalar_one())


async def test_a_job_that_waited_for_a_lock_starts_soon_after_it_frees(database: Database) -> None:
    engine, starts = Engine(database), []

    async def handler(args: dict[str, Any]) -> None:
        starts.append(time.monotonic())
        await asyncio.sleep(0.1)

    engine.job("lane", handler)
    waits = []
    async with running(engine):
        await asyncio.sleep(0.5)
        for n in range(5):
            await database.run(engine.wake, "lane", "k", {})
            await until(lambda n=n: len(starts) == 2 * n + 1)
            await database.run(engine.wake, "lane", "k", {})
            await until(lambda n=n: len(starts) == 2 * n + 2)
            waits.append(starts[-1] - starts[-2] - 0.1)
            await asyncio.sleep(0.15)
    assert sorted(waits)[2] < engine_module.POLL_SECONDS * 0.6, f"waited for the poll: {waits}"


async def test_a_wake_up_for_later_does_not_delay_one_for_now(database: Database) -> None:
    from datetime import UTC, datetime, timedelta

    engine, seen = Engine(database), []

    async def handler(args: dict[str, Any]) -> None:
        seen.append(args["when"])

    engine.job("lane", handler)
    later = datetime.now(UTC) + timedelta(seconds=1.2)
    async with running(engine):
        await database.run(lambda conn: engine.wake(conn, "lane", "k", {"when": "later"}, at=later))
        await database.run(engine.wake, "lane", "k", {"when": "now"})
        await until(lambda: seen == ["now"], 1)
        await until(lambda: seen == ["now", "later"], 5)
        assert datetime.now(UTC) >= later


_WORKER = """
import asyncio, sys
from sqlalchemy import make_url
from isthmus.engine.engine import Engine
from isthmus.store.database import Database

async def main():
    database = Database(make_url(sys.argv[1]))
    engine = Engine(database)

    async def handler(args):
        print("started", flush=True)
        await asyncio.sleep(600)

    engine.job("lane", handler)
    await engine.run(asyncio.Event())

asyncio.run(main())
"""


async def test_the_job_of_a_killed_worker_is_taken_over_within_ten_seconds(database: Database) -> None:
    engine, seen = Engine(database), []

    async def handler(args: dict[str, Any]) -> None:
        seen.append(time.monotonic())

    engine.job("lane", handler)
    await database.run(engine.wake, "lane", "k", {})
    url = database.url.render_as_string(hide_password=False)
    with subprocess.Popen([sys.executable, "-c", _WORKER, url], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert await asyncio.to_thread(worker.stdout.readline) == "started\n"
        async with running(engine):
            await asyncio.sleep(1.5)
            assert seen == []
            os.kill(worker.pid, signal.SIGKILL)
            killed_at = time.monotonic()
            await until(lambda: bool(seen), 12)
    assert seen[0] - killed_at <= 10


async def test_a_job_that_keeps_killing_its_worker_is_given_up_and_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "MOST_TRIES", 1)
    engine, told = Engine(database), []

    async def handler(args: dict[str, Any]) -> None:
        raise AssertionError("it must not start again")

    async def given_up(name: str, args: dict[str, Any], tries: int) -> None:
        told.append((name, args, tries))

    engine.job("lane", handler)
    engine.on_given_up(given_up)
    await database.run(engine.wake, "lane", "k", {"entity": "customer"})
    url = database.url.render_as_string(hide_password=False)
    with subprocess.Popen([sys.executable, "-c", _WORKER, url], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        await asyncio.to_thread(worker.stdout.readline)
        worker.kill()
    async with running(engine):
        await until(lambda: bool(told), 12)
    assert told[0][:2] == ("lane", {"entity": "customer"})


async def test_the_engine_survives_that_all_its_connections_are_cut(database: Database) -> None:
    engine, seen = Engine(database), []

    async def handler(args: dict[str, Any]) -> None:
        seen.append(args["n"])

    engine.job("lane", handler)
    cut = """select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()"""
    async with running(engine):
        await database.run(engine.wake, "lane", "k", {"n": 1})
        await until(lambda: seen == [1])
        await database.run(lambda conn: conn.execute(text(cut)).all())
        await asyncio.sleep(0.2)
        await database.run(engine.wake, "lane", "k", {"n": 2})
        await until(lambda: seen == [1, 2])
        await asyncio.sleep(2)
        started = time.monotonic()
        await database.run(engine.wake, "lane", "k", {"n": 3})
        await until(lambda: seen == [1, 2, 3])
        assert time.monotonic() - started < 5


async def test_a_lease_that_was_taken_over_fences_its_old_holder(database: Database) -> None:
    first = await database.run(take, "lane:1:customer")
    await database.run(first.fence)
    second = await database.run(take, "lane:1:customer")
    await database.run(second.fence)
    with pytest.raises(LeaseLost):
        await database.run(first.fence)


async def test_a_shared_budget_holds_its_rate_over_two_workers(database: Database) -> None:
    rate = Rate(per_second=50, burst=5)
    budgets = [SharedBudget(database, "connection:1", rate) for _ in range(2)]
    started = time.monotonic()

    async def use(budget: SharedBudget) -> None:
        for _ in range(30):
            await budget.take()

    await asyncio.gather(*(use(b) for b in budgets))
    taken = time.monotonic() - started
    assert 60 / taken <= 50 * 1.35, f"60 calls in {taken:.2f} s"


async def test_a_wait_that_the_other_side_asked_for_holds_for_all_workers(database: Database) -> None:
    from datetime import UTC, datetime, timedelta

    first, second = (SharedBudget(database, "connection:1", Rate(per_second=100, burst=10)) for _ in range(2))
    started = time.monotonic()
    await first.block_until(datetime.now(UTC) + timedelta(seconds=0.6))
    await second.take()
    assert time.monotonic() - started >= 0.55
