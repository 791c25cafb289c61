"""The service: engine, pollers and the HTTP face in one process, drained on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from typing import Any

import uvicorn
from sqlalchemy import Connection, text

from isthmus.operate.assemble import mapping_file, parse_pair
from isthmus.operate.chores import hooks_stand, register
from isthmus.operate.connections import hook_state
from isthmus.operate.runtime import POLL_JOB, Runtime
from isthmus.store import pairs

POLL_SECONDS = 5.0
"""How often an Entity without webhooks is polled, unless its pair file says otherwise."""
BACKUP_POLL_SECONDS = 15.0
"""The same where webhooks stand: polling only finds what they lost."""

_LOG = logging.getLogger(__name__)


async def serve(
    runtime: Runtime,
    make_app: Callable[[Runtime], Any],
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Run until SIGTERM or SIGINT (or `stop`): answer HTTP, drain lanes, poll. Running work ends before we do."""
    ending = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, ending.set)
    config = uvicorn.Config(
        make_app(runtime),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=30,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # we drain the engine first
    register(runtime)
    await runtime.db.run(wake_everything, runtime)
    tasks = [
        asyncio.create_task(_http(server), name="http"),
        asyncio.create_task(runtime.engine.run(ending), name="engine"),
        asyncio.create_task(_poll_forever(runtime, ending), name="polling"),
    ]
    try:
        while not server.started and not tasks[0].done():
            await asyncio.sleep(0.01)
        if server.started:
            bound = server.servers[0].sockets[0].getsockname()
            ready(f"http://{bound[0]}:{bound[1]}")
        waiter = asyncio.create_task(ending.wait())
        await asyncio.wait({waiter, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
    finally:
        runtime.stopping = True
        ending.set()
        server.should_exit = True
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


async def _http(server: uvicorn.Server) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await server._serve()


def wake_everything(conn: Connection, runtime: Runtime) -> None:
    """Start-up: whatever was pending, claimed or unanswered when the last process ended is looked at."""
    sql = """select distinct pair_id, entity from change where state <> 'closed'
             union select distinct pair_id, entity from intent where state in ('planned', 'sent', 'unknown')"""
    for row in conn.execute(text(sql)):
        runtime.wake(conn, row.pair_id, row.entity)
    runtime.flows.wake_unattended(conn, 0.0)


async def _poll_forever(runtime: Runtime, ending: asyncio.Event) -> None:
    """Ask for polls when they are due; the engine sees to it that each runs once, on one worker."""
    due: dict[tuple[int, str, str], float] = {}
    read: Intervals = {}
    while not ending.is_set():
        try:
            wanted = await runtime.db.run(_wanted, read)
            now = runtime.clock.monotonic()
            for (pair_id, side, entity), seconds in wanted.items():
                if due.get((pair_id, side, entity), 0.0) <= now:
                    due[pair_id, side, entity] = now + seconds
                    await runtime.db.run(_ask, runtime, pair_id, side, entity)
        except Exception:
            _LOG.exception("asking for polls failed; it is tried again in a moment")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), 0.5)


def _ask(conn: Connection, runtime: Runtime, pair_id: int, side: str, entity: str) -> None:
    args = {"pair": pair_id, "side": side, "entity": entity}
    runtime.engine.wake(conn, POLL_JOB, f"{pair_id}:{side}:{entity}", args)


Intervals = dict[tuple[int, int], dict[tuple[int, str, str], float | None]]
"""What pair files say of polling, by pair and version: it never changes, so it is read once."""


def _wanted(conn: Connection, read: Intervals) -> dict[tuple[int, str, str], float]:
    """Which side's Entities are to be polled, and how often: as the pair files say, else by whether webhooks stand."""
    out: dict[tuple[int, str, str], float] = {}
    for row in pairs.listing(conn):
        if row.state != "active":
            continue
        states = {side: hook_state(conn, getattr(row, f"{side}_id")) for side in ("left", "right")}
        for (pair_id, side, entity), seconds in _asked(conn, row, read).items():
            usual = BACKUP_POLL_SECONDS if hooks_stand(states[side], entity) else POLL_SECONDS
            out[pair_id, side, entity] = seconds or usual
    return out


def _asked(conn: Connection, row: Any, read: Intervals) -> dict[tuple[int, str, str], float | None]:
    """The poll intervals of a pair's files, None where they say nothing; read again when the files change."""
    kept = read.get((row.id, row.version))
    if kept is None:
        files = pairs.files(conn, row.id, row.version)
        kept = {}
        for entity in parse_pair(files["pair.yaml"]).entities.values():
            for side in ("left", "right"):
                settings = getattr(entity, side)
                key = (int(row.id), side, mapping_file(files, settings.mapping).system_entity)
                said = [s for s in (settings.poll_seconds, kept.get(key)) if s]
                kept[key] = min(said, default=None)
        read[row.id, row.version] = kept
    return kept
