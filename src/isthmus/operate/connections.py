"""Connections as verbs: add, list, doctor, rotate, webhooks."""

from __future__ import annotations

import json
import secrets as random_secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import IsthmusError, Misconfigured
from isthmus.mapping.model import Mapping as MappingFile
from isthmus.model.secret import Secret
from isthmus.operate.assemble import mapping_file, parse_pair
from isthmus.operate.fingerprint import SUSPECT, told_apart
from isthmus.operate.runtime import Runtime, system_settings
from isthmus.operate.secrets import ProvingTokens, open_secrets
from isthmus.sdk.connector import Connector, Finding, HookStatus
from isthmus.sdk.registry import ConnectorKind, find
from isthmus.sdk.services import Services
from isthmus.store import auditlog, connections, flows, pairs, secrets

HOOK_SECRET = "hook_secret"  # noqa: S105 - the name of the secret
"""Every Connection has one: it is part of the URL that webhooks are sent to, or what signs them."""

ADMIN = "admin_"
"""How the names of secrets begin that are used for one call and never stored."""


async def add(
    runtime: Runtime,
    name: str,
    *,
    kind: str,
    environment: str,
    settings: Mapping[str, Any],
    given: Mapping[str, Secret],
    actor: str,
) -> int:
    """Store a Connection; its settings are checked by the connector's own form, secrets are sealed at once."""
    connector = find(kind)
    _never_kept(given)
    plain = dict(settings)
    sealed = {**given, **{n: Secret(str(plain.pop(n))) for n in connector.secret_names() if n in plain}}
    sealed.setdefault(HOOK_SECRET, Secret(random_secrets.token_urlsafe(24)))
    if "webhook_secret" in connector.settings.model_fields:
        sealed.setdefault("webhook_secret", Secret(random_secrets.token_urlsafe(24)))
    if "url" in plain and "url" not in connector.settings.model_fields:
        plain["base_url"] = plain.pop("url")
    connector.parse(system_settings(plain), _known(connector, sealed))

    def work(conn: Connection) -> int:
        connection_id = connections.add(conn, name=name, kind=kind, environment=environment, settings=plain)
        suspect = "update connection set fingerprint = fingerprint - cast(:name as text) where id = :id"
        conn.execute(text(suspect), {"name": SUSPECT, "id": connection_id})  # what is corrected is looked at anew
        kept = secrets.get_all(conn, runtime.keys, connection_id)
        for made in (HOOK_SECRET, "webhook_secret"):
            if made in kept and made not in given:
                sealed.pop(made, None)
        secrets.put(conn, runtime.keys, connection_id, sealed)
        entry = auditlog.Entry(
            action="add connection",
            actor=actor,
            why={"connection": name, "kind": kind},
            after={"settings": plain, "secrets": sorted(sealed)},
        )
        auditlog.append(conn, [entry])
        return connection_id

    return await runtime.db.run(work)


async def rotate(
    runtime: Runtime,
    name: str,
    given: Mapping[str, Secret],
    actor: str,
    *,
    proof: Mapping[str, Secret] | None = None,
) -> list[Finding]:
    """Replace secrets of a Connection after proving that the new ones work; pairs halted by the old ones resume.

    Without new secrets the connector makes them; `proof` is what the other system wants to see for that, used once.
    """
    row = await runtime.db.run(connections.get, name)
    kind = find(row.kind)
    unknown = sorted(set(given) - set(kind.secret_names()) - {HOOK_SECRET})
    if unknown:
        raise Misconfigured(
            f"rotating secrets of connection {name}",
            answered=f"a {kind.name} connection has no secret {', '.join(unknown)}",
            hint=f"Its secrets are: {', '.join(kind.secret_names())}.",
        )
    _never_kept(given)
    before = await runtime.db.run(open_secrets, runtime.keys, row.id)
    services = await runtime.services(row)
    old = kind.make(system_settings(row.settings), _known(kind, before), services)
    try:
        given = given or await old.renew(proof or {})
        given = {**_still_accepted(kind, before, given), **given}
        proving = ProvingTokens(services.tokens)
        findings = await _proven(kind, row, {**before, **given}, replace(services, tokens=proving))
        await runtime.db.run(_replace, runtime, row, given, actor)
        for token, value in proving.kept.items():
            await services.tokens.save(token, value)
        logins = set(given) - {HOOK_SECRET, "webhook_secret", "webhook_secret_previous"}
        if any(before.get(one) != given[one] for one in logins):
            findings.append(await _retired(old, proof or {}))
    finally:
        await old.close()
    standing = await runtime.db.run(hook_state, row.id)
    if standing and "webhook_secret" in given:
        await install_hooks(runtime, name, standing["base_url"])
    return findings


def _still_accepted(
    kind: ConnectorKind, before: Mapping[str, Secret], given: Mapping[str, Secret]
) -> dict[str, Secret]:
    """The secrets that make way and may still sign for a while, where the connector has a place for them."""
    places = {name: f"{name}_previous" for name in given if name in before and before[name] != given[name]}
    return {place: before[name] for name, place in places.items() if place in kind.settings.model_fields}


