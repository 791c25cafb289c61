"""Journey of a document: the documents that belong together, their money, and everything that happened to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from isthmus.model.canonical import CanonicalEntity, plain_decimal
from isthmus.model.documents import DOCUMENTS
from isthmus.operate.trace import trace

_ENTITIES = {entity.name: entity for entity in DOCUMENTS}
_NAMES = ("number", "customer_reference", "reference", "transaction")
"""The fields by which people name a document."""
_NOISE = ("event", "change ", "intent confirmed")
"""What a trace tells and a journey leaves out: how we noticed, not what happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of the journey, as both sides last agreed on it; amounts are exact texts."""

    link: int
    pair: str
    entity: str
    number: str
    left: str | None
    right: str | None
    state: str
    status: str
    amount: str
    currency: str
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One line of the journey: a write, a dead letter, a Conflict, or a step of a Run."""

    at: datetime
    what: str
    where: str
    detail: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Journey:
    """Documents in the order they refer to each other, what happened to them, and the money by currency.

    `money` has ordered, billed, credited, paid and returned per currency, as exact texts; what is missing is zero.
    """

    key: str
    documents: list[Document] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    money: dict[str, dict[str, str]] = field(default_factory=dict)


def journey(conn: Connection, key: str) -> Journey:
    """Everything that belongs to the document that `key` means: its number, a reference, or its key on either side."""
    rows = _together(conn, _named(conn, key))
    order = list(_ENTITIES)
    rows = dict(sorted(rows.items(), key=lambda item: (order.index(item[1].entity), item[0])))
    out = Journey(key=key, documents=[_document(row) for row in rows.values()])
    for row in rows.values():
        out.passages.extend(_passages(conn, row))
    names = {key} | {one for d in out.documents for one in (d.left, d.right, d.number) if one}
    out.runs = _runs(conn, names)
    out.passages.extend(_steps(conn, [int(run["id"]) for run in out.runs]))
    out.passages.sort(key=lambda one: one.at)
    out.money = _money(rows.values())
    return out


def _named(conn: Connection, key: str) -> dict[int, Any]:
    """The Links that a person may mean. Keys have an index; only what is none is looked for by name."""
    given = {"key": key, "entities": list(_ENTITIES)}
    where = "entity = any(:entities) and (left_key = :key or right_key = :key)"
    rows = conn.execute(text(f"{_LINKS} where {where}"), given).all()
    if not rows:
        named = " or ".join(f"{side}_base ->> '{name}' = :key" for side in ("left", "right") for name in _NAMES)
        rows = conn.execute(text(f"{_LINKS} where entity = any(:entities) and ({named})"), given).all()
    return {int(row.id): row for row in rows}


_LINKS = """select link.*, pair.name as pair from link join pair on pair.id = link.pair_id"""


def _together(conn: Connection, found: dict[int, Any]) -> dict[int, Any]:
    """These Links, those they refer to and those that refer to them, until there are no more."""
    todo = dict(found)
    while todo:
        wanted = [one for row in todo.values() for one in _refers_to(row) if one not in found]
        above = _by_ids(conn, wanted)
        below = _referring(conn, list(todo))
        todo = {one: row for one, row in {**above, **below}.items() if one not in found}
        found |= todo
    return found


def _refers_to(row: Any) -> list[int]:
    """The Links that a document refers to, by what either side was agreed to say."""
    entity = _ENTITIES[row.entity]
    out: list[Any] = []
    for base in (row.left_base or {}, row.right_base or {}):
        out.extend(base.get(name) for name, target in entity.references().items() if target in _ENTITIES)
        for name, parts in entity.row_references().items():
            inner = [one for one in base.get(name) or [] if isinstance(one, dict)]
            out.extend(one.get(part) for part, target in parts.items() if target in _ENTITIES for one in inner)
    return [one for one in out if isinstance(one, int)]


def _by_ids(conn: Connection, ids: list[int]) -> dict[int, Any]:
    if not ids:
        return {}
    given = {"ids": ids, "entities": list(_ENTITIES)}
    rows = conn.execute(text(f"{_LINKS} where link.id = any(:ids) and entity = any(:entities)"), given)
    return {int(row.id): row for row in rows}


