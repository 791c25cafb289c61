"""A proxy before a system that spoils requests on purpose: seeded, counted, switchable while it runs.

It stands between the service and one system, forwards every request, and now and then does to it what networks and
gateways do: it loses the answer after the work was done, waits, cuts the connection, answers 429 or 5xx by itself, or
sends half of the answer. Nothing else about the traffic changes, so whatever then goes wrong is the service's doing.

    python -m isthmus.testing.fault_proxy --upstream http://127.0.0.1:8069 --seed 7 --rate 0.1 --print-ready

The control address (`GET /` counts, `PUT /plan` a plan, `DELETE /plan` no more faults) has a port of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web

KINDS: dict[str, str] = {
    "drop_after_commit": "the work is done, then the connection is cut without an answer; only for writes",
    "delay": "the request waits before it is forwarded",
    "reset": "the connection is reset before anything is forwarded",
    "server_error": "500, 502, 503 or 504 without forwarding",
    "error_after_commit": "the work is done, then 502 or 504 is answered instead; only for writes",
    "throttle": "429 without forwarding, every other time with Retry-After",
    "truncate": "the work is done, then half of the answer is sent and the connection cut",
}
"""Every fault by name, with what it does."""

AFTER_COMMIT = frozenset({"drop_after_commit", "error_after_commit"})
"""Faults that only mean something for requests that write; drawn for a read, they wait for the next write."""

WRITES = r"^(POST|PUT|PATCH|DELETE) "
"""What counts as a write unless the plan says otherwise: a pattern for `METHOD path`, a newline, and the body."""

_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"})
_SEEN_BODY = 4096


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to go wrong: `rate` of all requests meet a fault, each of `kinds` equally often in shuffled order.

    `writes` is the pattern of requests that write (see `WRITES`). `delay_seconds` and `retry_after` are upper limits
    in seconds. `spare` is a pattern of requests that never meet a fault.
    """

    rate: float = 0.0
    kinds: Sequence[str] = tuple(KINDS)
    writes: str = WRITES
    delay_seconds: float = 1.0
    retry_after: float = 1.0
    spare: str = ""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown:
            raise ValueError(f"unknown fault {', '.join(unknown)}; there are {', '.join(KINDS)}")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate must be between 0 and 1, not {self.rate}")


@dataclass
class Dice:
    """Draws faults for requests: the same seed and the same requests meet the same faults."""

    seed: int
    plan: Plan = field(default_factory=Plan)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._deck: list[str] = []
        self._owed: list[str] = []
        self.turn(self.plan)

    def turn(self, plan: Plan) -> None:
        """Go on with another plan; what was drawn and not yet fired is forgotten."""
        self.plan = plan
        self._writes, self._spare = re.compile(plan.writes), re.compile(plan.spare) if plan.spare else None
        self._deck.clear()
        self._owed.clear()

    def draw(self, request: str) -> str | None:
        """The fault that this request meets: its method and path, a newline, and the beginning of its body."""
        plan = self.plan
        if not plan.rate or not plan.kinds or (self._spare is not None and self._spare.search(request)):
            return None
        writes = self._writes.search(request) is not None
        if writes and self._owed:
            return self._owed.pop(0)
        if self._random.random() >= plan.rate:
            return None
        for _ in range(len(plan.kinds)):
            kind = self._next()
            if writes or kind not in AFTER_COMMIT:
                return kind
            self._owed.append(kind)
        return None

    def _next(self) -> str:
        if not self._deck:
            self._deck = list(self.plan.kinds)
            self._random.shuffle(self._deck)
        return self._deck.pop()

    def share(self, most: float) -> float:
        """A number between a tenth of `most` and `most`."""
        return self._random.uniform(most / 10, most)

    def one_of(self, choices: Sequence[int]) -> int:
        """One of several statuses."""
        return self._random.choice(choices)


