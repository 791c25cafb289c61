"""Addresses of documents: a delivery address written on an order is found among the customer's, or made once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.paths import parse
from isthmus.connectors.odoo.reading import Reader
from isthmus.connectors.odoo.writing import PARTNER
from isthmus.sdk import Create, Failed, IsthmusError, Outcome, Unsure, Written

OWNER = "partner_id"
"""The field that says whose address it is."""

_PATHS = ("name", "street", "street2", "city", "zip", "state_id.key", "country_id.key", "phone")
_COMPARED = ("street", "street2", "city", "zip", "state_id.key", "country_id.key")

Make = Callable[[str, Sequence[Create]], Awaitable[Sequence[Outcome]]]
Payload = Mapping[str, Any]


class Addresses:
    """Turns address parts behind a contact field into that field: `partner_shipping_id.street` and the like."""

    def __init__(self, fields: Fields, reader: Reader, make: Make) -> None:
        self._fields = fields
        self._reader = reader
        self._make = make

    async def settled(
        self, model: str, payloads: Sequence[Payload], owners: Mapping[int, Any]
    ) -> list[Payload | IsthmusError]:
        """Each payload with contacts in place of address parts, or what kept one from being found.

        `owners` gives the customer by the payload's place where the payload itself does not name it.
        """
        wanted = await self._wanted(model, payloads, owners)
        if not wanted:
            return list(payloads)
        known = await self._known({owner for _, _, owner, _ in wanted})
        fresh: dict[str, Create] = {}
        found: dict[str, int] = {}
        for _, _, owner, address in wanted:
            key = _key(owner, address)
            here = known.get((owner, _compared(address)))
            if here is not None:
                found[key] = here
            elif key not in fresh:
                fresh[key] = _create(key, owner, address)
        trouble: dict[str, IsthmusError] = {}
        outcomes = await self._make(PARTNER, list(fresh.values())) if fresh else []
        for key, outcome in zip(fresh, outcomes, strict=True):
            if isinstance(outcome, Written):
                found[key] = int(outcome.key)
            elif isinstance(outcome, Failed | Unsure):
                trouble[key] = outcome.error
        out: list[Payload | IsthmusError] = [_without_parts(payload, wanted, n) for n, payload in enumerate(payloads)]
        for n, field, owner, address in wanted:
            key, made = _key(owner, address), out[n]
            if isinstance(made, IsthmusError):
                continue
            out[n] = {**made, field: found[key]} if key in found else trouble[key]
        return out

    async def _wanted(
        self, model: str, payloads: Sequence[Payload], owners: Mapping[int, Any]
    ) -> list[tuple[int, str, int, dict[str, Any]]]:
        """Place, field, customer and address of everything that is told in parts."""
        out = []
        for n, payload in enumerate(payloads):
            parts: dict[str, dict[str, Any]] = {}
            for path, value in payload.items():
                if not is_address_part(path):
                    continue
                parsed = parse(path)
                spec = (await self._fields.model(model)).get(parsed.step.field)
                if spec.relation == PARTNER and not spec.many:
                    parts.setdefault(parsed.step.field, {})[parsed.rest] = value
            for field, address in parts.items():
                owner = payload.get(OWNER) or owners.get(n)
                if owner and any(value not in (None, "", False) for value in address.values()):
                    out.append((n, field, int(owner), address))
        return out

    async def _known(self, owners: set[int]) -> dict[tuple[int, tuple[str, ...]], int]:
        """The addresses that the customers have already, the customer's own first."""
        out: dict[tuple[int, tuple[str, ...]], int] = {}
        domain = ["|", ["id", "in", sorted(owners)], ["parent_id", "in", sorted(owners)], ["active", "=", True]]
        for row in await self._reader.rows(PARTNER, domain, (*_COMPARED, "parent_id", "type")):
            parent = row.values["parent_id"]
            owner = row.id if row.id in owners else int(parent)
            if row.id == owner or row.values["type"] != "contact":
                out.setdefault((owner, _compared(row.values)), row.id)
        return out


def is_address_part(path: str) -> bool:
    """Whether a path is a part of the address of a contact that a document refers to."""
    if path.startswith("@"):
        return False
    parsed = parse(path)
    return parsed.step.where is None and parsed.step.field.startswith("partner_") and parsed.rest in _PATHS


def _without_parts(payload: Payload, wanted: Sequence[tuple[int, str, int, Any]], n: int) -> Payload | IsthmusError:
    fields = {field for place, field, _, _ in wanted if place == n}
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
    return tuple(" ".join(str(address.get(path) or "").casefold().split()) for path in _COMPARED)
