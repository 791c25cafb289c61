"""The vault: customers under an id, kept from one-time tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from .instruments import instrument
from .replies import Refused, reply
from .store import Doc, Store

_PERSON = {
    "first_name": "first_name",
    "last_name": "last_name",
    "company": "company",
    "email": "email",
    "phone": "phone",
    "address1": "address_1",
    "address2": "address_2",
    "city": "city",
    "state": "state",
    "zip": "postal_code",
    "country": "country",
}
"""The payment API's words and the query API's."""


class Vault:
    """Adds, changes and removes customers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, form: Mapping[str, str]) -> bytes:
        """What `customer_vault` asks for."""
        wanted = form["customer_vault"]
        if wanted == "add_customer":
            return self._add(form)
        if wanted == "update_customer":
            return self._update(form)
        if wanted == "delete_customer":
            return self._delete(form)
        raise Refused("Invalid Customer Vault action")

    def _add(self, form: Mapping[str, str]) -> bytes:
        key = form.get("customer_vault_id") or str(self._store.stamp())
        if not re.fullmatch(r"[A-Za-z0-9:_-]{1,36}", key):
            raise Refused("Invalid Customer Vault Id")
        if self._store.customer(key) is not None:
            raise Refused("Duplicate Customer Vault Id")
        if not form.get("payment_token"):
            raise Refused("Payment method is required: send payment_token")
        doc: Doc = {"customer_vault_id": key, "created": self._store.moment(), "stamp": self._store.stamp()}
        return self._put(doc, form, "Customer Added")

    def _update(self, form: Mapping[str, str]) -> bytes:
        return self._put(self._known(form), form, "Customer Update Successful")

    def _delete(self, form: Mapping[str, str]) -> bytes:
        doc = self._known(form)
        with self._store.transaction():
            self._store.drop_customer(doc["customer_vault_id"])
        return _done(form, doc, "Customer Deleted")

    def _put(self, doc: Doc, form: Mapping[str, str], text: str) -> bytes:
        doc.update({ours: form[theirs] for theirs, ours in _PERSON.items() if theirs in form})
        with self._store.transaction():
            if token := form.get("payment_token"):
                found = instrument(token)
                if not self._store.use(token):
                    raise Refused("Payment Token has already been used")
                shown = {name: value for name, value in found.shown.items() if name != "transaction_type"}
                doc.update(shown, instrument=msgspec.to_builtins(found))
            doc["updated"] = self._store.moment()
            self._store.put_customer(doc)
        return _done(form, doc, text)

    def _known(self, form: Mapping[str, str]) -> Doc:
        doc = self._store.customer(form.get("customer_vault_id", ""))
        if doc is None:
            raise Refused("Invalid Customer Vault ID specified")
        return doc


def _done(form: Mapping[str, str], doc: Doc, text: str) -> bytes:
    return reply(form, response=1, text=text, code=100, customer_vault_id=doc["customer_vault_id"])
