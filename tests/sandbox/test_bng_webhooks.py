"""Proves webhooks: every event of the contract, signed, at least once, to each subscriber by itself."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from bng_records import ID_FIELDS, PATHS, World
from bng_visitor import QUICK, Visitor, bng, visiting

from isthmus.sandbox.bng import Settings

__all__ = ["bng"]

HOOKS = "webhook_subscriptions"
SECRET = "a secret of sixteen or more"

EVENTS = (
    "customer.created", "customer.updated", "customer.deactivated", "product.created", "product.updated",
    "sales_order.created", "sales_order.updated", "sales_order.status_changed", "sales_order.cancelled",
    "sales_order.fulfillment_updated", "invoice.created", "invoice.updated", "invoice.paid", "invoice.voided",
    "payment.created", "payment.status_changed", "payment.refunded", "inventory_item.updated", "vendor.created",
    "vendor.updated", "purchase_order.created", "purchase_order.updated", "purchase_order.received",
    "gl_entry.posted", "employee.created", "employee.updated", "employee.terminated",
)  # fmt: skip


class Receiver:
    """A subscriber: keeps what comes, answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.wait = 0.0
        self.open = self.most_open = 0
        self.peers: set[Any] = set()
        self.changed = asyncio.Event()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            raw = await request.read()
            if self.wait:
                await asyncio.sleep(self.wait)
            self.peers.add(request.transport.get_extra_info("peername") if request.transport else None)
            self.got.append((dict(request.headers), raw))
            return web.Response(status=self.answers.pop(0) if self.answers else 204)
        finally:
            self.open -= 1
            self.changed.set()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(raw) for _, raw in self.got]

    @property
    def types(self) -> list[str]:
        return [event["EventType"] for event in self.events]

    async def until(self, count: int) -> list[dict[str, Any]]:
        """The deliveries, once there are that many."""
        async with asyncio.timeout(10):
            while len(self.got) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.events

    async def quiet(self, bng: Visitor) -> None:
        """Wait until nothing waits for delivery."""
        async with asyncio.timeout(10):
            while (await bng.switch("GET", "deliveries"))["waiting"]:
                await asyncio.sleep(0.02)


async def receiving() -> tuple[Receiver, TestServer]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    server = TestServer(app)
    await server.start_server()
    receiver.url = str(server.make_url("/hook"))
    return receiver, server


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver, server = await receiving()
    yield receiver
    await server.close()


@pytest.fixture
def world(bng: Visitor) -> World:
    return World(bng)


async def subscribe(bng: Visitor, receiver: Receiver, *events: str, **more: Any) -> dict[str, Any]:
    return await bng.new(HOOKS, {"Url": receiver.url, "Events": list(events or "*"), "Secret": SECRET, **more})


def signed_with(header: str, body: bytes) -> set[str]:
    """The digests in a signature header; its stamp is checked to belong to them."""
    parts = [part.split("=", 1) for part in header.split(",")]
    (stamp,) = [value for name, value in parts if name == "t"]
    assert abs(int(stamp) - time.time()) < 60
    return {value for name, value in parts if name == "v1"}


def digest(secret: str, header: str, body: bytes) -> str:
    stamp = header.split(",")[0].removeprefix("t=")
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


async def test_a_change_is_told_with_the_contracts_envelope_and_signature(
    bng: Visitor, world: World, receiver: Receiver
) -> None:
    await subscribe(bng, receiver)
    made = await bng.new("customers", await world.full("customer"))
    await receiver.until(2)
    headers, raw = receiver.got[-1]
    event = json.loads(raw)
    assert set(event) == {"EventID", "EventType", "OccurredAt", "Entity", "EntityID", "Version", "Data"}
    assert (event["EventType"], event["Entity"]) == ("customer.created", "customer")
    assert (event["EntityID"], event["Version"], event["OccurredAt"]) == (made["CustomerID"], 1, made["UpdatedAt"])
    assert event["Data"] == made
    header = headers["X-BNG-Signature"]
    assert signed_with(header, raw) == {digest(SECRET, header, raw)}
    assert headers["Content-Type"] == "application/json"


