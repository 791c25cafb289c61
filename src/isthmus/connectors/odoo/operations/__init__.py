"""What Odoo can be asked to do with its documents: one Method per operation, each idempotent."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from isthmus.connectors.odoo.external import ExternalIds
from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.operations.amending import AmendSalesOrder
from isthmus.connectors.odoo.operations.bills import BillPurchaseOrder
from isthmus.connectors.odoo.operations.credit_limits import CheckCredit
from isthmus.connectors.odoo.operations.credits import CreditInvoice
from isthmus.connectors.odoo.operations.desk import Desk
from isthmus.connectors.odoo.operations.inventory import ApplyInventory
from isthmus.connectors.odoo.operations.invoices import InvoiceSalesOrder, PostInvoice, VoidInvoice
from isthmus.connectors.odoo.operations.method import Method
from isthmus.connectors.odoo.operations.payments import PostPayment, RefundPayment, RegisterPayment
from isthmus.connectors.odoo.operations.purchases import CancelPurchaseOrder, ClosePurchaseOrder, ConfirmPurchaseOrder
from isthmus.connectors.odoo.operations.reconciling import Reconcile
from isthmus.connectors.odoo.operations.reserving import ReserveSalesOrder
from isthmus.connectors.odoo.operations.returns import ReturnDelivery
from isthmus.connectors.odoo.operations.reversals import ReversePayment
from isthmus.connectors.odoo.operations.rights import rights_finding
from isthmus.connectors.odoo.operations.sales import CancelSalesOrder, CloseSalesOrder, ConfirmSalesOrder
from isthmus.connectors.odoo.operations.statements import BookSettlement
from isthmus.connectors.odoo.operations.transfers import ReceivePurchaseOrder, ValidateDelivery
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import Act, Finding, IsthmusError, Misconfigured, Operation, Performed, Verdict

METHODS: tuple[type[Method[Any]], ...] = (
    CheckCredit,
    ConfirmSalesOrder,
    AmendSalesOrder,
    ReserveSalesOrder,
    ValidateDelivery,
    ReturnDelivery,
    CloseSalesOrder,
    CancelSalesOrder,
    InvoiceSalesOrder,
    PostInvoice,
    CreditInvoice,
    VoidInvoice,
    RegisterPayment,
    PostPayment,
    RefundPayment,
    ReversePayment,
    Reconcile,
    BookSettlement,
    ConfirmPurchaseOrder,
    ReceivePurchaseOrder,
    BillPurchaseOrder,
    ClosePurchaseOrder,
    CancelPurchaseOrder,
    ApplyInventory,
)
"""In the order in which an order goes through them."""

OPERATIONS: tuple[Operation, ...] = tuple(method.ABOUT for method in METHODS)
"""What each of them takes, gives and needs."""


class Operations:
    """The operations of one connection, by name."""

    def __init__(self, wire: Wire, fields: Fields, external: ExternalIds) -> None:
        desk = Desk(wire, fields, external)
        self._fields = fields
        self._methods = {method.ABOUT.name: method(desk) for method in METHODS}

    def listing(self) -> Sequence[Operation]:
        """All of them; whether this Odoo has the apps and the login the rights, the doctor says."""
        return [method.ABOUT for method in self._methods.values()]

    async def findings(self) -> list[Finding]:
        """What the doctor says of them; never raises."""
        try:
            return [await rights_finding(self._fields, self.listing())]
        except IsthmusError as error:
            return [Finding(check="operations", status="warning", message=f"{error}.", fix=error.hint)]

    async def perform(self, name: str, acts: Sequence[Act]) -> Sequence[Performed]:
        """Do what is not done yet."""
        return await self._method(name).carry_out(acts)

    async def verify(self, name: str, acts: Sequence[Act]) -> Sequence[Verdict]:
        """Whether each Act is done."""
        return await self._method(name).verify(acts)

    def _method(self, name: str) -> Method[Any]:
        if name not in self._methods:
            near = difflib.get_close_matches(name, self._methods, n=1)
            raise Misconfigured(
                f"looking for the operation {name}",
                answered="Odoo has no such operation here",
                hint=f"Did you mean {near[0]}?" if near else f"They are: {', '.join(self._methods)}.",
            )
        return self._methods[name]
