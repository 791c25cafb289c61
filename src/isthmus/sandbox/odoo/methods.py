"""The public methods any model answers, by name, with the signatures Odoo gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import crud, domain, load, naming, raw, reading, rights
from .environment import Env, Values
from .errors import AccessError
from .records import Records

Method = Callable[..., Any]
CLASSIC = "_classic_read"
_PRIVATE = frozenset(
    {
        "exists",
        "check_access",
        "search_fetch",
        "fetch",
        "sudo",
        "browse",
        "with_context",
        "with_user",
        "filtered",
        "mapped",
    }
)
_OPERATIONS = ("create", "read", "write", "unlink")


def search(records: Records, domain: Any, offset: int = 0, limit: int | None = None, order: str | None = None) -> Any:
    """Return matching ids."""
    return _search(records.env, records.model, domain, offset, limit, order)


def search_count(records: Records, domain: Any, limit: int | None = None) -> int:
    """Return how many match."""
    return len(_search(records.env, records.model, domain, 0, limit, "id"))


def search_read(
    records: Records,
    domain: Any = None,
    fields: Sequence[str] | None = None,
    offset: int = 0,
    limit: int | None = None,
    order: str | None = None,
    **read_kwargs: Any,
) -> Any:
    """Search, then read."""
    env, model = records.env, records.model
    ids = _search(env, model, domain or [], offset, limit, order)
    rows = env.database.table(model).rows
    return reading.read_rows(env, model, [rows[i] for i in ids], fields, read_kwargs.get("load", CLASSIC))


def _search(env: Env, model: str, asked: Any, offset: int, limit: int | None, order: str | None) -> list[int]:
    return domain.search(env, model, asked, offset or 0, limit, order or None)


def read(records: Records, fields: Sequence[str] | None = None, load: str | None = CLASSIC) -> Any:
    """Return the fields of the records; ids that do not exist are left out."""
    return reading.read(records.env, records.model, records.ids, fields, load)


def create(records: Records, vals_list: Any) -> list[int]:
    """Create records from a list of dicts (or one dict) and return their ids."""
    return crud.create(records.env, records.model, [dict(vals_list)] if isinstance(vals_list, Mapping) else vals_list)


def write(records: Records, vals: Values) -> bool:
    """Write the values on all records."""
    return crud.write(records.env, records.model, list(dict.fromkeys(records.ids)), vals)


def unlink(records: Records) -> bool:
    """Delete the records."""
    return crud.unlink(records.env, records.model, list(dict.fromkeys(records.ids)))


def load_rows(records: Records, fields: Sequence[str], data: Sequence[Sequence[Any]]) -> Values:
    """Import rows; see the load module."""
    return load.load(records.env, records.model, fields, data)


def fields_get(
    records: Records, allfields: Sequence[str] | None = None, attributes: Sequence[str] | None = None
) -> dict[str, Values]:
    """Describe the fields, by name."""
    env, model = records.env, records.model
    editable = any(rights.allowed(env, model, operation) for operation in ("write", "create"))
    told: dict[str, Values] = {}
    for name, field in env.model(model).fields.items():
        if allfields and name not in allfields:
            continue
        description = dict(field.description)
        if not editable:
            description["readonly"] = True
        told[name] = {k: v for k, v in description.items() if not attributes or k in attributes}
    return told


def name_search(
    records: Records, name: str = "", domain: Any = None, operator: str = "ilike", limit: int | None = 100
) -> list[list[Any]]:
    """Return pairs of id and display name."""
    env, model = records.env, records.model
    ids = naming.name_search(env, model, name, list(domain or []), operator, limit)
    rows = env.database.table(model).rows
    return [[i, raw.display_name(env, model, rows[i])] for i in ids]


def name_create(records: Records, name: str) -> list[Any]:
    """Create a record from its name alone and return its id and display name."""
    env, model = records.env, records.model
    made = crud.create(env, model, [{env.model(model).rec_name: name}])[0]
    return [made, raw.display_name(env, model, env.database.table(model).rows[made])]


def get_external_id(records: Records) -> dict[str, str]:
    """Return one external id per id, empty where there is none."""
    known = {i: naming.external_ids(records.env, records.model, i) for i in records.ids}
    return {str(i): str(rows[0]["complete_name"]) if rows else "" for i, rows in known.items()}


def get_metadata(records: Records) -> list[Values]:
    """Return who made and changed the records, and their external ids."""
    names = ("create_uid", "create_date", "write_uid", "write_date")
    told = reading.read(records.env, records.model, records.ids, names, CLASSIC)
    for entry in told:
        rows = naming.external_ids(records.env, records.model, entry["id"])
        xmlids = [{"xmlid": row["complete_name"], "noupdate": bool(row.get("noupdate"))} for row in reversed(rows)]
        first = xmlids[0] if xmlids else {"xmlid": False, "noupdate": False}
        entry |= first | {"xmlids": xmlids}
    return told


def action_archive(records: Records) -> None:
    """Archive the records; a template follows its last active variant."""
    _set_active(records, False)


def action_unarchive(records: Records) -> None:
    """Take the records out of the archive; a variant brings its template back."""
    _set_active(records, True)


def _set_active(records: Records, active: bool) -> None:
    env, model = records.env, records.model
    found = reading.read(env, model, records.ids, ["active"], None)
    missing = [i for i in records.ids if i not in {row["id"] for row in found}]
    moved = [row["id"] for row in found if row["active"] != active]
    crud.write(env, model, [*moved, *missing], {"active": active})
    if model != "product.product":
        return
    for template in {(env.row(model, i) or {}).get("product_tmpl_id") for i in moved}:
        row = env.row("product.template", template) or {}
        test = domain.search_ids(env.sudo(), model, [["product_tmpl_id", "=", template]])
        if template and bool(row.get("active")) != active and bool(test) == active:
            crud.write(env, "product.template", [template], {"active": active})


def default_get(records: Records, fields: Sequence[str]) -> Values:
    """Return the defaults of the named fields, as `read` would show them."""
    env, model = records.env, records.model
    told = crud.default_get(env, model, fields)
    return {name: value for name, value in told.items() if value is not False or _is_boolean(env, model, name)}


def _is_boolean(env: Env, model: str, name: str) -> bool:
    return env.model(model).fields[name].type == "boolean"


def has_access(records: Records, operation: str) -> bool:
    """Say whether the user has the right on the model and on each of the records."""
    env, model = records.env, records.model
    rows = (env.row(model, i) for i in records.ids)
    return rights.allowed(env, model, operation) and all(rights.visible(env, model, row) for row in rows if row)


def check_access_rights(records: Records, operation: str, raise_exception: bool = True) -> bool:
    """The older form of `has_access`, on the model as a whole."""
    if raise_exception:
        rights.check(records.env, records.model, operation)
    return rights.allowed(records.env, records.model, operation)


def get_field_translations(records: Records, field_name: str, langs: Sequence[str] | None = None) -> list[Any]:
    """Return the translations of one field of one record, and how it is translated."""
    env, model = records.env, records.model
    row = env.row(model, records.ids[0]) or {}
    value = row.get(field_name)
    told = value if isinstance(value, dict) else {"en_US": value}
    source = told.get("en_US") or ""
    wanted = langs or sorted(
        known["code"] for known in env.database.table("res.lang").rows.values() if known.get("active")
    )
    terms = [{"lang": lang, "source": source, "value": told.get(lang, "")} for lang in wanted]
    return [terms, {"translation_type": env.model(model).fields[field_name].type, "translation_show_source": False}]


def update_field_translations(records: Records, field_name: str, translations: Mapping[str, Any]) -> bool:
    """Write one field in several languages."""
    for lang, value in translations.items():
        crud.write(records.env.with_context(lang=lang), records.model, list(records.ids), {field_name: value})
    return True


_MODEL_LEVEL: dict[str, Method] = {
    "search": search,
    "search_count": search_count,
    "search_read": search_read,
    "create": create,
    "load": load_rows,
    "fields_get": fields_get,
    "name_search": name_search,
    "name_create": name_create,
    "default_get": default_get,
    "check_access_rights": check_access_rights,
}
_ON_RECORDS: dict[str, Method] = {
    "read": read,
    "write": write,
    "unlink": unlink,
    "get_external_id": get_external_id,
    "get_metadata": get_metadata,
    "action_archive": action_archive,
    "action_unarchive": action_unarchive,
    "has_access": has_access,
    "get_field_translations": get_field_translations,
    "update_field_translations": update_field_translations,
}


def find(env: Env, model: str, name: str) -> tuple[Method, bool]:
    """Return a public method of a model, and whether it is called on the model rather than on records.

    Raises AccessError for a private one and AttributeError for an unknown one.
    """
    if name.startswith("_") or name in _PRIVATE:
        raise AccessError(f"Private methods (such as '{model}.{name}') cannot be called remotely.")
    own = env.behaviour(model).methods.get(name)
    if own is not None:
        return own, bool(getattr(own, "model_level", False))
    if name in _MODEL_LEVEL:
        return _MODEL_LEVEL[name], True
    if name in ("action_archive", "action_unarchive") and "active" not in env.model(model).fields:
        raise AttributeError(f"The method '{model}.{name}' does not exist")
    if name in _ON_RECORDS:
        return _ON_RECORDS[name], False
    raise AttributeError(f"The method '{model}.{name}' does not exist")


for _name, _method in (_MODEL_LEVEL | _ON_RECORDS).items():
    _method.__qualname__ = f"BaseModel.{_name}"  # what Odoo's TypeErrors call them
