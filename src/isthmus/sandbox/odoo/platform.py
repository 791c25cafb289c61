"""Models of the platform itself: users and their keys, currencies and rates, external ids, automations, actions."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from . import actions, crud, domain, naming
from .database import Row
from .environment import Behaviour, Compute, Env, Values
from .errors import ValidationError
from .records import Records

CURRENCY, RATE, KEYS = "res.currency", "res.currency.rate", "res.users.apikeys"


def digest(secret: str) -> str:
    """Return what is kept of a key or password."""
    return hashlib.sha256(secret.encode()).hexdigest()


def user_of_key(env: Env, key: str) -> int | None:
    """Return the user an unexpired API key belongs to."""
    table = env.database.table(KEYS)
    for i in table.having("_digest", (digest(key),)) or ():
        row = table.rows[i]
        if not row.get("expiration_date") or row["expiration_date"] > env.now[:19]:
            return int(row["user_id"])
    return None


def user_of_password(env: Env, login: str, secret: str) -> int | None:
    """Return the active user who logs in with this password or API key."""
    table = env.database.table("res.users")
    for i in table.having("login", (login,)) or ():
        row = table.rows[i]
        if row.get("active") and (row.get("_password") == digest(secret) or user_of_key(env, secret) == i):
            return i
    return None


def generate_key(env: Env, user: int, name: str, key: str, days: int | None) -> int:
    """Store a key for a user; `days` None means it does not expire. Returns the id of its row."""
    expires = None
    if days is not None:
        expires = (datetime.fromisoformat(env.now) + timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S")
    row_id = env.database.take_id(KEYS)
    row: Row = {"id": row_id, "name": name, "user_id": user, "scope": "rpc", "create_date": env.now}
    env.database.put(KEYS, row_id, row | {"_digest": digest(key)} | ({"expiration_date": expires} if expires else {}))
    return row_id


def context_get(records: Records) -> Values:
    """Return the user's own context."""
    partner = records.env.row("res.partner", records.env.user_row.get("partner_id")) or {}
    return {"lang": partner.get("lang") or "en_US", "tz": partner.get("tz") or False, "uid": records.env.uid}


context_get.model_level = True  # type: ignore[attr-defined]  # functions take any mark


def get_installed(records: Records) -> list[list[str]]:
    """Return code and name of every installed language, by name."""
    rows = records.env.database.table("res.lang").rows.values()
    return sorted(([row["code"], row["name"]] for row in rows if row.get("active")), key=lambda pair: pair[1])


get_installed.model_level = True  # type: ignore[attr-defined]  # functions take any mark


class Language(Behaviour):
    """res.lang: also tells which ones are installed."""

    methods = {"get_installed": get_installed}


def has_group(records: Records, group_ext_id: str) -> bool:
    """Whether a user is in a group, told by its external id."""
    if len(records.ids) != 1:
        raise ValueError(f"Expected singleton: res.users({', '.join(map(str, records.ids))})")
    user = records.env.row("res.users", records.ids[0])
    return user is not None and group_ext_id in (user.get("_groups") or ("base.group_user",))


class Users(Behaviour):
    """res.users: each has a partner, made on the way where none is told."""

    methods = {"context_get": context_get, "has_group": has_group}

    def defaults(self, env: Env) -> Values:
        return {"active": True, "share": False, "company_id": env.company, "company_ids": [(6, 0, [env.company])]}

    def before_create(self, env: Env, values: Values) -> Values:
        if not values.get("partner_id"):
            partner = {
                "name": values.pop("name", values.get("login")),
                "email": values.pop("email", values.get("login")),
            }
            values["partner_id"] = crud.create(env.sudo(), "res.partner", [partner])[0]
            crud.patch(env, "res.partner", values["partner_id"], {"partner_share": False})
        return values

    def display_name(self, env: Env, row: Row) -> str | None:
        return str((env.row("res.partner", row.get("partner_id")) or {}).get("name") or row.get("login"))

    def search_display_name(self, env: Env, operator: str, value: Any) -> list[Any] | None:
        return ["|", ["partner_id.name", operator, value], ["login", operator, value]]


def _last_rate(env: Env, currency: int | None, day: str) -> Row | None:
    table = env.database.table(RATE)
    known = [table.rows[i] for i in table.having("currency_id", (currency,)) or ()]
    known = [r for r in known if r["name"] <= day and r.get("company_id") in (None, env.company)]
    return max(known, key=lambda r: (r["name"], r.get("company_id") or 0), default=None)


