"""Webhooks: registered at the other side, verified when they come, and read as hints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from isthmus.connectors.rest.manifest import Envelope, Manifest, Subscriptions
from isthmus.connectors.rest.settings import RestSettings
from isthmus.connectors.rest.wire import Wire, address
from isthmus.sdk import Clock, Delivery, Hint, HookStatus, InvalidRecord, Misconfigured, WebhookRequest
from isthmus.sdk.answers import decode_json, dig
from isthmus.sdk.statuses import Meaning
from isthmus.sdk.webhook import body_digest, verify


class Hooks:
    """The webhooks of one connection."""

    def __init__(self, manifest: Manifest, settings: RestSettings, wire: Wire, clock: Clock) -> None:
        self._manifest = manifest
        self._settings = settings
        self._wire = wire
        self._clock = clock

    def receive(self, request: WebhookRequest) -> Delivery:
        """Verify a delivery, then say what it hints at; an event of no interest hints at nothing."""
        told = self._manifest.webhooks
        if told is None:
            raise Misconfigured(
                f"receiving a webhook from {self._manifest.name}: its manifest describes none",
                hint="Describe `webhooks` in the manifest, or let polling find the changes.",
            )
        secrets = self._settings.webhook_secrets()
        verify(told.signature, request.headers, request.body, secrets, self._clock.now())
        decoded = decode_json(request.body)
        envelope = told.envelope
        found = dig(decoded, envelope.rows) if envelope.rows else decoded
        events = found if isinstance(found, list) else [found]
        if not all(isinstance(event, Mapping) for event in events):
            raise InvalidRecord(
                f"reading a webhook delivery from {self._manifest.name}: its body holds no events",
                hint="Check the envelope of the webhooks in the manifest.",
            )
        headers = request.headers
        named = headers.get(envelope.id_header.lower()) if envelope.id_header else None
        if named is None and envelope.id and len(events) == 1:
            said = dig(events[0], envelope.id)
            named = None if said is None else str(said)
        hints = [hint for event in events for hint in self._hints(envelope, event, headers)]
        return Delivery(delivery_id=named or body_digest(request.body), hints=hints)

    async def install(self, entities: Sequence[str], url: str) -> list[HookStatus]:
        """One registration of ours at `url` with exactly the events needed and our secret; others are left alone."""
        told = self._subscriptions()
        wanted = self._events(entities)
        mine = await self._mine(told, url)
        keep = next((row for row in mine if set(_names(row.get(told.events_field))) == set(wanted)), None)
        if keep is not None and not await self._renewed(told, keep):
            keep = None
        if keep is None and wanted:
            await self._register(told, url, wanted)
        for row in mine:  # only now, so that no event falls between the old registration and the new one
            if row is not keep:
                await self._drop(told, row)
        return await self.status(entities, url)

    async def _register(self, told: Subscriptions, url: str, wanted: Sequence[str]) -> None:
        body: dict[str, Any] = {**told.extra, told.url_field: url, told.events_field: list(wanted)}
        if told.secret_field and self._settings.webhook_secret:
            body[told.secret_field] = self._settings.webhook_secret.reveal()
        doing = f"registering webhooks of {self._manifest.name}"
        answer = await self._wire.call("POST", told.path, doing=doing, body=body)
        if answer.meaning is not Meaning.OK:
            raise self._wire.failure(answer, doing, scope="webhooks:manage")

    async def _renewed(self, told: Subscriptions, row: Mapping[str, Any]) -> bool:
        """Whether a registration that stands signs with our secret from now on; nobody tells what it signs with."""
        secret = self._settings.webhook_secret
        if not told.secret_field or not secret:
            return True
        if told.renew_path is None:
            return False
        doing = f"giving a webhook registration of {self._manifest.name} its secret"
        path = address(told.renew_path, str(row.get(told.id_field)))
        answer = await self._wire.call("POST", path, doing=doing, body={told.secret_field: secret.reveal()})
        if answer.meaning is Meaning.GONE:
            return False
        if answer.meaning is not Meaning.OK:
            raise self._wire.failure(answer, doing, scope="webhooks:manage")
        return True

    async def remove(self, url: str) -> None:
        """Take every registration for `url` away."""
        told = self._subscriptions()
        for row in await self._mine(told, url):
            await self._drop(told, row)

    async def status(self, entities: Sequence[str], url: str) -> list[HookStatus]:
        """How the registrations stand for each Entity."""
        told = self._subscriptions()
        mine = await self._mine(told, url)
        out: list[HookStatus] = []
        for entity in entities:
            wanted = set(self._events([entity]))
            if not wanted:
                out.append(HookStatus(entity=entity, installed=False, detail="this entity sends no events"))
                continue
            holder = next((row for row in mine if wanted <= set(_names(row.get(told.events_field)))), None)
            missing = wanted - {name for row in mine for name in _names(row.get(told.events_field))}
            detail = "registered" if holder else f"not registered: {', '.join(sorted(missing or wanted))}"
            remote = None if holder is None else str(holder.get(told.id_field))
            out.append(HookStatus(entity=entity, installed=holder is not None, detail=detail, remote_id=remote))
        return out

    def _hints(self, envelope: Envelope, event: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[Hint]:
        kind = headers.get(envelope.type_header.lower(), "") if envelope.type_header else dig(event, envelope.type)
        known = self._manifest.events.get(str(kind))
        key = dig(event, envelope.key)
        if known is None or key in (None, ""):
            return
        entity, what = known
        spec = self._manifest.entities[entity]
        own = str(key)
        if spec.parent is not None:
            # A child is reached through its parent; without the parent's key the parent's own event tells.
            parent = dig(event, envelope.parent) if envelope.parent else None
            if parent in (None, ""):
                return
            own = f"{parent}/{own}"
        version = dig(event, envelope.version) if envelope.version else None
        yield Hint(
            entity=entity,
            key=own,
            occurred_at=_instant(dig(event, envelope.occurred_at)) if envelope.occurred_at else None,
            version=None if version is None else str(version),
            gone=what == "gone",
        )

    def _events(self, entities: Sequence[str]) -> list[str]:
        """The events of these Entities and of the parents that children are read from."""
        names = dict.fromkeys(entities)
        for entity in entities:
            parent = self._manifest.entities[entity].parent if entity in self._manifest.entities else None
            if parent is not None:
                names[parent.entity] = None
        specs = [self._manifest.entities[name] for name in names if name in self._manifest.entities]
        return sorted({event for spec in specs for event in spec.events})

    async def _mine(self, told: Subscriptions, url: str) -> list[Mapping[str, Any]]:
        doing = f"reading the webhook registrations of {self._manifest.name}"
        answer = await self._wire.call("GET", told.path, doing=doing, reads_only=True)
        if answer.meaning is not Meaning.OK:
            raise self._wire.failure(answer, doing, scope="webhooks:manage")
        path = self._manifest.wording.rows if told.rows is None else (told.rows or None)
        found = dig(answer.decoded, path)
        rows = [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
        return [row for row in rows if row.get(told.url_field) == url]

    async def _drop(self, told: Subscriptions, row: Mapping[str, Any]) -> None:
        doing = f"removing a webhook registration of {self._manifest.name}"
        answer = await self._wire.call("DELETE", f"{told.path}/{row.get(told.id_field)}", doing=doing)
        if answer.meaning not in (Meaning.OK, Meaning.GONE):
            raise self._wire.failure(answer, doing, scope="webhooks:manage")

    def _subscriptions(self) -> Subscriptions:
        told = self._manifest.webhooks
        if told is None or told.subscriptions is None:
            raise Misconfigured(
                f"registering webhooks of {self._manifest.name}: it has no endpoint for that",
                hint="Register the webhooks by hand in that system, or rely on polling.",
            )
        return told.subscriptions


def _names(events: Any) -> list[str]:
    return [str(event) for event in events] if isinstance(events, list) else []


def _instant(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if found is None:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
