"""What contacts do beyond storing fields: names, the commercial root, and what parent and children share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from . import crud, raw
from .database import Row
from .environment import Behaviour, Env, Values
from .errors import ConstraintError, ValidationError
from .schema import Model
from .values import clean_website

MODEL = "res.partner"
ADDRESS = ("street", "street2", "zip", "city", "state_id", "country_id")
SYNCED_COMMERCIAL = ("vat", "specific_property_product_pricelist")
COMMERCIAL = (
    *SYNCED_COMMERCIAL,
    "company_registry",
    "industry_id",
    "property_account_position_id",
    "property_payment_term_id",
    "property_supplier_payment_term_id",
    "credit_limit",
)
_NAMED_BY = frozenset({"name", "parent_id", "is_company", "type", "company_name"})
_NO_SYNC = "_partners_skip_sync"


def _value(env: Env, row: Row, name: str) -> Any:
    return raw.getter(env, env.model(MODEL).fields[name])(row)


def _row(env: Env, partner: int | None) -> Row:
    return env.row(MODEL, partner) or {}


def _children(env: Env, partner: int) -> list[int]:
    """Active children, as `child_ids` lists them."""
    rows = env.database.table(MODEL).rows
    return [i for i in _all_children(env, partner) if rows[i].get("active")]


def _all_children(env: Env, partner: int) -> list[int]:
    return env.database.table(MODEL).having("parent_id", (partner,)) or []


class Partner(Behaviour):
    """res.partner: writing an address or tax id on a child contact changes the parent and its other contacts."""

    def defaults(self, env: Env) -> Values:
        return {
            "type": "contact",
            "active": True,
            "is_company": False,
            "lang": "en_US",
            "color": 0,
            "customer_rank": 0,
            "supplier_rank": 0,
            "partner_share": True,
            "tz": env.context.get("tz") or False,
        }

    def refuse_field(self, model: Model, name: str) -> Exception:
        return KeyError(name)

    def before_create(self, env: Env, values: Values) -> Values:
        values = self._cleaned(values)
        if values.get("parent_id") and "lang" not in values:
            parent = _row(env, values["parent_id"])
            if parent.get("lang"):
                values["lang"] = parent["lang"]
        return values

    def before_write(self, env: Env, ids: Sequence[int], values: Values) -> Values:
        if values.get("active") is False:
            _refuse_with_users(env, ids, "archive")
        if values.get("parent_id"):
            for i in ids:
                _refuse_circle(env, i, values["parent_id"])
        if "company_id" in values:
            for i in ids:
                children = _children(env, i)
                if children:
                    crud.write(env, MODEL, children, {"company_id": values["company_id"]})
        return self._cleaned(values)

    @staticmethod
    def _cleaned(values: Values) -> Values:
        if values.get("website"):
            values["website"] = clean_website(str(values["website"]))
        if values.get("parent_id"):
            values["company_name"] = False
        return values

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        for i, told in zip(ids, given, strict=True):
            _refresh(env, i)
            if told.get("child_ids"):
                refresh_family(env, _all_children(env, i))
        if env.context.get(_NO_SYNC):
            return
        for i, told in zip(ids, given, strict=True):
            if told.get("parent_id") or told.get("child_ids"):
                _sync(env, i, {**self.defaults(env), **told})

    def after_load(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        for i in ids:
            _refresh(env, i)
        for i in ids:
            row = _row(env, i)
            if row.get("parent_id"):
                _take_from_parent(env, i, row)
        for i, told in zip(ids, given, strict=True):
            _sync_children(env, i, told)
            _give_first_address(env, i)

    def after_write(self, env: Env, ids: Sequence[int], values: Values, before: Sequence[Row]) -> None:
        for i, old in zip(ids, before, strict=True):
            changed = {n: v for n, v in values.items() if _value(env, old, n) != _value(env, _row(env, i), n)}
            if _NAMED_BY & changed.keys():
                refresh_family(env, [i])
            elif "child_ids" in values:
                refresh_family(env, _all_children(env, i))
            if changed and not env.context.get(_NO_SYNC):
                _sync(env, i, changed)

    def before_unlink(self, env: Env, ids: Sequence[int]) -> None:
        _refuse_with_users(env, ids, "delete")
        for child in [child for i in ids for child in _all_children(env, i)]:
            crud.patch(env, MODEL, child, {"parent_id": None}, stamp=False)
            refresh_family(env, [child])

    def check(self, env: Env, ids: Sequence[int], names: Sequence[str]) -> None:
        told = set(names)
        for i in ids:
            row = _row(env, i)
            if told & {"name", "type"} and row.get("type") == "contact" and row.get("name") is None:
                raise ConstraintError("Contacts require a name")
            if "barcode" in told and row.get("barcode"):
                _refuse_same_barcode(env, row)

    def display_name(self, env: Env, row: Row) -> str | None:
        name = str(row.get("complete_name") or "")
        if env.context.get("show_email") and row.get("email"):
            name = f"{name} <{row['email']}>"
        return name


def _refresh(env: Env, partner: int) -> None:
    """Work out the stored names and commercial root of one contact; write_date moves where they changed."""
    row = _row(env, partner)
    if not row:
        return
    parent = _row(env, row.get("parent_id"))
    root = partner if row.get("is_company") or not parent else parent.get("commercial_partner_id", parent["id"])
    root_row = row if root == partner else _row(env, root)
    company = root_row.get("name") if root_row.get("is_company") else None
    changes: Values = {
        "commercial_partner_id": root,
        "commercial_company_name": company or row.get("company_name"),
    }
    name = str(row.get("name") or "")
    if parent or row.get("company_name"):
        if not name and row.get("type") in ("invoice", "delivery", "other"):
            name = env.model(MODEL).fields["type"].selection[row["type"]]
        if not row.get("is_company"):
            name = f"{changes['commercial_company_name'] or parent.get('name')}, {name}"
    changes["complete_name"] = name.strip()
    if not row.get("user_id") and not row.get("is_company") and parent.get("user_id"):
        changes["user_id"] = parent["user_id"]
    if any(row.get(key) != value for key, value in changes.items()):
        crud.patch(env, MODEL, partner, changes)


def refresh_family(env: Env, partners: Iterable[int]) -> None:
    """Refresh contacts and all below them, parents first."""
    for partner in partners:
        _refresh(env, partner)
        refresh_family(env, _all_children(env, partner))


def _set_values(env: Env, row: Row, names: Sequence[str]) -> Values:
    """The named fields that hold something, ready to be written elsewhere."""
    return {name: value for name in names if (value := _value(env, row, name))}


def _sync(env: Env, partner: int, values: Values) -> None:
    """Share what the values changed: from the parent, to the parent, to the children."""
    row = _row(env, partner)
    parent_id = row.get("parent_id")
    is_contact = row.get("type") == "contact"
    if values.get("parent_id") and row.get("commercial_partner_id") != partner:
        root = _row(env, row.get("commercial_partner_id"))
        shared = _set_values(env, root, COMMERCIAL)
        if shared:
            crud.write(env.sudo(), MODEL, [partner], shared)
    if (values.get("parent_id") or values.get("type") == "contact") and parent_id and is_contact:
        parent = _row(env, parent_id)
        if _set_values(env, parent, ADDRESS):
            _set_address(env, [partner], {name: _value(env, parent, name) for name in ADDRESS})
    if parent_id:
        _give_to_parent(env, partner, values)
    _sync_children(env, partner, values)


def _give_to_parent(env: Env, partner: int, values: Values) -> None:
    row = _row(env, partner)
    parent_id = row["parent_id"]

    def differs(names: Sequence[str]) -> bool:
        parent = _row(env, parent_id)
        touched = "parent_id" in values or any(name in values for name in names)
        return touched and any(_value(env, row, name) != _value(env, parent, name) for name in names)

    if row.get("type") == "contact" and differs(ADDRESS):
        own = {name: _value(env, row, name) or False for name in ADDRESS}
        crud.write(env, MODEL, [parent_id], own if any(own.values()) else {})
    if row.get("commercial_partner_id") != partner and differs(SYNCED_COMMERCIAL):
        crud.write(env, MODEL, [parent_id], _set_values(env, row, SYNCED_COMMERCIAL))


def _set_address(env: Env, partners: Sequence[int], values: Values) -> None:
    """Write address fields without sharing them any further."""
    address = {name: (False if values[name] is None else values[name]) for name in ADDRESS if name in values}
    if address and partners:
        crud.write(env.sudo().with_context(**{_NO_SYNC: True}), MODEL, partners, address)


def _sync_children(env: Env, partner: int, values: Values) -> None:
    children = _children(env, partner)
    if not children:
        return
    if _row(env, partner).get("commercial_partner_id") == partner:
        _sync_descendants(env.sudo(), partner, [name for name in COMMERCIAL if name in values])
    if any(name in values for name in ADDRESS):
        row = _row(env, partner)
        told = {name: _value(env, row, name) for name in ADDRESS if name in values}
        _set_address(env, [i for i in children if _row(env, i).get("type") == "contact"], told)


def _sync_descendants(env: Env, partner: int, names: Sequence[str]) -> None:
    root = _row(env, _row(env, partner).get("commercial_partner_id"))
    shared = {name: _value(env, root, name) or False for name in names}
    children = [i for i in _children(env, partner) if not _row(env, i).get("is_company")]
    for child in children:
        _sync_descendants(env, child, names)
    crud.write(env, MODEL, children, shared)


def _take_from_parent(env: Env, partner: int, row: Row) -> None:
    """What `load` gives a child: the root's commercial fields, empties included, and the parent's address."""
    told: Values = {}
    if row.get("commercial_partner_id") != partner:
        root = _row(env, row.get("commercial_partner_id"))
        told = {name: _value(env, root, name) or False for name in COMMERCIAL}
    if row.get("type") == "contact":
        told |= _set_values(env, _row(env, row["parent_id"]), ADDRESS)
    if told:
        crud.write(env.sudo(), MODEL, [partner], told)


def _give_first_address(env: Env, partner: int) -> None:
    """The first contact of a company that has no address brings it one."""
    row = _row(env, partner)
    parent = _row(env, row.get("parent_id"))
    if not parent or not (parent.get("is_company") or not parent.get("parent_id")):
        return
    if (
        _set_values(env, row, ADDRESS)
        and not _set_values(env, parent, ADDRESS)
        and len(_children(env, parent["id"])) == 1
    ):
        _set_address(env, [parent["id"]], {name: _value(env, row, name) for name in ADDRESS})


def _refuse_with_users(env: Env, ids: Sequence[int], verb: str) -> None:
    users = env.database.table("res.users").rows.values()
    names = [_row(env, u["partner_id"]).get("name") for u in users if u.get("partner_id") in ids and u.get("active")]
    if names:
        raise ValidationError(
            f"You cannot {verb} contacts linked to an active user.\nAsk an administrator to archive their associated "
            f"user first.\n\nLinked active users :\n{', '.join(str(name) for name in names)}"
        )


def _refuse_circle(env: Env, partner: int, parent: int | None) -> None:
    while parent:
        if parent == partner:
            raise ValidationError("You cannot create recursive Partner hierarchies.")
        parent = _row(env, parent).get("parent_id")


def _refuse_same_barcode(env: Env, row: Row) -> None:
    mine = _value(env, row, "barcode")
    for other in env.database.table(MODEL).rows.values():
        if mine and other["id"] != row["id"] and _value(env, other, "barcode") == mine:
            raise ValidationError("Another partner already has this barcode")


def _email_formatted(env: Env, row: Row) -> str | None:
    email = row.get("email")
    return f'"{row.get("name") or ""}" <{email}>' if email else None


def _same_vat(env: Env, row: Row) -> int | None:
    if not row.get("vat") or row.get("parent_id"):
        return None
    twins = env.database.table(MODEL).having("vat", (row["vat"],)) or []
    return next((i for i in twins if i != row["id"] and not _row(env, i).get("parent_id")), None)


def _currency(env: Env, row: Row) -> int | None:
    company = env.row("res.company", row.get("company_id") or env.company)
    return (company or {}).get("currency_id")


def _contact_address(env: Env, row: Row) -> str:
    place = " ".join(str(part) for part in (row.get("city"), row.get("zip")) if part)
    country = env.row("res.country", row.get("country_id"))
    name = raw.display_name(env, "res.country", country) if country else ""
    return "\n".join(part for part in (row.get("street"), row.get("street2"), place, name) if part)


Partner.computed = {
    "company_type": lambda env, row: "company" if row.get("is_company") else "person",
    "active_lang_count": lambda env, row: len(
        [1 for lang in env.database.table("res.lang").rows.values() if lang.get("active")]
    ),
    "contact_address": _contact_address,
    "currency_id": _currency,
    "email_formatted": _email_formatted,
    "email_normalized": lambda env, row: str(row["email"]).strip().lower() if row.get("email") else None,
    "is_public": lambda env, row: False,
    "property_product_pricelist": lambda env, row: _value(env, row, "specific_property_product_pricelist"),
    "same_vat_partner_id": _same_vat,
    "type_address_label": lambda env, row: "Address",
    "use_partner_credit_limit": lambda env, row: bool(_value(env, row, "credit_limit")),
}
Partner.inverses = {
    "company_type": lambda env, i, value: crud.write(env, MODEL, [i], {"is_company": value == "company"}),
    "property_product_pricelist": lambda env, i, value: crud.write(
        env, MODEL, [i], {"specific_property_product_pricelist": value}
    ),
}
