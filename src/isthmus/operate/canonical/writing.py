"""Writing for clients: checked, stored as an Intent, sent, found again after a lost answer, told to the lane.

The order for every write: what the system has already is looked at first; what has not taken place is stored as a sent
Intent; it is sent; Intent, audit entry and the Event for the lane are one transaction. A process that dies in between
leaves a sent Intent, and the client's own repeat or the chore begins at the first step.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from isthmus.errors import Contended, IsthmusError, OutcomeUnknown
from isthmus.model.canonical import Value, decode, encode
from isthmus.operate.canonical import checking, reading
from isthmus.operate.canonical.place import MOVED, Standing, not_there, taken, written_out
from isthmus.operate.clients import Client
from isthmus.operate.runtime import Runtime
from isthmus.sdk.connector import Create, Failed, Gone, Hint, Outcome, Record, Stale, Unsure, Update, Written
from isthmus.store import auditlog, clients
from isthmus.store.rows import as_json
from isthmus.sync import inbox
from isthmus.sync.gather import by_external_keys
from isthmus.sync.merge import same

TRIES = 3
"""How often an update is planned anew because the record moved meanwhile."""

_MINTABLE = re.compile(r"[^A-Za-z0-9_-]")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a write. `created` is False where an earlier request of this client had made the record."""

    key: str
    body: dict[str, Any]
    created: bool = False


async def create(at: Standing, reference: str, given: Mapping[str, Any], locks: clients.Locks) -> Done:
    """Make a record under the client's own reference: the same reference is the same record, for ever.

    Raises InvalidRecord for what is wrong with the values, Conflicted for a record that is there already under other
    values or another reference, OutcomeUnknown when no answer came: the same request again tells what became of it.
    """
    digest = _digest(given)
    earlier = await at.runtime.db.run(clients.by_reference, at.client.id, at.entity.name, reference)
    external = external_key(await at.runtime.installation(), at, reference)
    if earlier is not None:
        if bytes(earlier.digest) != digest:
            raise taken(
                f"creating a {at.entity.name} under the reference {reference}",
                key=earlier.key,
                answered="a record with other values was made under it",
                hint=f"Change that one with PUT /api/v1/{at.resource}/{earlier.key or 'KEY'}, or take a new reference.",
            )
        if earlier.state == "confirmed":
            return await _again(at, str(earlier.key))
    record = (await by_external_keys(at.here, [external], at.here.mapping.paths)).get(external)
    if record is not None and earlier is not None:
        await at.runtime.db.run(
            _confirm, at, int(earlier.id), "create", record.key, decoded_of(at, earlier), {}, reference
        )
        at.runtime.nudge_pair(at.pair.id)
        return Done(key=record.key, body=_body(at, record.key, record, {}, reference), created=True)
    if record is not None:
        return await _again(at, record.key)
    values, payload, remarks = await checking.for_create(at, given)
    await locks.also(checking.locks(at, values))
    await checking.no_twin(at, values)
    return await _create(at, reference, external, digest, earlier, values, payload, remarks)


async def _create(
    at: Standing,
    reference: str,
    external: str,
    digest: bytes,
    earlier: Any,
    values: Mapping[str, Value],
    payload: Mapping[str, Any],
    remarks: list[str],
) -> Done:
    db, traits = at.runtime.db, at.here.connector.traits
    if earlier is None:
        intent = clients.ClientIntent(
            client_id=at.client.id,
            pair_id=at.pair.id,
            entity=at.entity.name,
            side=at.here.side,
            action="create",
            digest=digest,
            idempotency_key=f"{external}-{digest.hex()[:16]}",
            payload=encode(payload),
            fields=encode(values),
            reference=reference,
            external_key=external,
        )
        number, key_of_request = await db.run(clients.store_sent, intent), intent.idempotency_key
    else:
        left = 0.0 if traits.idempotent_creates else traits.ceiling_seconds - float(earlier.age)
        if left > 0:
            raise _unknown(at, f"creating a {at.entity.name}", reference, left)
        await db.run(clients.send_again, int(earlier.id))
        number, key_of_request = int(earlier.id), str(earlier.idempotency_key)
    [outcome] = await _asked(
        at, "create", [Create(external_key=external, values=payload, idempotency_key=key_of_request)]
    )
    if isinstance(outcome, Written):
        await db.run(_confirm, at, number, "create", outcome.key, values, {}, reference)
        at.runtime.nudge_pair(at.pair.id)
        record = await _read_back(at, outcome.key)
        return Done(key=outcome.key, body=_body(at, outcome.key, record, values, reference, remarks), created=True)
    await _not_written(at, number, outcome)
    found = await _looked_for(at, external)
    if found is None:
        raise _unknown(at, f"creating a {at.entity.name}", reference, 2.0)
    await db.run(_confirm, at, number, "create", found.key, values, {}, reference)
    at.runtime.nudge_pair(at.pair.id)
    return Done(key=found.key, body=_body(at, found.key, found, values, reference, remarks), created=True)


