"""The gateway's Entities as Records: read by key, order, value and scope, polled, captured and voided by Status."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from gateway_rig import Rig

from isthmus.connectors.bng_gateway import SETTLEMENT, TRANSACTION, GatewayConnector
from isthmus.sdk import (
    ByExternalKeys,
    ByKeys,
    ByValues,
    Create,
    Everything,
    Failed,
    InvalidRecord,
    Misconfigured,
    Record,
    Selection,
    Stale,
    Update,
    Written,
)


async def read(connector: GatewayConnector, selection: Selection, *paths: str, **more: Any) -> list[Record]:
    return [r async for page in connector.read(TRANSACTION, selection, paths, **more) for r in page]


async def create(connector: GatewayConnector, key: str, **values: Any) -> Any:
    given = {"PaymentType": "Sale", "Amount": Decimal("5.00"), **values}
    [outcome] = await connector.create(TRANSACTION, [Create(external_key=key, values=given, idempotency_key="i")])
    return outcome


async def update(connector: GatewayConnector, key: str, version: str | None = None, **values: Any) -> Any:
    change = Update(key=key, values=values, expect={}, version=version, idempotency_key="u")
    [outcome] = await connector.update(TRANSACTION, [change])
    return outcome


async def test_an_authorisation_is_captured_by_its_status(rig: Rig) -> None:
    connector = rig.connector()
    made = await create(connector, "SO1", PaymentType="Authorization", PaymentToken=rig.token())
    assert isinstance(made, Written)
    taken = await update(connector, made.key, Status="Captured", Amount=Decimal("3.00"), TrackingNumber="T1")
    assert isinstance(taken, Written)
    [record] = await read(connector, ByKeys([made.key]), "Status", "Amount", "TrackingNumber", "OrderID")
    assert record.values == {
        "Status": "PendingSettlement", "Amount": Decimal("3.00"), "TrackingNumber": "T1", "OrderID": "SO1",
    }  # fmt: skip
    assert isinstance(await update(connector, made.key, Status="Voided"), Written)
    [record] = await read(connector, ByKeys([made.key]), "Status")
    assert record.values["Status"] == "Voided"


async def test_what_cannot_be_changed_is_refused_before_it_is_sent(rig: Rig) -> None:
    connector = rig.connector()
    made = await create(connector, "SO1", PaymentToken=rig.token())
    for values in ({"Amount": Decimal("6.00")}, {"Status": "Settled"}, {"CurrencyCode": "EUR"}, {"OrderID": "X"}):
        outcome = await update(connector, made.key, **values)
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, InvalidRecord)
    assert isinstance(await update(connector, made.key, version="another", Description="x"), Stale)
    assert await rig.sent("update") == 0


async def test_a_declined_charge_is_no_record_of_its_order(rig: Rig) -> None:
    connector = rig.connector()
    refused = await create(connector, "SO1", PaymentToken=rig.token("decline"))
    assert isinstance(refused, Failed)
    assert await read(connector, ByExternalKeys(["SO1"])) == []
    [tried] = await read(connector, ByValues("OrderID", ["SO1"]), "Status")
    assert (tried.values["Status"], tried.active) == ("Declined", False)
    made = await create(connector, "SO1", PaymentToken=rig.token())
    assert [r.key for r in await read(connector, ByExternalKeys(["SO1"]))] == [made.key]


async def test_a_refund_is_made_as_a_record(rig: Rig) -> None:
    connector = rig.connector()
    made = await create(connector, "SO1", PaymentToken=rig.token())
    back = await create(connector, "CN1", PaymentType="Refund", Amount=Decimal("2.00"), OriginalTransactionID=made.key)
    assert isinstance(back, Written)
    [record] = await read(connector, ByKeys([back.key]), "PaymentType", "OriginalTransactionID")
    assert record.values == {"PaymentType": "Refund", "OriginalTransactionID": made.key}


async def test_a_scope_keeps_the_rest_out(rig: Rig) -> None:
    connector = rig.connector(page_size=2)
    for n in range(5):
        await create(connector, f"A{n}", CurrencyCode="EUR" if n % 2 else "USD", PaymentToken=rig.token())
    found = await read(connector, Everything(), "OrderID", scope={"CurrencyCode": "EUR"})
    assert [r.values for r in found] == [{"OrderID": "A1"}, {"OrderID": "A3"}]
    found = await read(connector, ByValues("CurrencyCode", ["USD"]), "OrderID", scope={"Status": ["PendingSettlement"]})
    assert [r.values["OrderID"] for r in found] == ["A0", "A2", "A4"]


async def test_a_settlement_is_an_edit_that_polling_sees(rig: Rig) -> None:
    connector = rig.connector()
    made = await create(connector, "SO1", PaymentToken=rig.token())
    cursor = [page async for page in connector.changes(TRANSACTION, None)][-1].cursor
    batches = [page async for page in connector.changes(SETTLEMENT, None)][-1].cursor
    batch = await rig.switch("POST", "settle")
    hints = [h for page in [p async for p in connector.changes(TRANSACTION, cursor)] for h in page.hints]
    assert [h.key for h in hints] == [made.key]
    hints = [h for page in [p async for p in connector.changes(SETTLEMENT, batches)] for h in page.hints]
    assert [h.key for h in hints] == [batch["batch_id"]]


async def test_a_transaction_that_shows_up_late_is_still_hinted_at(rig: Rig) -> None:
    """Two in one second, the second unseen by the first look: the overlap finds it and repeats nothing."""
    connector = rig.connector(poll_overlap=5)
    cursor = [page async for page in connector.changes(TRANSACTION, None)][-1].cursor
    seen: list[str] = []
    for n in range(4):
        made = await create(connector, f"A{n}", PaymentToken=rig.token())
        pages = [page async for page in connector.changes(TRANSACTION, cursor)]
        cursor = pages[-1].cursor
        fresh = [h.key for page in pages for h in page.hints]
        assert fresh == [made.key]
        seen += fresh
        await asyncio.sleep(0.3)
    assert len(set(seen)) == 4


async def test_a_cursor_that_is_none_halts_with_the_fix(rig: Rig) -> None:
    with pytest.raises(Misconfigured, match="none of ours"):
        async for _ in rig.connector().changes(TRANSACTION, "2026-01-01"):
            pass
