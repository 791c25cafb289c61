"""A card number is planted wherever a text can go, and found nowhere: not sent, not kept, not shown, not logged."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from gateway_rig import Rig, paying
from sqlalchemy import text

from isthmus.connectors.bng_gateway import Details, GatewayConnector
from isthmus.detect.webhook import receive
from isthmus.sdk import Act, Create, Everything, Failed, InvalidRecord, IsthmusError, Update, WebhookRequest
from isthmus.sdk.webhook import NMI, sign
from isthmus.store.database import Database

CARD = "4111111111111111"
FORMS = [CARD, "4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444", "378282246310005"]


def shows(told: object, card: str = CARD) -> bool:
    """Whether a number, grouped or not, stands in what is told."""
    shown = str(told)
    return card in shown or card.replace(" ", "").replace("-", "") in shown or quote(card) in shown


async def asked(rig: Rig, what: str, card: str) -> IsthmusError:
    """The error of asking for something with a card number in it."""
    pay, note = rig.gateway(), f"card {card} please"
    steps: dict[str, Any] = {
        "an order id": lambda: pay.sale(card, Decimal("1.00"), token=rig.token()),
        "a description": lambda: pay.sale("A", Decimal("1.00"), token=rig.token(), details=Details(description=note)),
        "a token": lambda: pay.sale("A", Decimal("1.00"), token=card),
        "a vault id": lambda: pay.sale("A", Decimal("1.00"), vault_id=card),
        "a person": lambda: pay.keep_customer("c1", rig.token(), person={"LastName": note}),
        "a transaction id": lambda: pay.capture(card),
        "a refund's key": lambda: pay.refund("1", Decimal("1.00"), key=card),
        "a question": lambda: pay.find(card),
    }
    with pytest.raises(IsthmusError) as caught:
        await steps[what]()
    return caught.value


@pytest.mark.parametrize("card", FORMS)
@pytest.mark.parametrize(
    "what",
    ["an order id", "a description", "a token", "a vault id", "a person", "a transaction id", "a question"],
)
async def test_a_card_number_is_refused_before_anything_is_sent(rig: Rig, what: str, card: str) -> None:
    error = await asked(rig, what, card)
    assert not shows(f"{error} {error!r} {error.as_dict()!r}", card)
    sent = [name for name in (await rig.switch("GET", "calls"))["calls"] if name.startswith("transact")]
    assert sent == []


async def test_outcomes_of_records_and_acts_do_not_show_it_either(rig: Rig) -> None:
    connector = rig.connector()
    values = {"PaymentType": "Sale", "Amount": Decimal("1.00"), "PaymentToken": rig.token(), "Description": f"x {CARD}"}
    created = await connector.create("transaction", [
        Create(external_key="k1", values=values, idempotency_key="i"),
        Create(external_key=CARD, values={**values, "Description": "x"}, idempotency_key="i"),
        Create(external_key="k2", values={**values, "PaymentType": CARD}, idempotency_key="i"),
    ])  # fmt: skip
    made = await rig.gateway().sale("A", Decimal("1.00"), token=rig.token())
    updated = await connector.update("transaction", [
        Update(key=made.id, values={"Description": CARD}, expect={}, version=None, idempotency_key="u"),
        Update(key=made.id, values={"Status": CARD}, expect={}, version=None, idempotency_key="u"),
    ])  # fmt: skip
    acts = [
        Act(key=CARD, input={"amount": "1.00", "token": rig.token()}),
        Act(key="k", input={"amount": CARD, "vault_id": "c"}),
    ]
    performed = await connector.perform("sale", acts)
    for outcome in (*created, *updated, *performed):
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, InvalidRecord)
        assert not shows(f"{outcome!r} {outcome.error} {outcome.error.as_dict()!r}")
    kept = await rig.switch("GET", "transactions")
    assert [doc["order_id"] for doc in kept] == ["A"]


@pytest.mark.parametrize("card", FORMS)
async def test_the_stand_in_refuses_it_in_every_text_and_keeps_nothing(rig: Rig, card: str, tmp_path: Path) -> None:
    kept = io.StringIO()
    handler = logging.StreamHandler(kept)
    logging.getLogger().addHandler(handler)
    try:
        for name in (
            "orderid",
            "order_description",
            "first_name",
            "merchant_defined_field_1",
            "payment_token",
            "other",
        ):
            form = {"type": "sale", "amount": "1.00", "payment_token": rig.token(), name: f"n {card}"}
            _, body = await rig.send("/api/transact.php", **form)
            assert b"response=3" in body
            assert not shows(body.decode(), card)
        _, body = await rig.send(
            "/api/transact.php", type="sale", amount="1.00", ccnumber=card, ccexp="1230", cvv="123"
        )
        assert b"response=3" in body
        assert not shows(body.decode(), card)
    finally:
        logging.getLogger().removeHandler(handler)
    assert not shows(kept.getvalue(), card)
    assert await rig.switch("GET", "transactions") == []


async def test_its_file_on_disk_holds_none(tmp_path: Path) -> None:
    async with paying(data=tmp_path / "gateway.sqlite") as rig:
        await rig.send("/api/transact.php", type="sale", amount="1.00", payment_token=rig.token(), orderid=f"x {CARD}")
        await rig.send("/api/transact.php", type="sale", amount="1.00", ccnumber=CARD, ccexp="1230")
        await rig.gateway().sale("A", Decimal("1.00"), token=rig.token())
    for path in tmp_path.iterdir():
        assert CARD.encode() not in path.read_bytes(), path.name


TALKATIVE = (
    f"response=2&responsetext=DECLINED+card+{CARD}&authcode=&transactionid=123&orderid=&type=sale&response_code=200"
    f"&note={CARD}"
)
XML = f"""<?xml version="1.0"?><nm_response><transaction><transaction_id>77</transaction_id>
<condition>complete</condition><order_id>A</order_id><order_description>paid by {CARD}</order_description>
<first_name>{CARD}</first_name><cc_number>{CARD}</cc_number>
<merchant_defined_field id="1">{CARD}</merchant_defined_field>
<action><amount>1.00</amount><action_type>sale</action_type><success>1</success><date>20260101000000</date>
<response_text>{CARD}</response_text></action></transaction></nm_response>"""


@pytest.fixture
async def careless() -> AsyncIterator[str]:
    """A gateway that puts card numbers into everything it says."""

    async def transact(_: web.Request) -> web.Response:
        return web.Response(text=TALKATIVE)

    async def query(request: web.Request) -> web.Response:
        form = await request.post()
        if "order_id" in form and form["order_id"] == "empty":
            return web.Response(text="<nm_response></nm_response>")
        if "order_id" in form and form["order_id"] == "broken":
            return web.Response(text=f"<nm_response><{CARD}")
        if "order_id" in form and form["order_id"] == "refused":
            return web.Response(text=f"<nm_response><error_response>no {CARD}</error_response></nm_response>")
        return web.Response(text=XML)

    app = web.Application()
    app.router.add_post("/api/transact.php", transact)
    app.router.add_post("/api/query.php", query)
    server = TestServer(app)
    await server.start_server()
    yield str(server.make_url("")).rstrip("/")
    await server.close()


async def test_what_a_careless_gateway_says_is_masked_before_anybody_sees_it(rig: Rig, careless: str) -> None:
    pay, connector = rig.gateway(url=careless), rig.connector(url=careless)
    with pytest.raises(IsthmusError) as declined:
        await pay.sale("empty", Decimal("1.00"), token=rig.token())
    assert "411111******1111" in str(declined.value)
    told: list[object] = [declined.value, declined.value.as_dict()]
    for order in ("broken", "refused"):
        with pytest.raises(IsthmusError) as caught:
            await pay.find(order)
        told += [caught.value, caught.value.as_dict()]
    [found] = await pay.find("A")
    assert found.last4 == "1111"
    told.append(repr(found))
    paths = tuple((await connector.describe(["transaction"]))[0].fields)
    told += [r async for page in connector.read("transaction", Everything(), paths) for r in page]
    assert "411111******1111" in str(told)
    assert not [one for one in told if shows(repr(one))]


def planted(connector: GatewayConnector) -> WebhookRequest:
    """A genuine delivery with card numbers in it, one of them behind an escape."""
    event = {
        "event_id": "e1",
        "event_type": "chargeback.batch.complete",
        "event_body": {
            "note": f"card {CARD}",
            "chargebacks": [{"id": "77", "amount": "1.00", "cc_number": CARD, "reason": f"fraud with {CARD}"}],
        },
    }
    raw = json.dumps(event).encode()
    raw = raw.replace(b'"note": "card 4', b'"note": "card \\u0034')
    key = connector.settings.webhook_signing_key
    assert key is not None
    return WebhookRequest(headers=sign(NMI, raw, key, "n"), body=raw)


async def test_a_delivery_with_card_numbers_is_taken_masked(rig: Rig, database: Database) -> None:
    connector = rig.connector()
    request = planted(connector)
    delivery = connector.receive(request)
    assert not shows(repr(delivery))
    assert "411111******1111" in repr(delivery)
    with database.transaction() as conn:
        sql = "insert into connection (name, kind) values ('pay', 'bng_gateway') returning id"
        connection_id = int(conn.execute(text(sql)).scalar_one())
    await receive(database, connection_id, connector, [], request, lambda *_: None)
    await receive(database, connection_id, connector, [], request, lambda *_: None)
    with database.transaction() as conn:
        [(body,)] = conn.execute(text("select body from delivery")).all()
    assert not shows(bytes(body).decode())
    assert not shows(json.dumps(json.loads(bytes(body)))), "it hides behind an escape"


async def test_logs_of_a_whole_day_hold_none(rig: Rig) -> None:
    kept = io.StringIO()
    handler = logging.StreamHandler(kept)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        for what in ("an order id", "a description", "a token", "a vault id", "a person", "a question"):
            await asked(rig, what, CARD)
        await rig.fault("status", status=500)
        with pytest.raises(IsthmusError):
            await rig.gateway().sale("A", Decimal("1.00"), token=rig.token())
        await asyncio.sleep(0)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert not shows(kept.getvalue())
