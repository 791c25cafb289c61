"""API tokens as verbs: add and revoke, both in the audit log."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from isthmus.errors import Misconfigured
from isthmus.model.secret import Secret
from isthmus.security import tokens
from isthmus.store import auditlog


def add(conn: Connection, name: str, role: str, days: int | None, actor: str) -> Secret:
    """A new token for `days` days (None: without end); this is the only time it can be read."""
    if role not in tokens.ROLES:
        raise Misconfigured(
            f"making a token for {name}",
            answered=f"there is no role {role}",
            hint=f"The roles are: {', '.join(tokens.ROLES)}.",
        )
    made = tokens.issue(conn, name, role, timedelta(days=days) if days else None)
    entry = auditlog.Entry(action="add token", actor=actor, after={"name": name, "role": role, "days": days})
    auditlog.append(conn, [entry])
    return made


def revoke(conn: Connection, name: str, actor: str) -> int:
    """End every token of this name; raises Misconfigured when there is none to end."""
    ended = tokens.revoke(conn, name)
    if not ended:
        raise Misconfigured(
            f"revoking the tokens of {name}",
            answered="there is no token of this name in use",
            hint="`isthmus token list` shows them all.",
        )
    auditlog.append(conn, [auditlog.Entry(action="revoke token", actor=actor, before={"name": name, "ended": ended})])
    return ended