class FaultProxy:
    """One proxy before one system. `counts` tells how often each fault fired, `requests` how many came at all."""

    def __init__(self, upstream: str, *, seed: int = 1, plan: Plan | None = None) -> None:
        self.upstream = upstream.rstrip("/")
        self.dice = Dice(seed, plan or Plan())
        self.counts: Counter[str] = Counter()
        self.requests = 0
        self.url = ""
        self.control_url = ""
        self._session: ClientSession | None = None

    def told(self) -> dict[str, Any]:
        """Counts and plan as JSON values."""
        fired = {kind: self.counts[kind] for kind in KINDS}
        return {"upstream": self.upstream, "requests": self.requests, "fired": fired, "plan": asdict(self.dice.plan)}

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0, control_port: int = 0) -> AsyncIterator[FaultProxy]:
        """Serve until the block ends; `url` and `control_url` are known inside it."""
        timeout = ClientTimeout(total=None, sock_connect=10)
        connector = TCPConnector(limit=0, force_close=True)
        async with ClientSession(
            timeout=timeout, connector=connector, auto_decompress=False, cookie_jar=DummyCookieJar()
        ) as session:
            self._session = session
            front = web.Application(client_max_size=64 * 1024**2)
            front.router.add_route("*", "/{tail:.*}", self._pass)
            control = web.Application()
            control.add_routes(
                [web.get("/", self._tell), web.put("/plan", self._turn), web.delete("/plan", self._calm)]
            )
            async with _served(front, host, port) as url, _served(control, host, control_port) as control_url:
                self.url, self.control_url = url, control_url
                yield self

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests += 1
        seen = f"{request.method} {request.path_qs}\n" + body[:_SEEN_BODY].decode("utf-8", "replace")
        fault = self.dice.draw(seen)
        if fault is not None:
            self.counts[fault] += 1
        if fault == "reset":
            return _cut(request)
        if fault == "delay":
            await asyncio.sleep(self.dice.share(self.dice.plan.delay_seconds))
        if fault == "server_error":
            return _refusal(self.dice.one_of((500, 502, 503, 504)))
        if fault == "throttle":
            return self._throttled()
        try:
            status, headers, answer = await self._forward(request, body)
        except (ClientError, OSError):
            return _cut(request)  # the system itself is away: the caller sees what it would see without a proxy
        if fault == "drop_after_commit":
            return _cut(request)
        if fault == "error_after_commit":
            return _refusal(self.dice.one_of((502, 504)))
        if fault == "truncate":
            return await _half(request, status, headers, answer)
        return web.Response(status=status, headers=headers, body=answer)

    async def _forward(self, request: web.Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP | {"host", "content-length"}}
        async with self._session.request(
            request.method, self.upstream + request.path_qs, headers=headers, data=body or None, allow_redirects=False
        ) as response:
            answer = await response.read()
            kept = {k: v for k, v in response.headers.items() if k.lower() not in _HOP | {"content-length", "date"}}
            return response.status, kept, answer

    def _throttled(self) -> web.Response:
        headers = {}
        if self.counts["throttle"] % 2:
            headers["Retry-After"] = str(max(1, round(self.dice.share(self.dice.plan.retry_after))))
        return web.Response(status=429, text="slow down", headers=headers)

    async def _tell(self, _request: web.Request) -> web.Response:
        return web.json_response(self.told())

    async def _turn(self, request: web.Request) -> web.Response:
        try:
            self.dice.turn(Plan(**await request.json()))
        except (TypeError, ValueError, re.error) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(self.told())

    async def _calm(self, _request: web.Request) -> web.Response:
        self.dice.turn(Plan())
        return web.json_response(self.told())


def _refusal(status: int) -> web.Response:
    return web.Response(status=status, text=f"<html><body>{status}</body></html>", content_type="text/html")


def _cut(request: web.Request) -> web.Response:
    """Reset the connection: the caller gets no status line."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=499)


async def _half(request: web.Request, status: int, headers: dict[str, str], answer: bytes) -> web.StreamResponse:
    """Promise the whole answer, send half of it, and cut."""
    if len(answer) < 2:
        return _cut(request)
    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(answer))})
    with contextlib.suppress(ConnectionError):  # the caller may be gone by now
        await response.prepare(request)
        await response.write(answer[: len(answer) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


@asynccontextmanager
async def _served(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0]
        yield f"http://{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()


async def _serve(told: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    kinds = tuple(told.kinds.split(",")) if told.kinds else tuple(KINDS)
    proxy = FaultProxy(told.upstream, seed=told.seed, plan=Plan(rate=told.rate, kinds=kinds, writes=told.writes))
    async with proxy.running(told.host, told.port, told.control_port):
        if told.print_ready:
            sys.stdout.write(json.dumps({"url": proxy.url, "control_url": proxy.control_url}) + "\n")
            sys.stdout.flush()
        await stop.wait()


def main() -> None:
    """Run one proxy until told to stop."""
    parser = argparse.ArgumentParser(prog="isthmus.testing.fault_proxy", description="A proxy that injects faults.")
    parser.add_argument("--upstream", required=True, help="the system's address")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--control-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.0, help="share of requests that meet a fault")
    parser.add_argument("--kinds", default="", help=f"comma-separated; all unless given: {', '.join(KINDS)}")
    parser.add_argument("--writes", default=WRITES, help="pattern of requests that write")
    parser.add_argument("--print-ready", action="store_true", help="print one JSON line when it answers")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
