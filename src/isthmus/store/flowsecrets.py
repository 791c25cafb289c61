"""Queries on secrets of flows: sealed under the same data keys as those of Connections, bound to flow and name."""

from __future__ import annotations

from sqlalchemy import Connection, text

from isthmus.model.secret import Secret
from isthmus.security.vault import KeyRing, seal, unseal, unwrap
from isthmus.store.secrets import usable_data_key


def put(conn: Connection, keys: KeyRing, flow_id: int, name: str, value: Secret) -> None:
    """Store a secret of a flow, in place of one of the same name."""
    key_id, data_key = usable_data_key(conn, keys)
    sql = """insert into flow_secret (flow_id, name, ciphertext, key_id) values (:id, :name, :sealed, :key_id)
             on conflict (flow_id, name)
             do update set ciphertext = excluded.ciphertext, key_id = excluded.key_id, updated_at = now()"""
    sealed = seal(data_key, _place(flow_id, name), value)
    conn.execute(text(sql), {"id": flow_id, "name": name, "sealed": sealed, "key_id": key_id})


def get(conn: Connection, keys: KeyRing, flow_id: int, name: str) -> Secret | None:
    """A secret of a flow, opened; None when there is none of this name."""
    sql = """select s.ciphertext, k.wrapped, k.master_id from flow_secret s join data_key k on k.id = s.key_id
             where s.flow_id = :id and s.name = :name"""
    row = conn.execute(text(sql), {"id": flow_id, "name": name}).one_or_none()
    if row is None:
        return None
    data_key = unwrap(keys, row.master_id, bytes(row.wrapped))
    return unseal(data_key, _place(flow_id, name), bytes(row.ciphertext))


def names(conn: Connection, flow_id: int) -> list[str]:
    """The names of a flow's secrets."""
    sql = "select name from flow_secret where flow_id = :id order by name"
    return [str(name) for name in conn.execute(text(sql), {"id": flow_id}).scalars()]


def _place(flow_id: int, name: str) -> str:
    return f"flow:{flow_id}:{name}"
