"""What flows ask the gateway to do, by name: each an Operation with its forms, done at most once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from isthmus.connectors.bng_gateway.gateway import Details, Gateway
from isthmus.connectors.bng_gateway.values import Transaction, VaultCustomer, standing
from isthmus.connectors.bng_gateway.words import PaymentType
from isthmus.model.card import mask
from isthmus.sdk import (
    Act,
    Done,
    Failed,
    IsthmusError,
    Misconfigured,
    NotDone,
    Operation,
    OutcomeUnknown,
    Performed,
    RefusedByTarget,
    Undecided,
    Unsure,
    Verdict,
)

TRIED = "When an earlier try was sent, where one may have been."


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChargeForm(_Form):
    """A charge: its source is a vault customer or a one-time token, never a card."""

    order_id: str = Field(default="", max_length=64, description="The order or invoice; else the Act's own key.")
    amount: Decimal = Field(gt=0, decimal_places=2, description="What to charge, exact to the cent.")
    currency: str = Field(default="", pattern="^([A-Z]{3})?$", description="ISO 4217; else the connection's own.")
    vault_id: str = Field(default="", max_length=36, description="The vault customer that is charged.")
    token: str = Field(default="", repr=False, description="A one-time token of the gateway's form, in its place.")
    description: str = Field(default="", max_length=255, description="What is paid, for people.")
    po_number: str = Field(default="", max_length=255, description="The customer's purchase order.")
    tax: Decimal | None = Field(default=None, ge=0, description="The tax inside the amount.")
    shipping: Decimal | None = Field(default=None, ge=0, description="The shipping inside the amount.")
    tried_at: datetime | None = Field(default=None, description=TRIED)


class CaptureForm(_Form):
    """A capture of an authorisation, whole or in part."""

    transaction_id: str = Field(min_length=1, max_length=20, description="The authorisation.")
    amount: Decimal | None = Field(default=None, gt=0, decimal_places=2, description="Less than all releases the rest.")
    tracking_number: str = Field(default="", max_length=255, description="Of the shipment that is paid.")
    carrier: str = Field(default="", max_length=40, description="Who ships it, as the gateway writes it.")
    tried_at: datetime | None = Field(default=None, description=TRIED)


class VoidForm(_Form):
    """A void of what is not settled yet."""

    transaction_id: str = Field(min_length=1, max_length=20, description="The transaction to undo.")
    tried_at: datetime | None = Field(default=None, description=TRIED)


class RefundForm(_Form):
    """A refund of a captured transaction, whole or in part."""

    transaction_id: str = Field(min_length=1, max_length=20, description="The transaction that brought the money in.")
    amount: Decimal = Field(gt=0, decimal_places=2, description="What to give back, exact to the cent.")
    number: int | None = Field(default=None, ge=1, description="Which refund of this very amount is meant: 1, 2, …")
    tried_at: datetime | None = Field(default=None, description=TRIED)


class KeepForm(_Form):
    """A customer for the vault."""

    vault_id: str = Field(min_length=1, max_length=36, description="The id to keep it under.")
    token: str = Field(min_length=1, repr=False, description="A one-time token of the gateway's form: the card.")
    person: dict[str, str] = Field(default_factory=dict, description="FirstName, Email, Line1, City and so on.")


class FindForm(_Form):
    """A question about an order."""

    order_id: str = Field(min_length=1, max_length=64, description="The order or invoice.")
    total: Decimal | None = Field(default=None, ge=0, description="What it is over, for its payment status.")


class TransactionResult(BaseModel):
    """How the transaction stands."""

    transaction_id: str = Field(description="The gateway's id: the reference number for audits.")
    order_id: str = Field(description="The order or invoice it pays.")
    type: str | None = Field(description="Sale, Authorization, Refund, Credit or Validation.")
    status: str = Field(description="In the words of the Business API's Payment.")
    amount: Decimal = Field(description="What it is about.")
    currency: str = Field(description="ISO 4217; empty where the gateway does not tell.")
    original_id: str = Field(description="The transaction that a refund belongs to.")
    method: str = Field(description="Card, ACH or Other.")
    vault_id: str = Field(description="The vault customer, if it was charged by one.")
    auth_code: str = Field(description="The issuer's approval.")
    response_code: int = Field(description="The gateway's code; 100 is approved.")
    response_text: str = Field(description="The gateway's words.")
    batch_id: str = Field(description="The settlement batch it went into.")
    settled_on: date | None = Field(description="The day it was settled, UTC.")
    made_at: datetime | None = Field(description="When it began, where the gateway told.")
    last4: str = Field(description="The last four digits of card or account.")
    test: bool = Field(description="Whether it is a test: no money moved.")


class CustomerResult(BaseModel):
    """What is known of a vault customer."""

    vault_id: str = Field(description="The id it is kept under.")
    brand: str = Field(description="The brand of the card, as the gateway writes it.")
    last4: str = Field(description="The last four digits of card or account.")
    expires: str = Field(description="Month and year, MMYY.")


class StandingResult(BaseModel):
    """How an order stands over all its transactions."""

    authorized: Decimal = Field(description="Reserved and not captured.")
    captured: Decimal = Field(description="Captured, settled or not.")
    settled: Decimal = Field(description="Captured and settled.")
    refunded: Decimal = Field(description="Given back.")
    declined: int = Field(description="How many tries were declined.")
    unknown: int = Field(description="How many transactions the gateway itself is unsure of.")
    payment_status: str = Field(description="The PaymentStatus of a sales order over the total; empty without one.")
    transactions: list[TransactionResult] = Field(description="All of them, oldest first.")


def _operation(
    name: str, label: str, summary: str, form: type[BaseModel], result: type[BaseModel] = TransactionResult, **more: Any
) -> Operation:
    return Operation(name=name, label=label, summary=summary, input=form, result=result, **more)


OPERATIONS: tuple[Operation, ...] = (
    _operation("sale", "Charge", "Charge a vault customer or a token at once.", ChargeForm,
               lease={"order_id": "order"}, money=True),
    _operation("authorise", "Authorise", "Reserve an amount to capture it later.", ChargeForm,
               lease={"order_id": "order"}, money=True),
    _operation("capture", "Capture", "Take what was authorised, whole or in part.", CaptureForm,
               lease={"transaction_id": "transaction"}, money=True),
    _operation("void", "Void", "Undo a transaction that is not settled yet.", VoidForm,
               lease={"transaction_id": "transaction"}, money=True),
    _operation("refund", "Refund", "Give money of a captured transaction back.", RefundForm,
               lease={"transaction_id": "transaction"}, money=True),
    _operation("credit", "Pay out", "Pay money out to a vault customer without an earlier charge.", ChargeForm,
               lease={"order_id": "order"}, money=True),
    _operation("keep_customer", "Keep customer", "Put the card behind a token into the vault.", KeepForm,
               CustomerResult, lease={"vault_id": "vault_customer"}),
    _operation("find", "Find payments", "How an order stands at the gateway; only reads.", FindForm, StandingResult),
)  # fmt: skip

_KINDS = {"sale": PaymentType.SALE, "authorise": PaymentType.AUTHORIZATION, "credit": PaymentType.CREDIT}


class Operator:
    """Performs and verifies Acts; the Gateway looks before it sends, so a repeated Act is found done."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._known = {operation.name: operation for operation in OPERATIONS}

    async def perform(self, operation: str, acts: Sequence[Act]) -> list[Performed]:
        """One outcome per Act, in order."""
        known = self._operation(operation)
        return list(await asyncio.gather(*(self._act(known, act) for act in acts)))

    async def verify(self, operation: str, acts: Sequence[Act]) -> list[Verdict]:
        """Whether each Act is done, in order; reads only."""
        known = self._operation(operation)
        return list(await asyncio.gather(*(self._verify(known, act) for act in acts)))

    def _operation(self, name: str) -> Operation:
        if name not in self._known:
            raise Misconfigured(
                f"looking for the operation {name!r} of the gateway: there is none",
                hint=f"There are {', '.join(self._known)}.",
            )
        return self._known[name]

    async def _act(self, operation: Operation, act: Act) -> Performed:
        try:
            form = operation.parse(act.input)
            result, repeated = await self._work(operation.name, act, form)
        except OutcomeUnknown as error:
            error.record = error.record or mask(act.key)
            return Unsure(error=error)
        except IsthmusError as error:
            error.record = error.record or mask(act.key)
            return Failed(error=error)
        return Done(result=result, repeated=repeated)

    async def _work(self, name: str, act: Act, form: Any) -> tuple[Mapping[str, Any], bool]:
        gateway = self._gateway
        if name == "find":
            return await self._standing(form), False
        if name == "keep_customer":
            kept = await gateway.keep_customer(form.vault_id, form.token, person=form.person)
            return _customer(kept), kept.repeated
        if name == "capture":
            details = Details(tracking_number=form.tracking_number, carrier=form.carrier)
            made = await gateway.capture(form.transaction_id, form.amount, details=details, tried_at=form.tried_at)
        elif name == "void":
            made = await gateway.void(form.transaction_id, tried_at=form.tried_at)
        elif name == "refund":
            made = await gateway.refund(
                form.transaction_id, form.amount, key=act.key, number=form.number, tried_at=form.tried_at
            )
        else:
            made = await gateway.charger.charge(self._charge(_KINDS[name], act, form))
        return _result(made), made.repeated

    async def _verify(self, operation: Operation, act: Act) -> Verdict:
        try:
            form = operation.parse(act.input)
            return await self._look(operation.name, act, form)
        except RefusedByTarget as error:
            return NotDone(blocked=error)
        except IsthmusError as error:
            error.record = error.record or mask(act.key)
            return Undecided(error=error)

    async def _look(self, name: str, act: Act, form: Any) -> Verdict:
        follower = self._gateway.follower
        looks: dict[str, Callable[[], Awaitable[Transaction | None]]] = {
            "capture": lambda: follower.captured(form.transaction_id, form.amount),
            "void": lambda: follower.voided(form.transaction_id),
            "refund": lambda: self._refunded(act, form),
        }
        if name == "find":
            return Done(result=await self._standing(form))
        if name == "keep_customer":
            kept = await self._gateway.customer(form.vault_id)
            return NotDone() if kept is None else Done(result=_customer(kept), repeated=True)
        if name in looks:
            found = await looks[name]()
        else:
            found = await self._gateway.charger.made(self._charge(_KINDS[name], act, form))
        return NotDone() if found is None else Done(result=_result(found), repeated=True)

    async def _refunded(self, act: Act, form: Any) -> Transaction | None:
        doing = f"looking for the refund {mask(act.key)} of transaction {mask(form.transaction_id)}"
        original = await self._gateway.follower.one(form.transaction_id, doing)
        return await self._gateway.follower.refunded(original, form.amount, act.key, form.number)

    def _charge(self, kind: PaymentType, act: Act, form: Any) -> Any:
        details = Details(description=form.description, po_number=form.po_number, tax=form.tax, shipping=form.shipping)
        order = form.order_id or act.key
        return self._gateway.charge(
            kind, order, form.amount, form.currency, form.vault_id, form.token, details, form.tried_at
        )

    async def _standing(self, form: Any) -> dict[str, Any]:
        found = await self._gateway.find(form.order_id)
        stands = standing(found)
        return {
            "authorized": stands.authorized,
            "captured": stands.captured,
            "settled": stands.settled,
            "refunded": stands.refunded,
            "declined": stands.declined,
            "unknown": stands.unknown,
            "payment_status": "" if form.total is None else stands.status(form.total),
            "transactions": [_result(t) for t in found],
        }


def _result(found: Transaction) -> dict[str, Any]:
    return {
        "transaction_id": found.id,
        "order_id": found.order_id,
        "type": found.type.value if found.type else None,
        "status": found.status.value,
        "amount": found.amount,
        "currency": found.currency,
        "original_id": found.original_id,
        "method": found.method,
        "vault_id": found.vault_id,
        "auth_code": found.auth_code,
        "response_code": found.code,
        "response_text": found.text,
        "batch_id": found.batch_id,
        "settled_on": found.settled_on,
        "made_at": found.created_at,
        "last4": found.last4,
        "test": found.test,
    }


def _customer(kept: VaultCustomer) -> dict[str, Any]:
    return {"vault_id": kept.id, "brand": kept.brand, "last4": kept.last4, "expires": kept.expires}
