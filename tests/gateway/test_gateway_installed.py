"""The gateway in an installation: connected from the command line, its webhooks taken by the running service."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from gateway_rig import SIGNING_KEY, Rig
from sqlalchemy import text

from isthmus.model.secret import Secret
from isthmus.operate.connections import hook_url
from isthmus.operate.opening import opened
from isthmus.sdk.webhook import NMI, sign
from isthmus.store import connections
from isthmus.store.database import Database
from joined import Service, isthmus

CARD = "4111111111111111"


def connect(rig: Rig, **secret: str) -> list[str]:
    """The command that connects to the running gateway."""
    given = {"security_key": rig.up.settings.security_key, "webhook_signing_key": SIGNING_KEY, **secret}
    out = ["connection", "add", "gateway", "--kind", "bng_gateway", "--url", rig.up.url, "--set", "allow_loopback=true"]
    for name, value in given.items():
        out += ["--secret", f"{name}={value}"]
    return out


def deliveries(database: Database) -> list[Any]:
    with database.transaction() as conn:
        return [row.body for row in conn.execute(text("select body from delivery order by id"))]


@pytest.mark.usefixtures("home")
async def test_it_is_connected_and_examined_from_the_command_line(rig: Rig) -> None:
    said = await isthmus(*connect(rig))
    assert said.code == 0, said
    findings = {f["check"]: f for f in (await isthmus("connection", "doctor", "gateway", "--json")).json}
    assert {check: f["status"] for check, f in findings.items()} == {
        "login": "ok", "query": "ok", "test mode": "ok", "webhooks": "ok",
    }  # fmt: skip
    assert SIGNING_KEY not in said.out + said.err


@pytest.mark.usefixtures("home")
async def test_what_to_set_up_in_the_gateway_is_told_with_its_address(rig: Rig) -> None:
    assert (await isthmus(*connect(rig))).code == 0
    said = await isthmus("connection", "hooks", "gateway", "--base-url", "https://isthmus.example.com", "--json")
    assert "https://isthmus.example.com/hooks/gateway/" in said.out
    assert "chargeback.batch.complete" in said.out


@pytest.mark.usefixtures("home")
async def test_a_wrong_key_is_told_with_what_to_do(rig: Rig) -> None:
    said = await isthmus(*connect(rig, security_key="not-the-right-key"))
    assert "problem" in said.out
    assert "Security Keys" in said.out + said.err
    assert "not-the-right-key" not in said.out + said.err
    assert "Traceback" not in said.out + said.err


async def address(service: Service) -> str:
    async with opened() as runtime:
        row = await runtime.db.run(connections.get, "gateway")
        return await hook_url(runtime, row, service.url)


async def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_deliveries_are_stored_once_and_masked_and_forged_ones_are_not(
    rig: Rig, service: Service, database: Database
) -> None:
    assert (await isthmus(*connect(rig))).code == 0
    url = await address(service)
    await rig.switch("POST", "hooks", url=url)
    await rig.switch("POST", "faults", kind="webhook_duplicate", match="", next=2)
    made = [await rig.gateway().sale(f"A{n}", Decimal("5.00"), token=rig.token()) for n in range(2)]
    for _ in range(200):
        counts = (await rig.switch("GET", "deliveries"))["log"]
        if len(counts) >= 4:
            break
        await asyncio.sleep(0.02)
    assert [one["Outcome"] for one in counts] == [200] * 4, "each delivery came twice"
    kept = [json.loads(bytes(body)) for body in await asyncio.to_thread(deliveries, database)]
    assert sorted(k["event_body"]["transaction_id"] for k in kept) == sorted(t.id for t in made)

    event = {"event_id": "planted", "event_type": "transaction.sale.success"}
    body = json.dumps({**event, "event_body": {"transaction_id": "1", "order_description": f"card {CARD}"}}).encode()
    genuine = sign(NMI, body, Secret(SIGNING_KEY), "n")
    assert await post(url, body, sign(NMI, body, Secret("another-key"), "n")) == 401
    assert await post(url, body, {}) == 401
    assert await post(url[:-3] + "xxx", body, genuine) == 404
    assert len(await asyncio.to_thread(deliveries, database)) == 2
    assert await post(url, body, genuine) == 200
    assert await post(url, body, genuine) == 200
    kept = await asyncio.to_thread(deliveries, database)
    assert len(kept) == 3
    assert CARD.encode() not in bytes(kept[-1])
    assert b"411111******1111" in bytes(kept[-1])


@pytest.mark.usefixtures("home")
async def test_an_operation_is_called_from_the_command_line_and_repeats_nothing(rig: Rig) -> None:
    assert (await isthmus(*connect(rig))).code == 0
    given = json.dumps({"order_id": "SO1", "amount": "5.00", "token": rig.token()})
    call = ["connection", "call", "gateway", "sale", "--input", given, "--json"]
    first, again = [(await isthmus(*call)).json for _ in range(2)]
    assert (first["state"], first["repeated"], again["repeated"]) == ("done", False, True)
    assert first["result"]["transaction_id"] == again["result"]["transaction_id"]
    assert len(await rig.charges("SO1")) == 1
    refused = json.dumps({"order_id": "SO2", "amount": "5.00", "token": rig.token("insufficient")})
    said = await isthmus("connection", "call", "gateway", "sale", "--input", refused)
    assert said.code != 0
    assert "Insufficient funds (code 202)" in said.out + said.err
    assert "Traceback" not in said.out + said.err
    standing = (await isthmus("connection", "call", "gateway", "find", "--input", '{"order_id": "SO1"}', "--json")).json
    assert standing["result"]["captured"] == "5.00"


@pytest.mark.usefixtures("home")
async def test_the_signing_key_may_follow_later(rig: Rig) -> None:
    added = [part for part in connect(rig) if "signing_key" not in part]
    assert added[-1] == "--secret"
    assert (await isthmus(*added[:-1])).code == 0
    said = await isthmus("connection", "rotate", "gateway", "--secret", f"webhook_signing_key={SIGNING_KEY}")
    assert said.code == 0, said
    findings = {f["check"]: f for f in (await isthmus("connection", "doctor", "gateway", "--json")).json}
    assert findings["webhooks"]["status"] == "ok"
