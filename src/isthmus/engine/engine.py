"""The one door to procrastinate: durable wake-ups, one running and one waiting per key, take-over of dead workers.

What procrastinate leaves to us, and what we do about it (each is a test):
* A wake-up must be part of the caller's transaction: `wake` inserts the job row itself.
* While one waits, further wake-ups only touch it. Touching locks the row, so that a worker cannot start it before
  the toucher's data is committed: no wake-up is ever lost.
* A job that waits for a lock is not notified when the lock frees: after each job this worker fetches again at once,
  and the others find it at their next poll.
* Jobs of a worker that died are put back by any other worker; a kill counts as a try, and the last try is reported.
* A worker whose connection broke ends; `run` starts it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import procrastinate
from procrastinate import jobs, worker
from procrastinate.exceptions import ProcrastinateException
from sqlalchemy import Connection, text

from isthmus.model.clock import SystemClock
from isthmus.store.database import Database

Handler = Callable[[dict[str, Any]], Awaitable[None]]
GivenUp = Callable[[str, dict[str, Any], int], Awaitable[None]]

POLL_SECONDS = 0.25
HEARTBEAT_SECONDS = 1.0
STALLED_AFTER_SECONDS = 5.0
MOST_TRIES = 10
"""Starts of one job that ended in the death of its worker before it is given up: a poison job cannot loop."""

_ROUSE = "rouse"

_LOG = logging.getLogger(__name__)

_WAKE = text(
    """
    insert into procrastinate_jobs as j (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
    values (:queue, :task, :priority, :lock, :queueing_lock, cast(:args as jsonb), :at)
    on conflict (queueing_lock) where status = 'todo'
    do update set scheduled_at = case when j.scheduled_at is null or cast(:at as timestamptz) is null then null
                                      else least(j.scheduled_at, cast(:at as timestamptz)) end
    """
)


@dataclass(frozen=True, slots=True)
class _Periodic:
    name: str
    seconds: float
    handler: Callable[[], Awaitable[None]]


class Engine:
    """Runs named jobs on any number of workers over one database."""

    def __init__(self, database: Database, *, queue: str = "isthmus") -> None:
        self._db = database
        self._queue = queue
        connector = procrastinate.PsycopgConnector(conninfo=database.conninfo, min_size=1, max_size=4)
        self._app = procrastinate.App(connector=connector)
        self._periodic: list[_Periodic] = []
        self._given_up: GivenUp | None = None
        self._worker: worker.Worker | None = None
        self.job(_ROUSE, self._rouse)

    def job(self, name: str, handler: Handler) -> None:
        """Register what to do for jobs of this name; the handler gets the JSON arguments it was woken with."""

        async def run(**args: Any) -> None:
            await handler(args)

        self._app.task(name=name, queue=self._queue)(run)

    def every(self, name: str, seconds: float, handler: Callable[[], Awaitable[None]]) -> None:
        """Call `handler` about every `seconds` on one of the workers: whoever comes first takes the turn."""
        self._periodic.append(_Periodic(name, seconds, handler))

    def on_given_up(self, handler: GivenUp) -> None:
        """Called with (name, arguments, tries) for a job that keeps killing its worker."""
        self._given_up = handler

    def wake(
        self,
        conn: Connection,
        name: str,
        key: str,
        args: dict[str, Any],
        *,
        at: datetime | None = None,
        priority: int = 0,
    ) -> None:
        """Ask for a run of `name` for `key` after this transaction; many wake-ups make one run.

        With `at` the run comes no earlier. A run that starts after the commit sees everything the caller wrote.
        """
        given = {
            "queue": self._queue,
            "task": name,
            "priority": priority,
            "lock": f"{name}:{key}",
            "queueing_lock": f"{name}:{key}",
            "args": json.dumps(args),
            "at": at,
        }
        if at is not None:
            # A waiting job would block later ones of the same lock, even those that are due: it gets a lock of its
            # own and only rouses the real one when its time has come.
            roused = {"name": name, "key": key, "args": args, "priority": priority}
            lock = f"{_ROUSE}:{name}:{key}"
            given |= {"task": _ROUSE, "lock": lock, "queueing_lock": lock, "args": json.dumps(roused)}
        conn.execute(_WAKE, given)

    async def _rouse(self, args: dict[str, Any]) -> None:
        """The time of a wake-up for later has come."""
        await self._db.run(self.wake, args["name"], args["key"], args["args"], priority=int(args["priority"]))

    async def run(self, stop: asyncio.Event, *, concurrency: int = 16, grace_seconds: float = 20.0) -> None:
        """Work until `stop` is set, then let running jobs end. Survives restarts of the database."""
        while not stop.is_set():
            try:
                await self._run_once(stop, concurrency, grace_seconds)
            except (ProcrastinateException, OSError) as error:
                _LOG.warning("the engine lost its database connection: %s", error)
            if not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.5)

    async def _run_once(self, stop: asyncio.Event, concurrency: int, grace_seconds: float) -> None:
        async with self._app.open_async():
            self._worker = worker.Worker(
                self._app,
                queues=[self._queue],
                concurrency=concurrency,
                fetch_job_polling_interval=POLL_SECONDS,
                abort_job_polling_interval=3600.0,
                shutdown_graceful_timeout=grace_seconds,
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=86_400.0,
                worker_middleware=[self._fetch_again],
            )
            current = self._worker
            working = asyncio.create_task(current.run())  # type: ignore[no-untyped-call]  # procrastinate leaves it untyped
            helpers = [
                asyncio.create_task(self._take_over()),
                *(asyncio.create_task(self._tick(p)) for p in self._periodic),
            ]
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({working, stopping, *helpers}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                for task in helpers:
                    task.cancel()
                results = await asyncio.gather(*helpers, return_exceptions=True)
                current.stop()  # type: ignore[no-untyped-call]  # procrastinate leaves it untyped
                await working
            for result in results:
                if isinstance(result, Exception):
                    raise result

    async def _fetch_again(self, call: Callable[[], Awaitable[Any]], context: Any, current: worker.Worker) -> Any:
        """After each job fetch at once: a job that waited for this one's lock got no notification."""
        try:
            return await call()
        finally:
            # The lock is free once procrastinate has removed the job's row, a little after this returns.
            for seconds in (0.003, 0.015, 0.06):
                asyncio.get_running_loop().call_later(seconds, current._new_job_event.set)

    async def _take_over(self) -> None:
        """Put jobs of dead workers back; give those up that killed too many."""
        while True:
            await asyncio.sleep(STALLED_AFTER_SECONDS / 3)
            manager = self._app.job_manager
            for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS):
                if job.attempts + 1 >= MOST_TRIES:
                    await manager.finish_job(job=job, status=jobs.Status.FAILED, delete_job=True)
                    if self._given_up is not None:
                        await self._given_up(job.task_name, dict(job.task_kwargs), job.attempts + 1)
                    continue
                try:
                    await manager.retry_job(job=job, retry_at=SystemClock().now())
                    _LOG.warning("took over %s from a worker that died", job.call_string)
                except ProcrastinateException:
                    # One for the same key waits already and will do the work of this one.
                    await manager.finish_job(job=job, status=jobs.Status.ABORTED, delete_job=True)
            await self._db.run(_prune_workers)

    async def _tick(self, periodic: _Periodic) -> None:
        while True:
            if await self._db.run(_my_turn, periodic.name, periodic.seconds):
                try:
                    await periodic.handler()
                except (ProcrastinateException, OSError):
                    raise
                except Exception:
                    _LOG.exception("the periodic job %s failed; it runs again at its next turn", periodic.name)
            await asyncio.sleep(periodic.seconds / 2 if periodic.seconds < 4 else 2.0)


def _prune_workers(conn: Connection) -> None:
    """Forget workers that are gone and left no job behind."""
    sql = """delete from procrastinate_workers w where last_heartbeat < now() - interval '1 minute'
             and not exists (select 1 from procrastinate_jobs j where j.worker_id = w.id and j.status = 'doing')"""
    conn.execute(text(sql))


def _my_turn(conn: Connection, name: str, seconds: float) -> bool:
    """Whether a periodic job is due; true for one worker only."""
    sql = """insert into lease as l (key, epoch) values (:key, 1)
             on conflict (key) do update set epoch = l.epoch + 1, taken_at = now()
             where l.taken_at <= now() - make_interval(secs => :seconds) returning epoch"""
    given = {"key": f"every:{name}", "seconds": timedelta(seconds=seconds).total_seconds() * 0.95}
    return conn.execute(text(sql), given).scalar() is not None
