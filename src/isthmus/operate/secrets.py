"""Secrets of Connections in use: settings' secrets, and the access tokens that connectors renew."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
from sqlalchemy import Connection

from isthmus.model.secret import Secret
from isthmus.sdk.tokens import MemoryTokenStore, Token, TokenStore
from isthmus.security.vault import KeyRing
from isthmus.store import secrets
from isthmus.store.database import Database

TOKEN_PREFIX = "token:"  # noqa: S105 - the name's beginning, not a secret


def open_secrets(conn: Connection, keys: KeyRing, connection_id: int) -> dict[str, Secret]:
    """The secrets a connector is made with; renewed access tokens are not among them."""
    found = secrets.get_all(conn, keys, connection_id)
    return {name: value for name, value in found.items() if not name.startswith(TOKEN_PREFIX)}


class ProvingTokens(MemoryTokenStore):
    """Tokens while new secrets are proven: none that the old secrets got may pass for a proof.

    A refresh token is carried over, since only a person could get another one; `kept` is what was got meanwhile.
    """

    def __init__(self, stored: TokenStore) -> None:
        super().__init__()
        self._stored = stored
        self.kept: dict[str, Token] = {}

    async def load(self, name: str) -> Token | None:
        """What was got during the proof, else the stored refresh token beside an access token that has ended."""
        if name in self.kept:
            return self.kept[name]
        before = await self._stored.load(name)
        if before is None or before.refresh is None:
            return None
        return replace(before, access=Secret(""), expires_at=datetime.min.replace(tzinfo=UTC))

    async def save(self, name: str, token: Token) -> None:
        """Keep a token for as long as the proof takes."""
        self.kept[name] = token


class SecretTokens:
    """The TokenStore of a Connection: encrypted in the database, renewed by one worker at a time."""

    def __init__(self, database: Database, keys: KeyRing, connection_id: int) -> None:
        self._db = database
        self._keys = keys
        self._id = connection_id

    async def load(self, name: str) -> Token | None:
        """The token last saved under `name`."""
        found = await self._db.run(secrets.get_all, self._keys, self._id, TOKEN_PREFIX + name)
        kept = found.get(TOKEN_PREFIX + name)
        if kept is None:
            return None
        told = json.loads(kept.reveal())
        return Token(
            access=Secret(told["access"]),
            expires_at=datetime.fromisoformat(told["expires_at"]) if told["expires_at"] else None,
            refresh=Secret(told["refresh"]) if told["refresh"] else None,
            scopes=tuple(told["scopes"]),
        )

    async def save(self, name: str, token: Token) -> None:
        """Keep `token` durably before anyone uses it."""
        told = {
            "access": token.access.reveal(),
            "expires_at": token.expires_at.isoformat() if token.expires_at else None,
            "refresh": token.refresh.reveal() if token.refresh else None,
            "scopes": list(token.scopes),
        }
        await self._db.run(secrets.put, self._keys, self._id, {TOKEN_PREFIX + name: Secret(json.dumps(told))})

    @asynccontextmanager
    async def exclusively(self, name: str) -> AsyncIterator[None]:
        """Hold the right to renew `name` across all workers: an advisory lock on a connection of its own."""
        async with await psycopg.AsyncConnection.connect(self._db.conninfo, autocommit=True) as conn:
            key = f"isthmus:token:{self._id}:{name}"
            await conn.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (key,))
            yield
