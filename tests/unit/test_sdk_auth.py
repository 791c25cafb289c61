"""Tokens: asked for once, renewed in time, shared by all, kept before they are used."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from isthmus.sdk import (
    AuthFailed,
    MemoryTokenStore,
    Misconfigured,
    NetworkPolicy,
    Rate,
    RateLimited,
    Secret,
    Token,
    Unavailable,
    local_services,
)
from isthmus.sdk.auth import AuthorisedClient, OAuth
from isthmus.sdk.login import finish, start


class Time:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class TokenServer:
    """Issues numbered tokens; `good` is the one the API accepts."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], str]] = []
        self.answer: Any = None
        self.good: str | None = None
        self.calls: list[str] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/oauth/token", self._token)
        app.router.add_get("/api", self._api)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append((form, request.headers.get("Authorization", "")))
        await asyncio.sleep(0.01)
        if self.answer is not None:
            return web.json_response(self.answer[1], status=self.answer[0])  # a response object is sent once only
        number = len(self.asked)
        self.good = f"token-{number}"
        told = {"access_token": self.good, "expires_in": 3600, "token_type": "Bearer", "scope": "a b"}
        if form["grant_type"] != "client_credentials":
            told["refresh_token"] = f"refresh-{number}"
        return web.json_response(told)

    async def _api(self, request: web.Request) -> web.Response:
        self.calls.append(request.headers.get("Authorization", ""))
        return web.Response(status=200 if self.calls[-1] == f"Bearer {self.good}" else 401)


@pytest.fixture
async def server() -> AsyncIterator[tuple[TokenServer, str]]:
    system = TokenServer()
    running = TestServer(system.app())
    await running.start_server()
    yield system, str(running.make_url("")).rstrip("/")
    await running.close()


def oauth(url: str, time: Time | None = None, **more: Any) -> OAuth:
    services = local_services(Rate(0), network=NetworkPolicy(allow_loopback=True))
    given = {"client_id": "me", "client_secret": Secret("s3cret/+ "), "store": MemoryTokenStore(), "scopes": ("a", "b")}
    return OAuth(http=services.http(url), token_url=f"{url}/oauth/token", clock=time or Time(), **(given | more))


async def test_a_token_is_asked_for_once_by_http_basic(server: Any) -> None:
    auth = oauth(server[1])
    first, *others = await asyncio.gather(*(auth.headers() for _ in range(20)))
    assert first == {"Authorization": "Bearer token-1"}
    assert all(other == first for other in others)
    [(form, proof)] = server[0].asked
    assert form == {"grant_type": "client_credentials", "scope": "a b"}
    assert base64.b64decode(proof.removeprefix("Basic ")) == b"me:s3cret%2F%2B%20"
    await auth.http.close()


async def test_credentials_may_go_in_the_body(server: Any) -> None:
    auth = oauth(server[1], client_auth="body")
    await auth.headers()
    [(form, proof)] = server[0].asked
    assert (form["client_id"], form["client_secret"], proof) == ("me", "s3cret/+ ", "")
    await auth.http.close()


async def test_a_token_is_renewed_a_minute_before_it_ends(server: Any) -> None:
    time = Time()
    auth = oauth(server[1], time)
    await auth.headers()
    time.at += timedelta(seconds=3539)
    assert await auth.headers() == {"Authorization": "Bearer token-1"}
    time.at += timedelta(seconds=1)
    assert await auth.headers() == {"Authorization": "Bearer token-2"}
    await auth.http.close()


async def test_a_401_renews_once_for_all_who_met_it(server: Any) -> None:
    system, url = server
    auth = oauth(url)
    api = AuthorisedClient(auth.http, auth)
    await auth.headers()
    system.good = "nobody knows"  # the server forgot its tokens
    answers = await asyncio.gather(*(api.send("GET", "/api", doing="reading") for _ in range(5)))
    assert [answer.status for answer in answers] == [200] * 5
    assert len(system.asked) == 2
    await auth.http.close()


