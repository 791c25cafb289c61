"""The one way out over HTTP: an answer comes back as a value, the lack of one as an error saying what is known."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

import aiohttp
from yarl import URL

from isthmus.errors import IsthmusError, Misconfigured, OutcomeUnknown, RateLimited, Unavailable
from isthmus.model.clock import Clock, SystemClock
from isthmus.sdk.limits import AdaptiveConcurrency, Budget, retry_after
from isthmus.sdk.network import AddressRefused, GuardedResolver, NetworkPolicy, origin, refused, tls_context

USER_AGENT = "isthmus"
MAX_ANSWER = 256 * 1024 * 1024
AGAIN_AFTER = (0.1, 0.5)
"""Seconds before each further try of a read that broke off, or of a request that was refused unread."""
LONGEST_PAUSE = timedelta(seconds=5)
"""A 429 that asks for a longer wait is handed up at once, so that other work goes on meanwhile."""
Params = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Response:
    """A complete HTTP answer; header names are lower-case, `elapsed` is in seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed: float

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower-case; empty when the answer names none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """What an observer learns of a call: never headers, query or bodies, so never a secret."""

    at: datetime
    method: str
    host: str
    path: str
    doing: str
    status: int | None
    elapsed: float
    sent_bytes: int
    received_bytes: int
    error: str | None = None


@dataclass(slots=True)
class _Call:
    """What happened to one request so far; `sent` is set before the first byte can leave."""

    sent: bool = False
    reused: bool = False
    doing: str = ""
    reads_only: bool = False


