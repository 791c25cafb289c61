"""The gateway's vault: customers who pay again by a name of ours; their cards never come here."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping

from isthmus.connectors.bng_gateway.querying import Queries
from isthmus.connectors.bng_gateway.settings import GatewaySettings
from isthmus.connectors.bng_gateway.values import VaultCustomer
from isthmus.connectors.bng_gateway.wire import Wire, refusal
from isthmus.model.card import mask
from isthmus.sdk import InvalidRecord, IsthmusError, OutcomeUnknown

LONGEST_ID = 36

PERSON = {
    "FirstName": "first_name",
    "LastName": "last_name",
    "CompanyName": "company",
    "Email": "email",
    "Phone": "phone",
}
ADDRESS = {
    "Line1": "address1",
    "Line2": "address2",
    "City": "city",
    "State": "state",
    "PostalCode": "zip",
    "CountryCode": "country",
}
"""Our words and the payment API's."""


class Vault:
    """Customers of one merchant account's vault."""

    def __init__(self, settings: GatewaySettings, wire: Wire, queries: Queries) -> None:
        self._settings = settings
        self._wire = wire
        self._queries = queries

    async def keep(self, vault_id: str, token: str, person: Mapping[str, str], *, wait: bool = True) -> VaultCustomer:
        """Add a customer under an id of ours from a one-time token, unless it is there.

        Without `wait` a lost answer is told as unknown at once, for a caller that reads back by itself.
        """
        doing = f"adding vault customer {mask(vault_id)}"
        if not 0 < len(vault_id) <= LONGEST_ID or not token:
            raise InvalidRecord(
                f"{doing}: it needs an id of at most {LONGEST_ID} characters and a token",
                record=mask(vault_id),
                hint="Give vault_id, and the payment_token that the gateway's own form made; never a card.",
            )
        known = await self._queries.customer(vault_id)
        if known is not None:
            return dataclasses.replace(known, repeated=True)
        form = {"customer_vault": "add_customer", "customer_vault_id": vault_id, "payment_token": token, **person}
        return await self._sent(form, vault_id, doing, wait=wait)

    async def change(self, vault_id: str, person: Mapping[str, str], token: str = "") -> VaultCustomer:
        """Change what is named, the card too when a new token is given; repeating it does no harm."""
        doing = f"updating vault customer {mask(vault_id)}"
        form = {"customer_vault": "update_customer", "customer_vault_id": vault_id, **person}
        form |= {"payment_token": token} if token else {}
        return await self._sent(form, vault_id, doing, wait=False)

    async def forget(self, vault_id: str) -> bool:
        """Remove a customer with its card; False when it was not there."""
        doing = f"removing vault customer {mask(vault_id)}"
        if await self._queries.customer(vault_id) is None:
            return False
        form = {"customer_vault": "delete_customer", "customer_vault_id": vault_id}
        reply = await self._wire.transact(form, doing=doing, record=mask(vault_id))
        if reply.no_such_customer:
            return False
        if not reply.approved:
            raise refusal(reply, doing, mask(vault_id))
        return True

    async def _sent(self, form: Mapping[str, str], vault_id: str, doing: str, *, wait: bool) -> VaultCustomer:
        record = mask(vault_id)
        try:
            reply = await self._wire.transact(form, doing=doing, record=record)
        except OutcomeUnknown as error:
            found = await self._looked_for(vault_id) if wait else None
            if found is None:
                raise error
            return found
        if not reply.approved:
            raise refusal(reply, doing, record)
        found = await self._queries.customer(vault_id)
        return found or VaultCustomer(id=vault_id)

    async def _looked_for(self, vault_id: str) -> VaultCustomer | None:
        for wait in (0.0, *self._settings.look_again):
            await asyncio.sleep(wait)
            try:
                found = await self._queries.customer(vault_id)
            except IsthmusError:
                continue
            if found is not None:
                return found
        return None
