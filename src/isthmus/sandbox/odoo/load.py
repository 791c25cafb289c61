"""`load`: rows of text cells become records, by external ids, all or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from . import crud, domain, naming, rights
from .environment import Env, Values
from .errors import ConstraintError, OdooError, UserError, missing
from .load_cells import Converter, Message

_DOT_ID, _COLON_ID = re.compile(r"([^/])\.id"), re.compile(r"([^/]):id")
_TOO_MANY = (
    "Found more than 10 errors and more than one error per 10 records, interrupted to avoid showing too many errors."
)
Path = tuple[str, ...]
Record = dict[str, Any]


@dataclass(slots=True)
class _Waiting:
    """A converted row that is not written yet."""

    external_id: str
    values: Values
    place: Values
    database_id: int | None = None


@dataclass(slots=True)
class _Loader:
    env: Env
    model: str
    messages: list[Message] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    waiting: list[_Waiting] = field(default_factory=list)

    def flush(self) -> None:
        """Write what waits; row by row where the whole does not go in, so that each bad row is named."""
        rows, self.waiting = self.waiting, []
        if not rows:
            return
        env = self.env
        mark = env.database.savepoint()
        first_error: Message | None = None
        try:
            self.ids += _store(env, self.model, rows)
        except (OdooError, ValueError, KeyError) as error:
            env.rollback(mark)
            if isinstance(error, OdooError) and not isinstance(error, ConstraintError):
                first_error = {**rows[0].place, "type": "error", "message": error.message}
        else:
            return
        errors = 0
        for number, row in enumerate(rows, 1):
            mark = env.database.savepoint()
            try:
                self.ids += _store(env, self.model, [row])
            except (OdooError, ValueError, KeyError) as error:
                env.rollback(mark)
                self.messages.append({**row.place, "type": "error", **_told(error)})
                errors += 1
            if errors >= 10 and errors >= number / 10:
                self.messages.append({"type": "warning", "message": _TOO_MANY})
                break
        if errors and first_error and first_error not in self.messages:
            self.messages.insert(0, first_error)

    def flush_for(self, external_id: str | None) -> None:
        """Write what waits before a row refers to it: by external id, or by name (None)."""
        if external_id is None or any(row.external_id == external_id for row in self.waiting):
            self.flush()


def _told(error: Exception) -> Message:
    if isinstance(error, ConstraintError):
        return {"message": error.bare}
    if isinstance(error, OdooError):
        return {"message": error.message}
    return {
        "message": f"Unknown error during import: {type(error)}: {error}",
        "moreinfo": "Resolve other errors first",
    }


def load(env: Env, model: str, fields: Sequence[str], data: Sequence[Sequence[Any]]) -> Values:
    """Import rows and return ids (False if any row failed: then nothing is written), messages and nextrow."""
    rights.check(env, model, "read")
    paths = [tuple(_COLON_ID.sub(r"\1/id", _DOT_ID.sub(r"\1/.id", name)).split("/")) for name in fields]
    for path in paths:
        if path[0] not in ("id", ".id") and path[0] not in env.model(model).fields:
            raise ValueError(f"Invalid field name {path[0]!r}")
    mark = env.database.savepoint()
    loader = _Loader(env, model)
    converter = Converter(env, model, loader.flush_for)
    limit = env.context.get("_import_limit") or float("inf")
    next_row = 0
    for number, (record, span) in enumerate(_records(env, model, paths, data, limit)):
        next_row = span["rows"]["to"] + 1
        place = {**span, "record": number}
        database_id = _database_id(loader, record, place)
        values = converter.convert(record, place, loader.messages)
        external_id = str(record.get("id") or "")
        if external_id and "." not in external_id:
            external_id = f"__import__.{external_id}"
        loader.waiting.append(_Waiting(external_id, values, place, None if external_id else database_id))
    loader.flush()
    ids: list[int] | bool = loader.ids
    if any(message["type"] == "error" for message in loader.messages):
        env.rollback(mark)
        ids = False
    return {"ids": ids, "messages": loader.messages, "nextrow": 0 if next_row < limit else next_row}


def _database_id(loader: _Loader, record: Record, place: Values) -> int | None:
    told = record.get(".id")
    if not told:
        return None
    env = loader.env
    try:
        found = domain.search(env, loader.model, [["id", "=", int(told)]])
    except ValueError:
        found = []
    if found:
        return found[0]
    loader.messages.append(
        {**place, "type": "error", "field": ".id", "message": f"Unknown database identifier '{told}'"}
    )
    return None


def _records(
    env: Env, model: str, paths: Sequence[Path], data: Sequence[Sequence[Any]], limit: float = float("inf")
) -> Iterator[tuple[Record, Values]]:
    """Yield raw records with the rows they span; rows with only one2many cells continue the record above."""
    fields = env.model(model).fields
    many = [i for i, path in enumerate(paths) if path[0] in fields and fields[path[0]].type == "one2many"]
    rest = [i for i in range(len(paths)) if i not in many]

    def continues(row: Sequence[Any]) -> bool:
        return any(row[i] for i in many) and not any(row[i] for i in rest)

    relational: dict[str, list[int]] = {}
    for i, path in enumerate(paths):
        if path[0] in fields and fields[path[0]].type in ("many2one", "one2many", "many2many"):
            relational.setdefault(path[0], []).append(i)
    plain = [(i, path[0]) for i, path in enumerate(paths) if path[0] not in relational]
    start = 0
    while start < len(data) and start < limit:
        span = [data[start], *takewhile(continues, data[start + 1 :])] if many else [data[start]]
        record: Record = {name: span[0][i] for i, name in plain}
        for name, columns in relational.items():
            cells = [row for line in span if any(row := [line[i] for i in columns])]
            inner = [paths[i][1:] or ("",) for i in columns]
            if fields[name].type == "one2many":
                record[name] = [sub for sub, _ in _records(env, fields[name].relation, inner, cells)]
            else:
                record[name] = [dict(zip((p[0] for p in inner), row, strict=True)) for row in cells[:1]]
        yield record, {"rows": {"from": start, "to": start + len(span) - 1}}
        start += len(span)


def _store(env: Env, model: str, rows: Sequence[_Waiting]) -> list[int]:
    """Create or update the rows; an external id whose record is gone is created anew."""
    made: dict[int, int] = {}
    fresh: dict[str | int, tuple[_Waiting, list[int]]] = {}
    for position, row in enumerate(rows):
        known = naming.lookup(env, row.external_id) if row.external_id else None
        if known and known["model"] != model:
            raise UserError(
                f"For external id {row.external_id} when trying to create/update a record of model {model} "
                f"found record of different model {known['model']} ({known['id']})"
            )
        if known and env.database.row(model, known["res_id"]) is None:
            env.database.drop("ir.model.data", known["id"])
            known = None
        target = known["res_id"] if known else row.database_id
        if target:
            if env.database.row(model, target) is None:
                raise missing(model, target, env.uid)
            if not (known and known.get("noupdate") and env.context.get("mode") == "update"):
                crud.write(env, model, [target], row.values)
            made[position] = target
        else:
            key: str | int = row.external_id or position
            positions = fresh[key][1] if key in fresh else []
            fresh[key] = (row, [*positions, position])
    if fresh:
        ids = crud.create(env, model, [row.values for row, _ in fresh.values()], loading=True)
        for new_id, (row, positions) in zip(ids, fresh.values(), strict=True):
            made.update(dict.fromkeys(positions, new_id))
            if row.external_id:
                naming.remember(env, row.external_id, model, new_id, noupdate=bool(env.context.get("noupdate")))
    return [made[position] for position in range(len(rows))]
