"""Addresses of documents: a delivery address written on an order is found among the customer's, or made once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.paths import parse
from isthmus.connectors.odoo.reading import Reader, Row
from isthmus.connectors.odoo.writing import PARTNER
from isthmus.sdk import Create, Failed, IsthmusError, Outcome, Unsure, Written

OWNER = "partner_id"
"""The field that says whose address it is."""

_PATHS = ("name", "street", "street2", "city", "zip", "state_id.key", "country_id.key", "phone")
_COMPARED = ("street", "street2", "city", "zip", "state_id.key", "country_id.key")
_OF_PEOPLE = ("name", "phone")

Make = Callable[[str, Sequence[Create]], Awaitable[Sequence[Outcome]]]
Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An address told in parts: of which payload and field, of which customer, what was told and what is meant."""

    place: int
    field: str
    owner: int
    told: Mapping[str, Any]
    whole: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The external key of the contact, were it made."""
        return _key(self.owner, self.whole)


class Addresses:
    """Turns address parts behind a contact field into that field: `partner_shipping_id.street` and the like."""

    def __init__(self, fields: Fields, reader: Reader, make: Make) -> None:
        self._fields = fields
        self._reader = reader
        self._make = make

    async def settled(
        self, model: str, payloads: Sequence[Payload], now: Mapping[int, Payload]
    ) -> list[Payload | IsthmusError]:
        """Each payload with contacts in place of address parts, or what kept one from being found.

        `now` gives, by the payload's place, what a record that is there already has at `paths`: an update
        tells only the parts that change, and the others are part of the address all the same.
        """
        wanted = await self._wanted(model, payloads, now)
        if not wanted:
            return list(payloads)
        known = await self._known({one.owner for one in wanted})
        found: list[int | None] = [_among(known.get((one.owner, _compared(one.whole)), ()), one) for one in wanted]
        fresh: dict[str, Create] = {}
        for here, one in zip(found, wanted, strict=True):
            if here is None and one.key not in fresh:
                fresh[one.key] = _create(one.key, one.owner, one.whole)
        made: dict[str, int | IsthmusError] = {}
        outcomes = await self._make(PARTNER, list(fresh.values())) if fresh else []
        for key, outcome in zip(fresh, outcomes, strict=True):
            if isinstance(outcome, Written):
                made[key] = int(outcome.key)
            elif isinstance(outcome, Failed | Unsure):
                made[key] = outcome.error
        out: list[Payload | IsthmusError] = [_without_parts(payload, wanted, n) for n, payload in enumerate(payloads)]
        for here, one in zip(found, wanted, strict=True):
            contact, payload = here if here is not None else made[one.key], out[one.place]
            if isinstance(payload, IsthmusError):
                continue
            out[one.place] = contact if isinstance(contact, IsthmusError) else {**payload, one.field: contact}
        return out

    async def paths(self, model: str, payloads: Iterable[Payload]) -> tuple[str, ...]:
        """The customer, and every part of the addresses that these payloads tell something of."""
        told = {parse(path).step.field for payload in payloads for path in payload if is_address_part(path)}
        fields = [name for name in sorted(told) if await self._holds_addresses(model, name)]
        return (OWNER, *(f"{name}.{path}" for name in fields for path in _PATHS)) if fields else ()

    async def _holds_addresses(self, model: str, name: str) -> bool:
        spec = (await self._fields.model(model)).get(name)
        return spec.relation == PARTNER and not spec.many

    async def _wanted(self, model: str, payloads: Sequence[Payload], now: Mapping[int, Payload]) -> list[_Wanted]:
        """Everything that is told in parts."""
        out = []
        for n, payload in enumerate(payloads):
            parts: dict[str, dict[str, Any]] = {}
            for path, value in payload.items():
                if not is_address_part(path):
                    continue
                parsed = parse(path)
                if await self._holds_addresses(model, parsed.step.field):
                    parts.setdefault(parsed.step.field, {})[parsed.rest] = value
            there = now.get(n, {})
            for field, told in parts.items():
                owner = payload.get(OWNER) or there.get(OWNER)
                whole = {path: told.get(path, there.get(f"{field}.{path}")) for path in _PATHS}
                if owner and any(value not in (None, "", False) for value in whole.values()):
                    out.append(_Wanted(n, field, int(owner), told, whole))
        return out

    async def _known(self, owners: set[int]) -> dict[tuple[int, tuple[str, ...]], list[Row]]:
        """The addresses that the customers have already, the customer's own first."""
        out: dict[tuple[int, tuple[str, ...]], list[Row]] = {}
        domain = ["|", ["id", "in", sorted(owners)], ["parent_id", "in", sorted(owners)], ["active", "=", True]]
        rows = await self._reader.rows(PARTNER, domain, (*_COMPARED, *_OF_PEOPLE, "parent_id", "type"))
        for row in sorted(rows, key=lambda row: row.id not in owners):
            owner = row.id if row.id in owners else int(row.values["parent_id"])
            if row.id == owner or row.values["type"] != "contact":
                out.setdefault((owner, _compared(row.values)), []).append(row)
        return out


def is_address_part(path: str) -> bool:
    """Whether a path is a part of the address of a contact that a document refers to."""
    if path.startswith("@"):
        return False
    parsed = parse(path)
    return parsed.step.where is None and parsed.step.field.startswith("partner_") and parsed.rest in _PATHS


def _among(rows: Sequence[Row], wanted: _Wanted) -> int | None:
    """The first of the contacts at this place whose name and phone are the ones told, where any are told."""
    told = {path: _plain(value) for path in _OF_PEOPLE if (value := wanted.told.get(path))}
    return next((row.id for row in rows if all(_plain(row.values[p]) == text for p, text in told.items())), None)


def _without_parts(payload: Payload, wanted: Sequence[_Wanted], n: int) -> Payload | IsthmusError:
    fields = {one.field for one in wanted if one.place == n}
    return {
        p: v for p, v in payload.items() if p.startswith("@") or not (parse(p).step.field in fields and parse(p).rest)
    }


def _create(key: str, owner: int, address: Mapping[str, Any]) -> Create:
    values = {path: value for path, value in address.items() if value not in (None, "", False)}
    # Of type `other`: a delivery or invoice address would become the customer's own from now on.
    return Create(external_key=key, values={**values, "parent_id": owner, "type": "other"}, idempotency_key=key)


def _key(owner: int, address: Mapping[str, Any]) -> str:
    """The external key of an address: the same address of a customer is made once, however often it is told."""
    told = json.dumps([[path, str(address.get(path) or "").strip().casefold()] for path in _PATHS])
    return f"address-{owner}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _compared(address: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_plain(address.get(path)) for path in _COMPARED)


def _plain(value: Any) -> str:
    return " ".join(str(value or "").casefold().split())