async def _proven(kind: ConnectorKind, row: Any, found: Mapping[str, Secret], services: Services) -> list[Finding]:
    """What the doctor finds with these secrets; raises when they do not open the system."""
    candidate = kind.make(system_settings(row.settings), _known(kind, found), services)
    try:
        findings = list(await candidate.check())
    finally:
        await candidate.close()
    problems = [f for f in findings if f.status == "problem"]
    if problems and not any(f.check == "login" and f.status == "ok" for f in findings):
        raise Misconfigured(
            f"rotating secrets of connection {row.name}",
            answered=problems[0].message,
            hint=f"{problems[0].fix} The old secrets stay in use.",
        )
    return findings


async def _retired(old: Connector, proof: Mapping[str, Secret]) -> Finding:
    """The old secrets ended at the other side, as far as it lets us; that it does not must undo nothing."""
    try:
        return Finding(check="old secrets", status="ok", message=await old.retire(proof))
    except IsthmusError as error:
        return Finding(check="old secrets", status="warning", message=str(error), fix=error.hint)


def _replace(conn: Connection, runtime: Runtime, row: Any, given: Mapping[str, Secret], actor: str) -> None:
    secrets.put(conn, runtime.keys, row.id, given)
    conn.execute(text("delete from secret where connection_id = :id and name like 'token:%'"), {"id": row.id})
    connections.set_state(conn, row.id, "ok")
    conn.execute(text("update connection set updated_at = now() where id = :id"), {"id": row.id})
    for pair in pairs.listing(conn):
        if row.id in (pair.left_id, pair.right_id) and (pair.state_reason or {}).get("kind") == "AuthFailed":
            pairs.set_state(conn, pair.id, "active")
            for entity in pair.settings.get("entities", {}):
                runtime.wake(conn, pair.id, entity)
    entry = auditlog.Entry(
        action="rotate secrets", actor=actor, why={"connection": row.name}, after={"secrets": sorted(given)}
    )
    auditlog.append(conn, [entry])


async def doctor(runtime: Runtime, name: str) -> list[Finding]:
    """Every finding about a Connection in plain words with its fix; a set-up that cannot even start is one, too."""
    row = await runtime.db.run(connections.get, name)
    try:
        connector = await runtime.connector(row)
        connector.uses(await runtime.db.run(paths_of, row.id))
        findings = list(await connector.check())
        if row.fingerprint and not any(f.status == "problem" for f in findings):
            findings.append(_same_system(name, await told_apart(runtime.db, row, connector)))
        return findings
    except IsthmusError as error:
        return [Finding(check="open", status="problem", message=str(error), fix=error.hint)]


def _same_system(name: str, told: str) -> Finding:
    if not told:
        return Finding(check="system", status="ok", message="It is the system that was linked, not a copy of it.")
    return Finding(
        check="system",
        status="problem",
        message=f"This is a copy or an older restore of the system that was linked: {told}. Its pairs are halted.",
        fix=(
            "Correct the URL or database of the connection. If this system is meant from now on, run "
            f"`isthmus connection accept {name}` and then a Sweep."
        ),
    )


async def accept(runtime: Runtime, name: str, actor: str) -> None:
    """Take a copied or restored system as the one that is meant from now on; a Sweep should follow."""
    row = await runtime.db.run(connections.get, name)
    connector = await runtime.connector(row)
    now = dict(await connector.fingerprint())

    def work(conn: Connection) -> None:
        connections.set_fingerprint(conn, row.id, now)
        for side in ("left", "right"):
            # Which record a key means is learned anew: the next look keeps when each was created.
            sql = (
                f"update link set {side}_created_at = null where pair_id in (select id from pair where {side}_id = :id)"
            )
            conn.execute(text(sql), {"id": row.id})
        entry = auditlog.Entry(
            action="accept system", actor=actor, why={"connection": name}, before=row.fingerprint, after=now
        )
        auditlog.append(conn, [entry])

    await runtime.db.run(work)


async def install_hooks(
    runtime: Runtime, name: str, base_url: str, *, admin: Mapping[str, Secret] | None = None
) -> Sequence[HookStatus]:
    """Register webhooks of a Connection for every Entity its pairs use. `admin` secrets are used once, never stored."""
    row = await runtime.db.run(connections.get, name)
    connector = await runtime.connector(row)
    paths = await runtime.db.run(paths_of, row.id)
    entities = sorted(paths)
    url = await hook_url(runtime, row, base_url)
    if admin:
        kind = find(row.kind)
        stored = await runtime.db.run(open_secrets, runtime.keys, row.id)
        known = _known(kind, {**stored, **_for_one_call(kind, admin)})
        own = kind.make(system_settings(row.settings), known, await runtime.services(row))
        own.uses(paths)
        try:
            found = await own.install_hooks(entities, url)
        finally:
            await own.close()
    else:
        connector.uses(paths)
        found = await connector.install_hooks(entities, url)
    standing = {h.entity: h.installed for h in found}
    await runtime.db.run(keep_hook_state, row.id, {"base_url": base_url, "standing": standing})
    return found


