"""Polling: asks a side what changed since the Cursor, and makes it durable before the Cursor moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from isthmus.model.policy import Side
from isthmus.sdk.connector import ChangePage, Connector, Hint
from isthmus.store.database import Database
from isthmus.sync.inbox import Accepted, Wake, accept
from isthmus.sync.pair import PairRuntime


@dataclass(slots=True)
class Polled:
    """What one poll found."""

    hints: int = 0
    events: int = 0
    echoes: int = 0


async def poll(db: Database, pair: PairRuntime, side: Side, system_entity: str, wake: Wake) -> Polled:
    """Read everything that changed since the Cursor and store it, page by page with the Cursor behind it.

    A crash between two pages repeats hints, which changes nothing; a Cursor never passes what is not durable.
    """
    bindings = pair.fan_out(side, system_entity)
    connector = bindings[0].side(side).connector
    cursor = await db.run(read_cursor, pair.id, side, system_entity)
    out = Polled()
    async for page in connector.changes(system_entity, cursor):
        done = await db.run(_store, pair, side, system_entity, page, wake)
        out.hints += len(page.hints)
        out.events += done.events
        out.echoes += done.echoes
    return out


def _store(
    conn: Connection, pair: PairRuntime, side: Side, system_entity: str, page: ChangePage, wake: Wake
) -> Accepted:
    done = accept(conn, pair, side, page.hints, source="poll", wake=wake) if page.hints else Accepted()
    write_cursor(conn, pair.id, side, system_entity, page.cursor)
    return done


async def poll_connection(
    db: Database,
    connection_id: int,
    connector: Connector,
    entity: str,
    hear: Callable[[Connection, Sequence[Hint]], None],
) -> int:
    """The same for an Entity of one Connection that flows listen to without a pair; returns how many hints."""
    side = f"connection {connection_id}"
    cursor = await db.run(read_cursor, 0, side, entity)
    count = 0

    def store(conn: Connection, page: ChangePage) -> None:
        if page.hints:
            hear(conn, page.hints)
        write_cursor(conn, 0, side, entity, page.cursor)

    async for page in connector.changes(entity, cursor):
        await db.run(store, page)
        count += len(page.hints)
    return count


def read_cursor(conn: Connection, pair_id: int, side: str, entity: str) -> str | None:
    """How far polling has safely read, or None before the first poll."""
    sql = "select value from cursor where pair_id = :pair_id and side = :side and entity = :entity"
    value = conn.execute(text(sql), {"pair_id": pair_id, "side": side, "entity": entity}).scalar()
    return None if value is None else str(value)


def write_cursor(conn: Connection, pair_id: int, side: str, entity: str, value: str) -> None:
    """Move the Cursor; only in the transaction that stored what it passes."""
    sql = """insert into cursor (pair_id, side, entity, value) values (:pair_id, :side, :entity, :value)
             on conflict (pair_id, side, entity) do update set value = excluded.value, advanced_at = now()"""
    conn.execute(text(sql), {"pair_id": pair_id, "side": side, "entity": entity, "value": value})
