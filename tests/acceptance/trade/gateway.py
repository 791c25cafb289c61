"""The driver's and the oracle's own way into the gateway: its form API as merchants use it, and its own books."""

from __future__ import annotations

import http.client
import json
from collections import defaultdict
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

TAKEN = frozenset({"pendingsettlement", "complete"})


class GatewayRefused(Exception):
    """The gateway declined or refused."""


class Gateway:
    """A merchant's terminal, and what the gateway keeps."""

    def __init__(self, url: str, security_key: str, admin_key: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._key = security_key
        self._admin = {"Authorization": f"Bearer {admin_key}"}
        self._cards = 0

    def pay(self, kind: str, order: str, amount: Decimal, currency: str = "USD") -> str:
        """`sale` or `auth` of a fresh card; returns the transaction's id."""
        told = {"orderid": order, "amount": f"{amount:.2f}", "currency": currency, "payment_token": self.token()}
        return self.send(type=kind, **told)

    def token(self) -> str:
        """A one-time token of a card that is used for the first time."""
        self._cards += 1
        return f"test-approve-shopper{self._cards}.{self._cards}"

    def send(self, **form: str) -> str:
        """One request of the form API; returns the transaction's id."""
        body = urlencode({"security_key": self._key, **form})
        status, told = self._raw("POST", "/api/transact.php", body, {})
        answer = {name: values[0] for name, values in parse_qs(told.decode()).items()}
        if status != 200 or answer.get("response") != "1":
            raise GatewayRefused(f"{form.get('type')} of {form.get('orderid')}: {status} {told[:300]!r}")
        return answer["transactionid"]

    def transactions(self) -> dict[str, list[dict[str, Any]]]:
        """What was not refused, by order."""
        status, told = self._raw("GET", "/sandbox/transactions", None, self._admin)
        if status != 200:
            raise GatewayRefused(f"reading transactions: {status} {told[:300]!r}")
        out: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for doc in json.loads(told):
            if doc["condition"] != "failed":
                out[doc["order_id"]].append(doc)
        return out

    def _raw(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            form = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
            connection.request(method, path, body, {**form, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def taken(doc: dict[str, Any]) -> Decimal:
    """What a transaction brought in, negative for money that was given back; 0 while it is only authorised."""
    if doc["condition"] not in TAKEN:
        return Decimal(0)
    moved = [a for a in doc["actions"] if a["success"] == "1" and a["action_type"] in ("sale", "capture", "refund")]
    if not moved:
        return Decimal(0)
    sign = -1 if moved[-1]["action_type"] == "refund" else 1
    return sign * Decimal(moved[-1]["amount"])
