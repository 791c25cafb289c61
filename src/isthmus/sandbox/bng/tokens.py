"""OAuth clients, access and refresh tokens, authorization codes: issued, checked, rotated, revoked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from .store import Store

TABLES = """
CREATE TABLE IF NOT EXISTS client (
    id TEXT PRIMARY KEY, secret TEXT NOT NULL, scopes TEXT NOT NULL, redirect_uris TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS token (
    hash TEXT PRIMARY KEY, kind TEXT NOT NULL, client TEXT NOT NULL, scopes TEXT NOT NULL,
    expires INTEGER NOT NULL, family TEXT NOT NULL, spent INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS token_family ON token (family);
"""
_SECOND = 1_000_000
CODE_SECONDS = 60
REFRESH_SECONDS = 30 * 86400
MOST_CACHED = 1000


@dataclass(frozen=True, slots=True)
class Client:
    """One registered client; `scopes` is the most it may be granted, a `public` one has no secret."""

    id: str
    scopes: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    public: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows whom, until `expires` (microseconds). Tokens of one consent share a `family`."""

    client: str
    scopes: frozenset[str]
    expires: int
    family: str


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code that was handed out but not exchanged yet."""

    client: str
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...]
    expires: int
    family: str


class OAuthError(Exception):
    """A refusal as RFC 6749 words it."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Tokens:
    """Everything OAuth remembers. Secrets and tokens are kept as hashes only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[str, Grant] = {}
        self._codes: dict[str, Code] = {}
        self._used_codes: dict[str, str] = {}
        store.db.executescript(TABLES)
        store.db.execute("DELETE FROM token WHERE expires < ?", (store.stamp(),))

    def register(self, client: Client, secret: str) -> None:
        """Add a client or change one; `secret` does not matter for a public one."""
        kept = "" if client.public else _hash(secret)
        row = (client.id, kept, " ".join(client.scopes), " ".join(client.redirect_uris))
        self._store.db.execute("INSERT OR REPLACE INTO client VALUES (?, ?, ?, ?)", row)

    def client(self, key: str) -> Client | None:
        """A client by its id."""
        query = "SELECT id, scopes, redirect_uris, secret FROM client WHERE id = ?"
        found = self._store.db.execute(query, (key,)).fetchone()
        if found is None:
            return None
        return Client(found[0], tuple(found[1].split()), tuple(found[2].split()), public=not found[3])

    def authenticate(self, key: str, secret: str) -> Client:
        """The client with this secret (a public one without); OAuthError invalid_client otherwise."""
        found = self._store.db.execute("SELECT secret FROM client WHERE id = ?", (key,)).fetchone()
        client = self.client(key)
        if client is not None and client.public and not secret:
            return client
        if client is None or found is None or not hmac.compare_digest(_hash(secret), found[0]):
            raise OAuthError("invalid_client", "The client id or its secret is wrong.", 401)
        return client

    def issue(self, kind: str, client: str, scopes: Sequence[str], seconds: float, family: str) -> str:
        """A new token."""
        token = secrets.token_urlsafe(32)
        expires = self._store.stamp() + int(seconds * _SECOND)
        row = (_hash(token), kind, client, " ".join(scopes), expires, family)
        self._store.db.execute(
            "INSERT INTO token (hash, kind, client, scopes, expires, family) VALUES (?, ?, ?, ?, ?, ?)", row
        )
        if kind == "access":
            if len(self._cache) >= MOST_CACHED:
                self._cache.clear()
            self._cache[token] = Grant(client, frozenset(scopes), expires, family)
        return token

    def check(self, token: str) -> Grant | None:
        """What an access token allows; None when it is unknown, revoked or expired."""
        grant = self._cache.get(token)
        if grant is None:
            query = "SELECT client, scopes, expires, family FROM token WHERE hash = ? AND kind = 'access'"
            found = self._store.db.execute(query, (_hash(token),)).fetchone()
            if found is None:
                return None
            grant = Grant(found[0], frozenset(found[1].split()), found[2], found[3])
            self._cache[token] = grant
        return grant if grant.expires > self._store.stamp() else None

    def revoke(self, token: str) -> None:
        """Forget an access token."""
        self._cache.pop(token, None)
        self._store.db.execute("DELETE FROM token WHERE hash = ?", (_hash(token),))

    def revoke_all(self, kind: str = "access") -> int:
        """Forget all access (or refresh) tokens and return how many there were."""
        self._cache.clear()
        return self._store.db.execute("DELETE FROM token WHERE kind = ?", (kind,)).rowcount

    def _revoke_family(self, family: str) -> None:
        self._cache = {token: grant for token, grant in self._cache.items() if grant.family != family}
        self._store.db.execute("DELETE FROM token WHERE family = ?", (family,))

    def refresh(self, client: str, token: str) -> tuple[tuple[str, ...], str]:
        """Spend a refresh token: its scopes and family. One that was spent before revokes its whole family."""
        query = "SELECT scopes, expires, family, spent FROM token WHERE hash = ? AND kind = 'refresh' AND client = ?"
        found = self._store.db.execute(query, (_hash(token), client)).fetchone()
        if found is None or found[1] <= self._store.stamp():
            raise OAuthError("invalid_grant", "The refresh token is unknown or expired.")
        if found[3]:
            self._revoke_family(found[2])
            raise OAuthError("invalid_grant", "The refresh token was used before; all tokens of this consent ended.")
        self._store.db.execute("UPDATE token SET spent = 1 WHERE hash = ?", (_hash(token),))
        return tuple(found[0].split()), found[2]

    def new_code(self, client: str, redirect_uri: str, challenge: str, scopes: tuple[str, ...]) -> str:
        """An authorization code, good for a minute and one exchange."""
        code = secrets.token_urlsafe(24)
        expires = self._store.stamp() + CODE_SECONDS * _SECOND
        self._codes[code] = Code(client, redirect_uri, challenge, scopes, expires, self._store.new_id())
        return code

    def exchange(self, client: str, code: str, redirect_uri: str, verifier: str) -> Code:
        """Spend an authorization code; OAuthError invalid_grant when anything about it does not fit."""
        if code in self._used_codes:
            self._revoke_family(self._used_codes[code])
            raise OAuthError("invalid_grant", "The code was used before; its tokens were revoked.")
        found = self._codes.pop(code, None)
        if found is None or found.client != client or found.expires <= self._store.stamp():
            raise OAuthError("invalid_grant", "The code is unknown, expired or was given to another client.")
        self._used_codes[code] = found.family
        if found.redirect_uri != redirect_uri:
            raise OAuthError("invalid_grant", "The redirect_uri is not the one that the code was asked for with.")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if not hmac.compare_digest(digest, found.challenge):
            raise OAuthError("invalid_grant", "The code_verifier does not match the code_challenge.")
        return found
