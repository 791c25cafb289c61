"""Payments by name: sale, authorise, capture, void, refund, vault and look-up of one merchant account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal

from isthmus.connectors.bng_gateway.charging import Charge, Charger, Unknowns
from isthmus.connectors.bng_gateway.following import Follower
from isthmus.connectors.bng_gateway.querying import Queries
from isthmus.connectors.bng_gateway.settings import GatewaySettings
from isthmus.connectors.bng_gateway.values import Settlement, Standing, Transaction, VaultCustomer, standing
from isthmus.connectors.bng_gateway.vault import ADDRESS, PERSON, Vault
from isthmus.connectors.bng_gateway.wire import Wire
from isthmus.connectors.bng_gateway.words import PaymentType
from isthmus.sdk import AdaptiveConcurrency, Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What else may be said of a charge: texts only, none of them may hold a card number."""

    description: str = ""
    po_number: str = ""
    tax: Decimal | None = None
    shipping: Decimal | None = None
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    email: str = ""
    tracking_number: str = ""
    carrier: str = ""

    def form(self) -> dict[str, str]:
        """In the gateway's words, without what is not said."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        return {_WORDS.get(name, name): str(value) for name, value in told.items() if value not in ("", None)}


_WORDS = {"description": "order_description", "po_number": "ponumber", "carrier": "shipping_carrier"}


class Gateway:
    """One merchant account. Amounts are Decimal, exact to the cent; errors are the sdk's.

    Everything that moves money is idempotent by what it is about: a charge by its order id, type and amount; a
    capture and a void by their transaction; a refund by `key`, or by its transaction, amount and `number`. It looks
    before it sends. When an answer is lost it looks for the effect, and raises OutcomeUnknown while nobody can know;
    the same call later finds it, or sends it once the earlier request surely has ended. A caller that may have sent
    it in another process says when by `tried_at`.
    """

    def __init__(self, settings: GatewaySettings, services: Services) -> None:
        self.settings = settings
        concurrency = AdaptiveConcurrency(start=settings.parallel, most=settings.parallel, clock=services.clock)
        self.http = services.http(settings.url.rstrip("/"), concurrency=concurrency, timeout=settings.timeout)
        self.wire = Wire(settings, services, self.http)
        self.queries = Queries(settings, self.wire, services.clock)
        self.vault = Vault(settings, self.wire, self.queries)
        self._unknowns = Unknowns(services.clock, settings.request_ceiling)
        self.charger = Charger(settings, self.wire, self.queries, self._unknowns)
        self.follower = Follower(settings, self.wire, self.queries, self._unknowns)

    async def sale(
        self,
        order_id: str,
        amount: Decimal,
        currency: str = "",
        *,
        vault_id: str = "",
        token: str = "",
        details: Details | None = None,
        tried_at: datetime | None = None,
    ) -> Transaction:
        """Charge a customer of the vault, or a one-time token, at once."""
        wanted = self.charge(PaymentType.SALE, order_id, amount, currency, vault_id, token, details, tried_at)
        return await self.charger.charge(wanted)

    async def authorise(
        self,
        order_id: str,
        amount: Decimal,
        currency: str = "",
        *,
        vault_id: str = "",
        token: str = "",
        details: Details | None = None,
        tried_at: datetime | None = None,
    ) -> Transaction:
        """Reserve an amount, to be captured later, whole or in part."""
        wanted = self.charge(PaymentType.AUTHORIZATION, order_id, amount, currency, vault_id, token, details, tried_at)
        return await self.charger.charge(wanted)

    async def credit(
        self,
        order_id: str,
        amount: Decimal,
        currency: str = "",
        *,
        vault_id: str,
        details: Details | None = None,
        tried_at: datetime | None = None,
    ) -> Transaction:
        """Pay money out to a customer of the vault, without an earlier charge."""
        wanted = self.charge(PaymentType.CREDIT, order_id, amount, currency, vault_id, "", details, tried_at)
        return await self.charger.charge(wanted)

    async def validate(self, order_id: str, *, vault_id: str = "", token: str = "") -> Transaction:
        """Check that a card can be charged; no money moves."""
        wanted = self.charge(PaymentType.VALIDATION, order_id, Decimal("0.00"), "", vault_id, token, None, None)
        return await self.charger.charge(wanted)

    async def capture(
        self,
        transaction_id: str,
        amount: Decimal | None = None,
        *,
        details: Details | None = None,
        tried_at: datetime | None = None,
    ) -> Transaction:
        """Take what was authorised; a smaller amount releases the rest. It can be done once."""
        return await self.follower.capture(transaction_id, amount, (details or Details()).form(), tried_at)

    async def void(self, transaction_id: str, *, tried_at: datetime | None = None) -> Transaction:
        """Undo what is not settled yet."""
        return await self.follower.void(transaction_id, tried_at)

    async def refund(
        self,
        transaction_id: str,
        amount: Decimal | None = None,
        *,
        key: str = "",
        number: int | None = None,
        tried_at: datetime | None = None,
    ) -> Transaction:
        """Give money of a captured transaction back; without an amount, all that is left.

        `key` is the caller's own name for this refund. `number` says which refund of this very amount is meant, when
        there may be several: 1 is the first.
        """
        return await self.follower.refund(transaction_id, amount, key=key, number=number, tried_at=tried_at)

    async def update(self, transaction_id: str, details: Details) -> None:
        """Change the texts of a transaction: description, purchase order, tracking."""
        await self.follower.update(transaction_id, details.form())

    async def find(self, order_id: str) -> list[Transaction]:
        """Every transaction of an order, oldest first, declined and voided ones too."""
        return await self.queries.find(order_id)

    async def standing(self, order_id: str) -> Standing:
        """How an order stands: what is authorised, captured, settled and given back."""
        return standing(await self.queries.find(order_id))

    async def get(self, transaction_ids: Sequence[str]) -> dict[str, Transaction]:
        """The transactions of these ids; what is not there is left out."""
        return await self.queries.by_ids(transaction_ids)

    async def transactions(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[Transaction]:
        """Every transaction that changed in this time."""
        async for page in self.queries.transactions(since, until):
            for found in page:
                yield found

    async def settlements(self, since: datetime, until: datetime | None = None) -> list[Settlement]:
        """The batches settled in this time, oldest first."""
        return await self.queries.settlements(since, until)

    async def keep_customer(
        self, vault_id: str, token: str, *, person: Mapping[str, str] | None = None
    ) -> VaultCustomer:
        """Put the card behind a one-time token into the vault under an id of ours, unless that id is there.

        `person` has the Business API's words: FirstName, LastName, CompanyName, Email, Phone, Line1, City and so on.
        """
        return await self.vault.keep(vault_id, token, person_form(person or {}))

    async def change_customer(self, vault_id: str, *, person: Mapping[str, str], token: str = "") -> VaultCustomer:
        """Change what is named of a vault customer; a new token replaces its card."""
        return await self.vault.change(vault_id, person_form(person), token)

    async def forget_customer(self, vault_id: str) -> bool:
        """Remove a customer and its card from the vault; False when it was not there."""
        return await self.vault.forget(vault_id)

    async def customer(self, vault_id: str) -> VaultCustomer | None:
        """A customer of the vault, or None."""
        return await self.queries.customer(vault_id)

    def charge(
        self,
        kind: PaymentType,
        order_id: str,
        amount: Decimal,
        currency: str,
        vault_id: str,
        token: str,
        details: Details | None,
        tried_at: datetime | None,
    ) -> Charge:
        """A charge as it is looked for and sent."""
        return Charge(
            type=kind,
            order_id=order_id,
            amount=amount,
            currency=currency or self.settings.currency,
            vault_id=vault_id,
            token=token,
            details=(details or Details()).form(),
            tried_at=tried_at,
        )

    async def close(self) -> None:
        """Free the sockets."""
        await self.http.close()


def person_form(person: Mapping[str, str]) -> dict[str, str]:
    """A person and address in the gateway's words; unknown names are left out."""
    words = {**PERSON, **ADDRESS}
    return {words[name]: str(value) for name, value in person.items() if name in words and value is not None}