async def test_every_event_of_the_contract_is_told_when_it_happens(
    bng: Visitor, world: World, receiver: Receiver
) -> None:
    await subscribe(bng, receiver)
    made = {entity: await bng.new(path, await world.plain(entity)) for entity, path in PATHS.items()}
    where = {entity: f"{PATHS[entity]}/{record[ID_FIELDS[entity]]}" for entity, record in made.items()}
    for entity in ("customer", "product", "vendor", "employee", "sales_order", "invoice", "purchase_order"):
        await bng.put(where[entity], {"CustomFields": {"n": 1}})
    await bng.put(where["customer"], {"Status": "Inactive"})
    await bng.put(where["employee"], {"Status": "Terminated"})
    await bng.new(f"{where['sales_order']}/fulfillments", {})
    await bng.put(where["sales_order"], {"Status": "Cancelled"})
    applied = [{"InvoiceID": made["invoice"]["InvoiceID"], "AmountApplied": 122}]
    await bng.new("payments", await world.plain("payment") | {"Amount": 122, "Applications": applied})
    await bng.put(where["invoice"], {"Status": "Void"})
    refund = await world.plain("payment") | {"PaymentType": "Refund"}
    await bng.new("payments", refund | {"OriginalPaymentID": made["payment"]["PaymentID"]})
    receipt = {"Lines": [{"LineNumber": 1, "QuantityReceived": 1}]}
    await bng.switch("POST", "receive", id=made["purchase_order"]["PurchaseOrderID"], receipt=receipt)
    await receiver.quiet(bng)
    assert set(receiver.types) == set(EVENTS)
    assert set(bng.up.sandbox.catalogue.event_types) == set(EVENTS)
    moved = [e for e in receiver.events if e["EventType"] == "sales_order.status_changed"]
    assert [e["Data"]["Status"] for e in sorted(moved, key=lambda e: e["Version"])] == ["Shipped", "Cancelled"]


async def test_a_write_that_changes_nothing_of_interest_tells_only_of_the_update(
    bng: Visitor, world: World, receiver: Receiver
) -> None:
    order = await bng.new("sales_orders", await world.plain("sales_order"))
    await subscribe(bng, receiver, "sales_order.*")
    await bng.put(f"sales_orders/{order['SalesOrderID']}", {"Notes": "x"})
    await receiver.quiet(bng)
    assert receiver.types == ["sales_order.updated"]


async def test_a_subscriber_gets_the_events_it_asked_for_in_the_form_it_asked_for(
    bng: Visitor, world: World, receiver: Receiver
) -> None:
    await subscribe(bng, receiver, "customer.created", "vendor.*", Payload="id")
    customer = await world.known("customer")
    await bng.put(f"customers/{customer['CustomerID']}", {"Phone": "1"})
    vendor = await world.known("vendor")
    await bng.put(f"vendors/{vendor['VendorID']}", {"Phone": "1"})
    await world.known("product")
    await receiver.quiet(bng)
    assert sorted(receiver.types) == ["customer.created", "vendor.created", "vendor.updated"]
    by_type = {event["EventType"]: event["Data"] for event in receiver.events}
    assert by_type["customer.created"] == {"CustomerID": customer["CustomerID"]}


async def test_a_refused_write_tells_nothing(bng: Visitor, world: World, receiver: Receiver) -> None:
    await subscribe(bng, receiver)
    plain = await world.plain("customer")
    items = [plain, plain, plain | {"ExternalID": "b", "Email": "none"}]
    await bng.send("POST", "/api/v1/customers/batch", {"Items": items})
    await receiver.quiet(bng)
    assert receiver.types == ["customer.created"]


