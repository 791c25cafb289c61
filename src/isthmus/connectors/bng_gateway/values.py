"""What the gateway holds, as typed values: transactions with their actions, vault customers, settlement batches."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from isthmus.connectors.bng_gateway.words import DEAD, LIVE, PaymentType, Status

Method = Literal["Card", "ACH", "Other"]
ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that happened to a transaction; `at` is the gateway's clock to the second, UTC."""

    type: str
    amount: Decimal
    success: bool
    at: datetime | None = None
    code: int = 0
    text: str = ""
    batch_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One transaction as the gateway tells it.

    `amount` is what it is about now: what was captured once something was, else what was asked for. `original_id` is
    the transaction that a refund belongs to, where the gateway tells. `repeated`: it was found made already when it
    was asked for. `partial`: it comes from the answer to a request, which tells less than a query.
    """

    id: str
    type: PaymentType | None
    status: Status
    amount: Decimal
    currency: str = ""
    order_id: str = ""
    original_id: str = ""
    method: Method = "Card"
    vault_id: str = ""
    auth_code: str = ""
    code: int = 0
    text: str = ""
    brand: str = ""
    last4: str = ""
    po_number: str = ""
    description: str = ""
    tracking_number: str = ""
    carrier: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    email: str = ""
    references: Mapping[int, str] = field(default_factory=dict)
    actions: Sequence[Action] = ()
    test: bool = False
    repeated: bool = False
    partial: bool = False

    @property
    def live(self) -> bool:
        """Whether it took place and stands."""
        return self.status in LIVE

    @property
    def dead(self) -> bool:
        """Whether it was tried and surely did not take place."""
        return self.status in DEAD

    @property
    def money_in(self) -> bool:
        """Whether it brings money in: captured, on its way or settled."""
        inward = self.type in (PaymentType.SALE, PaymentType.AUTHORIZATION)
        return inward and self.status in (Status.CAPTURED, Status.PENDING_SETTLEMENT, Status.SETTLED)

    @property
    def authorized(self) -> Decimal:
        """What was reserved or asked for when it began."""
        first = next((a.amount for a in self.actions if a.success and a.type in ("auth", "sale")), None)
        return self.amount if first is None else first

    @property
    def captured(self) -> Decimal:
        """What was captured; zero while it is only authorised."""
        return self.amount if self.money_in else ZERO

    @property
    def created_at(self) -> datetime | None:
        """When it began."""
        return min((a.at for a in self.actions if a.at), default=None)

    @property
    def changed_at(self) -> datetime | None:
        """When something last happened to it."""
        return max((a.at for a in self.actions if a.at), default=None)

    @property
    def batch_id(self) -> str:
        """The settlement batch it went into, if it has."""
        return next((a.batch_id for a in reversed(self.actions) if a.type == "settle" and a.success), "")

    @property
    def settled_on(self) -> date | None:
        """The day it was settled, UTC."""
        return next((a.at.date() for a in reversed(self.actions) if a.type == "settle" and a.success and a.at), None)

    @property
    def version(self) -> str:
        """A short name of its state: any change gives another one."""
        return _digest(
            (
                self.status,
                self.amount,
                self.description,
                self.po_number,
                self.tracking_number,
                self.carrier,
                [(a.type, a.amount, a.success, a.at) for a in self.actions],
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultCustomer:
    """A customer in the gateway's vault: who it is and what of the card may be shown, never the card."""

    id: str
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    email: str = ""
    phone: str = ""
    address: Mapping[str, str] = field(default_factory=dict)
    brand: str = ""
    last4: str = ""
    expires: str = ""
    method: Method = "Card"
    created_at: datetime | None = None
    changed_at: datetime | None = None
    repeated: bool = False

    @property
    def version(self) -> str:
        """A short name of its state: any change gives another one."""
        parts = (self.first_name, self.last_name, self.company, self.email, self.phone, sorted(self.address.items()))
        return _digest((*parts, self.last4, self.expires, self.brand))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A settlement batch, put together from the transactions in it. Refunds and credits count against it.

    One entry is the transaction, and what of it was settled in this batch.
    """

    id: str
    at: datetime | None
    entries: Sequence[tuple[Transaction, Decimal]]

    @property
    def incoming(self) -> Decimal:
        """What came in."""
        return sum((amount for t, amount in self.entries if not outward(t)), ZERO)

    @property
    def outgoing(self) -> Decimal:
        """What went back or out."""
        return sum((amount for t, amount in self.entries if outward(t)), ZERO)

    @property
    def net(self) -> Decimal:
        """What the bank should show, before fees: the gateway does not know those."""
        return self.incoming - self.outgoing

    @property
    def currency(self) -> str:
        """The currency, when there is one only."""
        found = {t.currency for t, _ in self.entries if t.currency}
        return found.pop() if len(found) == 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an order stands over all its transactions; amounts are what took place and was not voided."""

    authorized: Decimal
    captured: Decimal
    settled: Decimal
    refunded: Decimal
    declined: int
    unknown: int

    @property
    def paid(self) -> Decimal:
        """What was captured and not given back."""
        return self.captured - self.refunded

    def status(self, total: Decimal) -> str:
        """The PaymentStatus of a sales order over `total`, in the words of the Business API."""
        if self.captured > 0 and self.refunded >= self.captured:
            return "Refunded"
        if self.paid > 0:
            return "Paid" if self.paid >= total else "Partial"
        if self.authorized > 0:
            return "Authorized"
        return "Failed" if self.declined else "Unpaid"


def outward(transaction: Transaction) -> bool:
    """Whether money leaves the merchant by it."""
    return transaction.type in (PaymentType.REFUND, PaymentType.CREDIT)


def standing(transactions: Sequence[Transaction]) -> Standing:
    """How the order of these transactions stands: what `find` gave for its order id."""
    taken = [t for t in transactions if t.money_in]
    back = [t for t in transactions if t.type is PaymentType.REFUND and t.live]
    held = [t for t in transactions if t.status is Status.AUTHORIZED and t.type is PaymentType.AUTHORIZATION]
    return Standing(
        authorized=sum((t.amount for t in held), ZERO),
        captured=sum((t.captured for t in taken), ZERO),
        settled=sum((t.captured for t in taken if t.status is Status.SETTLED), ZERO),
        refunded=sum((t.amount for t in back), ZERO),
        declined=sum(1 for t in transactions if t.dead),
        unknown=sum(1 for t in transactions if t.status is Status.UNKNOWN),
    )


def refund_status(transaction: Transaction, refunds: Sequence[Transaction]) -> Status:
    """The status of a captured transaction once its refunds are known."""
    back = sum((t.amount for t in refunds if t.live and belongs(t, transaction)), ZERO)
    if back == 0 or not transaction.money_in:
        return transaction.status
    return Status.REFUNDED if back >= transaction.captured else Status.PARTIALLY_REFUNDED


def belongs(refund: Transaction, original: Transaction) -> bool:
    """Whether a refund is one of `original`: by its id where the gateway tells, else by the order."""
    if refund.type is not PaymentType.REFUND or refund.id == original.id:
        return False
    if refund.original_id:
        return refund.original_id == original.id
    return bool(original.order_id) and refund.order_id == original.order_id


def _digest(parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=10).hexdigest()