def _day(env: Env) -> str:
    return str(env.context.get("date") or env.now)[:10]


def _plain_rate(env: Env, currency: int | None, day: str) -> float:
    row = _last_rate(env, currency, day)
    return float(row.get("rate") or 1.0) if row else 1.0


def _company_currency(env: Env) -> int | None:
    return (env.row("res.company", env.company) or {}).get("currency_id")


def _currency_rate(env: Env, row: Row) -> float:
    return _plain_rate(env, row["id"], _day(env)) / _plain_rate(env, _company_currency(env), _day(env))


class Currency(Behaviour):
    """res.currency: its rate today (or on the context's date) against the company's currency."""

    def defaults(self, env: Env) -> Values:
        return {"active": True, "rounding": 0.01, "position": "after"}

    computed = {
        "rate": _currency_rate,
        "inverse_rate": lambda env, row: 1.0 / _currency_rate(env, row),
        "date": lambda env, row: (_last_rate(env, row["id"], _day(env)) or {}).get("name"),
        "is_current_company_currency": lambda env, row: row["id"] == _company_currency(env),
        "rate_string": lambda env, row: (
            f"1 {(env.row(CURRENCY, _company_currency(env)) or {}).get('name')} = "
            f"{_currency_rate(env, row):.6f} {row['name']}"
        ),
    }


def _company_rate(env: Env, row: Row) -> float:
    return float(row.get("rate") or 1.0) / _plain_rate(env, _company_currency(env), row["name"])


def _set_rate(env: Env, rate: int, value: float) -> None:
    row = env.row(RATE, rate) or {}
    crud.patch(env, RATE, rate, {"rate": value * _plain_rate(env, _company_currency(env), row["name"])})


class Rate(Behaviour):
    """res.currency.rate: one per day, currency and company."""

    def defaults(self, env: Env) -> Values:
        return {"name": env.now[:10], "company_id": env.company}

    def check(self, env: Env, ids: Sequence[int], names: Sequence[str]) -> None:
        table = env.database.table(RATE)
        for i in ids:
            row = table.rows[i]
            same = [table.rows[j] for j in table.having("currency_id", (row["currency_id"],)) or () if j != i]
            if any(o["name"] == row["name"] and o.get("company_id") == row.get("company_id") for o in same):
                raise ValidationError("The operation cannot be completed: Only one currency rate per day allowed!")
            if (row.get("rate") or 0.0) <= 0.0:
                raise ValidationError("The operation cannot be completed: The currency rate must be strictly positive")

    computed = {"company_rate": _company_rate, "inverse_company_rate": lambda env, row: 1.0 / _company_rate(env, row)}
    inverses = {
        "company_rate": lambda env, i, value: _set_rate(env, i, float(value)),
        "inverse_company_rate": lambda env, i, value: _set_rate(env, i, 1.0 / float(value)),
    }


def check_object_reference(records: Records, module: str, xml_id: str, raise_on_access_error: bool = False) -> Any:
    """Return model and id of an external id, without any right on external ids; the id is False when out of reach."""
    env = records.env
    known = naming.lookup(env, f"{module}.{xml_id}")
    if known is None:
        raise ValueError(f"External ID not found in the system: {module}.{xml_id}")
    found = domain.search(env, known["model"], [["id", "=", known["res_id"]]])
    return [known["model"], found[0] if found else False]


check_object_reference.model_level = True  # type: ignore[attr-defined]  # functions take any mark


class ExternalIds(Behaviour):
    """ir.model.data: which record an external id names."""

    methods = {"check_object_reference": check_object_reference}

    def defaults(self, env: Env) -> Values:
        return {"module": "", "noupdate": False}

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        self._refresh(env, ids)

    def after_write(self, env: Env, ids: Sequence[int], values: Values, before: Sequence[Row]) -> None:
        self._refresh(env, ids)

    def _refresh(self, env: Env, ids: Sequence[int]) -> None:
        for i in ids:
            row = env.row("ir.model.data", i) or {}
            full = ".".join(part for part in (row.get("module"), row.get("name")) if part)
            target = f"{row.get('model')},{row.get('res_id')}"
            crud.patch(env, "ir.model.data", i, {"complete_name": full, "_target": target})

    computed = {"reference": lambda env, row: f"{row.get('model')},{row.get('res_id')}"}


class Automation(Behaviour):
    """base.automation: fires the server actions below it."""

    def defaults(self, env: Env) -> Values:
        return {
            "active": True,
            "log_webhook_calls": False,
            "webhook_uuid": str(uuid.uuid4()),
            "record_getter": "model.env[payload.get('_model')].browse(int(payload.get('_id')))",
        }

    computed = {
        "url": lambda env, row: f"/web/hook/{row['webhook_uuid']}" if row.get("trigger") == "on_webhook" else None
    }


