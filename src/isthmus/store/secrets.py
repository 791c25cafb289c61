"""Queries on secrets: sealed under data keys, bound to their Connection and name."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sqlalchemy import Connection, text

from isthmus.model.secret import Secret
from isthmus.security.vault import KEY_BYTES, KeyRing, seal, unseal, unwrap, wrap


def put(conn: Connection, keys: KeyRing, connection_id: int, secrets: Mapping[str, Secret]) -> None:
    """Store secrets of a Connection, replacing those of the same names."""
    if not secrets:
        return
    key_id, data_key = usable_data_key(conn, keys)
    sql = """insert into secret (connection_id, name, ciphertext, key_id) values (:id, :name, :sealed, :key_id)
             on conflict (connection_id, name)
             do update set ciphertext = excluded.ciphertext, key_id = excluded.key_id, updated_at = now()"""
    for name, value in secrets.items():
        sealed = seal(data_key, _place(connection_id, name), value)
        conn.execute(text(sql), {"id": connection_id, "name": name, "sealed": sealed, "key_id": key_id})


def get_all(conn: Connection, keys: KeyRing, connection_id: int, prefix: str = "") -> dict[str, Secret]:
    """Every secret of a Connection whose name starts with `prefix`, opened."""
    sql = """select s.name, s.ciphertext, k.wrapped, k.master_id from secret s join data_key k on k.id = s.key_id
             where s.connection_id = :id and starts_with(s.name, :prefix)"""
    return {
        row.name: unseal(
            unwrap(keys, row.master_id, bytes(row.wrapped)), _place(connection_id, row.name), bytes(row.ciphertext)
        )
        for row in conn.execute(text(sql), {"id": connection_id, "prefix": prefix})
    }


def rewrap(conn: Connection, keys: KeyRing) -> int:
    """Wrap every data key by the current master key; secrets stay as they are. Returns how many were re-wrapped."""
    rows = conn.execute(
        text("select id, wrapped, master_id from data_key where master_id <> :id for update"), {"id": keys.current.id}
    ).all()
    for row in rows:
        data_key = unwrap(keys, row.master_id, bytes(row.wrapped))
        conn.execute(
            text("update data_key set wrapped = :wrapped, master_id = :master where id = :id"),
            {"wrapped": wrap(keys.current, data_key), "master": keys.current.id, "id": row.id},
        )
    return len(rows)


def usable_data_key(conn: Connection, keys: KeyRing) -> tuple[int, bytes]:
    """The data key new secrets are sealed under; made when there is none."""
    row = conn.execute(
        text("select id, wrapped, master_id from data_key where retired_at is null order by id desc limit 1")
    ).one_or_none()
    if row is not None:
        return int(row.id), unwrap(keys, row.master_id, bytes(row.wrapped))
    data_key = os.urandom(KEY_BYTES)
    sql = "insert into data_key (wrapped, master_id) values (:wrapped, :master) returning id"
    given = {"wrapped": wrap(keys.current, data_key), "master": keys.current.id}
    return int(conn.execute(text(sql), given).scalar_one()), data_key


def _place(connection_id: int, name: str) -> str:
    return f"connection:{connection_id}:{name}"
