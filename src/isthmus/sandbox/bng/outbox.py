"""Keeps events for delivery in the same transaction as the write that caused them."""

from __future__ import annotations

from ..parts import outbox
from .schema import Entity
from .store import Store
from .subscriptions import Subscriptions
from .values import encode


class Outbox(outbox.Outbox):
    """The events that are not delivered yet."""

    def __init__(self, store: Store, subscriptions: Subscriptions) -> None:
        super().__init__(store)
        self._store = store
        self._subscriptions = subscriptions

    def put(self, event_type: str, entity: Entity, key: str, version: int, occurred: str, raw: bytes) -> None:
        """Keep an event for every subscription that wants it; they are told of it after the commit."""
        wanted = [s for s in self._subscriptions if s.wants(event_type)]
        if not wanted:
            return
        event_id = self._store.new_id()
        head = {
            "EventID": event_id,
            "EventType": event_type,
            "OccurredAt": occurred,
            "Entity": entity.name,
            "EntityID": key,
            "Version": version,
        }
        start = encode(head)[:-1] + b',"Data":'
        for subscription in wanted:
            data = raw if subscription.payload == "full" else encode({entity.id: key})
            self.add(subscription.id, event_id, event_type, start + data + b"}")
