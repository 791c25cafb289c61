"""BNG's webhooks: registered, repaired, given new secrets, removed; deliveries verified and read as hints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from isthmus.sandbox import bng
from isthmus.sdk import (
    AuthFailed,
    Connector,
    Create,
    Delivery,
    NetworkPolicy,
    Rate,
    Secret,
    WebhookRequest,
    Written,
    local_services,
)  # fmt: skip
from isthmus.sdk.registry import find

FIRST, SECOND = "the-first-webhook-secret", "the-second-webhook-secret"


class Door:
    """Our side: keeps what arrives."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[WebhookRequest] = asyncio.Queue()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.arrived.put_nowait(WebhookRequest(headers=headers, body=await request.read()))
        return web.Response()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    app = web.Application()
    app.router.add_post("/hooks/bng", made.take)
    server = TestServer(app)
    await server.start_server()
    made.url = str(server.make_url("/hooks/bng"))
    yield made
    await server.close()


@pytest.fixture
async def system() -> AsyncIterator[bng.Running]:
    async with bng.running(bng.Settings()) as up:
        yield up


def connect(system: bng.Running, overrides: dict[str, Any] | None = None, **secrets: str) -> Connector:
    """A connection with these webhook secrets."""
    settings = {"base_url": system.url, "client_id": system.settings.client_id, "overrides": overrides or {}}
    given = {"client_secret": system.settings.client_secret, **secrets}
    services = local_services(Rate(0), network=NetworkPolicy(allow_loopback=True))
    return find("bng").make(settings, {name: Secret(value) for name, value in given.items()}, services)


def customer(name: str) -> Create:
    values = {"CompanyName": name, "Email": f"{name}@example.org"}
    return Create(external_key=f"x-{name}", values=values, idempotency_key=f"k-{name}")


async def arrives(door: Door, connector: Connector, name: str) -> tuple[WebhookRequest, Delivery, str]:
    """Make a customer and take in what BNG tells of it."""
    [made] = await connector.create("customer", [customer(name)])
    assert isinstance(made, Written)
    request = await door.arrived.get()
    return request, connector.receive(request), made.key


async def test_a_registration_is_made_once_and_tells_of_changes(door: Door, system: bng.Running) -> None:
    ours = connect(system, webhook_secret=FIRST)
    for _ in range(2):
        statuses = await ours.install_hooks(["customer", "sales_order_line_item"], door.url)
        assert all(status.installed for status in statuses)
    [registered] = list(system.sandbox.subscriptions)
    assert {"customer.created", "customer.deactivated", "sales_order.updated"} <= set(registered.events)
    assert "vendor.created" not in registered.events
    _, delivery, key = await arrives(door, ours, "ada")
    [hint] = delivery.hints
    assert (hint.entity, hint.key, hint.version, delivery.delivery_id is not None) == ("customer", key, "1", True)
    await ours.close()


async def test_a_damaged_registration_is_repaired_and_others_are_left_alone(door: Door, system: bng.Running) -> None:
    ours = connect(system, webhook_secret=FIRST)
    client = system.settings.client_id
    system.sandbox.subscriptions.add(client, {"Url": "https://other.example/", "Events": ["customer.*"]})
    system.sandbox.subscriptions.add(client, {"Url": door.url, "Events": ["vendor.created"]})
    [found] = await ours.hooks(["customer"], door.url)
    assert (found.installed, "customer.created" in found.detail) == (False, True)
    [repaired] = await ours.install_hooks(["customer"], door.url)
    assert repaired.installed
    assert {s.url: "vendor.created" in s.events for s in system.sandbox.subscriptions} == {
        "https://other.example/": False,
        door.url: False,
    }
    await ours.remove_hooks(door.url)
    assert [s.url for s in system.sandbox.subscriptions] == ["https://other.example/"]
    assert [s.installed for s in await ours.hooks(["customer"], door.url)] == [False]
    await ours.close()


@pytest.mark.parametrize("renew_path", ["/api/v1/webhook_subscriptions/{key}/rotate_secret", None])
async def test_both_secrets_are_accepted_while_one_makes_way(
    door: Door, system: bng.Running, renew_path: str | None
) -> None:
    told = {"webhooks": {"subscriptions": {"renew_path": renew_path}}}
    before = connect(system, told, webhook_secret=FIRST)
    await before.install_hooks(["customer"], door.url)
    early, _, _ = await arrives(door, before, "ada")
    after = connect(system, told, webhook_secret=SECOND, webhook_secret_previous=FIRST)
    assert after.receive(early).hints, "what was signed before the change is still genuine"
    await after.install_hooks(["customer"], door.url)
    late, delivery, _ = await arrives(door, after, "bea")
    assert delivery.hints
    only_new = connect(system, told, webhook_secret=SECOND)
    assert only_new.receive(late).hints
    with pytest.raises(AuthFailed):
        only_new.receive(early)
    assert len(list(system.sandbox.subscriptions)) == 1
    for one in (before, after, only_new):
        await one.close()


async def test_a_forged_delivery_is_refused(door: Door, system: bng.Running) -> None:
    ours = connect(system, webhook_secret=FIRST)
    await ours.install_hooks(["customer"], door.url)
    request, _, _ = await arrives(door, ours, "ada")
    forged = WebhookRequest(headers=request.headers, body=request.body.replace(b"ada", b"eve"))
    with pytest.raises(AuthFailed, match="does not match"):
        ours.receive(forged)
    await ours.close()


async def test_another_signature_is_a_matter_of_overrides(system: bng.Running) -> None:
    from isthmus.sdk.webhook import SHOPIFY, sign

    scheme = {"webhooks": {"signature": SHOPIFY.model_dump()}}
    ours = connect(system, scheme, webhook_secret=FIRST)
    body = b'{"EventID": "e1", "EventType": "customer.updated", "EntityID": "c1", "Version": 3}'
    delivery = ours.receive(WebhookRequest(headers=sign(SHOPIFY, body, Secret(FIRST)), body=body))
    assert [(hint.key, hint.version) for hint in delivery.hints] == [("c1", "3")]
    await ours.close()
