"""Merging contacts as Odoo's merge wizard does: references and external ids move to the survivor, losers go."""

from __future__ import annotations

from collections.abc import Sequence

from . import crud, naming, partner
from .environment import Env
from .errors import UserError, missing
from .schema import LOG_FIELDS

MODEL = partner.MODEL


def merge(env: Env, survivor: int, losers: Sequence[int]) -> None:
    """Merge the losers into the survivor; fields that the survivor has empty are taken from them."""
    inner = env.sudo()
    for i in (survivor, *losers):
        if env.row(MODEL, i) is None:
            raise missing(MODEL, i, env.uid)
    if survivor in losers:
        raise UserError("You cannot merge a contact with itself.")
    fields = env.model(MODEL).fields
    for loser in losers:
        row, kept = env.row(MODEL, loser) or {}, env.row(MODEL, survivor) or {}
        taken = {
            name: value
            for name, value in row.items()
            if name in fields
            and name not in (*LOG_FIELDS, "id", "parent_id", "complete_name", "commercial_partner_id")
            and not kept.get(name)
            and not fields[name].company_dependent
            and fields[name].type != "many2many"
            and fields[name].column
        }
        _repoint(inner, loser, survivor)
        for data in naming.external_ids(env, MODEL, loser):
            changes = {"res_id": survivor, "_target": f"{MODEL},{survivor}"}
            crud.patch(env, "ir.model.data", data["id"], changes)
        crud.unlink(inner, MODEL, [loser])
        crud.write(env, MODEL, [survivor], taken)


def _repoint(env: Env, loser: int, survivor: int) -> None:
    """Move every many2one and many2many that points at the loser; write_date stays, as in Odoo's plain SQL."""
    for model in env.schema.values():
        for field in model.fields.values():
            if field.relation != MODEL or not field.column or field.name == "commercial_partner_id":
                continue
            for row in list(env.database.table(model.name).rows.values()):
                held = row.get(field.name)
                if field.type == "many2one" and held == loser and row["id"] != survivor:
                    crud.patch(env, model.name, row["id"], {field.name: survivor}, stamp=False)
                elif field.type == "many2many" and loser in (held or ()):
                    moved = list(dict.fromkeys(survivor if i == loser else i for i in held or ()))
                    crud.patch(env, model.name, row["id"], {field.name: moved}, stamp=False)
    partner.refresh_family(env, [survivor])
