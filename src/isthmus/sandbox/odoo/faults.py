"""Fault switches: which requests are to be lost, delayed, refused or cut, and how often each fired."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from aiohttp import web

Kind = Literal["drop_after_commit", "delay", "reset", "status", "truncate"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Fault:
    """One switch. It fires on every `every`-th request whose path contains `match`, `times` times (None: always).

    `status` with its own number answers that without running the call (429 adds Retry-After of `seconds`);
    `delay` waits `seconds` first; `reset` cuts the connection before the call, `drop_after_commit` after it;
    `truncate` sends half of the answer.
    """

    kind: Kind
    times: int | None = None
    every: int = 1
    match: str = ""
    seconds: float = 1.0
    status: int = 503
    seen: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"setting a fault: unknown kind {self.kind!r}, choose from {', '.join(get_args(Kind))}")


class Faults:
    """The switches that are on, and counts of what fired by kind."""

    def __init__(self) -> None:
        self._switches: list[Fault] = []
        self.fired: Counter[str] = Counter()

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        self._switches.append(fault)

    def clear(self) -> None:
        """Switch everything off and forget the counts."""
        self._switches.clear()
        self.fired.clear()

    def told(self) -> dict[str, Any]:
        """Return the switches and counts as JSON values."""
        return {"switches": [asdict(fault) for fault in self._switches], "fired": dict(self.fired)}

    def next(self, path: str) -> Fault | None:
        """Return the fault that fires on this request."""
        for fault in self._switches:
            if fault.match not in path or fault.times == 0:
                continue
            fault.seen += 1
            if fault.seen % fault.every:
                continue
            if fault.times is not None:
                fault.times -= 1
            self.fired[str(fault.status) if fault.kind == "status" else fault.kind] += 1
            return fault
        return None

    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, spoiled by the fault that fires on it, if any."""
        fault = self.next(request.path)
        if fault is None:
            return await handler(request)
        if fault.kind == "status":
            headers = {"Retry-After": f"{fault.seconds:.0f}"} if fault.status == 429 else {}
            text = f"<html><body><h1>{fault.status}</h1></body></html>"
            return web.Response(status=fault.status, text=text, content_type="text/html", headers=headers)
        if fault.kind == "reset":
            return _cut(request)
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        response = await handler(request)
        if fault.kind == "drop_after_commit":
            return _cut(request)
        if fault.kind == "truncate" and isinstance(response, web.Response):
            return await _halved(request, response)
        return response


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _halved(request: web.Request, whole: web.Response) -> web.StreamResponse:
    body = whole.body if isinstance(whole.body, bytes) else b""
    half = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.headers["Content-Type"]})
    half.content_length = len(body)
    half.force_close()
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half
