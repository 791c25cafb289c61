"""Reads the gateway's two kinds of answers: `name=value` lines of the payment API, XML of the query API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qsl
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from isthmus.connectors.bng_gateway.values import ZERO, Action, Method, Transaction, VaultCustomer
from isthmus.connectors.bng_gateway.words import DUPLICATE_AT_PROCESSOR, TYPE_OF_ACTION, status_of
from isthmus.model.card import mask

MOMENT = "%Y%m%d%H%M%S"
"""How the gateway writes moments, always UTC."""

_LOGIN_REFUSED = re.compile(
    r"authentication failed|invalid (security|api) key|api key not found|invalid username|invalid credentials"
    r"|not (allowed|permitted) to|insufficient permission",
    re.IGNORECASE,
)
_DUPLICATE = re.compile(r"\bduplicate transaction\b", re.IGNORECASE)
_NO_VAULT = re.compile(r"(customer vault|customer_vault_id|vault record).*\b(not found|invalid|does not exist)", re.I)
_BAD_VAULT = re.compile(r"\binvalid customer vault\b", re.IGNORECASE)
_NEVER = datetime.max.replace(tzinfo=UTC)
_ADDRESS = {
    "address_1": "Line1",
    "address_2": "Line2",
    "city": "City",
    "state": "State",
    "postal_code": "PostalCode",
    "country": "CountryCode",
}


class Unreadable(ValueError):
    """A body that is no answer of the gateway; `html`: it is a web page."""

    def __init__(self, why: str, *, html: bool = False) -> None:
        super().__init__(why)
        self.html = html


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the payment API; every text is free of card numbers."""

    response: int
    code: int
    text: str
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def approved(self) -> bool:
        """Whether it took place."""
        return self.response == 1

    @property
    def declined(self) -> bool:
        """Whether the issuer refused it."""
        return self.response == 2

    @property
    def duplicate(self) -> bool:
        """Whether it was refused because an equal charge was made just before."""
        return self.response == 3 and (self.code == DUPLICATE_AT_PROCESSOR or bool(_DUPLICATE.search(self.text)))

    @property
    def login_refused(self) -> bool:
        """Whether the security key is not accepted, or may not do this."""
        return self.response == 3 and login_refused(self.text)

    @property
    def no_such_customer(self) -> bool:
        """Whether the vault has no such customer."""
        return self.response == 3 and bool(_NO_VAULT.search(self.text) or _BAD_VAULT.search(self.text))

    def get(self, name: str) -> str:
        """A value of the answer; empty when it has none."""
        return self.values.get(name, "")


def login_refused(text: str) -> bool:
    """Whether the gateway's words say that the security key is not accepted."""
    return bool(_LOGIN_REFUSED.search(text))


def read_reply(body: bytes) -> Reply:
    """An answer of the payment API; Unreadable when it does not say what became of the request."""
    text = body.decode("utf-8", "replace").strip()
    if text[:200].lower().lstrip().startswith(("<!doctype html", "<html")):
        raise Unreadable("a web page", html=True)
    values = {name: mask(value) for name, value in parse_qsl(text, keep_blank_values=True)}
    response = values.get("response", "")
    if response not in ("1", "2", "3") or "response_code" not in values:
        raise Unreadable("no result")
    return Reply(int(response), _number(values["response_code"]), values.get("responsetext", "").strip(), values)


def read_query(body: bytes) -> Element:
    """The root of an answer of the query API; Unreadable when it is none, or was cut."""
    text = body[:500].decode("utf-8", "replace").lstrip("\ufeff \r\n\t").lower()
    if text.startswith(("<!doctype", "<html")):
        raise Unreadable("a web page", html=True)
    if b"\x00" in body:  # UTF-16 and the like would hide definitions from the next look
        raise Unreadable("no text as the gateway writes it")
    if b"<!doctype" in body.lower() or b"<!entity" in body.lower():
        raise Unreadable("a document with definitions of its own, which the gateway never sends")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - documents with entities were refused just above
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise Unreadable(f"no XML: {mask(str(error))}") from None
    if root.tag != "nm_response":
        raise Unreadable(f"a document of another kind, {mask(root.tag)[:40]}")
    return root


