"""Moves money at most once: looks before it sends, and after an answer was lost looks instead of sending again."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from weakref import WeakValueDictionary

from isthmus.connectors.bng_gateway.querying import Queries
from isthmus.connectors.bng_gateway.settings import GatewaySettings
from isthmus.connectors.bng_gateway.values import Transaction
from isthmus.connectors.bng_gateway.wire import Wire, refusal, said
from isthmus.connectors.bng_gateway.words import ACTION_OF_TYPE, PaymentType, Status, money
from isthmus.model.card import mask
from isthmus.sdk import Clock, IsthmusError, OutcomeUnknown, RefusedByTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A transaction that is to be made. One order id, type and amount is one charge, however often it is asked for.

    The source is a customer of the vault or a one-time token of the gateway's own form. `details` are further
    parameters in the gateway's words. `tried_at` is when it was first sent, when the caller knows that it may have
    been: then it is not sent again before that request surely has ended.
    """

    type: PaymentType
    order_id: str
    amount: Decimal
    currency: str
    vault_id: str = ""
    token: str = field(default="", repr=False)
    details: Mapping[str, str] = field(default_factory=dict)
    tried_at: datetime | None = None

    @property
    def doing(self) -> str:
        """What an error says of it."""
        return f"making a {self.type.value} of {mask(str(self.amount))} {self.currency} for order {mask(self.order_id)}"

    @property
    def name(self) -> str:
        """Under which it is remembered while its outcome is unknown."""
        return f"{self.type.value} {self.order_id} {self.amount} {self.currency}"


class Unknowns:
    """Requests that brought no answer, until they surely have ended at the other side."""

    def __init__(self, clock: Clock, ceiling: float) -> None:
        self._clock = clock
        self._ceiling = ceiling
        self._sent: dict[str, float] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """One at a time for equal names: the second finds what the first did."""
        lock = self._turns.setdefault(name, asyncio.Lock())
        async with lock:
            yield

    def note(self, name: str) -> None:
        """It was sent just now, and nobody knows what became of it."""
        self._sent[name] = self._clock.monotonic()

    def settle(self, name: str) -> None:
        """It is known what became of it."""
        self._sent.pop(name, None)

    def is_open(self, name: str) -> bool:
        """Whether it may still take effect."""
        return name in self._sent and self._clock.monotonic() - self._sent[name] < self._ceiling

    def hold(self, name: str, doing: str, record: str, tried_at: datetime | None) -> None:
        """Raise OutcomeUnknown while an earlier try may still take effect."""
        left = 0.0
        if tried_at is not None:
            left = self._ceiling - (self._clock.now() - tried_at).total_seconds()
        if name in self._sent:
            left = max(left, self._ceiling - (self._clock.monotonic() - self._sent[name]))
        if left > 0:
            raise OutcomeUnknown(
                f"{doing}: an earlier try brought no answer and is not there (yet); nothing was sent",
                record=record,
                hint=f"It is looked for again, and sent again only when {left:.0f} s have passed without it.",
                facts={"wait_seconds": round(left, 1)},
            )
        self.settle(name)


