"""Deliveries of the gateway: signed, told apart by their event id, tried again, and read as hints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from gateway_rig import Rig

from isthmus.connectors.bng_gateway import CHARGEBACK, SETTLEMENT, TRANSACTION, GatewayConnector, read_event
from isthmus.connectors.bng_gateway.hooks import EVENTS
from isthmus.sandbox.gateway.hooks import EVENTS as SENT
from isthmus.sandbox.gateway.hooks import signature
from isthmus.sdk import AuthFailed, Delivery, InvalidRecord, Misconfigured, Secret, WebhookRequest
from isthmus.sdk.webhook import NMI, sign


class Door:
    """Takes deliveries and keeps what came; answers as told, else 200."""

    def __init__(self) -> None:
        self.came: list[WebhookRequest] = []
        self.answers: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.came.append(WebhookRequest(headers=headers, body=await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    async def until(self, count: int) -> list[WebhookRequest]:
        for _ in range(200):
            if len(self.came) >= count:
                return self.came
            await asyncio.sleep(0.02)
        raise AssertionError(f"{len(self.came)} deliveries came, {count} were expected")

    @property
    def types(self) -> list[str]:
        return [json.loads(request.body)["event_type"] for request in self.came]


@asynccontextmanager
async def listening() -> AsyncIterator[Door]:
    door = Door()
    app = web.Application()
    app.router.add_post("/hook", door.take)
    server = TestServer(app)
    await server.start_server()
    door.url = str(server.make_url("/hook"))
    try:
        yield door
    finally:
        await server.close()


@pytest.fixture
async def door(rig: Rig) -> AsyncIterator[Door]:
    async with listening() as made:
        await rig.switch("POST", "hooks", url=made.url)
        yield made


def request_of(body: Any, connector: GatewayConnector, **more: Any) -> WebhookRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    key = connector.settings.webhook_signing_key or Secret("")
    return WebhookRequest(headers=sign(NMI, raw, key, **{"stamp": "a-nonce", **more}), body=raw)


async def test_every_step_of_a_payment_is_told_and_hints_at_its_transaction(rig: Rig, door: Door) -> None:
    pay, connector = rig.gateway(), rig.connector()
    made = await pay.authorise("A", Decimal("9.00"), token=rig.token())
    await pay.capture(made.id, Decimal("4.00"))
    await door.until(2)
    deliveries = [connector.receive(request) for request in door.came]
    assert sorted(door.types) == ["transaction.auth.success", "transaction.capture.success"]
    assert {d.delivery_id for d in deliveries} == {json.loads(r.body)["event_id"] for r in door.came}
    hints = [hint for delivery in deliveries for hint in delivery.hints]
    assert {(h.entity, h.key) for h in hints} == {(TRANSACTION, made.id)}
    assert all(h.occurred_at for h in hints)


async def test_refusals_and_unknown_outcomes_are_told_as_such(rig: Rig, door: Door) -> None:
    for behaviour in ("decline", "unclear"):
        await rig.send("/api/transact.php", type="sale", amount="1.00", payment_token=rig.token(behaviour))
    await door.until(2)
    assert sorted(door.types) == ["transaction.sale.failure", "transaction.sale.unknown"]


async def test_a_settlement_hints_at_its_batch_and_at_every_transaction_in_it(rig: Rig, door: Door) -> None:
    pay, connector = rig.gateway(), rig.connector()
    made = [await pay.sale(f"A{n}", Decimal("5.00"), token=rig.token()) for n in range(2)]
    batch = await rig.switch("POST", "settle")
    await door.until(3)
    request = next(r for r in door.came if json.loads(r.body)["event_type"] == "settlement.batch.complete")
    hints = connector.receive(request).hints
    assert [(h.entity, h.key) for h in hints] == [
        (SETTLEMENT, batch["batch_id"]), *((TRANSACTION, t.id) for t in made),
    ]  # fmt: skip
    [record] = [r async for page in connector.read(SETTLEMENT, everything(), ("BatchID", "NetAmount")) for r in page]
    assert record.values == {"BatchID": batch["batch_id"], "NetAmount": Decimal("10.00")}


def everything() -> Any:
    from isthmus.sdk import Everything

    return Everything()


async def test_chargebacks_come_with_all_there_is_to_know_of_them(rig: Rig, door: Door) -> None:
    pay, connector = rig.gateway(), rig.connector()
    made = await pay.sale("A", Decimal("5.00"), token=rig.token())
    await rig.switch("POST", "settle")
    await rig.switch("POST", "chargebacks", transactions=[made.id], reason="Not as described")
    await door.until(3)
    request = next(r for r in door.came if json.loads(r.body)["event_type"] == "chargeback.batch.complete")
    batch, transaction = connector.receive(request).hints
    assert (batch.entity, transaction.key) == (CHARGEBACK, made.id)
    assert batch.record is not None
    assert batch.record.values["Amount"] == Decimal("5.00")
    [row] = batch.record.values["Chargebacks"]
    assert (row["TransactionID"], row["Reason"]) == (made.id, "Not as described")
    with pytest.raises(Misconfigured, match="cannot be asked"):
        async for _ in connector.read(CHARGEBACK, everything(), ()):
            pass


async def test_a_delivery_is_tried_until_it_is_accepted_and_stays_the_same_event(rig: Rig, door: Door) -> None:
    connector = rig.connector()
    door.answers = [500, 302, 404]
    await rig.gateway().sale("A", Decimal("5.00"), token=rig.token())
    came = await door.until(4)
    deliveries = [connector.receive(request) for request in came]
    assert len({d.delivery_id for d in deliveries}) == 1
    assert len({r.headers["webhook-signature"] for r in came}) == 4, "the nonce of a signature is used once"
    assert (await rig.switch("GET", "deliveries"))["failed"] == 0


async def test_only_the_events_that_were_ticked_are_told(rig: Rig) -> None:
    async with listening() as door:
        await rig.switch("POST", "hooks", url=door.url, events=["transaction.refund.*"])
        made = await rig.gateway().sale("A", Decimal("5.00"), token=rig.token())
        await rig.gateway().refund(made.id)
        await door.until(1)
        assert door.types == ["transaction.refund.success"]


async def test_a_forged_delivery_is_refused_whatever_is_wrong_with_it(rig: Rig) -> None:
    connector = rig.connector()
    body = {"event_id": "e1", "event_type": "transaction.sale.success", "event_body": {"transaction_id": "9"}}
    good = request_of(body, connector)
    assert connector.receive(good).delivery_id == "e1"
    stamp, _, digest = good.headers["webhook-signature"].partition(",s=")
    forged: list[WebhookRequest] = [
        WebhookRequest(headers={}, body=good.body),
        WebhookRequest(headers=good.headers, body=good.body + b" "),
        WebhookRequest(headers={"webhook-signature": f"t=other,s={digest}"}, body=good.body),
        WebhookRequest(headers={"webhook-signature": f"{stamp},s=" + "0" * 64}, body=good.body),
        WebhookRequest(headers={"webhook-signature": f"{stamp},s=no-hex"}, body=good.body),
        WebhookRequest(headers={"signature": digest}, body=good.body),
    ]
    for request in forged:
        with pytest.raises(AuthFailed):
            connector.receive(request)


async def test_the_stamp_is_opaque_so_an_old_one_is_as_good_as_a_new_one(rig: Rig) -> None:
    connector = rig.connector()
    body = {"event_id": "e1", "event_type": "transaction.sale.success", "event_body": {"transaction_id": "9"}}
    for stamp in ("1500000000", "0f3a-nonce", ""):
        assert connector.receive(request_of(body, connector, stamp=stamp)).delivery_id == "e1"


async def test_both_keys_are_accepted_while_one_is_rotated(rig: Rig) -> None:
    connector = rig.connector(
        webhook_signing_key="a-newer-signing-key", webhook_signing_key_previous=rig.up.settings.signing_key
    )
    body = {"event_id": "e1", "event_type": "transaction.sale.success", "event_body": {"transaction_id": "9"}}
    raw = json.dumps(body).encode()
    for key in ("a-newer-signing-key", rig.up.settings.signing_key):
        headers = {"webhook-signature": signature(key, "n", raw)}
        assert connector.receive(WebhookRequest(headers=headers, body=raw)).delivery_id == "e1"


async def test_an_account_that_signs_otherwise_is_a_matter_of_settings(rig: Rig) -> None:
    scheme = {"header": "signature", "form": "plain", "stamp_key": None, "payload": "{body}", "stamp_is_time": False}
    connector = rig.connector(signature=scheme)
    raw = b'{"event_id":"e1","event_type":"acu.summary.closedaccount","event_body":{}}'
    key = connector.settings.webhook_signing_key
    assert key is not None
    delivery = connector.receive(WebhookRequest(headers=sign(connector.settings.signature, raw, key), body=raw))
    assert (delivery.delivery_id, delivery.hints) == ("e1", [])


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"[]", b'{"event_type": "transaction.sale.success"}', b'{"event_type": 3, "event_body": {}}'],
)
async def test_a_genuine_delivery_without_an_event_is_refused_as_a_record(rig: Rig, body: bytes) -> None:
    connector = rig.connector()
    with pytest.raises(InvalidRecord):
        connector.receive(request_of(body, connector))


@pytest.mark.parametrize(
    ("kind", "inner"),
    [
        ("transaction.sale.success", {"transaction_id": ["9"]}),
        ("transaction.sale.success", {"transaction_id": None, "action": "x"}),
        ("settlement.batch.complete", {"transaction_ids": "9"}),
        ("settlement.batch.failure", {"batch_id": {}}),
        ("chargeback.batch.complete", {"chargebacks": [3, {"id": "x", "amount": "much", "date": "soon"}]}),
        ("chargeback.batch.complete", {}),
        ("recurring.plan.add", {"plan": {}}),
    ],
)
async def test_whatever_a_genuine_event_holds_never_breaks_the_door(rig: Rig, kind: str, inner: dict[str, Any]) -> None:
    connector = rig.connector()
    delivery = connector.receive(request_of({"event_id": "e1", "event_type": kind, "event_body": inner}, connector))
    assert isinstance(delivery, Delivery)
    assert all(hint.key.isdigit() for hint in delivery.hints if hint.entity == TRANSACTION)


async def test_a_door_without_a_key_says_what_to_set(rig: Rig) -> None:
    with pytest.raises(Misconfigured):
        rig.connector(webhook_signing_key=None).receive(WebhookRequest(headers={}, body=b"{}"))


async def test_what_to_tick_in_the_gateway_is_told(rig: Rig) -> None:
    connector = rig.connector()
    found = await connector.install_hooks(
        [TRANSACTION, SETTLEMENT, CHARGEBACK, "vault_customer"], "https://x/hooks/g/s"
    )
    assert not any(status.installed for status in found)
    assert all("https://x/hooks/g/s" in status.detail for status in found[:3])
    assert "settlement.batch.complete" in found[1].detail
    assert "polled" in found[3].detail
    assert {name for names in EVENTS.values() for name in names} == set(SENT)


async def test_deliveries_that_are_lost_doubled_or_late_change_nothing_of_what_polling_finds(rig: Rig) -> None:
    connector = rig.connector(poll_overlap=1)
    pages = [page async for page in connector.changes(TRANSACTION, None)]
    async with listening() as door:
        await rig.switch("POST", "hooks", url=door.url)
        await rig.switch("POST", "faults", kind="webhook_lose", match="sale", next=1)
        await rig.switch("POST", "faults", kind="webhook_duplicate", match="sale", next=1)
        made = [await rig.gateway().sale(f"A{n}", Decimal("5.00"), token=rig.token()) for n in range(2)]
        came = await door.until(2)
    assert len({read_event(r.body).id for r in came}) == 1
    hints = [h async for page in connector.changes(TRANSACTION, pages[-1].cursor) for h in page.hints]
    assert [h.key for h in hints] == [t.id for t in made]