async def test_a_401_with_a_fresh_token_is_final(server: Any) -> None:
    system, url = server
    auth = oauth(url)
    api = AuthorisedClient(auth.http, auth)
    system.answer = (200, {"access_token": "never good", "expires_in": 3600})
    assert (await api.send("GET", "/api", doing="reading")).status == 401
    await auth.http.close()


async def test_workers_that_share_a_store_share_the_token(server: Any) -> None:
    store = MemoryTokenStore()
    workers = [oauth(server[1], store=store) for _ in range(4)]
    headers = await asyncio.gather(*(worker.headers() for worker in workers))
    assert len({header["Authorization"] for header in headers}) == 1
    assert len(server[0].asked) == 1
    for worker in workers:
        await worker.http.close()


async def test_a_refresh_token_rotates_and_is_kept_before_use(server: Any) -> None:
    time, store = Time(), MemoryTokenStore()
    await store.save("default", Token(access=Secret("old"), expires_at=time.at, refresh=Secret("refresh-0")))
    auth = oauth(server[1], time, store=store, grant="refresh_token")
    await auth.headers()
    time.at += timedelta(hours=2)
    await auth.headers()
    assert [form["refresh_token"] for form, _ in server[0].asked] == ["refresh-0", "refresh-1"]
    kept = await store.load("default")
    assert kept is not None
    assert kept.refresh == Secret("refresh-2")
    await auth.http.close()


async def test_without_a_login_a_person_is_asked_to_log_in(server: Any) -> None:
    auth = oauth(server[1], grant="refresh_token")
    with pytest.raises(AuthFailed, match="nobody has logged in") as caught:
        await auth.headers()
    assert "browser" in caught.value.hint
    await auth.http.close()


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        ((401, {"error": "invalid_client"}), AuthFailed, "client secret"),
        ((400, {"error": "invalid_grant"}), AuthFailed, "log in again"),
        ((400, {"error": "invalid_scope"}), Misconfigured, "scopes a b"),
        ((404, {"message": "not found"}), Misconfigured, "token URL"),
        ((500, {"oops": 1}), Unavailable, "by itself"),
        ((429, {}), RateLimited, "by itself"),
        ((200, {"hello": "world"}), Misconfigured, "access_token"),
    ],
)
async def test_every_refusal_says_what_to_do(server: Any, answer: Any, kind: type, told: str) -> None:
    server[0].answer = answer
    auth = oauth(server[1])
    with pytest.raises(kind) as caught:
        await auth.headers()
    assert told in caught.value.hint
    assert "s3cret" not in str(caught.value.as_dict())
    await auth.http.close()


async def test_a_person_logs_in_with_pkce(server: Any) -> None:
    auth = oauth(server[1], grant="refresh_token", client_secret=None)
    words = iter(["verifier" * 6, "state" * 8])
    login = start(auth, "https://bng.example/oauth/authorize", "https://us.example/back", random=lambda: next(words))
    query = {name: value[0] for name, value in parse_qs(urlsplit(login.url).query).items()}
    digest = hashlib.sha256(login.verifier.reveal().encode()).digest()
    assert query["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert (query["code_challenge_method"], query["response_type"], query["scope"]) == ("S256", "code", "a b")
    assert login.verifier.reveal() not in login.url
    with pytest.raises(AuthFailed, match="another login"):
        await finish(auth, login, {"code": "c", "state": "forged"})
    with pytest.raises(AuthFailed, match="denied"):
        await finish(auth, login, {"error": "access_denied", "error_description": "The owner denied it."})
    await finish(auth, login, {"code": "c0de", "state": login.state})
    form, _ = server[0].asked[0]
    assert form["grant_type"] == "authorization_code"
    assert form["code_verifier"] == login.verifier.reveal()
    assert form["client_id"] == "me"
    assert await auth.headers() == {"Authorization": "Bearer token-1"}
    await auth.http.close()
