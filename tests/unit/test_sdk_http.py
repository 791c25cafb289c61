"""What HttpClient makes of every way in which a call can end."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from isthmus.sdk import (
    AdaptiveConcurrency,
    CallRecord,
    HttpClient,
    Misconfigured,
    NetworkPolicy,
    OutcomeUnknown,
    Rate,
    RateLimited,
    TokenBucket,
    Unavailable,
)

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def listening(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A raw server: `handle` gets the head of each request."""
    open_writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.append(writer)
        try:
            while True:
                await handle(reader, writer, await reader.readuntil(b"\r\n\r\n"))
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in open_writers:
            writer.close()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def client(url: str, network: NetworkPolicy | None = None, **more: object) -> AsyncIterator[HttpClient]:
    """A client that may speak to this machine."""
    made = HttpClient(
        url,
        network=network or NetworkPolicy(allow_loopback=True),
        limits=TokenBucket(Rate(0), patience=1),
        concurrency=AdaptiveConcurrency(),
        **more,  # type: ignore[arg-type]
    )
    try:
        yield made
    finally:
        await made.close()


def answering(raw: bytes) -> Handle:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(raw)
        await writer.drain()

    return handle


async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.close()


async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    await reader.read(1)  # until the client gives up


async def truncate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("status", [200, 404, 409, 500])
async def test_every_answer_comes_back_whatever_its_status(status: int) -> None:
    raw = f"HTTP/1.1 {status} X\r\nX-Foo: Bar\r\nContent-Length: 2\r\n\r\nhi".encode()
    async with listening(answering(raw)) as port, client(f"http://127.0.0.1:{port}/api") as http:
        answer = await http.send("GET", "/things", doing="reading things", params={"a": "1,2"})
        assert (answer.status, answer.body, answer.headers["x-foo"]) == (status, b"hi", "Bar")


@pytest.mark.parametrize("handle", [drop, stall, truncate])
async def test_a_write_without_a_full_answer_is_of_unknown_outcome(handle: Handle) -> None:
    async with listening(handle) as port, client(f"http://127.0.0.1:{port}", timeout=0.3) as http:
        with pytest.raises(OutcomeUnknown, match="creating customer 42"):
            await http.send("POST", "/x", doing="creating customer 42", body=b"{}")


@pytest.mark.parametrize("handle", [drop, stall, truncate])
async def test_a_read_without_a_full_answer_is_only_unavailable(handle: Handle) -> None:
    async with listening(handle) as port, client(f"http://127.0.0.1:{port}", timeout=0.3) as http:
        with pytest.raises(Unavailable):
            await http.send("POST", "/x", doing="searching", reads_only=True)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_no_write_is_ever_repeated_unseen(method: str) -> None:
    seen: list[bytes] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        seen.append(head)
        if b"GET" in head:
            writer.write(OK)
            await writer.drain()
        else:
            writer.close()

    async with listening(once) as port, client(f"http://127.0.0.1:{port}") as http:
        await http.send("GET", "/", doing="reading")  # so that the write goes over a kept-alive connection
        with pytest.raises(OutcomeUnknown):
            await http.send(method, "/x", doing="writing")
    assert len(seen) == 2


async def test_a_read_over_a_closed_kept_alive_connection_is_asked_again() -> None:
    answers = iter([True, False, True])

    async def fickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        if next(answers):
            writer.write(OK)
            await writer.drain()
        else:
            writer.close()

    async with listening(fickle) as port, client(f"http://127.0.0.1:{port}") as http:
        await http.send("GET", "/", doing="reading", reads_only=True)
        assert (await http.send("GET", "/", doing="reading", reads_only=True)).ok


async def test_nobody_listening_is_unavailable_and_surely_not_sent() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with client(f"http://127.0.0.1:{port}") as http:
        with pytest.raises(Unavailable, match="connection refused") as caught:
            await http.send("POST", "/", doing="writing")
        assert caught.value.facts["sent"] is False


async def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    async with client("https://nowhere.invalid") as http:
        with pytest.raises(Unavailable, match="does not resolve"):
            await http.send("GET", "/", doing="reading")


async def test_a_redirect_to_another_server_is_refused_and_names_it() -> None:
    raw = b"HTTP/1.1 302 Found\r\nLocation: https://other.example/login\r\nContent-Length: 0\r\n\r\n"
    async with listening(answering(raw)) as port, client(f"http://127.0.0.1:{port}") as http:
        with pytest.raises(Misconfigured, match=r"other\.example") as caught:
            await http.send("GET", "/", doing="reading")
        assert "https://other.example" in caught.value.hint


async def test_a_redirect_on_the_same_server_is_an_answer() -> None:
    raw = b"HTTP/1.1 303 See Other\r\nLocation: /web\r\nContent-Length: 0\r\n\r\n"
    async with listening(answering(raw)) as port, client(f"http://127.0.0.1:{port}") as http:
        assert (await http.send("GET", "/", doing="reading")).status == 303


async def test_a_full_url_is_followed_on_the_same_server_only() -> None:
    async with listening(answering(OK)) as port, client(f"http://127.0.0.1:{port}") as http:
        assert (await http.send("GET", f"http://127.0.0.1:{port}/next?page=2", doing="reading")).ok
        with pytest.raises(Misconfigured, match="another server"):
            await http.send("GET", "https://example.com/next", doing="reading")


async def test_a_429_stops_everybody_for_as_long_as_it_says() -> None:
    raw = b"HTTP/1.1 429 Slow\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
    async with listening(answering(raw)) as port, client(f"http://127.0.0.1:{port}") as http:
        assert (await http.send("GET", "/", doing="reading")).status == 429
        with pytest.raises(RateLimited) as caught:
            await http.send("GET", "/", doing="reading")
        assert caught.value.wait is not None
        assert timedelta(seconds=29) < caught.value.wait <= timedelta(seconds=30)
        assert http.concurrency.limit == 1


