"""Lists: filters, order by UpdatedAt and ID, and walking by cursor, page or offset."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from multidict import MultiMapping

from ..parts.database import micros
from .errors import ApiError, bad_parameter
from .schema import Entity
from .settings import Switches
from .store import Store, column, column_value
from .values import encode, parse_instant

MOST_ROWS = 200
MOST_VALUES = 200
DEFAULT_ROWS = 100
_WALK_PARAMETERS = {"cursor": ("cursor",), "page": ("page",), "offset": ("offset",)}


@dataclass(slots=True)
class _Query:
    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    since: int | None = None

    def among(self, name: str, values: Sequence[Any], *, common: bool = False) -> None:
        """Of several `common` values the list is walked in its order; an index would bring most rows, to be sorted."""
        if len(values) > 1 and common:
            name = f"+{name}"
        if len(values) == 1:
            self.conditions.append(f"{name} = ?")
        else:
            self.conditions.append(f"{name} IN ({', '.join('?' * len(values))})")
        self.values.extend(values)

    @property
    def where(self) -> str:
        return f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


def parameters(entity: Entity, paging: str) -> tuple[str, ...]:
    """The names of the query parameters that a list takes."""
    filters = tuple(f.name for f in entity.columns)
    return ("limit", *_WALK_PARAMETERS[paging], "UpdatedSince", "ExternalID", "IDs", "ExternalIDs", *filters)


def page(store: Store, entity: Entity, asked: MultiMapping[str], switches: Switches) -> bytes:
    """One page as a JSON body."""
    known = parameters(entity, switches.paging)
    for name in asked:
        if name not in known:
            message = f"is not a parameter of this list; use {', '.join(known)}"
            raise bad_parameter(name, message, "UnknownParameter")
    limit = whole_number(asked, "limit", DEFAULT_ROWS, 1, MOST_ROWS)
    query = _filters(entity, asked)
    if switches.paging == "cursor":
        return _by_cursor(store, entity, query, asked.get("cursor"), limit)
    return _by_number(store, entity, query, asked, limit, switches.paging)


def whole_number(asked: MultiMapping[str], name: str, default: int, lowest: int, highest: int) -> int:
    """A numeric query parameter within its bounds; ApiError 400 otherwise."""
    text = asked.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not lowest <= int(text) <= highest:
        raise bad_parameter(name, f"must be a number from {lowest} to {highest}, not {text!r}")
    return int(text)


def _filters(entity: Entity, asked: MultiMapping[str]) -> _Query:
    query = _Query()
    since = asked.get("UpdatedSince")
    if since is not None:
        moment = parse_instant(since.strip().replace(" ", "+") if "T" in since else since)
        if moment is None:
            raise bad_parameter("UpdatedSince", f"{since!r} is no RFC 3339 instant with an offset")
        query.since = micros(moment)
    for name, where in (("IDs", "id"), ("ExternalIDs", "external_id")):
        if name in asked:
            query.among(where, _several(name, asked[name].split(",")))
    if "ExternalID" in asked:
        query.among("external_id", _several("ExternalID", asked.getall("ExternalID")))
    for spec in entity.columns:
        if spec.name in asked:
            wanted = _several(spec.name, asked.getall(spec.name))
            values = [column_value(spec, value) for value in wanted]
            query.among(column(spec.name), values, common=spec.type == "enum")
    return query


def _several(name: str, values: list[str]) -> list[str]:
    if len(values) > MOST_VALUES:
        raise bad_parameter(name, f"takes at most {MOST_VALUES} values, not {len(values)}")
    return values


def _by_cursor(store: Store, entity: Entity, query: _Query, cursor: str | None, limit: int) -> bytes:
    place = _read_cursor(cursor) if cursor else None
    if place is not None and (query.since is None or place[0] >= query.since):
        query.conditions.append("(updated, id) > (?, ?)")
        query.values.extend(place)
    else:
        _from_since(query)
    sql = f"SELECT CAST(doc AS BLOB), updated, id FROM {entity.name}{query.where} ORDER BY updated, id LIMIT ?"
    rows = store.db.execute(sql, (*query.values, limit + 1)).fetchall()
    more = len(rows) > limit
    rows = rows[:limit]
    walked = {"NextCursor": write_cursor(rows[-1][1], rows[-1][2]) if more else None, "HasMore": more}
    return body([row[0] for row in rows], walked)


def _from_since(query: _Query) -> None:
    if query.since is not None:
        query.conditions.append("updated >= ?")
        query.values.append(query.since)


def _by_number(store: Store, entity: Entity, query: _Query, asked: MultiMapping[str], limit: int, paging: str) -> bytes:
    _from_since(query)
    (total,) = store.db.execute(f"SELECT count(*) FROM {entity.name}{query.where}", query.values).fetchone()
    if paging == "page":
        number = whole_number(asked, "page", 1, 1, 10**9)
        skipped = (number - 1) * limit
        told = {"Page": number, "PageCount": -(-total // limit), "TotalCount": total}
    else:
        skipped = whole_number(asked, "offset", 0, 0, 10**12)
        told = {"Offset": skipped, "TotalCount": total}
    sql = f"SELECT CAST(doc AS BLOB) FROM {entity.name}{query.where} ORDER BY updated, id LIMIT ? OFFSET ?"
    rows = [row[0] for row in store.db.execute(sql, (*query.values, limit, skipped))]
    return body(rows, {**told, "HasMore": skipped + len(rows) < total})


def body(rows: Sequence[bytes], walked: dict[str, Any]) -> bytes:
    """The body of a list from records that are JSON already."""
    return b'{"Data":[' + b",".join(rows) + b'],"Paging":' + encode(walked) + b"}"


def write_cursor(*place: Any) -> str:
    """An opaque cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_cursor(cursor: str, kind: Any) -> Any:
    """The place in a cursor that this sandbox wrote; ApiError 400 for any other text."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=kind)
    except (binascii.Error, ValueError) as error:
        raise ApiError(400, "InvalidCursor", "cursor: this is not a cursor of this list.") from error


def _read_cursor(cursor: str) -> tuple[int, str]:
    place: tuple[int, str] = read_cursor(cursor, tuple[int, str])
    return place