class HttpClient:
    """HTTP to one server, with one pool of kept-alive connections, a call budget and adaptive concurrency.

    `send` returns every HTTP answer whatever its status. Without a full answer it raises: Unavailable when
    surely nothing reached the server, OutcomeUnknown when something may have (Unavailable for a call that only
    reads), Misconfigured when calling can never work as set up, RateLimited when the budget is spent for longer.
    Nothing is repeated, except a read whose kept-alive connection turned out to be closed.
    """

    def __init__(
        self,
        base_url: str,
        *,
        network: NetworkPolicy,
        limits: Budget,
        concurrency: AdaptiveConcurrency,
        timeout: float = 60,
        connect_timeout: float = 10,
        user_agent: str = USER_AGENT,
        observe: Callable[[CallRecord], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.base_url = base_url.strip().rstrip("/")
        self.limits = limits
        self.concurrency = concurrency
        self._network = network
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._user_agent = user_agent
        self._observe = observe
        self._clock = clock or SystemClock()
        self._parts: SplitResult | None = None
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        reads_only: bool = False,
        timeout: float | None = None,
        insist: bool = True,
    ) -> Response:
        """One request; `doing` starts with a gerund and names the record, for the error message.

        `path` follows the base URL, already percent-encoded; a full URL is accepted on the same server only. A read
        that broke off, and any request that was refused unread (429), is tried again at once, a few times; without
        `insist` a 429 is not: some systems lengthen the block for it.
        """
        url = self._url(path, params, doing)
        pauses = iter(AGAIN_AFTER)
        while True:
            pause = next(pauses, None)
            try:
                answer = await self._once(method, url, headers, body, timeout or self._timeout, doing, reads_only)
            except Unavailable as error:
                if pause is None or not (reads_only and _broke_off(error)):
                    raise
            else:
                self._refuse_redirect(answer, url, doing)
                if pause is None or not self._asks_again(answer, reads_only, insist):
                    return answer
            await asyncio.sleep(pause)

    async def _once(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str] | None,
        body: bytes | None,
        timeout: float,
        doing: str,
        reads_only: bool,
    ) -> Response:
        await self.limits.take(1)
        async with self.concurrency.slot():
            started_at, started = self._clock.now(), time.perf_counter()
            call = _Call(doing=doing, reads_only=reads_only)
            answer: Response | None = None
            failure: IsthmusError | None = None
            try:
                answer = await self._exchange(call, method, url, headers, body, timeout, started)
            except IsthmusError as error:
                failure = error
                raise
            finally:
                self._tell(started_at, started, method, url, call, body, answer, failure)
        await self._heed(answer)
        return answer

    def _asks_again(self, answer: Response, reads_only: bool, insist: bool) -> bool:
        """Whether an answer is worth another try at once: a 429, or a gateway that failed a read."""
        if answer.status == 429 and not insist:
            return False
        if answer.status == 429:
            wait = retry_after(answer.headers, self._clock.now())
            return wait is None or wait <= LONGEST_PAUSE
        gateway = answer.status in (502, 503, 504) or (answer.status == 500 and "json" not in answer.content_type)
        return reads_only and gateway

    async def close(self) -> None:
        """Free the sockets; the client may be used again afterwards."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _url(self, path: str, params: Params | None, doing: str) -> URL:
        if self._parts is None:
            self._parts = self._network.check_url(self.base_url, doing)
        if path.startswith(("http://", "https://")):
            if origin(self._network.check_url(path, doing)) != origin(self._parts):
                raise Misconfigured(
                    f"{doing}: the server sent us on to {urlsplit(path).hostname}, another server",
                    hint=f"Check the base URL {self.base_url}; credentials are never sent to another server.",
                )
            text = path
        else:
            text = self.base_url + (path if path.startswith("/") or not path else "/" + path)
        if params:
            text += ("&" if "?" in text else "?") + urlencode(
                params if isinstance(params, Sequence) else [*params.items()]
            )
        return URL(text, encoded=True)

    async def _exchange(
        self,
        call: _Call,
        method: str,
        url: URL,
        headers: Mapping[str, str] | None,
        body: bytes | None,
        timeout: float,
        started: float,
    ) -> Response:
        limit = aiohttp.ClientTimeout(total=timeout, connect=self._connect_timeout, sock_connect=self._connect_timeout)
        while True:
            try:
                async with self._open().request(
                    method,
                    url,
                    headers=headers,
                    data=body,
                    timeout=limit,
                    allow_redirects=False,
                    trace_request_ctx=call,
                ) as answer:
                    content = await _read(answer)
                    named = {name.lower(): value for name, value in answer.headers.items()}
                    return Response(answer.status, named, content, time.perf_counter() - started)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError, aiohttp.ClientOSError) as error:
                if not (call.reused and call.reads_only):
                    raise self._no_answer(call, error) from error
                # A kept-alive connection that the server had closed: a read may simply be asked again.
                call.reused = call.sent = False
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._no_answer(call, error) from error

    def _no_answer(self, call: _Call, error: Exception) -> IsthmusError:
        """What is known after a request brought no full answer."""
        host = urlsplit(self.base_url).hostname or ""
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return Misconfigured(
                f"{call.doing}: the certificate of {host} is not valid: {_said(error.certificate_error)}",
                hint="Use the name in the certificate, or give the private authority's certificate to the connection.",
            )
        refusal = _cause(error, AddressRefused)
        if isinstance(refusal, AddressRefused):
            return refused(call.doing, refusal.host, refusal.address, refusal.reason)
        if isinstance(error, aiohttp.ClientConnectorSSLError) and _speaks_old_tls(error):
            return Misconfigured(
                f"{call.doing}: {host} does not speak TLS 1.2 or newer on this port",
                hint="Check the port and the URL; ask the operator of that server to enable TLS 1.2.",
            )
        if not call.sent:
            return Unavailable(
                f"{call.doing}: {host} cannot be reached: {_reason(error)}",
                hint=_HUNG_UP_HINT if _hung_up(error) else None,
                facts={"host": host, "sent": False},
            )
        what = "no answer came in time" if isinstance(error, TimeoutError) else "the answer broke off"
        kind: type[IsthmusError] = Unavailable if call.reads_only else OutcomeUnknown
        return kind(f"{call.doing}: {what}", facts={"host": host, "sent": True, "reason": type(error).__name__})

    async def _heed(self, answer: Response) -> None:
        """Slow down as the answer asks: 429 and 503 halve the concurrency and stop the shared budget."""
        if answer.status not in (429, 503):
            self.concurrency.went_well(answer.elapsed)
            return
        self.concurrency.pushed_back()
        now = self._clock.now()
        wait = retry_after(answer.headers, now)
        if wait:
            await self.limits.block_until(now + wait)

    def _refuse_redirect(self, answer: Response, url: URL, doing: str) -> None:
        target = answer.headers.get("location")
        if answer.status not in (301, 302, 303, 307, 308) or not target:
            return
        there = urlsplit(urljoin(str(url), target))
        if self._parts is not None and origin(there) != origin(self._parts):
            raise Misconfigured(
                f"{doing}: {self.base_url} sends us on to {there.scheme}://{there.netloc}",
                hint=f"If that is the right server, set the URL of the connection to {there.scheme}://{there.netloc}.",
                facts={"status": answer.status, "location": f"{there.scheme}://{there.netloc}{there.path}"},
            )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            watch = aiohttp.TraceConfig()
            watch.on_connection_create_end.append(_connected)
            watch.on_connection_reuseconn.append(_reused)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,  # the adaptive concurrency is the limit
                    resolver=GuardedResolver(self._network),
                    ssl=tls_context(self._network.ca_file),
                    keepalive_timeout=15,
                ),
                headers={"User-Agent": self._user_agent, "Accept": "application/json"},
                trace_configs=[watch],
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
            # aiohttp repeats PUT and DELETE by itself on a dropped connection; here no write is ever repeated unseen.
            self._session._retry_connection = False
        return self._session

    def _tell(
        self,
        at: datetime,
        started: float,
        method: str,
        url: URL,
        call: _Call,
        body: bytes | None,
        answer: Response | None,
        failure: IsthmusError | None,
    ) -> None:
        if self._observe is None:
            return
        self._observe(
            CallRecord(
                at=at,
                method=method,
                host=url.host or "",
                path=url.raw_path,
                doing=call.doing,
                status=answer.status if answer else None,
                elapsed=time.perf_counter() - started,
                sent_bytes=len(body or b""),
                received_bytes=len(answer.body) if answer else 0,
                error=failure.kind if failure else None,
            )
        )


def rate_limited(doing: str, answer: Response, now: datetime, *, record: str | None = None) -> RateLimited:
    """The error for a 429, with the wait that the answer asks for (one minute when it does not say)."""
    wait = retry_after(answer.headers, now)
    return RateLimited(doing, wait=timedelta(minutes=1) if wait is None else wait, record=record, answered="429")


def _broke_off(error: Unavailable) -> bool:
    """Whether the request left and its answer was cut: not when the server cannot be reached or took too long."""
    return bool(error.facts.get("sent")) and not str(error.facts.get("reason")).endswith("TimeoutError")


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    if (answer.content_length or 0) > MAX_ANSWER:
        raise aiohttp.ClientPayloadError("the answer is larger than 256 MB")
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER:
            raise aiohttp.ClientPayloadError("the answer is larger than 256 MB")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _connected(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    context.trace_request_ctx.sent = True


async def _reused(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    context.trace_request_ctx.sent = context.trace_request_ctx.reused = True


def _speaks_old_tls(error: aiohttp.ClientConnectorSSLError) -> bool:
    text = str(error).upper()
    marks = (
        "UNSUPPORTED_PROTOCOL",
        "PROTOCOL_VERSION",
        "WRONG_VERSION_NUMBER",
        "NO_PROTOCOLS_AVAILABLE",
        "VERSION_TOO_LOW",
    )
    return any(mark in text for mark in marks)


def _cause(error: BaseException, wanted: type[BaseException]) -> BaseException | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, wanted):
            return seen
        seen = getattr(seen, "os_error", None) or seen.__cause__ or seen.__context__
    return None


_HUNG_UP_HINT = "It is tried again by itself. If it stays: check that this port speaks TLS 1.2 or newer."


def _hung_up(error: Exception) -> bool:
    """Whether the connection was closed in the middle of the TLS handshake, without a word."""
    if not isinstance(error, aiohttp.ClientConnectorError) or not error.ssl:
        return False
    return isinstance(error.os_error, ConnectionResetError | ConnectionAbortedError | BrokenPipeError)


def _reason(error: Exception) -> str:
    if _hung_up(error):
        return "it hung up during the TLS handshake"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name does not resolve"
    if isinstance(error, TimeoutError):
        return "connecting took too long"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _said(error.os_error)
    return _said(error)


def _said(error: BaseException) -> str:
    verify = getattr(error, "verify_message", "")
    if verify:
        return str(verify)
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(number).lower()
    return str(error) or type(error).__name__