async def test_an_observer_learns_of_calls_but_of_no_secret() -> None:
    seen: list[CallRecord] = []
    async with listening(answering(OK)) as port, client(f"http://127.0.0.1:{port}", observe=seen.append) as http:
        await http.send(
            "POST", "/x", doing="writing", params={"key": "s3cret"}, headers={"A": "s3cret"}, body=b"s3cret"
        )
    assert (seen[0].method, seen[0].path, seen[0].status, seen[0].sent_bytes) == ("POST", "/x", 200, 6)
    assert "s3cret" not in repr(seen)


def tls_context(names: list[str], folder: Path) -> tuple[ssl.SSLContext, NetworkPolicy]:
    """A server's context for these names, and the policy that trusts its authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return context, NetworkPolicy(allow_loopback=True, ca_file=str(file))


@asynccontextmanager
async def tls_server(names: list[str], folder: Path) -> AsyncIterator[tuple[int, NetworkPolicy]]:
    context, policy = tls_context(names, folder)
    async with listening(answering(OK), context) as port:
        yield port, policy


async def test_a_private_authority_is_trusted_when_given(tmp_path: Path) -> None:
    async with (
        tls_server(["localhost"], tmp_path) as (port, policy),
        client(f"https://localhost:{port}", policy) as http,
    ):
        assert (await http.send("GET", "/", doing="reading")).ok


async def test_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    async with tls_server(["localhost"], tmp_path) as (port, _), client(f"https://localhost:{port}") as http:
        with pytest.raises(Misconfigured, match="certificate of localhost is not valid"):
            await http.send("GET", "/", doing="reading")


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    async with (
        tls_server(["other.example"], tmp_path) as (port, policy),
        client(f"https://localhost:{port}", policy) as http,
    ):
        with pytest.raises(Misconfigured, match="not valid"):
            await http.send("GET", "/", doing="reading")


@contextmanager
def refusing_handshakes(context: ssl.SSLContext | None) -> Iterator[int]:
    """A server on plain sockets: unlike asyncio's, it tells its refusal by an alert. Without a context it hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            caller, _ = door.accept()
            with caller, suppress(OSError):
                caller.recv(1, socket.MSG_PEEK)
                if context is not None:
                    context.wrap_socket(caller, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(door.getsockname()[1])
        thread.join()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_below_1_2_is_refused(tmp_path: Path) -> None:
    context, policy = tls_context(["localhost"], tmp_path)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with refusing_handshakes(context) as port:
        async with client(f"https://localhost:{port}", policy) as http:
            with pytest.raises(Misconfigured, match=r"TLS 1\.2"):
                await http.send("GET", "/", doing="reading")


async def test_a_server_that_hangs_up_on_the_handshake_is_told_as_one() -> None:
    with refusing_handshakes(None) as port:
        async with client(f"https://localhost:{port}") as http:
            with pytest.raises(Unavailable, match="cannot be reached: it hung up during the TLS handshake") as caught:
                await http.send("POST", "/", doing="writing")
    assert "TLS 1.2" in caught.value.hint


async def test_the_clock_of_calls_is_injected() -> None:
    class Standing:
        def now(self) -> datetime:
            return datetime(2026, 5, 1, tzinfo=UTC)

        def monotonic(self) -> float:
            return 0.0

    seen: list[CallRecord] = []
    async with (
        listening(answering(OK)) as port,
        client(f"http://127.0.0.1:{port}", observe=seen.append, clock=Standing()) as http,
    ):
        await http.send("GET", "/", doing="reading")
    assert seen[0].at == datetime(2026, 5, 1, tzinfo=UTC)


def in_turn(*handles: Handle) -> tuple[Handle, list[bytes]]:
    """Each request meets the next of these; the heads of all that came are listed."""
    turns, heads = iter(handles), list[bytes]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        heads.append(head)
        await next(turns)(reader, writer, head)

    return handle, heads


BUSY = answering(b"HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n")
GATEWAY = answering(b"HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("first", [truncate, drop, GATEWAY, BUSY])
async def test_a_read_that_broke_off_is_asked_again_at_once(first: Handle) -> None:
    handle, heads = in_turn(first, first, answering(OK))
    async with listening(handle) as port, client(f"http://127.0.0.1:{port}") as http:
        answer = await http.send("GET", "/", doing="reading things", reads_only=True)
    assert (answer.status, len(heads)) == (200, 3)


async def test_a_write_is_asked_again_only_where_it_was_refused_unread() -> None:
    handle, heads = in_turn(BUSY, GATEWAY)
    async with listening(handle) as port, client(f"http://127.0.0.1:{port}") as http:
        answer = await http.send("POST", "/", doing="creating customer 42")
    assert (answer.status, len(heads)) == (502, 2)


async def test_a_refusal_that_asks_for_a_long_wait_is_handed_up() -> None:
    handle, heads = in_turn(answering(b"HTTP/1.1 429 X\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"))
    async with listening(handle) as port, client(f"http://127.0.0.1:{port}") as http:
        answer = await http.send("GET", "/", doing="reading things", reads_only=True)
    assert (answer.status, len(heads)) == (429, 1)


async def test_a_system_that_punishes_insistence_is_not_asked_again_at_once() -> None:
    handle, heads = in_turn(BUSY)
    async with listening(handle) as port, client(f"http://127.0.0.1:{port}") as http:
        answer = await http.send("POST", "/", doing="creating customer 42", insist=False)
    assert (answer.status, len(heads)) == (429, 1)
