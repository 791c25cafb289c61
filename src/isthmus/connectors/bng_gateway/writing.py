"""Writing Records: a transaction is made, captured or voided, a vault customer kept or changed; one call for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from isthmus.connectors.bng_gateway.charging import Charge
from isthmus.connectors.bng_gateway.entities import (
    CUSTOMER,
    SCHEMAS,
    TRANSACTION,
    check_paths,
    customer_record,
    transaction_record,
)
from isthmus.connectors.bng_gateway.gateway import Details, Gateway, person_form
from isthmus.connectors.bng_gateway.values import Transaction
from isthmus.connectors.bng_gateway.words import PaymentType, Status
from isthmus.model.card import mask
from isthmus.sdk import (
    Create,
    Delete,
    Failed,
    Gone,
    InvalidRecord,
    IsthmusError,
    Misconfigured,
    Outcome,
    OutcomeUnknown,
    Record,
    Stale,
    Unsure,
    Update,
    Written,
)

_DETAILS = {
    "Description": "description",
    "PONumber": "po_number",
    "TrackingNumber": "tracking_number",
    "Carrier": "carrier",
}
_CHARGES = (PaymentType.SALE, PaymentType.AUTHORIZATION, PaymentType.CREDIT, PaymentType.VALIDATION)


class Writer:
    """The writing verbs. A lost answer is Unsure here: who called reads back by the external key, as for any system."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def create(self, entity: str, items: Sequence[Create]) -> list[Outcome]:
        """One Outcome per item, in order."""
        return await _each(items, lambda item: self._create(entity, item), lambda item: item.external_key)

    async def update(self, entity: str, items: Sequence[Update]) -> list[Outcome]:
        """One Outcome per item, in order; Stale where the record moved, Gone where it is not there."""
        return await _each(items, lambda item: self._update(entity, item), lambda item: item.key)

    async def delete(self, entity: str, items: Sequence[Delete]) -> list[Outcome]:
        """One Outcome per item, in order; of the vault only."""
        return await _each(items, lambda item: self._delete(entity, item), lambda item: item.key)

    async def _create(self, entity: str, item: Create) -> Outcome:
        check_paths(entity, tuple(item.values))
        if entity == CUSTOMER:
            token, person = _text(item, "PaymentToken"), _person(item.values)
            kept = await self._gateway.vault.keep(item.external_key, token, person, wait=False)
            return self._written(customer_record(kept, ()), created=not kept.repeated)
        if entity != TRANSACTION:
            return _only_read(entity, item.external_key, "creates")
        _writable(entity, item)
        kind = _kind(item)
        if kind is PaymentType.REFUND:
            original = _text(item, "OriginalTransactionID")
            made = await self._gateway.follower.refund(original, _amount(item), key=item.external_key, wait=False)
        else:
            made = await self._gateway.charger.charge(self._charge(kind, item), wait=False)
        record = transaction_record(made, tuple(path for path in item.values if path != "PaymentToken"))
        return self._written(record, created=not made.repeated)

    def _charge(self, kind: PaymentType, item: Create) -> Charge:
        amount = Decimal("0.00") if kind is PaymentType.VALIDATION else _amount(item)
        return self._gateway.charge(
            kind,
            item.external_key,
            amount,
            _text(item, "CurrencyCode"),
            _text(item, "VaultID"),
            _text(item, "PaymentToken"),
            _details(item.values),
            None,
        )

    async def _update(self, entity: str, item: Update) -> Outcome:
        check_paths(entity, (*item.values, *item.expect))
        if entity not in (TRANSACTION, CUSTOMER):
            return _only_read(entity, item.key, "updates")
        before = await self._now(entity, item.key, tuple(item.expect))
        if before is None:
            return Gone(key=item.key)
        moved = any(before.values[path] != value for path, value in item.expect.items())
        if moved or (item.version is not None and item.version != before.version):
            return Stale(key=item.key)
        _writable(entity, item)
        if entity == CUSTOMER:
            token = item.values.get("PaymentToken") or ""
            await self._gateway.vault.change(item.key, _person(item.values), str(token))
        else:
            await self._change(item)
        after = await self._now(entity, item.key, tuple(p for p in item.values if p != "PaymentToken"))
        return self._written(after, created=False) if after else Written(key=item.key, created=False)

    async def _change(self, item: Update) -> None:
        """Captures and voids by Status; texts by an update of the transaction."""
        wanted = item.values.get("Status")
        details = _details(item.values)
        fixed = sorted(set(item.values) - {"Status", "Amount", *_DETAILS})
        if fixed or ("Amount" in item.values and wanted != Status.CAPTURED):
            raise InvalidRecord(
                f"updating transaction {mask(item.key)}: {', '.join(fixed) or 'Amount'} cannot be changed any more",
                hint="Capture or void it by its Status; for anything else void or refund it and make another one.",
            )
        if wanted == Status.CAPTURED:
            amount = item.values.get("Amount")
            await self._gateway.capture(item.key, None if amount is None else Decimal(str(amount)), details=details)
        elif wanted == Status.VOIDED:
            await self._gateway.void(item.key)
        elif wanted is not None:
            raise InvalidRecord(
                f"updating transaction {mask(item.key)}: its Status cannot be set to {mask(str(wanted))}",
                hint="Set it to Captured or Voided; the other states come about by themselves.",
            )
        if details.form() and wanted != Status.CAPTURED:
            await self._gateway.update(item.key, details)

    async def _delete(self, entity: str, item: Delete) -> Outcome:
        if entity != CUSTOMER:
            return _only_read(entity, item.key, "deletions")
        before = await self._now(entity, item.key, ())
        if before is None:
            return Gone(key=item.key)
        if item.version is not None and item.version != before.version:
            return Stale(key=item.key)
        gone = not await self._gateway.vault.forget(item.key)
        return Gone(key=item.key) if gone else Written(key=item.key, created=False)

    async def _now(self, entity: str, key: str, paths: Sequence[str]) -> Record | None:
        if entity == CUSTOMER:
            customer = await self._gateway.customer(key)
            return customer_record(customer, paths) if customer else None
        found: Transaction | None = (await self._gateway.get([key])).get(key)
        return transaction_record(found, paths) if found else None

    def _written(self, record: Record, *, created: bool) -> Written:
        # An answer to a write tells less than a reading, so its version would not be comparable.
        return Written(
            key=record.key, changed_at=record.changed_at, created_at=record.created_at, record=None, created=created
        )