async def remove_hooks(
    runtime: Runtime, name: str, base_url: str, *, admin: Mapping[str, Secret] | None = None
) -> None:
    """Take the webhooks of a Connection away again, and forget that there were any."""
    row = await runtime.db.run(connections.get, name)
    kind = find(row.kind)
    stored = await runtime.db.run(open_secrets, runtime.keys, row.id)
    known = _known(kind, {**stored, **_for_one_call(kind, admin)})
    own = kind.make(system_settings(row.settings), known, await runtime.services(row))
    try:
        await own.remove_hooks(await hook_url(runtime, row, base_url))
    finally:
        await own.close()

    def forget(conn: Connection) -> None:
        conn.execute(text("delete from setting where name = :name"), {"name": _hooks(row.id)})

    await runtime.db.run(forget)


def hook_state(conn: Connection, connection_id: int) -> dict[str, Any] | None:
    """Where a Connection's webhooks were told to go (`base_url`) and which stand (`standing`); None before that."""
    found = conn.execute(text("select value from setting where name = :name"), {"name": _hooks(connection_id)}).scalar()
    return dict(found) if found else None


def keep_hook_state(conn: Connection, connection_id: int, state: Mapping[str, Any]) -> None:
    """Remember what the last look at a Connection's webhooks found."""
    sql = """insert into setting (name, value) values (:name, cast(:value as jsonb))
             on conflict (name) do update set value = excluded.value, updated_at = now()"""
    conn.execute(text(sql), {"name": _hooks(connection_id), "value": json.dumps(dict(state))})


def _hooks(connection_id: int) -> str:
    return f"hooks:{connection_id}"


async def hook_url(runtime: Runtime, row: Any, base_url: str) -> str:
    """Where this Connection's webhooks are sent: its own address with a secret in it."""
    stored = await runtime.db.run(secrets.get_all, runtime.keys, row.id, HOOK_SECRET)
    return f"{base_url.rstrip('/')}/hooks/{row.name}/{stored[HOOK_SECRET].reveal()}"


def entities_of(conn: Connection, connection_id: int) -> list[str]:
    """System entities that the pairs of a Connection use, from their Mappings."""
    return sorted(paths_of(conn, connection_id))


def paths_of(conn: Connection, connection_id: int) -> dict[str, list[str]]:
    """The paths of each system entity that the pairs of a Connection map or filter by, known there or not."""
    found: dict[str, set[str]] = {}
    for pair in pairs.listing(conn):
        files = pairs.files(conn, pair.id, pair.version)
        for entity in parse_pair(files["pair.yaml"]).entities.values():
            for side, told in ((pair.left_id, entity.left), (pair.right_id, entity.right)):
                if side == connection_id:
                    mapping = mapping_file(files, told.mapping)
                    scope = mapping.scope if told.scope is None else told.scope
                    found.setdefault(mapping.system_entity, set()).update(_mapped(mapping), _filtered(scope))
    for listened, name in flows.watched(conn):
        if listened == connection_id:
            found.setdefault(name, set())  # watched wholly: what a flow reads of it is the flow's own matter
    return {entity: sorted(paths) for entity, paths in found.items()}


def _mapped(mapping: MappingFile) -> Iterator[str]:
    for field in (*mapping.fields.values(), *mapping.together):
        instead = (field.instead.when, field.instead.from_) if field.instead else ()
        for told in (field.from_, *instead):
            yield from told.values() if isinstance(told, dict) else [told] if told else []


def _filtered(scope: Any) -> list[str]:
    """What a filter looks at: the names of a mapping, the first word of each term of a domain."""
    if isinstance(scope, Mapping):
        return [str(name) for name in scope]
    terms = scope if isinstance(scope, list | tuple) else ()
    return [str(term[0]) for term in terms if isinstance(term, list | tuple) and len(term) == 3]


def _for_one_call(kind: ConnectorKind, admin: Mapping[str, Secret] | None) -> Mapping[str, Secret]:
    """An administrator's secrets stand beside ours, never in their place: the other side has to know both."""
    wanted = [name for name in kind.settings.model_fields if name.startswith(ADMIN)]
    wrong = sorted(set(admin or {}) - set(wanted)) if wanted else []
    if wrong:
        raise Misconfigured(
            f"taking {', '.join(wrong)} for an administrator's secret",
            answered=f"a {kind.name} connection has no such secret",
            hint=f"Those for one call are: {', '.join(wanted)}.",
        )
    return admin or {}


def _never_kept(given: Mapping[str, Secret]) -> None:
    """Administrators' secrets are for one call; storing one would make every later leak worse."""
    found = sorted(name for name in given if name.startswith(ADMIN))
    if found:
        raise Misconfigured(
            f"storing {', '.join(found)}: an administrator's secret is never stored",
            hint="Give it to the one command that needs it: `isthmus connection hooks NAME --admin admin_key=@FILE`.",
        )


def _known(kind: ConnectorKind, given: Mapping[str, Secret]) -> dict[str, Secret]:
    """Only the secrets that the connector's own form has."""
    return {name: value for name, value in given.items() if name in kind.settings.model_fields}
