"""Creating, writing and deleting records: values, relations, constraints and what models and automations add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import automation, naming, raw, rights, values
from .database import Row
from .environment import Env, Values
from .errors import dangling_link, in_use, mandatory, missing
from .schema import CASCADE, LOG_FIELDS, RESTRICT, X2MANY, Field, Model

_UNWRITABLE = frozenset({"id", "parent_path", *LOG_FIELDS})


def create(env: Env, model: str, vals_list: Sequence[Values], *, loading: bool = False) -> list[int]:
    """Create records and return their ids. `loading` is set by `load`, which follows up differently on some models."""
    rights.check(env, model, "create")
    definition, behaviour = env.model(model), env.behaviour(model)
    watch = automation.watch(env, model)
    ids: list[int] = []
    follow_ups: list[tuple[int, list[tuple[Field, Any]]]] = []
    for given in vals_list:
        for name in given:
            if name not in definition.fields:
                raise ValueError(f"Invalid field {name!r} in {model!r}")
        told = {**_defaults(env, model, given), **behaviour.before_create(env, dict(given))}
        record_id = env.database.take_id(model)
        row: Row = {"id": record_id}
        row["create_uid"] = row["write_uid"] = env.uid
        row["create_date"] = row["write_date"] = env.now
        later = _assign(env, definition, row, told, creating=True)
        env.database.put(model, record_id, row)
        ids.append(record_id)
        if later:
            follow_ups.append((record_id, later))
    for record_id, later in follow_ups:
        _assign_later(env, model, record_id, later)
    _check_rows(env, definition, ids, None)
    if loading:
        behaviour.after_load(env, ids, vals_list)
    else:
        behaviour.after_create(env, ids, vals_list)
    behaviour.check(env, ids, list(definition.fields))
    rights.check_rows(env, model, _rows(env, model, ids), "create")
    watch.created(env, ids)
    return ids


def _defaults(env: Env, model: str, given: Values) -> Values:
    fields = env.model(model).fields
    told = env.behaviour(model).defaults(env)
    for key, value in env.context.items():
        if key.startswith("default_"):
            told[key[8:]] = value
    return {name: value for name, value in told.items() if name not in given and name in fields}


def default_get(env: Env, model: str, names: Iterable[str]) -> Values:
    """Return the defaults of the named fields, in the order asked; fields without one are left out."""
    told = _defaults(env, model, {})
    return {name: told[name] for name in names if name in told}


def write(env: Env, model: str, ids: Sequence[int], vals: Values) -> bool:
    """Write the same values on records. An equal value is written too: write_date always moves."""
    if not ids:
        return True
    rights.check(env, model, "write")
    definition, behaviour = env.model(model), env.behaviour(model)
    for name in vals:
        if name not in definition.fields:
            raise behaviour.refuse_field(definition, name)
    before = _existing(env, model, ids)
    rights.check_rows(env, model, before, "write")
    watch = automation.watch(env, model)
    watch.before(env, ids)
    told = behaviour.before_write(env, ids, {k: v for k, v in vals.items() if k not in _UNWRITABLE})
    before = _existing(env, model, ids)
    for old in before:
        row = {**old, "write_uid": env.uid, "write_date": env.now}
        later = _assign(env, definition, row, told, creating=False)
        env.database.put(model, row["id"], row)
        _assign_later(env, model, row["id"], later)
    env.names.clear()
    _check_rows(env, definition, ids, told)
    behaviour.after_write(env, ids, told, before)
    behaviour.check(env, ids, list(told))
    watch.written(env, ids)
    return True


def patch(env: Env, model: str, record_id: int, changes: Mapping[str, Any], *, stamp: bool = True) -> None:
    """Set raw columns as a recomputed stored field does: no rules run, but write_date moves unless told not to."""
    row = {**(env.database.row(model, record_id) or {}), **changes}
    if stamp:
        row |= {"write_uid": env.uid, "write_date": env.now}
    env.database.put(model, record_id, {k: v for k, v in row.items() if v is not None})
    env.names.clear()


def unlink(env: Env, model: str, ids: Sequence[int]) -> bool:
    """Delete records, what hangs on them by cascade, and their external ids."""
    if not ids:
        return True
    rights.check(env, model, "unlink")
    rows = _existing(env, model, ids)
    rights.check_rows(env, model, rows, "unlink")
    automation.watch(env, model).unlinked(env, ids)
    env.behaviour(model).before_unlink(env, ids)
    inner = env.sudo()
    for row in rows:
        if env.database.row(model, row["id"]) is not None:
            _let_go(inner, model, row["id"])
            env.database.drop(model, row["id"])
            _drop_external_ids(inner, model, row["id"])
    env.names.clear()
    env.behaviour(model).after_unlink(env, rows)
    return True


def _drop_external_ids(env: Env, model: str, record_id: int) -> None:
    for data_id in env.database.table("ir.model.data").having("_target", (f"{model},{record_id}",)) or ():
        env.database.drop("ir.model.data", data_id)


def _let_go(env: Env, model: str, record_id: int) -> None:
    """Handle every row that points at a record about to go: cascade, refuse, or empty the column."""
    for other in env.schema.values():
        for field in other.fields.values():
            if field.relation != model or not field.column or field.name in LOG_FIELDS:
                continue
            table = env.database.table(other.name)
            if field.type == "many2many":
                for row in [r for r in table.rows.values() if record_id in (r.get(field.name) or ())]:
                    kept = [i for i in row[field.name] if i != record_id]
                    env.database.put(other.name, row["id"], {**row, field.name: kept})
                continue
            holders = table.having(field.name, (record_id,))
            if holders is None:
                holders = [i for i, row in table.rows.items() if row.get(field.name) == record_id]
            holders = [i for i in holders if (other.name, i) != (model, record_id)]
            if not holders:
                continue
            if (other.name, field.name) in CASCADE:
                unlink(env, other.name, [i for i in holders if i in table.rows])
            elif field.required or (other.name, field.name) in RESTRICT:
                raise in_use(other.title, other.name, field.title, field.name)
            else:
                for i in holders:
                    row = {k: v for k, v in table.rows[i].items() if k != field.name}
                    env.database.put(other.name, i, row)


def _rows(env: Env, model: str, ids: Iterable[int]) -> list[Row]:
    rows = env.database.table(model).rows
    return [rows[i] for i in ids if i in rows]


def _existing(env: Env, model: str, ids: Iterable[int]) -> list[Row]:
    rows = env.database.table(model).rows
    for i in ids:
        if i not in rows:
            raise missing(model, i, env.uid)
    return [rows[i] for i in ids]


def _assign(env: Env, definition: Model, row: Row, told: Values, *, creating: bool) -> list[tuple[Field, Any]]:
    """Set plain columns on a fresh row; return what needs the row to exist first, in the order it was told."""
    later: list[tuple[Field, Any]] = []
    behaviour = env.behaviour(definition.name)
    for name, value in told.items():
        if name in _UNWRITABLE:
            continue
        field = definition.fields[name]
        if field.type in X2MANY or name in behaviour.inverses or (field.related and not field.readonly):
            later.append((field, value))
        elif not field.column:
            continue
        else:
            set_column(env, row, field, value, creating=creating)
    return later


def set_column(env: Env, row: Row, field: Field, value: Any, *, creating: bool) -> None:
    """Convert a value and put it into the row's column, under the call's language and company where that matters."""
    name = field.name
    converted = values.stored(field, value)
    if field.type == "many2one" and converted is not None and env.database.row(field.relation, converted) is None:
        behaviour = env.behaviour(field.model)
        if behaviour.missing_reference_is_404 or (field.model == "res.partner" and not creating):
            raise missing(field.relation, converted, env.uid)
        raise in_use(env.model(field.model).title, field.model, field.title, name)
    if field.company_dependent:
        told = {**(row.get(name) or {}), str(env.company): converted}
        converted = {k: v for k, v in told.items() if v is not None} or None
    elif field.translate and converted is not None:
        known = row.get(name)
        if not isinstance(known, dict):
            known = {"en_US": known if known is not None else converted}
        converted = {**known, env.lang: converted}
    if converted is None:
        row.pop(name, None)
    else:
        row[name] = converted


def _assign_later(env: Env, model: str, record_id: int, later: Sequence[tuple[Field, Any]]) -> None:
    behaviour = env.behaviour(model)
    through: dict[tuple[str, int], Values] = {}
    for field, value in later:
        inverse = behaviour.inverses.get(field.name)
        if inverse is not None:
            inverse(env, record_id, value)
        elif field.related:
            link, _, name = field.related.partition(".")
            target = (env.row(model, record_id) or {}).get(link)
            if target:
                through.setdefault((env.model(model).fields[link].relation, target), {})[name] = value
        elif field.type == "one2many":
            _one2many(env, field, record_id, value)
        else:
            _many2many(env, model, field, record_id, value)
    for (target_model, target), told in through.items():
        write(env.sudo(), target_model, [target], told)


def _one2many(env: Env, field: Field, record_id: int, value: Any) -> None:
    relation, column = field.relation, field.relation_field
    fresh: list[Values] = []
    current = raw.getter(env.with_context(active_test=False), field)
    for command, target, argument in values.commands(value):
        owner = env.database.row(field.model, record_id) or {"id": record_id}
        if command == 0:
            fresh.append({**argument, column: record_id})
        elif command == 1:
            write(env, relation, [target], argument)
        elif command == 2:
            unlink(env, relation, [target])
        elif command == 3:
            _release(env, relation, column, [target])
        elif command == 4:
            if (env.row(relation, target) or {}).get(column) != record_id:
                write(env, relation, [target], {column: record_id})
        else:
            kept = set(argument or ()) if command == 6 else set()
            held = current(owner)
            _release(env, relation, column, [i for i in held if i not in kept])
            for i in (i for i in argument or () if i not in held) if command == 6 else ():
                write(env, relation, [i], {column: record_id})
    named = [str(told.pop("id", "") or "") for told in fresh]
    for external_id, made in zip(named, create(env, relation, fresh) if fresh else (), strict=True):
        if external_id:
            naming.remember(env, external_id if "." in external_id else f"__import__.{external_id}", relation, made)


def _release(env: Env, relation: str, column: str, ids: Sequence[int]) -> None:
    if (relation, column) in CASCADE or env.model(relation).fields[column].required:
        unlink(env, relation, ids)
    else:
        write(env, relation, ids, {column: False})


def _many2many(env: Env, model: str, field: Field, record_id: int, value: Any) -> None:
    row = env.database.row(model, record_id) or {"id": record_id}
    linked: dict[int, None] = dict.fromkeys(row.get(field.name) or ())
    for command, target, argument in values.commands(value):
        if command == 0:
            linked[create(env, field.relation, [argument])[0]] = None
        elif command == 1:
            write(env, field.relation, [target], argument)
        elif command == 2:
            unlink(env, field.relation, [target])
            linked.pop(target, None)
        elif command == 3:
            linked.pop(target, None)
        elif command == 4:
            linked[target] = None
        else:
            linked = dict.fromkeys(argument or ()) if command == 6 else {}
    for target in linked:
        if env.database.row(field.relation, target) is None:
            raise dangling_link(f"{model}_{field.relation}_rel".replace(".", "_"))
    env.database.put(model, record_id, {**(env.database.row(model, record_id) or row), field.name: list(linked)})


def _check_rows(env: Env, definition: Model, ids: Iterable[int], told: Values | None) -> None:
    """Refuse rows whose required columns are empty; on a write only the columns told are looked at."""
    required = [
        field
        for field in definition.fields.values()
        if field.required and field.column and field.type != "many2many" and (told is None or field.name in told)
    ]
    for row in _rows(env, definition.name, ids):
        for field in required:
            if row.get(field.name) is None and field.type != "boolean":
                raise mandatory(definition.title, definition.name, field.title, field.name)