_ACTION_NAMES = {"webhook": "Send Webhook Notification", "code": "Execute Code"}


class ServerAction(Behaviour):
    """ir.actions.server: posts a webhook for an automation, or runs code that is known."""

    methods = {"run": actions.run}

    def defaults(self, env: Env) -> Values:
        return {
            "type": "ir.actions.server",
            "state": "object_write",
            "sequence": 5,
            "usage": "ir_actions_server",
            "binding_type": "action",
            "binding_view_types": "list,form",
            "evaluation_type": "value",
        }

    def before_create(self, env: Env, values: Values) -> Values:
        automation = env.row("base.automation", values.get("base_automation_id"))
        if automation is not None:
            values.setdefault("model_id", automation.get("model_id"))
            values.setdefault("usage", "base_automation")
        values.setdefault("name", _ACTION_NAMES.get(str(values.get("state")), "Update Record"))
        return values

    computed = {"webhook_sample_payload": lambda env, row: None}


class Company(Behaviour):
    """res.company: shares its name and address with its partner."""

    def defaults(self, env: Env) -> Values:
        return {"active": True, "sequence": 10, "currency_id": _company_currency(env)}

    def before_create(self, env: Env, values: Values) -> Values:
        if not values.get("partner_id"):
            told = {"name": values.get("name"), "is_company": True}
            values["partner_id"] = crud.create(env.sudo(), "res.partner", [told])[0]
        return values

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        row = env.user_row
        crud.patch(env, "res.users", env.uid, {"company_ids": sorted({*(row.get("company_ids") or ()), *ids})})


class Archivable(Behaviour):
    """A model that only starts active and has a place in its list."""

    def defaults(self, env: Env) -> Values:
        return {"active": True, "sequence": 10}


def _holders(model: str, column: str) -> Compute:
    """The other side of a many2many that only `model` stores."""
    return lambda env, row: tuple(
        other["id"] for other in env.database.table(model).rows.values() if row["id"] in (other.get(column) or ())
    )


class Country(Behaviour):
    """res.country: the groups it belongs to are stored on the groups."""

    computed = {"country_group_ids": _holders("res.country.group", "country_ids")}


class Tag(Archivable):
    """res.partner.category: the contacts that carry it are stored on the contacts."""

    computed = {"partner_ids": _holders("res.partner", "category_id")}


class State(Behaviour):
    """res.country.state: named together with its country's code."""

    def display_name(self, env: Env, row: Row) -> str | None:
        country = env.row("res.country", row.get("country_id")) or {}
        return f"{row['name']} ({country.get('code')})"

    def search_display_name(self, env: Env, operator: str, value: Any) -> list[Any] | None:
        return None


class Unit(Behaviour):
    """uom.uom: how much of its reference unit it holds."""

    def defaults(self, env: Env) -> Values:
        return {"active": True, "relative_factor": 1.0}

    def before_create(self, env: Env, values: Values) -> Values:
        values.setdefault("sequence", min(int(float(values.get("relative_factor") or 1.0) * 100), 1000))
        return values

    def after_write(self, env: Env, ids: Sequence[int], values: Values, before: Sequence[Row]) -> None:
        """The absolute factor is stored, so units that build on this one are written too."""
        if "relative_factor" in values or "relative_uom_id" in values:
            for i in ids:
                for built_on in env.database.table("uom.uom").having("relative_uom_id", (i,)) or ():
                    crud.patch(env, "uom.uom", built_on, {})
                    self.after_write(env, [built_on], values, [])

    def check(self, env: Env, ids: Sequence[int], names: Sequence[str]) -> None:
        for i in ids:
            row = env.row("uom.uom", i) or {}
            if not row.get("relative_factor"):
                raise ValidationError(
                    "The operation cannot be completed: The conversion ratio for a unit of measure cannot be 0!"
                )
            if not row.get("relative_uom_id") and row["relative_factor"] != 1.0:
                raise ValidationError("Reference unit of measure is missing.")

    computed = {"factor": lambda env, row: _factor(env, row), "rounding": lambda env, row: 0.01}


def _factor(env: Env, row: Row) -> float:
    reference = env.row("uom.uom", row.get("relative_uom_id"))
    own = float(row.get("relative_factor") or 1.0)
    return own * _factor(env, reference) if reference else own
