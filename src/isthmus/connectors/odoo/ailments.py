"""What the doctor knows of Odoo: apps that bring models, protocols by name, how Odoo tells of missing rights."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from isthmus.connectors.odoo.protocols import Unreadable, decode_json
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import Finding, HttpClient, IsthmusError

Look = Callable[[], Awaitable[list[Finding]]]

OLDEST_VERSION = 14
OLDEST_TESTED = 19
KEY_WARNING_DAYS = 15
"""Below this many whole days a key is warned about, so that 14 days are left in any case."""

PROTOCOLS: Mapping[str, str] = {"json2": "JSON-2", "jsonrpc": "JSON-RPC", "xmlrpc": "XML-RPC"}

NEW_KEY = (
    "Renew it with `isthmus connection rotate NAME`, or make a new key in Odoo (log in as the integration user, "
    "My Preferences > Security > Add API Key) and run `isthmus connection rotate NAME --secret api_key=@FILE`."
)

APPS: Mapping[str, tuple[str, str]] = {
    "product.product": ("product", "Products"),
    "product.template": ("product", "Products"),
    "product.pricelist": ("product", "Products"),
    "uom.uom": ("uom", "Units of measure"),
    "sale.order": ("sale_management", "Sales"),
    "sale.order.line": ("sale_management", "Sales"),
    "purchase.order": ("purchase", "Purchase"),
    "purchase.order.line": ("purchase", "Purchase"),
    "account.move": ("account", "Invoicing"),
    "account.move.line": ("account", "Invoicing"),
    "account.payment": ("account", "Invoicing"),
    "account.tax": ("account", "Invoicing"),
    "account.account": ("account", "Invoicing"),
    "account.journal": ("account", "Invoicing"),
    "stock.picking": ("stock", "Inventory"),
    "stock.move": ("stock", "Inventory"),
    "stock.quant": ("stock", "Inventory"),
    "stock.warehouse": ("stock", "Inventory"),
    "mrp.production": ("mrp", "Manufacturing"),
    "crm.lead": ("crm", "CRM"),
    "hr.employee": ("hr", "Employees"),
    "hr.department": ("hr", "Employees"),
    "hr.expense": ("hr_expense", "Expenses"),
    "project.project": ("project", "Project"),
    "project.task": ("project", "Project"),
    "helpdesk.ticket": ("helpdesk", "Helpdesk"),
    # fields of contacts and products that come with an app
    "credit_limit": ("account", "Invoicing"),
    "property_account_position_id": ("account", "Invoicing"),
    "property_payment_term_id": ("account", "Invoicing"),
    "property_supplier_payment_term_id": ("account", "Invoicing"),
    "property_account_income_id": ("account", "Invoicing"),
    "property_account_expense_id": ("account", "Invoicing"),
    "supplier_rank": ("account", "Invoicing"),
    "customer_rank": ("account", "Invoicing"),
    "taxes_id": ("account", "Invoicing"),
    "is_storable": ("stock", "Inventory"),
    "property_purchase_currency_id": ("purchase", "Purchase"),
    "specific_property_product_pricelist": ("product", "Products"),
}
"""The app that brings a model, or a field of a model of another app: technical name and name on the screen."""


def app_of(model: str) -> tuple[str, str]:
    """The app that brings a model; ("", "") when it is not one that we know."""
    return APPS.get(model, ("", ""))


def groups_in(answer: str) -> list[str]:
    """The groups that Odoo names when it refuses a right."""
    _, found, rest = answer.partition("allowed for the following groups:")
    if not found:
        return []
    told = re.split(r"Contact your administrator|\n\s*\n", rest)[0]
    return [name.strip() for name in re.split(r"(?:^|\s)-\s", told) if name.strip()]


NOBODY = 2_147_483_647
"""An id that no record has: a call on it is refused for want of rights before anything could be written."""


async def groups_for(wire: Wire, model: str, right: str) -> list[str]:
    """The groups that have a right that this login lacks, in Odoo's own words; none where it does not say."""
    doing = f"asking who may {right} {model}"
    try:
        if right == "read":
            await wire.call(model, "search", doing=doing, reads=True, domain=[["id", "=", 0]], limit=1)
        elif right == "write":
            await wire.call(model, "write", doing=doing, ids=[NOBODY], vals={})
    except IsthmusError as error:
        return groups_in(error.answered or "")
    return []


def telling(denied: Sequence[str]) -> str:
    """Which of the denied rights to ask for, so that Odoo names the groups."""
    return next((right for right in ("read", "write") if right in denied), denied[0])


async def databases(http: HttpClient) -> list[str]:
    """The databases that the server lists to anybody; none where listing is switched off."""
    headers = {"content-type": "application/json"}
    doing = "asking the server for its databases"
    try:
        answer = await http.send(
            "POST", "/web/database/list", doing=doing, headers=headers, body=b"{}", reads_only=True
        )
        told = decode_json(answer.body)
    except (IsthmusError, Unreadable):
        return []
    result = told.get("result") if isinstance(told, Mapping) else None
    return [str(name) for name in result] if isinstance(result, list) else []


def warn_if(condition: bool) -> Literal["ok", "warning"]:
    """The status of a finding that is at most worth a warning."""
    return "warning" if condition else "ok"
