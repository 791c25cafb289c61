"""The rows a fresh sandbox starts with: languages, countries, units, taxes, one company, its users, the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .database import Database, Row
from .environment import Env
from .naming import remember
from .platform import digest, generate_key
from .schema import INSTALLED_LANGUAGES, data_file
from .settings import Settings

SYSTEM_PARTNERS = (
    (1, "My Company", "base.main_partner", True, None),
    (2, "OdooBot", "base.partner_root", False, "odoobot@example.com"),
    (3, "Administrator", "base.partner_admin", True, None),
    (4, "Public user", "base.public_partner", False, None),
    (6, "Integration", "", True, None),
    (7, "Low Privilege", "", True, None),
)
UNITED_STATES = 233


def fill(env: Env, settings: Settings) -> None:
    """Put all first rows into an empty database; `env` belongs to the superuser."""
    for model, records in data_file("records.json").items():
        for record in records:
            _put(env, model, record)
    _mark_languages(env.database)
    for partner, name, external_id, active, email in SYSTEM_PARTNERS:
        row: Row = {
            "id": partner,
            "name": name,
            "complete_name": name,
            "commercial_partner_id": partner,
            "type": "contact",
        }
        row |= {"lang": "en_US", "active": active, "email": email, "is_company": partner == 1, "_xid": external_id}
        _put(env, "res.partner", row | ({"country_id": UNITED_STATES} if partner == 1 else {"partner_share": True}))
    _put(
        env,
        "res.company",
        {"id": 1, "name": "My Company", "currency_id": 1, "partner_id": 1, "country_id": UNITED_STATES}
        | {"sequence": 0, "_xid": "base.main_company"},
    )
    for user, login, partner, external_id in (
        (1, "__system__", 2, "base.user_root"),
        (2, settings.odoo_admin_login, 3, "base.user_admin"),
        (3, "public", 4, "base.public_user"),
        (5, settings.login, 6, ""),
        (6, settings.low_login, 7, ""),
    ):
        row = {"id": user, "login": login, "partner_id": partner, "company_id": 1, "company_ids": [1]}
        _put(env, "res.users", row | {"active": user in (2, 5, 6), "_xid": external_id})
    _put(env, "res.groups", {"id": 1, "name": "Role / User", "_xid": "base.group_user"})
    _register_models(env)


def keep_keys(env: Env, settings: Settings) -> None:
    """Give the three known users the keys and passwords of this start, and the groups of their role."""
    groups = data_file("groups.json")
    for role, login, password, key in (
        ("integration", settings.login, settings.password, settings.api_key),
        ("low", settings.low_login, settings.low_password, settings.low_key),
        ("admin", settings.odoo_admin_login, settings.odoo_admin_password, settings.odoo_admin_key),
    ):
        for user in env.database.table("res.users").having("login", (login,)) or ():
            row = env.row("res.users", user) or {}
            env.database.put("res.users", user, {**row, "_password": digest(password), "_groups": groups[role]})
            keys = env.database.table("res.users.apikeys")
            if not keys.having("_digest", (digest(key),)):
                generate_key(env, user, "started with", key, None)


def _put(env: Env, model: str, record: Mapping[str, Any]) -> None:
    fields = env.model(model).fields
    row: Row = {k: v for k, v in record.items() if k in fields and v is not None and v is not False}
    if "active" in fields and record.get("active", True):
        row["active"] = True
    if model == "product.category":
        row |= {"complete_name": record["name"], "parent_path": f"{record['id']}/"}
    stamps = {"create_uid": 1, "write_uid": 1, "create_date": env.now, "write_date": env.now}
    env.database.put(model, record["id"], {**row, **stamps})
    if record.get("_xid"):
        remember(env, record["_xid"], model, record["id"], noupdate=True)


def _mark_languages(database: Database) -> None:
    installed = {code for code, _ in INSTALLED_LANGUAGES}
    for row in list(database.table("res.lang").rows.values()):
        kept = {k: v for k, v in row.items() if k != "active"}
        database.put("res.lang", row["id"], kept | ({"active": True} if row["code"] in installed else {}))


def _register_models(env: Env) -> None:
    """Fill ir.model and ir.model.fields, which automations and callers refer to by id."""
    field_id = 0
    for model_id, model in enumerate(env.schema.values(), 1):
        external_id = f"base.model_{model.name.replace('.', '_')}"
        row = {"id": model_id, "name": model.title, "model": model.name, "state": "base", "order": model.order}
        _put(env, "ir.model", row | {"_xid": external_id})
        for field in model.fields.values():
            field_id += 1
            row = {"id": field_id, "name": field.name, "model": model.name, "model_id": model_id, "ttype": field.type}
            row |= {"field_description": field.title, "state": "base"}
            row |= _flags(field.description, ("relation", "required", "readonly", "store", "company_dependent"))
            if field.translate:
                row["translate"] = "standard"
            _put(env, "ir.model.fields", row)


def _flags(description: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: description[name] for name in names if description.get(name)}
