"""Customers and their addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import metafields
from .errors import Refused
from .stock import Told
from .store import Doc, Store, gid, number_of

_EMAIL = re.compile(r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$")
_PHONE = re.compile(r"^\+?[0-9][0-9 ()./-]{4,20}$")
_FIELDS = ("firstName", "lastName", "email", "phone", "note", "locale", "taxExempt")
_COUNTRIES = {
    "US": "United States", "CA": "Canada", "DE": "Germany", "FR": "France", "GB": "United Kingdom",
    "NL": "Netherlands", "AT": "Austria", "CH": "Switzerland", "JP": "Japan", "MX": "Mexico",
}  # fmt: skip


class Customers:
    """The customers of one shop; e-mail and phone are unique."""

    def __init__(self, store: Store, tell: Told) -> None:
        self._store = store
        self._tell = tell

    def find(self, name: str) -> Doc | None:
        """A customer by id, number, e-mail or phone."""
        for one in self._store.all("Customer"):
            if name in (one["id"], str(number_of(one["id"])), one.get("phone")) or (
                one.get("email") and str(one["email"]).lower() == name.lower()
            ):
                return one
        return None

    def create(self, given: Mapping[str, Any]) -> Doc:
        """Make a customer; it needs a name, a phone or an e-mail."""
        values = self._checked(given, None)
        if not any(values.get(name) for name in ("firstName", "lastName", "email", "phone")):
            raise Refused("Customer must have a name, phone number or email address")
        made = self._store.add(
            "Customer",
            {"locale": "en", "taxExempt": False, "state": "DISABLED", "tags": [], "defaultAddress": None}
            | values | {"addresses": []},
        )  # fmt: skip
        metafields.put(self._store, made["id"], given.get("metafields"), "metafields")
        for place, address in enumerate(given.get("addresses") or ()):
            self.add_address(made["id"], address, default=place == 0)
        made = self._store.get(made["id"]) or made
        self._tell("CUSTOMERS_CREATE", made)
        return made

    def change(self, text: str, given: Mapping[str, Any]) -> Doc:
        """Change a customer."""
        found = self._store.get(text)
        if found is None:
            raise Refused("Customer does not exist", "id")
        changed = self._store.changed(found, **self._checked(given, found))
        metafields.put(self._store, text, given.get("metafields"), "metafields")
        if given.get("addresses") is not None:
            changed = self._store.changed(changed, addresses=[], defaultAddress=None)
            for place, address in enumerate(given["addresses"]):
                self.add_address(text, address, default=place == 0)
        changed = self._store.get(text) or changed
        self._tell("CUSTOMERS_UPDATE", changed)
        return changed

    def add_address(self, text: str, given: Mapping[str, Any], *, default: bool = False) -> Doc:
        """Give a customer another address."""
        found = self._store.get(text)
        if found is None:
            raise Refused("Customer does not exist", "customerId")
        address = self._store.add("MailingAddress", self.address(given, keep_id=False))
        first = not found["addresses"]
        self._store.changed(
            found,
            addresses=[*found["addresses"], address["id"]],
            defaultAddress=address["id"] if default or first else found["defaultAddress"],
        )
        return address

    def change_address(self, text: str, address: str, given: Mapping[str, Any], *, default: bool) -> Doc:
        """Change one of a customer's addresses; what is not named stays."""
        found, old = self._store.get(text), self._store.get(address)
        if found is None:
            raise Refused("Customer does not exist", "customerId")
        if old is None or address not in found["addresses"]:
            raise Refused("Address does not exist", "addressId")
        merged = {name: old.get(name) for name in _ADDRESS} | {"countryCode": old.get("countryCodeV2")} | dict(given)
        changed = self._store.changed(old, **self.address(merged, keep_id=False))
        self._store.changed(found, defaultAddress=address if default else found["defaultAddress"])
        return changed

    def address(self, given: Mapping[str, Any], *, keep_id: bool = True) -> Doc:
        """An address as it is shown."""
        told = {name: given.get(name) or None for name in _ADDRESS}
        country = given.get("countryCode") or given.get("countryCodeV2")
        name = " ".join(part for part in (told["firstName"], told["lastName"]) if part)
        out: Doc = {
            **told,
            "name": name or None,
            "countryCodeV2": country,
            "country": _COUNTRIES.get(str(country), country),
            "province": told["provinceCode"],
        }
        return out | {"id": gid("MailingAddress", self._store.new_number())} if keep_id else out

    def told(self, text: str) -> None:
        """Say that a customer was updated, after its addresses were."""
        found = self._store.get(text)
        if found is not None:
            self._tell("CUSTOMERS_UPDATE", found)

    def _checked(self, given: Mapping[str, Any], before: Doc | None) -> dict[str, Any]:
        values = {name: given[name] or None for name in _FIELDS if name in given and name != "taxExempt"}
        if given.get("taxExempt") is not None:
            values["taxExempt"] = given["taxExempt"]
        if given.get("tags") is not None:
            values["tags"] = sorted({str(tag).strip() for tag in given["tags"] if str(tag).strip()})
        for name, form in (("email", _EMAIL), ("phone", _PHONE)):
            value = values.get(name)
            if not value:
                continue
            label = name.title()
            if not form.match(str(value)):
                raise Refused(f"{label} is invalid", name)
            values[name] = value.strip() if name == "email" else re.sub(r"[^+0-9]", "", value)
            other = self.find(str(values[name]))
            if other is not None and (before is None or other["id"] != before["id"]):
                raise Refused(f"{label} has already been taken", name)
        return values


_ADDRESS = (
    "firstName", "lastName", "company", "address1", "address2", "city", "provinceCode", "zip", "phone",
)  # fmt: skip
