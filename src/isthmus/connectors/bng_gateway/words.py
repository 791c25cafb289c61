"""The gateway's words and ours: what a transaction is, how it stands, what its codes mean."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum

from isthmus.sdk import InvalidRecord


class PaymentType(StrEnum):
    """What a transaction is, in the words of the Business API."""

    SALE = "Sale"  # authorised and captured at once
    AUTHORIZATION = "Authorization"  # money is reserved, perhaps captured since
    REFUND = "Refund"  # money of an earlier transaction goes back
    CREDIT = "Credit"  # money goes out without an earlier transaction
    VALIDATION = "Validation"  # the card was checked, no money moves


class Status(StrEnum):
    """How a transaction stands, in the words of the Business API."""

    PENDING = "Pending"
    AUTHORIZED = "Authorized"
    CAPTURED = "Captured"
    PENDING_SETTLEMENT = "PendingSettlement"
    SETTLED = "Settled"
    DECLINED = "Declined"
    FAILED = "Failed"
    VOIDED = "Voided"
    REFUNDED = "Refunded"
    PARTIALLY_REFUNDED = "PartiallyRefunded"
    CHARGED_BACK = "ChargedBack"
    UNKNOWN = "Unknown"


TYPE_OF_ACTION = {
    "sale": PaymentType.SALE,
    "auth": PaymentType.AUTHORIZATION,
    "offline": PaymentType.SALE,
    "refund": PaymentType.REFUND,
    "credit": PaymentType.CREDIT,
    "validate": PaymentType.VALIDATION,
}
"""The action that began a transaction says what it is."""

ACTION_OF_TYPE = {
    PaymentType.SALE: "sale",
    PaymentType.AUTHORIZATION: "auth",
    PaymentType.REFUND: "refund",
    PaymentType.CREDIT: "credit",
    PaymentType.VALIDATION: "validate",
}

LIVE = frozenset(
    {Status.PENDING, Status.AUTHORIZED, Status.CAPTURED, Status.PENDING_SETTLEMENT, Status.SETTLED, Status.CHARGED_BACK}
)
"""The transaction took place and stands."""

DEAD = frozenset({Status.DECLINED, Status.FAILED})
"""The transaction was tried and did not take place."""

APPROVED = 100
RATE_LIMITED = 301
DUPLICATE_AT_PROCESSOR = 430
UNCERTAIN = frozenset({420, 421, 440, 441, 460, 461})
"""The gateway and the processor did not understand each other: what the processor did is not told by the code."""

NOT_SET_UP = frozenset({410, 411})
"""The merchant account is not configured or not active at the processor."""

DECLINE_HINTS = {
    202: "There is not enough money on the account: agree on another way to pay or on another day.",
    203: "The card's limit is reached: agree on another way to pay or on another day.",
    220: "The payment details are wrong: let the customer enter them again.",
    223: "The card has expired: let the customer enter another one.",
    224: "The expiration date is wrong: let the customer enter the card again.",
    225: "The security code is wrong: let the customer enter the card again.",
    240: "The issuer wants to be called: let the customer call the bank.",
    250: "The issuer wants the card kept: do not charge it again.",
    251: "The card was reported as lost: do not charge it again.",
    252: "The card was reported as stolen: do not charge it again.",
    253: "The card is suspected of fraud: do not charge it again.",
}
"""The next thing to do after a decline, by response code."""

USUAL_DECLINE_HINT = "Ask the customer for another way to pay, then charge that one."


MOST = Decimal(10) ** 9
"""No payment is that large; a card number is."""


def status_of(condition: str, kind: PaymentType | None, code: int, *, check: bool = False) -> Status:
    """How a transaction of this condition stands; `code` is the response code of the action that began it."""
    match condition:
        case "pending":
            return Status.AUTHORIZED if kind is PaymentType.AUTHORIZATION and not check else Status.PENDING
        case "pendingsettlement":
            return Status.PENDING_SETTLEMENT
        case "complete":
            # A validation is complete at once and moves nothing.
            return Status.AUTHORIZED if kind is PaymentType.VALIDATION else Status.SETTLED
        case "failed":
            return Status.DECLINED if 200 <= code < 300 else Status.FAILED
        case "canceled":
            return Status.VOIDED
        case "abandoned":
            return Status.FAILED
        case "in_progress":
            return Status.PENDING
        case _:
            return Status.UNKNOWN


def money(value: Decimal | str | int, doing: str, *, record: str | None = None) -> str:
    """An amount as the gateway wants it, `x.xx`; InvalidRecord unless it is positive and exact to the cent."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0:
        raise InvalidRecord(f"{doing}: the amount must be more than zero", record=record, facts={"field": "amount"})
    if amount >= MOST:
        raise InvalidRecord(f"{doing}: the amount is beyond {MOST:,f}", record=record, facts={"field": "amount"})
    if amount != amount.quantize(Decimal("0.01")):
        raise InvalidRecord(
            f"{doing}: the amount {amount} has more than two places",
            record=record,
            hint="Round it where it is calculated; nothing is rounded here.",
            facts={"field": "amount"},
        )
    return format(amount.quantize(Decimal("0.01")), "f")
