"""Clients of the canonical API as verbs: add, list, revoke; their tokens, and how fast they may ask."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from isthmus.errors import Misconfigured
from isthmus.model.policy import Side
from isthmus.model.secret import Secret
from isthmus.store import auditlog, clients, pairs

RESOURCES = {
    "customers": "customer",
    "products": "product",
    "sales_orders": "sales_order",
    "invoices": "invoice",
    "payments": "payment",
    "inventory": "inventory_item",
}
"""What the canonical API offers → the canonical Entity behind it."""

WRITABLE = {"customers": ("POST", "PUT"), "products": ("POST", "PUT"), "sales_orders": ("POST",)}
"""What clients may write, and by which verbs."""

SCOPES = tuple(
    f"{name}:{right}" for name in RESOURCES for right in ("read", "write") if right == "read" or name in WRITABLE
)
"""Every scope that a client can have."""

LIFETIME = timedelta(minutes=15)
"""How long a client's token is good for."""

PER_MINUTE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who is calling the canonical API, and what its token allows."""

    id: int
    name: str
    client_id: str
    pair_id: int
    pair: str
    side: Side
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """What the audit log calls it."""
        return f"client {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A client that was made: its id and its secret, which can be read this once."""

    client_id: str
    secret: Secret


def add(
    conn: Connection, name: str, *, pair: str, side: str, scopes: Sequence[str], per_minute: int, actor: str
) -> Made:
    """A new client that writes to a side of a pair; its secret can be read only now."""
    wanted = list(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    doing = f"adding the client {name}"
    if unknown or not wanted:
        raise Misconfigured(
            doing,
            answered=f"there is no scope {unknown[0]}" if unknown else "it would be allowed nothing",
            hint=f"The scopes are: {', '.join(SCOPES)}.",
        )
    if side not in ("left", "right"):
        raise Misconfigured(doing, answered=f"a pair has no side {side}", hint="The sides are left and right.")
    if per_minute < 1:
        raise Misconfigured(doing, answered=f"{per_minute} requests a minute is none", hint="Allow at least 1.")
    if not name.strip() or any(row["name"] == name and row["state"] == "valid" for row in clients.listing(conn)):
        raise Misconfigured(
            doing,
            answered="there is such a client already" if name.strip() else "it has no name",
            hint="Take another name, or revoke the old client first: `isthmus client revoke NAME`.",
        )
    row = pairs.get(conn, pair)
    client_id, secret = "cli_" + secrets.token_hex(8), "sec_" + secrets.token_urlsafe(32)
    new = clients.NewClient(
        name=name,
        client_id=client_id,
        digest=_digest(secret),
        scopes=wanted,
        pair_id=int(row.id),
        side=side,
        per_minute=per_minute,
    )
    clients.add(conn, new)
    told = {"name": name, "client_id": client_id, "side": side, "scopes": wanted, "per_minute": per_minute}
    auditlog.append(conn, [auditlog.Entry(action="add client", actor=actor, pair_id=int(row.id), after=told)])
    return Made(client_id=client_id, secret=Secret(secret))


def listing(conn: Connection) -> list[dict[str, Any]]:
    """Every client with its pair, side, scopes, pace and last use; never its secret."""
    return clients.listing(conn)


def revoke(conn: Connection, name: str, actor: str) -> int:
    """End a client and all its tokens, at once; raises Misconfigured when there is none of this name."""
    ended = clients.revoke(conn, name)
    if not ended:
        raise Misconfigured(
            f"revoking the client {name}",
            answered="there is no client of this name in use",
            hint="`isthmus client list` shows them all.",
        )
    auditlog.append(conn, [auditlog.Entry(action="revoke client", actor=actor, before={"name": name})])
    return ended


def known(conn: Connection, client_id: str, secret: str) -> Any:
    """The row of the client with this id and secret, or None; compared in constant time."""
    row = clients.by_client_id(conn, client_id)
    given = _digest(secret)
    if row is None or not hmac.compare_digest(bytes(row.digest), given):
        return None
    return row


def issue(conn: Connection, row: Any, scopes: Sequence[str]) -> Secret:
    """A token of a client with these scopes, good for LIFETIME."""
    token = "ict_" + secrets.token_urlsafe(32)
    clients.add_token(conn, int(row.id), _digest(token), scopes, LIFETIME)
    return Secret(token)


def check(conn: Connection, token: str) -> tuple[Client, float] | None:
    """Who a token belongs to, and the seconds it has to wait (0: none); counts as one request. None: not valid."""
    row = clients.by_token(conn, _digest(token))
    if row is None:
        return None
    found = Client(
        id=int(row.id),
        name=row.name,
        client_id=row.client_id,
        pair_id=int(row.pair_id),
        pair=row.pair,
        side="left" if row.side == "left" else "right",
        scopes=frozenset(row.granted) & frozenset(row.scopes),
    )
    return found, clients.take(conn, found.id)


def _digest(secret: str) -> bytes:
    # Secrets and tokens have 256 random bits, so a plain digest cannot be guessed back; no slow hash is needed.
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
