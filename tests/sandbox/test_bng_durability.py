"""Proves that what BNG answered survives a kill: records, keys, tokens, subscriptions, undelivered events."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from bng_records import PATHS, World
from bng_visitor import Visitor, sandbox_process
from test_bng_webhooks import receiving

from isthmus.sandbox.bng import Settings, running

KEPT = ("--client-secret", "c" * 24, "--admin-key", "a" * 24)


async def visitor_of(facts: dict[str, Any], session: aiohttp.ClientSession, *, log_in: bool = True) -> Visitor:
    settings = SimpleNamespace(**{name: facts[name] for name in ("client_id", "client_secret", "admin_key")})
    visitor = Visitor(SimpleNamespace(url=facts["url"], settings=settings), session)  # type: ignore[arg-type]
    if log_in:
        await visitor.log_in()
    return visitor


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_everything_answered_before_a_kill_is_there_after_it(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    data = ("--data", str(tmp_path / "bng.sqlite"), *KEPT)
    with sandbox_process(*data) as facts:
        bng = await visitor_of(facts, session)
        world = World(bng)
        for entity in PATHS:
            await world.known(entity)
        plain = await world.plain("customer")
        made = await bng.new("customers", plain, Idempotency_Key="k")
        before = await bng.switch("GET", "snapshot")
        system, token = await bng.get("system"), bng.token
        os.kill(facts["pid"], signal.SIGKILL)
    with sandbox_process(*data) as facts:
        bng = await visitor_of(facts, session, log_in=False)
        bng.token = token
        assert await bng.switch("GET", "snapshot") == before
        assert await bng.get("system") == system
        assert await bng.new("customers", plain, Idempotency_Key="k") == made
        later = await bng.put(f"customers/{made['CustomerID']}", {"Phone": "1"})
        assert later["UpdatedAt"] > max(r["UpdatedAt"] for records in before.values() for r in records)


async def test_a_batch_that_a_kill_met_is_there_whole_or_not_at_all(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    data = ("--data", str(tmp_path / "bng.sqlite"), *KEPT)
    with sandbox_process(*data) as facts:
        bng = await visitor_of(facts, session)
        world = World(bng)
        answered = 0

        async def load() -> None:
            nonlocal answered
            while True:
                items = [await world.plain("customer") for _ in range(100)]
                await bng.send("POST", "/api/v1/customers/batch", {"Items": items})
                answered += 1

        loading = asyncio.create_task(load())
        await asyncio.sleep(0.5)
        os.kill(facts["pid"], signal.SIGKILL)
        with pytest.raises(aiohttp.ClientError):
            await loading
    with sandbox_process(*data) as facts:
        counts = await (await visitor_of(facts, session)).switch("GET", "counts")
    assert answered > 0
    assert counts["customer"] in (answered * 100, (answered + 1) * 100)


async def test_events_that_were_not_accepted_before_a_kill_come_after_it(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    data = ("--data", str(tmp_path / "bng.sqlite"), *KEPT)
    receiver, server = await receiving()
    try:
        receiver.answers = [500] * 3
        with sandbox_process(*data) as facts:
            bng = await visitor_of(facts, session)
            hook = await bng.new("webhook_subscriptions", {"Url": receiver.url, "Events": ["customer.*"]})
            made = [await bng.new("customers", await World(bng).plain("customer"))]
            await receiver.until(1)
            os.kill(facts["pid"], signal.SIGKILL)
        receiver.answers = []
        seen = {event["EventID"] for event in receiver.events}
        with sandbox_process(*data) as facts:
            await receiver.until(2)
            bng = await visitor_of(facts, session)
            subscriptions = (await bng.get("webhook_subscriptions"))["Data"]
    finally:
        await server.close()
    assert {event["EventID"] for event in receiver.events} == seen
    assert receiver.events[-1]["Data"] == made[0]
    assert [one["SubscriptionID"] for one in subscriptions] == [hook["SubscriptionID"]]


async def test_a_file_is_of_one_sandbox_at_a_time_and_must_be_one(tmp_path: Path) -> None:
    file = tmp_path / "bng.sqlite"
    foreign = tmp_path / "notes.txt"
    foreign.write_text("no database at all " * 100)
    async with running(Settings(data=file)):
        for name in (file, foreign, tmp_path / "nowhere" / "x"):
            with pytest.raises(ValueError, match=f"opening {name}: .*name a file that no other sandbox uses"):
                await running(Settings(data=name)).__aenter__()
    async with running(Settings(data=file)):
        pass  # it was let go


def test_the_ready_line_says_all_that_a_starter_needs_and_an_interrupt_ends_it_cleanly() -> None:
    with sandbox_process() as facts:
        assert set(facts) == {"url", "client_id", "client_secret", "admin_key", "webhook_secret", "pid"}
        os.kill(facts["pid"], signal.SIGINT)
    with pytest.raises(ProcessLookupError):
        os.kill(facts["pid"], 0)
    assert json.dumps(facts)