def _referring(conn: Connection, ids: list[int]) -> dict[int, Any]:
    """Documents that refer to these Links by a field or in a row."""
    out: dict[int, Any] = {}
    for name, entity in _ENTITIES.items():
        parts = [part for side in ("left_base", "right_base") for part in _referring_by(entity, side)]
        if parts:
            given = {"entity": name, "refs": [str(one) for one in ids]}
            found = conn.execute(text(f"{_LINKS} where entity = :entity and ({' or '.join(parts)})"), given)
            out.update({int(row.id): row for row in found})
    return out


def _referring_by(entity: CanonicalEntity, base: str) -> list[str]:
    """Conditions in SQL: a reference field, or one in a row, leads to one of `:refs`."""
    out = [
        f"{base} -> '{one}' = any(cast(:refs as jsonb[]))"
        for one, target in entity.references().items()
        if target in _ENTITIES
    ]
    for rows, inner in entity.row_references().items():
        listed = f"case when jsonb_typeof({base} -> '{rows}') = 'array' then {base} -> '{rows}' else '[]' end"
        out.extend(
            f"exists (select 1 from jsonb_array_elements({listed}) r where r -> '{one}' = any(cast(:refs as jsonb[])))"
            for one, target in inner.items()
            if target in _ENTITIES
        )
    return out


def _document(row: Any) -> Document:
    base: Mapping[str, Any] = row.left_base or {}
    told: Mapping[str, Any] = {**(row.right_base or {}), **{k: v for k, v in base.items() if v not in (None, "")}}
    return Document(
        link=int(row.id),
        pair=row.pair,
        entity=row.entity,
        number=str(told.get("number") or ""),
        left=row.left_key,
        right=row.right_key,
        state=row.state,
        status=str(told.get("status") or ""),
        amount=str(told.get("total") or told.get("amount") or ""),
        currency=str(told.get("currency") or ""),
        kind=str(told.get("kind") or told.get("direction") or ""),
    )


def _passages(conn: Connection, row: Any) -> list[Passage]:
    record = {"entity": row.entity, "left": row.left_key, "right": row.right_key, "link": int(row.id)}
    return [
        Passage(
            at=one.at,
            what=one.what,
            where=f"{row.entity} {one.side}:{one.key}" if one.side else f"{row.entity} {one.key or ''}".strip(),
            detail=one.detail,
        )
        for one in trace(conn, int(row.pair_id), record)
        if not one.what.startswith(_NOISE)
    ]


def _runs(conn: Connection, names: Iterable[str]) -> list[dict[str, Any]]:
    sql = """select run.id, flow.name as flow, run.version, run.key, run.state, run.started_at, run.ended_at
             from run join flow on flow.id = run.flow_id where run.key = any(:names) order by run.id"""
    return [dict(row._mapping) for row in conn.execute(text(sql), {"names": sorted(names)})]


def _steps(conn: Connection, runs: list[int]) -> list[Passage]:
    if not runs:
        return []
    sql = """select s.at, s.node, s.outcome, s.port, s.ms, s.error, s.run_id, flow.name as flow
             from run_step s join run on run.id = s.run_id join flow on flow.id = run.flow_id
             where s.run_id = any(:runs) order by s.id"""
    return [
        Passage(
            at=row.at,
            what=f"step {row.outcome}",
            where=f"{row.flow} run {row.run_id}",
            detail={"node": row.node, "port": row.port, "ms": round(row.ms, 1), "error": row.error},
        )
        for row in conn.execute(text(sql), {"runs": runs})
    ]


def _money(rows: Iterable[Any]) -> dict[str, dict[str, str]]:
    """What was ordered, billed, credited, paid and returned, by currency."""
    sums: dict[str, dict[str, Decimal]] = {}
    for row in rows:
        if row.state == "tombstone":
            continue
        one = _document(row)
        name = _column(one)
        if name and one.amount:
            sums.setdefault(one.currency, {}).setdefault(name, Decimal(0))
            sums[one.currency][name] += Decimal(one.amount)
    return {currency: {n: plain_decimal(v) for n, v in found.items()} for currency, found in sums.items()}


def _column(one: Document) -> str:
    if one.status in ("cancelled", "void", "voided", "declined", "failed", "draft"):
        return ""
    if one.entity in ("sales_order", "purchase_order"):
        return "ordered"
    if one.entity == "invoice":
        return "credited" if one.kind in ("credit_memo", "vendor_credit") else "billed"
    return "returned" if one.kind in ("refund", "chargeback") else "paid"
