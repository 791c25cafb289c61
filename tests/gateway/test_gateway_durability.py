"""What the stand-in answered survives a kill: charges, customers, used tokens, undelivered events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from test_gateway_webhooks import listening

from isthmus.connectors.bng_gateway import Gateway, GatewaySettings
from isthmus.sandbox.gateway import Settings, running
from isthmus.sdk import NetworkPolicy, Rate, RefusedByTarget, local_services

KEYS = ("--security-key", "s" * 24, "--signing-key", "g" * 24, "--admin-key", "a" * 24)


@contextmanager
def gateway_process(*arguments: str) -> Iterator[dict[str, Any]]:
    """A gateway in a process of its own; gives its ready line. It is ended with SIGINT, or was killed before."""
    command = [sys.executable, "-m", "isthmus.sandbox.gateway", "--port", "0", "--print-ready", *KEYS, *arguments]
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


def paying_at(facts: dict[str, Any]) -> Gateway:
    settings = GatewaySettings(url=facts["url"], security_key=facts["security_key"])
    return Gateway(settings, local_services(Rate(0), network=NetworkPolicy(allow_loopback=True)))


async def switch(facts: dict[str, Any], method: str, name: str, **told: Any) -> Any:
    headers = {"Authorization": f"Bearer {facts['admin_key']}"}
    url = f"{facts['url']}/sandbox/{name}"
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers, json=told) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_everything_answered_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "gateway.sqlite"))
    with gateway_process(*data) as facts:
        pay = paying_at(facts)
        made = await pay.sale("A", Decimal("5.00"), token="test-approve-anna.1")
        await pay.keep_customer("c1", "test-approve-anna.2", person={"FirstName": "Ada"})
        before = await switch(facts, "GET", "transactions")
        await pay.close()
        os.kill(facts["pid"], signal.SIGKILL)
    with gateway_process(*data) as facts:
        pay = paying_at(facts)
        assert await switch(facts, "GET", "transactions") == before
        assert (await pay.sale("A", Decimal("5.00"), token="test-approve-anna.1")).id == made.id
        with pytest.raises(RefusedByTarget, match="already been used"):
            await pay.sale("B", Decimal("6.00"), token="test-approve-anna.1")
        kept = await pay.customer("c1")
        assert kept is not None
        assert kept.first_name == "Ada"
        assert int((await pay.sale("B", Decimal("6.00"), vault_id="c1")).id) > int(made.id)
        await pay.close()


async def test_an_event_that_was_not_accepted_before_a_kill_comes_after_it(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "gateway.sqlite"))
    async with listening() as door:
        door.answers = [500] * 9
        with gateway_process(*data) as facts:
            await switch(facts, "POST", "hooks", url=door.url)
            pay = paying_at(facts)
            await pay.sale("A", Decimal("5.00"), token="test-approve-anna.1")
            await pay.close()
            await door.until(1)
            os.kill(facts["pid"], signal.SIGKILL)
        door.answers = []
        seen = json.loads(door.came[0].body)["event_id"]
        an_hour_later = Settings(
            data=tmp_path / "gateway.sqlite", signing_key=KEYS[3], now=lambda: datetime.now(UTC) + timedelta(hours=1)
        )
        async with running(an_hour_later):
            await door.until(2)
    assert {json.loads(r.body)["event_id"] for r in door.came} == {seen}


async def test_a_file_is_of_one_stand_in_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "gateway.sqlite"
    async with running(Settings(data=file)):
        with pytest.raises(ValueError, match="name a file that no other sandbox uses"):
            await running(Settings(data=file)).__aenter__()
