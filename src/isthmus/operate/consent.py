"""A person's consent for a Connection: begun here, kept sealed while they are away, ended when they come back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import AuthFailed
from isthmus.model.secret import Secret
from isthmus.operate.runtime import Runtime
from isthmus.sdk.login import Login
from isthmus.store import auditlog, connections, pairs, secrets

WAITING = "login"
"""The secret under which a Connection's begun login is kept; a newer one takes its place."""


async def begin(runtime: Runtime, name: str, redirect_uri: str) -> Login:
    """The address to send a person to; they come back to `redirect_uri` with what `end` needs."""
    row = await runtime.db.run(connections.get, name)
    connector = await runtime.connector(row)
    login = connector.begin_login(redirect_uri)
    kept = {"url": login.url, "state": login.state, "verifier": login.verifier.reveal(), "back": login.redirect_uri}
    await runtime.db.run(secrets.put, runtime.keys, row.id, {WAITING: Secret(json.dumps(kept))})
    return login


async def end(runtime: Runtime, name: str, returned: Mapping[str, str], actor: str) -> None:
    """Trade what came back (`code` and `state`, or `error`) for tokens; pairs halted for want of a login resume.

    Raises AuthFailed when no login was begun, when it belongs to another one, and when the person refused.
    """
    row = await runtime.db.run(connections.get, name)
    found = await runtime.db.run(secrets.get_all, runtime.keys, row.id, WAITING)
    if WAITING not in found:
        raise AuthFailed(
            f"logging in to {name}: no login was begun", hint=f"Begin one: `isthmus connection authorize {name}`."
        )
    kept = json.loads(found[WAITING].reveal())
    login = Login(url=kept["url"], state=kept["state"], verifier=Secret(kept["verifier"]), redirect_uri=kept["back"])
    connector = await runtime.connector(row)
    await connector.end_login(login, returned)
    await runtime.db.run(_resume, runtime, row, actor)


def _resume(conn: Connection, runtime: Runtime, row: Any, actor: str) -> None:
    """The consent is there: forget the begun login, open the Connection anew, go on with what waited for it."""
    conn.execute(text("delete from secret where connection_id = :id and name = :name"), {"id": row.id, "name": WAITING})
    connections.set_state(conn, row.id, "ok")
    conn.execute(text("update connection set updated_at = now() where id = :id"), {"id": row.id})
    for pair in pairs.listing(conn):
        if row.id in (pair.left_id, pair.right_id) and (pair.state_reason or {}).get("kind") == "AuthFailed":
            pairs.set_state(conn, pair.id, "active")
            for entity in pair.settings.get("entities", {}):
                runtime.wake(conn, pair.id, entity)
    auditlog.append(conn, [auditlog.Entry(action="authorize", actor=actor, why={"connection": row.name})])