async def update(at: Standing, key: str, given: Mapping[str, Any], expected: str | None) -> Done:
    """Change what is given of a record; what is left out stays, null empties. `expected` is the version it has to have.

    Raises InvalidRecord for what is wrong (also where there is no such record), Conflicted when it has another
    version, Contended when it goes on moving, OutcomeUnknown when no answer came: asking again is harmless.
    """
    await _settle_open(at, key)
    for _ in range(TRIES):
        record = await reading.current(at, key)
        if record is None:
            raise not_there(f"changing {at.name(key)}", record=key, answered=f"{at.here.connection} has none")
        if expected is not None and record.version != expected:
            raise taken_version(at, key, record)
        done = await _update(at, record, given)
        if done is not None:
            return done
    raise Contended(
        f"changing {at.name(key)} in {at.here.connection}",
        record=key,
        answered=f"it moved {TRIES} times while it was written",
        hint="Read it again, then send your change once more.",
    )


def taken_version(at: Standing, key: str, record: Record) -> IsthmusError:
    """The error for a record that has moved on since the client read it."""
    error = taken(
        f"changing {at.name(key)} in {at.here.connection}",
        key=key,
        answered=f"its version is {record.version} now",
        hint="Read it again, see whether your change is still right, then send it with the new version.",
    )
    error.facts["told"] = MOVED
    return error


async def _update(at: Standing, record: Record, given: Mapping[str, Any]) -> Done | None:
    """One try; None when the record moved meanwhile."""
    db, key = at.runtime.db, record.key
    now = at.here.mapping.read(record.values).values
    changed, payload, remarks = await checking.for_update(at, key, given, now, record.values)
    reference = (await db.run(clients.references, at.client.id, at.entity.name, [key])).get(key)
    if not payload:
        return Done(key=key, body=_body(at, key, record, {}, reference, remarks))
    before = {name: now.get(name) for name in changed}
    told = as_json([key, record.version, encode(payload), encode({p: record.values.get(p) for p in payload})])
    intent = clients.ClientIntent(
        client_id=at.client.id,
        pair_id=at.pair.id,
        entity=at.entity.name,
        side=at.here.side,
        action="update",
        digest=_digest(given),
        idempotency_key=f"{await at.runtime.installation()}-c{at.client.id}-{_short(told)}",
        payload=encode(payload),
        fields=encode(changed),
        before=encode(before),
        key=key,
    )
    number = await db.run(clients.store_sent, intent)
    expect = {path: record.values.get(path) for path in payload}
    wanted = Update(
        key=key, values=payload, expect=expect, version=record.version, idempotency_key=intent.idempotency_key
    )
    [outcome] = await _asked(at, "update", [wanted])
    if isinstance(outcome, Stale):
        await db.run(clients.end, number, "dropped")
        return None
    if isinstance(outcome, Gone):
        await db.run(clients.end, number, "dropped")
        raise not_there(f"changing {at.name(key)}", record=key, answered=f"{at.here.connection} has none any more")
    if not isinstance(outcome, Written):
        await _not_written(at, number, outcome)
        if not stands(at, await reading.current(at, key), changed):
            raise _unknown(at, f"changing {at.name(key)}", key, 2.0)
    await db.run(_confirm, at, number, "update", key, changed, before, reference)
    at.runtime.nudge_pair(at.pair.id)
    after = await _read_back(at, key)
    return Done(key=key, body=_body(at, key, after, {**now, **changed}, reference, remarks))


# -- what is sent, and what became of it -----------------------------------------------------------------------------


async def _asked(at: Standing, verb: str, items: list[Any]) -> Any:
    connector, entity = at.here.connector, at.here.entity
    try:
        return await (connector.create(entity, items) if verb == "create" else connector.update(entity, items))
    except IsthmusError as error:
        # The verbs promise outcomes; if one breaks that promise we do not know what was written.
        return [Failed(error=error) if error.action == "halt" else Unsure(error=error)]


async def _not_written(at: Standing, number: int, outcome: Outcome) -> None:
    """Note what did not take place, and raise why; returns when nobody knows."""
    if isinstance(outcome, Failed):
        state = "refused" if outcome.error.action == "reject" else "dropped"
        await at.runtime.db.run(clients.end, number, state, error=outcome.error.as_dict())
        raise outcome.error
    told = outcome.error.as_dict() if isinstance(outcome, Unsure) else {}
    await at.runtime.db.run(clients.end, number, "unknown", error=told)


async def _looked_for(at: Standing, external: str) -> Record | None:
    """A create without an answer, looked for at once."""
    try:
        return (await by_external_keys(at.here, [external], at.here.mapping.paths)).get(external)
    except IsthmusError:
        return None


async def _read_back(at: Standing, key: str) -> Record | None:
    """The record as its system has it after a write; None where it cannot be read just now."""
    try:
        return await reading.current(at, key)
    except IsthmusError as error:
        _LOG.info("%s was written and cannot be read back just now: %s", at.name(key), error)
        return None


