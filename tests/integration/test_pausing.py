"""Pausing a pair stops it at once, also the lane that is at work."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from isthmus.engine.lease import LeaseLost, take
from isthmus.model.clock import SystemClock
from isthmus.operate import pairs
from isthmus.operate.busy import busy
from isthmus.operate.runtime import Runtime, take_lane
from isthmus.security.vault import KeyRing
from isthmus.store import pairs as stored
from isthmus.store.database import Database


def a_pair(conn: Connection) -> int:
    conn.execute(text("insert into connection (name, kind, settings) values ('l', 'x', '{}'), ('r', 'y', '{}')"))
    sql = """insert into pair (name, left_id, right_id, settings)
             select 'main', l.id, r.id, '{"entities": {"customer": {}, "vendor": {}}}'
             from connection l, connection r where l.name = 'l' and r.name = 'r' returning id"""
    return int(conn.execute(text(sql)).scalar_one())


async def test_a_lane_at_work_is_fenced_off_when_its_pair_is_paused(database: Database) -> None:
    runtime = Runtime(database, KeyRing.__new__(KeyRing), clock=SystemClock())
    with database.transaction() as conn:
        pair = a_pair(conn)
        leases = [take(conn, f"lane:{pair}:{entity}") for entity in ("customer", "vendor")]
    with database.transaction() as conn:
        pairs.set_state(conn, runtime, "main", "paused", "test")
    for lease in leases:
        with database.transaction() as conn, pytest.raises(LeaseLost):
            lease.fence(conn)


async def test_a_lane_that_is_woken_during_a_load_or_an_undo_leaves_it_alone(database: Database) -> None:
    runtime = Runtime(database, KeyRing.__new__(KeyRing), clock=SystemClock())
    with database.transaction() as conn:
        pair = a_pair(conn)
        assert take_lane(conn, pair, "customer") is not None
        row = stored.by_id(conn, pair)
    async with busy(runtime, row, ["customer"], "undoing") as leases:
        await runtime._drain({"pair": pair, "entity": "customer"})
        with database.transaction() as conn:
            leases["customer"].fence(conn)
    with database.transaction() as conn:
        assert take_lane(conn, pair, "customer") is not None