async def test_what_was_not_accepted_comes_again_with_the_same_event_id(
    bng: Visitor, world: World, receiver: Receiver
) -> None:
    hook = await subscribe(bng, receiver, "customer.created")
    receiver.answers = [500, 302]
    await world.known("customer")
    first, second, third = await receiver.until(3)
    assert first == second == third
    await receiver.quiet(bng)
    log = (await bng.get(f"{HOOKS}/{hook['SubscriptionID']}/deliveries"))["Data"]
    assert [(one["Attempt"], one["Outcome"]) for one in log] == [(3, 204), (2, 302), (1, 500)]
    assert {one["EventID"] for one in log} == {first["EventID"]}


async def test_a_subscriber_that_is_not_there_or_too_slow_is_tried_again_until_given_up(
    world: World, bng: Visitor, receiver: Receiver
) -> None:
    gone = await bng.new(HOOKS, {"Url": "http://127.0.0.1:9/", "Events": ["*"]})
    await subscribe(bng, receiver)
    await world.known("customer")
    async with asyncio.timeout(10):
        while (await bng.switch("GET", "deliveries"))["failed"] < 1:
            await asyncio.sleep(0.02)
    assert len(receiver.got) == 1, "the one that is gone holds up no other"
    log = (await bng.get(f"{HOOKS}/{gone['SubscriptionID']}/deliveries"))["Data"]
    assert len(log) == QUICK.attempts
    assert "ClientConnector" in str(log[0]["Outcome"])
    await bng.put(f"{HOOKS}/{gone['SubscriptionID']}", {"Url": receiver.url})
    assert (await bng.switch("POST", "deliveries/revive"))["revived"] == 1
    await receiver.until(2)
    assert receiver.types == ["customer.created"] * 2


async def test_two_secrets_sign_while_one_takes_the_place_of_the_other(
    bng: Visitor, world: World, receiver: Receiver
) -> None:
    hook = await subscribe(bng, receiver)
    path = f"{HOOKS}/{hook['SubscriptionID']}"
    new = await bng.send("POST", f"/api/v1/{path}/rotate_secret")
    assert new.json["Secret"] not in ("", SECRET)
    await world.known("customer")
    await receiver.until(1)
    headers, raw = receiver.got[0]
    header = headers["X-BNG-Signature"]
    assert signed_with(header, raw) == {digest(secret, header, raw) for secret in (SECRET, new.json["Secret"])}
    chosen = await bng.send("POST", f"/api/v1/{path}/rotate_secret", {"Secret": "chosen by the client"})
    assert chosen.json["Secret"] == "chosen by the client"
    short = await bng.refused("POST", f"{path}/rotate_secret", {"Secret": "short"})
    assert short.complaints == {("Secret", "BadFormat")}


async def test_the_old_secret_stops_signing_after_its_time(receiver: Receiver) -> None:
    times = msgspec.structs.replace(QUICK, rotation=0.0)
    async with visiting(Settings(webhooks=times)) as bng:
        hook = await subscribe(bng, receiver)
        new = await bng.send("POST", f"/api/v1/{HOOKS}/{hook['SubscriptionID']}/rotate_secret")
        await World(bng).known("customer")
        await receiver.until(1)
        headers, raw = receiver.got[0]
        header = headers["X-BNG-Signature"]
        assert signed_with(header, raw) == {digest(new.json["Secret"], header, raw)}


async def test_deliveries_run_side_by_side_over_kept_connections(
    bng: Visitor, world: World, receiver: Receiver
) -> None:
    await subscribe(bng, receiver, "customer.created")
    receiver.wait = 0.05
    items = [await world.plain("customer") for _ in range(60)]
    await bng.send("POST", "/api/v1/customers/batch", {"Items": items})
    await receiver.until(60)
    assert 2 <= receiver.most_open <= QUICK.parallel
    assert len(receiver.peers) <= QUICK.parallel, "connections are used again"


