"""Pairs as verbs: add from a template, export as files, compare, apply, pause and resume."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import Misconfigured, SafetyLimit
from isthmus.operate.assemble import parse_pair, template
from isthmus.operate.runtime import Runtime
from isthmus.store import auditlog, connections, pairs

_LOOKUP_HEAD = ("system", "value", "canonical")
_ALLOWED = ("pair.yaml", "mappings/", "rules/", "lookups/")


async def add(
    runtime: Runtime, name: str, *, left: str, right: str, shipped: str, environment: str, actor: str
) -> tuple[int, int]:
    """A new pair from a template that ships; checked against both systems before it is stored."""
    body = template("pairs", shipped).replace("${pair}", name).replace("${left}", left).replace("${right}", right)
    files = {"pair.yaml": body.replace("${environment}", environment)}
    return await apply(runtime, files, actor=actor, name=name)


async def apply(runtime: Runtime, files: Mapping[str, str], *, actor: str, name: str | None = None) -> tuple[int, int]:
    """Store files as the pair's next version and check that they fit both systems; returns (id, version).

    Everything or nothing: files that do not compile leave the pair as it was.
    """
    _check_names(files)
    file = parse_pair(files.get("pair.yaml", ""))
    if name is not None and file.pair != name:
        raise Misconfigured(
            f"applying files to pair {name}",
            answered=f"pair.yaml is about pair {file.pair}",
            hint="Give the name that stands in pair.yaml.",
        )
    tables = {path: _read_lookup(path, text) for path, text in files.items() if path.startswith("lookups/")}

    def check(conn: Connection) -> tuple[int, int, int | None]:
        left, right = connections.get(conn, file.left), connections.get(conn, file.right)
        before = next((r.version for r in pairs.listing(conn) if r.name == file.pair), None)
        pair_id, version = pairs.apply(
            conn,
            name=file.pair,
            left_id=left.id,
            right_id=right.id,
            environment=file.environment,
            settings=file.model_dump(mode="json"),
            files={path: text for path, text in files.items() if not path.startswith("lookups/")},
            author=actor,
        )
        for path, rows in tables.items():
            pairs.replace_lookup(conn, pair_id, Path(path).stem, rows)
        entry = auditlog.Entry(
            action="apply pair", pair_id=pair_id, actor=actor, why={"version": version}, after={"files": sorted(files)}
        )
        auditlog.append(conn, [entry])
        return pair_id, version, before

    pair_id, version, before = await runtime.db.run(check)
    try:
        await runtime.pair(pair_id)
    except Misconfigured:
        await runtime.db.run(_take_back, pair_id, version, before)
        raise
    return pair_id, version


def _take_back(conn: Connection, pair_id: int, version: int, before: int | None) -> None:
    if before == version:
        return
    conn.execute(
        text("delete from pair_version where pair_id = :id and version = :version"), {"id": pair_id, "version": version}
    )
    if before is None:
        conn.execute(text("delete from pair where id = :id"), {"id": pair_id})
    else:
        conn.execute(text("update pair set version = :version where id = :id"), {"id": pair_id, "version": before})


def export(conn: Connection, name: str) -> dict[str, str]:
    """A whole pair as files, without secrets: `apply` of these changes nothing."""
    row = pairs.get(conn, name)
    files = pairs.files(conn, row.id, row.version)
    tables: dict[str, list[tuple[str, str, str]]] = {}
    for table, system, value, canonical in pairs.lookups(conn, row.id):
        tables.setdefault(table, []).append((system, value, canonical))
    files.update({f"lookups/{table}.csv": _write_lookup(rows) for table, rows in tables.items()})
    return dict(sorted(files.items()))


def write_folder(files: Mapping[str, str], folder: Path) -> None:
    """Write files below a folder, making folders as needed."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)


def read_folder(folder: Path) -> dict[str, str]:
    """Read a pair's folder; raises Misconfigured when it holds no pair.yaml."""
    if not (folder / "pair.yaml").is_file():
        raise Misconfigured(
            f"reading the pair in {folder}",
            answered="there is no pair.yaml",
            hint="Name a folder that `isthmus pair export` wrote.",
        )
    found = {
        p.relative_to(folder).as_posix(): p.read_text()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.suffix in (".yaml", ".csv") and not any(part.startswith(".") for part in p.parts)
    }
    _check_names(found)
    return found


def diff(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What applying `after` over `before` would change, as a unified diff; empty when nothing would."""
    out: list[str] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path, "").splitlines(True), after.get(path, "").splitlines(True)
        out.extend(difflib.unified_diff(old, new, f"now/{path}", f"new/{path}"))
    return "".join(out)


def set_state(conn: Connection, runtime: Runtime, name: str, state: str, actor: str, *, allow: bool = False) -> Any:
    """Pause a pair, or make it active again and wake all its lanes; returns its row.

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
    if state == "active":
        for entity in row.settings.get("entities", {}):
            runtime.wake(conn, row.id, entity)
    return pairs.get(conn, name)


def _check_names(files: Mapping[str, str]) -> None:
    strange = sorted(p for p in files if not p.startswith(_ALLOWED) or ".." in p)
    if strange:
        raise Misconfigured(
            "reading the pair's files",
            answered=f"unexpected {', '.join(strange)}",
            hint="A pair consists of pair.yaml, mappings/*.yaml, rules/*.yaml and lookups/*.csv.",
        )


def _write_lookup(rows: list[tuple[str, str, str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_LOOKUP_HEAD)
    writer.writerows(rows)
    return out.getvalue()


def _read_lookup(path: str, content: str) -> list[tuple[str, str, str]]:
    rows = list(csv.reader(io.StringIO(content)))
    if not rows or tuple(cell.strip() for cell in rows[0]) != _LOOKUP_HEAD:
        raise Misconfigured(
            f"reading {path}",
            answered=f"the first line is not {','.join(_LOOKUP_HEAD)}",
            hint="Export the pair to see the form of a look-up table.",
        )
    out = []
    for number, row in enumerate(rows[1:], 2):
        if len(row) != 3 or not all(row):
            raise Misconfigured(
                f"reading {path} line {number}",
                answered=f"{','.join(row)!r} is not {','.join(_LOOKUP_HEAD)}",
                hint="Correct that line, then apply again.",
            )
        out.append((row[0], row[1], row[2]))
    return out
