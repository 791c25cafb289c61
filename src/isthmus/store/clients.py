"""Queries on clients of the canonical API: who may, how fast, what they write and what they were answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from isthmus.store.database import Database
from isthmus.store.rows import as_json

ANSWER_HOURS = 24
"""How long the answer to an Idempotency-Key is kept."""

OPEN = "('sent', 'unknown')"

WRITERS = 4
"""Requests of one process that write at the same time: each holds a database connection for its locks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClient:
    """A client about to be stored; the secret only as its digest."""

    name: str
    client_id: str
    digest: bytes
    scopes: Sequence[str]
    pair_id: int
    side: str
    per_minute: int


def add(conn: Connection, new: NewClient) -> int:
    """Store a client; returns its number."""
    sql = """insert into client (name, client_id, digest, scopes, pair_id, side, per_minute, tokens)
             values (:name, :client_id, :digest, :scopes, :pair_id, :side, :per_minute, :per_minute) returning id"""
    given = {name: getattr(new, name) for name in NewClient.__slots__}
    return int(conn.execute(text(sql), {**given, "scopes": list(new.scopes)}).scalar_one())


def listing(conn: Connection) -> list[dict[str, Any]]:
    """Every client with what it may, never its secret; newest first."""
    sql = """select c.name, c.client_id, p.name as pair, c.side, c.scopes, c.per_minute, c.created_at, c.last_used_at,
                    case when c.revoked_at is null then 'valid' else 'revoked' end as state
             from client c join pair p on p.id = c.pair_id order by c.id desc"""
    return [dict(row._mapping) for row in conn.execute(text(sql))]


def revoke(conn: Connection, name: str) -> int:
    """End the client of this name and all its tokens; returns how many clients that were."""
    sql = """with ended as (
               update client set revoked_at = now() where name = :name and revoked_at is null returning id),
                  gone as (delete from client_token t using ended e where t.client_id = e.id)
             select count(*) from ended"""
    return int(conn.execute(text(sql), {"name": name}).scalar_one())


def by_client_id(conn: Connection, client_id: str) -> Any:
    """The row of a client that is not revoked, or None."""
    sql = "select * from client where client_id = :client_id and revoked_at is null"
    return conn.execute(text(sql), {"client_id": client_id}).one_or_none()


def add_token(conn: Connection, client: int, digest: bytes, scopes: Sequence[str], lifetime: timedelta) -> None:
    """Store a token of a client."""
    sql = """insert into client_token (digest, client_id, scopes, expires_at)
             values (:digest, :client, :scopes, now() + :lifetime)"""
    conn.execute(text(sql), {"digest": digest, "client": client, "scopes": list(scopes), "lifetime": lifetime})


def by_token(conn: Connection, digest: bytes) -> Any:
    """The client that a token belongs to, with the token's scopes as `granted`; None when there is none (any more)."""
    sql = """select c.*, t.scopes as granted, p.name as pair from client_token t join client c on c.id = t.client_id
             join pair p on p.id = c.pair_id
             where t.digest = :digest and t.expires_at > now() and c.revoked_at is null"""
    return conn.execute(text(sql), {"digest": digest}).one_or_none()


_TAKE = text(
    """
    with filled as (
      select id, least(per_minute,
                       tokens + extract(epoch from clock_timestamp() - filled_at) * per_minute / 60.0) as had
      from client where id = :id for update)
    update client c set tokens = f.had - case when f.had >= 1 then 1 else 0 end, filled_at = clock_timestamp(),
           last_used_at = now()
    from filled f where c.id = f.id
    returning f.had, c.per_minute
    """
)


def take(conn: Connection, client: int) -> float:
    """Count one request of a client; 0 when it may go on, else the seconds until it may."""
    row = conn.execute(_TAKE, {"id": client}).one()
    return 0.0 if row.had >= 1 else float((1 - row.had) * 60 / row.per_minute)


# -- answers ---------------------------------------------------------------------------------------------------------


def answer_of(conn: Connection, client: int, key: str) -> Any:
    """What is kept for an Idempotency-Key, or None; `status` is None while no answer was given."""
    sql = """select * from client_answer where client_id = :client and key = :key
             and created_at > now() - make_interval(hours => :hours)"""
    return conn.execute(text(sql), {"client": client, "key": key, "hours": ANSWER_HOURS}).one_or_none()


def begin_answer(conn: Connection, client: int, key: str, digest: bytes) -> None:
    """Note that a request with this key is being answered; what was kept longer than its time is forgotten."""
    sql = """insert into client_answer (client_id, key, digest) values (:client, :key, :digest)
             on conflict (client_id, key) do update set digest = excluded.digest, status = null, body = null,
               headers = '{}', created_at = now()
             where client_answer.created_at <= now() - make_interval(hours => :hours)"""
    conn.execute(text(sql), {"client": client, "key": key, "digest": digest, "hours": ANSWER_HOURS})


def keep_answer(
    conn: Connection, client: int, key: str, status: int, body: Mapping[str, Any], headers: Mapping[str, str]
) -> None:
    """Keep what was answered."""
    sql = """update client_answer set status = :status, body = cast(:body as jsonb), headers = cast(:headers as jsonb)
             where client_id = :client and key = :key"""
    given = {
        "client": client,
        "key": key,
        "status": status,
        "body": as_json(body),
        "headers": json.dumps(dict(headers)),
    }
    conn.execute(text(sql), given)


def forget_answer(conn: Connection, client: int, key: str) -> None:
    """A request came to nothing that is worth repeating: its key is free again."""
    sql = "delete from client_answer where client_id = :client and key = :key and status is null"
    conn.execute(text(sql), {"client": client, "key": key})


