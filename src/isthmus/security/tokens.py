"""API tokens: random, shown once, stored only as digests, with a role and an end."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from isthmus.model.secret import Secret

ROLES = ("viewer", "operator", "designer", "admin")
"""Each role may do what the ones before it may: look; retry and settle; change pairs; change connections."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling the API."""

    name: str
    role: str

    def may(self, role: str) -> bool:
        """Whether this caller may do what needs `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


def issue(conn: Connection, name: str, role: str, lifetime: timedelta | None = None) -> Secret:
    """A new token; this is the only time it can be read."""
    if role not in ROLES:
        raise ValueError(f"role {role!r} is not one of {', '.join(ROLES)}")
    token = "ist_" + secrets.token_urlsafe(32)
    sql = """insert into api_token (name, digest, role, expires_at)
             values (:name, :digest, :role, now() + cast(:lifetime as interval))"""
    given = {"name": name, "digest": _digest(token), "role": role, "lifetime": lifetime}
    conn.execute(text(sql), given)
    return Secret(token)


def check(conn: Connection, token: str) -> Caller | None:
    """Who a token belongs to; None when it is unknown, expired or revoked."""
    sql = """select id, name, role, last_used_at from api_token
             where digest = :digest and revoked_at is null and (expires_at is null or expires_at > now())"""
    row = conn.execute(text(sql), {"digest": _digest(token)}).one_or_none()
    if row is None:
        return None
    if row.last_used_at is None or _older_than_a_minute(conn, row.last_used_at):
        conn.execute(text("update api_token set last_used_at = now() where id = :id"), {"id": row.id})
    return Caller(str(row.name), str(row.role))


def revoke(conn: Connection, name: str) -> int:
    """End every token of this name; returns how many."""
    sql = "update api_token set revoked_at = now() where name = :name and revoked_at is null"
    return conn.execute(text(sql), {"name": name}).rowcount


def listing(conn: Connection) -> list[dict[str, Any]]:
    """Every token with its role, end and last use, newest first; `state` is valid, expired or revoked."""
    sql = """select name, role, created_at, expires_at, last_used_at,
               case when revoked_at is not null then 'revoked' when expires_at <= now() then 'expired' else 'valid' end
               as state from api_token order by id desc"""
    return [dict(row._mapping) for row in conn.execute(text(sql))]


def local_token(conn: Connection, home: Path) -> Secret:
    """The administrator token of this machine's user, kept in `home/token` (0600); made when missing or void."""
    path = home / "token"
    if path.exists():
        kept = path.read_text().strip()
        if check(conn, kept) is not None:
            return Secret(kept)
    made = issue(conn, "local administrator", "admin")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(made.reveal() + "\n")
    return made


def _digest(token: str) -> bytes:
    # A token has 256 random bits, so a plain digest cannot be guessed back; no slow hash is needed.
    return hashlib.sha256(token.encode()).digest()


def _older_than_a_minute(conn: Connection, moment: datetime) -> bool:
    return bool(conn.execute(text("select :at < now() - interval '1 minute'"), {"at": moment}).scalar())
