"""Polling: what changed since a Cursor, from the query API's window over the time of the last change."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from isthmus.connectors.bng_gateway.answers import MOMENT, moment
from isthmus.sdk import ChangePage, Clock, Hint, Misconfigured


class Changed(Protocol):
    """What a window yields: something with an id, a state and the moment of its last change."""

    @property
    def id(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def changed_at(self) -> datetime | None: ...


Window = Callable[[datetime], AsyncIterator[Sequence[Any]]]
"""Pages of everything that changed since a moment, in any order."""

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Poller:
    """Turns windows into hints in the order of the changes.

    The gateway tells whole seconds and may show a transaction late, so each window reaches back by the overlap. The
    Cursor holds what was seen in that stretch with its state: only what is new or moved is hinted at again.
    """

    def __init__(self, overlap: float, page: int, clock: Clock) -> None:
        self._overlap = timedelta(seconds=overlap + 1)
        self._page = page
        self._clock = clock

    async def pages(self, entity: str, cursor: str | None, window: Window) -> AsyncIterator[ChangePage]:
        """Hints since `cursor`; without one, none of them and the Cursor of now."""
        if cursor is None:
            at = self._clock.now() - self._overlap
            found = [row async for page in window(at - self._overlap) for row in page]
            at = max([at, *(_when(row) for row in found)])
            yield ChangePage(hints=(), cursor=_cursor(at, {row.id: row.version for row in found}))
            return
        at, seen = _read(cursor)
        known = dict(seen)
        rows = [row async for page in window(at - self._overlap) for row in page]
        fresh = sorted((r for r in rows if known.get(r.id) != r.version), key=lambda r: (_when(r), r.id))
        moments = {row.id: _when(row) for row in rows}
        for start in range(0, len(fresh), self._page):
            part = fresh[start : start + self._page]
            at = max(at, _when(part[-1]))
            known.update((row.id, row.version) for row in part)
            last = start + self._page >= len(fresh)
            kept = {k: v for k, v in known.items() if not last or moments.get(k, EPOCH) >= at - self._overlap}
            hints = [Hint(entity=entity, key=row.id, occurred_at=row.changed_at, version=row.version) for row in part]
            yield ChangePage(hints=hints, cursor=_cursor(at, kept))
        if not fresh:
            yield ChangePage(hints=(), cursor=_cursor(at, {k: v for k, v in known.items() if k in moments}))


def _when(row: Changed) -> datetime:
    return row.changed_at or EPOCH


def _cursor(at: datetime, seen: dict[str, str]) -> str:
    return json.dumps({"at": at.strftime(MOMENT), "seen": seen}, separators=(",", ":"), sort_keys=True)


def _read(cursor: str) -> tuple[datetime, dict[str, str]]:
    try:
        told = json.loads(cursor)
        at = moment(told["at"])
        seen = {str(key): str(version) for key, version in told["seen"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        at = None
    if at is None:
        raise Misconfigured(
            "reading what changed at the gateway: the stored cursor is none of ours",
            hint="Start polling of this entity anew, or run a sweep.",
        )
    return at, seen
