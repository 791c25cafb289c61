"""Operations of a Connection as verbs: list them, look whether one is done, have one done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from isthmus.errors import IsthmusError, Misconfigured
from isthmus.operate.runtime import Runtime
from isthmus.sdk.connector import Connector
from isthmus.sdk.operations import Act, Done, NotDone, Operation
from isthmus.store import auditlog, connections


async def listing(runtime: Runtime, name: str) -> list[dict[str, Any]]:
    """What the system of a Connection can be asked to do, each with the JSON Schemas of its two forms."""
    row = await runtime.db.run(connections.get, name)
    return [described(one) for one in (await runtime.connector(row)).operations()]


def described(operation: Operation) -> dict[str, Any]:
    """An Operation as plain values."""
    return {
        "name": operation.name,
        "label": operation.label,
        "summary": operation.summary,
        "money": operation.money,
        "lease": dict(operation.lease),
        "needs": list(operation.needs),
        "batch": operation.batch,
        "input": operation.input.model_json_schema(),
        "result": operation.result.model_json_schema(),
    }


async def call(
    runtime: Runtime,
    name: str,
    operation: str,
    given: Mapping[str, Any],
    *,
    actor: str,
    key: str = "",
    dry_run: bool = False,
) -> dict[str, Any]:
    """Have one Act done, or with `dry_run` only look; raises what refused it, OutcomeUnknown when nobody knows.

    Without a `key` the input itself names the Act: the same call again is the same Act, and is not done twice.
    """
    row = await runtime.db.run(connections.get, name)
    connector = await runtime.connector(row)
    found = _find(connector, name, operation)
    found.parse(given)
    act = Act(key=key or _key_of(operation, given), input=given)
    if dry_run:
        return {"key": act.key, **_looked(found, await connector.verify(operation, [act]))}
    async with runtime.db.exclusive_all([f"operation:{row.id}:{lease}" for lease in found.leases(given)]):
        [outcome] = await connector.perform(operation, [act])
    if not isinstance(outcome, Done):
        raise outcome.error
    entry = auditlog.Entry(
        action=f"call {operation}",
        key=act.key,
        actor=actor,
        why={"connection": name, "operation": operation, "input": dict(given), "repeated": outcome.repeated},
        after=_plain(found, outcome),
    )
    await runtime.db.run(auditlog.append, [entry])
    return {"key": act.key, "state": "done", "repeated": outcome.repeated, "result": _plain(found, outcome)}


def _looked(operation: Operation, verdicts: Any) -> dict[str, Any]:
    [verdict] = verdicts
    if isinstance(verdict, Done):
        return {"state": "done", "repeated": True, "result": _plain(operation, verdict)}
    if isinstance(verdict, NotDone):
        return {"state": "not_done", "blocked": _told(verdict.blocked)}
    return {"state": "undecided", "blocked": _told(verdict.error)}


def _plain(operation: Operation, done: Done) -> dict[str, Any]:
    """The result in JSON's own types; amounts as text, so that no float ever holds money."""
    return operation.result.model_validate(dict(done.result)).model_dump(mode="json")


def _told(error: IsthmusError | None) -> dict[str, Any] | None:
    return None if error is None else error.as_dict()


def _find(connector: Connector, name: str, operation: str) -> Operation:
    known = {one.name: one for one in connector.operations()}
    if operation not in known:
        raise Misconfigured(
            f"calling {operation} of connection {name}",
            answered="there is no such operation",
            hint=f"It has: {', '.join(known)}." if known else f"A {connector.key} connection has no operations.",
        )
    return known[operation]


def _key_of(operation: str, given: Mapping[str, Any]) -> str:
    told = json.dumps([operation, dict(given)], sort_keys=True, default=str)
    return f"call-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
