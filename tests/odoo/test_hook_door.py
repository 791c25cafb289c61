"""From an edit in a real Odoo to a durable Change: its automation posts to our own address, answered at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from sqlalchemy import text

from isthmus.api.app import create_app
from isthmus.model.secret import Secret
from isthmus.operate import connections, pairs
from isthmus.operate.opening import opened
from isthmus.operate.runtime import Runtime
from isthmus.store.database import Database
from real_odoo import RealOdoo

pytestmark = pytest.mark.odoo
PAIR = """
pair: two
left: erp
right: other
settings: {region: US, country: US, currency: USD}
entities:
  customer:
    left: {mapping: odoo-customer}
    right: {mapping: odoo-customer}
"""


@asynccontextmanager
async def listening(runtime: Runtime) -> AsyncIterator[str]:
    """The service's HTTP face, without the engine: what comes in stays as it was stored."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(runtime), host="127.0.0.1", port=0, log_config=None, lifespan="off")
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # the test ends it
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def connect(runtime: Runtime, odoo: RealOdoo, name: str) -> None:
    plain = {"url": odoo.url, "database": odoo.database, "login": odoo.login, "allow_loopback": True}
    given = {"api_key": Secret(odoo.api_key)}
    await connections.add(
        runtime, name, kind="odoo", environment="sandbox", settings=plain, given=given, actor="a test"
    )


@pytest.fixture
async def runtime(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database.conninfo)
    async with opened() as found:
        yield found


def stored(database: Database, table: str, columns: str) -> list[Any]:
    with database.transaction() as conn:
        return list(conn.execute(text(f"select {columns} from {table} order by id")))


async def test_an_edit_in_odoo_is_a_durable_change_before_odoo_has_answered(
    runtime: Runtime, real_odoo: RealOdoo, database: Database, tmp_path: Path
) -> None:
    await connect(runtime, real_odoo, "erp")
    await connect(runtime, real_odoo, "other")
    await pairs.apply(runtime, {"pair.yaml": PAIR}, actor="a test")
    admin = {"admin_key": Secret(real_odoo.admin_key)}
    by_person = {"with_key": real_odoo.admin_key}
    async with listening(runtime) as url:
        found = await connections.install_hooks(runtime, "erp", url, admin=admin)
        assert [(one.entity, one.installed) for one in found] == [("res.partner", True)], found
        rules = await asyncio.to_thread(real_odoo.call, "base.automation", "search_read", domain=[], **by_person)
        fields = await asyncio.to_thread(
            real_odoo.call, "ir.model.fields", "read", ids=rules[0]["trigger_field_ids"], fields=["name"], **by_person
        )
        watched = {field["name"] for field in fields}
        assert {"name", "email", "phone", "street", "parent_id", "type", "active"} <= watched
        assert not watched & {"function", "ref", "color"}, "only what the pair maps is watched"
        (made,) = await asyncio.to_thread(
            real_odoo.call, "res.partner", "create", vals_list=[{"name": "By a person"}], **by_person
        )
        await asyncio.to_thread(real_odoo.call, "res.partner", "create", vals_list=[{"name": "By Isthmus"}])
        assert [tuple(row) for row in stored(database, "change", "entity, side, key, state")] == [
            ("customer", "left", str(made), "pending")
        ]
        await connections.remove_hooks(runtime, "erp", url, admin=admin)
    left = await asyncio.to_thread(real_odoo.call, "base.automation", "search_count", domain=[], **by_person)
    assert left == 0
    kept = [secret.reveal() for secret in (await runtime.db.run(_secrets, runtime)).values()]
    assert real_odoo.admin_key not in kept


async def test_the_door_opens_to_the_secret_in_the_address_only_and_at_once_to_a_new_one(
    runtime: Runtime, odoo_server: RealOdoo, database: Database
) -> None:
    await connect(runtime, odoo_server, "erp")
    row = await runtime.db.run(_row, "erp")
    async with listening(runtime) as url, aiohttp.ClientSession() as session:

        async def post(address: str, body: bytes = b'{"_id": 7, "_model": "res.partner"}') -> int:
            async with session.post(address, data=body) as answer:
                return answer.status

        address = await connections.hook_url(runtime, row, url)
        assert [await post(address) for _ in range(2)] == [200, 200]
        assert await post(f"{url}/hooks/erp/guessed") == 404
        assert await post(f"{url}/hooks/nobody/guessed") == 404
        assert await post(address, b"<html>no Odoo</html>") == 400
        assert len(stored(database, "delivery", "id")) == 2
        await connections.add(
            runtime,
            "erp",
            kind="odoo",
            environment="sandbox",
            settings=row.settings,
            given={"hook_secret": Secret("a-new-one"), "api_key": Secret(odoo_server.api_key)},
            actor="a test",
        )
        assert await post(address) == 404
        assert await post(f"{url}/hooks/erp/a-new-one") == 200


async def test_a_system_whose_manifest_describes_no_webhooks_is_told_so_in_a_sentence(runtime: Runtime) -> None:
    manifest = {
        "key": "silent",
        "name": "Silent",
        "summary": "Sends nothing.",
        "auth": {"style": "key", "header": "X-Key"},
        "paging": {"style": "page"},
        "entities": {"thing": {"path": "/things", "key": "id", "fields": {"id": {"type": "string", "readonly": True}}}},
    }
    await connections.add(
        runtime,
        "silent",
        kind="rest",
        environment="sandbox",
        settings={"url": "http://127.0.0.1:1", "allow_loopback": True, "manifest": manifest},
        given={"api_key": Secret("k")},
        actor="a test",
    )
    row = await runtime.db.run(_row, "silent")
    async with listening(runtime) as url, aiohttp.ClientSession() as session:
        address = await connections.hook_url(runtime, row, url)
        async with session.post(address, data=b"{}") as answer:
            told = await answer.json()
    assert answer.status == 409
    assert "its manifest describes none" in told["error"]["doing"]
    assert "polling" in told["error"]["hint"]


def _row(conn: Any, name: str) -> Any:
    from isthmus.store import connections as rows

    return rows.get(conn, name)


def _secrets(conn: Any, runtime: Runtime) -> Any:
    from isthmus.operate.secrets import open_secrets

    return open_secrets(conn, runtime.keys, _row(conn, "erp").id)