def _confirm(
    conn: Connection,
    at: Standing,
    number: int,
    action: str,
    key: str,
    values: Mapping[str, Value],
    before: Mapping[str, Value],
    reference: str | None,
) -> None:
    """One transaction: the Intent has ended, the audit log says so, and the lane looks at the record."""
    if not clients.end(conn, number, "confirmed", key=key):
        return
    why: dict[str, Any] = {"source": "canonical API", "client": at.client.client_id, "intent": number}
    if reference is not None:
        why["reference"] = reference
    entry = auditlog.Entry(
        action=action,
        actor=at.client.actor,
        pair_id=at.pair.id,
        entity=at.entity.name,
        side=at.here.side,
        key=key,
        why=why,
        before=encode(before) if before else None,
        after=encode(values),
    )
    auditlog.append(conn, [entry])
    hint = Hint(entity=at.here.entity, key=key)
    inbox.accept(conn, at.pair, at.here.side, [hint], source="client", wake=at.runtime.wake)


async def _settle_open(at: Standing, key: str) -> None:
    """What became of earlier updates of this record whose answer was lost."""
    for row in await at.runtime.db.run(clients.open_updates, at.client.id, at.entity.name, key):
        await _resolve(at, row)


async def resolve(runtime: Runtime, older: float = 30.0) -> int:
    """The chore: what became of writes whose client never came back to ask; returns how many have ended."""
    ended = 0
    for row in await runtime.db.run(clients.unresolved, older):
        try:
            who = Client(
                id=int(row.client_id), name=row.client, client_id="", pair_id=int(row.pair_id), pair="",
                side="left" if row.side == "left" else "right", scopes=frozenset(),
            )  # fmt: skip
            _, pair = await runtime.pair(who.pair_id)
            if row.entity in pair.entities:
                at = Standing(
                    runtime=runtime, client=who, resource=row.entity, pair=pair, state="active",
                    entity=pair.entities[row.entity],
                )  # fmt: skip
                ended += await _resolve(at, row)
        except IsthmusError as error:
            _LOG.info("what became of write %s of the client %s is looked at later: %s", row.id, row.client, error)
    return ended


async def _resolve(at: Standing, row: Any) -> bool:
    """Confirm a write that is seen to stand there, drop one that cannot take place any more; False: not known yet."""
    db, values = at.runtime.db, decoded_of(at, row)
    if row.action == "create":
        found = (await by_external_keys(at.here, [row.external_key], at.here.mapping.paths)).get(row.external_key)
        key = found.key if found else None
    else:
        key = row.key if stands(at, await reading.current(at, row.key), values) else None
    if key is not None:
        before = decode(at.entity.canonical, row.before or {})
        await db.run(_confirm, at, int(row.id), row.action, str(key), values, before, row.reference)
        at.runtime.nudge_pair(at.pair.id)
        return True
    if float(row.age) < at.here.connector.traits.ceiling_seconds:
        return False
    return await db.run(clients.end, int(row.id), "dropped", error={"note": "it was looked for and is not there"})


def stands(at: Standing, record: Record | None, values: Mapping[str, Value]) -> bool:
    """Whether a record holds what an update carried, as this side writes it."""
    if record is None:
        return False
    now = at.here.mapping.read(record.values).values
    wanted = at.here.mapping.project({**now, **values}, values.keys(), record.values)
    return all(same(now.get(name), wanted.get(name, value)) for name, value in values.items())


def decoded_of(at: Standing, row: Any) -> dict[str, Value]:
    """The canonical values that a stored Intent carried."""
    return decode(at.entity.canonical, row.fields or {})


# -- names and answers -----------------------------------------------------------------------------------------------


def external_key(installation: str, at: Standing, reference: str) -> str:
    """The external key of what a client makes under its reference: always the same, so that nothing is made twice."""
    plain = _MINTABLE.sub("_", reference)
    if plain != reference or len(plain) > 24:
        plain = f"{plain[:12]}-{_short(reference)[:16]}"
    return f"{installation}-c{at.client.id}-{at.entity.name}-{plain}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _digest(given: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(as_json(sorted(given.items())).encode()).digest()


async def _again(at: Standing, key: str) -> Done:
    """The answer to a repeat: the record as it is now."""
    _, body = await reading.one(at, key)
    return Done(key=key, body={**body, "warnings": []})


def _body(
    at: Standing,
    key: str,
    record: Record | None,
    values: Mapping[str, Value],
    reference: str | None,
    remarks: list[str] | None = None,
) -> dict[str, Any]:
    told = at.here.mapping.read(record.values).values if record is not None else values
    return written_out(key, told, record, reference, remarks or [])


def _unknown(at: Standing, doing: str, record: str, seconds: float) -> OutcomeUnknown:
    wait = timedelta(seconds=max(1.0, seconds))
    return OutcomeUnknown(
        f"{doing} in {at.here.connection}",
        record=record,
        answered="no answer came, and it cannot be seen there yet",
        hint="Send the same request again after the time given: it is looked for first, and never made twice.",
        facts={"wait_seconds": round(wait.total_seconds(), 1)},
    )
