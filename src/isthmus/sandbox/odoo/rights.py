"""Who may do what: a per-user, per-model table instead of Odoo's groups, and record rules on companies."""

from __future__ import annotations

from collections.abc import Iterable

from .database import Row
from .environment import SUPERUSER, Env
from .errors import AccessError

OPERATIONS = {"read": "r", "write": "w", "create": "c", "unlink": "u"}
_VERBS = {"read": "access", "write": "modify", "create": "create", "unlink": "delete"}
_COMPANY_RULED = frozenset(
    {
        "res.partner",
        "res.partner.bank",
        "res.currency.rate",
        "product.template",
        "product.supplierinfo",
        "product.pricelist",
        "account.tax",
        "account.payment.term",
        "account.fiscal.position",
        "sale.order",
        "sale.order.line",
        "purchase.order",
        "purchase.order.line",
        "stock.picking",
        "stock.move",
        "stock.quant",
        "account.move",
    }
)


def allowed(env: Env, model: str, operation: str) -> bool:
    """Say whether the user has this right on the model as a whole."""
    if env.su or env.uid == SUPERUSER:
        return True
    login = env.user_row.get("login", "")
    return OPERATIONS[operation] in env.rights.get(login, {}).get(model, "")


def check(env: Env, model: str, operation: str) -> None:
    """Raise the AccessError Odoo raises when a model is closed to the user."""
    if not allowed(env, model, operation):
        title = env.model(model).title
        raise AccessError(
            f"You are not allowed to {_VERBS[operation]} '{title}' ({model}) records.\n\n"
            "This operation is allowed for the following groups:\n\t- Role / Administrator\n\n"
            "Contact your administrator to request access if necessary."
        )


def visible(env: Env, model: str, row: Row) -> bool:
    """Say whether record rules let the user reach the row: its company is empty or among the call's companies."""
    if env.su:
        return True
    ruled = env.behaviour(model).visible(env, row)
    if ruled is not None:
        return ruled
    if model not in _COMPANY_RULED:
        return True
    company = row.get("company_id")
    return company is None or company in env.companies


def check_rows(env: Env, model: str, rows: Iterable[Row], operation: str) -> None:
    """Raise where a record rule closes one of the rows to the user."""
    for row in rows:
        if not visible(env, model, row):
            name = env.user_row.get("name", "")
            raise AccessError(
                "Uh-oh! Looks like you have stumbled upon some top-secret records.\n\n"
                f"Sorry, {name} (id={env.uid}) doesn't have '{operation}' access to:\n"
                f"- {env.model(model).title} ({model})\n\n"
                "If you really, really need access, perhaps you can win over your friendly administrator "
                "with a batch of freshly baked cookies."
            )
