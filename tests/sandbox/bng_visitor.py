"""Speaks to a BNG sandbox as any client would: over HTTP, with a token of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import pytest

from isthmus.sandbox.bng import Running, Settings, WebhookTimes, running

QUICK = WebhookTimes(timeout=1.0, first_retry=0.05, longest_retry=0.1, attempts=4, rotation=3600)


class Answer:
    """One answer: status, headers, the raw body and what it says."""

    def __init__(self, status: int, headers: Any, raw: bytes) -> None:
        self.status, self.headers, self.raw = status, headers, raw

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> dict[str, Any]:
        """The error of the contract's one body."""
        return dict(self.json["Error"])

    @property
    def complaints(self) -> set[tuple[str, str]]:
        """(field, code) of every detail."""
        return {(detail["Field"], detail["Code"]) for detail in self.error["Details"]}


class Visitor:
    """A client of one sandbox."""

    def __init__(self, up: Running, session: aiohttp.ClientSession) -> None:
        self.up, self.session = up, session
        self.token = ""

    async def send(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **params: Any
    ) -> Answer:
        """Any call, with the token unless other proof is given."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        pairs = [(n, str(v)) for n, value in params.items() for v in (value if isinstance(value, list) else [value])]
        async with self.session.request(
            method, self.up.url + path, data=data, headers=sent, params=pairs, allow_redirects=False
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def log_in(self, scope: str = "") -> Answer:
        form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        answer = await self.ask_token(form)
        self.token = answer.json.get("access_token", "")
        return answer

    async def ask_token(self, form: dict[str, str], client: tuple[str, str] | None = None) -> Answer:
        user, secret = client or (self.up.settings.client_id, self.up.settings.client_secret)
        headers = {"Authorization": aiohttp.encode_basic_auth(user, secret)}
        async with self.session.post(self.up.url + "/oauth/token", data=form, headers=headers) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def new(self, path: str, body: Any, **headers: str) -> dict[str, Any]:
        """Create a record; it must work."""
        answer = await self.send("POST", f"/api/v1/{path}", body, headers=_headers(headers))
        assert answer.status == 201, answer.raw
        return dict(answer.json)

    async def get(self, path: str, **params: Any) -> Any:
        """Read something; it must work."""
        answer = await self.send("GET", f"/api/v1/{path}", **params)
        assert answer.status == 200, answer.raw
        return answer.json

    async def put(self, path: str, body: Any, **headers: str) -> Any:
        """Change something; it must work."""
        answer = await self.send("PUT", f"/api/v1/{path}", body, headers=_headers(headers))
        assert answer.status == 200, answer.raw
        return answer.json

    async def refused(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A call that must be refused."""
        answer = await self.send(method, f"/api/v1/{path}", body, headers=_headers(headers))
        assert answer.status >= 400, answer.raw
        return answer

    async def every(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """All records of a list, walked by cursor."""
        out: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = await self.get(path, **params, **({"cursor": cursor} if cursor else {}))
            out += page["Data"]
            cursor = page["Paging"]["NextCursor"]
            if cursor is None:
                return out

    async def switch(self, method: str, name: str, /, **told: Any) -> Any:
        """One of the sandbox's own switches."""
        headers = {"Authorization": f"Bearer {self.up.settings.admin_key}"}
        body = told if method != "GET" else None
        params = told if method == "GET" else {}
        answer = await self.send(method, f"/sandbox/{name}", body, headers=headers, **params)
        assert answer.status == 200, answer.raw
        return answer.json


def _headers(told: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in told.items()}


@asynccontextmanager
async def visiting(settings: Settings | None = None) -> AsyncIterator[Visitor]:
    """A sandbox in this process and a visitor who has logged in."""
    async with running(settings or Settings(webhooks=QUICK)) as up, aiohttp.ClientSession() as session:
        visitor = Visitor(up, session)
        await visitor.log_in()
        yield visitor


@pytest.fixture
async def bng() -> AsyncIterator[Visitor]:
    async with visiting() as visitor:
        yield visitor


@contextmanager
def sandbox_process(*arguments: str) -> Iterator[dict[str, Any]]:
    """A sandbox in a process of its own; gives its ready line. It is ended with SIGINT, or was killed before."""
    command = [sys.executable, "-m", "isthmus.sandbox.bng", "--port", "0", "--print-ready", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        if process.poll() is None:
            process.send_signal(2)
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
