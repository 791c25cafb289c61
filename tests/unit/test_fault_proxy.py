"""The fault proxy: each fault does to a request what it says, is counted, and comes the same for the same seed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientError, ClientPayloadError, ClientSession, web

from isthmus.testing.fault_proxy import KINDS, Dice, FaultProxy, Plan


class Upstream:
    """Counts what reaches it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.writes.append(await request.read())
        return web.json_response({"path": request.path_qs, "key": request.headers.get("Authorization")})


@asynccontextmanager
async def world(plan: Plan) -> AsyncIterator[tuple[Upstream, FaultProxy, ClientSession]]:
    upstream = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", upstream.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    upstream.url = f"http://{host}:{port}"
    proxy = FaultProxy(upstream.url, seed=3, plan=plan)
    async with proxy.running(), ClientSession() as session:
        yield upstream, proxy, session
    await runner.cleanup()


def only(kind: str) -> Plan:
    return Plan(rate=1.0, kinds=(kind,), delay_seconds=0.05)


async def test_without_a_plan_requests_pass_unchanged() -> None:
    async with world(Plan()) as (upstream, proxy, session):
        async with session.post(f"{proxy.url}/a?b=c", data=b"x", headers={"Authorization": "Bearer t"}) as answer:
            assert answer.status == 200
            assert await answer.json() == {"path": "/a?b=c", "key": "Bearer t"}
        assert upstream.writes == [b"x"]
        assert proxy.requests == 1
        assert sum(proxy.counts.values()) == 0


@pytest.mark.parametrize(("kind", "reaches"), [("drop_after_commit", 1), ("reset", 0)])
async def test_a_cut_connection_gives_no_answer(kind: str, reaches: int) -> None:
    async with world(only(kind)) as (upstream, proxy, session):
        with pytest.raises(ClientError):
            await session.post(f"{proxy.url}/a", data=b"x")
        assert len(upstream.writes) == reaches
        assert proxy.counts[kind] == 1


async def test_a_truncated_answer_breaks_off_after_the_work_was_done() -> None:
    async with world(only("truncate")) as (upstream, proxy, session):
        async with session.post(f"{proxy.url}/a", data=b"x") as answer:
            with pytest.raises(ClientPayloadError):
                await answer.read()
        assert len(upstream.writes) == 1


@pytest.mark.parametrize(
    ("kind", "statuses", "reaches"),
    [("server_error", {500, 502, 503, 504}, 0), ("error_after_commit", {502, 504}, 3), ("throttle", {429}, 0)],
)
async def test_refusals_answer_their_status(kind: str, statuses: set[int], reaches: int) -> None:
    async with world(only(kind)) as (upstream, proxy, session):
        waits = []
        for _ in range(3):
            async with session.post(f"{proxy.url}/a", data=b"x") as answer:
                assert answer.status in statuses
                waits.append(answer.headers.get("Retry-After"))
        assert len(upstream.writes) == reaches
        if kind == "throttle":
            assert [w is not None for w in waits] == [True, False, True]


async def test_a_delayed_request_is_answered_all_the_same() -> None:
    async with world(only("delay")) as (_, proxy, session):
        async with session.get(f"{proxy.url}/a") as answer:
            assert answer.status == 200
        assert proxy.counts["delay"] == 1


async def test_the_control_address_tells_counts_and_turns_plans() -> None:
    async with world(Plan()) as (_, proxy, session):
        async with session.put(f"{proxy.control_url}/plan", json={"rate": 1.0, "kinds": ["throttle"]}) as answer:
            assert (await answer.json())["plan"]["rate"] == 1.0
        async with session.get(f"{proxy.url}/a") as answer:
            assert answer.status == 429
        async with session.put(f"{proxy.control_url}/plan", json={"rate": 1.0, "kinds": ["flood"]}) as answer:
            assert answer.status == 400
        async with session.delete(f"{proxy.control_url}/plan") as answer:
            assert (await answer.json())["fired"]["throttle"] == 1
        async with session.get(f"{proxy.url}/a") as answer:
            assert answer.status == 200


async def test_a_system_that_is_away_looks_like_one() -> None:
    proxy = FaultProxy("http://127.0.0.1:9")
    async with proxy.running(), ClientSession() as session:
        with pytest.raises(ClientError):
            await asyncio.wait_for(session.get(proxy.url), 20)


def test_the_same_seed_meets_the_same_faults_and_each_kind_equally_often() -> None:
    requests = [("POST /a\n", "GET /b\n")[n % 2] for n in range(4000)]
    drawn = [Dice(5, Plan(rate=0.2)) for _ in range(2)]
    first, second = ([dice.draw(r) for r in requests] for dice in drawn)
    assert first == second
    counts = {kind: first.count(kind) for kind in KINDS}
    assert min(counts.values()) >= max(counts.values()) - 3


def test_a_fault_after_the_commit_waits_for_a_write() -> None:
    dice = Dice(1, Plan(rate=1.0, kinds=("drop_after_commit",), writes="^POST /write"))
    assert dice.draw("POST /read\n") is None
    assert dice.draw("POST /write\n") == "drop_after_commit"


def test_spared_requests_never_meet_a_fault() -> None:
    dice = Dice(1, Plan(rate=1.0, spare="/oauth/"))
    assert dice.draw("POST /oauth/token\n") is None
    assert dice.draw("POST /customers\n") is not None
