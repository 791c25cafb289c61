"""Takes payments: the state machine of transactions, from the request's form to what is kept and told."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec

from isthmus.model.card import holds_card_number

from .hooks import Hooks
from .instruments import Instrument, instrument
from .replies import Refused, reply
from .settings import Switches
from .store import MOMENT, Doc, Store

Form = Mapping[str, str]

CARD_FIELDS = frozenset(
    {"ccnumber", "ccexp", "cvv", "checkaccount", "checkaba", "track_1", "track_2", "track_3", "encrypted_payment"}
)
"""Parameters that carry a card or an account: refused here, whatever they hold."""

_KEPT = {
    "ponumber": "ponumber",
    "order_description": "order_description",
    "orderdescription": "order_description",
    "first_name": "first_name",
    "last_name": "last_name",
    "company": "company",
    "email": "email",
    "tracking_number": "tracking_number",
    "shipping_carrier": "shipping_carrier",
    "tax": "tax",
    "shipping": "shipping",
}
_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?")
_LIVE = ("pending", "pendingsettlement", "complete")


class Desk:
    """Makes and changes transactions; a declined one is kept as failed, a rejected request leaves no trace."""

    def __init__(self, store: Store, hooks: Hooks, switches: Switches) -> None:
        self._store = store
        self._hooks = hooks
        self._switches = switches

    async def answer(self, form: Form) -> bytes:
        """What `type` asks for."""
        kind = form.get("type", "")
        known: dict[str, Callable[[Form], bytes]] = {
            "capture": self._capture,
            "void": self._void,
            "refund": self._refund,
            "update": self._update,
        }
        if kind in ("sale", "auth", "credit", "validate"):
            return await self._begin(kind, form)
        if kind in known:
            return known[kind](form)
        raise Refused("Invalid Transaction Type")

    async def _begin(self, kind: str, form: Form) -> bytes:
        amount = _amount(form, zero=kind == "validate")
        currency = form.get("currency", "USD").upper()
        if not re.fullmatch("[A-Z]{3}", currency):
            raise Refused("Invalid Currency")
        found, vault_id = self._source(form)
        if found.behaviour in ("lost", "late"):
            await asyncio.sleep(self._switches.hang_seconds)
        if found.behaviour == "lost":
            raise Refused("Timeout")
        self._refuse_duplicate(kind, form, amount, currency, found)
        refusal: Refused | None = None
        try:
            found.refuse()
        except Refused as error:
            refusal = error
        with self._store.transaction():
            if token := form.get("payment_token"):
                self._store.use(token)
            doc = self._keep(kind, form, amount, currency, found, vault_id, refusal)
        if found.behaviour == "timeout":
            await asyncio.sleep(self._switches.hang_seconds)
        more = {"transactionid": doc["transaction_id"], "customer_vault_id": vault_id}
        if refusal is not None:
            return reply(form, response=refusal.response, text=refusal.text, code=refusal.code, **more)
        return reply(form, response=1, text="SUCCESS", code=100, authcode=doc["authorization_code"], **more)

    def _source(self, form: Form) -> tuple[Instrument, str]:
        """What is charged, and the vault customer it belongs to."""
        if token := form.get("payment_token"):
            found = instrument(token)
            if self._store.was_used(token):
                raise Refused("Payment Token has already been used")
            return found, ""
        if vault_id := form.get("customer_vault_id"):
            doc = self._store.customer(vault_id)
            if doc is None:
                raise Refused("Invalid Customer Vault ID specified")
            return msgspec.convert(doc["instrument"], Instrument), vault_id
        raise Refused("Payment method is required: send payment_token or customer_vault_id")

    def _refuse_duplicate(self, kind: str, form: Form, amount: Decimal, currency: str, found: Instrument) -> None:
        seconds = int(form.get("dup_seconds") or self._switches.dup_seconds)
        if kind == "validate" or seconds <= 0:
            return
        since = (self._store.now() - timedelta(seconds=seconds)).strftime(MOMENT)
        for doc in self._store.where("fingerprint = ? AND updated >= ?", found.fingerprint, since):
            first = doc["actions"][0]
            same = (first["action_type"], first["amount"], doc["currency"]) == (kind, f"{amount:.2f}", currency)
            other = self._switches.dup_by_order and doc["order_id"] != form.get("orderid", "")
            if same and not other and doc["condition"] in _LIVE and first["date"] >= since:
                raise Refused("Duplicate transaction")

    def _keep(
        self,
        kind: str,
        form: Form,
        amount: Decimal,
        currency: str,
        found: Instrument,
        vault_id: str,
        refusal: Refused | None,
    ) -> Doc:
        conditions = {"auth": "pending", "validate": "complete"}
        condition = conditions.get(kind, "pendingsettlement")
        if refusal is not None:
            condition = "unknown" if found.behaviour == "unclear" else "failed"
        doc: Doc = {
            "condition": condition,
            "order_id": form.get("orderid", ""),
            "currency": currency,
            "customer_vault_id": vault_id,
            **found.shown,
            **{ours: form[theirs] for theirs, ours in _KEPT.items() if form.get(theirs)},
            "fields": _fields(form),
            "actions": [],
        }
        if refusal is None:
            source = f"{kind}{form.get('orderid')}{self._store.stamp()}"
            doc["authorization_code"] = hashlib.sha256(source.encode()).hexdigest()[:6].upper()
        text, code = ("SUCCESS", 100) if refusal is None else (refusal.text, refusal.code)
        doc["actions"].append(self.action(kind, amount, success=refusal is None, text=text, code=code))
        doc = self._store.add(doc, found.fingerprint)
        how = "success" if refusal is None else "unknown" if condition == "unknown" else "failure"
        self._hooks.transaction(kind, how, doc)
        return doc

    def _capture(self, form: Form) -> bytes:
        doc = self._known(form)
        authorized = Decimal(doc["actions"][0]["amount"])
        if doc["actions"][0]["action_type"] != "auth" or doc["condition"] != "pending":
            raise Refused("A capture requires that the existing transaction be an AUTH")
        amount = _amount(form) if form.get("amount") else authorized
        if amount > authorized:
            raise Refused(f"The specified amount of {amount:.2f} exceeds the authorization amount of {authorized:.2f}")
        return self._follow(form, doc, "capture", amount, "pendingsettlement")

    def _void(self, form: Form) -> bytes:
        doc = self._known(form)
        if doc["condition"] not in ("pending", "pendingsettlement"):
            raise Refused("Only transactions pending settlement can be voided")
        return self._follow(form, doc, "void", Decimal(doc["actions"][-1]["amount"]), "canceled")

    def _follow(self, form: Form, doc: Doc, kind: str, amount: Decimal, condition: str) -> bytes:
        doc["actions"].append(self.action(kind, amount))
        doc["condition"] = condition
        doc.update({ours: form[theirs] for theirs, ours in _KEPT.items() if form.get(theirs)})
        with self._store.transaction():
            self._store.put(doc)
            self._hooks.transaction(kind, "success", doc)
        told = {"transactionid": doc["transaction_id"], "authcode": doc.get("authorization_code", "")}
        return reply({**form, "orderid": doc["order_id"]}, response=1, text="SUCCESS", code=100, **told)

    def _refund(self, form: Form) -> bytes:
        original = self._known(form)
        begun = original["actions"][0]["action_type"]
        if begun not in ("sale", "auth") or original["condition"] not in ("pendingsettlement", "complete"):
            raise Refused("Refund requires that the existing transaction be captured")
        left = self.captured(original) - self.refunded(original)
        amount = _amount(form) if form.get("amount") else left
        if amount > left or amount <= 0:
            raise Refused("Refund amount may not exceed the transaction balance")
        given = form.get("orderid") if self._switches.refund_order == "given" else None
        doc: Doc = {name: value for name, value in original.items() if name not in ("transaction_id", "actions")}
        doc |= {
            "condition": "pendingsettlement",
            "order_id": given or original["order_id"],
            "original_transaction_id": original["transaction_id"],
            "authorization_code": "",
            "fields": _fields(form),
            "actions": [self.action("refund", amount)],
        }
        with self._store.transaction():
            doc = self._store.add(doc, "")
            self._hooks.transaction("refund", "success", doc)
        told = {"transactionid": doc["transaction_id"]}
        return reply({**form, "orderid": doc["order_id"]}, response=1, text="SUCCESS", code=100, **told)

    def _update(self, form: Form) -> bytes:
        doc = self._known(form)
        doc.update({ours: form[theirs] for theirs, ours in _KEPT.items() if theirs in form})
        with self._store.transaction():
            self._store.put(doc)
        return reply(form, response=1, text="Transaction Updated", code=100, transactionid=doc["transaction_id"])

    def _known(self, form: Form) -> Doc:
        found = self._store.get(form.get("transactionid", ""))
        if found is None:
            raise Refused("Transaction not found")
        return found

    def captured(self, doc: Doc) -> Decimal:
        """What of a transaction was captured."""
        if doc["condition"] not in ("pendingsettlement", "complete"):
            return Decimal("0.00")
        moved = [a for a in doc["actions"] if a["action_type"] in ("sale", "capture") and a["success"] == "1"]
        return Decimal(moved[-1]["amount"]) if moved else Decimal("0.00")

    def refunded(self, original: Doc) -> Decimal:
        """What of a transaction was given back, voided refunds left out."""
        found = self._store.where("original = ?", original["transaction_id"])
        return sum((Decimal(d["actions"][0]["amount"]) for d in found if d["condition"] in _LIVE), Decimal("0.00"))

    def action(
        self,
        kind: str,
        amount: Decimal,
        *,
        success: bool = True,
        text: str = "SUCCESS",
        code: int = 100,
        batch: str = "0",
    ) -> dict[str, Any]:
        """Something that happens to a transaction now."""
        return {
            "amount": f"{amount:.2f}",
            "action_type": kind,
            "date": self._store.moment(),
            "success": "1" if success else "0",
            "ip_address": "127.0.0.1",
            "source": "internal" if kind == "settle" else "api",
            "response_text": text,
            "batch_id": batch,
            "response_code": str(code),
        }


def refuse_cards(form: Form) -> None:
    """Refuse what carries a card, and texts that hold what looks like one; the number is not repeated."""
    if CARD_FIELDS & form.keys():
        raise Refused("Card data is not accepted here; send a payment_token of the gateway's own form")
    named = sorted(name for name, value in form.items() if name != "amount" and holds_card_number(value))
    if named:
        raise Refused(f"{', '.join(named)} holds what looks like a card number")


def _amount(form: Form, *, zero: bool = False) -> Decimal:
    text = form.get("amount", "")
    if not _AMOUNT.fullmatch(text):
        raise Refused("Invalid amount")
    amount = Decimal(text).quantize(Decimal("0.01"))
    if zero != (amount == 0):
        raise Refused("Amount must be 0.00 for a validation" if zero else "Invalid amount")
    return amount


def _fields(form: Form) -> dict[str, str]:
    prefix = "merchant_defined_field_"
    return {name.removeprefix(prefix): value for name, value in form.items() if name.startswith(prefix) and value}
