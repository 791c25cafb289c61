"""Pairs as verbs: add from a template, apply files, pause and resume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from isthmus.engine.lease import take
from isthmus.errors import Misconfigured, SafetyLimit
from isthmus.model.entities import ENTITIES
from isthmus.operate import folder, lookups
from isthmus.operate.assemble import parse_pair, template
from isthmus.operate.runtime import Runtime
from isthmus.store import auditlog, connections, pairs


async def add(
    runtime: Runtime, name: str, *, left: str, right: str, shipped: str, environment: str, actor: str
) -> tuple[int, int]:
    """A new pair from a template that ships; checked against both systems before it is stored."""
    body = template("pairs", shipped).replace("${pair}", name).replace("${left}", left).replace("${right}", right)
    body = body.replace("${environment}", environment)
    own = {name: template("entities", name) for name in parse_pair(body).entities if name not in ENTITIES}
    entities = {f"entities/{name}.yaml": text for name, text in own.items()}
    files = {"pair.yaml": body, **entities, **lookups.shipped(_mappings_of(body))}
    return await apply(runtime, files, actor=actor, name=name)


def _mappings_of(body: str) -> list[str]:
    """The texts of the mappings that a pair file names."""
    sides = [side for entity in parse_pair(body).entities.values() for side in (entity.left, entity.right)]
    return [template("mappings", side.mapping) for side in sides]


async def apply(runtime: Runtime, files: Mapping[str, str], *, actor: str, name: str | None = None) -> tuple[int, int]:
    """Check that files fit both systems, then store them as the pair's next version; returns (id, version).

    Everything or nothing: files that do not fit leave the pair as it was, and a running service never sees them.
    """
    folder.check_names(files)
    file = parse_pair(files.get("pair.yaml", ""))
    if name is not None and file.pair != name:
        raise Misconfigured(
            f"applying files to pair {name}",
            answered=f"pair.yaml is about pair {file.pair}",
            hint="Give the name that stands in pair.yaml.",
        )

    left, right = await runtime.db.run(
        lambda conn: (connections.get(conn, file.left), connections.get(conn, file.right))
    )
    draft = _Draft(name=file.pair, environment=file.environment)
    tables, rates = folder.read_tables(files)
    await runtime.assemble(draft, left, right, files, tables, rates)

    def store(conn: Connection) -> tuple[int, int]:
        pair_id, version = pairs.apply(
            conn,
            name=file.pair,
            left_id=left.id,
            right_id=right.id,
            environment=file.environment,
            settings=file.model_dump(mode="json"),
            files=folder.configuration(files),
            author=actor,
        )
        folder.keep_tables(conn, pair_id, files)
        entry = auditlog.Entry(
            action="apply pair", pair_id=pair_id, actor=actor, why={"version": version}, after={"files": sorted(files)}
        )
        auditlog.append(conn, [entry])
        return pair_id, version

    return await runtime.db.run(store)


def diff(conn: Connection, files: Mapping[str, str]) -> str:
    """What applying files would change, as a unified diff; all of it when there is no such pair yet."""
    folder.check_names(files)
    name = parse_pair(files.get("pair.yaml", "")).pair
    known = any(row.name == name for row in pairs.listing(conn))
    return folder.diff(folder.export(conn, name) if known else {}, files)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A pair that is not stored yet, as far as assembling it needs to know."""

    name: str
    environment: str
    id: int = 0
    version: int = 0


def set_state(conn: Connection, runtime: Runtime, name: str, state: str, actor: str, *, allow: bool = False) -> Any:
    """Pause a pair, or make it active again and wake all its lanes; returns its row.

    Pausing fences off the lanes that are at work just now: what they had not sent yet stays pending.
    A pair that its guard has stopped goes on only with `allow`: everything pending is let through once.
    """
    row = pairs.get(conn, name)
    reason = row.state_reason or {}
    stopped = row.state == "halted" and reason.get("kind") == "SafetyLimit"
    if state == "active" and stopped and not allow:
        raise SafetyLimit(
            f"resuming pair {name}",
            answered=f"it was stopped by its guard: {reason.get('answered')}",
            hint=str(reason.get("hint") or "Look at what is planned, then resume with --allow."),
            facts=reason.get("facts"),
        )
    pairs.set_state(conn, row.id, state, {"allowed": True} if state == "active" and allow else None)
    entry = auditlog.Entry(action=f"set pair {state}", pair_id=row.id, actor=actor, before={"state": row.state})
    auditlog.append(conn, [entry])
    for entity in row.settings.get("entities", {}):
        if state == "active":
            runtime.wake(conn, row.id, entity)
        else:
            take(conn, f"lane:{row.id}:{entity}")
    return pairs.get(conn, name)
