"""Webhooks of a shop: installed, repaired, taken away, verified, sent again under one id, told apart from forgeries."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from shop_visitor import HOOK_SECRET, Shopping, number, opened, stocked

from isthmus.connectors.shopify import connector
from isthmus.sandbox.shop import WebhookTimes
from isthmus.sdk import AuthFailed, InvalidRecord, Misconfigured, Secret, WebhookRequest, local_services

URL = "https://isthmus.example.org/hooks/shop"
LIST = "{ webhookSubscriptions(first: 50) { nodes { id topic uri format includeFields } } }"
QUICK = WebhookTimes(timeout=1.0, first_retry=0.02, longest_retry=0.05, attempts=4)


class Mailbox:
    """A receiver that keeps what comes, and refuses as often as told."""

    def __init__(self) -> None:
        self.requests: list[WebhookRequest] = []
        self.refusals = 0
        self.came = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(WebhookRequest(headers=headers, body=await request.read()))
        self.came.set()
        if self.refusals > 0:
            self.refusals -= 1
            return web.Response(status=500)
        return web.Response()

    async def until(self, count: int) -> list[WebhookRequest]:
        """Wait until so many came."""
        async with asyncio.timeout(10):
            while len(self.requests) < count:
                self.came.clear()
                await self.came.wait()
        return self.requests


@asynccontextmanager
async def mailbox() -> AsyncIterator[tuple[Mailbox, str]]:
    box = Mailbox()
    app = web.Application()
    app.router.add_post("/hooks", box.take)
    server = TestServer(app)
    await server.start_server()
    yield box, str(server.make_url("/hooks"))
    await server.close()


async def listed(shopping: Shopping) -> list[dict[str, Any]]:
    """The subscriptions that stand."""
    return list((await shopping.ask(LIST))["data"]["webhookSubscriptions"]["nodes"])


async def test_webhooks_are_installed_once_repaired_and_taken_away(shopping: Shopping) -> None:
    shop = shopping.connect()
    before = await shop.hooks(["order", "customer"], URL)
    assert [one.installed for one in before] == [False, False]
    done = await shop.install_hooks(["order", "variant", "product"], URL)
    assert [(one.entity, one.installed) for one in done] == [("order", True), ("variant", True), ("product", True)]
    first = await listed(shopping)
    assert len(first) == 7
    assert all("email" not in one["includeFields"] for one in first)
    await shop.install_hooks(["order", "variant", "product"], URL)
    assert await listed(shopping) == first
    foreign = (
        "mutation { webhookSubscriptionCreate(topic: ORDERS_CREATE, webhookSubscription: "
        '{uri: "https://other.example.org"}) { userErrors { message } } }'
    )
    await shopping.ask(foreign)
    spoil = (
        "mutation($id: ID!) { webhookSubscriptionUpdate(id: $id, webhookSubscription: {format: XML}) "
        "{ userErrors { message } } }"
    )
    await shopping.ask(spoil, id=first[0]["id"])
    drop = "mutation($id: ID!) { webhookSubscriptionDelete(id: $id) { userErrors { message } } }"
    await shopping.ask(drop, id=first[1]["id"])
    [status] = await shop.hooks(["order"], URL)
    assert not status.installed
    assert first[1]["topic"] in status.detail
    await shop.install_hooks(["order"], URL)
    now = await listed(shopping)
    assert {one["topic"] for one in now if one["uri"] == URL} == {
        "ORDERS_CREATE",
        "ORDERS_UPDATED",
        "ORDERS_CANCELLED",
        "ORDERS_DELETE",
    }
    assert {one["format"] for one in now} == {"JSON"}
    await shop.remove_hooks(URL)
    assert [one["uri"] for one in await listed(shopping)] == ["https://other.example.org"]


async def test_deliveries_are_genuine_and_hint_at_their_records() -> None:
    async with opened(webhooks=QUICK) as shopping, mailbox() as (box, url):
        await stocked(shopping)
        shop = shopping.connect()
        names = ["order", "customer", "product", "variant", "inventory_level", "fulfilment", "refund"]
        await shop.install_hooks(names, url)
        order = await shopping.do("checkout", customer={"firstName": "Ada", "email": "a@x.org"}, lines=[{"sku": "MUG"}])
        sent = await shopping.do("fulfil", order=order["name"])
        back = await shopping.do("refund", order=order["name"], lines={"MUG": 1}, amount="19.99")
        gone = await shopping.do("product", title="Gone", sku="GONE", price="1")
        await shopping.do("delete", id=gone["id"])
        async with asyncio.timeout(10):
            while (await shopping.door("GET", "deliveries"))["waiting"]:
                await asyncio.sleep(0.02)
        deliveries = [shop.receive(request) for request in box.requests]
        hints = {(hint.entity, hint.key, hint.gone) for one in deliveries for hint in one.hints}
        assert {
            ("order", number(order["id"]), False),
            ("customer", number(order["customer"]), False),
            ("fulfilment", number(sent["id"]), False),
            ("refund", number(back["id"]), False),
            ("product", number(gone["id"]), False),
            ("product", number(gone["id"]), True),
        } <= hints
        assert any(entity == "variant" for entity, _, _ in hints)
        assert any(entity == "inventory_level" and "/" in key for entity, key, _ in hints)
        assert len({one.delivery_id for one in deliveries}) == len(deliveries)
        assert all(b"a@x.org" not in request.body for request in box.requests)


async def test_a_delivery_is_sent_again_under_its_id_until_it_is_taken() -> None:
    async with opened(webhooks=QUICK) as shopping, mailbox() as (box, url):
        shop = shopping.connect()
        await shop.install_hooks(["customer"], url)
        box.refusals = 2
        await shopping.do("customer", firstName="Ada")
        await box.until(3)
        await shopping.do("faults", kind="webhook_duplicate", next=1)
        await shopping.do("customer", firstName="Bea")
        requests = await box.until(5)
        ids = [shop.receive(one).delivery_id for one in requests]
        assert len(set(ids[:3])) == 1
        assert len(set(ids[3:])) == 1
        assert ids[0] != ids[3]


async def test_a_subscription_that_is_never_answered_is_deleted_and_installed_anew() -> None:
    async with opened(webhooks=QUICK) as shopping, mailbox() as (box, url):
        shop = shopping.connect()
        await shop.install_hooks(["customer"], url)
        box.refusals = 99
        await shopping.do("customer", firstName="Ada")
        async with asyncio.timeout(10):
            while (await shop.hooks(["customer"], url))[0].installed:
                await asyncio.sleep(0.02)
        box.refusals = 0
        [status] = await shop.install_hooks(["customer"], url)
        assert status.installed


def _signed(body: bytes, secret: str = HOOK_SECRET, **headers: str) -> WebhookRequest:
    digest = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return WebhookRequest(
        headers={"x-shopify-hmac-sha256": digest, "x-shopify-topic": "orders/updated", **headers}, body=body
    )


async def test_a_forged_delivery_is_refused_and_a_rotated_secret_still_counts(shopping: Shopping) -> None:
    shop = shopping.connect()
    body = b'{"id": 1001, "updated_at": "2026-01-02T03:04:05-05:00"}'
    [hint] = shop.receive(_signed(body)).hints
    assert (hint.entity, hint.key) == ("order", "1001")
    assert hint.occurred_at is not None
    assert hint.occurred_at.isoformat() == "2026-01-02T08:04:05+00:00"
    for forged in (
        _signed(body, "another secret"),
        WebhookRequest(headers=_signed(body).headers, body=body + b" "),
        WebhookRequest(headers={"x-shopify-topic": "orders/updated"}, body=body),
    ):
        with pytest.raises(AuthFailed):
            shop.receive(forged)
    with pytest.raises(InvalidRecord):
        shop.receive(_signed(b"[1]"))
    assert shop.receive(_signed(body, **{"x-shopify-topic": "themes/publish"})).hints == []


async def test_a_delivery_of_another_shop_is_none_of_ours() -> None:
    shop = connector.make(
        {"url": "https://one.myshopify.com"},
        {"access_token": Secret("t"), "webhook_secret": Secret("new"), "old_webhook_secret": Secret(HOOK_SECRET)},
        local_services(),
    )
    assert shop.receive(_signed(b'{"id": 1}', **{"x-shopify-shop-domain": "one.myshopify.com"})).hints
    with pytest.raises(AuthFailed, match=r"two\.myshopify\.com"):
        shop.receive(_signed(b'{"id": 1}', **{"x-shopify-shop-domain": "two.myshopify.com"}))
    await shop.close()


async def test_webhooks_without_a_secret_are_not_installed(shopping: Shopping) -> None:
    shop = connector.make(
        {"url": shopping.up.url}, {"access_token": Secret(shopping.up.settings.access_token)}, local_services()
    )
    with pytest.raises(Misconfigured, match="no webhook secret"):
        await shop.install_hooks(["order"], URL)
    await shop.close()
