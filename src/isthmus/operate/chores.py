"""What the service does by itself on a schedule: Sweeps, the state of webhooks, lanes that nobody woke."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import Halt, IsthmusError
from isthmus.operate import connections as logins
from isthmus.operate.canonical import writing
from isthmus.operate.runtime import Runtime
from isthmus.operate.sweeps import sweep
from isthmus.store import clients, connections, pairs

SWEEP_JOB = "sweep"
CHECK_SECONDS = 60.0
STALE_SECONDS = 15.0
"""A Change that is due this long without being looked at has lost its wake-up: its lane is woken again."""

_LOG = logging.getLogger(__name__)


def register(runtime: Runtime) -> None:
    """Let the engine do the chores; whichever worker comes first takes the turn."""

    async def sweep_one(args: dict[str, Any]) -> None:
        await run_sweep(runtime, str(args["pair"]))

    async def sweeps() -> None:
        await runtime.db.run(ask_for_sweeps, runtime)

    async def hooks() -> None:
        await check_hooks(runtime)

    async def lanes() -> None:
        await runtime.db.run(wake_stale, runtime)

    async def writes() -> None:
        await writing.resolve(runtime)
        await runtime.db.run(clients.forget)

    runtime.engine.job(SWEEP_JOB, sweep_one)
    runtime.engine.every("sweeps", CHECK_SECONDS, sweeps)
    runtime.engine.every("hooks", CHECK_SECONDS, hooks)
    runtime.engine.every("lanes", STALE_SECONDS, lanes)
    runtime.engine.every("clients", CHECK_SECONDS, writes)
    runtime.flows.register_chores()
    runtime.files.register_chores()


def ask_for_sweeps(conn: Connection, runtime: Runtime) -> list[str]:
    """Ask for a Sweep of every active pair whose last one is older than its file says; returns their names."""
    sql = """select p.name from pair p
             where p.state = 'active' and cast(coalesce(p.settings ->> 'sweep_hours', '24') as float8) > 0
               and coalesce((select max(started_at) from report r where r.pair_id = p.id and r.kind = 'sweep'),
                            p.created_at)
                   < now() - make_interval(secs => 3600 * cast(coalesce(p.settings ->> 'sweep_hours', '24') as float8))
             order by p.name"""
    due = [str(name) for name in conn.execute(text(sql)).scalars()]
    for name in due:
        runtime.engine.wake(conn, SWEEP_JOB, name, {"pair": name}, priority=-10)
    return due


async def run_sweep(runtime: Runtime, name: str) -> None:
    """A scheduled Sweep: compare everything, have what differs looked at again, keep the report."""
    try:
        done = await sweep(runtime, name, lambda *_: None)
    except Halt as error:
        row = await runtime.db.run(pairs.get, name)
        await runtime.halt(row.id, error)
        return
    except IsthmusError as error:
        _LOG.info("the Sweep of %s is tried again at its next turn: %s", name, error)
        return
    _LOG.info("the Sweep of %s compared %s fields: %.4f %% agree", name, done.compared, done.figure * 100)


async def check_hooks(runtime: Runtime) -> None:
    """See that webhooks stand where they were installed, and put them back where that needs no administrator.

    What is found decides how often the side is polled: see `service`.
    """
    for row in await runtime.db.run(connections.listing):
        kept = await runtime.db.run(logins.hook_state, row.id)
        if not kept:
            continue
        try:
            connector = await runtime.connector(row)
            url = await logins.hook_url(runtime, row, str(kept["base_url"]))
            paths = await runtime.db.run(logins.paths_of, row.id)
            entities = sorted(paths)
            connector.uses(paths)
            found = await connector.hooks(entities, url)
            if any(not h.installed for h in found):
                found = await connector.install_hooks(entities, url)
        except IsthmusError as error:
            _LOG.info("the webhooks of %s could not be checked: %s", row.name, error)
            continue
        standing = {h.entity: h.installed for h in found}
        if standing != kept.get("standing"):
            missing = sorted(name for name, there in standing.items() if not there)
            if missing:
                _LOG.warning("webhooks of %s are missing for %s; polling covers them", row.name, ", ".join(missing))
            await runtime.db.run(logins.keep_hook_state, row.id, {**kept, "standing": standing})


def wake_stale(conn: Connection, runtime: Runtime) -> int:
    """Wake lanes with Changes that are long due, or writes without an answer, and no job: a wake-up was lost."""
    sql = """select distinct c.pair_id, c.entity from (
               select pair_id, entity from change
               where state <> 'closed' and not_before < now() - make_interval(secs => :seconds)
               union
               select pair_id, entity from intent
               where state in ('planned', 'sent', 'unknown') and sent_at < now() - make_interval(secs => :seconds)
             ) c join pair p on p.id = c.pair_id and p.state = 'active'"""
    rows = conn.execute(text(sql), {"seconds": STALE_SECONDS}).all()
    for row in rows:
        runtime.wake(conn, row.pair_id, row.entity)
    return len(rows)


def hooks_stand(state: Mapping[str, Any] | None, entity: str) -> bool:
    """Whether the last check found this system entity's webhook in place."""
    return bool(state and (state.get("standing") or {}).get(entity))
