"""Which operations this login may have done in this Odoo: what the doctor says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isthmus.connectors.odoo.fields import Fields
from isthmus.sdk import Finding, Misconfigured, Operation, SchemaDrift
from isthmus.sdk.together import together

_SALE = (("sale.order", "write"),)
_STOCK = (("stock.picking", "write"), ("stock.move", "write"))
_BUY = (("purchase.order", "write"),)
_BILL = (("account.move", "create"), ("account.move", "write"))
_PAY = (("account.payment", "create"), ("account.move", "write"))

RIGHTS: Mapping[str, Sequence[tuple[str, str]]] = {
    "check_credit": (("sale.order", "read"), ("res.partner", "read")),
    "confirm_sales_order": _SALE,
    "amend_sales_order": _STOCK,
    "reserve_sales_order": _STOCK,
    "validate_delivery": _STOCK,
    "return_delivery": (*_STOCK, ("stock.picking", "create")),
    "close_sales_order": (*_SALE, *_STOCK),
    "cancel_sales_order": (*_SALE, *_STOCK),
    "invoice_sales_order": (*_SALE, *_BILL, ("sale.advance.payment.inv", "create")),
    "post_invoice": _BILL,
    "credit_invoice": _BILL,
    "void_invoice": _BILL,
    "register_payment": _PAY,
    "post_payment": (("account.payment", "write"), ("account.move", "write")),
    "refund_payment": _PAY,
    "reverse_payment": _PAY,
    "reconcile": (("account.move", "write"), ("account.partial.reconcile", "create")),
    "book_settlement": (("account.bank.statement.line", "create"),),
    "confirm_purchase_order": _BUY,
    "receive_purchase_order": _STOCK,
    "bill_purchase_order": (*_BUY, *_BILL),
    "close_purchase_order": (*_BUY, *_STOCK),
    "cancel_purchase_order": _BUY,
    "apply_inventory": (("stock.quant", "create"), ("stock.quant", "write")),
}
"""The rights on models that an operation cannot go without; Odoo asks for a few more as it goes on."""


async def rights_finding(fields: Fields, operations: Sequence[Operation]) -> Finding:
    """One line of the doctor: how many operations can be called, and what the others lack."""
    wanted = sorted({right for one in operations for right in RIGHTS[one.name]})
    granted = dict(zip(wanted, await together(*(_granted(fields, *right) for right in wanted)), strict=True))
    absent = [one for one in operations if any(granted[right] is None for right in RIGHTS[one.name])]
    denied = [
        one for one in operations if one not in absent and not all(granted[right] for right in RIGHTS[one.name])
    ]  # fmt: skip
    able = len(operations) - len(absent) - len(denied)
    message = f"{able} of {len(operations)} operations can be called."
    if absent:
        message += f" Their apps are not installed: {', '.join(one.name for one in absent)}."
    roles = sorted({role for one in denied for role in one.needs})
    if denied:
        message += f" The login lacks the rights for: {', '.join(one.name for one in denied)}."
    return Finding(
        check="operations",
        status="ok",
        message=message,
        fix=f"For all of them it needs: {', '.join(roles)}." if denied else "",
        facts={"denied": [one.name for one in denied], "absent": [one.name for one in absent]},
    )


async def _granted(fields: Fields, model: str, right: str) -> bool | None:
    """Whether the login has a right on a model; None where there is no such model."""
    try:
        return await fields.may(model, right)
    except (SchemaDrift, Misconfigured):
        return None
