"""The gateway's answers: `name=value` pairs for payments, XML for questions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, SubElement, tostring

from isthmus.model.card import mask

_references = itertools.count(3_187_000_001)


class Refused(Exception):
    """A request that the gateway rejects (`response` 3) or the issuer declines (2); nothing was done for it."""

    def __init__(self, text: str, code: int = 300, response: int = 3) -> None:
        super().__init__(text)
        self.code = code
        self.response = response

    @property
    def text(self) -> str:
        """The words of the answer; a rejection carries a reference for the support."""
        return f"{self} REFID:{next(_references)}" if self.response == 3 else str(self)


def reply(form: Mapping[str, str], *, response: int, text: str, code: int, **more: str) -> bytes:
    """An answer of the payment API."""
    told = {
        "response": str(response),
        "responsetext": text,
        "authcode": "",
        "transactionid": "",
        "avsresponse": "",
        "cvvresponse": "",
        "orderid": mask(form.get("orderid", "")),
        "type": form.get("type", ""),
        "response_code": str(code),
    }
    return urlencode({**told, **more}).encode()


def transaction_xml(parent: Element, doc: Mapping[str, Any]) -> None:
    """A transaction under `parent`, with its actions."""
    node = SubElement(parent, "transaction")
    for name in (
        "transaction_id", "transaction_type", "condition", "order_id", "authorization_code", "ponumber",
        "order_description", "first_name", "last_name", "company", "email", "tracking_number", "shipping_carrier",
        "tax", "shipping", "currency", "customer_vault_id", "cc_number", "cc_exp", "cc_type", "check_account",
        "original_transaction_id",
    ):  # fmt: skip
        SubElement(node, name).text = str(doc.get(name, ""))
    for number, value in sorted(doc.get("fields", {}).items()):
        SubElement(node, "merchant_defined_field", id=str(number)).text = value
    for action in doc["actions"]:
        told = SubElement(node, "action")
        for name, value in action.items():
            SubElement(told, name).text = str(value)


def customer_xml(parent: Element, doc: Mapping[str, Any]) -> None:
    """A vault customer under `parent`; of the card what may be shown."""
    node = SubElement(parent, "customer", id=doc["customer_vault_id"])
    for name, value in doc.items():
        if name not in ("instrument", "stamp"):
            SubElement(node, name).text = str(value)


def document(fill: Any, rows: Sequence[Mapping[str, Any]], *, inside: str = "") -> bytes:
    """A whole answer of the query API."""
    root = Element("nm_response")
    parent = SubElement(root, inside) if inside else root
    for row in rows:
        fill(parent, row)
    return _written(root)


def told_once(name: str, text: str) -> bytes:
    """An answer that is one word: an error, a status."""
    root = Element("nm_response")
    SubElement(root, name).text = text
    return _written(root)


def _written(root: Element) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode").encode()
