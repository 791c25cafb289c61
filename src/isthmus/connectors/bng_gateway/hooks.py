"""Webhooks of the gateway: verified, told apart by their event id, and read as hints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from isthmus.connectors.bng_gateway.answers import moment
from isthmus.connectors.bng_gateway.entities import CHARGEBACK, SETTLEMENT, TRANSACTION
from isthmus.connectors.bng_gateway.settings import GatewaySettings
from isthmus.model.card import mask_all
from isthmus.sdk import Clock, Delivery, Hint, HookStatus, InvalidRecord, Record, WebhookRequest
from isthmus.sdk.answers import decode_json
from isthmus.sdk.webhook import body_digest, verify

EVENTS: Mapping[str, tuple[str, ...]] = {
    TRANSACTION: tuple(
        f"transaction.{what}.{how}"
        for what in ("sale", "auth", "capture", "void", "refund", "credit", "validate")
        for how in ("success", "failure", "unknown")
    ),
    SETTLEMENT: ("settlement.batch.complete", "settlement.batch.failure"),
    CHARGEBACK: ("chargeback.batch.complete",),
}
"""The events of each Entity, as they are ticked in the gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A delivery as it was understood; `body` is free of card numbers."""

    id: str
    type: str
    body: Mapping[str, Any]

    @property
    def entity(self) -> str | None:
        """The Entity it is about; None for events that say nothing about payments."""
        return next((entity for entity, names in EVENTS.items() if self.type in names), None)


def read_event(body: bytes) -> Event:
    """The event in a delivery that was verified; InvalidRecord when it holds none."""
    told = decode_json(body)
    found = told.get("event_body") if isinstance(told, Mapping) else None
    kind = told.get("event_type") if isinstance(told, Mapping) else None
    if not isinstance(told, Mapping) or not isinstance(kind, str) or not isinstance(found, Mapping):
        raise InvalidRecord(
            "reading a webhook delivery of the gateway: its body holds no event",
            hint="Check that only the gateway delivers to this address.",
        )
    key = told.get("event_id")
    return Event(id=str(key) if key else body_digest(body), type=kind, body=mask_all(found))


def receive(settings: GatewaySettings, request: WebhookRequest, clock: Clock) -> Delivery:
    """Verify a delivery, then say what it hints at. The stamp in its signature is opaque: no age is derived from it."""
    verify(settings.signature, request.headers, request.body, settings.webhook_keys(), clock.now())
    event = read_event(request.body)
    return Delivery(delivery_id=event.id, hints=hints(event))


def hints(event: Event) -> list[Hint]:
    """What to look at because of an event."""
    match event.entity:
        case "transaction":
            action = event.body.get("action")
            at = moment(str(action.get("date", ""))) if isinstance(action, Mapping) else None
            return [_look(key, at) for key in _ids([event.body.get("transaction_id")])]
        case "settlement_batch":
            batch = _text(event.body, "batch_id")
            at = moment(_text(event.body, "date"))
            found = [Hint(entity=SETTLEMENT, key=batch, occurred_at=at)] if batch else []
            return [*found, *(_look(key, at) for key in _ids(event.body.get("transaction_ids")))]
        case "chargeback_batch":
            record = chargeback_record(event)
            rows: Sequence[Mapping[str, Any]] = record.values["Chargebacks"]
            found = [Hint(entity=CHARGEBACK, key=record.key, record=record)]
            return [*found, *(_look(key, None) for key in _ids([row["TransactionID"] for row in rows]))]
        case _:
            return []


def chargeback_record(event: Event) -> Record:
    """The chargebacks of an event as a Record: the gateway cannot be asked for them later."""
    told = event.body.get("chargebacks")
    rows = [row for row in told if isinstance(row, Mapping)] if isinstance(told, Sequence) else []
    found = [
        {
            "TransactionID": _text(row, "id"),
            "Amount": _amount(row.get("amount")),
            "Date": moment(_text(row, "date")),
            "Reason": _text(row, "reason"),
        }
        for row in rows
    ]
    amount = sum((_amount(row.get("amount")) for row in rows), Decimal("0.00"))
    values = {"BatchID": event.id, "Amount": amount, "Chargebacks": found}
    return Record(key=event.id, values=values)


def by_hand(entities: Sequence[str], url: str) -> list[HookStatus]:
    """How webhooks are set up: the gateway has no way to do it by program. No entities: all that send events."""
    return [
        HookStatus(
            entity=entity,
            installed=False,
            detail=f"in the gateway, under Settings > Webhooks, add {url} with the events "
            f"{', '.join(EVENTS[entity])}; then give its signing key as webhook_signing_key"
            if entity in EVENTS
            else "the gateway sends no events about it; it is polled",
        )
        for entity in entities or EVENTS
    ]


def _look(key: str, at: datetime | None) -> Hint:
    return Hint(entity=TRANSACTION, key=key, occurred_at=at)


def _ids(found: Any) -> list[str]:
    """Transaction ids out of what a sender wrote: numbers, or texts of digits; each once."""
    listed = found if isinstance(found, list) else []
    texts = [str(value) for value in listed if isinstance(value, int | str) and not isinstance(value, bool)]
    return [text for text in dict.fromkeys(texts) if text.isascii() and text.isdigit()]


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None or isinstance(value, Mapping | list) else str(value)


def _amount(value: Any) -> Decimal:
    try:
        return Decimal(str(value)).quantize(Decimal("0.01"))
    except InvalidOperation:
        return Decimal("0.00")
