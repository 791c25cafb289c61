"""Access tokens and where they are kept between calls, workers and restarts."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from isthmus.model.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token as granted; `expires_at` is aware UTC, None when the server did not say."""

    access: Secret
    expires_at: datetime | None = None
    refresh: Secret | None = None
    scopes: tuple[str, ...] = ()


@runtime_checkable
class TokenStore(Protocol):
    """Keeps tokens by name, encrypted where they rest, and lets one worker at a time renew one."""

    async def load(self, name: str) -> Token | None:
        """The token last saved under `name`."""

    async def save(self, name: str, token: Token) -> None:
        """Keep `token` durably before anyone uses it: a rotated refresh token exists only here."""

    def exclusively(self, name: str) -> AbstractAsyncContextManager[None]:
        """Hold the right to renew `name`; the others wait, then find the new token by `load`."""


@dataclass(slots=True)
class MemoryTokenStore:
    """The TokenStore of one process."""

    _tokens: dict[str, Token] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def load(self, name: str) -> Token | None:
        return self._tokens.get(name)

    async def save(self, name: str, token: Token) -> None:
        self._tokens[name] = token

    def exclusively(self, name: str) -> AbstractAsyncContextManager[None]:
        return _Held(self._locks.setdefault(name, asyncio.Lock()))


class _Held:
    """A lock as a context manager that gives nothing back."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *exc: object) -> None:
        self._lock.release()