# -- Intents ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class ClientIntent:
    """A write of a client. `payload` is raw path → value, `fields` and `before` are canonical; all encoded."""

    client_id: int
    pair_id: int
    entity: str
    side: str
    action: str
    digest: bytes
    idempotency_key: str
    payload: Mapping[str, Any]
    fields: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict)
    reference: str | None = None
    key: str | None = None
    external_key: str | None = None


_JSON = ("payload", "fields", "before")


def store_sent(conn: Connection, intent: ClientIntent) -> int:
    """Store an Intent as sent, right before it is; returns its number."""
    names = list(ClientIntent.__slots__)
    values = ", ".join(f"cast(:{n} as jsonb)" if n in _JSON else f":{n}" for n in names)
    given = {n: as_json(getattr(intent, n)) if n in _JSON else getattr(intent, n) for n in names}
    sql = f"insert into client_intent ({', '.join(names)}) values ({values}) returning id"
    return int(conn.execute(text(sql), given).scalar_one())


def send_again(conn: Connection, number: int) -> None:
    """An Intent that surely did not take place is sent once more."""
    sql = "update client_intent set state = 'sent', sends = sends + 1, sent_at = now(), ended_at = null where id = :id"
    conn.execute(text(sql), {"id": number})


def end(
    conn: Connection, number: int, state: str, *, key: str | None = None, error: Mapping[str, Any] | None = None
) -> bool:
    """Record how an open Intent ended; False when somebody else has recorded that before."""
    sql = f"""update client_intent set state = :state, key = coalesce(:key, key), error = cast(:error as jsonb),
                     ended_at = case when :state = 'unknown' then null else now() end
              where id = :id and state in {OPEN}"""
    given = {"id": number, "state": state, "key": key, "error": as_json(error) if error is not None else None}
    return conn.execute(text(sql), given).rowcount == 1


_SINCE = "*, extract(epoch from (clock_timestamp() - sent_at)) as age"


def by_reference(conn: Connection, client: int, entity: str, reference: str) -> Any:
    """The create that a client made under its reference and that took place or may have, or None; with its `age`."""
    sql = f"""select {_SINCE} from client_intent where client_id = :client and entity = :entity
              and reference = :reference and state in ('sent', 'unknown', 'confirmed')"""
    return conn.execute(text(sql), {"client": client, "entity": entity, "reference": reference}).one_or_none()


def open_updates(conn: Connection, client: int, entity: str, key: str) -> list[Any]:
    """A client's updates of a Record whose outcome is not known."""
    sql = f"""select {_SINCE} from client_intent where client_id = :client and entity = :entity and key = :key
              and action = 'update' and state in {OPEN} order by id"""
    return list(conn.execute(text(sql), {"client": client, "entity": entity, "key": key}))


def unresolved(conn: Connection, older: float, most: int = 200) -> list[Any]:
    """Intents sent this many seconds ago whose outcome is not known, oldest first, with their client's name."""
    sql = f"""select i.*, extract(epoch from (clock_timestamp() - i.sent_at)) as age, c.name as client
              from client_intent i join client c on c.id = i.client_id
              where i.state in {OPEN} and i.sent_at < now() - make_interval(secs => :older) order by i.id limit :most"""
    return list(conn.execute(text(sql), {"older": older, "most": most}))


def references(conn: Connection, client: int, entity: str, keys: Sequence[str]) -> dict[str, str]:
    """What a client itself calls Records that it made: key → reference."""
    sql = """select key, reference from client_intent where client_id = :client and entity = :entity
             and action = 'create' and state = 'confirmed' and key = any(cast(:keys as text[]))"""
    rows = conn.execute(text(sql), {"client": client, "entity": entity, "keys": list(keys)})
    return {str(row.key): str(row.reference) for row in rows}


def forget(conn: Connection) -> int:
    """Remove answers and tokens whose time is over; returns how many answers."""
    conn.execute(text("delete from client_token where expires_at < now()"))
    sql = "delete from client_answer where created_at < now() - make_interval(hours => :hours)"
    return conn.execute(text(sql), {"hours": ANSWER_HOURS}).rowcount


# -- locks -----------------------------------------------------------------------------------------------------------


class Locks:
    """Locks that no two requests have at once, on any machine; freed at the end or when this process dies."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def tried(self, key: str) -> bool:
        """Take one if nobody holds it."""
        return await asyncio.to_thread(lambda: bool(self._conn.execute(_LOCK, {"key": key}).scalar()))

    async def also(self, keys: Sequence[str]) -> None:
        """Wait for more; all callers take them in the same, sorted order."""
        for key in sorted(set(keys)):
            while not await self.tried(key):
                await asyncio.sleep(0.02)


_LOCK = text("select pg_try_advisory_lock(hashtextextended(:key, 0))")


@asynccontextmanager
async def claimed(db: Database, own: Sequence[str]) -> AsyncIterator[Locks | None]:
    """Hold the locks `own`; gives None, holding nothing, when one is held: the same request is being answered."""
    conn = await asyncio.to_thread(db.engine.connect)
    conn = conn.execution_options(isolation_level="AUTOCOMMIT")
    locks = Locks(conn)
    try:
        for key in own:
            if not await locks.tried(key):  # and no further: a lock taken in vain would send others away
                yield None
                return
        yield locks
    finally:
        await asyncio.to_thread(_free, conn)


def _free(conn: Connection) -> None:
    try:
        conn.execute(text("select pg_advisory_unlock_all()"))
    finally:
        conn.close()
