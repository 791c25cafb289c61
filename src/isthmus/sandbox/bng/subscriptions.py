"""Webhook subscriptions: who wants which events, in which form, signed with which secrets."""

from __future__ import annotations

import fnmatch
import secrets
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from ..parts.database import stamp_text
from .errors import Problem, invalid, not_found
from .schema import catalogue
from .store import Store

TABLES = "CREATE TABLE IF NOT EXISTS subscription (id TEXT PRIMARY KEY, client TEXT NOT NULL, doc TEXT NOT NULL);"


@lru_cache(maxsize=4096)
def _covers(patterns: tuple[str, ...], event_type: str) -> bool:
    return any(fnmatch.fnmatchcase(event_type, pattern) for pattern in patterns)


class Subscription(msgspec.Struct, kw_only=True):
    """One subscription. `old_secret` still signs, beside `secret`, until `old_secret_until` (microseconds)."""

    id: str
    url: str
    events: tuple[str, ...]
    payload: Literal["full", "id"]
    secret: str
    created: str
    old_secret: str | None = None
    old_secret_until: int = 0

    def wants(self, event_type: str) -> bool:
        """Whether one of its patterns (`customer.*`, `*`) covers the event."""
        return _covers(self.events, event_type)

    def secrets_at(self, stamp: int) -> tuple[str, ...]:
        """The secrets that sign now, the newest first."""
        if self.old_secret is not None and stamp < self.old_secret_until:
            return (self.secret, self.old_secret)
        return (self.secret,)

    def told(self, *, with_secret: bool = False) -> dict[str, Any]:
        """As the API shows it; the secret only when it was just made."""
        out = {
            "SubscriptionID": self.id,
            "Url": self.url,
            "Events": list(self.events),
            "Payload": self.payload,
            "CreatedAt": self.created,
        }
        return out | {"Secret": self.secret} if with_secret else out


class Subscriptions:
    """All subscriptions, kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.db.executescript(TABLES)
        self.load()

    def load(self) -> None:
        """Read them from the store."""
        rows = self._store.db.execute("SELECT client, doc FROM subscription ORDER BY id")
        self._all = {s.id: (client, s) for client, doc in rows for s in [msgspec.json.decode(doc, type=Subscription)]}

    def __iter__(self) -> Iterator[Subscription]:
        return (subscription for _, subscription in self._all.values())

    def of(self, client: str) -> list[Subscription]:
        """Those of one client."""
        return [subscription for owner, subscription in self._all.values() if owner == client]

    def get(self, key: str) -> Subscription | None:
        """One of them, whoever owns it."""
        found = self._all.get(key)
        return found[1] if found else None

    def owned(self, client: str, key: str) -> Subscription:
        """One of the client's; 404 if there is none."""
        owner, subscription = self._all.get(key, ("", None))
        if subscription is None or owner != client:
            raise not_found("webhook subscription", key)
        return subscription

    def add(self, client: str, body: Any) -> Subscription:
        """Add one from a request body; a secret is made up when none is given."""
        told = _checked(body, {"Url", "Events", "Payload", "Secret"}, needed=True)
        subscription = Subscription(
            id=self._store.new_id(),
            url=told["Url"],
            events=tuple(told["Events"]),
            payload=told.get("Payload", "full"),
            secret=told.get("Secret") or secrets.token_urlsafe(32),
            created=stamp_text(self._store.stamp()),
        )
        self._keep(client, subscription)
        return subscription

    def change(self, client: str, key: str, body: Any) -> Subscription:
        """Change what the body names; the secret is changed by `rotate` only."""
        subscription = self.owned(client, key)
        told = _checked(body, {"Url", "Events", "Payload"}, needed=False)
        subscription.url = told.get("Url", subscription.url)
        subscription.events = tuple(told.get("Events", subscription.events))
        subscription.payload = told.get("Payload", subscription.payload)
        self._keep(client, subscription)
        return subscription

    def rotate(self, client: str, key: str, body: Any, overlap_seconds: float) -> Subscription:
        """Give it a new secret; the one before goes on signing beside it for a while."""
        subscription = self.owned(client, key)
        given = body.get("Secret") if isinstance(body, dict) else None
        problems: list[Problem] = []
        _check_secret(given, problems)
        if problems:
            raise invalid(problems)
        subscription.old_secret = subscription.secret
        subscription.old_secret_until = self._store.stamp() + int(overlap_seconds * 1_000_000)
        subscription.secret = given or secrets.token_urlsafe(32)
        self._keep(client, subscription)
        return subscription

    def remove(self, client: str, key: str) -> None:
        """Forget one."""
        self.owned(client, key)
        self._store.db.execute("DELETE FROM subscription WHERE id = ?", (key,))
        del self._all[key]

    def _keep(self, client: str, subscription: Subscription) -> None:
        doc = msgspec.json.encode(subscription).decode()
        self._store.db.execute("INSERT OR REPLACE INTO subscription VALUES (?, ?, ?)", (subscription.id, client, doc))
        self._all[subscription.id] = (client, subscription)


def _checked(body: Any, known: set[str], *, needed: bool) -> dict[str, Any]:
    """The body of a request; `needed`: URL and events must be there."""
    problems: list[Problem] = []
    if not isinstance(body, dict):
        raise invalid([Problem("body", "WrongType", "must be an object")])
    for name in sorted(body.keys() - known):
        problems.append(Problem(name, "UnknownField", f"is none of {', '.join(sorted(known))}"))
    if needed or "Url" in body:
        _check_url(body.get("Url"), problems)
    if needed or "Events" in body:
        _check_events(body.get("Events"), problems)
    if body.get("Payload", "full") not in ("full", "id"):
        problems.append(Problem("Payload", "NotInList", "must be full or id"))
    _check_secret(body.get("Secret"), problems)
    if problems:
        raise invalid(problems)
    return body


def _check_url(url: Any, problems: list[Problem]) -> None:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        problems.append(Problem("Url", "BadFormat", "must be an http or https URL"))


def _check_secret(secret: Any, problems: list[Problem]) -> None:
    if secret is not None and not (isinstance(secret, str) and 16 <= len(secret) <= 255):
        problems.append(Problem("Secret", "BadFormat", "must have 16 to 255 characters"))


def _check_events(events: Any, problems: list[Problem]) -> None:
    if not isinstance(events, list) or not events:
        problems.append(Problem("Events", "Required", "must list at least one event"))
        return
    known = catalogue().event_types
    for place, pattern in enumerate(events):
        if not isinstance(pattern, str) or not fnmatch.filter(known, pattern):
            problems.append(Problem(f"Events[{place}]", "NotInList", f"{pattern!r} is no event of the catalogue"))
