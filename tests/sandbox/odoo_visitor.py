"""Speaks HTTP to a sandbox that runs in the test's own process."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from isthmus.sandbox.odoo import Running, Settings, running

PARTNER = "res.partner"


class Visitor:
    """Speaks HTTP to a sandbox."""

    def __init__(self, up: Running, session: aiohttp.ClientSession) -> None:
        self.up, self.session = up, session

    async def call(self, model: str, method: str, /, key: str = "", **arguments: Any) -> Any:
        status, told = await self.ask("POST", f"/json/2/{model}/{method}", arguments, key)
        assert status == 200, told
        return told

    async def ask(self, verb: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key or self.up.settings.api_key}"}
        async with self.session.request(verb, self.up.url + path, json=body, headers=headers) as answer:
            kind = answer.content_type
            return answer.status, await (answer.json() if kind == "application/json" else answer.text())

    async def switch(self, verb: str, name: str, **told: Any) -> Any:
        status, answer = await self.ask(verb, f"/sandbox/{name}", told, self.up.settings.admin_key)
        assert status == 200, answer
        return answer

    async def partner(self, **values: Any) -> int:
        return int((await self.call(PARTNER, "create", vals_list=[{"name": "Somebody", **values}]))[0])

    async def one(self, record_id: int, *fields: str, **arguments: Any) -> dict[str, Any]:
        (row,) = await self.call(PARTNER, "read", ids=[record_id], fields=list(fields), **arguments)
        return dict(row)


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    async with running(Settings()) as up, aiohttp.ClientSession() as session:
        yield Visitor(up, session)
