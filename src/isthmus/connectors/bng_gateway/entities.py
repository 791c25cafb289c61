"""The gateway's Entities described once, and its values as Records under those names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from isthmus.connectors.bng_gateway.values import Settlement, Transaction, VaultCustomer, outward
from isthmus.connectors.bng_gateway.words import PaymentType, Status
from isthmus.sdk import EntitySchema, Field, FieldType, Record, SchemaDrift

TRANSACTION = "transaction"
CUSTOMER = "vault_customer"
SETTLEMENT = "settlement_batch"
CHARGEBACK = "chargeback_batch"

EXTERNAL_KEY = "@external_key"
"""The path under which a Record tells the key that we minted."""


def _field(name: str, kind: FieldType, help: str, **more: Any) -> Field:
    return Field(name=name, type=kind, label=name, help=help, **more)


def _told(name: str, kind: FieldType, help: str, **more: Any) -> Field:
    return _field(name, kind, help, readonly=True, **more)


def _words(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple((value, value) for value in values)


def _schema(name: str, label: str, fields: Sequence[Field], **can: Any) -> EntitySchema:
    return EntitySchema(name=name, label=label, fields={f.name: f for f in fields}, **can)


_TEXT, _MONEY, _WHEN = FieldType.STRING, FieldType.DECIMAL, FieldType.DATETIME

SCHEMAS: Mapping[str, EntitySchema] = {
    TRANSACTION: _schema(
        TRANSACTION,
        "Transaction",
        [
            _told("TransactionID", _TEXT, "The gateway's id: the reference number for audits."),
            _told("OrderID", _TEXT, "The order or invoice it pays; the external key of what is created here."),
            _field("PaymentType", FieldType.ENUM, "What it is; captures and voids change a transaction's Status.",
                   required=True, choices=_words(*(t.value for t in PaymentType))),
            _field("Status", FieldType.ENUM, "How it stands. Set to Captured to capture, to Voided to void.",
                   choices=_words(*(s.value for s in Status))),
            _field("Amount", _MONEY, "What it is about, exact to the cent.", required=True, scale=2),
            _field("CurrencyCode", _TEXT, "ISO 4217; the connection's own where none is given.", max_length=3),
            _told("PaymentDate", _WHEN, "When it began."),
            _told("SettledDate", FieldType.DATE, "The day it was settled, UTC."),
            _told("PaymentMethod", FieldType.ENUM, "How it is paid.", choices=_words("Card", "ACH", "Other")),
            _field("VaultID", _TEXT, "The vault customer that is charged.", max_length=36),
            _field("PaymentToken", _TEXT, "A one-time token of the gateway's form, in place of a vault customer. "
                   "It is sent and never told again."),
            _field("OriginalTransactionID", _TEXT, "The transaction that a refund gives money back of."),
            _told("AuthCode", _TEXT, "The issuer's approval."),
            _told("ResponseCode", FieldType.INTEGER, "The gateway's code; 100 is approved."),
            _told("ResponseText", _TEXT, "The gateway's words."),
            _told("BatchID", _TEXT, "The settlement batch it went into."),
            _told("CardBrand", _TEXT, "The brand of the card, as the gateway writes it."),
            _told("Last4", _TEXT, "The last four digits of card or account.", max_length=4),
            _field("Description", _TEXT, "What is paid, for people.", max_length=255),
            _field("PONumber", _TEXT, "The customer's purchase order.", max_length=255),
            _field("TrackingNumber", _TEXT, "Of the shipment that is paid.", max_length=255),
            _field("Carrier", _TEXT, "Who ships it, as the gateway writes it.", max_length=40),
        ],
        can_create=True,
        can_update=True,
        can_delete=False,
    ),
    CUSTOMER: _schema(
        CUSTOMER,
        "Vault customer",
        [
            _told("VaultID", _TEXT, "The id in the vault; the external key of what is created here.", max_length=36),
            _field("PaymentToken", _TEXT, "A one-time token of the gateway's form: the card. Sent, never told again."),
            _field("FirstName", _TEXT, "Of the card holder.", max_length=50),
            _field("LastName", _TEXT, "Of the card holder.", max_length=50),
            _field("CompanyName", _TEXT, "Of the card holder's company.", max_length=50),
            _field("Email", _TEXT, "For receipts.", max_length=254),
            _field("Phone", _TEXT, "Of the card holder.", max_length=32),
            _field("BillingAddress", FieldType.ADDRESS, "Line1, Line2, City, State, PostalCode, CountryCode."),
            _told("CardBrand", _TEXT, "The brand of the card, as the gateway writes it."),
            _told("Last4", _TEXT, "The last four digits of card or account.", max_length=4),
            _told("Expires", _TEXT, "Month and year, MMYY.", max_length=4),
            _told("PaymentMethod", FieldType.ENUM, "How it pays.", choices=_words("Card", "ACH", "Other")),
        ],
        can_create=True,
        can_update=True,
        can_delete=True,
    ),
    SETTLEMENT: _schema(
        SETTLEMENT,
        "Settlement batch",
        [
            _told("BatchID", _TEXT, "The gateway's id of the batch."),
            _told("SettledDate", _WHEN, "When its last transaction was settled."),
            _told("CurrencyCode", _TEXT, "When there is one only.", max_length=3),
            _told("IncomingAmount", _MONEY, "What came in by it.", scale=2),
            _told("OutgoingAmount", _MONEY, "Refunds and credits.", scale=2),
            _told("NetAmount", _MONEY, "What the bank should show, before fees.", scale=2),
            _told("Transactions", FieldType.LIST, "TransactionID, OrderID, PaymentType and Amount of each."),
        ],
        can_create=False,
        can_update=False,
        can_delete=False,
    ),
    CHARGEBACK: _schema(
        CHARGEBACK,
        "Chargeback batch",
        [
            _told("BatchID", _TEXT, "The event that told of it: the gateway has no list of chargebacks."),
            _told("Amount", _MONEY, "The sum of its chargebacks.", scale=2),
            _told("Chargebacks", FieldType.LIST, "TransactionID, Amount, Date and Reason of each."),
        ],
        can_create=False,
        can_update=False,
        can_delete=False,
    ),
}  # fmt: skip

_TRANSACTION: Mapping[str, Callable[[Transaction], Any]] = {
    "TransactionID": lambda t: t.id,
    "OrderID": lambda t: t.order_id,
    "PaymentType": lambda t: t.type.value if t.type else None,
    "Status": lambda t: t.status.value,
    "Amount": lambda t: t.amount,
    "CurrencyCode": lambda t: t.currency or None,
    "PaymentDate": lambda t: t.created_at,
    "SettledDate": lambda t: t.settled_on,
    "PaymentMethod": lambda t: t.method,
    "VaultID": lambda t: t.vault_id or None,
    "PaymentToken": lambda t: None,
    "OriginalTransactionID": lambda t: t.original_id or None,
    "AuthCode": lambda t: t.auth_code or None,
    "ResponseCode": lambda t: t.code,
    "ResponseText": lambda t: t.text or None,
    "BatchID": lambda t: t.batch_id or None,
    "CardBrand": lambda t: t.brand or None,
    "Last4": lambda t: t.last4 or None,
    "Description": lambda t: t.description or None,
    "PONumber": lambda t: t.po_number or None,
    "TrackingNumber": lambda t: t.tracking_number or None,
    "Carrier": lambda t: t.carrier or None,
    EXTERNAL_KEY: lambda t: t.order_id,
}

_CUSTOMER: Mapping[str, Callable[[VaultCustomer], Any]] = {
    "VaultID": lambda c: c.id,
    "PaymentToken": lambda c: None,
    "FirstName": lambda c: c.first_name or None,
    "LastName": lambda c: c.last_name or None,
    "CompanyName": lambda c: c.company or None,
    "Email": lambda c: c.email or None,
    "Phone": lambda c: c.phone or None,
    "BillingAddress": lambda c: dict(c.address) or None,
    "CardBrand": lambda c: c.brand or None,
    "Last4": lambda c: c.last4 or None,
    "Expires": lambda c: c.expires or None,
    "PaymentMethod": lambda c: c.method,
    EXTERNAL_KEY: lambda c: c.id,
}

_SETTLEMENT: Mapping[str, Callable[[Settlement], Any]] = {
    "BatchID": lambda b: b.id,
    "SettledDate": lambda b: b.at,
    "CurrencyCode": lambda b: b.currency or None,
    "IncomingAmount": lambda b: b.incoming,
    "OutgoingAmount": lambda b: b.outgoing,
    "NetAmount": lambda b: b.net,
    "Transactions": lambda b: [_entry(t, amount) for t, amount in b.entries],
    EXTERNAL_KEY: lambda b: None,
}


def transaction_record(found: Transaction, paths: Sequence[str]) -> Record:
    """A transaction as a Record with exactly these paths."""
    return Record(
        key=found.id,
        values=_values(TRANSACTION, _TRANSACTION, found, paths),
        version=found.version,
        changed_at=found.changed_at,
        created_at=found.created_at,
        active=not found.dead,
        external_key=found.order_id or None,
    )


def customer_record(found: VaultCustomer, paths: Sequence[str]) -> Record:
    """A vault customer as a Record with exactly these paths."""
    return Record(
        key=found.id,
        values=_values(CUSTOMER, _CUSTOMER, found, paths),
        version=found.version,
        changed_at=found.changed_at,
        created_at=found.created_at,
        external_key=found.id,
    )


def settlement_record(found: Settlement, paths: Sequence[str]) -> Record:
    """A settlement batch as a Record with exactly these paths."""
    values = _values(SETTLEMENT, _SETTLEMENT, found, paths)
    return Record(key=found.id, values=values, changed_at=found.at, created_at=found.at)


def check_paths(entity: str, paths: Sequence[str]) -> None:
    """SchemaDrift for an Entity or a path that there is not."""
    known = SCHEMAS.get(entity)
    if known is None:
        raise SchemaDrift(
            f"reading {entity} from the gateway: there is no such entity", hint=f"There are {', '.join(SCHEMAS)}."
        )
    missing = [path for path in paths if path.partition(".")[0] not in known.fields and path != EXTERNAL_KEY]
    if missing:
        raise SchemaDrift(
            f"reading {entity} from the gateway: there is no field {', '.join(missing)}",
            hint=f"Its fields are {', '.join(known.fields)}.",
        )


def _values(entity: str, known: Mapping[str, Callable[[Any], Any]], found: Any, paths: Sequence[str]) -> dict[str, Any]:
    check_paths(entity, paths)
    out: dict[str, Any] = {}
    for path in paths:
        name, _, inner = path.partition(".")
        value = known[name](found)
        out[path] = (value or {}).get(inner) if inner else value
    return out


def _entry(found: Transaction, amount: Decimal) -> dict[str, Any]:
    return {
        "TransactionID": found.id,
        "OrderID": found.order_id,
        "PaymentType": found.type.value if found.type else None,
        "Amount": -amount if outward(found) else amount,
    }
