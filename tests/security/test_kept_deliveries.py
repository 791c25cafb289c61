"""Webhook deliveries are kept as they came, but for what must never rest here."""

from __future__ import annotations

from sqlalchemy import text

from isthmus.detect.webhook import receive
from isthmus.sdk.connector import Delivery, WebhookRequest
from isthmus.store.database import Database
from isthmus.testing.memory import MemoryConnector, MemorySystem

CARD = "4111111111111111"


class Door(MemoryConnector):
    """Takes any delivery for genuine."""

    def receive(self, request: WebhookRequest) -> Delivery:
        return Delivery(delivery_id="d1", hints=[])


async def kept(database: Database, body: bytes) -> bytes:
    with database.transaction() as conn:
        sql = "insert into connection (name, kind) values ('shop', 'memory') returning id"
        connection_id = int(conn.execute(text(sql)).scalar_one())
    request = WebhookRequest(headers={"content-type": "application/json"}, body=body)
    await receive(database, connection_id, Door(MemorySystem()), [], request, lambda *_: None)
    with database.transaction() as conn:
        return bytes(conn.execute(text("select body from delivery")).scalar_one())


async def test_a_card_number_in_a_delivery_is_masked_before_it_rests(database: Database) -> None:
    assert await kept(database, f'{{"note": "card {CARD}"}}'.encode()) == b'{"note": "card 411111******1111"}'


async def test_a_body_that_is_no_text_is_kept_byte_for_byte(database: Database) -> None:
    assert await kept(database, b"\xff\x00\x9f\xc3") == b"\xff\x00\x9f\xc3"
