"""Requests and webhooks outward: signed, tried again, never sent blind a second time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from flow_world import FlowInstallation

from isthmus.operate import flows as verbs
from isthmus.operate import runs as run_verbs
from isthmus.store.database import Database


class Receiver:
    """A web server that answers what the test says, and remembers what it was sent."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {k.lower(): v for k, v in request.headers.items()}
        self.got.append((request.method, request.path_qs, headers, body))
        answer = self.answers.pop(0) if self.answers else 200
        if answer == "drop":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if isinstance(answer, dict):
            return web.json_response(answer)
        return web.Response(status=answer, text=f"answer {answer}")


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    found = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.take)
    server = TestServer(app)
    await server.start_server()
    yield found, f"http://127.0.0.1:{server.port}"
    await server.close()


@pytest.fixture
async def house(database: Database) -> AsyncIterator[FlowInstallation]:
    found = FlowInstallation(database)
    yield found
    await found.close()


def flow(node: str) -> str:
    return f"""
flow: web
retry: {{first: 10ms, most: 50ms}}
nodes:
  start: {{type: manual, to: ask}}
  ask:
{node}
    to: end
  end: {{type: filter, when: "true"}}
"""


NOTIFY = (
    "    type: notify\n    url: URL/hooks\n    event: order.shipped\n    data: {order: item.order}\n    secret: sign"
)
GET = "    type: http_request\n    url: URL\n    path: \"'/orders/' + item.order\"\n    query: {full: \"'yes'\"}"
POST = (
    "    type: http_request\n    method: POST\n    url: URL\n    path: \"'/orders'\"\n    body: {id: item.order}\n"
    "    secret_headers: {Authorization: token}"
)


async def ready(house: FlowInstallation, node: str, url: str, **secrets: str) -> None:
    await house.publish(flow(node.replace("URL", url)), allow_loopback="true")
    for name, value in secrets.items():
        await house.db.run(verbs.set_secret, house.runtime, "web", name, value, "ada")
    await house.trigger("web", {"order": "S1"})


async def test_a_webhook_is_signed_and_tried_again_under_the_same_id(
    house: FlowInstallation, receiver: tuple[Receiver, str]
) -> None:
    server, url = receiver
    server.answers = [503, "drop", 500, 204]
    await ready(house, NOTIFY, url, sign="s3cret-of-the-shop")
    await house.drain()
    assert house.states() == {"done": 1}
    assert len(server.got) == 4
    _, path, headers, body = server.got[-1]
    assert path == "/hooks"
    told = json.loads(body)
    assert (told["type"], told["data"], told["key"]) == ("order.shipped", {"order": "S1"}, "K1")
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(b"s3cret-of-the-shop", content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    assert len({h["webhook-id"] for _, _, h, _ in server.got}) == 1


async def test_the_secret_of_a_flow_stands_nowhere_in_plain_words(
    house: FlowInstallation, receiver: tuple[Receiver, str]
) -> None:
    _, url = receiver
    await ready(house, NOTIFY, url, sign="s3cret-of-the-shop")
    await house.drain()
    tables = [r.tablename for r in house.rows("select tablename from pg_tables where schemaname = 'public'")]
    kept = "".join(house.one(f"select coalesce(string_agg(t::text, ' '), '') from \"{t}\" t") for t in tables)
    assert "s3cret" not in kept
    assert house.one("select count(*) from flow_secret") == 1


async def test_a_read_is_tried_again_and_numbers_stay_exact(
    house: FlowInstallation, receiver: tuple[Receiver, str]
) -> None:
    server, url = receiver
    server.answers = [500, {"total": 12.10, "lines": 3}]
    await ready(house, GET, url)
    await house.drain()
    assert house.ended("end")[0]["answer"] == {"status": 200, "body": {"total": "12.1", "lines": 3}}
    assert {path for _, path, _, _ in server.got} == {"/orders/S1?full=yes"}
    assert house.one("select count(*) from run_intent") == 0


async def test_an_unsafe_request_without_an_answer_is_held_and_not_sent_again(
    house: FlowInstallation, receiver: tuple[Receiver, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from isthmus.flows.nodes.web import HttpRequest

    async def short(*_: Any) -> timedelta:
        return timedelta(seconds=0.3)

    monkeypatch.setattr(HttpRequest, "ceiling", short)
    server, url = receiver
    server.answers = ["drop"]
    await ready(house, POST, url, token="Bearer abc")
    await house.drain()
    assert len(server.got) == 1
    assert server.got[0][2]["authorization"] == "Bearer abc"
    assert house.states() == {"held": 1}
    [letter] = house.rows("select id, kind, error from dead_letter")
    assert letter.kind == "OutcomeUnknown"
    assert "Look there yourself" in letter.error["hint"]
    await house.db.run(run_verbs.retry_letter, house.runtime.flows, letter.id, "ada")
    await house.drain()
    assert len(server.got) == 2
    assert house.states() == {"done": 1}
    keys = [h["idempotency-key"] for _, _, h, _ in server.got]
    assert keys[0] != keys[1], "a person has said that it is another try"


async def test_a_harmless_request_is_sent_again_with_the_same_key(
    house: FlowInstallation, receiver: tuple[Receiver, str]
) -> None:
    server, url = receiver
    server.answers = ["drop", 200]
    await ready(house, POST + "\n    harmless: true", url, token="Bearer abc")
    await house.drain()
    assert house.states() == {"done": 1}
    assert len({h["idempotency-key"] for _, _, h, _ in server.got}) == 1


async def test_a_refusal_becomes_a_dead_letter_with_what_was_answered(
    house: FlowInstallation, receiver: tuple[Receiver, str]
) -> None:
    server, url = receiver
    server.answers = [422]
    await ready(house, POST, url, token="Bearer abc")
    await house.drain()
    [letter] = house.rows("select kind, error from dead_letter")
    assert (letter.kind, letter.error["answered"]) == ("RefusedByTarget", "422 answer 422")
    assert house.one("select state from run_intent") == "refused"


async def test_a_private_address_is_not_reached_unless_the_flow_may(
    house: FlowInstallation, receiver: tuple[Receiver, str]
) -> None:
    server, url = receiver
    await house.publish(flow(GET.replace("URL", url)))
    await house.trigger("web", {"order": "S1"})
    await house.drain()
    assert server.got == []
    assert house.one("select state from flow") == "halted"