class Charger:
    """Sales, authorisations, credits and validations."""

    def __init__(self, settings: GatewaySettings, wire: Wire, queries: Queries, unknowns: Unknowns) -> None:
        self._settings = settings
        self._wire = wire
        self._queries = queries
        self._unknowns = unknowns

    async def made(self, wanted: Charge) -> Transaction | None:
        """The charge if it was made; None when surely no trace of it is there. Only reads.

        Raises RefusedByTarget when it was made and voided since, OutcomeUnknown when the gateway itself does not know.
        """
        return made_in(await self._queries.find(wanted.order_id), wanted)

    async def charge(self, wanted: Charge, *, wait: bool = True) -> Transaction:
        """Make it, unless it is made. Raises RefusedByTarget when it is declined, OutcomeUnknown when nobody knows.

        Without `wait` a lost answer is told as unknown at once, for a caller that reads back by itself.
        """
        form = self._form(wanted)
        record = mask(wanted.order_id)
        async with self._unknowns.turn(wanted.name):
            before = await self._queries.find(wanted.order_id)
            found = made_in(before, wanted)
            if found is not None:
                self._unknowns.settle(wanted.name)
                return dataclasses.replace(found, repeated=True)
            self._unknowns.hold(wanted.name, wanted.doing, record, wanted.tried_at)
            try:
                reply = await self._wire.transact(form, doing=wanted.doing, record=record)
            except OutcomeUnknown as error:
                self._unknowns.note(wanted.name)
                if not wait:
                    raise
                return await self._look(wanted, before, error)
            if reply.duplicate:
                why = RefusedByTarget(
                    f"{wanted.doing}: the gateway takes it for a repetition of another charge; nothing was charged",
                    record=record,
                    answered=said(reply),
                    hint="Look at the card's last charges in the gateway; if this one is meant as well, try again "
                    "later or shorten dup_seconds of the connection.",
                    facts={"response_code": reply.code},
                )
                return await self._look(wanted, before, why)
            if not reply.approved:
                raise refusal(reply, wanted.doing, record)
            if not reply.get("transactionid"):
                return await self._look(wanted, before, OutcomeUnknown(f"{wanted.doing}: approved without an id"))
            status = {
                PaymentType.AUTHORIZATION: Status.AUTHORIZED,
                PaymentType.VALIDATION: Status.AUTHORIZED,
            }.get(wanted.type, Status.CAPTURED if wanted.type is PaymentType.SALE else Status.PENDING_SETTLEMENT)
            return Transaction(
                id=reply.get("transactionid"),
                type=wanted.type,
                status=status,
                amount=wanted.amount,
                currency=wanted.currency,
                order_id=wanted.order_id,
                vault_id=reply.get("customer_vault_id") or wanted.vault_id,
                auth_code=reply.get("authcode"),
                code=reply.code,
                text=reply.text,
                test=self._settings.test_mode,
                partial=True,
            )

    def _form(self, wanted: Charge) -> dict[str, str]:
        doing = wanted.doing
        checked = wanted.type is PaymentType.VALIDATION
        form = {
            "type": ACTION_OF_TYPE[wanted.type],
            "amount": "0.00" if checked else money(wanted.amount, doing, record=mask(wanted.order_id)),
            "currency": wanted.currency,
            "orderid": wanted.order_id,
            **wanted.details,
        }
        if not wanted.order_id or bool(wanted.vault_id) == bool(wanted.token):
            raise RefusedByTarget(
                f"{doing}: it needs an order id, and either a vault customer or a token",
                record=mask(wanted.order_id),
                hint="Give order_id, and vault_id or payment_token; never both, and never a card.",
            )
        form |= {"customer_vault_id": wanted.vault_id} if wanted.vault_id else {"payment_token": wanted.token}
        if self._settings.dup_seconds is not None and not checked:
            form["dup_seconds"] = str(self._settings.dup_seconds)
        return form

    async def _look(self, wanted: Charge, before: Sequence[Transaction], why: IsthmusError) -> Transaction:
        """What became of a request without an answer, or of the charge that it is said to repeat."""
        known = {t.id for t in before}

        async def look() -> Transaction | None:
            after = await self._queries.find(wanted.order_id)
            found = made_in(after, wanted)
            if found is not None:
                return found
            refused = [t for t in after if t.id not in known and t.dead and matches(t, wanted)]
            return refused[-1] if refused and isinstance(why, OutcomeUnknown) else None

        found = await looked_for(look, self._settings.look_again)
        if found is None:
            if isinstance(why, OutcomeUnknown) or self._unknowns.is_open(wanted.name):
                raise OutcomeUnknown(
                    why.doing, record=why.record, answered=why.answered, facts={**why.facts, "order_id": why.record}
                ) from why
            raise why
        self._unknowns.settle(wanted.name)
        if found.dead:
            raise RefusedByTarget(
                f"{wanted.doing}: declined",
                record=mask(wanted.order_id),
                answered=f"{found.text or 'no words'} (code {found.code})",
                facts={"response_code": found.code, "transaction_id": found.id},
            ) from why
        return found


async def looked_for(look: Callable[[], Awaitable[Transaction | None]], waits: Sequence[float]) -> Transaction | None:
    """Look at once, then after each of `waits`; a look that fails is one that finds nothing."""
    for wait in (0.0, *waits):
        if wait:
            await asyncio.sleep(wait)
        try:
            found = await look()
        except (OutcomeUnknown, RefusedByTarget):
            raise
        except IsthmusError:
            continue
        if found is not None:
            return found
    return None


def matches(found: Transaction, wanted: Charge) -> bool:
    """Whether a transaction of the order is this charge: by type, amount and currency."""
    if found.type is not wanted.type or (found.currency and found.currency != wanted.currency):
        return False
    return wanted.type is PaymentType.VALIDATION or found.authorized == wanted.amount


def made_in(transactions: Sequence[Transaction], wanted: Charge) -> Transaction | None:
    """The charge among the transactions of its order. Raises when it stands there otherwise than as made."""
    same = [t for t in transactions if matches(t, wanted)]
    live = next((t for t in same if t.live), None)
    if live is not None:
        return live
    record = mask(wanted.order_id)
    unclear = next((t for t in same if t.status is Status.UNKNOWN), None)
    if unclear is not None:
        raise OutcomeUnknown(
            f"{wanted.doing}: the gateway does not know yet what became of transaction {unclear.id}",
            record=record,
            answered=f"{unclear.text or 'no words'} (code {unclear.code})",
            hint="It is looked at again by itself. If it stays unknown, ask the gateway's support.",
            facts={"transaction_id": unclear.id, "response_code": unclear.code},
        )
    voided = next((t for t in same if t.status is Status.VOIDED), None)
    if voided is not None:
        raise RefusedByTarget(
            f"{wanted.doing}: it was made and then voided",
            record=record,
            answered=f"transaction {voided.id} is voided",
            hint="To charge the order once more, give the new charge an order id of its own.",
            facts={"transaction_id": voided.id},
        )
    return None