def refusal_in(root: Element) -> str:
    """The gateway's words when it refused a query; empty otherwise."""
    return _text(root, "error_response")


def transactions_in(root: Element) -> Iterator[Transaction]:
    """The transactions of an answer, in its order."""
    return (_transaction(found) for found in root.iter("transaction"))


def customers_in(root: Element) -> Iterator[VaultCustomer]:
    """The vault customers of an answer, in its order."""
    return (_customer(found) for found in root.iter("customer"))


def moment(text: str) -> datetime | None:
    """A moment as the gateway writes it, or None."""
    try:
        return datetime.strptime(text.strip()[:14], MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _transaction(found: Element) -> Transaction:
    actions = tuple(sorted((_action(a) for a in found.iter("action")), key=lambda a: a.at or _NEVER))
    first = next((a for a in actions if a.type in TYPE_OF_ACTION), None)
    kind = TYPE_OF_ACTION[first.type] if first else None
    check = _text(found, "transaction_type") == "ck"
    moved = [a for a in actions if a.success and a.type in ("capture", "sale", "refund", "credit", "auth")]
    amount = moved[-1].amount if moved else (first.amount if first else ZERO)
    return Transaction(
        id=_text(found, "transaction_id"),
        type=kind,
        status=status_of(_text(found, "condition"), kind, first.code if first else 0, check=check),
        amount=amount,
        currency=_text(found, "currency").upper(),
        order_id=_text(found, "order_id"),
        original_id=_text(found, "original_transaction_id"),
        method=_method(_text(found, "transaction_type")),
        vault_id=_text(found, "customer_vault_id"),
        auth_code=_text(found, "authorization_code"),
        code=first.code if first else 0,
        text=first.text if first else "",
        brand=_text(found, "cc_type"),
        last4=_last4(_text(found, "cc_number") or _text(found, "check_account")),
        po_number=_text(found, "ponumber"),
        description=_text(found, "order_description"),
        tracking_number=_text(found, "tracking_number"),
        carrier=_text(found, "shipping_carrier"),
        first_name=_text(found, "first_name"),
        last_name=_text(found, "last_name"),
        company=_text(found, "company"),
        email=_text(found, "email"),
        references={_number(m.get("id", "")): mask(m.text or "") for m in found.iter("merchant_defined_field")},
        actions=actions,
    )


def _action(found: Element) -> Action:
    return Action(
        type=_text(found, "action_type"),
        amount=_amount(_text(found, "amount")),
        success=_text(found, "success") == "1",
        at=moment(_text(found, "date")),
        code=_number(_text(found, "response_code")),
        text=_text(found, "response_text"),
        batch_id=_batch(_text(found, "batch_id")),
    )


def _customer(found: Element) -> VaultCustomer:
    return VaultCustomer(
        id=mask(found.get("id", "")) or _text(found, "customer_vault_id"),
        first_name=_text(found, "first_name"),
        last_name=_text(found, "last_name"),
        company=_text(found, "company"),
        email=_text(found, "email"),
        phone=_text(found, "phone"),
        address={ours: value for theirs, ours in _ADDRESS.items() if (value := _text(found, theirs))},
        brand=_text(found, "cc_type"),
        last4=_last4(_text(found, "cc_number") or _text(found, "check_account")),
        expires=_text(found, "cc_exp"),
        method="ACH" if _text(found, "check_account") else "Card",
        created_at=moment(_text(found, "created")),
        changed_at=moment(_text(found, "updated")) or moment(_text(found, "created")),
    )


def _text(found: Element, name: str) -> str:
    return mask((found.findtext(name) or "").strip())


def _method(kind: str) -> Method:
    return "Card" if kind == "cc" else "ACH" if kind == "ck" else "Other"


def _last4(shown: str) -> str:
    """The last four digits of a number that is shown masked, like 4xxxxxxxxxxx1111."""
    tail = shown[-4:]
    return tail if tail.isdigit() else ""


def _batch(text: str) -> str:
    return "" if text in ("", "0") else text


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text or "0").quantize(Decimal("0.01"))
    except InvalidOperation:
        return ZERO


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
