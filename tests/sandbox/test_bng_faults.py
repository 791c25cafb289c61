"""Proves the fault switches: each fires as often as told, and what it leaves behind is what it says."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from bng_records import World
from bng_visitor import Visitor, bng

__all__ = ["bng"]


@pytest.fixture
def world(bng: Visitor) -> World:
    return World(bng)


async def fault(bng: Visitor, kind: str, **told: Any) -> dict[str, Any]:
    return dict(await bng.switch("POST", "faults", **({"kind": kind, "next": 1} | told)))


async def count(bng: Visitor) -> int:
    return int((await bng.switch("GET", "counts"))["customer"])


async def test_a_connection_dropped_after_the_commit_leaves_the_record(bng: Visitor, world: World) -> None:
    plain = await world.plain("customer")
    await fault(bng, "drop_after_commit", method="POST")
    with pytest.raises(aiohttp.ClientError):
        await bng.send("POST", "/api/v1/customers", plain, headers={"Idempotency-Key": "k"})
    assert await count(bng) == 1
    again = await bng.send("POST", "/api/v1/customers", plain, headers={"Idempotency-Key": "k"})
    assert (again.status, again.headers["Idempotency-Replayed"]) == (201, "true")


async def test_a_connection_reset_before_the_work_leaves_nothing(bng: Visitor, world: World) -> None:
    await fault(bng, "reset")
    with pytest.raises(aiohttp.ClientError):
        await bng.send("POST", "/api/v1/customers", await world.plain("customer"))
    assert await count(bng) == 0


async def test_half_an_answer_comes_of_a_write_that_was_done(bng: Visitor, world: World) -> None:
    await fault(bng, "truncate")
    with pytest.raises(aiohttp.ClientPayloadError):
        await bng.send("POST", "/api/v1/customers", await world.plain("customer"))
    assert await count(bng) == 1


@pytest.mark.parametrize(("after", "kept"), [(False, 0), (True, 1)])
async def test_a_server_error_comes_without_the_work_or_after_it(
    bng: Visitor, world: World, after: bool, kept: int
) -> None:
    await fault(bng, "status", status=502, after=after)
    answer = await bng.send("POST", "/api/v1/customers", await world.plain("customer"))
    assert (answer.status, answer.error["Code"]) == (502, "Unavailable")
    assert await count(bng) == kept


async def test_a_page_comes_in_place_of_json(bng: Visitor) -> None:
    await fault(bng, "html", status=200)
    answer = await bng.send("GET", "/api/v1/customers")
    assert (answer.status, answer.headers["Content-Type"].split(";")[0]) == (200, "text/html")
    assert answer.raw.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(("wait", "header"), [(3, "3"), (0.5, "0.5"), (None, None)])
async def test_too_many_requests_with_and_without_how_long_to_wait(bng: Visitor, wait: Any, header: Any) -> None:
    await fault(bng, "throttle", retry_after=wait)
    answer = await bng.send("GET", "/api/v1/customers")
    assert (answer.status, answer.headers.get("Retry-After")) == (429, header)


async def test_a_delay_is_before_the_work_or_before_the_answer(bng: Visitor, world: World) -> None:
    for after, seen in ((False, 0), (True, 2)):
        await fault(bng, "delay", seconds=0.2, after=after, method="POST")
        plain = await world.plain("customer")
        slow = asyncio.create_task(bng.send("POST", "/api/v1/customers", plain))
        await asyncio.sleep(0.1)
        assert await count(bng) == seen
        assert (await slow).status == 201


async def test_an_expired_token_must_be_renewed(bng: Visitor) -> None:
    await fault(bng, "expire_token")
    assert (await bng.refused("GET", "customers")).status == 401
    await bng.log_in()
    await bng.get("customers")


async def test_a_fault_acts_on_the_paths_and_methods_it_names(bng: Visitor, world: World) -> None:
    made = await fault(bng, "status", match="vendors", method="POST", next=1)
    await bng.get("vendors")
    await bng.new("customers", await world.plain("customer"))
    assert (await bng.refused("POST", "vendors", await world.plain("vendor"))).status == 503
    await bng.new("vendors", await world.plain("vendor"))
    (shown,) = (await bng.switch("GET", "faults"))["faults"]
    assert (shown["id"], shown["seen"], shown["fired"], shown["next"]) == (made["id"], 2, 1, 0)


async def test_the_same_seed_meets_the_same_faults(bng: Visitor) -> None:
    rounds = []
    for _ in range(2):
        await bng.switch("DELETE", "faults")
        await fault(bng, "status", rate=0.5, next=0)
        rounds.append([(await bng.send("GET", "/api/v1/customers")).status for _ in range(40)])
    assert rounds[0] == rounds[1]
    assert 5 < rounds[0].count(503) < 35
    fired = (await bng.switch("GET", "faults"))["fired"]
    assert fired == {"status": rounds[1].count(503)}


async def test_a_fault_is_switched_off_and_its_count_stays(bng: Visitor) -> None:
    made = await fault(bng, "status", next=100)
    await bng.send("GET", "/api/v1/customers")
    left = await bng.switch("DELETE", "faults", id=made["id"])
    assert left == {"faults": [], "fired": {"status": 1}}
    await bng.get("customers")


async def test_a_wrong_fault_is_told(bng: Visitor) -> None:
    key = {"Authorization": f"Bearer {bng.up.settings.admin_key}"}
    for told in ({"kind": "earthquake", "next": 1}, {"kind": "reset"}, {"kind": "reset", "rate": 2}, {"next": 1}):
        answer = await bng.send("POST", "/sandbox/faults", told, headers=key)
        assert (answer.status, answer.error["Code"]) == (400, "ValidationFailed"), told
    assert (await bng.send("DELETE", "/sandbox/faults", {"id": 9}, headers=key)).status == 404
    assert (await bng.switch("GET", "faults"))["faults"] == []


async def test_the_switches_themselves_never_meet_a_fault(bng: Visitor) -> None:
    await fault(bng, "reset", rate=1.0, next=0)
    assert await count(bng) == 0
    await bng.switch("DELETE", "faults")
    await bng.get("customers")