async def _each(
    items: Sequence[Any], work: Callable[[Any], Awaitable[Outcome]], name: Callable[[Any], str]
) -> list[Outcome]:
    async def one(item: Any) -> Outcome:
        try:
            return await work(item)
        except OutcomeUnknown as error:
            error.record = error.record or mask(name(item))
            return Unsure(error=error)
        except IsthmusError as error:
            error.record = error.record or mask(name(item))
            return Failed(error=error)

    return list(await asyncio.gather(*(one(item) for item in items)))


def _only_read(entity: str, key: str, what: str) -> Outcome:
    return Failed(
        error=Misconfigured(
            f"writing {entity} {mask(key)}: the gateway takes no {what} of {entity}",
            record=mask(key),
            hint="Void or refund a transaction; batches are made by the gateway itself.",
        )
    )


def _writable(entity: str, item: Create | Update) -> None:
    told = sorted(path for path in item.values if SCHEMAS[entity].fields[path.partition(".")[0]].readonly)
    if told:
        raise InvalidRecord(
            f"writing {entity}: {', '.join(told)} is told by the gateway and cannot be set",
            hint="Leave it out of the mapping to the gateway.",
            facts={"fields": told},
        )


def _kind(item: Create) -> PaymentType:
    given = item.values.get("PaymentType")
    known = [kind.value for kind in (*_CHARGES, PaymentType.REFUND)]
    if given not in known:
        raise InvalidRecord(
            f"creating transaction {mask(item.external_key)}: PaymentType is {mask(str(given))!r}",
            hint=f"Use one of {', '.join(known)}. A capture and a void change the Status of a transaction.",
        )
    return PaymentType(given)


def _amount(item: Create) -> Decimal:
    given = item.values.get("Amount")
    if not isinstance(given, Decimal):
        raise InvalidRecord(
            f"creating transaction {mask(item.external_key)}: it has no Amount", hint="Map an exact amount."
        )
    return given


def _details(values: Mapping[str, Any]) -> Details:
    told: dict[str, Any] = {ours: str(values[name]) for name, ours in _DETAILS.items() if values.get(name) is not None}
    return Details(**told)


def _person(values: Mapping[str, Any]) -> dict[str, str]:
    """A person as the payment API wants it, out of the values of a vault customer."""
    address = values.get("BillingAddress")
    flat = {path.partition(".")[2]: v for path, v in values.items() if path.startswith("BillingAddress.")}
    told = {**values, **(address if isinstance(address, Mapping) else {}), **flat}
    return person_form({name: "" if value is None else value for name, value in told.items()})


def _text(item: Create, path: str) -> str:
    value = item.values.get(path)
    return "" if value is None else str(value)