async def test_subscriptions_are_listed_read_changed_and_ended_by_their_owner_only(
    bng: Visitor, receiver: Receiver
) -> None:
    hook = await subscribe(bng, receiver, "customer.*")
    assert hook["Secret"] == SECRET
    key = f"{HOOKS}/{hook['SubscriptionID']}"
    shown = {name: value for name, value in hook.items() if name != "Secret"}
    assert await bng.get(key) == shown
    assert (await bng.get(HOOKS))["Data"] == [shown]
    changed = await bng.put(key, {"Events": ["vendor.*"]})
    assert changed == shown | {"Events": ["vendor.*"]}
    await bng.switch("POST", "clients", id="other", secret="s" * 20)
    mine = bng.token
    token = await bng.ask_token({"grant_type": "client_credentials"}, ("other", "s" * 20))
    bng.token = token.json["access_token"]
    assert (await bng.get(HOOKS))["Data"] == []
    for method in ("GET", "PUT", "DELETE"):
        assert (await bng.refused(method, key, {})).status == 404
    bng.token = mine
    gone = await bng.send("DELETE", f"/api/v1/{key}")
    assert (gone.status, gone.raw) == (204, b"")
    assert (await bng.refused("GET", key)).status == 404


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"Url": "ftp://example.com"}, ("Url", "BadFormat")),
        ({"Url": None}, ("Url", "BadFormat")),
        ({"Url": "http://[bad"}, ("Url", "BadFormat")),
        ({"Events": []}, ("Events", "Required")),
        ({"Events": "customer.created"}, ("Events", "Required")),
        ({"Events": ["customer.created", "moon.rose"]}, ("Events[1]", "NotInList")),
        ({"Payload": "half"}, ("Payload", "NotInList")),
        ({"Secret": "short"}, ("Secret", "BadFormat")),
        ({"Color": "red"}, ("Color", "UnknownField")),
    ],
)
async def test_a_wrong_subscription_is_told(bng: Visitor, change: dict[str, Any], complaint: tuple[str, str]) -> None:
    good = {"Url": "https://example.com/hook", "Events": ["customer.created"]}
    assert complaint in (await bng.refused("POST", HOOKS, good | change)).complaints
    assert (await bng.get(HOOKS))["Data"] == []


async def test_ending_a_subscription_drops_what_waits_for_it(bng: Visitor, world: World) -> None:
    hook = await bng.new(HOOKS, {"Url": "http://127.0.0.1:9/", "Events": ["*"]})
    await world.known("customer")
    assert (await bng.switch("GET", "deliveries"))["waiting"] == 1
    await bng.send("DELETE", f"/api/v1/{HOOKS}/{hook['SubscriptionID']}")
    assert (await bng.switch("GET", "deliveries"))["waiting"] == 0


async def test_faults_repeat_delay_and_reorder_deliveries_but_lose_none_unless_told(
    bng: Visitor, world: World, receiver: Receiver
) -> None:
    await subscribe(bng, receiver, "customer.created")
    expected = []
    for kind in ("webhook_duplicate", "webhook_late", "webhook_reorder", "webhook_lose"):
        await bng.switch("POST", "faults", kind=kind, next=1, seconds=0.2)
        made = await bng.new("customers", await world.plain("customer"))
        after = await bng.new("customers", await world.plain("customer"))
        await asyncio.sleep(0.3)
        await receiver.quiet(bng)
        expected.append((kind, made["CustomerID"], after["CustomerID"]))
    fired = (await bng.switch("GET", "faults"))["fired"]
    assert fired == {kind: 1 for kind, _, _ in expected}
    came = [event["EntityID"] for event in receiver.events]
    (_, twice, _), (_, late, soon), (_, second, first), (_, lost, kept) = expected
    assert came.count(twice) == 2
    assert came.index(soon) < came.index(late)
    assert came.index(first) < came.index(second)
    assert lost not in came
    assert kept in came
    ids = [event["EventID"] for event in receiver.events if event["EntityID"] == twice]
    assert ids[0] == ids[1]
