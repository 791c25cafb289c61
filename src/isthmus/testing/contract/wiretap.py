"""A server between a connector and its system: plays a recording, or passes on and records; can break an answer."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from isthmus.testing.contract.tape import KEPT_HEADERS, Call, Tape, parse_query, understood


@dataclass(slots=True)
class Heard:
    """A request as it went over the wire; header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes


@dataclass(slots=True)
class Fault:
    """What becomes of one request: another answer instead, or its own answer lost after it took effect.

    `when` picks the request by method and path; a fault is used up once, `times` says how often in a row.
    """

    kind: Literal["answer", "lose", "cut"]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    when: Callable[[str, str], bool] = lambda method, path: True
    times: int = 1


class Wiretap:
    """Listens on 127.0.0.1. With a `target` it passes requests on, and records where asked, else it plays `tape`."""

    def __init__(self, tape: Tape, target: str | None = None, *, record: bool = False) -> None:
        self.tape = tape
        self._record = record
        self.heard: list[Heard] = []
        self.unknown: list[str] = []
        self.faults: deque[Fault] = deque()
        self._target = target.rstrip("/") if target else None
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None
        self.url = ""

    @property
    def live(self) -> bool:
        """Whether a real system answers."""
        return self._target is not None

    async def start(self) -> str:
        """Listen on a free port; returns the address."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        if self._target:
            self._client = aiohttp.ClientSession(auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar())
        return self.url

    async def stop(self) -> None:
        """Stop listening."""
        if self._client is not None:
            await self._client.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def sent(self, header: str) -> list[str]:
        """The values of a header over all requests, in order."""
        return [heard.headers[header.lower()] for heard in self.heard if header.lower() in heard.headers]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append(Heard(request.method, request.rel_url.raw_path, headers, raw))
        fault = self._fault(request.method, request.rel_url.raw_path)
        if fault is not None and fault.kind == "answer":
            return web.Response(status=fault.status, headers=dict(fault.headers), text=fault.body)
        answer = await (self._pass_on(request, raw) if self._target else self._play(request, raw))
        if fault is not None:
            if fault.kind == "cut":
                broken = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
                await broken.prepare(request)
                await broken.write(b'{"half')
            if request.transport is not None:
                request.transport.abort()
        return answer

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.when(method, path):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    async def _play(self, request: web.Request, raw: bytes) -> web.Response:
        asked = self._asked(request, raw)
        call = self.tape.find(asked)
        if call is None:
            self.unknown.append(str(asked))
            return web.Response(status=599, text=f"not in the recording: {asked}")
        return _response(call, self.url)

    async def _pass_on(self, request: web.Request, raw: bytes) -> web.Response:
        assert self._client is not None  # start() makes it
        skip = ("host", "content-length", "connection", "accept-encoding")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in skip}
        url = f"{self._target}{request.rel_url.raw_path_qs}"
        async with self._client.request(
            request.method, yarl_url(url), headers=headers, data=raw or None, allow_redirects=False
        ) as answer:
            content = await answer.read()
            kept = {
                name.lower(): value
                for name, value in answer.headers.items()
                if name.lower() in KEPT_HEADERS or name.lower().startswith("x-ratelimit")
            }
            if self._record:
                self._keep(request, raw, answer, kept, content)
            return web.Response(
                status=answer.status, headers=_rehosted(kept, self._target or "", self.url), body=content
            )

    def _keep(
        self, request: web.Request, raw: bytes, answer: aiohttp.ClientResponse, headers: dict[str, str], content: bytes
    ) -> None:
        call = self._asked(request, raw)
        call.status, call.headers = answer.status, headers
        call.answer = understood(content, answer.content_type)
        call.used = True
        if not self.tape.calls:
            self.tape.recorded_at = datetime.now(UTC)
        self.tape.calls.append(call)

    def _asked(self, request: web.Request, raw: bytes) -> Call:
        return Call(
            method=request.method,
            path=request.rel_url.raw_path,
            query=parse_query(request.rel_url.raw_query_string),
            body=understood(raw, request.content_type),
        )


def yarl_url(url: str) -> Any:
    """An address taken as it is: what is encoded stays so."""
    from yarl import URL

    return URL(url, encoded=True)


def _response(call: Call, url: str) -> web.Response:
    headers = _rehosted(call.headers, "", url)
    if call.answer is None:
        return web.Response(status=call.status, headers=headers)
    text = call.answer if isinstance(call.answer, str) else json.dumps(call.answer)
    return web.Response(status=call.status, headers=headers, body=text.encode())


def _rehosted(headers: Mapping[str, str], target: str, url: str) -> dict[str, str]:
    """Answer headers as the connector may see them: addresses of the system lead here."""
    out = dict(headers)
    for name in ("link", "location"):
        if name in out:
            old = target or "{}://{}".format(*urlsplit(out[name].lstrip("<"))[:2])
            out[name] = out[name].replace(old, url)
    return out
