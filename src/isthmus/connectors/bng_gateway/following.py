"""What is done to a transaction that is there: captured, voided, refunded, its texts changed; each at most once."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal

from isthmus.connectors.bng_gateway.charging import Unknowns, looked_for
from isthmus.connectors.bng_gateway.querying import Queries
from isthmus.connectors.bng_gateway.settings import GatewaySettings
from isthmus.connectors.bng_gateway.values import Transaction, belongs
from isthmus.connectors.bng_gateway.wire import Wire, refusal
from isthmus.connectors.bng_gateway.words import PaymentType, Status, money
from isthmus.model.card import mask
from isthmus.sdk import Ambiguous, OutcomeUnknown, RefusedByTarget

Look = Callable[[], Awaitable[Transaction | None]]


class Follower:
    """Captures, voids, refunds and updates."""

    def __init__(self, settings: GatewaySettings, wire: Wire, queries: Queries, unknowns: Unknowns) -> None:
        self._settings = settings
        self._wire = wire
        self._queries = queries
        self._unknowns = unknowns

    async def captured(self, transaction_id: str, amount: Decimal | None) -> Transaction | None:
        """The transaction if its capture was made; raises RefusedByTarget when it cannot be (any more). Only reads."""
        doing = f"capturing transaction {mask(transaction_id)}"
        found = await self.one(transaction_id, doing)
        if found.type is PaymentType.AUTHORIZATION and found.status is Status.AUTHORIZED:
            return None
        if not found.money_in or found.type is not PaymentType.AUTHORIZATION:
            raise _cannot(doing, found, "only an authorisation that stands can be captured")
        if amount is not None and found.captured != amount:
            raise _cannot(doing, found, f"{found.captured} of it is captured already, which can be done once only")
        return found

    async def capture(
        self, transaction_id: str, amount: Decimal | None, details: Mapping[str, str], tried_at: datetime | None
    ) -> Transaction:
        """Capture an authorisation, whole or in part; what is left of it is released."""
        doing = f"capturing transaction {mask(transaction_id)}"
        form = {"type": "capture", "transactionid": transaction_id, **details}
        if amount is not None:
            form["amount"] = money(amount, doing, record=mask(transaction_id))

        async def look() -> Transaction | None:
            return await self.captured(transaction_id, amount)

        return await self._once(doing, mask(transaction_id), form, look, tried_at, name=f"capture {transaction_id}")

    async def voided(self, transaction_id: str) -> Transaction | None:
        """The transaction if it is voided; raises RefusedByTarget when it cannot be (any more). Only reads."""
        doing = f"voiding transaction {mask(transaction_id)}"
        found = await self.one(transaction_id, doing)
        if found.status is Status.VOIDED:
            return found
        if found.status is Status.SETTLED:
            raise _cannot(doing, found, "it is settled", hint="Refund it instead.")
        if found.dead:
            raise _cannot(doing, found, "it never took place")
        return None

    async def void(self, transaction_id: str, tried_at: datetime | None) -> Transaction:
        """Undo a transaction that is not settled yet."""

        async def look() -> Transaction | None:
            return await self.voided(transaction_id)

        form = {"type": "void", "transactionid": transaction_id}
        doing = f"voiding transaction {mask(transaction_id)}"
        return await self._once(doing, mask(transaction_id), form, look, tried_at, name=f"void {transaction_id}")

    async def refunds(self, original: Transaction) -> list[Transaction]:
        """The refunds of a transaction, oldest first, whatever became of them."""
        if original.order_id:
            found = await self._queries.find(original.order_id)
        else:
            found = []
            async for page in self._queries.transactions(original.created_at, None, action_type="refund"):
                found.extend(page)
        return [t for t in found if belongs(t, original)]

    async def refunded(
        self, original: Transaction, amount: Decimal, key: str, number: int | None
    ) -> Transaction | None:
        """The refund if it was made. Only reads.

        By `key` where the gateway kept it; else `number` says which refund of this amount is meant, the first or a
        later one. Without either an equal refund that cannot be told apart raises Ambiguous.
        """
        found = await self.refunds(original)
        mine = [t for t in [*found, *await self._by_key(key, original)] if t.live and key and self._carries(t, key)]
        if mine:
            return mine[0]
        equal = [t for t in found if t.live and t.amount == amount]
        if number is not None:
            return equal[number - 1] if len(equal) >= number else None
        if not key:
            return equal[0] if equal else None
        unclear = [t for t in equal if not self._is_anothers(t, original)]
        if unclear:
            raise Ambiguous(
                f"refunding {amount} of transaction {original.id}: a refund of the same amount is there",
                record=mask(key),
                answered=f"refund {unclear[0].id} of {unclear[0].created_at}",
                hint="If that is the one, nothing is left to do. If another one is meant, say which by its number: "
                f"number={len(equal) + 1}.",
                facts={"refund_id": unclear[0].id, "number": len(equal) + 1},
            )
        return None

    async def refund(
        self,
        transaction_id: str,
        amount: Decimal | None,
        *,
        key: str = "",
        number: int | None = None,
        tried_at: datetime | None = None,
        wait: bool = True,
    ) -> Transaction:
        """Give money of a captured transaction back; without an amount, all that is left of it."""
        doing = f"refunding transaction {mask(transaction_id)}"
        original = await self.one(transaction_id, doing)
        if not original.money_in:
            raise _cannot(doing, original, "no money came in by it", hint="Void it if it is authorised only.")
        if amount is None:
            amount = original.captured - sum((t.amount for t in await self.refunds(original) if t.live), Decimal(0))
            if amount <= 0:
                raise _cannot(doing, original, "all of it was given back already")
        form = {"type": "refund", "transactionid": transaction_id}
        form["amount"] = money(amount, doing, record=mask(transaction_id))
        if key:
            form["orderid"] = key
            if self._settings.reference_field:
                form[f"merchant_defined_field_{self._settings.reference_field}"] = key
        wanted, meant = amount, number
        before = {t.id for t in await self.refunds(original)}

        async def look() -> Transaction | None:
            return await self.refunded(original, wanted, key, meant)

        async def look_again() -> Transaction | None:
            fresh = [t for t in await self.refunds(original) if t.id not in before and t.amount == wanted]
            fresh += [t for t in await self._by_key(key, original) if t.id not in before]
            return next((t for t in fresh if t.live), next((t for t in fresh if t.dead), None))

        name = f"refund {transaction_id} {amount} {key or number or 1}"
        found = await self._once(
            doing, mask(transaction_id), form, look, tried_at, name=name, again=look_again, wait=wait
        )
        if found.id == transaction_id:  # told by the answer, which speaks of the original's order
            raise OutcomeUnknown(f"{doing}: the answer does not name the refund", record=mask(transaction_id))
        return found

    async def update(self, transaction_id: str, details: Mapping[str, str]) -> None:
        """Change texts of a transaction; repeating it does no harm."""
        doing = f"updating transaction {mask(transaction_id)}"
        form = {"type": "update", "transactionid": transaction_id, **details}
        reply = await self._wire.transact(form, doing=doing, record=mask(transaction_id))
        if not reply.approved:
            raise refusal(reply, doing, mask(transaction_id))

    async def one(self, transaction_id: str, doing: str) -> Transaction:
        """The transaction of this id; RefusedByTarget when there is none."""
        found = (await self._queries.by_ids([transaction_id])).get(transaction_id)
        if found is None:
            raise RefusedByTarget(
                f"{doing}: there is no such transaction",
                record=mask(transaction_id),
                hint="Check the transaction id, and that it belongs to this merchant account.",
            )
        return found

    async def _once(
        self,
        doing: str,
        record: str,
        form: Mapping[str, str],
        look: Look,
        tried_at: datetime | None,
        *,
        name: str,
        again: Look | None = None,
        wait: bool = True,
    ) -> Transaction:
        """Send unless `look` finds it done; after a lost answer look (by `again` where given) instead of sending.

        Without `wait` a lost answer is told as unknown at once.
        """
        async with self._unknowns.turn(name):
            done = await look()
            if done is not None:
                self._unknowns.settle(name)
                return dataclasses.replace(done, repeated=True)
            self._unknowns.hold(name, doing, record, tried_at)
            try:
                reply = await self._wire.transact(form, doing=doing, record=record)
            except OutcomeUnknown as error:
                self._unknowns.note(name)
                if not wait:
                    raise
                found = await looked_for(again or look, self._settings.look_again)
                if found is None:
                    raise error
                self._unknowns.settle(name)
                if found.dead:
                    answered = f"{found.text or 'no words'} (code {found.code})"
                    raise RefusedByTarget(f"{doing}: declined", record=record, answered=answered) from error
                return found
            if not reply.approved:
                done = await look()  # somebody else may have done it between the look and the request
                if done is None:
                    raise refusal(reply, doing, record)
                return dataclasses.replace(done, repeated=True)
            return await self._told(form, reply.get("transactionid") or record, doing)

    async def _told(self, form: Mapping[str, str], transaction_id: str, doing: str) -> Transaction:
        """The transaction after an approval, as the gateway tells it now."""
        found = (await self._queries.by_ids([transaction_id])).get(transaction_id)
        if found is not None:
            return found
        kinds = {"refund": PaymentType.REFUND}
        status = Status.VOIDED if form["type"] == "void" else Status.PENDING_SETTLEMENT
        return Transaction(
            id=transaction_id,
            type=kinds.get(form["type"]),
            status=status,
            amount=Decimal(form.get("amount", "0")),
            partial=True,
        )

    async def _by_key(self, key: str, original: Transaction) -> list[Transaction]:
        """Refunds that the gateway keeps under our own key."""
        if not key or key == original.order_id:
            return []
        found = await self._queries.find(key)
        if self._settings.reference_field:
            found += await self._queries.by_reference(self._settings.reference_field, key)
        return [t for t in found if t.type is PaymentType.REFUND]

    def _carries(self, found: Transaction, key: str) -> bool:
        field = self._settings.reference_field
        return found.order_id == key or bool(field and found.references.get(field) == key)

    def _is_anothers(self, found: Transaction, original: Transaction) -> bool:
        """Whether a refund carries another key of ours, so that it is surely not the one looked for."""
        field = self._settings.reference_field
        return found.order_id not in ("", original.order_id) or bool(field and found.references.get(field))


def _cannot(doing: str, found: Transaction, why: str, hint: str | None = None) -> RefusedByTarget:
    return RefusedByTarget(
        f"{doing}: {why}",
        record=found.id,
        answered=f"it is {found.status.value}",
        hint=hint or "Look at the transaction in the gateway; nothing was sent.",
        facts={"transaction_id": found.id, "status": found.status.value},
    )
